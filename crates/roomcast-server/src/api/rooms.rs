//! `/rooms`: the table of sensors, rooms, floors and buildings.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::predict::{prefers, work};
use super::readings::live;
use crate::api::predict::body;
use crate::http::access::auth::{self, Access, ReadAccess, WriteAccess};
use crate::http::decompress::{Encoding, decompress};
use crate::http::query::{NoParameters, Query};
use crate::jobs::rooms;
use crate::problem::{Code, Problem, Reply};
use crate::state::site::Site;
use crate::state::snapshot::History;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::ReadError;
use roomcast_forecast::rooms::{Assignment, Level, Rooms, RoomsError, local_time};
use roomcast_storage::readings::StoreError;

/// Seconds after which to try again when the store is unavailable.
const RETRY_SECONDS: u64 = 5;

/// The table of rooms.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rooms)]
pub struct RoomsBody {
    /// One entry per sensor and period; none where each sensor is a room.
    rooms: Vec<RoomRow>,
}

/// The table of rooms, and how it fits the readings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoomsAnswer)]
pub struct Answer {
    /// One entry per sensor and period, in order of sensor, then time.
    rooms: Vec<RoomRow>,
    /// Sensors with readings that are not in the table: each is its own room.
    unassigned: Vec<String>,
    /// Sensors of the table without readings.
    without_readings: Vec<String>,
}

/// A sensor in a room.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomRow {
    /// Name of the sensor, as in its readings.
    #[schema(example = "pir_17", min_length = 1)]
    sensor: String,
    /// Name of the room; it is occupied when any of its sensors is.
    #[schema(example = "Meeting room 2", min_length = 1)]
    room: String,
    /// The floor of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<String>,
    /// The building of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    building: Option<String>,
    /// The first instant at which the sensor is in this room; default: its first reading. A date means its midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The first instant at which the sensor is no longer in this room; default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

/// Parameters of `GET /rooms`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RoomsQuery {
    /// `json` or `csv`; takes precedence over `Accept`
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// The table of sensors, rooms, floors and buildings
///
/// Without a table each sensor is a room. As CSV the table has the columns `sensor,room,floor,building,from,to`, as
/// `PUT /rooms` takes it.
#[utoipa::path(
    get, path = "/rooms", operation_id = "rooms", tag = "rooms",
    params(RoomsQuery),
    responses(
        (status = 200, description = "The table", content((Answer = "application/json"), (String = "text/csv"))),
    ),
)]
pub async fn get(_: ReadAccess, Query(query): Query<RoomsQuery>, request: HttpRequest, site: Data<Site>) -> Reply {
    let as_csv = match query.format.as_deref() {
        Some("json") => false,
        Some("csv") => true,
        Some(other) => return Err(Problem::parameter("format", format!("expected json or csv, found {other:?}"))),
        None => prefers(&request, "text/csv"),
    };
    answer(&site, as_csv)
}

/// Replace the table of sensors, rooms, floors and buildings
///
/// The body is the whole table, as JSON or as CSV with the columns `sensor,room` and, as far as known,
/// `floor,building,from,to`; at most 8 MiB (32 MiB decompressed, with `Content-Encoding: gzip` or `zstd`). CSV may be in UTF-8,
/// UTF-16 or Windows-1252. A body without rows makes each sensor a room again. An invalid table changes
/// nothing. The table is kept in the store, and all servers of the store follow it. Forecasts are those of rooms from then
/// on; models are fitted again when they were fitted without a table. The token needs the scope `write`.
#[utoipa::path(
    put, path = "/rooms", operation_id = "replace_rooms", tag = "rooms",
    request_body(content(
        (RoomsBody = "application/json"),
        (String = "text/csv", example = "sensor,room,floor,building\npir_17,Meeting room 2,2,North\n"),
    )),
    responses(
        (status = 200, description = "The table is stored and in use", body = Answer),
    ),
)]
pub async fn put(
    _: WriteAccess,
    _: Query<NoParameters>,
    request: HttpRequest,
    site: Data<Site>,
    access: Data<Access>,
    body: Payload,
) -> Reply {
    live(&site)?;
    let level = site.settings.level;
    if level != Level::Room {
        let problem = Problem::new(Code::RoomsGiven, format!("the server keeps nothing below a {level}"));
        return Err(problem.hint("edit the file of --rooms, and start the server again"));
    }
    if site.settings.input.site.rooms.is_some() {
        let problem = Problem::new(Code::RoomsGiven, "the table of rooms is that of --rooms");
        return Err(problem.hint("edit that file, which the server reads again, or start the server without --rooms"));
    }
    let is_csv = match body::media(&request).as_str() {
        "application/json" => false,
        "text/csv" => true,
        other => {
            let problem =
                Problem::new(Code::UnsupportedMediaType, format!("the media type {other:?} is not supported"));
            return Err(problem.hint("send application/json or text/csv"));
        }
    };
    let encoding = Encoding::of(&request)?;
    let mut upload = access.uploads.admit(auth::caller(&request))?;
    let body = body::read(body, |bytes| upload.reserve(bytes)).await?;
    let shared = site.clone();
    work(move || {
        let body = decompress(encoding, body, |bytes| upload.reserve(bytes))?;
        let table = if is_csv { from_csv(&body, &shared.calendar)? } else { from_json(&body, &shared.calendar)? };
        let live = live(&shared)?;
        live.set_rooms(&table).map_err(|error| unavailable(&error))?;
        rooms::read_again(&shared).map_err(Problem::internal)
    })
    .await?;
    answer(&site, false)
}

