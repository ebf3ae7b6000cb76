//! `GET /schedule`: times to heat or ventilate, from the forecast and the time the room needs.

pub mod ics;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{prefers, resolve, work};
use crate::http::access::auth::CalendarAccess;
use crate::http::access::tokens::Scope;
use crate::http::query::{self, Query};
use crate::problem::{Problem, Reply};
use crate::state::answer::{ModelRef, utc};
use crate::state::grid::Forecasts;
use crate::state::site::Site;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::forecast::{HourForecast, write};
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
}

/// The blocks of a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceSchedule {
    /// The device's name.
    pub device: String,
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

/// A block of time to heat or ventilate, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// The time to begin.
    pub start: Timestamp,
    /// The time to stop.
    pub end: Timestamp,
    /// The occupied hours in it: the start of the first and the end of the last.
    pub occupied: (Timestamp, Timestamp),
    /// The highest probability of its hours.
    pub peak: f64,
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
    /// Time from the start of a block to its first occupied hour, at most 12h; default: none
    #[param(example = "45m")]
    preheat: Option<String>,
    /// Time from the last occupied hour to the end of its block, at most 12h; default: none
    #[param(example = "30m")]
    setback_after: Option<String>,
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

/// Heating or ventilation blocks for the next 24 hours, as JSON or as a calendar
///
/// A block begins `preheat` before the first occupied hour and ends `setback_after` after the last one. Blocks that
/// touch are merged. With `format=ics` or `Accept: text/calendar` the answer is a calendar that clients can subscribe
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
    let snapshot = site.snapshot()?;
    let (origin, devices) = resolve(query.at.as_deref(), &query.device, &site, &snapshot)?;
    let preheat = query::duration("preheat", query.preheat.as_deref(), MAX_DURATION)?;
    let setback = query::duration("setback_after", query.setback_after.as_deref(), MAX_DURATION)?;
    let cost_miss = query::number("cost_miss", query.cost_miss.as_deref())?;
    let rule = match (cost_miss, query::number("cost_waste", query.cost_waste.as_deref())?) {
        (Some(miss), Some(waste)) => Some(Rule::Cost { miss, waste }),
        (None, None) => None,
        _ => return Err(Problem::parameter("cost_miss", "and cost_waste belong together")),
    };
    let media = if calendar_wanted { "text/calendar; charset=utf-8" } else { "application/json" };
    let bytes = work(move || {
        let calendar = &site.calendar;
        let Forecasts { grid, cells } = snapshot.forecasts(origin, &devices, calendar, &site.metrics)?;
        let models = &grid.loaded.models;
        let threshold = rule.map_or(models.threshold, |rule| rule.threshold(&models.site.out_of_sample)).0;
        let made = cells.iter().map(|cell| {
            let blocks = blocks(&cell.forecast.hours, threshold, preheat, setback, origin, calendar);
            (cell.forecast.device.as_str(), blocks)
        });
        if calendar_wanted {
            return Ok(ics::calendar(made, grid.made_at, calendar).into_bytes());
        }
        let schedule = Schedule {
            made_at: utc(grid.made_at),
            origin: calendar.rfc3339(origin),
            stale: grid.hourly.stale.is_some(),
            model: grid.model(calendar),
            rule: BlockRule { threshold, preheat_seconds: preheat, setback_after_seconds: setback },
            devices: made.map(|(device, blocks)| answer(device, &blocks, calendar)).collect(),
        };
        serde_json::to_vec(&schedule).map_err(Problem::internal)
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(media).body(bytes))
}

fn answer(device: &str, blocks: &[Block], calendar: &Calendar) -> DeviceSchedule {
    let block = |block: &Block| BlockAnswer {
        start: calendar.rfc3339(block.start),
        end: calendar.rfc3339(block.end),
        occupied_from: calendar.rfc3339(block.occupied.0),
        occupied_until: calendar.rfc3339(block.occupied.1),
        peak_probability: write::rounded(block.peak),
    };
    DeviceSchedule { device: device.to_owned(), blocks: blocks.iter().map(block).collect() }
}

/// Returns the blocks of a forecast. None begins before the origin, which would be too late to act on.
fn blocks(
    hours: &[HourForecast],
    threshold: f64,
    preheat: i64,
    setback: i64,
    origin: Timestamp,
    calendar: &Calendar,
) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for hour in hours.iter().filter(|hour| hour.probability >= threshold) {
        let from = calendar.start(hour.hour);
        let start = (from - preheat).max(origin.min(from));
        match blocks.last_mut() {
            Some(last) if start <= last.end => {
                last.end = from + HOUR + setback;
                last.occupied.1 = from + HOUR;
                last.peak = last.peak.max(hour.probability);
            }
            _ => blocks.push(Block {
                start,
                end: from + HOUR + setback,
                occupied: (from, from + HOUR),
                peak: hour.probability,
            }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_early_end_late_and_merge() {
        let hours: Vec<HourForecast> = [0.9, 0.1, 0.1, 0.8, 0.9, 0.1, 0.6]
            .iter()
            .zip(10..)
            .map(|(&probability, hour)| HourForecast { hour, probability, occupied: probability >= 0.5 })
            .collect();
        let calendar = Calendar::default();
        let spans = |preheat: i64, setback: i64| -> Vec<(i64, i64)> {
            let found = blocks(&hours, 0.5, preheat * 60, setback * 60, 10 * HOUR - 600, &calendar);
            found.iter().map(|block| (block.start / 60, block.end / 60)).collect()
        };
        assert_eq!(spans(0, 0), [(600, 660), (780, 900), (960, 1020)]);
        // The first cannot begin before the origin, ten minutes before its hour.
        assert_eq!(spans(45, 0), [(590, 660), (735, 900), (915, 1020)]);
        assert_eq!(spans(30, 30), [(590, 690), (750, 1050)]);
    }
}
