//! Ridge logistic regression of any width, for the shipped layers.

use super::shipped::{Weights, input};
use crate::features::{Matrix, sigmoid};

/// Largest number of Newton steps.
const MAX_STEPS: usize = 12;

/// Fits coefficients of some columns, then an intercept, on top of log-odds `start`. `ridge` is the weight, in rows of
/// evidence, of the pull of a standardised coefficient toward zero.
pub(super) fn fit(matrix: &Matrix, columns: &[usize], labels: &[f32], start: &[f64], ridge: f64) -> Weights {
    let width = columns.len() + 1;
    let inputs: Vec<&[f32]> = columns.iter().map(|&column| matrix.column(column)).collect();
    let row = |at: usize, x: &mut [f64]| {
        for (x, column) in x.iter_mut().zip(&inputs) {
            *x = input(column[at]);
        }
        x[width - 1] = 1.0;
    };
    let mut x = vec![0.0; width];
    let mut scales = vec![0.0; width];
    for at in 0..matrix.rows {
        row(at, &mut x);
        scales.iter_mut().zip(&x).for_each(|(scale, x)| *scale += x * x);
    }
    let pull: Vec<f64> = scales.iter().map(|scale| ridge * (scale / matrix.rows.max(1) as f64).max(1e-6)).collect();
    let mut fitted = vec![0.0; width];
    for _ in 0..MAX_STEPS {
        let mut gradient: Vec<f64> = fitted.iter().zip(&pull).map(|(b, pull)| -pull * b).collect();
        let mut hessian = vec![0.0; width * width];
        for (at, (&start, &label)) in start.iter().zip(labels).enumerate() {
            row(at, &mut x);
            let p = sigmoid(start + fitted.iter().zip(&x).map(|(b, x)| b * x).sum::<f64>());
            let (slope, curve) = (f64::from(label) - p, p * (1.0 - p));
            for i in 0..width {
                gradient[i] += slope * x[i];
                let c = curve * x[i];
                for (sum, x) in hessian[i * width..=i * width + i].iter_mut().zip(&x) {
                    *sum += c * x;
                }
            }
        }
        pull.iter().enumerate().for_each(|(i, pull)| hessian[i * width + i] += pull);
        let Some(step) = solve(&mut hessian, gradient) else { break };
        fitted.iter_mut().zip(&step).for_each(|(b, step)| *b += step);
        if step.iter().all(|step| step.abs() < 1e-4) {
            break;
        }
    }
    Weights(fitted)
}

/// Solves a symmetric positive definite system, given by its lower triangle, in place (Cholesky).
fn solve(a: &mut [f64], mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i * n + j] - (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum::<f64>();
            a[i * n + j] = if i == j { (sum > 0.0).then(|| sum.sqrt())? } else { sum / a[j * n + j] };
        }
    }
    for i in 0..n {
        b[i] = (b[i] - (0..i).map(|k| a[i * n + k] * b[k]).sum::<f64>()) / a[i * n + i];
    }
    for i in (0..n).rev() {
        b[i] = (b[i] - (i + 1..n).map(|k| a[k * n + i] * b[k]).sum::<f64>()) / a[i * n + i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_found_again_and_a_strong_ridge_holds_them() {
        let rows = 20_000;
        let dice = |n: u64| (crate::model::rows::hash(n) >> 11) as f64 / (1_u64 << 53) as f64;
        let data: Vec<f32> = (0..2 * rows as u64).map(|n| dice(n) as f32 * 2.0 - 1.0).collect();
        let matrix = Matrix { rows, data };
        let start = vec![0.5; rows];
        let score = |at: usize| 0.5 + 1.5 * f64::from(matrix.column(0)[at]) - f64::from(matrix.column(1)[at]) - 0.25;
        let labels: Vec<f32> =
            (0..rows).map(|at| f32::from(dice(at as u64 + (1 << 40)) < sigmoid(score(at)))).collect();
        let Weights(found) = fit(&matrix, &[0, 1], &labels, &start, 1.0);
        for (found, expected) in found.iter().zip([1.5, -1.0, -0.25]) {
            assert!((found - expected).abs() < 0.1, "{found} for {expected}");
        }
        let Weights(held) = fit(&matrix, &[0, 1], &labels, &start, 1e6);
        assert!(held.iter().all(|b| b.abs() < 0.05), "{held:?}");
    }
}
