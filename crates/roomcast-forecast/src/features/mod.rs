//! The design matrix: one row per (device, origin, target hour).
//!
//! *Target columns* depend on the target hour alone and use only hours at least [`HORIZON`] before it, so they are the
//! same whatever the lead. *Origin columns* hold the state of the day at the origin. [`Table`] holds the hourly data of
//! a device; [`Table::matrix`] makes the columns in Polars for the rows asked for. Training, `predict`, `serve` and the
//! stream all use it.

mod kernel;
mod site_rates;
mod table;

pub use kernel::growth;
pub use site_rates::{SiteRates, Totals};
pub use table::Table;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::calendar::{Hour, Timestamp};
use crate::hourly::HORIZON;

/// Smallest distance of a probability from 0 and 1, which bounds the cost of one surprise.
pub const FLOOR: f32 = 1e-3;

/// Returns the log-odds of a probability, kept off the ends by [`FLOOR`].
pub fn logit(p: f32) -> f32 {
    let p = p.clamp(FLOOR, 1.0 - FLOOR);
    (p / (1.0 - p)).ln()
}

/// Returns the probability of log-odds.
pub fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// One row to build: the forecast of `hour` made at `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Target hour.
    pub hour: Hour,
    /// Position of the target hour after the origin, 1 to [`HORIZON`].
    pub lead: u8,
    /// The instant of the forecast (seconds).
    pub origin: Timestamp,
}

/// Columns that depend on the target hour only. Those named `_shift`, `_pull` and `_level` are centred: 0 means
/// "nothing to add to the prior".
const TARGET: [&str; 25] = [
    "prior",
    "weekday_shift",
    "recent_shift",
    "building_shift",
    "last_day_pull",
    "last_three_pull",
    "lag_7d_pull",
    "building_last_pull",
    "device_level",
    "building_level",
    "hour_before",
    "hour_after",
    "last_day",
    "lag_1d",
    "lag_2d",
    "lag_7d",
    "lag_14d",
    "hour",
    "weekday",
    "off",
    "off_before",
    "off_after",
    "special",
    "history",
    "building_rate",
];

/// Columns that describe the time before an origin at the start of an hour.
const ORIGIN: [&str; 6] = ["share_day", "share_week", "silence", "last_hour", "last_three_hours", "today"];

/// Columns that need the exact instant of the origin, or both the origin and the target hour.
const MOMENT: [&str; 8] =
    ["state_pull", "today_pull", "others_pull", "motion_pull", "lead", "since_motion", "so_far", "elapsed"];

/// Number of columns of the design matrix.
pub const WIDTH: usize = TARGET.len() + ORIGIN.len() + MOMENT.len();

/// Number of columns that the linear layer uses.
pub const LINEAR_WIDTH: usize = 14;

/// Returns the names of the design matrix's columns, in order.
pub fn columns() -> [&'static str; WIDTH] {
    let mut names = TARGET.iter().chain(&ORIGIN).chain(&MOMENT);
    std::array::from_fn(|_| *names.next().unwrap_or(&""))
}

/// Returns the positions of the columns that the linear layer uses: the prior's log-odds, then the centred ones.
pub fn linear_columns() -> [usize; LINEAR_WIDTH] {
    let moment = TARGET.len() + ORIGIN.len();
    std::array::from_fn(|i| if i < 10 { i } else { moment + i - 10 })
}

/// Returns 1 for each column in which more past occupancy may only raise the probability, else 0.
pub fn monotone() -> [i8; WIDTH] {
    let rising = ["prior", "last_day", "lag_1d", "lag_7d", "share_week", "so_far", "last_hour"];
    columns().map(|name| rising.contains(&name) as i8)
}

/// A column-major matrix of 32-bit floats; NaN means "not known".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// `WIDTH * rows` values, one column after the other.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Returns one column.
    pub fn column(&self, index: usize) -> &[f32] {
        &self.data[index * self.rows..(index + 1) * self.rows]
    }

    /// Writes one row into `out` (`WIDTH` values).
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.data[column * self.rows + row];
        }
    }

    /// Stacks rows of several matrices, one below the other.
    pub fn stack(parts: &[(&Matrix, Range<usize>)]) -> Matrix {
        let rows = parts.iter().map(|(_, rows)| rows.len()).sum();
        let mut data = Vec::with_capacity(rows * WIDTH);
        for column in 0..WIDTH {
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

/// Returns the 24 rows of a forecast.
pub fn horizon(origin: Timestamp, end: Hour) -> Vec<Row> {
    (1..=HORIZON as u8).map(|lead| Row { hour: end + Hour::from(lead) - 1, lead, origin }).collect()
}
