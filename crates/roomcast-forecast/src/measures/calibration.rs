//! Reliability of probabilities: how often hours were occupied that were given about the same probability.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Number of bins of equal width from 0 to 1.
pub const BINS: usize = 10;

/// The lowest probability of a likely hour. Most hours are nights with a probability near zero. Every model is right
/// there, and their number hides the errors of the other hours.
pub(crate) const LIKELY_PROBABILITY: f32 = 0.1;

/// The first bin of likely hours.
pub(crate) const FIRST_LIKELY: usize = 1;

/// Number of days of [`Week`].
pub const WINDOW: i32 = 7;

/// One bin of a reliability diagram: forecasts of about the same probability, and their outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Mean probability of the forecasts; `None` without any, or where only their number is known.
    pub mean_probability: Option<f64>,
    /// Share of these hours that were occupied; `None` without any.
    pub occupied_share: Option<f64>,
    /// Number of hours in the bin.
    pub hours: u64,
    /// Number of hours that were occupied.
    #[serde(skip)]
    pub occupied: u64,
}

impl Bin {
    /// Returns the bin of `hours` hours, of which `occupied` were occupied, with the sum of their probabilities if it
    /// is known.
    pub fn new(hours: u64, occupied: u64, probabilities: Option<f64>) -> Bin {
        let mean = |sum: f64| (hours > 0).then(|| sum / hours as f64);
        Bin { mean_probability: probabilities.and_then(mean), occupied_share: mean(occupied as f64), hours, occupied }
    }

    /// Returns the mean probability and the share of occupied hours, when both are known.
    pub(crate) fn point(&self) -> Option<(f64, f64)> {
        self.mean_probability.zip(self.occupied_share)
    }
}

/// Returns the mean absolute difference between the shares of occupied hours in the same bins of now and before,
/// weighted by the hours of now; 0 is no difference. Returns `None` when no bin has hours of both.
pub fn gap(now: &[Bin], before: &[Bin]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for (now, before) in now.iter().zip(before) {
        if let (Some(share), Some(expected)) = (now.occupied_share, before.occupied_share) {
            sum += now.hours as f64 * (share - expected).abs();
            count += now.hours as f64;
        }
    }
    (count > 0.0).then(|| sum / count)
}

/// Numbers of hours of one local day by forecast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    day: i32,
    /// Occupied hours and all hours, per bin.
    bins: [(u32, u32); BINS],
}

/// Forecasts of the last week by outcome, all devices together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Week(VecDeque<Day>);

impl Week {
    /// Counts a forecast.
    pub fn add(&mut self, day: i32, probability: f64, occupied: bool) {
        let at = self.0.partition_point(|known| known.day < day);
        if self.0.get(at).is_none_or(|known| known.day != day) {
            self.0.insert(at, Day { day, ..Day::default() });
        }
        let (hit, all) = &mut self.0[at].bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        *hit += u32::from(occupied);
        *all += 1;
        while self.0.front().is_some_and(|known| known.day <= day - WINDOW) {
            self.0.pop_front();
        }
    }

    /// Returns the reliability of the week's forecasts, without mean probabilities.
    pub fn reliability(&self) -> [Bin; BINS] {
        std::array::from_fn(|at| {
            let days = self.0.iter().map(|day| day.bins[at]);
            let (occupied, hours) = days.fold((0, 0), |sum, day| (sum.0 + u64::from(day.0), sum.1 + u64::from(day.1)));
            Bin::new(hours, occupied, None)
        })
    }

    /// Returns the local day of the last hour that was counted, days since 1970-01-01.
    pub fn last_day(&self) -> Option<i32> {
        self.0.back().map(|day| day.day)
    }
}
