//! The compiled part of the Python package `roomcast`: readings, models and backtests of the crate `roomcast-forecast`.
//!
//! `python/roomcast` holds the classes that users see, with their documentation. Here arguments are read, the library is
//! called without Python's lock, and results are handed out as Arrow tables (`table`).

mod backtest;
mod errors;
mod model;
mod progress;
mod schedule;
mod site;
mod table;

/// The module `roomcast._roomcast`.
#[pyo3::pymodule]
mod _roomcast {
    #[pymodule_export]
    use crate::backtest::Backtest;
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::schedule::schedule;
    #[pymodule_export]
    use crate::site::{Readings, Site};
    #[pymodule_export]
    use crate::table::Columns;

    /// The version of Roomcast.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
