//! `POST /predict`: a forecast for a history in the request, which is not stored.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, rt};
use futures_core::Stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::api::predict::{prefers, work};
use crate::http::access::auth::{self, Access, ReadAccess};
use crate::http::query::{self, Query};
use crate::ingest::payload::row::{JsonRow, STATE_NAMES};
use crate::ingest::payload::rows::{MAX_ROW_BYTES, is_line};
use crate::ingest::payload::words;
use crate::problem::{Code, Problem, Reply};
use crate::state::answer::Forecast;
use crate::state::grid::{Forecasts, Grid};
use crate::state::site::Site;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::hourly::HORIZON;
use roomcast_forecast::readings::{DeviceReadings, ReadError, Readings, Records, in_order};
use roomcast_forecast::rooms::Level;

/// Maximum size of a body, bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// Longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest pause without a byte of a body, and the bytes per second that must arrive after it.
const MAX_PAUSE: Duration = Duration::from_secs(10);
const MIN_RATE: u64 = 1 << 10;
/// Longest history, hours.
const MAX_HOURS: i64 = 3 * 366 * 24;
/// Maximum number of hours of all devices together.
const MAX_CELLS: i64 = 2_000_000;
/// Length of a device name in bytes, as in files.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=256;

/// A history, and the instant of the forecast.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema of a body, which is read as JsonBody")]
pub struct HistoryBody {
    /// The instant the forecast is made at; default: the end of the hour of the last reading.
    at: Option<String>,
    /// Readings of the sensors, in any order.
    readings: Vec<Reading>,
}

/// A sensor that detected motion, or reported that there is none.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the schema of a row, which is read as in POST /readings")]
pub struct Reading {
    /// Time of the event: local time `YYYY-MM-DD HH:MM:SS`, or RFC 3339.
    #[schema(example = "2016-07-01 05:35:00")]
    time: String,
    /// Name of the device: 1 to 256 bytes without control characters.
    #[schema(example = "device_1", min_length = 1)]
    device: String,
    /// 1 for motion; 0 for its end, which shows that the sensor is alive; default: 1. Another accepted name is
    /// `device_activated`. Fields of other names are ignored.
    #[schema(minimum = 0, maximum = 1)]
    state: Option<u8>,
}

/// A body in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBody<'a> {
    at: Option<String>,
    #[serde(borrow)]
    readings: Vec<JsonRow<'a>>,
}

/// Parameters of `POST /predict`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The instant the forecast is made at, if the body names none
    at: Option<String>,
}

/// A forecast for a history in the body
///
/// Nothing is stored. The history is JSON or CSV (`time,device,state`) of at most 8 MiB. Devices that the
/// models know by name are forecast by their own models, other devices by those of the building. With a table of rooms
/// the answer is about rooms, as that of `GET /predict`.
#[utoipa::path(
    post, path = "/predict", operation_id = "predict_history", tag = "forecasts",
    params(HistoryQuery),
    request_body(content(
        (HistoryBody = "application/json"),
        (String = "text/csv", example = "time,device,device_activated\n2016-07-01 05:35:00,device_1,1\n"),
    )),
    responses(
        (status = 200, description = "The forecast", content((Forecast = "application/json"), (String = "text/csv"))),
    ),
)]
pub async fn post(
    _: ReadAccess,
    Query(query): Query<HistoryQuery>,
    request: HttpRequest,
    site: Data<Site>,
    access: Data<Access>,
    body: Payload,
) -> Reply {
    let csv = match media(&request).as_str() {
        "application/json" => false,
        "text/csv" => true,
        other => {
            let problem =
                Problem::new(Code::UnsupportedMediaType, format!("the media type {other:?} is not supported"));
            return Err(problem.hint("send application/json or text/csv"));
        }
    };
    let snapshot = site.snapshot()?;
    let answer_csv = prefers(&request, "text/csv");
    let mut upload = access.uploads.admit(auth::caller(&request))?;
    let body = read(body, |bytes| upload.reserve(bytes)).await?;
    // A computation keeps its permit until it ends, also after the client has gone away.
    let permit = upload.start().await?;
    let media = if answer_csv { "text/csv; charset=utf-8" } else { "application/json" };
    let bytes = work(move || {
        let _until_done = (upload, permit);
        let calendar = &site.calendar;
        let ParsedBody { rows, at } = if csv { from_csv(&body, calendar)? } else { from_json(&body, calendar)? };
        let mut readings = readings(rows);
        let offs: Vec<Timestamp> = readings.devices.iter().flat_map(|device| &device.offs).collect();
        readings.take_quiet();
        let origin = match at.map_or_else(|| query::time("at", query.at.as_deref(), calendar), |at| Ok(Some(at)))? {
            Some(at) => at,
            None => {
                readings.active_period(calendar.latest()).map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1))
            }
        };
        let mut known = readings.before(origin);
        check(&known, origin, calendar)?;
        let rooms = &snapshot.history.rooms;
        if !rooms.is_empty() {
            known = rooms.readings(&known, Level::Room, calendar, origin);
        }
        let _one = access.uploads.forecasting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let heard = offs.into_iter().filter(|&time| time < origin).max();
        let grid = Grid::new(&known, calendar, origin, heard, snapshot.loaded.clone());
        let all: Vec<usize> = (0..grid.hourly.devices.len()).collect();
        let cells = grid.cells(&all, calendar, &site.metrics)?;
        Forecasts { grid: grid.into(), cells }.render(answer_csv, calendar)
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(media).body(bytes))
}

