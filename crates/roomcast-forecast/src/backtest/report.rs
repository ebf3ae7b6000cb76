//! The results of a backtest: scores overall and by group, the verdict, the worst days.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rayon::prelude::*;
use serde::Serialize;

use super::scores::{self, Bin, Outcome, Scores};
use super::skill::{self, Skill};
use super::verdict::Verdict;
use super::worst::{self, WorstDay, WorstRoomDay};
use super::{Case, FORECASTERS, Plan, baselines, name};
use crate::calendar::Calendar;
use crate::readings::Readings;

/// The results of a backtest, as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of Roomcast.
    pub version: &'static str,
    /// The comparison of the model with the simple rules.
    pub verdict: Verdict,
    /// The origins and hours that were replayed.
    pub setup: Setup,
    /// All hours.
    pub overall: Group,
    /// Hours in which the sensor was believed alive; `None` when they are all hours.
    pub live: Option<Group>,
    /// Hours after a long silence of the sensor: vacant room or dead sensor. The overall scores include them.
    pub silent: Option<Group>,
    /// Skill of the model against each simple rule, over all hours.
    pub skill: Vec<Skill>,
    /// Scores by position of the hour after the origin.
    pub by_lead: Vec<Group>,
    /// Scores by local hour of day.
    pub by_hour: Vec<Group>,
    /// Scores by whole weeks of the device's history before the origin.
    pub by_weeks: Vec<Group>,
    /// Scores by the source of the model's forecast.
    pub by_source: Vec<Group>,
    /// Scores by device, in order of name.
    pub by_device: Vec<Room>,
    /// Reliability diagrams of the model and of the best simple rule.
    pub reliability: Vec<Reliability>,
    /// Days with the worst forecasts of the whole site, worst first.
    pub worst_days: Vec<WorstDay>,
    /// Days of single rooms with the worst forecasts, worst first; days without motion in any room are left out.
    pub worst_room_days: Vec<WorstRoomDay>,
    /// Scores of the same hours forecast with less history, when asked for; the last entry has all of it.
    pub learning_curve: Vec<Group>,
}

/// The origins and hours that were replayed.
#[derive(Debug, Clone, Serialize)]
pub struct Setup {
    /// First origin, local wall time.
    pub from: String,
    /// Last origin, local wall time.
    pub to: String,
    /// Seconds between origins.
    pub every: i64,
    /// Seconds between fits.
    pub refit: i64,
    /// The site's time zone, if one was given.
    pub timezone: Option<String>,
    /// Origins with at least one case.
    pub origins: usize,
    /// True when all origins are at the same hour of the day, so that a lead is also an hour of day.
    pub one_hour_of_day: bool,
    /// Number of rooms scored.
    pub rooms: usize,
    /// Number of local days with a target hour.
    pub days: usize,
    /// Number of cases scored: one per room, origin and target hour.
    pub hours: usize,
    /// Share of cases after a long silence of the sensor.
    pub silent_share: f64,
}

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

/// A reliability diagram.
#[derive(Debug, Clone, Serialize)]
pub struct Reliability {
    /// The forecaster's name.
    pub forecaster: &'static str,
    /// The bins of equal width that hold hours.
    pub bins: Vec<Bin>,
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

impl Report {
    /// Scores cases of [`super::run`] on these readings; returns `None` when there are none.
    pub fn new(readings: &Readings, calendar: &Calendar, plan: &Plan, cases: &[Case]) -> Option<Report> {
        let overall = Group::new("all hours", cases.iter())?;
        let best = overall.best_baseline();
        let rules: Vec<usize> = (0..baselines::COUNT).collect();
        let skill = skill::skills(cases, &rules);
        let by_device = rooms(readings, cases, best);
        let silent = Group::new("silent", cases.iter().filter(|c| c.silent));
        let live = silent.as_ref().and_then(|_| Group::new("live", cases.iter().filter(|c| !c.silent)));
        let reliability = [0, 1 + best].map(|forecaster| Reliability {
            forecaster: name(forecaster),
            bins: scores::reliability(&outcomes(cases.iter(), forecaster)),
        });
        let setup = Setup::new(calendar, plan, cases, by_device.len());
        Some(Report {
            version: env!("CARGO_PKG_VERSION"),
            verdict: Verdict::new(&overall, &skill, &by_device, setup.days)?,
            setup,
            live,
            silent,
            skill,
            by_lead: bands(cases, &LEADS, |c| u16::from(c.lead)),
            by_hour: bands(cases, &std::array::from_fn::<_, 24, _>(|h| h as u16..=h as u16), |c| c.hour_of_day.into()),
            by_weeks: bands(cases, &WEEKS, |c| c.weeks),
            by_source: by_source(cases),
            by_device,
            reliability: reliability.to_vec(),
            worst_days: worst::days(cases),
            worst_room_days: worst::room_days(cases, |device| readings.devices[device as usize].device.clone()),
            learning_curve: Vec::new(),
            overall,
        })
    }

    /// Returns the simple rule with the lowest log loss over all hours, by its position in [`baselines::NAMES`].
    pub fn best_baseline(&self) -> usize {
        self.overall.best_baseline()
    }
}

impl Setup {
    fn new(calendar: &Calendar, plan: &Plan, cases: &[Case], rooms: usize) -> Setup {
        let distinct = |of: &dyn Fn(&Case) -> i64| {
            let mut values: Vec<i64> = cases.iter().map(of).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let origins = distinct(&|c| c.origin);
        let mut hours: Vec<String> = origins.iter().map(|&o| calendar.wall(o).format("%H:%M").to_string()).collect();
        hours.sort_unstable();
        hours.dedup();
        Setup {
            from: calendar.format(plan.from),
            to: origins.last().map_or_else(|| calendar.format(plan.to), |&last| calendar.format(last)),
            every: plan.every,
            refit: plan.refit,
            timezone: calendar.zone().map(|zone| zone.name().to_owned()),
            origins: origins.len(),
            one_hour_of_day: hours.len() == 1,
            rooms,
            days: distinct(&|c| c.day.into()).len(),
            hours: cases.len(),
            silent_share: cases.iter().filter(|c| c.silent).count() as f64 / cases.len().max(1) as f64,
        }
    }
}

fn outcomes<'a>(cases: impl Iterator<Item = &'a Case>, forecaster: usize) -> Vec<Outcome> {
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

fn by_source(cases: &[Case]) -> Vec<Group> {
    use crate::model::Source;
    let sources = [(Source::Model, "model"), (Source::Building, "building"), (Source::Baseline, "baseline")];
    sources
        .into_iter()
        .filter_map(|(source, label)| Group::new(label, cases.iter().filter(|c| c.source == source)))
        .collect()
}

fn rooms(readings: &Readings, cases: &[Case], best: usize) -> Vec<Room> {
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
