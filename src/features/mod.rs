//! The design matrix: one row per (device, origin, target hour).
//!
//! Two kinds of columns. *Target columns* depend on the target hour alone and look only at hours at
//! least [`HORIZON`] before it, so they are the same whatever the lead. *Origin columns* hold the state
//! of the day at the origin. [`Table`] holds what a device shows, hour by hour; [`Table::matrix`] makes the columns in Polars,
//! for the rows that are asked for. Training, `predict`, `serve` and the stream all come through here.

mod building;
mod kernel;
mod table;

pub use building::{Building, Totals};
pub use kernel::growth;
pub use table::Table;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::calendar::{Hour, Instant};
use crate::hourly::HORIZON;

/// Probabilities stay this far from 0 and 1, so that one surprise never costs everything.
pub const FLOOR: f32 = 1e-3;

/// The log-odds of a probability, kept off the ends by [`FLOOR`].
pub fn logit(p: f32) -> f32 {
    let p = p.clamp(FLOOR, 1.0 - FLOOR);
    (p / (1.0 - p)).ln()
}

/// The probability of log-odds.
pub fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// One row to build: what is the state of `hour`, asked at `origin`?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Target hour.
    pub hour: Hour,
    /// Position of the target hour after the origin, 1 to [`HORIZON`].
    pub lead: u8,
    /// The instant at which the question is asked (seconds).
    pub origin: Instant,
}

/// Columns that depend on the target hour only. Those named `_shift`, `_pull` and `_level` are centred:
/// 0 says "nothing to add to the prior".
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

/// Columns that need the very instant of the origin, or both hours.
const MOMENT: [&str; 8] =
    ["state_pull", "today_pull", "others_pull", "motion_pull", "lead", "since_motion", "so_far", "elapsed"];

/// Number of columns of the design matrix.
pub const WIDTH: usize = TARGET.len() + ORIGIN.len() + MOMENT.len();

/// Number of columns the linear layer uses.
pub const LINEAR_WIDTH: usize = 14;

/// The names of the design matrix's columns, in order.
pub fn columns() -> [&'static str; WIDTH] {
    let mut names = TARGET.iter().chain(&ORIGIN).chain(&MOMENT);
    std::array::from_fn(|_| *names.next().unwrap_or(&""))
}

/// Positions of the columns the linear layer uses: the prior's log-odds, then the centred ones.
pub fn linear_columns() -> [usize; LINEAR_WIDTH] {
    let moment = TARGET.len() + ORIGIN.len();
    std::array::from_fn(|i| if i < 10 { i } else { moment + i - 10 })
}

/// Per column 1 where more occupancy in the past may only raise the probability, else 0.
pub fn monotone() -> [i8; WIDTH] {
    let rising = ["prior", "last_day", "lag_1d", "lag_7d", "share_week", "so_far", "last_hour"];
    columns().map(|name| rising.contains(&name) as i8)
}

/// A column-major matrix of 32-bit floats; NaN is "not known".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// `WIDTH * rows` values, one column after the other.
    pub data: Vec<f32>,
}

impl Matrix {
    /// One column.
    pub fn column(&self, index: usize) -> &[f32] {
        &self.data[index * self.rows..(index + 1) * self.rows]
    }

    /// One row, written into `out` (`WIDTH` values).
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.data[column * self.rows + row];
        }
    }

    /// Some rows of several matrices, one below the other.
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

    /// The first `rows` rows.
    pub fn head(&self, rows: usize) -> Matrix {
        Matrix::stack(&[(self, 0..rows)])
    }

    /// All rows from position `from` on.
    pub fn tail(&self, from: usize) -> Matrix {
        Matrix::stack(&[(self, from..self.rows)])
    }
}

/// The 24 rows of a forecast.
pub fn horizon(origin: Instant, end: Hour) -> Vec<Row> {
    (1..=HORIZON as u8).map(|lead| Row { hour: end + Hour::from(lead) - 1, lead, origin }).collect()
}