/// Returns the media type of the body, without parameters.
pub(crate) fn media(request: &HttpRequest) -> String {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body as it arrives. Calls `reserve` for the memory of each chunk, so a client cannot take memory by
/// announcing a large body.
///
/// # Errors
/// Returns [`Code::BodyTooLarge`], [`Code::InvalidBody`] for an incomplete body, [`Code::RequestTimeout`] for one that
/// arrives too slowly, and the errors of `reserve`.
pub(crate) async fn read(
    mut body: Payload,
    mut reserve: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let watch = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let patience = MAX_PAUSE.min(BODY_TIMEOUT.saturating_sub(watch.elapsed()));
        let next = poll_fn(|context| Pin::new(&mut body).poll_next(context));
        match rt::time::timeout(patience, next).await {
            Ok(Some(Ok(chunk))) => {
                if bytes.len() + chunk.len() > MAX_BYTES {
                    let why = format!("a body has at most {} MiB", MAX_BYTES >> 20);
                    return Err(Problem::new(Code::BodyTooLarge, why));
                }
                reserve(chunk.len())?;
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(Err(error))) => {
                return Err(Problem::new(Code::InvalidBody, format!("the body is incomplete: {error}")));
            }
            Ok(None) => return Ok(bytes),
            Err(_) => {
                let took = watch.elapsed().as_secs();
                let why = format!("only {} bytes of the body arrived within {took} s", bytes.len());
                return Err(Problem::new(Code::RequestTimeout, why));
            }
        }
        if watch.elapsed() > MAX_PAUSE && (bytes.len() as u64) < MIN_RATE * watch.elapsed().as_secs() {
            let why = format!("the body arrived at less than {MIN_RATE} bytes a second");
            return Err(Problem::new(Code::RequestTimeout, why));
        }
    }
}

/// A parsed body.
#[derive(Default)]
struct ParsedBody {
    /// Time and device of each row, and whether it is motion.
    rows: Vec<(Timestamp, String, bool)>,
    /// The instant of the forecast, if the body names one.
    at: Option<Timestamp>,
}

fn from_json(body: &[u8], calendar: &Calendar) -> Result<ParsedBody, Problem> {
    let body_fields: JsonBody<'_> =
        serde_json::from_slice(body).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))?;
    let at = query::time("at", body_fields.at.as_deref(), calendar)?;
    let mut parsed = ParsedBody { at, ..ParsedBody::default() };
    for (at, reading) in body_fields.readings.into_iter().enumerate() {
        let place = || format!("readings[{at}]");
        let time = calendar.parse(&reading.time).map_err(|error| wrong(&place(), error))?;
        let device = name(&reading.device).map_err(|why| wrong(&place(), why))?;
        parsed.rows.push((time, device, reading.motion));
    }
    Ok(parsed)
}

