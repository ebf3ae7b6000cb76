//! Rows with time and device: a JSON array, one JSON object per line, or CSV.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::row::{JsonRow, STATE_NAMES};
use super::{kept, words};
use roomcast_forecast::calendar::{Calendar, EARLIEST_EVENT, Timestamp};
use roomcast_forecast::readings::TimeForm;
use roomcast_forecast::readings::field::{self, Clock};
use roomcast_forecast::readings::{ReadError, Records};
use roomcast_storage::readings::{Event, Kind};

/// Most rows of one body.
pub const MAX_ROWS: usize = 100_000;

/// Most bytes of a CSV row. A row of commas alone takes many times its length in memory.
pub const MAX_ROW_BYTES: usize = 64 << 10;

/// The name of a body in errors.
const BODY: &str = "the body";

/// Longest id of an event, in bytes.
const ID_LIMIT: usize = 128;

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A JSON array of objects, or one object.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// A header that names at least `time`, `device` and `state` (or `device_activated`), then one row per line.
    Csv,
}

/// The content of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The invalid rows, in order.
    pub refused: Vec<RefusedRow>,
}

/// An invalid row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Position from 1: the element of an array, or the line of a text (a CSV header is line 1).
    pub row: u64,
    /// The row as it arrived, a CSV row that fits the header as a JSON object; at most [`super::MAX_KEPT_BYTES`] bytes.
    pub payload: String,
    /// The reason why it is invalid.
    pub reason: String,
}

/// Reasons a body cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is not in its form.
    #[error("{0}")]
    Form(String),
    /// The body has too many rows.
    #[error("the body has more than {MAX_ROWS} rows")]
    TooMany,
}

/// Reads the rows of a body.
///
/// A row has these fields:
///
/// - `time`, as [`Calendar::parse`] reads it, or seconds or milliseconds since 1970, from 2001 on and at most a day ahead of the site's clock;
/// - `device`, 1 to 256 bytes of UTF-8 without control characters; spaces around it are cut off;
/// - `state`, `device_activated` or `activated`: `1`, `true`, `on`, `occupied` for motion, `0`, `false`, `off`, `vacant`
///   for its end; JSON may leave it out for motion;
/// - `id`, optional: the sender's id of the event, at most 128 bytes.
///
/// Other fields are ignored. A JSON row without a state is refused if another field may hold it, such as a misspelt one, a
/// boolean, a state word or a count.
///
/// # Errors
/// [`Unreadable`] when the body has no rows to judge one by one. Nothing of it is to be stored then.
pub fn read(media: Media, body: &[u8], calendar: &Calendar) -> Result<Rows, Unreadable> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = Reader {
        clock: Clock::new(calendar),
        latest: calendar.latest_event(),
        rows: Rows::default(),
        number: 0,
        read: 0,
    };
    match media {
        Media::Json => json(body, &mut reader)?,
        Media::Ndjson => ndjson(body, &mut reader)?,
        Media::Csv => csv(body, &mut reader)?,
    }
    Ok(reader.rows)
}

/// The rows read so far.
struct Reader<'a> {
    clock: Clock<'a>,
    latest: Timestamp,
    rows: Rows,
    /// The number of the present row.
    number: u64,
    /// Number of rows read.
    read: usize,
}

impl Reader<'_> {
    /// Begins a row.
    fn next(&mut self, number: u64) -> Result<(), Unreadable> {
        self.number = number;
        self.read += 1;
        if self.read > MAX_ROWS { Err(Unreadable::TooMany) } else { Ok(()) }
    }

    /// Ends the row.
    fn take(&mut self, event: Result<Event, String>, payload: impl FnOnce() -> String) {
        match event {
            Ok(event) => self.rows.events.push(event),
            Err(reason) => self.rows.refused.push(RefusedRow { row: self.number, payload: payload(), reason }),
        }
    }

    fn event(&mut self, time: &[u8], device: &[u8], motion: bool, id: Option<String>) -> Result<Event, String> {
        let instant = self.clock.text(time).or_else(|problem| match TimeForm::of_number(time) {
            Some(form) => form.read(time, &mut self.clock),
            None => Err(problem),
        });
        let instant = instant.map_err(|problem| match problem.hint {
            // The sender cannot give the server a zone.
            Some(field::ZONE_HINT) => {
                let found = &problem.found;
                format!(
                    "time: expected a local time without UTC offset, such as 2016-07-01 05:35:00, because this server was \
                     started without a time zone (--timezone), found {found:?}"
                )
            }
            _ => problem.to_string(),
        })?;
        if instant > self.latest {
            let found = field::excerpt(time);
            return Err(format!("time: expected no more than a day ahead of the site's clock, found {found:?}"));
        }
        if instant < EARLIEST_EVENT {
            let found = field::excerpt(time);
            return Err(format!("time: expected a year from 2001 on, as a clock that was set shows, found {found:?}"));
        }
        let device = field::name(field::trim(device)).map_err(|problem| problem.to_string())?.to_owned();
        let id = id.filter(|id| !id.is_empty());
        if id.as_ref().is_some_and(|id| id.len() > ID_LIMIT || id.contains(char::is_control)) {
            return Err("id: expected at most 128 bytes without control characters".into());
        }
        Ok(Event { device, time: instant, kind: if motion { Kind::Motion } else { Kind::Off }, id })
    }

    fn row(&mut self, row: Result<JsonRow<'_>, serde_json::Error>) -> Result<Event, String> {
        let JsonRow { time, device, motion, id } = row.map_err(|error| plain(&error))?;
        self.event(time.as_bytes(), device.as_bytes(), motion, id)
    }
}

