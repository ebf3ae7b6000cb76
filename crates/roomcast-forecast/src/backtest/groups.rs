//! Scores of all forecasters over groups of hours: by lead, hour of day, history, source and room.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rayon::prelude::*;
use serde::Serialize;

use super::scores::{self, Outcome, Scores};
use super::skill::{self, Skill};
use super::{Case, FORECASTERS, baselines, name};
use crate::model::Source;
use crate::readings::Readings;

/// Scores of one forecaster.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
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
    pub forecasters: Vec<Named>,
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
    /// Scores all forecasters over some cases; returns `None` without a case.
    pub fn new<'a>(label: impl Into<String>, cases: impl Iterator<Item = &'a Case> + Clone) -> Option<Group> {
        let score = |forecaster| {
            let outcomes = outcomes(cases.clone(), forecaster);
            scores::score(&outcomes).map(|scores| Named { forecaster: name(forecaster), scores })
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
    pub fn best_baseline(&self) -> usize {
        let loss = |&rule: &usize| self.baseline(rule).log_loss;
        (0..baselines::COUNT).min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap_or(0)
    }
}

/// Returns the forecasts of one forecaster and their outcomes.
pub fn outcomes<'a>(cases: impl Iterator<Item = &'a Case>, forecaster: usize) -> Vec<Outcome> {
    cases
        .map(|case| {
            let (probability, occupied) = case.said(forecaster);
            Outcome { probability, occupied, actual: case.actual }
        })
        .collect()
}

/// Returns one group per band that holds a case.
fn bands(cases: &[Case], bands: &[RangeInclusive<u16>], of: impl Fn(&Case) -> u16 + Sync) -> Vec<Group> {
    let label = |band: &RangeInclusive<u16>| match (*band.start(), *band.end()) {
        (from, to) if from == to => from.to_string(),
        (from, u16::MAX) => format!("{from} or more"),
        (from, to) => format!("{from}–{to}"),
    };
    let group = |band: &RangeInclusive<u16>| Group::new(label(band), cases.iter().filter(|c| band.contains(&of(c))));
    bands.par_iter().filter_map(group).collect()
}

/// Returns the groups of leads.
pub fn by_lead(cases: &[Case]) -> Vec<Group> {
    bands(cases, &LEADS, |case| case.lead.into())
}

/// Returns one group per local hour of day.
pub fn by_hour(cases: &[Case]) -> Vec<Group> {
    bands(cases, &std::array::from_fn::<_, 24, _>(|hour| hour as u16..=hour as u16), |case| case.hour_of_day.into())
}

/// Returns the groups of whole weeks of history.
pub fn by_weeks(cases: &[Case]) -> Vec<Group> {
    bands(cases, &WEEKS, |case| case.weeks)
}

/// Returns one group per source of the model's forecast.
pub fn by_source(cases: &[Case]) -> Vec<Group> {
    let sources = [(Source::Model, "model"), (Source::Building, "building"), (Source::Baseline, "baseline")];
    let group = |(source, label)| Group::new(label, cases.iter().filter(|case| case.source == source));
    sources.into_iter().filter_map(group).collect()
}

/// Returns the scores of each device; `best` is the simple rule that is best over all of them.
pub fn rooms(readings: &Readings, cases: &[Case], best: usize) -> Vec<Room> {
    let mut by_device: BTreeMap<u32, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        by_device.entry(case.device).or_default().push(case);
    }
    let room = |(device, cases): (u32, Vec<&Case>)| {
        let of_hour = |hour: usize, value: &dyn Fn(&Case) -> f64| {
            let hours = cases.iter().filter(|c| usize::from(c.hour_of_day) == hour);
            let (sum, n) = hours.fold((0.0, 0), |(sum, n), case| (sum + value(case), n + 1));
            (n > 0).then(|| sum / f64::from(n))
        };
        Some(Room {
            group: Group::new(readings.devices[device as usize].device.clone(), cases.iter().copied())?,
            skill: skill::skills(cases.iter().copied(), &[best]).pop()?,
            predicted: std::array::from_fn(|hour| of_hour(hour, &|c| c.probability.into())),
            actual: std::array::from_fn(|hour| of_hour(hour, &|c| u8::from(c.actual).into())),
        })
    };
    by_device.into_par_iter().filter_map(room).collect()
}
