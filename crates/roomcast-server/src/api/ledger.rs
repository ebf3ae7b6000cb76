//! `GET /ledger`: what the stored schedules were worth, beside other ways to decide.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::prefers_csv;
use crate::http::access::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::{self, Query};
use crate::problem::Reply;
use crate::state::site::Site;
use roomcast_forecast::decisions::live::{self, DaySums, MAX_DAYS, POLICIES, date};
use roomcast_forecast::decisions::policies::Sums;

/// Days without a number.
const DEFAULT_DAYS: u32 = 30;

/// Schedules of the last days beside other ways to decide when rooms are on.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerAnswer {
    /// The timetable of rooms without one of their own; null if the server was started without one.
    timetable: Option<String>,
    /// Number of days, with less than asked for while the server has not run for as long.
    days: usize,
    /// The policies over all days: timetable (if there is one), reactive, schedule, hindsight.
    policies: Vec<LedgerPolicy>,
    /// The days, ascending.
    by_day: Vec<LedgerDay>,
}

/// The policies on one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerDay {
    /// The local date.
    #[schema(example = "2016-08-31")]
    date: String,
    /// The policies on this day.
    policies: Vec<LedgerPolicy>,
}

/// Hours of one policy, over all rooms. Hours count of which it is known whether they were occupied.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerPolicy {
    /// Its name: `timetable`, `reactive`, `schedule` or `hindsight`.
    policy: &'static str,
    /// All hours.
    hours: f64,
    /// Occupied hours.
    occupied_hours: f64,
    /// Hours on.
    hours_on: f64,
    /// Hours on in vacant hours.
    empty_hours_on: f64,
    /// Occupied hours in which the room was not ready.
    missed_hours: f64,
    /// Share of the occupied hours that this is; null without an occupied hour.
    missed_share: Option<f64>,
    /// Number of times that a room was switched on.
    starts: f64,
}

/// Parameters of `GET /ledger`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LedgerQuery {
    /// Number of days up to the last that is over; default: 30
    #[param(value_type = Option<i32>, minimum = 1, maximum = 366)]
    days: Option<String>,
    /// `json` or `csv`; takes precedence over `Accept`
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// The worth of the schedules of the last days, beside other ways to decide
///
/// A schedule is stored at midnight, before its hours, and never computed again. When its day is over it is held against
/// the hours that were observed, beside the timetable of `serve --timetable`, switching on at motion, and hindsight. As CSV
/// there is one line per day and policy.
#[utoipa::path(
    get, path = "/ledger", operation_id = "ledger", tag = "forecasts",
    params(LedgerQuery),
    responses(
        (status = 200, description = "The policies", content((LedgerAnswer = "application/json"), (String = "text/csv"))),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn get(_: ReadAccess, Query(query): Query<LedgerQuery>, request: HttpRequest, site: Data<Site>) -> Reply {
    let as_csv = prefers_csv(&request, query.format.as_deref())?;
    let days = query::whole("days", query.days.as_deref(), DEFAULT_DAYS, MAX_DAYS as u32)? as i32;
    let ledger = site.ledger();
    let known: Vec<(i32, DaySums)> = ledger.days(days).map(|(day, &sums)| (day, sums)).collect();
    drop(ledger);
    let by_day: Vec<LedgerDay> =
        known.iter().map(|(day, sums)| LedgerDay { date: date(*day), policies: policies(sums) }).collect();
    if as_csv {
        return Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .body(live::csv(known.iter().map(|(day, sums)| (*day, sums)))));
    }
    let timetables = site.settings.timetables.as_ref();
    let answer = LedgerAnswer {
        timetable: timetables.map(|timetables| timetables.site.to_string()),
        days: by_day.len(),
        policies: policies(&DaySums::total(known.iter().map(|(_, sums)| sums))),
        by_day,
    };
    etag::json(&request, &answer)
}

/// Returns the policies of which there are sums.
fn policies(sums: &DaySums) -> Vec<LedgerPolicy> {
    let policy = |(policy, sums): (&&'static str, &Option<Sums>)| {
        let Sums { hours, occupied, on, empty_on, missed, starts } = (*sums)?;
        Some(LedgerPolicy {
            policy,
            hours,
            occupied_hours: occupied,
            hours_on: on,
            empty_hours_on: empty_on,
            missed_hours: missed,
            missed_share: (occupied > 0.0).then(|| missed / occupied),
            starts,
        })
    };
    POLICIES.iter().zip(&sums.policies).filter_map(policy).collect()
}
