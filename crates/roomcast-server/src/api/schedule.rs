//! `GET /schedule`: times to heat or ventilate, from the forecast and the time the room needs.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{at_level, prefers, resolve, work};
use crate::http::access::auth::CalendarAccess;
use crate::http::access::tokens::Scope;
use crate::http::query::{self, Query};
use crate::problem::{Problem, Reply};
use crate::state::answer::{ModelRef, utc};
use crate::state::site::Site;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::decisions::blocks::{self, Block};
use roomcast_forecast::decisions::ics;
use roomcast_forecast::decisions::plan::{self, RoomPlan};
use roomcast_forecast::decisions::promise::{self, Method, Promise, Thresholds};
use roomcast_forecast::forecast::write;
use roomcast_forecast::model::rule::Rule;

/// Longest preheat or setback, seconds.
const MAX_DURATION: i64 = 12 * HOUR;

/// Blocks of one or more devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct Schedule {
    /// Time at which the forecast was computed, UTC.
    pub made_at: String,
    /// The instant the forecast was made at.
    pub origin: String,
    /// True if all sensors have been silent for longer than nights, days off and usual pauses explain. The forecast is
    /// then the usual rate of each hour of the week.
    pub stale: bool,
    /// The models that made the forecast.
    pub model: ModelRef,
    /// The rule that made the blocks.
    pub rule: BlockRule,
    /// The promise that the threshold keeps; absent for a fixed threshold or costs.
    pub promise: Option<PromiseAnswer>,
    /// Hours on of all devices.
    pub hours_on: f64,
    /// One entry per device, in order of name.
    pub devices: Vec<DeviceSchedule>,
}

/// The rule that makes blocks from probabilities.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct BlockRule {
    /// Probability from which an hour counts as occupied.
    pub threshold: f64,
    /// Seconds from the start of a block to its first occupied hour.
    pub preheat_seconds: i64,
    /// Seconds from the last occupied hour to the end of its block.
    pub setback_after_seconds: i64,
    /// Shortest length of a block, seconds.
    pub min_run_seconds: i64,
}

/// A promise of comfort, and how well it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromiseAnswer {
    /// Highest share of the occupied hours that may be missed.
    #[schema(minimum = 0, maximum = 1)]
    pub max_missed: f64,
    /// The rooms that it holds for: all rooms together, or each room.
    #[schema(value_type = PromiseScope)]
    pub scope: promise::Scope,
    /// The forecasts that the threshold was set on.
    #[schema(value_type = PromiseSource)]
    pub source: promise::Source,
    /// Whether the promise was kept on the last days.
    #[schema(value_type = PromiseKept)]
    pub kept: promise::Kept,
    /// The last days.
    pub lately: LatelyAnswer,
}

/// Hours of the last days (at most 28), at the threshold that was in force on each.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatelyAnswer {
    /// Number of days.
    pub days: u32,
    /// Number of occupied hours.
    pub occupied_hours: u64,
    /// Number of these that were missed.
    pub missed_hours: u64,
    /// Share of the occupied hours that was missed; null without an occupied hour.
    pub missed_share: Option<f64>,
    /// Share of all hours that was on; null where it is not kept, as for single rooms.
    pub on_share: Option<f64>,
}

/// The rooms that a promise holds for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "the schema of promise::Scope, which does not depend on HTTP")]
pub enum PromiseScope {
    /// All rooms of the site together.
    Site,
    /// Each room.
    Room,
}

/// The forecasts that a threshold was set on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "the schema of promise::Source, which does not depend on HTTP")]
pub enum PromiseSource {
    /// Forecasts of the last days and what happened.
    Forecasts,
    /// Hours held back when the models were fitted, while stored forecasts are too few.
    Training,
    /// None: the probabilities are taken at their word.
    Assumed,
}

/// Whether a promise was kept.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "the schema of promise::Kept, which does not depend on HTTP")]
pub enum PromiseKept {
    /// As promised, or no more than chance explains.
    Kept,
    /// More was missed than was promised.
    Broken,
    /// There are too few days or occupied hours to tell.
    Unproven,
}

/// The blocks of a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceSchedule {
    /// The device's name.
    pub device: String,
    /// Probability from which an hour of this device counts as occupied.
    pub threshold: f64,
    /// Hours on, in all blocks.
    pub hours_on: f64,
    /// Hours that the room is expected in use: the sum of the probabilities.
    pub hours_expected: f64,
    /// The occupied hours that this device missed on the last days; null unless the promise holds for each room.
    pub lately: Option<LatelyAnswer>,
    /// Its blocks, in order; they do not touch.
    pub blocks: Vec<BlockAnswer>,
}

