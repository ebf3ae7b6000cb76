//! The expert of one device: trees that learn its hours from scratch, beside the stack.
//!
//! Alone an expert is mostly worse than the stack, which begins at the prior. It remembers longer and errs elsewhere, so
//! the mean of both is better than either.

use serde::{Deserialize, Serialize};

use crate::features::Matrix;
use crate::model::trees::Trees;

/// The trees of one device that know nothing of the stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expert {
    /// Boosted trees of this device, on top of `base`.
    pub trees: Trees,
    /// Log-odds of the share of occupied hours.
    pub base: f64,
}

impl Expert {
    /// Returns whether there are no trees, so that it has nothing to say.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Returns the log-odds of every row of a matrix.
    pub(super) fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        let mut scores = self.trees.scores(&matrix.data, matrix.rows);
        scores.iter_mut().for_each(|score| *score += self.base);
        scores
    }

    /// Adds the contribution of each column to the log-odds of a row to `out`, and returns the part that belongs to no
    /// column.
    pub(super) fn contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        self.base + self.trees.contributions(row, out)
    }
}
