//! Boosting for the layers: its settings, and its result for data that cannot be learned from.

use crate::features::{expert_columns, monotone, own_columns};
use crate::model::lightgbm::{FitError, Parameters};
use crate::model::trees::Trees;

/// Largest number of rows with which the site's trees are a mean of several boosters, each fitted on other days. A
/// single booster overfits few days.
pub(super) const MAX_BAGGED_ROWS: usize = 30_000;

/// Reason why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// LightGBM cannot fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The design matrix cannot be built.
    #[error("cannot build the features: {0}")]
    Features(#[from] polars::error::PolarsError),
}

/// Returns the settings of boosting over all devices. The fewer the rows, the slower the learning.
pub(super) fn site_parameters(rows: usize) -> Parameters {
    let (trees, learning_rate) = if rows > MAX_BAGGED_ROWS { (72, 0.1) } else { (120, 0.06) };
    Parameters {
        trees,
        leaves: 16,
        learning_rate,
        min_rows: (rows / 150).clamp(30, 200),
        l2: 100.0,
        column_share: 0.6,
        bins: 63,
        seed: 1,
        monotone: monotone().to_vec(),
        columns: Vec::new(),
        patience: 20,
    }
}

/// Returns the settings of boosting a device's own layer, on the columns in which rooms differ from each other.
pub(super) fn device_parameters() -> Parameters {
    Parameters {
        trees: 60,
        leaves: 6,
        min_rows: 40,
        l2: 20.0,
        column_share: 1.0,
        columns: own_columns(),
        patience: 8,
        ..site_parameters(0)
    }
}

/// Returns the settings of boosting a device's expert: those of plain boosting on few rows. They were not searched for.
pub(super) fn expert_parameters() -> Parameters {
    Parameters {
        trees: 25,
        leaves: 7,
        learning_rate: 0.2,
        min_rows: 20,
        l2: 0.0,
        column_share: 1.0,
        bins: 63,
        seed: 1,
        monotone: Vec::new(),
        columns: expert_columns(),
        patience: 0,
    }
}

/// Returns no trees for data that LightGBM cannot learn from (a single class).
pub(super) fn grow(fitted: Result<Trees, FitError>) -> Result<Trees, TrainError> {
    match fitted {
        Err(FitError::Data(_)) => Ok(Trees::default()),
        other => Ok(other?),
    }
}