/// Returns the message of a row's error without its position, which is always within the row.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

fn json(body: &[u8], reader: &mut Reader<'_>) -> Result<(), Unreadable> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| Unreadable::Form(error.to_string()))?;
    let body = body.trim_ascii();
    let mut take = |number, row: &[u8]| {
        reader.next(number)?;
        let event = reader.row(serde_json::from_slice(row));
        reader.take(event, || kept(row));
        Ok(())
    };
    if body.starts_with(b"{") {
        return take(1, body);
    }
    let Some(inner) = body.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) else {
        return Err(Unreadable::Form("expected an array of rows".into()));
    };
    (1..).zip(elements(inner)).try_for_each(|(number, row)| take(number, row))
}

/// Splits the text between the brackets of a valid array into its elements. They are not decoded, so they take no
/// memory, whatever their number and content.
fn elements(inner: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let parts = inner.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    });
    // Only an empty array has an empty part.
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

fn ndjson(body: &[u8], reader: &mut Reader<'_>) -> Result<(), Unreadable> {
    for (number, line) in (1..).zip(body.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            reader.next(number)?;
            let event = reader.row(serde_json::from_slice(line));
            reader.take(event, || kept(line));
        }
    }
    Ok(())
}

fn csv(body: &[u8], reader: &mut Reader<'_>) -> Result<(), Unreadable> {
    let mut input = Records::with_limit(body, b',', MAX_ROW_BYTES);
    let form = |error: ReadError| Unreadable::Form(error.to_string());
    input.header(BODY).map_err(form)?;
    let (record, width) = (&input.record, input.record.len());
    let column = |names: &[&str]| {
        let is = |cell: &[u8]| names.iter().any(|name| field::trim(cell).eq_ignore_ascii_case(name.as_bytes()));
        record.iter().position(is)
    };
    let state = STATE_NAMES.iter().find_map(|name| column(&[name]));
    let columns = (column(&["time"]), column(&["device"]), state, column(&["id"]));
    let (Some(time), Some(device), Some(activated), id) = columns else {
        let found = field::excerpt(&record.iter().collect::<Vec<_>>().join(&b','));
        return Err(Unreadable::Form(format!("expected the header time,device,device_activated, found {found:?}")));
    };
    let is_time = |cell: &[u8], clock: &mut Clock<'_>| clock.text(cell).is_ok() || TimeForm::of_number(cell).is_some();
    while input.next(BODY, |row| row.len() == width && is_time(&row[time], &mut reader.clock)).map_err(form)? {
        reader.next(input.line())?;
        let record = &input.record;
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let id = id.map(|at| String::from_utf8_lossy(field::trim(cell(at))).into_owned());
        let event = match record.len() == width {
            true => {
                motion(cell(activated)).and_then(|motion| reader.event(cell(time), cell(device), motion, id.clone()))
            }
            false if record.as_slice().contains(&b'\n') => Err(format!(
                "expected {width} fields, found {}, one of them with a quote that is not closed",
                record.len()
            )),
            false => Err(format!("expected {width} fields, found {}", record.len())),
        };
        reader.take(event, || match record.len() == width {
            true => object(cell(time), cell(device), cell(activated), id.as_deref()),
            false => kept(input.text().as_bytes()),
        });
    }
    Ok(())
}

/// Reads a cell as motion or none. The words of files are looked at first.
fn motion(cell: &[u8]) -> Result<bool, String> {
    let word = || words::read(std::str::from_utf8(cell).ok()?);
    field::motion(cell).or_else(|problem| word().ok_or_else(|| problem.to_string()))
}

/// Returns the cells of a row as the equivalent JSON object.
fn object(time: &[u8], device: &[u8], activated: &[u8], id: Option<&str>) -> String {
    let text = |cell: &[u8]| Value::from(kept(cell));
    let mut row =
        serde_json::json!({ "time": text(time), "device": text(device), "device_activated": text(activated) });
    if let Some(id) = id {
        row["id"] = text(id.as_bytes());
    }
    kept(row.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
