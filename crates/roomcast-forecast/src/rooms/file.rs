//! `rooms.csv`: reading, checking and writing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use chrono::{NaiveDate, NaiveTime};

use super::{Assignment, Rooms, RoomsError, Source};
use crate::calendar::{Calendar, Timestamp};
use crate::readings::field::{excerpt, name, trim};
use crate::readings::{ReadError, each_record};

/// The columns of the file.
const COLUMNS: [&str; 6] = ["sensor", "room", "floor", "building", "from", "to"];

/// Other names of the columns, German and French.
const OTHER_NAMES: [&[&str]; COLUMNS.len()] = [
    &["capteur"],
    &["raum", "pièce", "piece"],
    &["etage", "stockwerk", "étage"],
    &["gebäude", "gebaeude", "bâtiment", "batiment"],
    &["von", "de", "du"],
    &["bis", "à", "au"],
];

/// Number of columns that must be there and have a value in each row.
const REQUIRED: usize = 2;

/// Most rows of a table.
pub const MAX_ROWS: usize = 1 << 20;

impl Rooms {
    /// Reads a table from a file, or from standard input for `-`: text with a header that names the columns `sensor` and
    /// `room`, and as far as they are known `floor`, `building`, `from` and `to`, in any order and any case. Commas,
    /// semicolons or tabs stand between the cells. Names of columns may also be German or French. `from` and `to` are local
    /// dates, for their midnights, or times; a period includes its first instant and not its last. Packed files, UTF-16,
    /// Windows-1252 and Excel workbooks are read like readings.
    ///
    /// # Errors
    /// [`RoomsError`] names the file, and the line and column of the first fault.
    pub fn read(path: &Path, calendar: &Calendar) -> Result<Rooms, RoomsError> {
        let file = path.to_string_lossy();
        if path == Path::new("-") {
            return Rooms::parse(io::stdin().lock(), "-", calendar);
        }
        let source = File::open(path).map_err(|error| ReadError::io(&file, error))?;
        Rooms::parse(source, &file, calendar)
    }

    /// Reads a table as [`Rooms::read`] does; messages name it `file`.
    ///
    /// # Errors
    /// As [`Rooms::read`].
    pub fn parse(source: impl Read, file: &str, calendar: &Calendar) -> Result<Rooms, RoomsError> {
        let mut places: Option<[Option<usize>; COLUMNS.len()]> = None;
        let (table, mut width, mut rows) = (Source::File(file.to_owned()), 0, Vec::new());
        each_record(source, file, |line, record| {
            let Some(places) = &places else {
                width = record.len();
                places = Some(header(file, line, record.iter())?);
                return Ok(());
            };
            if record.len() != width {
                return Err(RoomsError::Width { file: file.to_owned(), line, expected: width, found: record.len() });
            }
            if rows.len() == MAX_ROWS {
                return Err(RoomsError::Long { file: file.to_owned(), line, most: MAX_ROWS });
            }
            let cell = |at: usize| places[at].map_or(&b""[..], |place| trim(&record[place]));
            rows.push((line, row(&table, line, cell, calendar)?));
            Ok(())
        })?;
        if places.is_none() {
            return Err(RoomsError::Header { file: file.to_owned(), line: 1, count: "no", column: COLUMNS[0] });
        }
        Rooms::checked(&table, rows)
    }

    /// Returns the table as a file with all columns, in order of sensor, then time.
    pub fn csv(&self, calendar: &Calendar) -> Vec<u8> {
        let mut out = csv::Writer::from_writer(Vec::new());
        // Writing to memory cannot fail.
        let _ = out.write_record(COLUMNS);
        for row in &self.assignments {
            let time =
                |instant: Option<Timestamp>| instant.map_or(String::new(), |instant| local_time(instant, calendar));
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            let (from, to) = (time(row.from), time(row.to));
            let (floor, building) = (name(&row.floor), name(&row.building));
            let _ = out.write_record([&row.sensor, &row.room, &floor, &building, &from, &to]);
        }
        out.into_inner().unwrap_or_default()
    }
}

/// Returns a time as a table holds it: local, with its offset where the local time occurs twice.
pub fn local_time(instant: Timestamp, calendar: &Calendar) -> String {
    let local = calendar.format(instant);
    if calendar.parse(&local).is_ok_and(|read| read == instant) { local } else { calendar.rfc3339(instant) }
}

