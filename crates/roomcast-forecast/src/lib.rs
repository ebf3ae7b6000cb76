//! Hourly room occupancy forecasts from motion sensors.
//!
//! Data flows one way. [`readings`] come in from files, [`hourly`] lays them on a grid of whole hours with the site's
//! [`calendar`], [`features`] turns the grid into a design matrix, [`model`] fits the models and writes their bytes, and
//! [`forecast`] answers with 24 probabilities and states per device. [`train`] fits a site anew and judges the result
//! against the models in use. [`scores`] compares forecasts with the motion that followed. [`backtest`] measures the
//! forecasts over the past. [`files`] and [`table`] write outputs.
//!
//! Nothing here knows HTTP, SQL, a broker or a command line.

pub mod backtest;
pub mod calendar;
pub mod features;
pub mod files;
pub mod forecast;
pub mod hourly;
pub mod model;
pub mod readings;
pub mod scores;
pub mod table;
pub mod train;
