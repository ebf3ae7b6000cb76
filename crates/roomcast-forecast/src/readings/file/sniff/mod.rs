//! The layout of a text, found from its beginning and from what the caller says.

mod columns;
pub mod header;
mod layout;
mod remark;
mod time;

use csv::ByteRecord;

use super::error::{ReadError, Snippet};
use super::field::{Clock, excerpt, trim};
use super::source::Records;
use crate::calendar::{Calendar, HOUR, Timestamp};
use columns::Roles;
use time::Forms;

pub use header::contract_columns as find_contract;
pub use layout::{Columns, Delimiter, Layout};
pub use time::{TimeForm, units_per_second};

/// Separators that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Most rows that are looked at for the separator.
const DELIMITER_ROWS: usize = 50;

/// Number of rows from whose distance the length of intervals is found.
const LENGTH_ROWS: usize = 9;

/// Seconds of the longest interval. Rows that are further apart are not intervals.
const MAX_LENGTH: Timestamp = 24 * HOUR;

/// A text's layout.
#[derive(Debug)]
pub struct Taken {
    pub delimiter: u8,
    /// Rows above the first reading: the header, and perhaps a line that names the separator.
    pub skip: usize,
    /// Names of the columns, or their positions where there is no header.
    pub names: Vec<String>,
    pub time: TimeColumn,
    pub shape: Shape,
    /// The value above which a room is occupied; without it values are states.
    pub occupied_above: Option<f64>,
    /// One line that says what was taken for what.
    pub remark: String,
}

/// The column of the times.
#[derive(Debug)]
pub struct TimeColumn {
    pub at: usize,
    /// The column of the time of day, where the other holds the date alone.
    pub clock: Option<usize>,
    pub form: TimeForm,
}

/// The arrangement of readings in rows.
#[derive(Debug)]
pub enum Shape {
    /// A row for each reading. Without a column of states each row is motion.
    Long { device: usize, value: Option<usize> },
    /// A column for each room, a row for each interval.
    Wide {
        rooms: Vec<usize>,
        /// Seconds of an interval; 0 where rows have no even distance.
        length: Timestamp,
        /// True when the time of a row is the end of its interval.
        is_end: bool,
    },
}

/// The first rows of a text.
struct Sample<'a> {
    file: &'a str,
    delimiter: u8,
    skip: usize,
    has_header: bool,
    names: Vec<String>,
    rows: Vec<ByteRecord>,
    /// Line of the first row.
    line: u64,
}

/// Finds the layout of a text. Returns `None` for the contract's own. Rows at or after `until` say nothing about the columns and
/// the form of times, unless the rows before it leave these open.
///
/// # Errors
/// [`ReadError`] for a text without rows, columns that cannot be told, and times that can be read in two ways.
pub fn sniff(
    sample: &[u8],
    is_whole: bool,
    layout: &Layout,
    calendar: &Calendar,
    until: Option<Timestamp>,
    file: &str,
) -> Result<Option<Taken>, ReadError> {
    let mut clock = Clock::new(calendar);
    if layout.is_found() && is_contract(sample, &mut clock, file)? {
        return Ok(None);
    }
    let sample = Sample::read(sample, is_whole, layout, &mut clock, file)?;
    let mut found = sample.roles(layout, &mut clock);
    if let Some(until) = until {
        let past = sample.before(until, layout, &mut clock);
        if let Some(Ok(known)) = past.map(|past| past.roles(layout, &mut clock)) {
            found = Ok(known);
        }
    }
    let (roles, form) = found?;
    let time = TimeColumn { at: roles.time, clock: roles.clock, form };
    let (shape, occupied_above) = match roles.rooms {
        Some(rooms) => {
            let length = sample.length(&time, until, &mut clock);
            let shape = Shape::Wide { rooms, length, is_end: layout.interval_end };
            (shape, Some(layout.occupied_above.unwrap_or(0.0)))
        }
        None if layout.interval_end => {
            let what = "the file has a row for each reading, not for each interval".to_owned();
            let hint = "leave out --interval-end".to_owned();
            return Err(ReadError::Layout { file: file.to_owned(), what, hint });
        }
        None => (Shape::Long { device: roles.device, value: roles.value }, layout.occupied_above),
    };
    let Sample { delimiter, skip, names, rows, .. } = sample;
    let mut taken = Taken { delimiter, skip, names, time, shape, occupied_above, remark: String::new() };
    taken.remark = remark::describe(&taken, rows.first(), calendar);
    Ok(Some(taken))
}

