//! The linear layer: a ridge logistic regression that starts from the prior.
//!
//! `score = prior + b0 + b . x`, where `x` are the prior itself and the centred columns. The penalty pulls `b` toward
//! zero, that is toward the plain prior, so that little data changes next to nothing.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use crate::features::{LINEAR_COLUMNS, LINEAR_WIDTH, Matrix, PRIOR, penalties, sigmoid};

/// Number of coefficients: one per linear column, then the intercept.
const PARAMETERS: usize = LINEAR_WIDTH + 1;
/// Number of 64-bit floats in a register of the processor.
const LANES: usize = 4;
/// Number of coefficients padded to whole registers.
const PADDED_WIDTH: usize = PARAMETERS.next_multiple_of(LANES);
/// Number of rows processed together.
const CHUNK_ROWS: usize = 256;
/// Largest number of Newton steps; the problem is convex and starts near its solution.
const MAX_STEPS: usize = 8;
/// Largest distance of a score from zero.
const MAX_SCORE: f64 = 7.0;

/// A fitted linear layer; the default adds nothing to the prior.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Linear {
    coefficients: [f64; PARAMETERS],
}

impl Linear {
    /// Returns the log-odds of a full row of the design matrix.
    pub fn score(&self, row: &[f32]) -> f64 {
        self.raw(&inputs(|i| row[LINEAR_COLUMNS[i]])).clamp(-MAX_SCORE, MAX_SCORE)
    }

    /// Adds each column's contribution to [`Linear::score`] to `out` (one value per column of the design matrix).
    /// Returns the intercept plus the change that the limit on scores makes.
    pub fn contributions(&self, row: &[f32], out: &mut [f64]) -> f64 {
        let x = inputs(|i| row[LINEAR_COLUMNS[i]]);
        for (i, &column) in LINEAR_COLUMNS.iter().enumerate() {
            out[column] += self.coefficients[i] * x[i];
        }
        out[PRIOR] += x[0];
        let raw = self.raw(&x);
        self.coefficients[LINEAR_WIDTH] + raw.clamp(-MAX_SCORE, MAX_SCORE) - raw
    }

    /// Returns the log-odds of every row of a matrix.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        self.chunks(matrix).flat_map(|(_, scores)| scores).map(|score| score.clamp(-MAX_SCORE, MAX_SCORE)).collect()
    }

    /// Returns the linear columns of some rows at a time, with the log-odds of these rows before they are limited.
    fn chunks<'a>(&self, matrix: &'a Matrix) -> impl Iterator<Item = (Columns<'a>, Vec<f64>)> {
        let columns = LINEAR_COLUMNS.map(|column| matrix.column(column));
        (0..matrix.rows).step_by(CHUNK_ROWS).map(move |first| {
            let columns = columns.map(|column| &column[first..matrix.rows.min(first + CHUNK_ROWS)]);
            let mut scores = vec![-0.0; columns[0].len()];
            raw(&self.coefficients, &columns, &mut scores);
            (columns, scores)
        })
    }

    /// Returns the coefficients of the linear columns, then the intercept.
    pub(crate) fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    fn raw(&self, x: &[f64; PARAMETERS]) -> f64 {
        x[0] + self.coefficients.iter().zip(x).map(|(b, x)| b * x).sum::<f64>()
    }
}

/// Fits layers on rows; holds the values that are the same for every strength of the pull toward the prior.
pub struct LinearFitter<'a> {
    matrix: &'a Matrix,
    labels: &'a [f32],
    weights: &'a [f32],
    /// Pull on each coefficient for a ridge of 1: proportional to how far the coefficient moves scores.
    pull: [f64; PARAMETERS],
    /// The sums of the plain prior, from which every fit starts.
    prior: Sums,
}

