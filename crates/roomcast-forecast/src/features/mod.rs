//! The design matrix: one row per (device, origin, target hour).
//!
//! *Target columns* depend on the target hour alone and use only hours at least [`HORIZON`](crate::hourly::HORIZON)
//! before it, so they are the same whatever the lead. *Origin columns* hold the state of the day at the origin.
//! [`COLUMNS`] is the one table of them. [`Table`] holds the hourly data of a device, with lags and windows in Polars;
//! [`Table::matrix`] makes the columns for the requested rows. Training, `predict`, `serve` and Spark all use it.
//! [`Table::forecast`] adds [`MEMORIES`], the columns of the shipped layers, for a forecast.

mod columns;
mod glossary;
mod inputs;
mod kernel;
mod lags;
mod matrix;
mod memories;
mod odds;
mod site_rates;
mod table;

pub use columns::{COLUMNS, Column, LAST_PULLS, LEAD, LINEAR_COLUMNS, LINEAR_WIDTH, PRIOR, WIDTH};
pub use columns::{columns, expert_columns, monotone, own_columns, penalties};
pub use glossary::{GLOSSARY, Reason, reason};
pub use kernel::growth;
pub use matrix::{FULL_WIDTH, ForecastRows, Matrix, Row, full_columns, horizon};
pub use memories::{MEMORIES, MEMORY_WIDTH, transferable};
pub use odds::{FLOOR, logit, sigmoid};
pub use site_rates::{SiteRates, Totals};
pub use table::Table;
