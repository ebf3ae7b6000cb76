//! # Roomcast
//!
//! Hourly room occupancy forecasts from motion sensors.
//!
//! Data flows one way: [`readings`] come in from files, [`hourly`] lays them on a grid of whole hours
//! with the site's [`calendar`], [`features`] turns the grid into a design matrix, [`model`] fits and
//! stores boosted trees, [`forecast`] answers with 24 probabilities and states per device.
//! [`publish`] sends them on, [`scores`] says afterwards what they were worth.
//! [`backtest`] replays the past to say how good that is. [`simulate`] makes buildings to try it on.
//! [`stream`] takes readings as they arrive and puts them into the [`store`].

pub mod backtest;
pub mod batch;
pub mod calendar;
pub mod commands;
pub mod features;
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
