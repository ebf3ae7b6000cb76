//! Rows to build, and the matrix made of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::columns::{COLUMNS, WIDTH};
use super::memories::{MEMORIES, MEMORY_WIDTH};
use crate::calendar::{Hour, Timestamp};
use crate::hourly::Hourly;

/// One row to build: the forecast of `hour` made at `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Target hour.
    pub hour: Hour,
    /// Position of the target hour after the origin, 1 to [`Hourly::horizon`].
    pub lead: u8,
    /// The instant of the forecast (seconds).
    pub origin: Timestamp,
}

/// A column-major matrix of 32-bit floats; NaN means "not known".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// `WIDTH * rows` values, one column after the other. The matrix of a forecast has [`FULL_WIDTH`] columns.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Returns one column.
    pub fn column(&self, index: usize) -> &[f32] {
        &self.data[index * self.rows..(index + 1) * self.rows]
    }

    /// Writes the first columns of one row into `out`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.data[column * self.rows + row];
        }
    }

    /// Stacks rows of several matrices, one below the other.
    pub fn stack(parts: &[(&Matrix, Range<usize>)]) -> Matrix {
        Matrix::stack_wide(parts, WIDTH)
    }

    /// Stacks the first `width` columns of rows of several matrices.
    fn stack_wide(parts: &[(&Matrix, Range<usize>)], width: usize) -> Matrix {
        let rows = parts.iter().map(|(_, rows)| rows.len()).sum();
        let mut data = Vec::with_capacity(rows * width);
        for column in 0..width {
            for (part, rows) in parts {
                data.extend_from_slice(&part.column(column)[rows.clone()]);
            }
        }
        Matrix { rows, data }
    }

    /// Returns the first `rows` rows.
    pub fn head(&self, rows: usize) -> Matrix {
        Matrix::stack(&[(self, 0..rows)])
    }

    /// Returns all rows from position `from` on.
    pub fn tail(&self, from: usize) -> Matrix {
        Matrix::stack(&[(self, from..self.rows)])
    }
}

/// The rows of a forecast, with [`FULL_WIDTH`] columns: the hours from the origin on.
///
/// The hours of a day that has begun have two rows: as of the origin, and as of the midnight at which the day began.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRows {
    /// All hours as of the origin.
    pub now: Matrix,
    /// The same hours, the first of them as of their midnight.
    pub settled: Matrix,
    /// Number of hours as of their midnight: those of a day that has begun.
    pub begun: usize,
}

impl ForecastRows {
    /// Returns rows as of the origin with those of the first hours as of their midnight.
    pub(super) fn new(now: Matrix, midnight: &Matrix) -> ForecastRows {
        let begun = midnight.rows;
        let settled = Matrix::stack_wide(&[(midnight, 0..begun), (&now, begun..now.rows)], FULL_WIDTH);
        ForecastRows { now, settled, begun }
    }
}

/// Number of columns of the matrix of a forecast: those of the design matrix, then [`MEMORIES`].
pub const FULL_WIDTH: usize = WIDTH + MEMORY_WIDTH;

/// Returns the names of the columns of the matrix of a forecast, in order.
pub fn full_columns() -> [&'static str; FULL_WIDTH] {
    std::array::from_fn(|at| if at < WIDTH { COLUMNS[at].name } else { MEMORIES[at - WIDTH] })
}

/// Returns the rows of a forecast of the hours from the origin of a grid on.
pub fn horizon(hourly: &Hourly) -> Vec<Row> {
    let row = |lead: u8| Row { hour: hourly.end + Hour::from(lead) - 1, lead, origin: hourly.origin };
    (1..=hourly.horizon() as u8).map(row).collect()
}