/// Checks the names of a row that is not from a file.
pub(super) fn check(position: u64, row: &Assignment) -> Result<(), RoomsError> {
    let names = [Some(&row.sensor), Some(&row.room), row.floor.as_ref(), row.building.as_ref()];
    let mut names = names.into_iter().enumerate().filter_map(|(at, name)| Some((at, name?)));
    names.try_for_each(|(at, name)| checked_name(&Source::List, position, at, name.as_bytes()).map(|_| ()))
}

/// Returns the column that a cell of the header names.
fn column(cell: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(trim(cell)).to_lowercase();
    (0..COLUMNS.len()).find(|&at| COLUMNS[at] == text || OTHER_NAMES[at].contains(&text.as_str()))
}

/// Returns the place of each column in the header.
fn header<'a>(
    file: &str,
    line: u64,
    cells: impl Iterator<Item = &'a [u8]>,
) -> Result<[Option<usize>; COLUMNS.len()], RoomsError> {
    let error = |count, column| RoomsError::Header { file: file.to_owned(), line, count, column };
    let mut places = [None; COLUMNS.len()];
    let cells: Vec<_> = cells.collect();
    if let Some(first) = cells.first().filter(|_| cells.iter().all(|cell| column(cell).is_none())) {
        return Err(RoomsError::NoHeader { file: file.to_owned(), line, found: excerpt(first) });
    }
    for (place, cell) in cells.into_iter().enumerate() {
        let Some(at) = column(cell) else {
            return Err(RoomsError::Cell {
                table: Source::File(file.to_owned()),
                row: line,
                column: "header",
                expected: "sensor, room, floor, building, from or to".into(),
                found: excerpt(cell),
            });
        };
        if places[at].replace(place).is_some() {
            return Err(error("more than one", COLUMNS[at]));
        }
    }
    match (0..REQUIRED).find(|&at| places[at].is_none()) {
        Some(at) => Err(error("no", COLUMNS[at])),
        None => Ok(places),
    }
}

/// Reads a row from its cells, in the order of [`COLUMNS`].
fn row<'a>(
    table: &Source,
    line: u64,
    cell: impl Fn(usize) -> &'a [u8],
    calendar: &Calendar,
) -> Result<Assignment, RoomsError> {
    let optional = |at: usize| {
        let cell = cell(at);
        (!cell.is_empty()).then(|| checked_name(table, line, at, cell).map(str::to_owned)).transpose()
    };
    let time = |at: usize| {
        let cell = cell(at);
        (!cell.is_empty()).then(|| instant(table, line, at, cell, calendar)).transpose()
    };
    Ok(Assignment {
        sensor: checked_name(table, line, 0, cell(0))?.to_owned(),
        room: checked_name(table, line, 1, cell(1))?.to_owned(),
        floor: optional(2)?,
        building: optional(3)?,
        from: time(4)?,
        to: time(5)?,
    })
}

/// Reads a name by the rules of devices' names.
fn checked_name<'a>(table: &Source, line: u64, at: usize, cell: &'a [u8]) -> Result<&'a str, RoomsError> {
    name(cell).map_err(|problem| fault(table, line, at, &problem.expected.replace("device name", "name"), cell))
}

/// Reads a local time, or a date for its midnight. A date may also be written as DD.MM.YYYY.
fn instant(table: &Source, line: u64, at: usize, cell: &[u8], calendar: &Calendar) -> Result<Timestamp, RoomsError> {
    let text = String::from_utf8_lossy(cell);
    let (day, of_day) = text.split_once(' ').unwrap_or((&*text, ""));
    let text = match NaiveDate::parse_from_str(day, "%d.%m.%Y") {
        Ok(date) => format!("{date} {of_day}").trim_end().to_owned(),
        Err(_) => text.into_owned(),
    };
    let date: Option<NaiveDate> = text.parse().ok().filter(|_| text.len() == "2016-08-31".len());
    let read = match date {
        // A year that the calendar does not know is refused as a time is.
        Some(_) => calendar.parse(&format!("{text} {}", NaiveTime::MIN)),
        None => calendar.parse(&text),
    };
    read.map_err(|_| fault(table, line, at, "a date as YYYY-MM-DD or a time as YYYY-MM-DD HH:MM:SS", cell))
}

fn fault(table: &Source, line: u64, at: usize, expected: &str, found: &[u8]) -> RoomsError {
    let (table, column) = (table.clone(), COLUMNS[at]);
    RoomsError::Cell { table, row: line, column, expected: expected.to_owned(), found: excerpt(found) }
}