/// Returns whether a text has the contract's header, and times in its form or in none that is known.
fn is_contract(sample: &[u8], clock: &mut Clock<'_>, file: &str) -> Result<bool, ReadError> {
    let mut input = Records::new(sample, b',');
    if !input.header(file)? {
        return Err(ReadError::Empty { file: file.to_owned() });
    }
    let Some([time, ..]) = find_contract(&input.record) else { return Ok(false) };
    let width = input.record.len();
    let mut others: Vec<ByteRecord> = Vec::new();
    while matches!(input.next(file, |record| record.len() == width), Ok(true)) {
        let cell = input.record.get(time).unwrap_or_default();
        if std::str::from_utf8(trim(cell)).is_ok_and(|text| time::is_iso(text, clock)) {
            return Ok(true);
        }
        others.push(ByteRecord::from(vec![cell]));
    }
    Ok(matches!(time::form(others.iter().map(|cell| &cell[0]), clock), Forms::Unknown))
}

impl<'a> Sample<'a> {
    fn read(
        bytes: &[u8],
        is_whole: bool,
        layout: &Layout,
        clock: &mut Clock<'_>,
        file: &'a str,
    ) -> Result<Self, ReadError> {
        // Excel writes the separator in a line of its own.
        let named = match bytes {
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', byte, b'\r' | b'\n', ..] => Some(*byte),
            _ => None,
        };
        let found = || named.unwrap_or_else(|| delimiter(bytes, file));
        let delimiter = layout.delimiter.map_or_else(found, |delimiter| delimiter.0);
        let mut input = Records::new(bytes, delimiter);
        let mut skip = 0;
        if named.is_some() {
            input.header(file)?;
            skip += 1;
        }
        if !input.header(file)? {
            return Err(ReadError::Empty { file: file.to_owned() });
        }
        let mut is_time = |cell: &[u8]| !matches!(time::form(std::iter::once(cell), clock), Forms::Unknown);
        let has_header = !input.record.iter().any(&mut is_time);
        let mut sample =
            Sample { file, delimiter, skip, has_header, names: Vec::new(), rows: Vec::new(), line: input.line() };
        if has_header {
            sample.names = input.record.iter().map(|cell| String::from_utf8_lossy(trim(cell)).into_owned()).collect();
            sample.skip += 1;
        } else {
            sample.names = (1..=input.record.len()).map(|at| at.to_string()).collect();
            sample.rows.push(input.record.clone());
        }
        let width = sample.names.len();
        while matches!(input.next(file, |record| record.len() == width), Ok(true)) {
            if sample.rows.is_empty() {
                sample.line = input.line();
            }
            sample.rows.push(input.record.clone());
        }
        // The last row may be cut.
        if !is_whole && sample.rows.len() > 1 {
            sample.rows.pop();
        }
        Ok(sample)
    }

    /// Finds the columns and the form of the times.
    fn roles(&self, layout: &Layout, clock: &mut Clock<'_>) -> Result<(Roles, TimeForm), ReadError> {
        let roles = Roles::find(self, layout, clock)?;
        let form = match &layout.time_format {
            Some(form) => form.clone(),
            None => self.form(&roles, clock)?,
        };
        Ok((roles, form))
    }

    /// Returns the sample without the rows that may be at or after `until`, whatever the form of their times; `None` if no row
    /// is left.
    fn before(&self, until: Timestamp, layout: &Layout, clock: &mut Clock<'_>) -> Option<Sample<'a>> {
        let roles = Roles::find(self, layout, clock).ok()?;
        let form = layout.time_format.as_ref();
        let is_before = |row: &&ByteRecord| {
            join(row, roles.time, roles.clock).is_some_and(|cell| time::is_before(&cell, form, until, clock))
        };
        let rows: Vec<ByteRecord> = self.rows.iter().filter(is_before).cloned().collect();
        let names = self.names.clone();
        (!rows.is_empty()).then_some(Sample { names, rows, ..*self })
    }

    /// Returns the cells of a column, those that are there.
    fn cells(&self, column: usize) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().filter_map(move |row| row.get(column)).map(trim)
    }

