//! `roomcast schedule`: when each room is to be on in the 24 hours after an instant.

use std::path::PathBuf;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};

use super::series::{Plan, Series, known_until};
use super::{caution, check_known, nothing_before};
use crate::commands::arguments::{
    BlockArgs, LevelArg, OutputArgs, PlacedSiteArgs, PromiseScope, RuleArgs, check_level, values,
};
use crate::commands::output::{self, remark};
use crate::commands::{progress, wrong_usage};
use roomcast_forecast::backtest::outcomes;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::decisions::outcomes::Outcomes;
use roomcast_forecast::decisions::promise::{self, Method, Scope};
use roomcast_forecast::decisions::{ics, plan, write};
use roomcast_forecast::hourly::HORIZON;
use roomcast_forecast::model::rule::{Rule, Threshold};
use roomcast_forecast::readings::Readings;

/// Arguments of `roomcast schedule`.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// Time of the schedule, local: a time such as '2016-08-31 23:59:59', a date for its midnight, now, today or tomorrow.
    /// Readings at or after it are not used
    #[arg(value_name = "TIMESTAMP")]
    timestamp: String,
    #[command(flatten)]
    site: PlacedSiteArgs,
    /// Registry of saved models: a directory, postgres://…, or s3://bucket/prefix. Without it, models are fitted on the
    /// readings before the timestamp
    #[arg(long, value_name = "PLACE")]
    models: Option<PathBuf>,
    /// Days of 24 hours to plan, 1 to 7
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = values::days)]
    days: usize,
    /// Device to plan for; without it, all (repeatable). With --rooms a room, and with --level a floor or building
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Level to plan for, such as floor for plant that serves a whole floor
    #[arg(long, value_enum, default_value_t)]
    level: LevelArg,
    #[command(flatten)]
    blocks: BlockArgs,
    #[command(flatten)]
    rule: RuleArgs,
    /// What --max-missed holds for
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["threshold", "cost_miss"])]
    promise: PromiseScope,
    /// Timetable, which other commands compare the schedule with
    #[arg(long, value_name = "HOURS", hide = true)]
    timetable: Option<String>,
    #[command(flatten)]
    output: OutputArgs<Format>,
}

/// Format of a schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with one line per room, and how sure it is.
    #[default]
    Text,
    /// One object with the blocks of every room.
    Json,
    /// One line per block.
    Csv,
    /// A calendar with one event per block.
    Ics,
}

/// Computes the schedule and writes it.
///
/// # Errors
/// Returns an error for a timestamp or file that cannot be read, an unknown device, or an output that cannot be
/// written.
pub fn run(args: &ScheduleArgs) -> anyhow::Result<()> {
    if args.timetable.is_some() {
        let message = "--timetable belongs to backtest and serve, which compare the schedule with it";
        return Err(wrong_usage("schedule", ErrorKind::UnknownArgument, message));
    }
    let inputs = args.site.inputs("schedule")?;
    let calendar = inputs.site.calendar()?;
    let origin = values::moment(&args.timestamp, &calendar).context("cannot read the timestamp")?;
    args.output.check()?;
    let site = inputs.read_site(&calendar, Some(origin))?;
    if site.sensors.active_period(origin).is_none() {
        return Err(nothing_before(&inputs, &site, origin, &calendar));
    }
    let (level, models) = (args.level.into(), args.models.as_deref());
    check_level(level, &site.rooms)?;
    check_known(&site.at(level, &calendar), &args.device, " before the timestamp")?;
    // The states are those of the schedule's own thresholds, which it finds below.
    let rule = Rule::Fixed(Threshold::default().0);
    let known_until = known_until(&site.sensors, &calendar, origin);
    let plan = Plan { site: &site, calendar: &calendar, models, rule, origin, days: args.days, known_until };
    let Series { mut forecasts, readings, hourly, models } = plan.forecast(level)?;
    if hourly.stale.is_some() {
        remark("all sensors have been silent for long: the schedule follows the hour-of-week rate");
    }
    if let Some(caution) = caution(&hourly) {
        remark(&caution);
    }
    forecasts.retain(|forecast| args.device.is_empty() || args.device.contains(&forecast.device));
    let method = args.rule.method(args.promise.into());
    let record = record(method, &readings, &calendar, hourly.origin)?;
    let rooms = forecasts.iter().map(|forecast| forecast.device.as_str());
    let today = plan::today(origin, &calendar);
    let thresholds = promise::thresholds(method, &record, &models.site.out_of_sample, today, rooms);
    let rule = args.blocks.rule(&inputs.site);
    let rooms = plan::plan(&forecasts, &thresholds, &rule, origin, &calendar);
    let bytes = match args.output.format {
        Format::Text => {
            let from = calendar.wall(calendar.start(calendar.next_hour(origin))).format("%A %Y-%m-%d %H:%M");
            let (hours, text) = (HORIZON * args.days, write::text(&rooms, level, &thresholds, &calendar));
            format!("{hours} hours from {from}\n\n{text}").into_bytes()
        }
        Format::Json => {
            let json = write::json(&rooms, &thresholds, &rule, (origin, hourly.stale.is_some()), &calendar);
            output::json(&json)?.into_bytes()
        }
        Format::Csv => write::csv(&rooms, &calendar),
        Format::Ics => ics::calendar(&rooms, calendar.now(), &calendar).into_bytes(),
    };
    if !matches!(args.output.format, Format::Text) {
        remark(&write::words(&thresholds));
    }
    args.output.write(&bytes)
}

/// Returns what came of forecasts of the last days, if the method needs them.
fn record(method: Method, readings: &Readings, calendar: &Calendar, origin: Timestamp) -> anyhow::Result<Outcomes> {
    let Method::Promise(promise) = method else { return Ok(Outcomes::default()) };
    let steps = progress::Steps::new("the last 28 days");
    let step = |done: usize, total: usize| steps.show("the last 28 days", done, total);
    let record = outcomes::of_last_days(readings, calendar, origin, promise.scope == Scope::Room, &step)?;
    steps.finish();
    Ok(record)
}
