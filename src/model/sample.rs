//! The rows a layer is fitted and judged on.

use polars::prelude::PolarsResult;
use rayon::prelude::*;

use super::lightgbm::Samples;
use super::rows::{self, Labelled};
use crate::calendar::Hour;
use crate::features::{Building, Matrix, Table, WIDTH, growth};
use crate::hourly::{Hourly, State, Status};

/// Age, in days, at which a row counts half.
const ROW_HALF_LIFE: f64 = 90.0;
/// Most rows the layers over all devices are fitted on.
const MOST_ROWS: usize = 100_000;

/// Rows with labels; those before the cut come first.
pub(super) struct Sample {
    /// The design matrix.
    pub matrix: Matrix,
    /// 1 for occupied, 0 for vacant.
    pub labels: Vec<f32>,
    /// Less the older a row is.
    pub weights: Vec<f32>,
    /// Local day of each row's target hour.
    pub days: Vec<i32>,
    /// Number of rows before the cut.
    pub before: usize,
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

    /// Rows of all devices, a fair choice when there are more than [`MOST_ROWS`]; none when there
    /// are no rows on one side of the cut.
    pub(super) fn of_site(hourly: &Hourly, building: &Building, cut: Hour) -> PolarsResult<Option<Sample>> {
        let observed = |states: &[State]| states.iter().filter(|s| **s != State::Unobserved).count();
        let total: usize = hourly.devices.iter().map(|d| observed(&d.states)).sum();
        let limit = (MOST_ROWS as f64 / total.max(1) as f64 * f64::from(u32::MAX)) as u64;
        let parts: Vec<Sample> = (0..hourly.devices.len())
            .into_par_iter()
            .filter(|&device| hourly.devices[device].status != Status::New)
            .map(|device| {
                let salt = rows::hash(device as u64);
                let lucky = |c: &Labelled| rows::hash(salt ^ c.row.hour as u64) >> 32 <= limit;
                Sample::of_device(hourly, building, device, cut, lucky)
            })
            .filter_map(PolarsResult::transpose)
            .collect::<PolarsResult<_>>()?;
        let before = parts.iter().map(|p| p.before).sum();
        let halves: Vec<Matrix> = [Matrix::head, Matrix::tail]
            .iter()
            .flat_map(|half| parts.iter().map(move |p| half(&p.matrix, p.before)))
            .collect();
        let matrix = Matrix::stack(&halves.iter().collect::<Vec<_>>());
        if before == 0 || before == matrix.rows {
            return Ok(None);
        }
        fn joined<T: Copy>(parts: &[Sample], of: impl Fn(&Sample) -> &Vec<T>) -> Vec<T> {
            let heads = parts.iter().flat_map(|p| &of(p)[..p.before]);
            heads.chain(parts.iter().flat_map(|p| &of(p)[p.before..])).copied().collect()
        }
        let (labels, weights) = (joined(&parts, |p| &p.labels), joined(&parts, |p| &p.weights));
        Ok(Some(Sample { matrix, labels, weights, days: joined(&parts, |p| &p.days), before }))
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
