//! Whether the loss of a day is beyond noise.
//!
//! Probabilities that are right still lose: an hour at 80 % is vacant once in five times. How likely so large a loss of a
//! day is by chance follows from the probabilities themselves. It is bounded after Chernoff, which holds for rare hours
//! too, where a normal distribution would find a single surprise impossible: for every tilt `t` above 0,
//!
//! `P(loss >= l) <= exp(log E exp(t * loss) - t * l)`, and an hour at `p` has `E exp(t * loss) = p^(1-t) + (1-p)^(1-t)`.
//!
//! Hours of one day go wrong together, so days differ more than the bound knows. Its exponent is divided by the
//! dispersion: the median over all days of squared deviation to variance, in units of the median that independent
//! hours would have, at least 1. A median, so that the bad days themselves do not count.

use crate::measures::loss::log_loss;

/// Tilts of the bound.
const TILTS: [f64; 8] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0];
/// Median of the square of a standard normal variable.
const MEDIAN_SQUARE: f64 = 0.4549;
/// Probability that a report without a bad day lists one.
const CHANCE: f64 = 0.05;

/// The loss of some hours, and what their probabilities expect of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Surprise {
    loss: f64,
    expected: f64,
    variance: f64,
    /// Logarithm of the expectation of the exponential of the tilted loss.
    tilted: [f64; TILTS.len()],
}

impl Surprise {
    /// Adds an hour.
    pub fn add(&mut self, probability: f64, occupied: bool) {
        let (hit, miss) = (log_loss(probability, true), log_loss(probability, false));
        self.loss += if occupied { hit } else { miss };
        self.expected += probability * hit + (1.0 - probability) * miss;
        self.variance += probability * (1.0 - probability) * (hit - miss).powi(2);
        for (sum, tilt) in self.tilted.iter_mut().zip(TILTS) {
            *sum += (probability * (tilt * hit).exp() + (1.0 - probability) * (tilt * miss).exp()).ln();
        }
    }

    /// Returns a lower bound of minus the logarithm of the probability of so large a loss, for independent hours.
    fn exponent(&self) -> f64 {
        if self.loss <= self.expected {
            return 0.0;
        }
        TILTS.iter().zip(self.tilted).map(|(tilt, tilted)| tilt * self.loss - tilted).fold(0.0, f64::max)
    }
}

/// Returns the surprise of several together.
pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a Surprise>) -> Surprise {
    parts.fold(Surprise::default(), |sum, part| Surprise {
        loss: sum.loss + part.loss,
        expected: sum.expected + part.expected,
        variance: sum.variance + part.variance,
        tilted: std::array::from_fn(|tilt| sum.tilted[tilt] + part.tilted[tilt]),
    })
}

/// Returns for each of some days whether its loss is beyond noise: whether fewer than one in twenty reports of so many
/// days would hold such a day by chance.
pub(super) fn is_beyond_noise<'a>(days: impl Iterator<Item = &'a Surprise> + Clone) -> Vec<bool> {
    let squares = days.clone().filter(|day| day.variance > 0.0);
    let mut squares: Vec<f64> = squares.map(|day| (day.loss - day.expected).powi(2) / day.variance).collect();
    squares.sort_unstable_by(f64::total_cmp);
    let dispersion = squares.get(squares.len() / 2).map_or(1.0, |median| (median / MEDIAN_SQUARE).max(1.0));
    let least = (days.clone().count() as f64 / CHANCE).ln();
    days.map(|day| day.exponent() / dispersion > least).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Days of an office whose probabilities are right, but that is busier or emptier as a whole by `drift` log-odds.
    fn days(seed: u64, count: usize, drift: f64) -> Vec<Surprise> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let day = |_| {
            let shift = drift * (random.random::<f64>() * 2.0 - 1.0);
            let mut day = Surprise::default();
            for hour in 0..24 {
                let odds: f64 = if (8..18).contains(&hour) { 0.8 } else { -6.0 };
                let chance = |odds: f64| 1.0 / (1.0 + (-odds).exp());
                day.add(chance(odds), random.random::<f64>() < chance(odds + shift));
            }
            day
        };
        (0..count).map(day).collect()
    }

    #[test]
    fn right_probabilities_have_no_bad_days() {
        let reports = (0..200).filter(|&seed| is_beyond_noise(days(seed, 90, 0.0).iter()).contains(&true)).count();
        assert!(reports <= 10, "{reports} of 200 reports");
        let reports = (0..200).filter(|&seed| is_beyond_noise(days(seed, 90, 1.5).iter()).contains(&true)).count();
        assert!(reports <= 10, "{reports} of 200 reports of days that differ");
    }

    #[test]
    fn an_empty_day_of_an_office_is_beyond_noise() {
        let mut all = days(1, 30, 0.5);
        let mut empty = Surprise::default();
        (0..24).for_each(|hour| empty.add(if (8..18).contains(&hour) { 0.75 } else { 0.002 }, false));
        all.push(empty);
        let beyond = is_beyond_noise(all.iter());
        assert_eq!(beyond.iter().filter(|&&beyond| beyond).count(), 1);
        assert!(beyond[30]);
    }
}
