//! Screening: a cheap test of whether a device's own trees are worth growing.

use multiversion::multiversion;

use crate::features::{Matrix, sigmoid};

/// Number of bins of a column besides that of NaN.
const BINS: usize = 12;
/// Largest number of values of a column from which its bins are found.
const MAX_EDGE_VALUES: usize = 96;
/// Pull of a bin's step toward zero, in rows of evidence at even odds.
const SHRINK_ROWS: f64 = 5.0;

/// Returns, for each row of a matrix from position `before` on, the step in log-odds that the rows before it suggest:
/// the mean over some columns of the Newton step of the bin that contains the row.
///
/// This is one round of boosting in which every column gets its own tree. If it shows nothing after the cut, a booster
/// on the same columns hardly ever finds anything there. `labels` and `start` (log-odds) have one entry per row up to
/// `before`; `columns` are positions in the design matrix, at least one.
pub(super) fn steps(matrix: &Matrix, before: usize, labels: &[f32], start: &[f64], columns: &[usize]) -> Vec<f64> {
    let residuals: Vec<(f64, f64)> = labels
        .iter()
        .zip(start)
        .map(|(&label, &score)| {
            let p = sigmoid(score);
            (f64::from(label) - p, p * (1.0 - p))
        })
        .collect();
    let mut steps = vec![0.0; matrix.rows - before];
    let mut bins = vec![0; matrix.rows];
    for &column in columns {
        let values = matrix.column(column);
        fill(&mut bins, &edges(&values[..before]), values);
        let (known, after) = bins.split_at(before);
        let mut sums = [(0.0, SHRINK_ROWS / 4.0); BINS + 1];
        for (&bin, residual) in known.iter().zip(&residuals) {
            let sum = &mut sums[bin as usize];
            sum.0 += residual.0;
            sum.1 += residual.1;
        }
        let newton = sums.map(|sum| sum.0 / sum.1);
        for (step, &bin) in steps.iter_mut().zip(after) {
            *step += newton[bin as usize];
        }
    }
    let share = 1.0 / columns.len() as f64;
    steps.iter_mut().for_each(|step| *step *= share);
    steps
}

/// Returns the upper ends of all bins but the last, with about as many rows in each.
fn edges(values: &[f32]) -> [f32; BINS - 1] {
    let stride = values.len().div_ceil(MAX_EDGE_VALUES).max(1);
    let mut some = Vec::with_capacity(MAX_EDGE_VALUES);
    some.extend(values.iter().step_by(stride).filter(|value| !value.is_nan()));
    some.sort_unstable_by(f32::total_cmp);
    std::array::from_fn(|i| some.get((i + 1) * some.len() / BINS).copied().unwrap_or(f32::INFINITY))
}

/// Writes the bin of each value; NaN has the last.
#[multiversion(targets("x86_64+avx2"))]
fn fill(bins: &mut [u32], edges: &[f32; BINS - 1], values: &[f32]) {
    for (bin, &value) in bins.iter_mut().zip(values) {
        *bin = if value.is_nan() { BINS as u32 } else { 0 };
    }
    for &edge in edges {
        for (bin, &value) in bins.iter_mut().zip(values) {
            *bin += u32::from(value > edge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::WIDTH;
    use crate::model::rows::hash;

    /// Returns rows in which column 0 is evenly spread over 0 to 1 and all others are 0.
    fn matrix(rows: usize, salt: u64) -> Matrix {
        let mut data = vec![0.0; WIDTH * rows];
        data[..rows]
            .iter_mut()
            .zip(0..)
            .for_each(|(value, row)| *value = (hash(salt ^ row) >> 40) as f32 / (1 << 24) as f32);
        Matrix { rows, data }
    }

    fn both(before: &Matrix, after: &Matrix) -> Matrix {
        Matrix::stack(&[(before, 0..before.rows), (after, 0..after.rows)])
    }

    #[test]
    fn a_habit_is_found_again_and_chance_is_not() {
        let (before, after) = (matrix(2_000, 1), matrix(500, 2));
        let (both, start) = (both(&before, &after), vec![0.0; before.rows]);
        let screen = |labels: &[f32], columns: &[usize]| steps(&both, before.rows, labels, &start, columns);
        let habit: Vec<f32> = before.column(0).iter().map(|&x| f32::from(x > 0.7)).collect();
        let found = screen(&habit, &[0]);
        for (step, &x) in found.iter().zip(after.column(0)) {
            // Bins that hold the edge may give either sign.
            assert!(
                (0.6..0.8).contains(&x) || (*step > 1.0) == (x > 0.7) && (*step < -1.0) == (x <= 0.7),
                "{x}: {step}"
            );
        }
        let chance: Vec<f32> = (0..before.rows as u64).map(|row| (hash(row) % 2) as f32).collect();
        let found = screen(&chance, &[0]);
        assert!(found.iter().all(|step| step.abs() < 0.5), "{found:?}");
    }

    #[test]
    fn what_is_not_known_has_a_bin_of_its_own_and_columns_are_averaged() {
        let mut before = matrix(1_000, 1);
        before.data[..500].fill(f32::NAN);
        let labels: Vec<f32> = before.column(0).iter().map(|x| f32::from(x.is_nan())).collect();
        let mut after = matrix(2, 2);
        after.data[0] = f32::NAN;
        let screen = |before: &Matrix, columns: &[usize]| {
            steps(&both(before, &after), before.rows, &labels, &vec![0.0; before.rows], columns)
        };
        let alone = screen(&before, &[0]);
        assert!(alone[0] > 1.0 && alone[1] < -1.0, "{alone:?}");
        // The other column is the same in all rows, and half of them are occupied: its step is 0.
        let two = screen(&before, &[0, 1]);
        assert!((two[0] - alone[0] / 2.0).abs() < 1e-9, "{two:?}");
        // No value is known at all.
        before.data[..1_000].fill(f32::NAN);
        assert!(screen(&before, &[0]).iter().all(|step| step.is_finite()));
    }
}