/// A block of time to heat or ventilate.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockAnswer {
    /// Start of the block.
    pub start: String,
    /// End of the block.
    pub end: String,
    /// Start of the first occupied hour.
    pub occupied_from: String,
    /// End of the last occupied hour.
    pub occupied_until: String,
    /// The highest probability of its hours.
    #[schema(minimum = 0, maximum = 1)]
    pub peak_probability: f64,
}

/// Parameters of `GET /schedule`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ScheduleQuery {
    /// Restricts the answer to this device; repeatable, at most 1,000 times
    #[serde(default)]
    #[param(style = Form, explode, value_type = Option<Vec<String>>)]
    device: Vec<String>,
    /// The instant the forecast is made at; default: as in `GET /predict`
    at: Option<String>,
    /// Level of the plan: each `room` (default), or anyone on each `floor` or in each `building` of the table of rooms
    #[param(pattern = "^(room|floor|building)$")]
    level: Option<String>,
    /// Days of 24 hours to plan; default: 1
    #[param(value_type = Option<usize>, minimum = 1, maximum = 7)]
    days: Option<String>,
    /// Time from the start of a block to its first occupied hour, at most 12h; default: the server's, which is none if it was started without one
    #[param(example = "45m")]
    preheat: Option<String>,
    /// Time from the last occupied hour to the end of its block, at most 12h; default: the server's, which is none if it was started without one
    #[param(example = "30m")]
    setback_after: Option<String>,
    /// Shortest length of a block, at most 12h; default: the server's, which is none if it was started without one
    #[param(example = "1h")]
    min_run: Option<String>,
    /// Highest share of the occupied hours that may be missed; the default, at 0.05, unless the server has a rule
    #[param(value_type = Option<f64>, minimum = 0, maximum = 1)]
    max_missed: Option<String>,
    /// The rooms that the share of missed hours holds for: `site` (default) or `room`
    #[param(pattern = "^(site|room)$")]
    promise: Option<String>,
    /// Lowest probability of an hour that counts as occupied, instead of a share of missed hours
    #[param(value_type = Option<f64>, minimum = 0, maximum = 1)]
    threshold: Option<String>,
    /// Cost of an occupied hour that is forecast as vacant; requires `cost_waste`
    #[param(value_type = Option<f64>, minimum = 0.000001)]
    cost_miss: Option<String>,
    /// Cost of a vacant hour that is forecast as occupied; requires `cost_miss`
    #[param(value_type = Option<f64>, minimum = 0.000001)]
    cost_waste: Option<String>,
    /// `json` or `ics`; takes precedence over `Accept`
    #[param(pattern = "^(json|ics)$")]
    format: Option<String>,
}