fn from_csv(body: &[u8], calendar: &Calendar) -> Result<ParsedBody, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut input = Records::with_limit(body, b',', MAX_ROW_BYTES);
    let failed = |error: ReadError| wrong("the body", error);
    input.header("CSV").map_err(failed)?;
    let width = input.record.len();
    let mut columns = [0; 3];
    let names: [&[&str]; 3] = [&["time"], &["device"], &STATE_NAMES];
    for (column, names) in columns.iter_mut().zip(names) {
        let position =
            |name: &&str| input.record.iter().position(|cell| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        let found = names.iter().find_map(position);
        *column = found.ok_or_else(|| wrong("the header", format!("there is no column {}", names[0])))?;
    }
    let text = |cell: Option<&[u8]>| std::str::from_utf8(cell.unwrap_or_default()).map(|text| text.trim().to_owned());
    let is_time = |cell: Option<&[u8]>| text(cell).is_ok_and(|text| calendar.parse(&text).is_ok());
    let mut parsed = ParsedBody::default();
    while input
        .next("CSV", |row| is_time(row.get(columns[0])) && (row.len() == width || is_line(row.as_slice())))
        .map_err(failed)?
    {
        let place = || format!("line {}", input.line());
        if input.record.len() != width {
            return Err(wrong(&place(), format!("expected {width} fields, found {}", input.record.len())));
        }
        let [time, device, state] = columns.map(|at| text(input.record.get(at)));
        let utf8 = |_| wrong(&place(), "expected UTF-8");
        let (time, device, state) = (time.map_err(utf8)?, device.map_err(utf8)?, state.map_err(utf8)?);
        let time = calendar.parse(&time).map_err(|error| wrong(&place(), error))?;
        let device = name(&device).map_err(|why| wrong(&place(), why))?;
        match words::read(&state) {
            Some(motion) => parsed.rows.push((time, device, motion)),
            None => return Err(wrong(&place(), format!("state: {}", words::expected(&state)))),
        }
    }
    Ok(parsed)
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match NAME_BYTES.contains(&name.len()) && !name.contains(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err("device: expected 1 to 256 bytes without control characters".into()),
    }
}

fn wrong(place: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidBody, format!("{place}: {why}"))
}

/// Returns rows in any order as readings: by device, in order, each second once.
fn readings(rows: Vec<(Timestamp, String, bool)>) -> Readings {
    let mut devices: BTreeMap<String, [Vec<Timestamp>; 2]> = BTreeMap::new();
    for (time, device, is_motion) in rows {
        devices.entry(device).or_default()[usize::from(!is_motion)].push(time);
    }
    let device = |(device, [times, offs]): (String, [Vec<Timestamp>; 2])| DeviceReadings {
        device,
        times: times.into(),
        offs: offs.into(),
    };
    in_order(devices.into_iter().map(device).collect())
}

/// Checks that a forecast of this history takes a bounded time.
fn check(known: &Readings, origin: Timestamp, calendar: &Calendar) -> Result<(), Problem> {
    let Some((first, _)) = known.active_period(origin) else {
        return Err(Problem::new(Code::OutOfRange, format!("there is no reading before {}", calendar.format(origin))));
    };
    let hours = (origin - first) / HOUR + HORIZON as i64;
    if hours > MAX_HOURS {
        let why = format!("the history covers {hours} hours up to the origin, {MAX_HOURS} are allowed");
        return Err(Problem::new(Code::HistoryTooLarge, why).hint("send the last weeks, and an instant near them"));
    }
    let cells = hours * known.devices.len() as i64;
    if cells > MAX_CELLS {
        let why =
            format!("{} devices over {hours} hours are {cells} hours, {MAX_CELLS} are allowed", known.devices.len());
        return Err(Problem::new(Code::HistoryTooLarge, why).hint("send fewer devices at a time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_is_not_closed_hides_no_row() {
        let read = |body: &str| from_csv(body.as_bytes(), &Calendar::default()).map(|parsed| parsed.rows.len()).ok();
        let row = "2016-07-01 05:35:00,hall,1";
        assert_eq!(read(&format!("time,device,state,note\n{row},\"late\n{row},ok\n{row},\"two\nlines\"\n")), Some(3));
        assert_eq!(read(&format!("time,device,state,note\n{row},\"late\n{row},ok\n")), Some(2));
        assert_eq!(read(&format!("time,device,state\n{row}\n2016-07-01 05:36:00,\"hall,1\n{row}\n")), None);
        assert_eq!(read(&format!("time,device,state{}\n{row}\n", ",".repeat(1 << 20))), None);
    }
}
