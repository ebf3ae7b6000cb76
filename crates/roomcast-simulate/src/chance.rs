//! Random numbers with one generator per decision.
//!
//! Each decision of the simulated building has its own generator, keyed by the seed, the kind of decision, the subject
//! and the time. A room's readings therefore depend neither on the threads that make them, nor on the number of rooms,
//! nor on the day the simulation starts.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of one decision.
pub(crate) type Dice = ChaCha8Rng;

/// Kinds of decisions. The numbers are part of the recipe: changing one changes the readings.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    Site = 1,
    Closure = 2,
    SiteMood = 3,
    FloorMood = 4,
    RoomMood = 5,
    Deck = 6,
    Regime = 7,
    Habit = 8,
    Series = 9,
    Workshop = 10,
    Absence = 12,
    Day = 13,
    Sensor = 14,
    Firing = 15,
    Fault = 16,
    Delivery = 17,
    Traits = 18,
    Today = 19,
    Habits = 20,
    RoomDay = 21,
    Household = 22,
    Wear = 23,
    Plan = 24,
}

/// Returns the generator for `purpose` of `who` at `when`.
pub(crate) fn dice(seed: u64, purpose: Purpose, who: u64, when: i64) -> Dice {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&who.to_le_bytes());
    key[24..].copy_from_slice(&when.to_le_bytes());
    Dice::from_seed(key)
}

/// Draws true with probability `p`.
pub(crate) fn chance(dice: &mut Dice, p: f64) -> bool {
    dice.random::<f64>() < p
}

/// Draws uniformly from `low` up to `high`.
pub(crate) fn between(dice: &mut Dice, low: f64, high: f64) -> f64 {
    low + (high - low) * dice.random::<f64>()
}

/// Draws a uniform whole number from 0 up to, but not including, `n`.
pub(crate) fn below(dice: &mut Dice, n: usize) -> usize {
    ((dice.random::<f64>() * n as f64) as usize).min(n.saturating_sub(1))
}

/// Draws nearly normally with mean 0 and standard deviation 1. The number is a sum of four uniforms, so that bytes do
/// not depend on a platform's cosine and no value is further out than 3.5.
pub(crate) fn normal(dice: &mut Dice) -> f64 {
    let sum: f64 = (0..4).map(|_| dice.random::<f64>()).sum();
    (sum - 2.0) * 3_f64.sqrt()
}

/// Draws exponentially with the given mean.
pub(crate) fn exponential(dice: &mut Dice, mean: f64) -> f64 {
    -(1.0 - dice.random::<f64>()).ln() * mean
}

/// Draws from a Poisson distribution by multiplying uniforms: means here are small.
pub(crate) fn poisson(dice: &mut Dice, mean: f64) -> usize {
    let floor = (-mean.clamp(0.0, 50.0)).exp();
    let mut product = dice.random::<f64>();
    let mut n = 0;
    while product > floor {
        product *= dice.random::<f64>();
        n += 1;
    }
    n
}

/// Draws a positive number whose logarithm is uniform from that of `low` up to that of `high`: sites and rooms differ by
/// factors rather than by amounts.
pub(crate) fn factor(dice: &mut Dice, low: f64, high: f64) -> f64 {
    low * (high / low).powf(dice.random::<f64>())
}

/// Draws the index of one weight in proportion to the weights.
pub(crate) fn weighted(dice: &mut Dice, weights: &[f64]) -> usize {
    let mut left = dice.random::<f64>() * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    weights.len().saturating_sub(1)
}

/// Returns autocorrelated noise with mean 0 and standard deviation 1 at step `when`.
///
/// An AR(1) process x(t) = φ·x(t−1) + √(1−φ²)·ε(t) (Box and Jenkins, 1970), written as its moving average and cut after
/// 16 steps, so that one step can be computed without all those before it.
pub(crate) fn mood(seed: u64, purpose: Purpose, who: u64, when: i64, phi: f64) -> f64 {
    let mut weight = (1.0 - phi * phi).sqrt();
    let mut sum = 0.0;
    for k in 0..16 {
        sum += weight * normal(&mut dice(seed, purpose, who, when - k));
        weight *= phi;
        if weight < 0.02 {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_moments() {
        let dice = &mut dice(7, Purpose::Site, 0, 0);
        let n = 20_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!(mean(&mut || normal(dice)).abs() < 0.03);
        assert!((mean(&mut || normal(dice).powi(2)) - 1.0).abs() < 0.05);
        assert!((mean(&mut || exponential(dice, 5.0)) - 5.0).abs() < 0.2);
        assert!((mean(&mut || poisson(dice, 2.5) as f64) - 2.5).abs() < 0.06);
        assert!((mean(&mut || weighted(dice, &[1.0, 0.0, 3.0]) as f64) - 1.5).abs() < 0.03);
    }

    #[test]
    fn keys_differ_in_every_part() {
        let first = |mut dice: Dice| dice.random::<u64>();
        let base = first(dice(1, Purpose::Day, 2, 3));
        assert_eq!(base, first(dice(1, Purpose::Day, 2, 3)));
        for other in [
            dice(2, Purpose::Day, 2, 3),
            dice(1, Purpose::Site, 2, 3),
            dice(1, Purpose::Day, 3, 3),
            dice(1, Purpose::Day, 2, -3),
        ] {
            assert_ne!(base, first(other));
        }
    }

    #[test]
    fn moods_last() {
        let at = |day| mood(1, Purpose::SiteMood, 0, day, 0.6);
        let pairs: Vec<(f64, f64)> = (0..4000).map(|day| (at(day), at(day + 1))).collect();
        let variance = pairs.iter().map(|p| p.0 * p.0).sum::<f64>() / 4000.0;
        let covariance = pairs.iter().map(|p| p.0 * p.1).sum::<f64>() / 4000.0;
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
        assert!((covariance / variance - 0.6).abs() < 0.05, "{covariance}");
    }
}