impl<'a> LinearFitter<'a> {
    /// Prepares a fit; `labels` and `weights` begin with one entry per row of `matrix`.
    pub fn new(matrix: &'a Matrix, labels: &'a [f32], weights: &'a [f32]) -> LinearFitter<'a> {
        // The intercept has no column; its penalty is the usual one.
        let penalties = penalties();
        let penalty = |i: usize| penalties.get(i).copied().unwrap_or(1.0);
        let (labels, weights) = (&labels[..matrix.rows], &weights[..matrix.rows]);
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let scales = LINEAR_COLUMNS.map(|column| {
            let inputs = matrix.column(column).iter().map(|&x| input(x)).zip(weights);
            inputs.map(|(x, &weight)| f64::from(weight) * x * x).sum::<f64>()
        });
        let pull = std::array::from_fn(|i| {
            let scale = scales.get(i).copied().unwrap_or(total);
            penalty(i) * (scale / f64::max(total, 1.0)).max(1e-6)
        });
        let rows = LinearFitter { matrix, labels, weights, pull, prior: Sums::default() };
        LinearFitter { prior: rows.sums(&Linear::default()), ..rows }
    }

    /// Fits by Newton's method. `ridge` is the weight, in rows of evidence, of the pull of a standardised coefficient
    /// toward zero.
    pub fn fit(&self, ridge: f64) -> Linear {
        let mut fitted = Linear::default();
        for step in 0..MAX_STEPS {
            let sums = if step == 0 { self.prior.clone() } else { self.sums(&fitted) };
            let Sums { mut gradient, mut hessian } = sums;
            for i in 0..PARAMETERS {
                gradient[i] -= ridge * self.pull[i] * fitted.coefficients[i];
                hessian[i][i] += ridge * self.pull[i];
            }
            let Some(step) = solve(hessian, gradient) else { break };
            for (b, step) in fitted.coefficients.iter_mut().zip(step) {
                *b += step;
            }
            // The error after a step is of the order of its square.
            if step.iter().all(|s| s.abs() < 1e-3) {
                break;
            }
        }
        if fitted.coefficients.iter().all(|b| b.is_finite()) { fitted } else { Linear::default() }
    }

    fn sums(&self, fitted: &Linear) -> Sums {
        let mut sums = Sums::default();
        let mut rows = self.labels.iter().zip(self.weights);
        for (columns, scores) in fitted.chunks(self.matrix) {
            let rows = rows.by_ref().zip(scores);
            let rows = rows.map(|((&label, &weight), score)| {
                let (w, p) = (f64::from(weight), sigmoid(score));
                (w * (f64::from(label) - p), w * p * (1.0 - p))
            });
            add(&mut sums, &columns, &rows.collect::<Vec<_>>());
        }
        sums
    }
}

/// The linear columns of some rows.
type Columns<'a> = [&'a [f32]; LINEAR_WIDTH];

/// Returns a column's value as the layer uses it: NaN is 0, "nothing to add".
#[inline(always)]
fn input(value: f32) -> f64 {
    if value.is_nan() { 0.0 } else { f64::from(value) }
}

/// Returns the inputs of a row: its linear columns, and 1 for the intercept.
fn inputs(value: impl Fn(usize) -> f32) -> [f64; PARAMETERS] {
    std::array::from_fn(|i| if i < LINEAR_WIDTH { input(value(i)) } else { 1.0 })
}

/// Adds the log-odds of rows to `scores`, which are -0 before; equals [`Linear::raw`] of each row to the last bit.
#[multiversion(targets("x86_64+avx2"))]
fn raw(coefficients: &[f64; PARAMETERS], columns: &Columns, scores: &mut [f64]) {
    for (b, column) in coefficients.iter().zip(columns) {
        for (score, &x) in scores.iter_mut().zip(*column) {
            *score += b * input(x);
        }
    }
    for (score, &prior) in scores.iter_mut().zip(columns[0]) {
        *score = input(prior) + (*score + coefficients[LINEAR_WIDTH]);
    }
}

/// Gradient and Hessian (its lower triangle) of the loss; entries from [`PARAMETERS`] on are zero.
#[derive(Clone, Default)]
struct Sums {
    gradient: [f64; PADDED_WIDTH],
    hessian: [[f64; PADDED_WIDTH]; PADDED_WIDTH],
}

/// Adds rows to the sums, in their order; `rows` has the slope and the curvature of the loss of each.
#[multiversion(targets("x86_64+avx2"))]
fn add(sums: &mut Sums, columns: &Columns, rows: &[(f64, f64)]) {
    // Four rows at a time, so that each sum is loaded and stored once for four.
    let (fours, rest) = rows.as_chunks::<4>();
    for (at, four) in fours.iter().enumerate() {
        add_some(sums, columns, 4 * at, four);
    }
    for (at, row) in rest.iter().enumerate() {
        add_some(sums, columns, 4 * fours.len() + at, &[*row]);
    }
}

#[inline(always)]
fn add_some<const ROWS: usize>(sums: &mut Sums, columns: &Columns, first: usize, rows: &[(f64, f64); ROWS]) {
    let mut x = [[0.0; PADDED_WIDTH]; ROWS];
    for (i, column) in columns.iter().enumerate() {
        let values = &column[first..first + ROWS];
        for row in 0..ROWS {
            x[row][i] = input(values[row]);
        }
    }
    for x in &mut x {
        x[LINEAR_WIDTH] = 1.0;
    }
    for (i, sum) in sums.gradient.iter_mut().enumerate() {
        *sum = (0..ROWS).fold(*sum, |sum, row| sum + rows[row].0 * x[row][i]);
    }
    let curves = rows.map(|row| row.1);
    for (i, line) in sums.hessian.iter_mut().enumerate() {
        let slopes: [f64; ROWS] = std::array::from_fn(|row| curves[row] * x[row][i]);
        // A line is needed up to its diagonal, rounded up to whole registers.
        for (at, sums) in line.as_chunks_mut::<LANES>().0[..=i / LANES].iter_mut().enumerate() {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum = (0..ROWS).fold(*sum, |sum, row| sum + slopes[row] * x[row][LANES * at + lane]);
            }
        }
    }
}

/// Solves a symmetric positive definite system given by its lower triangle (Cholesky).
fn solve(mut a: [[f64; PADDED_WIDTH]; PADDED_WIDTH], b: [f64; PADDED_WIDTH]) -> Option<[f64; PADDED_WIDTH]> {
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
