//! A row for each reading, with columns of any names.

use std::io::Read;

use csv::ByteRecord;

use super::row::{Value, check_width, in_column, in_line, is_row, time, value};
use crate::calendar::{Calendar, Timestamp};
use crate::readings::file::field::{Clock, Problem, trim};
use crate::readings::file::sink::{Sink, as_object};
use crate::readings::file::sniff::Taken;
use crate::readings::file::source::Records;

/// Home Assistant's name of the column of devices, and the domains of those that may say that a room is occupied.
const ENTITY: &str = "entity_id";
const DOMAINS: [&[u8]; 2] = [b"binary_sensor", b"input_boolean"];

/// Reads the rows. Without a column of states each row is motion.
///
/// # Errors
/// The errors of the source, and those of the sink.
pub fn read<S: Sink>(
    mut input: Records<impl Read>,
    taken: &Taken,
    columns: (usize, Option<usize>),
    calendar: &Calendar,
    into: &mut S,
) -> Result<(), S::Error> {
    let mut clock = Clock::new(calendar);
    let has_entities = taken.occupied_above.is_none() && taken.names[columns.0].eq_ignore_ascii_case(ENTITY);
    let mut left_out: u64 = 0;
    while input.next(into.file(), |record| is_row(record, taken, &mut clock))? {
        if has_entities && is_of_other_domain(&input.record, columns.0) {
            left_out += 1;
            continue;
        }
        match row(&input, taken, columns, &mut clock, into) {
            Ok((time, device, Value::Occupied)) => into.accept(time, device, true)?,
            // What a sensor last said ends when it is gone.
            Ok((time, device, Value::Vacant | Value::Absent)) => into.accept(time, device, false)?,
            Err(problem) => into.refuse(input.line(), problem, || payload(&input, taken, columns))?,
        }
    }
    if left_out > 0 {
        let rows = if left_out == 1 { "row" } else { "rows" };
        into.taken(&format!(
            "{left_out} {rows} left out: of entities other than `binary_sensor.…` and `input_boolean.…`"
        ));
    }
    Ok(())
}

/// Returns whether a row is of a Home Assistant entity that is no presence, such as a temperature, a light or a person. A
/// name without a domain, or with a point in a name of another kind, is a device.
fn is_of_other_domain(record: &ByteRecord, device: usize) -> bool {
    let cell = trim(record.get(device).unwrap_or_default());
    let Some(point) = cell.iter().position(|&byte| byte == b'.') else { return false };
    let domain = &cell[..point];
    let is_domain = !domain.is_empty() && domain.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    is_domain && !DOMAINS.contains(&domain)
}

fn row(
    input: &Records<impl Read>,
    taken: &Taken,
    (device, state): (usize, Option<usize>),
    clock: &mut Clock<'_>,
    into: &mut impl Sink,
) -> Result<(Timestamp, usize, Value), Problem> {
    let record = &input.record;
    check_width(record, taken.names.len()).map_err(|problem| in_line(problem, record, taken.delimiter, None))?;
    let time = time(record, &taken.time, clock).map_err(|problem| in_column(problem, record, taken, taken.time.at))?;
    let number = into.device(&record[device]).map_err(|problem| in_column(problem, record, taken, device))?;
    let value = match state {
        None => Value::Occupied,
        Some(state) => {
            value(&record[state], taken.occupied_above).map_err(|problem| in_column(problem, record, taken, state))?
        }
    };
    Ok((time, number, value))
}

/// Returns a row that fits the header as text that can be parsed again, and any other row unchanged.
fn payload(input: &Records<impl Read>, taken: &Taken, (device, state): (usize, Option<usize>)) -> String {
    let record = &input.record;
    if record.len() != taken.names.len() {
        return input.text();
    }
    let cell = |at: Option<usize>| at.map_or("1".into(), |at| String::from_utf8_lossy(&record[at]));
    as_object([cell(Some(taken.time.at)), cell(Some(device)), cell(state)])
}
