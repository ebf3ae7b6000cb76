//! `GET /devices` and below: status, history and scores of each sensor.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{cached, send, work};
use crate::api::predict::compact;
use crate::http::access::auth::ReadAccess;
use crate::http::query::{self, NoParameters, Query};
use crate::problem::{Problem, Reply};
use crate::state::answer::{SourceName, StatusName};
use crate::state::cache::{Form, Key};
use crate::state::grid::Grid;
use crate::state::site::Site;
use crate::state::snapshot::{Snapshot, unknown};
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};
use roomcast_forecast::hourly::{DeviceHours, Hourly, State, Status};
use roomcast_forecast::model::Source;
use roomcast_forecast::scores::Live;

/// Seconds of history shown when no time is named.
const DEFAULT_SPAN_SECONDS: i64 = 14 * 24 * 3600;
/// Maximum number of hours of history in one answer.
const MAX_HOURS: i64 = 366 * 24;
/// Days from which a typical week is computed.
const TYPICAL_WEEK_DAYS: i32 = 56;

/// All devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    /// One entry per device, in order of name.
    devices: Vec<Device>,
}

/// Status and scores of a device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Device {
    /// The device's name.
    device: String,
    /// Its current status.
    #[schema(value_type = StatusName)]
    status: Status,
    /// The source of its forecasts.
    #[schema(value_type = SourceName)]
    source: Source,
    /// Its first reading.
    first_reading: String,
    /// Its last reading.
    last_reading: String,
    /// Number of its readings.
    readings: usize,
    /// Share of occupied hours among all hours since its first reading.
    share_occupied: f64,
    /// True if the device fires far more often in an occupied hour than other devices do.
    chattering: bool,
    /// Scores of its forecasts on hours that the models had not seen; null if there are none.
    scores: Option<Scores>,
    /// Scores of the forecasts made for the hours of the last 14 days; null before the first hour was scored.
    live: Option<LiveScores>,
}

/// Mean log loss over the same hours; lower is better.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Scores {
    /// Number of hours.
    rows: u32,
    /// Loss of the rate of the hour of the week.
    baseline: f64,
    /// Loss of the layers that all devices share.
    building: f64,
    /// Loss of the layers that are used for this device.
    device: f64,
}

/// Scores of forecasts made at the start of their hour. An hour is scored some minutes after its end.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct LiveScores {
    /// Number of scored hours.
    hours: u32,
    /// Mean log loss of the forecasts; lower is better.
    log_loss: f64,
    /// Mean log loss of the baseline.
    baseline: f64,
    /// Share of the baseline's loss that the forecasts save; negative if they lose more.
    skill: f64,
    /// Mean squared error of the forecasts.
    brier: f64,
    /// Mean log loss of the forecasts made at midnight for the same days; null if none was scored.
    day_ahead: Option<f64>,
}

impl From<Live> for LiveScores {
    fn from(live: Live) -> LiveScores {
        let Live { hours, log_loss, baseline, skill, brier, day_ahead } = live;
        LiveScores { hours, log_loss, baseline, skill, brier, day_ahead }
    }
}

/// A device and its typical week.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceDetail {
    /// The device.
    #[serde(flatten)]
    device: Device,
    /// Share of occupied hours in the last eight weeks: seven days from Monday, of 24 hours each; null if unobserved.
    typical_week: Vec<Vec<Option<f64>>>,
}

/// Observed states of a device, hour by hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// The device's name.
    device: String,
    /// Whole hours, in order.
    hours: Vec<PastHour>,
}

/// One past hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct PastHour {
    /// Start of the hour.
    start: String,
    /// Its observed state.
    state: PastState,
}

/// The observed state of an hour.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PastState {
    /// Motion was seen.
    Occupied,
    /// No motion was seen.
    Vacant,
    /// The state is unknown.
    Unobserved,
}

/// Parameters of `GET /devices/{id}/history`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpanQuery {
    /// Start of the span; default: two weeks before its end
    from: Option<String>,
    /// End of the span, exclusive; default: the end of the data
    to: Option<String>,
}

/// All devices: status, last reading, share of occupied hours, scores
#[utoipa::path(
    get, path = "/devices", operation_id = "devices", tag = "devices",
    responses(
        (status = 200, description = "All devices", body = Devices),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn list(_: ReadAccess, _: Query<NoParameters>, request: HttpRequest, site: Data<Site>) -> Reply {
    let snapshot = site.snapshot()?;
    let origin = snapshot.history.present(&site.calendar);
    let key = Key { origin, form: Form::Devices(site.scores.changes()), days: 1, devices: Vec::new() };
    let answer = cached(&site, snapshot, key, |site, snapshot, key| {
        let grid = snapshot.grid(key.origin, &site.calendar);
        let all = 0..snapshot.history.readings.devices.len();
        let devices = all.filter_map(|at| device(at, site, snapshot, &grid)).collect();
        serde_json::to_vec(&Devices { devices }).map_err(Problem::internal)
    })
    .await?;
    send(&request, answer, "application/json").await
}

/// One device and its typical week
#[utoipa::path(
    get, path = "/devices/{id}", operation_id = "device", tag = "devices",
    params(("id" = String, Path, description = "The device's name, percent-encoded; slashes may stay as they are")),
    responses(
        (status = 200, description = "The device", body = DeviceDetail),
    ),
)]
pub async fn one(_: ReadAccess, _: Query<NoParameters>, request: HttpRequest, site: Data<Site>) -> Reply {
    let name = id(&request)?;
    let snapshot = site.snapshot()?;
    let (at, _) = snapshot.history.device(&name)?;
    let detail = work(move || {
        let grid = snapshot.present_grid(&site.calendar);
        let device = device(at, &site, &snapshot, &grid);
        let hours = grid.hourly.position(&name).map(|at| &grid.hourly.devices[at]);
        let (Some(device), Some(hours)) = (device, hours) else { return Err(unknown(&name, std::iter::empty())) };
        Ok(DeviceDetail { device, typical_week: typical_week(hours, &grid.hourly) })
    })
    .await?;
    Ok(HttpResponse::Ok().json(detail))
}

