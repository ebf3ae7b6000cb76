//! Forecasts: a probability and a state per device and hour, from a model and a history.

pub mod ahead;
mod coherent;
pub mod parts;
pub mod write;

pub use coherent::coherent;

use polars::prelude::PolarsResult;
use rayon::prelude::*;
use serde::Serialize;

use crate::calendar::Hour;
use crate::features::{FLOOR, FULL_WIDTH, PRIOR, SiteRates, Table, full_columns, sigmoid};
use crate::hourly::{DeviceHours, HORIZON, Hourly, Status};
use crate::model::mix::Parts;
use crate::model::{Layers, Models, Source};

/// Weight of the kernel rate in the log-odds of hours beyond the first [`HORIZON`]. The layers learned from hours of the first
/// day, and what they know beside the habit wears off.
const RATE_SHARE: f64 = 0.5;

/// One hour of a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HourForecast {
    /// The target hour.
    pub hour: Hour,
    /// Probability that the room is occupied in that hour, strictly between 0 and 1.
    pub probability: f64,
    /// The model's state, from its decision rule.
    pub occupied: bool,
}

/// The forecast of one device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceForecast {
    /// The device's name.
    pub device: String,
    /// The device's status at the origin.
    pub status: Status,
    /// The source of the forecast.
    pub source: Source,
    /// The hours from the origin on, in order: 24, or more on a grid that reaches further.
    pub hours: Vec<HourForecast>,
}

/// Forecasts every device of a grid, in its order.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast_all(hourly: &Hourly, site_rates: &SiteRates, models: &Models) -> PolarsResult<Vec<DeviceForecast>> {
    (0..hourly.devices.len()).into_par_iter().map(|device| forecast(hourly, site_rates, device, models)).collect()
}

/// Forecasts the device at position `device` of a grid.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    models: &Models,
) -> PolarsResult<DeviceForecast> {
    forecast_with(hourly, site_rates, device, models.layers(&hourly.devices[device].device))
}

/// Forecasts the same device from its own layers.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast_with(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    layers: Layers<'_>,
) -> PolarsResult<DeviceForecast> {
    Ok(forecast_in_parts(hourly, site_rates, device, layers)?.0)
}

/// Forecasts the same device, and returns the parts of each hour's log-odds beside the forecast. The first [`HORIZON`] hours
/// are the mix of the parts; later ones are its mean with the kernel rate.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast_in_parts(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    layers: Layers<'_>,
) -> PolarsResult<(DeviceForecast, Vec<Parts>)> {
    let hours_of = &hourly.devices[device];
    let layers = usable(hourly, layers);
    let rows = Table::new(hourly, site_rates, device).forecast()?;
    let parts = layers.parts(&rows, days(hourly, device));
    let sensor = Sensor::new(hours_of, site_rates);
    let scores = parts.iter().zip(rows.now.column(PRIOR)).enumerate().map(|(at, (parts, &rate))| match at {
        ..HORIZON => parts.mixed,
        _ => (1.0 - RATE_SHARE) * parts.mixed + RATE_SHARE * f64::from(rate),
    });
    let hours = (hourly.end..).zip(scores).map(|(hour, score)| {
        let probability = sensor.probability(score);
        HourForecast { hour, probability, occupied: probability >= layers.threshold.0 }
    });
    let forecast = DeviceForecast {
        device: hours_of.device.clone(),
        status: hours_of.status,
        source: layers.device.source(),
        hours: hours.collect(),
    };
    Ok((forecast, parts))
}

/// The state of a sensor at the origin. The model knows the use of rooms, not this.
struct Sensor {
    /// Factor on the probability: most silent sensors stay silent.
    alive: f64,
    /// True when the sensor has been on for so long that it may be stuck.
    is_stuck: bool,
}

