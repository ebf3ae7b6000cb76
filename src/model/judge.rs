//! Judging layers on hours after those they were fitted on.

use std::collections::BTreeMap;

use super::sample::Sample;

/// The rows of a sample after its cut.
pub(super) struct Judge<'a> {
    labels: &'a [f32],
    weights: &'a [f32],
    days: &'a [i32],
}

impl<'a> Judge<'a> {
    pub(super) fn new(sample: &'a Sample) -> Judge<'a> {
        let after = sample.before..;
        Judge {
            labels: &sample.labels[after.clone()],
            weights: &sample.weights[after.clone()],
            days: &sample.days[after],
        }
    }

    /// Weighted mean log loss of log-odds, one per row.
    pub(super) fn loss(&self, scores: &[f64]) -> f64 {
        let sum: f64 = (0..scores.len()).map(|at| f64::from(self.weights[at]) * self.row_loss(at, scores[at])).sum();
        sum / self.weights.iter().map(|&w| f64::from(w)).sum::<f64>().max(1e-9)
    }

    /// By how many of its own standard errors `new` loses less than `old`, with days as blocks: the hours of
    /// a day rise and fall together, so counting them one by one would see differences that are not there.
    pub(super) fn gain(&self, old: &[f64], new: &[f64]) -> f64 {
        let mut days: BTreeMap<i32, f64> = BTreeMap::new();
        for at in 0..self.labels.len() {
            let gain = f64::from(self.weights[at]) * (self.row_loss(at, old[at]) - self.row_loss(at, new[at]));
            *days.entry(self.days[at]).or_default() += gain;
        }
        standard_errors(days.values().copied())
    }

    /// The share of `steps`, in tenths from 0 to 1, that added to `base` loses least.
    pub(super) fn best_share(&self, base: &[f64], steps: &[f64]) -> f64 {
        let losses =
            (0..=10).map(|tenth| f64::from(tenth) / 10.0).map(|share| (share, self.loss(&mix(base, share, steps))));
        losses.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |best| best.0)
    }

    fn row_loss(&self, at: usize, score: f64) -> f64 {
        log_loss(score, self.labels[at] > 0.5)
    }
}

/// Log loss of log-odds.
pub fn log_loss(score: f64, occupied: bool) -> f64 {
    let against = if occupied { -score } else { score };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// By how many of its own standard errors the mean of numbers, one a day, is above 0; 0 where they tell nothing.
pub fn standard_errors(days: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = days.clone().count() as f64;
    let mean = days.clone().sum::<f64>() / n;
    let variance = days.map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if n > 1.0 && variance > 0.0 { mean / (variance / n).sqrt() } else { 0.0 }
}

/// `base + share * steps`, row by row.
pub(super) fn mix(base: &[f64], share: f64, steps: &[f64]) -> Vec<f64> {
    base.iter().zip(steps).map(|(base, step)| base + share * step).collect()
}
