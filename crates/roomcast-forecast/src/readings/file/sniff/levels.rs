//! Columns of levels in a table of rooms. A level is above 0 also where nobody is, so it needs a threshold.

use super::sample::Sample;
use crate::readings::file::error::ReadError;
use crate::readings::file::field::{number, state};
use crate::readings::names;

/// Smallest value from which a column holds levels. No room has as many people or movements in each of its intervals; a room
/// that is always in use may have a few.
const MIN_LEVEL: f64 = 10.0;

/// Smallest value of a level that may be CO₂ in ppm.
const MIN_CO2: f64 = 200.0;

/// Most rooms that a hint names.
const MAX_NAMED: usize = 8;

/// Checks that no column of a room holds levels.
///
/// # Errors
/// [`ReadError::Layout`] that names the first such column, with the option that decides.
pub fn check(sample: &Sample<'_>, time: &str, rooms: &[usize]) -> Result<(), ReadError> {
    let ranges: Vec<Option<(f64, f64)>> = rooms.iter().map(|&room| levels(sample, room)).collect();
    let Some((at, (least, most))) = ranges.iter().enumerate().find_map(|(at, range)| Some((at, (*range)?))) else {
        return Ok(());
    };
    let name = &sample.names[rooms[at]];
    let what = format!("column {name:?} holds levels, {least} to {most}: they are above 0 also where nobody is");
    let others: Vec<usize> =
        rooms.iter().zip(&ranges).filter(|(_, range)| range.is_none()).map(|(room, _)| *room).collect();
    let hint = if others.is_empty() {
        let such = if least >= MIN_CO2 { "--occupied-above 800" } else { "--occupied-above VALUE" };
        format!("give the value above which a room is occupied: {such}")
    } else {
        let more = if others.len() > MAX_NAMED { ",room=…" } else { "" };
        let named: String =
            others.iter().take(MAX_NAMED).map(|&room| format!(",room={}", given(sample, room))).collect();
        format!("name the columns that are rooms: --columns 'time={time}{named}{more}'")
    };
    Err(ReadError::Layout { file: sample.file.to_owned(), what, hint })
}

/// Returns the smallest and the largest value of a column of levels; `None` for states and counts.
fn levels(sample: &Sample<'_>, column: usize) -> Option<(f64, f64)> {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut are_states, mut are_whole) = (true, true);
    for cell in sample.cells(column) {
        are_states &= state(cell).is_ok() || number(cell).is_none();
        if let Some(value) = number(cell) {
            (least, most) = (least.min(value), most.max(value));
            are_whole &= value.fract() == 0.0;
        }
    }
    let is_level =
        names::is_level(&sample.names[column]) || !(0.0..MIN_LEVEL).contains(&least) || (least > 0.0 && !are_whole);
    (!are_states && is_level).then_some((least, most))
}

/// Returns a column as `--columns` takes it: its name, or its position where the name has marks of its own.
fn given(sample: &Sample<'_>, column: usize) -> String {
    let name = &sample.names[column];
    if name.contains([',', '\'', '=']) { (column + 1).to_string() } else { name.clone() }
}
