//! The decision rule: the probability from which an hour counts as occupied.

use serde::{Deserialize, Serialize};

use crate::measures::calibration::Bin;

/// Number of bins of [`OutOfSample`].
const BINS: usize = 200;

/// A probability from which an hour counts as occupied; the default is 0.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold(pub f64);

impl Default for Threshold {
    fn default() -> Self {
        Threshold(0.5)
    }
}

/// A rule that turns probabilities into states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Occupied from a fixed probability on.
    Fixed(f64),
    /// Least expected cost, given the costs of missed occupied hours and of wrongly announced ones.
    Cost {
        /// Cost of an occupied hour that was called vacant.
        miss: f64,
        /// Cost of a vacant hour that was called occupied.
        waste: f64,
    },
    /// Fewest announced hours with at most this share of the occupied hours missed.
    MostMissed(f64),
}

/// Histogram of the probabilities forecast for hours after the fit, separate for hours that turned out occupied and
/// vacant. Rules are set on it, never on rows the model was fitted on.
///
/// The probabilities are the stack's. Those of the mix would need a second expert of each device, fitted before these
/// hours; thresholds set on either keep their rule about as well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutOfSample {
    occupied: Vec<u32>,
    vacant: Vec<u32>,
}

impl OutOfSample {
    /// Counts one forecast.
    pub fn add(&mut self, probability: f64, was_occupied: bool) {
        let bins = if was_occupied { &mut self.occupied } else { &mut self.vacant };
        bins.resize(BINS, 0);
        bins[((probability * BINS as f64) as usize).min(BINS - 1)] += 1;
    }

    /// Counts the forecasts of another histogram as well.
    pub fn merge(&mut self, other: &OutOfSample) {
        for (mine, theirs) in [(&mut self.occupied, &other.occupied), (&mut self.vacant, &other.vacant)] {
            mine.resize(BINS, 0);
            for (a, b) in mine.iter_mut().zip(theirs) {
                *a += b;
            }
        }
    }

    /// Returns the number of forecasts counted.
    pub fn len(&self) -> u64 {
        self.occupied.iter().chain(&self.vacant).map(|&n| u64::from(n)).sum()
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the reliability of the forecasts in `bins` equal parts from 0 to 1; `bins` must divide 200. A forecast
    /// counts with the middle of its bin of the histogram, which is narrow, as its probability.
    pub fn reliability(&self, bins: usize) -> Vec<Bin> {
        let count = |counts: &[u32], at: usize| u64::from(counts.get(at).copied().unwrap_or(0));
        let bin = |part: usize| {
            let (mut occupied, mut hours, mut sum) = (0, 0, 0.0);
            for at in part * BINS / bins..(part + 1) * BINS / bins {
                let here = count(&self.occupied, at) + count(&self.vacant, at);
                occupied += count(&self.occupied, at);
                hours += here;
                sum += here as f64 * (at as f64 + 0.5) / BINS as f64;
            }
            Bin::new(hours, occupied, Some(sum))
        };
        (0..bins).map(bin).collect()
    }

    /// Returns for each bin boundary the occupied hours below it (missed) and the vacant hours from it on (wasted).
    fn outcomes(&self) -> impl Iterator<Item = (f64, u64, u64)> + '_ {
        let count = |bins: &[u32], at: usize| u64::from(bins.get(at).copied().unwrap_or(0));
        let mut missed = 0;
        let mut wasted: u64 = self.vacant.iter().map(|&n| u64::from(n)).sum();
        (0..=BINS).map(move |at| {
            let now = (at as f64 / BINS as f64, missed, wasted);
            missed += count(&self.occupied, at);
            wasted -= count(&self.vacant, at);
            now
        })
    }
}

impl Rule {
    /// Returns the rule's threshold, set on out-of-sample forecasts. Without any, it assumes calibrated
    /// probabilities.
    pub fn threshold(self, seen: &OutOfSample) -> Threshold {
        let occupied: u64 = seen.occupied.iter().map(|&n| u64::from(n)).sum();
        Threshold(match self {
            Rule::Fixed(threshold) => threshold,
            Rule::Cost { miss, waste } => {
                let ideal = waste / (miss + waste);
                if occupied == 0 {
                    return Threshold(ideal);
                }
                // Among thresholds of equal cost, the one nearest to the ideal generalises best.
                let cost = |missed: u64, wasted: u64| missed as f64 * miss + wasted as f64 * waste;
                let best = seen.outcomes().map(|(at, missed, wasted)| (cost(missed, wasted), (at - ideal).abs(), at));
                best.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))).map_or(ideal, |found| found.2)
            }
            Rule::MostMissed(share) => {
                let allowed = share * occupied as f64;
                let found = seen.outcomes().take_while(|&(_, missed, _)| missed as f64 <= allowed).last();
                if occupied == 0 { share.min(0.5) } else { found.map_or(0.0, |(at, _, _)| at) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns calibrated forecasts: at probability p a share p is occupied.
    fn calibrated() -> OutOfSample {
        let mut seen = OutOfSample::default();
        for percent in 0..100 {
            for n in 0..100 {
                seen.add((f64::from(percent) + 0.5) / 100.0, n < percent);
            }
        }
        seen
    }

    #[test]
    fn cost_rule_finds_the_ideal_threshold_of_calibrated_forecasts() {
        let Threshold(found) = Rule::Cost { miss: 4.0, waste: 1.0 }.threshold(&calibrated());
        assert!((found - 0.2).abs() < 0.02, "{found}");
        assert_eq!(Rule::Cost { miss: 1.0, waste: 3.0 }.threshold(&OutOfSample::default()), Threshold(0.75));
    }

    #[test]
    fn ceiling_on_missed_hours_holds_and_is_not_wasteful() {
        let seen = calibrated();
        let Threshold(found) = Rule::MostMissed(0.05).threshold(&seen);
        let missed = |t: f64| seen.outcomes().find(|o| (o.0 - t).abs() < 1e-9).map(|o| o.1).unwrap() as f64;
        let occupied = f64::from(seen.occupied.iter().sum::<u32>());
        assert!(missed(found) <= 0.05 * occupied && missed(found + 2.0 / BINS as f64) > 0.05 * occupied, "{found}");
    }
}
