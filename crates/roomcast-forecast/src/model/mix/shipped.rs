//! The shipped layers: what other buildings teach about every building. Nothing of them is fitted at a site.
//!
//! They are learned from simulated buildings ([`learn`](super::learn)) and part of the program.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::features::{FULL_WIDTH, LAST_PULLS, LINEAR_COLUMNS, Matrix, PRIOR, WIDTH};
use crate::model::codec;
use crate::model::trees::Trees;

/// The bytes of [`Shipped`], as `make experience` writes them.
pub static BYTES: &[u8] = include_bytes!("experience.bin");

/// Largest step that the correction makes, in log-odds.
const MAX_CORRECTION: f64 = 2.0;
/// Largest distance of the other linear layer's score from zero.
const MAX_SCORE: f64 = 7.0;

/// The layers that the program is shipped with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shipped {
    /// The correction of the stack: a step on top of its score.
    pub(super) correction: Weights,
    /// The linear layer of a forecast that needs no training at the site. It begins at the prior.
    pub(super) linear: Weights,
    /// Boosted trees on top of this linear layer.
    pub(super) trees: Trees,
}

/// Coefficients of some columns, then the intercept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Weights(pub(super) Vec<f64>);

/// Returns the columns of the correction.
pub(super) fn correction_columns() -> Vec<usize> {
    LAST_PULLS.into_iter().chain(WIDTH..FULL_WIDTH).collect()
}

/// Returns the columns of the linear layer.
pub(super) fn linear_columns() -> Vec<usize> {
    LINEAR_COLUMNS.into_iter().chain(WIDTH..FULL_WIDTH).collect()
}

static COLUMNS: LazyLock<[Vec<usize>; 2]> = LazyLock::new(|| [correction_columns(), linear_columns()]);

static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
    // A test decodes these bytes, which are part of the program.
    Shipped::decode(BYTES).expect("the shipped layers are whole")
});

/// Returns a value as linear layers use it: NaN is 0, "nothing to add".
pub(super) fn input(value: f32) -> f64 {
    if value.is_nan() { 0.0 } else { f64::from(value) }
}

impl Weights {
    /// Returns the weighted sum of the columns of a row.
    fn sum(&self, columns: &[usize], value: impl Fn(usize) -> f32) -> f64 {
        let parts = columns.iter().zip(&self.0).map(|(&column, weight)| weight * input(value(column)));
        parts.sum::<f64>() + self.0.last().copied().unwrap_or(0.0)
    }

    /// Adds the summands of [`Weights::sum`] to `out`, and returns the sum.
    fn contributions(&self, columns: &[usize], row: &[f32], out: &mut [f64]) -> f64 {
        for (&column, weight) in columns.iter().zip(&self.0) {
            out[column] += weight * input(row[column]);
        }
        self.sum(columns, |column| row[column])
    }

    fn intercept(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }
}

impl Shipped {
    /// Returns the layers of this program.
    pub fn get() -> &'static Shipped {
        &SHIPPED
    }

    /// Returns the bytes of these layers.
    ///
    /// # Errors
    /// Returns a message when they cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        codec::bytes(self)
    }

    /// Returns the layers in these bytes.
    ///
    /// # Errors
    /// Returns a message that names the fault.
    pub fn decode(bytes: &[u8]) -> Result<Shipped, String> {
        let shipped: Shipped = codec::decode_value(bytes)?;
        for (weights, columns) in [(&shipped.correction, &COLUMNS[0]), (&shipped.linear, &COLUMNS[1])] {
            if weights.0.len() != columns.len() + 1 || weights.0.iter().any(|weight| !weight.is_finite()) {
                return Err("its coefficients are not those of the columns".into());
            }
        }
        shipped.trees.check(FULL_WIDTH).map_err(|error| error.0)?;
        Ok(shipped)
    }

    /// Returns the correction of every row of the matrix of a forecast.
    pub(super) fn corrections(&self, matrix: &Matrix) -> Vec<f64> {
        let value = |row: usize| move |column: usize| matrix.data[column * matrix.rows + row];
        let sums = (0..matrix.rows).map(|row| self.correction.sum(&COLUMNS[0], value(row)));
        sums.map(|sum| sum.clamp(-MAX_CORRECTION, MAX_CORRECTION)).collect()
    }

    /// Returns the log-odds of every row of the matrix of a forecast, from the shipped layers alone.
    pub(super) fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        let steps = self.trees.scores(&matrix.data, matrix.rows);
        self.linear_scores(matrix).into_iter().zip(steps).map(|(score, step)| score + step).collect()
    }

    /// Returns the log-odds of the linear layer alone.
    pub(super) fn linear_scores(&self, matrix: &Matrix) -> Vec<f64> {
        let value = |row: usize| move |column: usize| matrix.data[column * matrix.rows + row];
        let sum = |row: usize| input(value(row)(PRIOR)) + self.linear.sum(&COLUMNS[1], value(row));
        (0..matrix.rows).map(|row| sum(row).clamp(-MAX_SCORE, MAX_SCORE)).collect()
    }

    /// Adds the contribution of each column to the correction of a row to `out`, and returns the part that belongs to
    /// no column.
    pub(super) fn correction_contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        let sum = self.correction.contributions(&COLUMNS[0], row, out);
        self.correction.intercept() + sum.clamp(-MAX_CORRECTION, MAX_CORRECTION) - sum
    }

    /// Adds the contribution of each column to the log-odds of a row to `out`, and returns the part that belongs to no
    /// column.
    pub(super) fn contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        let prior = input(row[PRIOR]);
        out[PRIOR] += prior;
        let sum = prior + self.linear.contributions(&COLUMNS[1], row, out);
        let limited = sum.clamp(-MAX_SCORE, MAX_SCORE) - sum;
        self.linear.intercept() + limited + self.trees.contributions(row, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_layers_are_whole_and_small() {
        let shipped = Shipped::decode(BYTES).unwrap();
        assert!(BYTES.len() <= 150_000 && !shipped.trees.is_empty(), "{} bytes", BYTES.len());
        assert_eq!(shipped.encode().unwrap(), BYTES);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let mut shipped = Shipped::decode(BYTES).unwrap();
        assert!(Shipped::decode(&BYTES[..BYTES.len() - 1]).is_err());
        shipped.correction.0[3] = f64::NAN;
        assert!(Shipped::decode(&shipped.encode().unwrap()).unwrap_err().contains("coefficients"));
    }
}
