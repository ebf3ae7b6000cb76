//! Hourly room occupancy forecasts from motion sensors.
//!
//! A [`Forecaster`] learns from the readings of a building's sensors when each room is in use, and answers with the
//! probability that it is occupied in each of the next 24 hours:
//!
//! ```
//! use roomcast_forecast::Forecaster;
//! use roomcast_forecast::calendar::{Calendar, HOUR};
//! use roomcast_forecast::readings::{DeviceReadings, Readings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let calendar = Calendar::default();
//! let monday = calendar.parse("2024-02-05 00:00:00")?;
//! // Somebody is in the office from 9 to 17 on the workdays of four weeks; the sensor fires at half past.
//! let hours = (0..28 * 24).filter(|hour| hour / 24 % 7 < 5 && (9..17).contains(&(hour % 24)));
//! let times = hours.map(|hour| monday + hour * HOUR + HOUR / 2).collect();
//! let readings = Readings { devices: vec![DeviceReadings { device: "office".into(), times, ..DeviceReadings::default() }] };
//!
//! let origin = monday + 28 * 24 * HOUR;
//! let forecaster = Forecaster::new(calendar).fit(&readings, origin)?;
//! for forecast in forecaster.forecast(origin)? {
//!     for hour in &forecast.hours {
//!         let start = forecaster.calendar.format(forecaster.calendar.start(hour.hour));
//!         println!("{} {start} {:.2}", forecast.device, hour.probability);
//!     }
//!     assert!(forecast.hours[10].probability > 0.8 && forecast.hours[3].probability < 0.2);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Tour
//!
//! Data flows one way, and each module may be used by itself.
//!
//! | module | what it does |
//! |---|---|
//! | [`calendar`] | knows the site's time zone, weekend and days off, and reads the clock |
//! | [`readings`] | reads files row by row, or takes readings in memory; finds rows of clocks that are wrong |
//! | [`rooms`] | turns readings of sensors into those of rooms, floors and buildings |
//! | [`hourly`] | lays readings on a grid: each room and hour is occupied, vacant or unobserved |
//! | [`features`] | turns the grid into a design matrix; [`features::COLUMNS`] is the table of its columns |
//! | [`model`] | fits the layers of a forecast ([`model::fit`]) and writes their bytes ([`model::codec`]) |
//! | [`forecast`](mod@forecast) | returns 24 probabilities and states per device, and explains them |
//! | [`decisions`] | turns probabilities into times on, keeps a promise of comfort, and counts what that saves |
//! | [`train`] | fits a site again and judges the result against the models in use; spreads it over machines |
//! | [`measures`] | log loss, Brier score, skill and calibration |
//! | [`scores`] | compares forecasts with the motion that followed |
//! | [`backtest`] | measures the accuracy of forecasts of the past |
//! | [`utilisation`] | counts what rooms were used for over weeks |
//! | [`files`] | writes output files whole or not at all |
//! | [`table`] | aligns text tables |
//!
//! Nothing at or after the origin of a forecast reaches a feature. The same functions build the features of training
//! and of forecasts. Equal readings give equal models and equal forecasts, to the last bit, on any number of threads.
//!
//! # Units
//!
//! A [`Timestamp`](calendar::Timestamp) is an instant in seconds: UTC at a site with a time zone, else the wall clock.
//! An [`Hour`](calendar::Hour) numbers the whole hours of the site. Hours of the day, weekdays and days off are local,
//! and days of 23 and 25 hours work. Probabilities lie strictly between 0 and 1.
//!
//! # Errors
//!
//! Errors state what was expected: [`ReadError`](readings::ReadError) names file, line and column,
//! [`TrainError`](model::fit::TrainError) names the library that failed. Little data is not an error. It leads to
//! simpler models, down to the decayed rate of each hour of the week, and [`Source`](model::Source) tells them apart.
//!
//! # Embedding
//!
//! The crate knows no HTTP, SQL, broker or command line. It logs with [`tracing`] and computes on the threads of
//! [`rayon`]. A damaged Parquet file can end the process that reads it; [`readings::apart`] says how to read in
//! another.

pub mod backtest;
pub mod calendar;
pub mod decisions;
pub mod features;
pub mod files;
pub mod forecast;
mod forecaster;
pub mod hourly;
pub mod measures;
pub mod model;
pub mod readings;
pub mod rooms;
pub mod scores;
pub mod table;
pub mod train;
pub mod utilisation;

pub use forecaster::{FittedForecaster, Forecaster};
