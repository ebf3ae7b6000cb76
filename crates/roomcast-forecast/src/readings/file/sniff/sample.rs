//! The first rows of a text.

use csv::ByteRecord;

use super::layout::Layout;
use super::taken::{TimeColumn, join};
use super::time::{self, Forms, TimeForm};
use super::{pattern, titles};
use crate::calendar::{HOUR, Timestamp};
use crate::readings::file::error::{ReadError, Snippet};
use crate::readings::file::field::{Clock, excerpt, trim};
use crate::readings::file::source::Records;

/// Most rows that are looked at for the separator.
const DELIMITER_ROWS: usize = 50;

/// Number of rows from whose distance the length of intervals is found.
const LENGTH_ROWS: usize = 9;

/// Seconds of the longest interval. Rows that are further apart are not intervals.
const MAX_LENGTH: Timestamp = 24 * HOUR;

/// The first rows of a text.
pub struct Sample<'a> {
    pub file: &'a str,
    pub delimiter: u8,
    pub skip: usize,
    pub has_header: bool,
    /// Rows above the header that are left out.
    pub titles: usize,
    pub names: Vec<String>,
    pub rows: Vec<ByteRecord>,
    /// Line of the first row.
    pub line: u64,
}

impl<'a> Sample<'a> {
    /// Reads the rows that a text begins with.
    ///
    /// # Errors
    /// [`ReadError::Empty`] for a text without rows.
    pub fn read(
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
        let given = layout.delimiter.map(|delimiter| delimiter.0).or(named);
        let header = titles::find(bytes, given, clock, file);
        let found = || header.map_or_else(|| delimiter(bytes, file), |(delimiter, _)| delimiter);
        let delimiter = given.unwrap_or_else(found);
        let mut input = Records::new(bytes, delimiter);
        let skip = header.map_or(usize::from(named.is_some()), |(_, above)| above);
        for _ in 0..skip {
            input.header(file)?;
        }
        let titles = skip - usize::from(named.is_some());
        if !input.header(file)? {
            return Err(ReadError::Empty { file: file.to_owned() });
        }
        let mut is_time = |cell: &[u8]| !matches!(time::form(std::iter::once(cell), clock), Forms::Unknown);
        let has_header = !input.record.iter().any(&mut is_time);
        let mut sample = Sample {
            file,
            delimiter,
            skip,
            has_header,
            titles,
            names: Vec::new(),
            rows: Vec::new(),
            line: input.line(),
        };
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

    /// Returns the cells of a column, those that are there.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().filter_map(move |row| row.get(column)).map(trim)
    }

    /// Finds the form of the times in a column, or in two: date and time of day.
    ///
    /// # Errors
    /// [`ReadError::Ambiguous`] for times that can be read in two ways or in none.
    pub fn form(&self, (at, of_day): (usize, Option<usize>), clock: &mut Clock<'_>) -> Result<TimeForm, ReadError> {
        let cells: Vec<Vec<u8>> = self.rows.iter().filter_map(|row| join(row, at, of_day)).collect();
        let form = time::form(cells.iter().map(Vec::as_slice), clock);
        let Some(first) = cells.first() else { return Ok(TimeForm::Iso) };
        let place = format!("line {}, column {}", self.line, self.names[at]);
        let shown = excerpt(first);
        let drawn = |expected: &str| {
            let row = self.rows.first().into_iter().flat_map(ByteRecord::iter);
            Snippet::of(row, self.delimiter, Some(at)).draw(self.line, expected)
        };
        let (what, drawn, hint) = match form {
            Forms::One(form) => return Ok(form),
            Forms::Either => {
                let [day, month] = time::both(first).unwrap_or_default();
                (
                    format!("{place}: {shown:?} is {day} (day first) or {month} (month first), and no row tells which"),
                    drawn("a day above 12 in some row"),
                    "say which: --time-format day-first or --time-format month-first".to_owned(),
                )
            }
            Forms::Mixed => (
                format!("{place}: some rows are only times with the day first, others only with the month first"),
                drawn("one order of day and month in all rows"),
                "correct the rows, or say which to keep: --time-format day-first or month-first, with --skip-bad-rows"
                    .to_owned(),
            ),
            Forms::Unknown => (format!("{place}: expected a time, found {shown:?}"), drawn("a time"), time_hint(first)),
        };
        Err(ReadError::Ambiguous { file: self.file.to_owned(), what, drawn, hint })
    }

    /// Returns the seconds between most of the first rows before `until`; 0 where at most half of them are that far apart, or
    /// more than a day. Rows further down do not count: a later row must not change an earlier one.
    pub fn length(&self, time: &TimeColumn, until: Option<Timestamp>, clock: &mut Clock<'_>) -> Timestamp {
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

    /// Returns the error of a column that is missing or there twice.
    pub fn header_error(&self, count: &'static str, column: &'static str, hint: String) -> ReadError {
        let found = self.names.join(&char::from(self.delimiter).to_string());
        let (expected, found) = ("time,device,device_activated", excerpt(found.as_bytes()));
        ReadError::Header { file: self.file.to_owned(), count, column, expected, found, hint }
    }
}

/// Returns the advice for a time of no known form, with the patterns that read it.
fn time_hint(cell: &[u8]) -> String {
    let patterns = std::str::from_utf8(cell).map(pattern::of).unwrap_or_default();
    match &patterns[..] {
        [] => {
            "describe the times, such as --time-format '%d/%b/%Y %H:%M:%S', or name their column: --columns time=NAME"
                .into()
        }
        [one] => format!("describe the times: --time-format '{one}'"),
        [one, two, ..] => format!("say which: --time-format '{one}' or --time-format '{two}'"),
    }
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
    titles::DELIMITERS.into_iter().rev().max_by_key(|&delimiter| score(delimiter)).unwrap_or(b',')
}
