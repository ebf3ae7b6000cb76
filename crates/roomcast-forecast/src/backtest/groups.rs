//! Scores of all forecasters over groups of hours: by lead, hour of day, history, source and room.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rayon::prelude::*;
use serde::Serialize;

use super::scores::{self, Outcome, Scores};
use super::skill::{self, Skill};
use super::{FORECASTERS, ScoredHour, baselines, name};
use crate::model::Source;
use crate::readings::Readings;

/// Scores of one forecaster.
#[derive(Debug, Clone, Serialize)]
pub struct ForecasterScores {
    /// `model`, or the simple rule.
    pub forecaster: &'static str,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// Scores of all forecasters over the same hours.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The name of the set of hours.
    pub label: String,
    /// The model, then the simple rules in the order of [`baselines::NAMES`].
    pub forecasters: Vec<ForecasterScores>,
}

/// Scores of one device.
#[derive(Debug, Clone, Serialize)]
pub struct Room {
    /// The device's name and its scores.
    #[serde(flatten)]
    pub group: Group,
    /// Skill of the model against the simple rule that is best over all devices.
    pub skill: Skill,
    /// Mean probability of the model by local hour of day; `None` where no hour was scored.
    pub predicted: [Option<f64>; 24],
    /// Share of occupied hours by local hour of day; `None` where no hour was scored.
    pub actual: [Option<f64>; 24],
}

/// Leads that are scored together.
const LEADS: [RangeInclusive<u16>; 6] = [1..=1, 2..=2, 3..=3, 4..=6, 7..=12, 13..=24];
/// Weeks of history that are scored together.
const WEEKS: [RangeInclusive<u16>; 11] =
    [0..=0, 1..=1, 2..=2, 3..=3, 4..=5, 6..=7, 8..=11, 12..=25, 26..=51, 52..=103, 104..=u16::MAX];

impl Group {
    /// Scores all forecasters over some hours; returns `None` without an hour.
    pub fn new<'a>(label: impl Into<String>, hours: impl Iterator<Item = &'a ScoredHour> + Clone) -> Option<Group> {
        let score = |forecaster| {
            let outcomes = outcomes(hours.clone(), forecaster);
            scores::score(&outcomes).map(|scores| ForecasterScores { forecaster: name(forecaster), scores })
        };
        Some(Group { label: label.into(), forecasters: (0..FORECASTERS).map(score).collect::<Option<_>>()? })
    }

    /// Returns the model's scores.
    pub fn model(&self) -> &Scores {
        &self.forecasters[0].scores
    }

    /// Returns the scores of a simple rule, by its position in [`baselines::NAMES`].
    pub fn baseline(&self, rule: usize) -> &Scores {
        &self.forecasters[1 + rule].scores
    }

    /// Returns the simple rule with the lowest log loss, by its position in [`baselines::NAMES`].
    pub(crate) fn best_baseline(&self) -> usize {
        let loss = |&rule: &usize| self.baseline(rule).log_loss;
        (0..baselines::COUNT).min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap_or(0)
    }
}

/// Returns the forecasts of one forecaster and their outcomes.
pub(crate) fn outcomes<'a>(hours: impl Iterator<Item = &'a ScoredHour>, forecaster: usize) -> Vec<Outcome> {
    hours
        .map(|scored| {
            let (probability, occupied) = scored.forecast(forecaster);
            Outcome { probability, occupied, actual: scored.actual }
        })
        .collect()
}

/// Returns one group per band that holds an hour.
fn bands(hours: &[ScoredHour], bands: &[RangeInclusive<u16>], of: impl Fn(&ScoredHour) -> u16 + Sync) -> Vec<Group> {
    let label = |band: &RangeInclusive<u16>| match (*band.start(), *band.end()) {
        (from, to) if from == to => from.to_string(),
        (from, u16::MAX) => format!("{from} or more"),
        (from, to) => format!("{from}–{to}"),
    };
    let group = |band: &RangeInclusive<u16>| Group::new(label(band), hours.iter().filter(|c| band.contains(&of(c))));
    bands.par_iter().filter_map(group).collect()
}

/// Returns the groups of leads.
pub fn by_lead(hours: &[ScoredHour]) -> Vec<Group> {
    bands(hours, &LEADS, |scored| scored.lead.into())
}

/// Returns one group per local hour of day.
pub fn by_hour(hours: &[ScoredHour]) -> Vec<Group> {
    bands(hours, &std::array::from_fn::<_, 24, _>(|hour| hour as u16..=hour as u16), |scored| scored.hour_of_day.into())
}

/// Returns the groups of whole weeks of history.
pub(crate) fn by_weeks(hours: &[ScoredHour]) -> Vec<Group> {
    bands(hours, &WEEKS, |scored| scored.weeks)
}

/// Returns one group per source of the model's forecast.
pub(crate) fn by_source(hours: &[ScoredHour]) -> Vec<Group> {
    let sources = [(Source::Model, "model"), (Source::Building, "building"), (Source::Baseline, "baseline")];
    let group = |(source, label)| Group::new(label, hours.iter().filter(|scored| scored.source == source));
    sources.into_iter().filter_map(group).collect()
}

/// Returns the scores of each device; `best` is the simple rule that is best over all of them.
pub fn rooms(readings: &Readings, hours: &[ScoredHour], best: usize) -> Vec<Room> {
    let mut by_device: BTreeMap<u32, Vec<&ScoredHour>> = BTreeMap::new();
    for scored in hours {
        by_device.entry(scored.device).or_default().push(scored);
    }
    let room = |(device, hours): (u32, Vec<&ScoredHour>)| {
        let of_hour = |hour: usize, value: &dyn Fn(&ScoredHour) -> f64| {
            let hours = hours.iter().filter(|c| usize::from(c.hour_of_day) == hour);
            let (sum, n) = hours.fold((0.0, 0), |(sum, n), scored| (sum + value(scored), n + 1));
            (n > 0).then(|| sum / f64::from(n))
        };
        Some(Room {
            group: Group::new(readings.devices[device as usize].device.clone(), hours.iter().copied())?,
            skill: skill::skills(hours.iter().copied(), &[best]).pop()?,
            predicted: std::array::from_fn(|hour| of_hour(hour, &|c| c.probability.into())),
            actual: std::array::from_fn(|hour| of_hour(hour, &|c| u8::from(c.actual).into())),
        })
    };
    by_device.into_par_iter().filter_map(room).collect()
}
