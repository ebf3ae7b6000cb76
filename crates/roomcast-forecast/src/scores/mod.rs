//! Scores of live forecasts, kept until their hours are over.
//!
//! Two forecasts of each hour are kept: the one made at its beginning and the one made at midnight. Each uses only
//! readings before that instant, and models that learned from nothing after it. An hour closes some minutes after its
//! end, for late readings. An unobserved hour is not scored.

mod days;
mod file;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::decisions::outcomes::Outcomes;
use crate::forecast::DeviceForecast;
use crate::hourly::Hourly;
use crate::measures::calibration::{self, BINS, Bin, FIRST_LIKELY, Week};
use crate::measures::loss::{log_loss, squared_error};
use crate::model::rule::OutOfSample;
use days::{Day, Days};
pub use file::ScoresError;

/// Seconds after its end at which an hour closes.
pub(crate) const WATERMARK: i64 = 600;

/// Number of days whose outcomes are kept for schedules: a window of 28 days before each of 28 days.
const OUTCOME_DAYS: i32 = 56;

/// Largest number of hours per device that wait to close: those of a day of 25 hours, and a few late ones.
const MAX_PENDING: usize = 30;

/// The forecasts kept for an hour that has not closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct PendingForecast {
    hour: Hour,
    /// Probability forecast at the hour's beginning.
    hour_ahead: Option<f64>,
    /// Probability forecast at midnight.
    day_ahead: Option<f64>,
    /// The baseline's probability, from the last of these instants.
    baseline: f64,
}

/// The kept forecasts and the scores of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct DeviceScores {
    /// Forecasts not scored yet, ascending by hour, each hour once.
    pending: Vec<PendingForecast>,
    days: Days,
}

/// Kept forecasts and their scores, for all devices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    devices: BTreeMap<String, DeviceScores>,
    calibration: Week,
    /// The last hour whose forecasts at its beginning are kept, and the last midnight whose forecasts are.
    kept: (Option<Hour>, Option<Hour>),
    /// Outcomes of the forecasts made at midnight.
    outcomes: Outcomes,
}

/// Scores of the last 14 days: means over the hours whose forecast was made at their beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Live {
    /// Number of hours scored.
    pub hours: u32,
    /// Mean log loss of the forecasts.
    pub log_loss: f64,
    /// Mean log loss of the baseline for the same hours.
    pub baseline: f64,
    /// Share of the baseline's loss that the forecasts save; negative if they lose more.
    pub skill: f64,
    /// Mean squared error of the forecasts.
    pub brier: f64,
    /// Mean log loss of the forecasts made at midnight.
    pub day_ahead: Option<f64>,
}

impl Scores {
    /// Returns the hours from whose beginnings forecasts are still to be kept, while `hour` is under way on the day
    /// that began with the hour `midnight`.
    pub fn wanted(&self, hour: Hour, midnight: Hour) -> Vec<Hour> {
        let mut wanted = Vec::new();
        if self.kept.0.is_none_or(|kept| kept < hour) {
            wanted.push(hour);
        }
        if self.kept.1.is_none_or(|kept| kept < midnight) && midnight != hour {
            wanted.push(midnight);
        }
        wanted
    }

    /// Keeps the forecasts made at the beginning of the hour `origin`, while `hour` is under way; the baseline's
    /// forecasts are of the same devices in the same order.
    pub fn record(
        &mut self,
        origin: Hour,
        hour: Hour,
        midnight: Hour,
        made: &[DeviceForecast],
        base: &[DeviceForecast],
    ) {
        for (made, base) in made.iter().zip(base) {
            let device = self.devices.entry(made.device.clone()).or_default();
            for (made, base) in made.hours.iter().zip(&base.hours).filter(|(made, _)| made.hour >= hour) {
                device.insert(PendingForecast {
                    hour: made.hour,
                    hour_ahead: (made.hour == origin).then_some(made.probability),
                    day_ahead: (origin == midnight).then_some(made.probability),
                    baseline: base.probability,
                });
            }
        }
        if origin == hour {
            self.kept.0 = Some(hour);
        }
        if origin == midnight {
            self.kept.1 = Some(midnight);
        }
    }

    /// Returns whether a kept hour has closed by `now`.
    pub fn is_due(&self, now: Timestamp, calendar: &Calendar) -> bool {
        let next = self.devices.values().filter_map(|device| device.pending.first()).map(|pending| pending.hour).min();
        next.is_some_and(|hour| closed(hour, now, calendar))
    }