/// Observed states of a device, hour by hour
#[utoipa::path(
    get, path = "/devices/{id}/history", operation_id = "history", tag = "devices",
    params(
        ("id" = String, Path, description = "The device's name, percent-encoded; slashes may stay as they are"),
        SpanQuery,
    ),
    responses(
        (status = 200, description = "The hours of the span that the data cover", body = History),
    ),
)]
pub async fn history(_: ReadAccess, Query(query): Query<SpanQuery>, request: HttpRequest, site: Data<Site>) -> Reply {
    let name = id(&request)?;
    let snapshot = site.snapshot()?;
    snapshot.history.device(&name)?;
    let calendar = &site.calendar;
    let to = query::time("to", query.to.as_deref(), calendar)?.unwrap_or_else(|| snapshot.history.present(calendar));
    let from = query::time("from", query.from.as_deref(), calendar)?.unwrap_or(to - DEFAULT_SPAN_SECONDS);
    if from > to {
        return Err(Problem::parameter("from", "is after to"));
    }
    let history = work(move || {
        let grid = snapshot.present_grid(&site.calendar);
        hours(name, &grid.hourly, from..to, &site.calendar)
    })
    .await?;
    Ok(HttpResponse::Ok().json(history))
}

/// Returns the device named in the path.
fn id(request: &HttpRequest) -> Result<String, Problem> {
    let raw = request.match_info().get("id").unwrap_or_default();
    query::percent(raw).map_err(|why| Problem::parameter("the device's name", why))
}

/// Returns the entry of the device at a position of the history.
fn device(at: usize, site: &Site, snapshot: &Snapshot, grid: &Grid) -> Option<Device> {
    let readings = &snapshot.history.readings.devices[at];
    let profile = &snapshot.history.profile(&site.calendar).devices;
    let profile = profile.binary_search_by(|d| d.device.cmp(&readings.device)).ok().map(|at| &profile[at])?;
    let status = match grid.hourly.position(&readings.device) {
        Some(at) => grid.hourly.devices[at].status,
        // The grid begins after what this device said last.
        None if readings.times.last().is_some_and(|last| last < grid.hourly.start) => Status::Silent,
        None => Status::New,
    };
    let model = snapshot.loaded.models.layers(&readings.device).device;
    Some(Device {
        device: readings.device.clone(),
        status,
        source: model.source(),
        first_reading: profile.first.clone(),
        last_reading: profile.last.clone(),
        readings: profile.readings,
        share_occupied: profile.occupied_share,
        chattering: profile.chattering,
        scores: model.check.map(|check| Scores {
            rows: check.rows,
            baseline: check.prior,
            building: check.building,
            device: check.device,
        }),
        live: site.scores.lock().device(&readings.device).map(LiveScores::from),
    })
}

fn typical_week(device: &DeviceHours, hourly: &Hourly) -> Vec<Vec<Option<f64>>> {
    let mut cells = [[(0_u32, 0_u32); 24]; 7];
    let today = hourly.local(hourly.end).day;
    for (hour, state) in (device.first..).zip(device.states.iter()) {
        let local = hourly.local(hour);
        if local.day >= today - TYPICAL_WEEK_DAYS
            && let Some(value) = state.value()
        {
            let (occupied, all) = &mut cells[usize::from(local.weekday)][usize::from(local.hour)];
            *occupied += u32::from(value > 0.0);
            *all += 1;
        }
    }
    let rate = |(occupied, all): (u32, u32)| (all > 0).then(|| f64::from(occupied) / f64::from(all));
    cells.iter().map(|day| day.iter().map(|cell| rate(*cell)).collect()).collect()
}

fn hours(
    name: String,
    hourly: &Hourly,
    range: std::ops::Range<Timestamp>,
    calendar: &Calendar,
) -> Result<History, Problem> {
    let Some(at) = hourly.position(&name) else { return Err(unknown(&name, std::iter::empty())) };
    let device = &hourly.devices[at];
    let first = calendar.next_hour(range.start).max(hourly.first);
    let end = calendar.next_hour(range.end).min(hourly.end);
    if i64::from(end) - i64::from(first) > MAX_HOURS {
        let why = format!("at most {MAX_HOURS} hours fit into one answer");
        return Err(Problem::parameter("from", why).hint("request shorter spans"));
    }
    let state = |hour: Hour| match compact::state(device, hour, calendar) {
        State::Occupied | State::Stuck => PastState::Occupied,
        State::Vacant => PastState::Vacant,
        State::Unobserved => PastState::Unobserved,
    };
    let hour = |hour: Hour| PastHour { start: calendar.rfc3339(calendar.start(hour)), state: state(hour) };
    Ok(History { device: name, hours: (first..end).map(hour).collect() })
}
