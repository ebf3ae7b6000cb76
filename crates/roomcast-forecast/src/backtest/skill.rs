//! Skill of the model against a simple rule, with confidence intervals.
//!
//! The hours of one day are correlated, so the interval comes from a paired day-block bootstrap. Whole local days are
//! drawn with replacement, the same for both forecasters, and the 2.5th and 97.5th percentiles of the difference are
//! taken (Efron's percentile interval). Drawing needs per-day sums only.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::scores::Confusion;
use super::{FORECASTERS, ScoredHour, baselines};
use crate::measures::loss;

/// Number of draws of the bootstrap.
pub(super) const BOOTSTRAP_DRAWS: usize = 1000;
/// Fewest days that give an interval.
pub(super) const MIN_DAYS: usize = 5;

/// A difference with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The difference over all days.
    pub value: f64,
    /// The 2.5th and 97.5th percentile, when there are at least five days.
    pub interval: Option<(f64, f64)>,
}

impl Interval {
    /// Returns whether the interval excludes 0.
    pub(crate) fn is_sure(&self) -> bool {
        self.surely_above() || self.surely_below()
    }

    /// Returns whether the whole interval is above 0.
    pub(crate) fn surely_above(&self) -> bool {
        self.interval.is_some_and(|(low, _)| low > 0.0)
    }

    /// Returns whether the whole interval is below 0.
    pub(crate) fn surely_below(&self) -> bool {
        self.interval.is_some_and(|(_, high)| high < 0.0)
    }
}

/// Differences between the model and one simple rule; above 0 the model is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skill {
    /// Name of the simple rule.
    pub baseline: &'static str,
    /// `1 - log loss of the model / log loss of the rule`.
    pub log_loss: Interval,
    /// `1 - Brier score of the model / Brier score of the rule`.
    pub brier: Interval,
    /// Accuracy of the model less that of the rule.
    pub accuracy: Interval,
    /// F1 of the model less that of the rule; F1 counts as 0 where no hour was occupied or forecast as occupied.
    pub f1: Interval,
}

/// Sums of one forecaster over the hours of one day.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    loss: f64,
    square: f64,
    confusion: Confusion,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.loss += other.loss;
        self.square += other.square;
        self.confusion.merge(&other.confusion);
    }
}

/// Number of differences in a [`Skill`].
const MEASURES: usize = 4;

fn measures(model: &Sums, rule: &Sums) -> [f64; MEASURES] {
    [
        loss::skill(model.loss, rule.loss),
        loss::skill(model.square, rule.square),
        model.confusion.accuracy() - rule.confusion.accuracy(),
        model.confusion.f1().unwrap_or(0.0) - rule.confusion.f1().unwrap_or(0.0),
    ]
}

/// Compares the model with each of the given simple rules (positions in [`baselines::NAMES`]).
pub(crate) fn skills<'a>(hours: impl IntoIterator<Item = &'a ScoredHour>, rules: &[usize]) -> Vec<Skill> {
    let mut by_day: BTreeMap<i32, [Sums; FORECASTERS]> = BTreeMap::new();
    for scored in hours {
        let sums = by_day.entry(scored.day).or_default();
        for (forecaster, sums) in sums.iter_mut().enumerate() {
            let (probability, occupied) = scored.forecast(forecaster);
            sums.loss += loss::log_loss(probability.into(), scored.actual);
            sums.square += loss::squared_error(probability.into(), scored.actual);
            sums.confusion.add(occupied, scored.actual);
        }
    }
    let days: Vec<_> = by_day.into_values().collect();
    let all = total(days.iter(), rules);
    let drawn: Vec<_> = draws(days.len()).map(|draw| total(draw.iter().map(|&day| &days[day]), rules)).collect();
    let skill = |(at, &rule): (usize, &usize)| {
        let [log_loss, brier, accuracy, f1] = std::array::from_fn(|measure| Interval {
            value: all[at][measure],
            interval: percentiles(drawn.iter().map(|draw| draw[at][measure]).collect()),
        });
        Skill { baseline: baselines::NAMES[rule], log_loss, brier, accuracy, f1 }
    };
    rules.iter().enumerate().map(skill).collect()
}

/// Returns the share of the log loss `theirs` that `ours` saves, over hours of (local day, `ours`, `theirs`).
pub(crate) fn saved(hours: impl Iterator<Item = (i32, f64, f64)>) -> Interval {
    let mut by_day: BTreeMap<i32, [f64; 2]> = BTreeMap::new();
    for (day, ours, theirs) in hours {
        let sums = by_day.entry(day).or_default();
        sums[0] += ours;
        sums[1] += theirs;
    }
    let days: Vec<_> = by_day.into_values().collect();
    let share = |days: &mut dyn Iterator<Item = &[f64; 2]>| {
        let [ours, theirs] = days.fold([0.0; 2], |sums, day| [sums[0] + day[0], sums[1] + day[1]]);
        loss::skill(ours, theirs)
    };
    let drawn = draws(days.len()).map(|draw| share(&mut draw.iter().map(|&day| &days[day]))).collect();
    Interval { value: share(&mut days.iter()), interval: percentiles(drawn) }
}

/// Returns the days of each draw of the bootstrap, the same for the same number of days; no draws for few days.
fn draws(days: usize) -> impl Iterator<Item = Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let draws = if days < MIN_DAYS { 0 } else { BOOTSTRAP_DRAWS };
    (0..draws).map(move |_| (0..days).map(|_| random.random_range(0..days)).collect())
}

/// Returns the differences to each rule over some days.
fn total<'a>(days: impl Iterator<Item = &'a [Sums; FORECASTERS]>, rules: &[usize]) -> Vec<[f64; MEASURES]> {
    let mut model = Sums::default();
    let mut others = vec![Sums::default(); rules.len()];
    for day in days {
        model.add(&day[0]);
        for (sum, &rule) in others.iter_mut().zip(rules) {
            sum.add(&day[1 + rule]);
        }
    }
    others.iter().map(|rule| measures(&model, rule)).collect()
}

/// Returns the 2.5th and 97.5th percentile; `None` without a value.
pub(super) fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values.get((share * values.len().saturating_sub(1) as f64).round() as usize).copied();
    at(0.025).zip(at(0.975))
}