fn answer(site: &Site, as_csv: bool) -> Reply {
    let (snapshot, calendar) = (site.snapshot()?, &site.calendar);
    let History { rooms, sensors, .. } = &*snapshot.history;
    if as_csv {
        return Ok(HttpResponse::Ok().content_type("text/csv; charset=utf-8").body(rooms.csv(calendar)));
    }
    let time = |instant: &Timestamp| local_time(*instant, calendar);
    let row = |row: &Assignment| RoomRow {
        sensor: row.sensor.clone(),
        room: row.room.clone(),
        floor: row.floor.clone(),
        building: row.building.clone(),
        from: row.from.as_ref().map(time),
        to: row.to.as_ref().map(time),
    };
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let unassigned = if rooms.is_empty() { Vec::new() } else { rooms.unassigned(sensors) };
    Ok(HttpResponse::Ok().json(Answer {
        rooms: rooms.assignments().iter().map(row).collect(),
        unassigned: names(unassigned),
        without_readings: names(rooms.without_readings(sensors)),
    }))
}

/// Reads a table from CSV, in the encodings of files. A workbook or an archive, which files may be, is no CSV.
fn from_csv(body: &[u8], calendar: &Calendar) -> Result<Rooms, Problem> {
    let found = match body {
        [0x1f, 0x8b, ..] => Some(("gzip", "name it in the header `Content-Encoding: gzip`, or send it uncompressed")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Some(("zstd", "name it in the header `Content-Encoding: zstd`, or send it uncompressed"))
        }
        [b'P', b'K', ..] => Some(("a workbook or an archive", "save the table as CSV")),
        _ => None,
    };
    if let Some((found, hint)) = found {
        let problem = Problem::new(Code::UnsupportedMediaType, format!("the body is {found} and not CSV"));
        return Err(problem.hint(hint));
    }
    Rooms::parse(body, "the table", calendar).map_err(|error| match error {
        RoomsError::Read(ReadError::Format { found, .. }) => {
            let problem = Problem::new(Code::UnsupportedMediaType, format!("the body is {found} and not CSV"));
            problem.hint("send text/csv, or JSON as application/json")
        }
        error => invalid(&error),
    })
}

fn from_json(body: &[u8], calendar: &Calendar) -> Result<Rooms, Problem> {
    let RoomsBody { rooms } =
        serde_json::from_slice(body).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))?;
    let row = |(at, row): (usize, RoomRow)| {
        let time =
            |column: &str, text: Option<String>| text.map(|text| instant(at, column, &text, calendar)).transpose();
        let (from, to) = (time("from", row.from)?, time("to", row.to)?);
        // As in files.
        let trimmed = |name: String| name.trim().to_owned();
        let given = |name: Option<String>| name.map(trimmed).filter(|name| !name.is_empty());
        let (floor, building) = (given(row.floor), given(row.building));
        Ok::<_, Problem>(Assignment { sensor: trimmed(row.sensor), room: trimmed(row.room), floor, building, from, to })
    };
    let rows = rooms.into_iter().enumerate().map(row).collect::<Result<Vec<_>, _>>()?;
    Rooms::new(rows).map_err(|error| invalid(&error))
}

/// Reads a local time, RFC 3339, or a date for its midnight.
fn instant(at: usize, column: &str, text: &str, calendar: &Calendar) -> Result<Timestamp, Problem> {
    let whole = if text.parse::<chrono::NaiveDate>().is_ok() { format!("{text} 00:00:00") } else { text.to_owned() };
    let wrong = |error| Problem::new(Code::InvalidBody, format!("rooms[{at}].{column}: {error}"));
    calendar.parse(&whole).map_err(wrong)
}

/// Returns the problem of a table; messages end in a line `hint: …`, as far as there is one.
fn invalid(error: &RoomsError) -> Problem {
    let message = error.to_string();
    match message.split_once("\nhint: ") {
        Some((what, hint)) => Problem::new(Code::InvalidBody, what).hint(hint),
        None => Problem::new(Code::InvalidBody, message),
    }
}

fn unavailable(error: &StoreError) -> Problem {
    if error.is_temporary() {
        return Problem::new(Code::StoreUnavailable, "the table could not be stored").retry_after(RETRY_SECONDS);
    }
    Problem::internal(error)
}
