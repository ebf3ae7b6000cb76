//! The contract's own format, `time,device,device_activated`.

use std::io::Read;

use csv::ByteRecord;

use super::row::{check_width, in_line};
use crate::calendar::{Calendar, Timestamp};
use crate::readings::file::field::{COLUMNS, Clock, Problem, state};
use crate::readings::file::sink::{Sink, as_object};
use crate::readings::file::sniff::find_contract;
use crate::readings::file::source::Records;

/// Reads the rows of a text whose header names the three columns, in any order and with others beside them. Nothing is
/// decided for each row, so that large files are read fast.
///
/// # Errors
/// The errors of the source, and those of the sink.
pub fn read<S: Sink>(text: impl Read, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    let mut input = Records::new(text, b',');
    input.header(into.file())?;
    let Some(columns) = find_contract(&input.record) else { return Ok(()) };
    let width = input.record.len();
    let mut clock = Clock::new(calendar);
    let is_row = |record: &ByteRecord, clock: &mut Clock<'_>| {
        record.len() == width && clock.text(&record[columns[0]]).is_ok() && state(&record[columns[2]]).is_ok()
    };
    while input.next(into.file(), |record| is_row(record, &mut clock))? {
        match row(&input.record, columns, width, &mut clock, into) {
            Ok((time, device, motion)) => into.accept(time, device, motion)?,
            Err(problem) => {
                let place = problem.column.and_then(|name| COLUMNS.iter().position(|known| *known == name));
                let problem = in_line(problem, &input.record, b',', place.map(|at| columns[at]));
                into.refuse(input.line(), problem, || payload(&input, columns, width))?;
            }
        }
    }
    Ok(())
}

/// Reads a row as (time, device, motion).
fn row(
    record: &ByteRecord,
    columns: [usize; 3],
    width: usize,
    clock: &mut Clock<'_>,
    into: &mut impl Sink,
) -> Result<(Timestamp, usize, bool), Problem> {
    check_width(record, width)?;
    let [time, device, activated] = columns.map(|column| &record[column]);
    Ok((clock.text(time)?, into.device(device)?, state(activated)?))
}

/// Returns a row that fits the header as text that can be parsed again, and any other row unchanged.
fn payload(input: &Records<impl Read>, columns: [usize; 3], width: usize) -> String {
    if input.record.len() == width {
        return as_object(columns.map(|column| String::from_utf8_lossy(&input.record[column])));
    }
    input.text()
}
