//! How good probabilities are: log loss, Brier score, skill, calibration. Fits, judgements, live scores and backtests
//! use the same functions.

pub mod calibration;
pub mod loss;
