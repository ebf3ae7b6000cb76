//! The expert of one device: trees that learn its hours from scratch, beside the stack.
//!
//! Alone an expert is mostly worse than the stack, which begins at the prior. It remembers longer and errs elsewhere, so
//! the mean of both is better than either.

use serde::{Deserialize, Serialize};

use super::trees::Trees;
use crate::features::{HOUR_OF_DAY, LEAD, Matrix};

/// Share that the expert of a device with an endless history has in a forecast.
const LARGEST_SHARE: f64 = 1.0 / 3.0;
/// Days of history at which the share is half of that.
const HALF_SHARE_DAYS: f64 = 100.0;
/// Lead, in hours, at which the expert counts half in a day that has begun: unlike the stack it does not know that
/// day's hours.
const HALF_LEAD_HOURS: f64 = 3.0;

/// The trees of one device that know nothing of the stack, and their share in its forecasts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expert {
    /// Boosted trees of this device, on top of `base`.
    pub trees: Trees,
    /// Log-odds of the share of occupied hours.
    pub base: f64,
    /// Share in the log-odds of the forecast of a day ahead, 0 to 1.
    pub weight: f64,
}

impl Expert {
    /// Returns the weight of an expert that learned from so many days.
    pub(super) fn weight(days: f64) -> f64 {
        LARGEST_SHARE * days / (HALF_SHARE_DAYS + days)
    }

    /// Returns whether there are no trees, so that the stack's score stays as it is.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Returns the share in the log-odds of the forecast of a local hour of the day with a lead.
    fn share(&self, hour: f32, lead: f32) -> f64 {
        // With a longer lead than the hours of its day so far, a target hour lies in a day that has not begun.
        if lead > hour { self.weight } else { self.weight * f64::from(lead) / (f64::from(lead) + HALF_LEAD_HOURS) }
    }

    /// Returns the stack's score of a full row, mixed with the expert's.
    pub(super) fn mixed(&self, stack: f64, row: &[f32]) -> f64 {
        match self.is_empty() {
            true => stack,
            false => stack + self.share(row[HOUR_OF_DAY], row[LEAD]) * (self.base + self.trees.score(row) - stack),
        }
    }

    /// Mixes the expert's scores of every row of a matrix into those of the stack.
    pub(super) fn mix_into(&self, stack: &mut [f64], matrix: &Matrix) {
        if self.is_empty() {
            return;
        }
        let scores = self.trees.scores(&matrix.data, matrix.rows);
        let shares =
            matrix.column(HOUR_OF_DAY).iter().zip(matrix.column(LEAD)).map(|(&hour, &lead)| self.share(hour, lead));
        for ((stack, score), share) in stack.iter_mut().zip(scores).zip(shares) {
            *stack += share * (self.base + score - *stack);
        }
    }

    /// Mixes the expert's contributions to the score of a row into those of the stack, `out` and `base`. Returns the
    /// part that belongs to no column.
    pub(super) fn mix_contributions(&self, base: f64, row: &[f32], out: &mut [f64]) -> f64 {
        if self.is_empty() {
            return base;
        }
        let share = self.share(row[HOUR_OF_DAY], row[LEAD]);
        out.iter_mut().for_each(|part| *part *= 1.0 - share);
        let mut parts = vec![0.0; out.len()];
        let own_base = self.base + self.trees.contributions(row, &mut parts);
        for (out, part) in out.iter_mut().zip(parts) {
            *out += share * part;
        }
        (1.0 - share) * base + share * own_base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::WIDTH;
    use crate::model::{DeviceModel, SiteModel};

    #[test]
    fn the_share_is_whole_for_a_day_that_has_not_begun_and_small_at_short_leads_within_one() {
        let expert = Expert { weight: Expert::weight(100.0), ..Expert::default() };
        let shares = [(0.0, 1.0), (23.0, 24.0), (5.0, 18.0), (12.0, 1.0), (15.0, 3.0)];
        let sixth = 1.0 / 6.0;
        let expected = [sixth, sixth, sixth, sixth / 4.0, sixth / 2.0];
        assert!(
            shares
                .map(|(hour, lead)| expert.share(hour, lead))
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }

    #[test]
    fn a_row_a_matrix_and_the_contributions_agree() {
        let text = "\nTree=0\nnum_leaves=2\nsplit_feature=15\nthreshold=0.5\ndecision_type=10\nleft_child=-1\nright_child=-2\n\
                    leaf_value=-0.3 0.7\n";
        let trees = Trees::parse(text, WIDTH).unwrap();
        let expert = Expert { trees, base: -1.25, weight: 0.3 };
        let device = DeviceModel { expert, follows_site: true, ..DeviceModel::default() };
        let site = SiteModel::default();
        let rows: Vec<[f32; WIDTH]> =
            (0..20).map(|row| std::array::from_fn(|column| ((row * 7 + column) % 5) as f32 / 3.0)).collect();
        let data = (0..WIDTH).flat_map(|column| rows.iter().map(move |row| row[column])).collect();
        let scores = device.scores(&site, &Matrix { rows: rows.len(), data });
        for (row, score) in rows.iter().zip(scores) {
            assert_eq!(device.score(&site, row).to_bits(), score.to_bits());
            let mut parts = [0.0; WIDTH];
            let base = device.contributions(&site, row, &mut parts);
            assert!((base + parts.iter().sum::<f64>() - score).abs() < 1e-12, "{row:?}");
        }
    }
}
