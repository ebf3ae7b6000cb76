//! The rows that a layer is fitted and judged on.

use polars::prelude::PolarsResult;
use serde::{Deserialize, Serialize};

use super::lightgbm::Samples;
use super::rows::{self, Labelled};
use crate::calendar::Hour;
use crate::features::{Matrix, SiteRates, Table, WIDTH, growth};
use crate::hourly::{Hourly, Status};

/// Age, in days, at which the weight of a row is half.
const ROW_HALF_LIFE_DAYS: f64 = 90.0;
/// Largest number of rows that the layers over all devices are fitted on.
const MAX_ROWS: usize = 100_000;
/// Number of devices that the rows of larger sites come from. Hundreds of rooms show what the rooms of a site have in
/// common (with 250 of 1,000 simulated rooms the layers lose 0.5 %, with 700 nothing), and the features of the others
/// are not computed.
const MAX_DEVICES: usize = 700;
/// One in this many rows before the cut screens a device, on sites with more than [`MAX_ROWS`].
const SCREENING_STRIDE: u64 = 3;

/// Rows with labels; those before the cut come first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The design matrix.
    pub(super) matrix: Matrix,
    /// 1 for occupied, 0 for vacant.
    pub(super) labels: Vec<f32>,
    /// Weight of each row, less the older it is.
    pub(super) weights: Vec<f32>,
    /// Local day of each row's target hour.
    pub(super) days: Vec<i32>,
    /// Number of rows before the cut.
    pub(super) before: usize,
}

impl Sample {
    /// Gathers rows of a table's device, which are in order; the table is made of the same grid.
    pub(super) fn gather(hourly: &Hourly, table: &Table, rows: &[Labelled], cut: Hour) -> PolarsResult<Sample> {
        let built_rows: Vec<_> = rows.iter().map(|c| c.row).collect();
        let age = |c: &Labelled| f64::from(hourly.end - c.row.hour) / 24.0;
        Ok(Sample {
            matrix: table.matrix(&built_rows)?,
            labels: rows.iter().map(|c| f32::from(c.occupied)).collect(),
            weights: rows.iter().map(|c| growth(ROW_HALF_LIFE_DAYS, -age(c)) as f32).collect(),
            days: rows.iter().map(|c| hourly.local(c.row.hour).day).collect(),
            before: rows.partition_point(|c| c.row.hour < cut),
        })
    }

    /// Returns the rows of one device that the site's layers are fitted on: a fair choice when all devices together
    /// have more than [`MAX_ROWS`], `None` without any. The choice depends only on the device's name, the hour, and
    /// how much of the whole site was observed.
    pub(super) fn for_site(
        hourly: &Hourly,
        site_rates: &SiteRates,
        device: usize,
        cut: Hour,
    ) -> PolarsResult<Option<Sample>> {
        let hours = &hourly.devices[device];
        let share = MAX_ROWS as f64 / site_rates.hours().max(1) as f64;
        let device_share = (MAX_DEVICES as f64 / site_rates.devices().max(1) as f64).clamp(share.min(1.0), 1.0);
        let is_chosen = |dice: u64, share: f64| dice >> 32 <= (share * f64::from(u32::MAX)) as u64;
        let salt = rows::hash(rows::seed(&hours.device));
        if hours.status == Status::New || !is_chosen(rows::hash(!salt), device_share) {
            return Ok(None);
        }
        let rows =
            rows::rows_of(hourly, device, |hour| is_chosen(rows::hash(salt ^ hour as u64), share / device_share));
        if rows.is_empty() {
            return Ok(None);
        }
        Sample::gather(hourly, &Table::new(hourly, site_rates, device), &rows, cut).map(Some)
    }

    /// Stacks the rows of several devices; `None` when there are no rows on one side of the cut.
    pub(super) fn stack(parts: &[Sample]) -> Option<Sample> {
        let before = parts.iter().map(|p| p.before).sum();
        let heads = parts.iter().map(|p| (&p.matrix, 0..p.before));
        let matrix =
            Matrix::stack(&heads.chain(parts.iter().map(|p| (&p.matrix, p.before..p.rows()))).collect::<Vec<_>>());
        if before == 0 || before == matrix.rows {
            return None;
        }
        fn joined<T: Copy>(parts: &[Sample], of: impl Fn(&Sample) -> &Vec<T>) -> Vec<T> {
            let heads = parts.iter().flat_map(|p| &of(p)[..p.before]);
            heads.chain(parts.iter().flat_map(|p| &of(p)[p.before..])).copied().collect()
        }
        let (labels, weights) = (joined(parts, |p| &p.labels), joined(parts, |p| &p.weights));
        Some(Sample { matrix, labels, weights, days: joined(parts, |p| &p.days), before })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.matrix.rows
    }

    /// Returns whether the parts have the same number of rows.
    pub(crate) fn is_whole(&self) -> bool {
        let Sample { matrix, labels, weights, days, before } = self;
        let lengths = [labels.len(), weights.len(), days.len()];
        lengths == [matrix.rows; 3] && matrix.data.len() == matrix.rows * WIDTH && *before <= matrix.rows
    }

    /// Returns the matrices of the rows before and after the cut.
    pub(super) fn halves(&self) -> (Matrix, Matrix) {
        (self.matrix.head(self.before), self.matrix.tail(self.before))
    }
}

/// Splits a device's rows in two: those that screening uses to decide whether trees of its own are worth growing, and
/// the rest. Screening uses all rows after the cut; on large sites the rest is most of those before.
pub(super) fn screening_rows(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    all: Vec<Labelled>,
    cut: Hour,
) -> (Vec<Labelled>, Vec<Labelled>) {
    let salt = rows::hash(rows::seed(&hourly.devices[device].device));
    let whole = site_rates.hours() <= MAX_ROWS;
    let is_screened = |c: &Labelled| {
        whole || c.row.hour >= cut || rows::hash(salt ^ c.row.hour as u64).is_multiple_of(SCREENING_STRIDE)
    };
    all.into_iter().partition(is_screened)
}

/// Returns a matrix with labels, weights and starting scores of its rows in LightGBM's form.
pub(super) fn samples<'a>(matrix: &'a Matrix, labels: &'a [f32], weights: &'a [f32], start: &'a [f64]) -> Samples<'a> {
    Samples { features: &matrix.data, width: WIDTH, labels, weights, start }
}