/// Heating or ventilation blocks for the next 24 hours or up to seven days, as JSON or as a calendar
///
/// A block begins `preheat` before the first occupied hour and ends `setback_after` after the last one. Blocks that
/// touch are merged. An hour counts as occupied from a probability that keeps a promise: at most `max_missed` of the
/// occupied hours are missed, by the forecasts of the last 28 days. `promise` says how well that was kept. Costs or a
/// `threshold` take its place. The thresholds of floors and buildings are set on the hours held back in training. Days given as closed have no blocks. With `format=ics` or `Accept: text/calendar` the answer is a calendar that clients can subscribe
/// to. An event keeps its UID as long as its first occupied hour stays the same. Times are floating at a site without a
/// time zone. A token of scope `calendar` gives access to the calendar only.
#[utoipa::path(
    get, path = "/schedule", operation_id = "schedule", tag = "forecasts",
    params(ScheduleQuery),
    responses(
        (status = 200, description = "The blocks", content((Schedule = "application/json"), (String = "text/calendar"))),
    ),
)]
pub async fn get(
    access: CalendarAccess,
    Query(query): Query<ScheduleQuery>,
    request: HttpRequest,
    site: Data<Site>,
) -> Reply {
    let calendar_wanted = match query.format.as_deref() {
        Some("ics") => true,
        Some("json") => false,
        Some(other) => return Err(Problem::parameter("format", format!("expected json or ics, found {other:?}"))),
        None => prefers(&request, "text/calendar"),
    };
    if !calendar_wanted {
        access.0.check(Scope::Read)?;
    }
    let (level, rooms, snapshot) = at_level(query.level.as_deref(), &site).await?;
    let (origin, devices) = resolve(query.at.as_deref(), &query.device, &site, &snapshot)?;
    let usual = &site.settings.blocks;
    let seconds = |name, text: &Option<String>, usual: i64| match text {
        Some(text) => query::duration(name, Some(text), MAX_DURATION),
        None => Ok(usual),
    };
    let rule = blocks::BlockRule {
        preheat: seconds("preheat", &query.preheat, usual.preheat)?,
        setback: seconds("setback_after", &query.setback_after, usual.setback)?,
        min_run: seconds("min_run", &query.min_run, usual.min_run)?,
        closures: usual.closures.clone(),
    };
    let days = query::days(query.days.as_deref())?;
    let method = method(&query, site.settings.method)?;
    let media = if calendar_wanted { "text/calendar; charset=utf-8" } else { "application/json" };
    let bytes = work(move || {
        let calendar = &site.calendar;
        let (grid, forecasts) = rooms.of_level(level, (origin, days), &devices, calendar, &site.metrics)?;
        let names = forecasts.iter().map(|forecast| forecast.device.as_str());
        let thresholds = site.thresholds(method, level, &grid, names);
        let rooms = plan::plan(&forecasts, &thresholds, &rule, origin, calendar);
        if calendar_wanted {
            return Ok(ics::calendar(&rooms, grid.made_at, calendar).into_bytes());
        }
        let schedule = Schedule {
            made_at: utc(grid.made_at),
            origin: calendar.rfc3339(origin),
            stale: grid.hourly.stale.is_some(),
            model: grid.model(calendar),
            rule: BlockRule {
                threshold: thresholds.site,
                preheat_seconds: rule.preheat,
                setback_after_seconds: rule.setback,
                min_run_seconds: rule.min_run,
            },
            promise: promise_answer(&thresholds),
            hours_on: plan::hours_on(&rooms),
            devices: rooms.iter().map(|room| answer(room, calendar)).collect(),
        };
        serde_json::to_vec(&schedule).map_err(Problem::internal)
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(media).body(bytes))
}

/// Returns the way to a threshold: that of the query, else the server's.
fn method(query: &ScheduleQuery, default: Method) -> Result<Method, Problem> {
    let share = |name: &str, text: &Option<String>| {
        let read = |text: &String| {
            let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| Problem::parameter(name, format!("expected a share from 0 to 1, found {text:?}")))
        };
        text.as_ref().map(read).transpose()
    };
    let scope = match query.promise.as_deref() {
        None => None,
        Some("site") => Some(promise::Scope::Site),
        Some("room") => Some(promise::Scope::Room),
        Some(other) => return Err(Problem::parameter("promise", format!("expected site or room, found {other:?}"))),
    };
    let max_missed = share("max_missed", &query.max_missed)?;
    let threshold = share("threshold", &query.threshold)?;
    let cost_miss = query::number("cost_miss", query.cost_miss.as_deref())?;
    let cost = match (cost_miss, query::number("cost_waste", query.cost_waste.as_deref())?) {
        (Some(miss), Some(waste)) => Some(Rule::Cost { miss, waste }),
        (None, None) => None,
        _ => return Err(Problem::parameter("cost_miss", "and cost_waste belong together")),
    };
    let is_promise = max_missed.is_some() || scope.is_some();
    match (cost, threshold) {
        (Some(_), Some(_)) => Err(Problem::parameter("threshold", "and cost_miss exclude each other")),
        (Some(_), None) if is_promise => Err(Problem::parameter("cost_miss", "and a promise exclude each other")),
        (None, Some(_)) if is_promise => Err(Problem::parameter("threshold", "and a promise exclude each other")),
        (Some(rule), None) => Ok(Method::Rule(rule)),
        (None, Some(threshold)) => Ok(Method::Rule(Rule::Fixed(threshold))),
        (None, None) if !is_promise => Ok(default),
        (None, None) => {
            let usual = match default {
                Method::Promise(promise) => promise,
                Method::Rule(_) => Promise::default(),
            };
            let max_missed = max_missed.unwrap_or(usual.max_missed);
            Ok(Method::Promise(Promise { max_missed, scope: scope.unwrap_or(usual.scope) }))
        }
    }
}

fn promise_answer(thresholds: &Thresholds) -> Option<PromiseAnswer> {
    let standing = thresholds.standing.as_ref()?;
    Some(PromiseAnswer {
        max_missed: standing.promise.max_missed,
        scope: standing.promise.scope,
        source: standing.source,
        kept: standing.kept,
        lately: lately(&standing.lately),
    })
}

fn lately(lately: &promise::Lately) -> LatelyAnswer {
    LatelyAnswer {
        days: lately.days,
        occupied_hours: lately.occupied,
        missed_hours: lately.missed,
        missed_share: lately.missed_share(),
        on_share: lately.on_share(),
    }
}

fn answer(room: &RoomPlan<'_>, calendar: &Calendar) -> DeviceSchedule {
    let time = |instant: Timestamp| calendar.rfc3339(instant);
    let block = |block: &Block| BlockAnswer {
        start: time(block.start),
        end: time(block.end),
        occupied_from: time(block.occupied.0),
        occupied_until: time(block.occupied.1),
        peak_probability: write::rounded(block.peak),
    };
    DeviceSchedule {
        device: room.device.to_owned(),
        threshold: room.threshold,
        hours_on: room.hours_on,
        hours_expected: room.hours_expected,
        lately: room.lately.as_ref().map(lately),
        blocks: room.blocks.iter().map(block).collect(),
    }
}
