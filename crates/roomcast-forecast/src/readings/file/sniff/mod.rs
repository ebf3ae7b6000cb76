//! The layout of a text, found from its beginning and from what the caller says.

mod columns;
pub mod header;
mod layout;
mod levels;
mod pattern;
mod remark;
mod sample;
mod taken;
mod time;
mod titles;

use csv::ByteRecord;

use super::error::ReadError;
use super::field::{Clock, trim};
use super::source::Records;
use crate::calendar::{Calendar, Timestamp};
use columns::Roles;
use sample::Sample;
use time::Forms;

pub use header::{contract_columns as find_contract, is_value_name};
pub use layout::{Columns, Delimiter, Layout};
pub use taken::{Shape, Taken, TimeColumn, join};
pub use time::{TimeForm, units_per_second};

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
    let mut found = roles(&sample, layout, &mut clock);
    if let Some(until) = until {
        let past = before(&sample, until, layout, &mut clock);
        if let Some(Ok(known)) = past.map(|past| roles(&past, layout, &mut clock)) {
            found = Ok(known);
        }
    }
    let (roles, form) = found?;
    let time = TimeColumn { at: roles.time, clock: roles.clock, form };
    let (shape, occupied_above) = match roles.rooms {
        Some(rooms) => {
            let length = sample.length(&time, until, &mut clock);
            if layout.occupied_above.is_none() {
                let known = known(&sample, &time, (length, layout.interval_end), until, &mut clock);
                levels::check(&known, &time.name(&known.names), &rooms)?;
            }
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
    let Sample { delimiter, skip, titles, names, rows, .. } = sample;
    let mut taken = Taken { delimiter, skip, names, time, shape, occupied_above, remark: String::new() };
    taken.remark = remark::describe(&taken, rows.first(), titles, calendar);
    Ok(Some(taken))
}

/// Finds the columns and the form of the times.
fn roles(sample: &Sample<'_>, layout: &Layout, clock: &mut Clock<'_>) -> Result<(Roles, TimeForm), ReadError> {
    let roles = Roles::find(sample, layout, clock)?;
    let form = match &layout.time_format {
        Some(form) => form.clone(),
        None => sample.form((roles.time, roles.clock), clock)?,
    };
    Ok((roles, form))
}

/// Returns a sample without the rows that may be at or after `until`, whatever the form of their times; `None` if no row is
/// left.
fn before<'a>(sample: &Sample<'a>, until: Timestamp, layout: &Layout, clock: &mut Clock<'_>) -> Option<Sample<'a>> {
    let roles = Roles::find(sample, layout, clock).ok()?;
    let form = layout.time_format.as_ref();
    let is_before = |row: &&ByteRecord| {
        join(row, roles.time, roles.clock).is_some_and(|cell| time::is_before(&cell, form, until, clock))
    };
    let rows: Vec<ByteRecord> = sample.rows.iter().filter(is_before).cloned().collect();
    let names = sample.names.clone();
    (!rows.is_empty()).then_some(Sample { names, rows, ..*sample })
}

/// Returns a sample of a table of intervals without the rows of intervals that are not over before `until`.
fn known<'a>(
    sample: &Sample<'a>,
    time: &TimeColumn,
    (length, is_end): (Timestamp, bool),
    until: Option<Timestamp>,
    clock: &mut Clock<'_>,
) -> Sample<'a> {
    let length = if is_end { 0 } else { length };
    let mut is_known = |row: &ByteRecord| match until {
        None => true,
        Some(until) => join(row, time.at, time.clock)
            .and_then(|cell| time.form.read(&cell, clock).ok())
            .is_some_and(|time| time < until && time + length <= until),
    };
    let rows = sample.rows.iter().filter(|row| is_known(row)).cloned().collect();
    Sample { names: sample.names.clone(), rows, ..*sample }
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
    let has_pattern = |cell: &ByteRecord| std::str::from_utf8(&cell[0]).is_ok_and(|text| !pattern::of(text).is_empty());
    let form = time::form(others.iter().map(|cell| &cell[0]), clock);
    Ok(matches!(form, Forms::Unknown) && !others.first().is_some_and(has_pattern))
}
