//! `GET /predict/compact`: the forecast in few bytes, for displays that poll.
//!
//! Values that all devices share are sent once. A display learns from `GET /events` which devices changed, and requests
//! only these. It requests all devices when `origin`, `basis` or the models differ from those it shows.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::predict::{cached, resolve, send};
use crate::http::access::auth::ReadAccess;
use crate::http::query::Query;
use crate::problem::{Problem, Reply};
use crate::state::answer::{ModelRef, SourceName, StatusName};
use crate::state::cache::{Form, Key};
use crate::state::grid::{Forecasts, Grid};
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};
use roomcast_forecast::forecast::{DeviceForecast, HourForecast};
use roomcast_forecast::hourly::{DeviceHours, HORIZON, Hourly, State, Status};
use roomcast_forecast::model::Source;

/// Number of parts into which a probability of 1 is divided.
const PARTS_PER_UNIT: f64 = 1000.0;

/// The next 24 hours of one or more devices, in few bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompactForecast {
    /// The instant the forecast was made at; it uses no reading at or after it.
    origin: String,
    /// The last reading before the origin.
    data_until: Option<String>,
    /// The site's first reading.
    first_reading: Option<String>,
    /// The site's last reading.
    last_reading: Option<String>,
    /// True if the forecast is stale, as in `GET /predict`.
    stale: bool,
    /// The models that made the forecast.
    model: ModelRef,
    /// Identifies the inputs that the forecasts of all devices share. If it differs from that of an earlier answer with
    /// the same origin, every forecast may have changed.
    basis: String,
    /// Probability from which an hour counts as occupied, in thousandths.
    #[schema(maximum = 1000)]
    threshold: u16,
    /// Starts of the 24 hours.
    #[schema(min_items = 24, max_items = 24)]
    starts: Vec<String>,
    /// Names of the devices, in order; `sources`, `statuses`, `chances` and `actual` have one entry for each.
    devices: Vec<String>,
    /// Sources of the forecasts, one per device.
    #[schema(value_type = Vec<SourceName>)]
    sources: Vec<Source>,
    /// Statuses of the devices at the origin.
    #[schema(value_type = Vec<StatusName>)]
    statuses: Vec<Status>,
    /// Probabilities of the 24 hours of each device, in thousandths. They are rounded down, but that of an occupied
    /// hour is not below the threshold.
    chances: Vec<Vec<u16>>,
    /// Observed states of the hours that have begun, one letter for each: `o`ccupied, `v`acant, `u`nobserved. Absent in
    /// a forecast of the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<Vec<String>>,
    /// Devices that fire far more often in an occupied hour than other devices do.
    chattering: Vec<String>,
    /// The last reading of each device that is silent, or that its gateway reports as offline.
    silent_since: BTreeMap<String, String>,
}

/// Parameters of `GET /predict/compact`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CompactQuery {
    /// Restricts the answer to this device; repeatable, at most 1,000 times
    #[serde(default)]
    #[param(style = Form, explode, value_type = Option<Vec<String>>)]
    device: Vec<String>,
    /// The instant the forecast is made at, as in `GET /predict`
    at: Option<String>,
}

