//! The linear layer: a ridge logistic regression that starts from the prior.
//!
//! `score = prior + b0 + b . x`, where `x` are the prior itself and the centred columns. The penalty pulls `b`
//! to zero, that is to the plain prior, so that with little data next to nothing is learned.

use serde::{Deserialize, Serialize};

use crate::features::{LINEAR_WIDTH, Matrix, columns, linear_columns, sigmoid};

/// Coefficients: one per linear column, then the intercept.
const PARAMETERS: usize = LINEAR_WIDTH + 1;
/// How much more the columns that say the same of every device on a day are pulled toward zero:
/// they have as many independent values as there were days.
const SITE_PENALTY: f64 = 5.0;
/// How much less the state at the origin is pulled: hours, not days, tell its worth.
const STATE_PENALTY: f64 = 0.1;
/// Newton steps; the problem is convex and starts near its solution.
const STEPS: usize = 8;
/// Scores stay within this of zero.
const LIMIT: f64 = 7.0;

/// A fitted linear layer; the default adds nothing to the prior.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Linear {
    coefficients: [f64; PARAMETERS],
}

impl Linear {
    /// Fits by Newton's method. `labels` and `weights` have one entry per row of `matrix`; `ridge` is the
    /// number of rows of evidence that the pull of a standardised coefficient toward zero is worth.
    pub fn fit(matrix: &Matrix, labels: &[f32], weights: &[f32], ridge: f64) -> Linear {
        let names = linear_columns().map(|column| columns()[column]);
        let strictness = |i: usize| match names.get(i) {
            Some(&"building_last_pull" | &"building_level") => SITE_PENALTY,
            Some(&"state_pull" | &"today_pull" | &"others_pull" | &"motion_pull") => STATE_PENALTY,
            _ => 1.0,
        };
        let columns = linear_columns().map(|column| matrix.column(column));
        let input = |row: usize| inputs(|i| columns[i][row]);
        let mut scale = [0.0; PARAMETERS];
        let mut total = 0.0;
        for (row, &weight) in weights.iter().enumerate().take(matrix.rows) {
            let (x, w) = (input(row), f64::from(weight));
            total += w;
            for (s, x) in scale.iter_mut().zip(x) {
                *s += w * x * x;
            }
        }
        let penalty: [f64; PARAMETERS] =
            std::array::from_fn(|i| ridge * strictness(i) * (scale[i] / f64::max(total, 1.0)).max(1e-6));
        let mut fitted = Linear::default();
        for _ in 0..STEPS {
            let mut gradient = [0.0; PARAMETERS];
            let mut hessian = [[0.0; PARAMETERS]; PARAMETERS];
            for (row, (&label, &weight)) in labels.iter().zip(weights).enumerate().take(matrix.rows) {
                let (x, w) = (input(row), f64::from(weight));
                let p = sigmoid(fitted.raw(&x));
                let (slope, curve) = (w * (f64::from(label) - p), w * p * (1.0 - p));
                for (i, row) in hessian.iter_mut().enumerate() {
                    gradient[i] += slope * x[i];
                    for (cell, other) in row.iter_mut().zip(&x[..=i]) {
                        *cell += curve * x[i] * other;
                    }
                }
            }
            for (i, row) in hessian.iter_mut().enumerate() {
                gradient[i] -= penalty[i] * fitted.coefficients[i];
                row[i] += penalty[i];
            }
            let Some(step) = solve(hessian, gradient) else { break };
            for (b, step) in fitted.coefficients.iter_mut().zip(step) {
                *b += step;
            }
            // The error after a step is of the order of its square.
            if step.iter().all(|s| s.abs() < 1e-5) {
                break;
            }
        }
        if fitted.coefficients.iter().all(|b| b.is_finite()) { fitted } else { Linear::default() }
    }

    /// The log-odds of a full row of the design matrix.
    pub fn score(&self, row: &[f32]) -> f64 {
        let columns = linear_columns();
        self.raw(&inputs(|i| row[columns[i]])).clamp(-LIMIT, LIMIT)
    }

    /// Adds to `out` (one value per column of the design matrix) what each column contributes to
    /// [`Linear::score`], and returns the intercept with what the limit on scores cut off.
    pub fn contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        let columns = linear_columns();
        let x = inputs(|i| row[columns[i]]);
        for (i, &column) in columns.iter().enumerate() {
            out[column] += self.coefficients[i] * x[i];
        }
        out[columns[0]] += x[0];
        let raw = self.raw(&x);
        self.coefficients[LINEAR_WIDTH] + raw.clamp(-LIMIT, LIMIT) - raw
    }

    /// The log-odds of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        let columns = linear_columns().map(|column| matrix.column(column));
        (0..matrix.rows).map(|row| self.raw(&inputs(|i| columns[i][row])).clamp(-LIMIT, LIMIT)).collect()
    }

    /// The coefficients of the linear columns, then the intercept.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    fn raw(&self, x: &[f64; PARAMETERS]) -> f64 {
        x[0] + self.coefficients.iter().zip(x).map(|(b, x)| b * x).sum::<f64>()
    }
}

/// The inputs of a row: its linear columns with NaN as 0 ("nothing to add"), and 1 for the intercept.
fn inputs(value: impl Fn(usize) -> f32) -> [f64; PARAMETERS] {
    std::array::from_fn(|i| match i {
        LINEAR_WIDTH => 1.0,
        _ => {
            let x = f64::from(value(i));
            if x.is_nan() { 0.0 } else { x }
        }
    })
}

/// Solves a symmetric positive definite system given by its lower triangle (Cholesky).
fn solve(mut a: [[f64; PARAMETERS]; PARAMETERS], b: [f64; PARAMETERS]) -> Option<[f64; PARAMETERS]> {
    for i in 0..PARAMETERS {
        for j in 0..=i {
            let sum = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            a[i][j] = if i == j { (sum > 0.0).then(|| sum.sqrt())? } else { sum / a[j][j] };
        }
    }
    let mut y = b;
    for i in 0..PARAMETERS {
        y[i] = (y[i] - (0..i).map(|k| a[i][k] * y[k]).sum::<f64>()) / a[i][i];
    }
    for i in (0..PARAMETERS).rev() {
        y[i] = (y[i] - (i + 1..PARAMETERS).map(|k| a[k][i] * y[k]).sum::<f64>()) / a[i][i];
    }
    Some(y)
}