impl Sensor {
    fn new(device: &DeviceHours, site_rates: &SiteRates) -> Sensor {
        let alive = if device.status == Status::Silent { site_rates.silent_share } else { 1.0 };
        Sensor { alive, is_stuck: device.is_stuck() }
    }

    /// Returns the log-odds of motion from those of the room's use. A stuck sensor stays stuck or is mended, either as
    /// likely.
    fn score(&self, score: f64) -> f64 {
        if self.is_stuck { (2.0 * score.exp()).ln_1p() } else { score }
    }

    /// Returns the probability of motion from the log-odds of the room's use.
    fn probability(&self, score: f64) -> f64 {
        (sigmoid(self.score(score)) * self.alive).clamp(f64::from(FLOOR), 1.0 - f64::from(FLOOR))
    }
}

/// Returns the age of a device's first reading at the origin, in days.
fn days(hourly: &Hourly, device: usize) -> f64 {
    f64::from(hourly.end - hourly.devices[device].first) / 24.0
}

/// Returns the layers to forecast with: those of the baseline when the data are stale.
fn usable<'a>(hourly: &Hourly, layers: Layers<'a>) -> Layers<'a> {
    if hourly.stale.is_some() { Layers::habit(layers.threshold) } else { layers }
}

/// The parts of one hour's probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The target hour.
    #[serde(skip)]
    pub hour: Hour,
    /// The probability of the forecast.
    #[serde(serialize_with = "write::serialize_rounded")]
    pub probability: f64,
    /// The log-odds before silence is taken into account: `base` plus all contributions.
    pub score: f64,
    /// Log-odds that no feature accounts for, such as those of a stuck sensor.
    pub base: f64,
    /// Factor on the probability of a silent sensor; 1 for others.
    pub silent_share: f64,
    /// Every feature, largest contribution first.
    pub contributions: Vec<Contribution>,
}

/// The contribution of one feature to the log-odds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Name of the column.
    pub feature: &'static str,
    /// Its value in this row; NaN (`null` in JSON) when not known.
    pub value: f32,
    /// The feature's part of the log-odds.
    pub contribution: f64,
}

/// Explains the forecast of `hour` for the device at position `device` of a grid.
///
/// The prior and the linear layer contribute their summand of each column. Trees contribute along the path of the row:
/// each split adds the change of the mean of the leaves below it (A. Saabas, 2014). The parts add up to the score.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built or `hour` is not among the first 24.
pub fn explain(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    models: &Models,
    hour: Hour,
) -> PolarsResult<Explanation> {
    explain_with(hourly, site_rates, device, models.layers(&hourly.devices[device].device), hour)
}

/// Explains the same forecast from the device's own layers.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) as [`explain`].
pub fn explain_with(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    layers: Layers<'_>,
    hour: Hour,
) -> PolarsResult<Explanation> {
    let (forecast, all_parts) = forecast_in_parts(hourly, site_rates, device, layers)?;
    let at = (hour - hourly.end) as usize;
    polars::prelude::polars_ensure!(at < HORIZON, ComputeError: "hour {hour} is outside the forecast");
    let rows = Table::new(hourly, site_rates, device).forecast()?;
    let mut row = [0.0; FULL_WIDTH];
    rows.now.row(at, &mut row);
    let mut parts = [0.0; FULL_WIDTH];
    let base = usable(hourly, layers).contributions(&rows, at, days(hourly, device), &mut parts);
    let mut contributions: Vec<Contribution> = full_columns()
        .into_iter()
        .zip(row)
        .zip(parts)
        .map(|((feature, value), contribution)| Contribution { feature, value, contribution })
        .collect();
    contributions.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    let (sensor, mixed) = (Sensor::new(&hourly.devices[device], site_rates), all_parts[at].mixed);
    let score = sensor.score(mixed);
    Ok(Explanation {
        hour,
        probability: forecast.hours[at].probability,
        score,
        base: base + score - mixed,
        silent_share: sensor.alive,
        contributions,
    })
}