/// The next 24 hours of all devices, or of the named ones, in few bytes
///
/// The forecast of `GET /predict` for displays. Probabilities have three digits, and values that all devices share are
/// sent once. A forecast of the past comes with the observed states. A client that sends the `ETag` of an answer in
/// `If-None-Match` gets 304 while the answer is unchanged.
#[utoipa::path(
    get, path = "/predict/compact", operation_id = "predict_compact", tag = "forecasts",
    params(CompactQuery),
    responses(
        (status = 200, description = "The forecast", body = CompactForecast),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn get(_: ReadAccess, Query(query): Query<CompactQuery>, request: HttpRequest, site: Data<Site>) -> Reply {
    let snapshot = site.snapshot()?;
    let (origin, devices) = resolve(query.at.as_deref(), &query.device, &site, &snapshot)?;
    let present = snapshot.history.present(&site.calendar);
    let key = Key { origin, form: Form::Compact(present, digest(&offline(&site))), days: 1, devices };
    let answer = cached(&site, snapshot, key, move |site, snapshot, key| {
        let made = snapshot.forecasts(key.origin, &key.devices, &site.calendar, &site.metrics)?;
        // Nothing has been observed yet of the hours to come.
        let past = (origin < present).then(|| snapshot.grid(present, &site.calendar));
        let answer = compact(site, snapshot, &made, past.as_deref());
        serde_json::to_vec(&answer).map_err(Problem::internal)
    })
    .await?;
    send(&request, answer, "application/json").await
}

/// Returns the sensors that are offline now, in order of name.
fn offline(site: &Site) -> Vec<String> {
    site.live.as_ref().map_or_else(Vec::new, |live| live.health.offline())
}

fn digest(names: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    hasher.finish()
}

fn compact(site: &Site, snapshot: &Snapshot, made: &Forecasts, past: Option<&Grid>) -> CompactForecast {
    let Forecasts { grid, cells } = made;
    let (hourly, history, calendar) = (&grid.hourly, &snapshot.history, &site.calendar);
    let threshold = (grid.loaded.models.threshold.0 * PARTS_PER_UNIT).ceil() as u16;
    let rfc3339 = |instant: Timestamp| calendar.rfc3339(instant);
    let forecasts = || cells.iter().map(|cell| &cell.forecast);
    let names = || forecasts().map(|forecast| &forecast.device);
    let chances =
        |forecast: &DeviceForecast| forecast.hours.iter().map(|hour| chance(hour, threshold)).collect::<Vec<u16>>();

    let profiles = &history.profile(calendar).devices;
    let profile = |name: &str| profiles.binary_search_by(|profile| profile.device.as_str().cmp(name)).ok();
    let is_chattering = |name: &&String| profile(name).is_some_and(|at| profiles[at].chattering);
    // Gateways tell of now: of a past day nobody knows what was offline.
    let offline_devices = if past.is_none() { history.rooms_of_all(&offline(site)) } else { Vec::new() };
    let silent = forecasts()
        .filter(|forecast| forecast.status == Status::Silent || offline_devices.contains(&forecast.device))
        .filter_map(|forecast| {
            let last = hourly.devices[hourly.position(&forecast.device)?].times.last()?;
            Some((forecast.device.clone(), rfc3339(last)))
        });
    let last = hourly.devices.iter().filter_map(|device| device.times.last()).max();
    CompactForecast {
        origin: rfc3339(hourly.origin),
        data_until: last.map(rfc3339),
        first_reading: history.span.map(|(first, _)| rfc3339(first)),
        last_reading: history.span.map(|(_, last)| rfc3339(last)),
        stale: hourly.stale.is_some(),
        model: grid.model(calendar),
        basis: format!("{:016x}", grid.basis),
        threshold,
        starts: (hourly.end..).take(HORIZON).map(|hour| rfc3339(calendar.start(hour))).collect(),
        devices: names().cloned().collect(),
        sources: forecasts().map(|forecast| forecast.source).collect(),
        statuses: forecasts().map(|forecast| forecast.status).collect(),
        chances: forecasts().map(chances).collect(),
        actual: past.map(|past| names().map(|name| actual(name, hourly, &past.hourly, calendar)).collect()),
        chattering: names().filter(is_chattering).cloned().collect(),
        silent_since: silent.collect(),
    }
}

/// Returns a probability in thousandths. It is rounded down, so rounding it to whole percent afterwards gives the same
/// as rounding at once.
fn chance(hour: &HourForecast, threshold: u16) -> u16 {
    let parts = (hour.probability * PARTS_PER_UNIT) as u16;
    if hour.occupied { parts.max(threshold) } else { parts.min(threshold.saturating_sub(1)) }
}

/// Returns the observed states of the hours of a forecast, unobserved for hours that another grid does not cover.
fn actual(name: &str, forecast: &Hourly, known: &Hourly, calendar: &Calendar) -> String {
    let Some(at) = known.position(name) else { return String::new() };
    let hours = (forecast.end..known.end).take(HORIZON);
    hours.map(|hour| letter(state(&known.devices[at], hour, calendar))).collect()
}

/// Returns the state of an hour of a device. The running hour is occupied once motion was seen in it.
pub fn state(device: &DeviceHours, hour: Hour, calendar: &Calendar) -> State {
    let state = usize::try_from(hour - device.first).ok().and_then(|at| device.states.get(at).copied());
    match state.unwrap_or(State::Unobserved) {
        State::Unobserved if device.times.last().is_some_and(|time| calendar.hour(time) == hour) => State::Occupied,
        state => state,
    }
}

fn letter(state: State) -> char {
    match state {
        State::Occupied | State::Stuck => 'o',
        State::Vacant => 'v',
        State::Unobserved => 'u',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_keep_their_percent_and_their_side_of_the_threshold() {
        let hour = |probability, occupied| HourForecast { hour: 0, probability, occupied };
        let cases = [
            (hour(0.123_4, false), 500, 123),
            (hour(0.124_96, false), 500, 124),
            (hour(0.499_99, false), 500, 499),
            (hour(0.5, true), 500, 500),
            (hour(0.000_01, false), 500, 0),
            (hour(0.999_99, true), 500, 999),
            // A threshold of 1/11.
            (hour(0.090_92, true), 91, 91),
            (hour(0.090_90, false), 91, 90),
        ];
        for (hour, threshold, parts) in cases {
            assert_eq!(chance(&hour, threshold), parts, "{hour:?}");
            assert_eq!(chance(&hour, threshold) >= threshold, hour.occupied, "{hour:?}");
        }
    }
}