    /// Finds the form of the times.
    fn form(&self, roles: &Roles, clock: &mut Clock<'_>) -> Result<TimeForm, ReadError> {
        let cells: Vec<Vec<u8>> = self.rows.iter().filter_map(|row| join(row, roles.time, roles.clock)).collect();
        let form = time::form(cells.iter().map(Vec::as_slice), clock);
        let Some(first) = cells.first() else { return Ok(TimeForm::Iso) };
        let place = format!("line {}, column {}", self.line, self.names[roles.time]);
        let shown = excerpt(first);
        let drawn = |expected: &str| {
            let row = self.rows.first().into_iter().flat_map(ByteRecord::iter);
            Snippet::of(row, self.delimiter, Some(roles.time)).draw(self.line, expected)
        };
        let (what, drawn, hint) = match form {
            Forms::One(form) => return Ok(form),
            Forms::Either => {
                let [day, month] = time::both(first).unwrap_or_default();
                (
                    format!("{place}: {shown:?} is {day} (day first) or {month} (month first), and no row tells which"),
                    drawn("a day above 12 in some row"),
                    "say which: --time-format day-first or --time-format month-first",
                )
            }
            Forms::Mixed => (
                format!("{place}: some rows are only times with the day first, others only with the month first"),
                drawn("one order of day and month in all rows"),
                "correct the rows, or say which to keep: --time-format day-first or month-first, with --skip-bad-rows",
            ),
            Forms::Unknown => (
                format!("{place}: expected a time, found {shown:?}"),
                drawn("a time"),
                "describe the times, such as --time-format '%d/%b/%Y %H:%M:%S', or name their column: --columns time=NAME",
            ),
        };
        Err(ReadError::Ambiguous { file: self.file.to_owned(), what, drawn, hint: hint.to_owned() })
    }

    /// Returns the seconds between most of the first rows before `until`; 0 where at most half of them are that far apart, or
    /// more than a day. Rows further down do not count: a later row must not change an earlier one.
    fn length(&self, time: &TimeColumn, until: Option<Timestamp>, clock: &mut Clock<'_>) -> Timestamp {
        let times = self.rows.iter().filter_map(|row| join(row, time.at, time.clock));
        let times = times.filter_map(|cell| time.form.read(&cell, clock).ok());
        let times = times.filter(|&time| until.is_none_or(|until| time < until));
        let mut times: Vec<Timestamp> = times.take(LENGTH_ROWS).collect();
        times.sort_unstable();
        times.dedup();
        let mut steps: Vec<Timestamp> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        let most = steps.chunk_by(|a, b| a == b).max_by_key(|steps| steps.len());
        let length = most.filter(|most| 2 * most.len() > steps.len()).map_or(0, |most| most[0]);
        if length > MAX_LENGTH { 0 } else { length }
    }

    fn header_error(&self, count: &'static str, column: &'static str, hint: String) -> ReadError {
        let found = self.names.join(&char::from(self.delimiter).to_string());
        let (expected, found) = ("time,device,device_activated", excerpt(found.as_bytes()));
        ReadError::Header { file: self.file.to_owned(), count, column, expected, found, hint }
    }
}

/// Returns the time of a row, put together from date and time of day where they are apart.
pub fn join(row: &ByteRecord, at: usize, clock: Option<usize>) -> Option<Vec<u8>> {
    let time = trim(row.get(at)?);
    let Some(clock) = clock else { return Some(time.to_vec()) };
    // A spreadsheet gives a date with the time of midnight.
    let date = time.split(|byte| *byte == b' ').next().unwrap_or_default();
    Some([date, b" ", trim(row.get(clock)?)].concat())
}

/// Returns the separator that gives most rows as many fields as the first, and most of them.
fn delimiter(bytes: &[u8], file: &str) -> u8 {
    let score = |delimiter: u8| {
        let mut input = Records::new(bytes, delimiter);
        let (mut width, mut even) = (0, 0);
        for _ in 0..DELIMITER_ROWS {
            if !matches!(input.next(file, |record| record.len() == width), Ok(true)) {
                break;
            }
            width = if width == 0 { input.record.len() } else { width };
            even += usize::from(input.record.len() == width);
        }
        if width < 2 { (0, 0) } else { (even, width) }
    };
    // Of equals the last is the greatest, so the likeliest stands last.
    DELIMITERS.into_iter().rev().max_by_key(|&delimiter| score(delimiter)).unwrap_or(b',')
}
