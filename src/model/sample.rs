//! The rows a layer is fitted and judged on.

use polars::prelude::PolarsResult;
use serde::{Deserialize, Serialize};

use super::lightgbm::Samples;
use super::rows::{self, Labelled};
use crate::calendar::Hour;
use crate::features::{Building, Matrix, Table, WIDTH, growth};
use crate::hourly::{Hourly, Status};

/// Age, in days, at which a row counts half.
const ROW_HALF_LIFE: f64 = 90.0;
/// Most rows the layers over all devices are fitted on.
const MOST_ROWS: usize = 100_000;

/// Rows with labels; those before the cut come first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The design matrix.
    pub(super) matrix: Matrix,
    /// 1 for occupied, 0 for vacant.
    pub(super) labels: Vec<f32>,
    /// Less the older a row is.
    pub(super) weights: Vec<f32>,
    /// Local day of each row's target hour.
    pub(super) days: Vec<i32>,
    /// Number of rows before the cut.
    pub(super) before: usize,
}

impl Sample {
    /// The rows of one device that `keep` wants; none without any.
    pub(super) fn of_device(
        hourly: &Hourly,
        building: &Building,
        device: usize,
        cut: Hour,
        keep: impl Fn(&Labelled) -> bool,
    ) -> PolarsResult<Option<Sample>> {
        let chosen: Vec<Labelled> = rows::rows(hourly, device).into_iter().filter(keep).collect();
        if chosen.is_empty() {
            return Ok(None);
        }
        let asked: Vec<_> = chosen.iter().map(|c| c.row).collect();
        let age = |c: &Labelled| f64::from(hourly.end - c.row.hour) / 24.0;
        Ok(Some(Sample {
            matrix: Table::new(hourly, building, device)?.matrix(&asked)?,
            labels: chosen.iter().map(|c| f32::from(c.occupied)).collect(),
            weights: chosen.iter().map(|c| growth(ROW_HALF_LIFE, -age(c)) as f32).collect(),
            days: chosen.iter().map(|c| hourly.local(c.row.hour).day).collect(),
            before: chosen.partition_point(|c| c.row.hour < cut),
        }))
    }

    /// The rows of one device that the site's layers are fitted on, a fair choice when all devices together have more than
    /// [`MOST_ROWS`]. The choice depends only on the device's name, the hour, and the hours of the whole site.
    pub(super) fn for_site(
        hourly: &Hourly,
        building: &Building,
        device: usize,
        cut: Hour,
    ) -> PolarsResult<Option<Sample>> {
        let hours = &hourly.devices[device];
        if hours.status == Status::New {
            return Ok(None);
        }
        let limit = (MOST_ROWS as f64 / building.hours().max(1) as f64 * f64::from(u32::MAX)) as u64;
        let salt = rows::hash(rows::seed(&hours.device));
        let lucky = |c: &Labelled| rows::hash(salt ^ c.row.hour as u64) >> 32 <= limit;
        Sample::of_device(hourly, building, device, cut, lucky)
    }

    /// Rows of several devices together; none when there are no rows on one side of the cut.
    pub(super) fn stack(parts: &[Sample]) -> Option<Sample> {
        let before = parts.iter().map(|p| p.before).sum();
        let halves: Vec<Matrix> = [Matrix::head, Matrix::tail]
            .iter()
            .flat_map(|half| parts.iter().map(move |p| half(&p.matrix, p.before)))
            .collect();
        let matrix = Matrix::stack(&halves.iter().collect::<Vec<_>>());
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

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.matrix.rows
    }

    /// Whether the parts have the same number of rows.
    pub(crate) fn is_whole(&self) -> bool {
        let Sample { matrix, labels, weights, days, before } = self;
        let lengths = [labels.len(), weights.len(), days.len()];
        lengths == [matrix.rows; 3] && matrix.data.len() == matrix.rows * WIDTH && *before <= matrix.rows
    }

    /// The matrices of the rows before and after the cut.
    pub(super) fn halves(&self) -> (Matrix, Matrix) {
        (self.matrix.head(self.before), self.matrix.tail(self.before))
    }
}

/// A matrix with labels, weights and starting scores of its rows, as LightGBM wants it.
pub(super) fn samples<'a>(matrix: &'a Matrix, labels: &'a [f32], weights: &'a [f32], start: &'a [f64]) -> Samples<'a> {
    Samples { features: &matrix.data, width: WIDTH, labels, weights, start }
}
