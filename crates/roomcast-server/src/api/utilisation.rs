//! `GET /utilisation`: the use of rooms over weeks.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{prefers_csv, work};
use crate::http::access::auth::ReadAccess;
use crate::http::query::{self, Query};
use crate::problem::{Problem, Reply};
use crate::state::site::Site;
use roomcast_forecast::decisions::timetable::Timetable;
use roomcast_forecast::utilisation;

/// Weeks without a number.
const DEFAULT_WEEKS: u32 = 8;

/// Most weeks.
const MAX_WEEKS: u32 = 104;

/// The use of all rooms.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the schema of utilisation::Report, which does not depend on HTTP")]
pub struct UtilisationReport {
    /// First local date.
    #[schema(example = "2016-07-04")]
    from: String,
    /// Last local date.
    #[schema(example = "2016-08-28")]
    to: String,
    /// The working hours.
    work_hours: String,
    /// All rooms together, without a name.
    site: Utilisation,
    /// The rooms, floors or buildings, in order of name.
    rooms: Vec<Utilisation>,
}

/// The use of one room, or of all rooms of a floor or building. Hours count of which it is known whether they were occupied.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the schema of utilisation::Utilisation, which does not depend on HTTP")]
pub struct Utilisation {
    /// The name of the device, room, floor or building.
    device: String,
    /// Number of working hours.
    work_hours: u32,
    /// Number of these that were occupied.
    used_work_hours: u32,
    /// Share of the working hours that were occupied; null if none is known.
    used_share: Option<f64>,
    /// Number of occupied hours, at any time.
    used_hours: u32,
    /// Share of all hours of which it is not known whether they were occupied.
    unknown_share: f64,
    /// Local hour of day that was occupied on most working days; null without an occupied hour.
    #[schema(maximum = 23)]
    peak_hour: Option<u8>,
    /// Share of the working days on which it was occupied.
    peak_share: Option<f64>,
    /// Weekday with most hours in use for each such day, Monday 0; null without an occupied hour.
    #[schema(maximum = 6)]
    peak_weekday: Option<u8>,
    /// Change of the used share of working hours by week; null with less than four weeks.
    trend: Option<f64>,
    /// Half the width of the trend's 95 % interval. A trend within it is no more than chance explains.
    trend_noise: Option<f64>,
    /// True if no hour was occupied, although some are known.
    is_never_used: bool,
}

/// Parameters of `GET /utilisation`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UtilisationQuery {
    /// Number of whole weeks before today; default: 8
    #[param(value_type = Option<u32>, minimum = 1, maximum = 104)]
    weeks: Option<String>,
    /// Working hours, in the form of a timetable; default: `mon-fri 08:00-18:00`. Holidays and closures have none
    #[param(example = "mon-fri 08:00-18:00")]
    work_hours: Option<String>,
    /// `room`, `floor` or `building`: sums of the rooms of each floor or building; default: `room`
    #[param(pattern = "^(room|floor|building)$")]
    level: Option<String>,
    /// `json` or `csv`; takes precedence over `Accept`
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// The use of each room over weeks: share of working hours, peak, trend
///
/// The weeks end at the last midnight before the present. A floor or building has the sums of its rooms; a room on no floor
/// counts in those of the site alone. As CSV there is one line per room, floor or building.
#[utoipa::path(
    get, path = "/utilisation", operation_id = "utilisation", tag = "devices",
    params(UtilisationQuery),
    responses(
        (status = 200, description = "The use of the rooms", content(
            (UtilisationReport = "application/json"), (String = "text/csv"),
        )),
    ),
)]
pub async fn get(
    _: ReadAccess,
    Query(query): Query<UtilisationQuery>,
    request: HttpRequest,
    site: Data<Site>,
) -> Reply {
    let as_csv = prefers_csv(&request, query.format.as_deref())?;
    let weeks = query::whole("weeks", query.weeks.as_deref(), DEFAULT_WEEKS, MAX_WEEKS)?;
    let level = query::level(query.level.as_deref())?;
    let hours: Timetable = query.work_hours.as_deref().unwrap_or(utilisation::DEFAULT_WORK_HOURS).parse().map_err(
        |error: roomcast_forecast::decisions::timetable::TimetableError| Problem::parameter("work_hours", error),
    )?;
    let snapshot = site.snapshot()?;
    snapshot.history.check_level(level)?;
    let (media, body) = work(move || {
        let grid = snapshot.present_grid(&site.calendar);
        let report = utilisation::report(&grid.hourly, (&snapshot.history.rooms, level), weeks, &hours, &site.calendar);
        if as_csv {
            return Ok(("text/csv; charset=utf-8", utilisation::csv(&report)));
        }
        Ok(("application/json", serde_json::to_vec(&report).map_err(Problem::internal)?))
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(media).body(body))
}