    /// Scores the hours that have closed by `now` against the grid, which must reach as far.
    pub fn close(&mut self, hourly: &Hourly, now: Timestamp, calendar: &Calendar) {
        for (name, device) in &mut self.devices {
            let observed = hourly.position(name).map(|at| &hourly.devices[at]);
            let over = device.pending.partition_point(|pending| closed(pending.hour, now, calendar));
            for pending in device.pending.drain(..over) {
                let state = observed.and_then(|observed| {
                    let at = usize::try_from(pending.hour - observed.first).ok()?;
                    observed.states.get(at)?.value()
                });
                let Some(occupied) = state.map(|value| value > 0.5) else { continue };
                let day = calendar.local(pending.hour).day;
                device.days.add(&pending.score(day, occupied));
                if let Some(probability) = pending.day_ahead {
                    self.outcomes.add(name, day, probability, occupied);
                }
                if let Some(probability) = pending.hour_ahead {
                    self.calibration.add(day, probability, occupied);
                }
            }
        }
        let today = calendar.local(calendar.hour(now)).day;
        self.devices.values_mut().for_each(|device| device.days.forget(today));
        self.outcomes.forget(today - OUTCOME_DAYS);
        self.devices.retain(|_, device| !device.pending.is_empty() || !device.days.is_empty());
    }

    /// Returns what came of the forecasts made at midnight, which schedules are decided on.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Returns the scores of a device, once it has some.
    pub fn device(&self, name: &str) -> Option<Live> {
        Live::of(&self.devices.get(name)?.days.sum())
    }

    /// Returns the scores of each device that has some, in order of name.
    pub fn devices(&self) -> impl Iterator<Item = (&str, Live)> {
        self.devices.iter().filter_map(|(name, device)| Some((name.as_str(), Live::of(&device.days.sum())?)))
    }

    /// Returns the scores of all devices together, each hour with the same weight.
    pub fn site(&self) -> Option<Live> {
        let mut all = Day::default();
        self.devices.values().for_each(|device| all.add(&device.days.sum()));
        Live::of(&all)
    }

    /// Returns the drift of the last week's probabilities since the models were judged: the mean absolute difference
    /// between the shares of occupied hours in bins of a tenth, weighted by forecasts; 0 is no drift.
    pub fn calibration_gap(&self, judged: &OutOfSample) -> Option<f64> {
        calibration::gap(&self.calibration.reliability(), &judged.reliability(BINS))
    }

    /// Returns the same over hours that were given at least 10 %.
    pub fn likely_calibration_gap(&self, judged: &OutOfSample) -> Option<f64> {
        let now = self.calibration.reliability();
        calibration::gap(&now[FIRST_LIKELY..], &judged.reliability(BINS)[FIRST_LIKELY..])
    }

    /// Returns the reliability of the probabilities given at the beginning of their hours, and the local day of the
    /// last of these hours, days since 1970-01-01. The first is less than [`calibration::WINDOW`] days earlier.
    pub fn reliability(&self) -> ([Bin; BINS], Option<i32>) {
        (self.calibration.reliability(), self.calibration.last_day())
    }

    /// Returns the devices, in order of name, whose forecasts did worse than the baseline by more than chance explains.
    pub fn worse(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().filter(|(_, device)| device.days.is_worse()).map(|(name, _)| name.as_str())
    }
}

fn closed(hour: Hour, now: Timestamp, calendar: &Calendar) -> bool {
    calendar.start(hour) + HOUR + WATERMARK <= now
}

impl DeviceScores {
    /// Keeps a forecast unless its hour has one of the same kind already.
    fn insert(&mut self, new: PendingForecast) {
        if new.hour_ahead.is_none() && new.day_ahead.is_none() {
            return;
        }
        let at = self.pending.partition_point(|known| known.hour < new.hour);
        let full = self.pending.len() >= MAX_PENDING;
        match self.pending.get_mut(at) {
            Some(known) if known.hour == new.hour => {
                // The baseline is that of the hour's beginning, if there is one.
                if known.hour_ahead.is_none() && new.hour_ahead.is_some() {
                    known.baseline = new.baseline;
                }
                known.hour_ahead = known.hour_ahead.or(new.hour_ahead);
                known.day_ahead = known.day_ahead.or(new.day_ahead);
            }
            _ if full => {}
            _ => self.pending.insert(at, new),
        }
    }
}

impl PendingForecast {
    fn score(&self, day: i32, occupied: bool) -> Day {
        let mut score = Day { day, ..Day::default() };
        if let Some(probability) = self.hour_ahead {
            score.hours = 1;
            score.loss = log_loss(probability, occupied);
            score.baseline = log_loss(self.baseline, occupied);
            score.brier = squared_error(probability, occupied);
        }
        if let Some(probability) = self.day_ahead {
            score.day_hours = 1;
            score.day_loss = log_loss(probability, occupied);
        }
        score
    }
}

#[cfg(test)]
mod tests;
