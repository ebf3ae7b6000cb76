//! # Roomcast
//!
//! Hourly room occupancy forecasts from motion sensors.
//!
//! Data flows one way. [`readings`] come in from files, [`hourly`] lays them on a grid of whole hours with the site's
//! [`calendar`], [`features`] turns the grid into a design matrix, [`model`] fits and stores the models, and
//! [`forecast`] answers with 24 probabilities and states per device. [`publish`] sends forecasts on; [`scores`]
//! compares them with the motion that followed. [`backtest`] measures the forecasts over the past. [`simulate`] makes
//! buildings for trials. [`stream`] takes readings as they arrive and puts them into the [`store`].

pub mod backtest;
pub mod batch;
pub mod calendar;
pub mod commands;
pub mod features;
pub mod files;
pub mod forecast;
pub mod hourly;
pub mod logs;
pub mod model;
pub mod publish;
pub mod readings;
pub mod retrain;
pub mod scores;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod stream;
