//! Whether probabilities still mean what they meant when the models were judged.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::rule::OutOfSample;

/// Days that are looked at together.
const WINDOW: i32 = 7;

/// Bins of equal width from 0 to 1.
const BINS: usize = 10;

/// The hours of one local day by what was forecast for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Day {
    day: i32,
    /// Per bin, occupied hours and all.
    bins: [(u32, u32); BINS],
}

/// Forecasts of the last week by what happened, all devices together.
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

    /// Mean absolute difference, over the forecasts of the week, between the share of occupied hours in a forecast's
    /// bin now and when the models were judged: 0 is no drift. Nothing where there is nothing to compare.
    pub fn gap(&self, judged: &OutOfSample) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (at, expected) in judged.shares(BINS).into_iter().enumerate() {
            let bins = self.0.iter().map(|day| day.bins[at]);
            let (hit, all) = bins.fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
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
        // In the lowest bin nobody came, in the highest everybody.
        (0..10).for_each(|_| judged.add(0.05, false));
        (0..10).for_each(|_| judged.add(0.95, true));
        let mut week = Calibration::default();
        assert_eq!(week.gap(&judged), None);
        (0..6).for_each(|_| week.add(1, 0.02, false));
        assert_eq!(week.gap(&judged), Some(0.0));
        (0..2).for_each(|n| week.add(2, 1.0, n == 0));
        assert_eq!(week.gap(&judged), Some(0.125));
        // What the models were never asked there says nothing.
        week.add(2, 0.5, true);
        assert_eq!(week.gap(&judged), Some(0.125));
        assert_eq!(week.gap(&OutOfSample::default()), None);
        // A week later only the new day counts.
        week.add(9, 0.01, true);
        assert_eq!(week.gap(&judged), Some(1.0));
    }
}
