//! Judges layers on hours after those they were fitted on.

use super::sample::Sample;
use crate::measures::loss::{DailyMean, log_odds_loss};

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

    /// Returns the weighted log loss of each row from its log-odds.
    pub(super) fn losses(&self, scores: &[f64]) -> Vec<f64> {
        let rows = scores.iter().zip(self.labels).zip(self.weights);
        rows.map(|((&score, &label), &weight)| f64::from(weight) * log_odds_loss(score, label > 0.5)).collect()
    }

    /// Returns the weighted mean of [`Judge::losses`].
    pub(super) fn mean(&self, losses: &[f64]) -> f64 {
        losses.iter().sum::<f64>() / self.weights.iter().map(|&w| f64::from(w)).sum::<f64>().max(1e-9)
    }

    /// Returns the weighted mean log loss of log-odds, one per row.
    pub(super) fn loss(&self, scores: &[f64]) -> f64 {
        self.mean(&self.losses(scores))
    }

    /// Returns how much less `new` loses than `old`, both from [`Judge::losses`], in standard errors with days as
    /// blocks. The rows must be of one device and in order.
    pub(super) fn gain(&self, old: &[f64], new: &[f64]) -> f64 {
        let mut rows = old.iter().zip(new);
        let days = self.days.chunk_by(|a, b| a == b);
        let days: Vec<f64> = days.map(|day| rows.by_ref().take(day.len()).map(|(old, new)| old - new).sum()).collect();
        DailyMean::new(days.iter().copied()).standard_errors()
    }

    /// Returns the share of `steps`, in tenths from 0 to 1, that loses least when added to `base`.
    pub(super) fn best_share(&self, base: &[f64], steps: &[f64]) -> f64 {
        let mut best = (0.0, self.loss(base));
        for tenth in 1..=10 {
            let share = f64::from(tenth) / 10.0;
            let loss = self.loss(&mix(base, share, steps));
            // The loss is convex in the share, so it falls no more once it has not fallen.
            if loss >= best.1 {
                break;
            }
            best = (share, loss);
        }
        best.0
    }
}

/// Returns `base + share * steps`, row by row.
pub(super) fn mix(base: &[f64], share: f64, steps: &[f64]) -> Vec<f64> {
    base.iter().zip(steps).map(|(base, step)| base + share * step).collect()
}
