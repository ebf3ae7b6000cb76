//! Scores by day of lead, for forecasts that reach further than 24 hours.
//!
//! Only sums by day of lead and local day are kept, so that a week ahead takes no more memory than a day.

use std::collections::BTreeMap;

use serde::Serialize;

use super::skill::{self, Interval};
use super::{ScoredHour, baselines};
use crate::hourly::HORIZON;
use crate::measures::loss::log_loss;

/// Scores of the hours that lie so many times 24 hours after their origin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DayAhead {
    /// The day of lead: 1 is the first 24 hours.
    pub day: usize,
    /// Number of hours.
    pub hours: usize,
    /// Share of these that were occupied.
    pub occupied_share: f64,
    /// Mean log loss of the model.
    pub log_loss: f64,
    /// Mean log loss of the hour-of-week rate.
    pub rate_log_loss: f64,
    /// Share of the rate's log loss that the model saves, with its 95 % interval over days.
    pub saved: Interval,
}

/// Sums over the hours of one local day.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    hours: usize,
    occupied: usize,
    model: f64,
    rate: f64,
}

/// Sums by day of lead and local day.
#[derive(Debug, Clone, Default)]
pub struct DaysAhead {
    sums: BTreeMap<usize, BTreeMap<i32, Sums>>,
}

impl DaysAhead {
    /// Counts hours, and leaves only those of the first day of lead.
    pub fn take(&mut self, hours: &mut Vec<ScoredHour>) {
        for scored in hours.iter() {
            let day = 1 + (usize::from(scored.lead) - 1) / HORIZON;
            let sums = self.sums.entry(day).or_default().entry(scored.day).or_default();
            sums.hours += 1;
            sums.occupied += usize::from(scored.actual);
            sums.model += log_loss(scored.probability.into(), scored.actual);
            sums.rate += log_loss(scored.baselines[baselines::COUNT - 1].into(), scored.actual);
        }
        hours.retain(|scored| usize::from(scored.lead) <= HORIZON);
    }

    /// Returns the scores of each day of lead, ascending.
    pub fn scores(&self) -> Vec<DayAhead> {
        let score = |(&day, days): (&usize, &BTreeMap<i32, Sums>)| {
            let sum = |of: fn(&Sums) -> f64| days.values().map(of).sum::<f64>();
            let hours = sum(|sums| sums.hours as f64);
            DayAhead {
                day,
                hours: hours as usize,
                occupied_share: sum(|sums| sums.occupied as f64) / hours,
                log_loss: sum(|sums| sums.model) / hours,
                rate_log_loss: sum(|sums| sums.rate) / hours,
                saved: skill::saved(days.iter().map(|(&day, sums)| (day, sums.model, sums.rate))),
            }
        };
        self.sums.iter().map(score).collect()
    }
}
