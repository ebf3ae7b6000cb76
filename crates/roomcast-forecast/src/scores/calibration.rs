//! Drift of the probabilities' meaning since the models were judged.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::rule::OutOfSample;

/// Number of days of the window.
pub const WINDOW: i32 = 7;

/// Number of bins of equal width from 0 to 1.
pub const BINS: usize = 10;

/// The first bin of hours that were given at least 10 %. Most hours are nights with a chance near zero: every model is
/// right there, and their number hides the errors of the other hours.
pub const FIRST_LIKELY: usize = 1;

/// Numbers of hours of one local day by forecast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    day: i32,
    /// Occupied hours and all hours, per bin.
    bins: [(u32, u32); BINS],
}

/// Forecasts of the last week by outcome, all devices together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration(VecDeque<Day>);

impl Calibration {
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

    /// Returns the occupied hours and all hours of the week, per bin.
    pub fn bins(&self) -> [(u32, u32); BINS] {
        std::array::from_fn(|at| {
            self.0.iter().map(|day| day.bins[at]).fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1))
        })
    }

    /// Returns the local day of the last hour that was counted, days since 1970-01-01.
    pub fn last_day(&self) -> Option<i32> {
        self.0.back().map(|day| day.day)
    }

    /// Returns the mean absolute difference, over the week's forecasts from the bin `first` on, between the share of
    /// occupied hours in a forecast's bin now and when the models were judged: 0 is no drift. `None` when no bin has
    /// forecasts of both.
    pub fn gap(&self, judged: &OutOfSample, first: usize) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for ((hit, all), expected) in self.bins().into_iter().zip(judged.shares(BINS)).skip(first) {
            if let Some(expected) = expected.filter(|_| all > 0) {
                let all = f64::from(all);
                sum += all * (f64::from(hit) / all - expected).abs();
                count += all;
            }
        }
        (count > 0.0).then(|| sum / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_mean_distance_of_shares_weighted_by_count() {
        let mut judged = OutOfSample::default();
        // No hour of the lowest bin was occupied, every hour of the highest was.
        (0..10).for_each(|_| judged.add(0.05, false));
        (0..10).for_each(|_| judged.add(0.95, true));
        let mut week = Calibration::default();
        assert_eq!(week.gap(&judged, 0), None);
        (0..6).for_each(|_| week.add(1, 0.02, false));
        assert_eq!(week.gap(&judged, 0), Some(0.0));
        (0..2).for_each(|n| week.add(2, 1.0, n == 0));
        assert_eq!(week.gap(&judged, 0), Some(0.125));
        // A bin without judged forecasts does not count.
        week.add(2, 0.5, true);
        assert_eq!(week.gap(&judged, 0), Some(0.125));
        assert_eq!(week.gap(&OutOfSample::default(), 0), None);
        // A week later only the new day counts.
        week.add(9, 0.01, true);
        assert_eq!(week.gap(&judged, 0), Some(1.0));
    }
    #[test]
    fn many_empty_nights_do_not_hide_a_gap_of_likely_hours() {
        let mut judged = OutOfSample::default();
        (0..10).for_each(|_| judged.add(0.05, false));
        (0..10).for_each(|n| judged.add(0.75, n < 7));
        let mut week = Calibration::default();
        (0..90).for_each(|_| week.add(1, 0.01, false));
        (0..10).for_each(|n| week.add(1, 0.75, n < 2));
        let close = |gap: Option<f64>, to: f64| gap.is_some_and(|gap| (gap - to).abs() < 1e-9);
        assert!(close(week.gap(&judged, 0), 0.05), "{:?}", week.gap(&judged, 0));
        assert!(close(week.gap(&judged, FIRST_LIKELY), 0.5), "{:?}", week.gap(&judged, FIRST_LIKELY));
        assert_eq!((week.bins()[0], week.bins()[7]), ((0, 90), (2, 10)));
    }
}
