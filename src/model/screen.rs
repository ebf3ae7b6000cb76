//! Whether a device's own trees are worth growing: a first look that costs a twentieth of them.

use crate::features::{Matrix, sigmoid};

/// Bins of a column besides that of NaN.
const BINS: usize = 12;
/// Values of a column that its bins are found from.
const LOOKED_AT: usize = 96;
/// Pull of a bin's step toward zero, in rows of evidence at even odds.
const SHRINK: f64 = 5.0;

/// For each row of `after`, the step in log-odds that the rows of `before` suggest: for each of some columns the mean
/// residual of the bin that the row falls into, all columns added up.
///
/// One round of boosting in which every column gets its own tree. What it does not see at all after the cut,
/// a booster on the same columns hardly ever does. `labels` and `start` (log-odds) have one entry per row of `before`.
pub(super) fn steps(before: &Matrix, labels: &[f32], start: &[f64], after: &Matrix, columns: &[usize]) -> Vec<f64> {
    let residuals: Vec<(f64, f64)> = labels
        .iter()
        .zip(start)
        .map(|(&label, &score)| {
            let p = sigmoid(score);
            (f64::from(label) - p, p * (1.0 - p))
        })
        .collect();
    let mut steps = vec![0.0; after.rows];
    for &column in columns {
        let seen = before.column(column);
        let edges = edges(seen);
        let mut sums = [(0.0, SHRINK / 4.0); BINS + 1];
        for (&value, residual) in seen.iter().zip(&residuals) {
            let sum = &mut sums[bin(&edges, value)];
            sum.0 += residual.0;
            sum.1 += residual.1;
        }
        for (step, &value) in steps.iter_mut().zip(after.column(column)) {
            let sum = sums[bin(&edges, value)];
            *step += sum.0 / sum.1;
        }
    }
    let share = 1.0 / columns.len() as f64;
    steps.iter_mut().for_each(|step| *step *= share);
    steps
}

/// Upper ends of all bins but the last, about as many rows in each.
fn edges(values: &[f32]) -> [f32; BINS - 1] {
    let stride = values.len().div_ceil(LOOKED_AT).max(1);
    let mut some: Vec<f32> = values.iter().step_by(stride).copied().filter(|value| !value.is_nan()).collect();
    some.sort_unstable_by(f32::total_cmp);
    std::array::from_fn(|i| some.get((i + 1) * some.len() / BINS).copied().unwrap_or(f32::INFINITY))
}

/// The bin of a value; NaN has the last.
fn bin(edges: &[f32; BINS - 1], value: f32) -> usize {
    if value.is_nan() { BINS } else { edges.iter().map(|&edge| usize::from(value > edge)).sum() }
}
