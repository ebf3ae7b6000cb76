//! The columns of a file of scored hours.

use chrono::NaiveDate;
use polars::prelude::{DataType, TimeUnit, TimeZone};

use crate::backtest::{ScoredHour, baselines};
use crate::calendar::{Calendar, Timestamp};
use crate::forecast::parts;
use crate::model::Source;
use crate::readings::Readings;

/// A column. The parts of the model and the simple rules have columns each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Origin,
    Lead,
    Device,
    Time,
    Date,
    Probability,
    State,
    Truth,
    Silent,
    Source,
    Rule(usize),
    RuleState(usize),
    Part(usize),
    Without(usize),
}

/// The value of a column in one hour.
pub(super) enum Cell<'a> {
    Time(Timestamp),
    Text(&'a str),
    Date(NaiveDate),
    Whole(i32),
    /// Not a number where there is no value.
    Number(f32),
}

/// Returns all columns, in order.
pub(super) fn columns() -> Vec<Column> {
    use Column::{Date, Device, Lead, Origin, Probability, Silent, Source, State, Time, Truth};
    let first = [Origin, Lead, Device, Time, Date, Probability, State, Truth, Silent, Source];
    let rules = (0..baselines::COUNT).flat_map(|rule| [Column::Rule(rule), Column::RuleState(rule)]);
    // The first part, the kernel rate, is not mixed.
    let parts = (0..parts::COUNT).map(Column::Part).chain((1..parts::COUNT).map(Column::Without));
    first.into_iter().chain(rules).chain(parts).collect()
}

impl Column {
    /// Returns the name of the column: small letters, digits and underscores.
    pub fn name(self) -> String {
        let slug = |name: &str| name.replace([' ', '-'], "_");
        match self {
            Column::Origin => "origin".into(),
            Column::Lead => "lead".into(),
            Column::Device => "device".into(),
            Column::Time => "time".into(),
            Column::Date => "date".into(),
            Column::Probability => "probability".into(),
            Column::State => "state".into(),
            Column::Truth => "truth".into(),
            Column::Silent => "silent".into(),
            Column::Source => "source".into(),
            Column::Rule(rule) => slug(baselines::NAMES[rule]),
            Column::RuleState(rule) => format!("{}_state", slug(baselines::NAMES[rule])),
            Column::Part(part) => format!("part_{}", slug(parts::NAMES[part])),
            Column::Without(part) => format!("without_{}", slug(parts::NAMES[part])),
        }
    }

    /// Returns the type of the column in Parquet.
    pub fn data_type(self, calendar: &Calendar) -> DataType {
        match self {
            Column::Origin | Column::Time => {
                DataType::Datetime(TimeUnit::Milliseconds, calendar.zone().map(|_| TimeZone::UTC))
            }
            Column::Device | Column::Date | Column::Source => DataType::String,
            Column::Lead | Column::State | Column::Truth | Column::Silent | Column::RuleState(_) => DataType::Int32,
            Column::Probability | Column::Rule(_) | Column::Part(_) | Column::Without(_) => DataType::Float32,
        }
    }

    /// Returns the value of the column in an hour of a backtest on these readings.
    pub fn cell<'a>(self, hour: &ScoredHour, readings: &'a Readings, calendar: &Calendar) -> Cell<'a> {
        match self {
            Column::Origin => Cell::Time(hour.origin),
            Column::Lead => Cell::Whole(hour.lead.into()),
            Column::Device => Cell::Text(&readings.devices[hour.device as usize].device),
            Column::Time => Cell::Time(calendar.start(hour.hour)),
            Column::Date => Cell::Date(NaiveDate::from_epoch_days(hour.day).unwrap_or_default()),
            Column::Probability => Cell::Number(hour.probability),
            Column::State => Cell::Whole(hour.occupied.into()),
            Column::Truth => Cell::Whole(hour.actual.into()),
            Column::Silent => Cell::Whole(hour.silent.into()),
            Column::Source => Cell::Text(match hour.source {
                Source::Model => "model",
                Source::Building => "building",
                Source::Baseline => "baseline",
            }),
            Column::Rule(rule) => Cell::Number(hour.baselines[rule]),
            Column::RuleState(rule) => Cell::Whole(hour.baseline_states[rule].into()),
            Column::Part(part) => Cell::Number(hour.parts.alone[part]),
            Column::Without(part) => Cell::Number(hour.parts.without[part]),
        }
    }
}
