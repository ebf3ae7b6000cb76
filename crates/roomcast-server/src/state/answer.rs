//! Forecasts in their rendered form: the types of the JSON, and its bytes.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use utoipa::ToSchema;

use super::loaded::{self, Loaded};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::forecast::{DeviceForecast, write};
use roomcast_forecast::hourly::{Hourly, Status};
use roomcast_forecast::model::Source;

/// A device's forecast and its bytes.
pub struct Cell {
    /// The forecast.
    pub forecast: DeviceForecast,
    /// The forecast as a JSON object.
    pub json: Vec<u8>,
}

/// The next 24 hours of one or more devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forecast {
    /// Time at which the forecast was computed, UTC, RFC 3339.
    pub made_at: String,
    /// The instant the forecast was made at; it uses no reading at or after it.
    pub origin: String,
    /// The last reading before the origin.
    pub data_until: Option<String>,
    /// True if all sensors have been silent for longer than nights, days off and usual pauses explain. The forecast is
    /// then the usual rate of each hour of the week, and silence does not lower it.
    pub stale: bool,
    /// The models that made the forecast.
    pub model: ModelRef,
    /// One entry per device, in order of name.
    pub devices: Vec<DeviceAnswer>,
}

/// The models that made a forecast.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelRef {
    /// The version in the registry; `baseline` before the first training, `unsaved` if the models could not be saved.
    pub version: String,
    /// The models learned only from readings before this instant.
    pub cutoff: String,
    /// True if the models learned from readings at or after the origin. The accuracy of such a forecast does not show
    /// how accurate forecasts of the future are. Only forecasts of `POST /predict` can be in-sample: past origins of
    /// the site's own readings are forecast by older models.
    pub in_sample: bool,
}

/// The next 24 hours of a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceAnswer {
    /// The device's name.
    pub device: String,
    /// The source of the forecast.
    #[schema(value_type = SourceName)]
    pub source: Source,
    /// The device's status at the origin.
    #[schema(value_type = StatusName)]
    pub status: Status,
    /// The device's last reading before the origin.
    pub data_until: Option<String>,
    /// The version of the models that made the forecast.
    pub model_version: String,
    /// The hours, in order: 24 for each day.
    #[schema(min_items = 24, max_items = 168)]
    pub hours: Vec<HourAnswer>,
}

/// One hour of a forecast.
#[derive(Debug, Serialize, ToSchema)]
pub struct HourAnswer {
    /// Start of the hour, RFC 3339; local wall time without offset at a site without a time zone.
    pub start: String,
    /// Probability that the room is occupied in that hour.
    #[schema(minimum = 0, maximum = 1)]
    pub probability: f64,
    /// 1 for occupied, 0 for vacant, by the decision rule.
    #[schema(minimum = 0, maximum = 1)]
    pub state: u8,
}

/// The source of a forecast.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Source)]
#[allow(dead_code, reason = "the schema of model::Source, which does not depend on HTTP")]
pub enum SourceName {
    /// The device's own trees.
    Model,
    /// The layers that all devices share.
    Building,
    /// Only the rate of the hour of the week.
    Baseline,
}

/// The status of a device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Status)]
#[allow(dead_code, reason = "the schema of hourly::Status, which does not depend on HTTP")]
pub enum StatusName {
    /// Motion was seen recently.
    Live,
    /// No motion was seen for far longer than usual.
    Silent,
    /// The first reading is less than a week old.
    New,
}

/// Returns an instant as UTC, RFC 3339. Used for events of the server rather than of the site.
pub fn utc(instant: Timestamp) -> String {
    DateTime::from_timestamp(instant, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl ModelRef {
    /// Returns the models in use, for a forecast made at an instant.
    pub fn new(loaded: &Loaded, origin: Timestamp, calendar: &Calendar) -> ModelRef {
        let (cutoff, in_sample) = (calendar.rfc3339(loaded.models.cutoff), loaded.has_learned_from(origin, calendar));
        ModelRef { version: loaded.version.clone(), cutoff, in_sample }
    }

    /// Returns the reference of a forecast without models: the habit's rate as of an origin.
    pub fn habit(origin: Timestamp, calendar: &Calendar) -> ModelRef {
        ModelRef { version: loaded::BASELINE.into(), cutoff: calendar.rfc3339(origin), in_sample: false }
    }
}

/// Returns the JSON of one device's forecast.
///
/// # Errors
/// Returns a `serde_json::Error` when a value cannot be written as JSON; in practice all can.
pub fn device(
    forecast: &DeviceForecast,
    data_until: Option<Timestamp>,
    version: &str,
    calendar: &Calendar,
) -> serde_json::Result<Vec<u8>> {
    let hour = |hour: &roomcast_forecast::forecast::HourForecast| HourAnswer {
        start: calendar.rfc3339(calendar.start(hour.hour)),
        probability: write::rounded(hour.probability),
        state: u8::from(hour.occupied),
    };
    serde_json::to_vec(&DeviceAnswer {
        device: forecast.device.clone(),
        source: forecast.source,
        status: forecast.status,
        data_until: data_until.map(|instant| calendar.rfc3339(instant)),
        model_version: version.to_owned(),
        hours: forecast.hours.iter().map(hour).collect(),
    })
}

/// Returns the whole answer, made of the devices' own bytes.
///
/// # Errors
/// Returns the same errors as [`device`].
pub(crate) fn render(
    hourly: &Hourly,
    made_at: Timestamp,
    model: ModelRef,
    devices: &[&[u8]],
    calendar: &Calendar,
) -> serde_json::Result<Vec<u8>> {
    let last = hourly.devices.iter().filter_map(|d| d.times.last()).max();
    let head = Forecast {
        made_at: utc(made_at),
        origin: calendar.rfc3339(hourly.origin),
        data_until: last.map(|instant| calendar.rfc3339(instant)),
        stale: hourly.stale.is_some(),
        model,
        devices: Vec::new(),
    };
    let mut out = serde_json::to_vec(&head)?;
    out.reserve_exact(devices.iter().map(|json| json.len() + 1).sum());
    // The empty list of devices ends the object: `]}`.
    out.truncate(out.len() - 2);
    for (at, json) in devices.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(json);
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}
