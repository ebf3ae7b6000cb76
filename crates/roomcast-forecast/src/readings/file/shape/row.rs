//! Parts of rows that all shapes share.

use csv::ByteRecord;

use crate::calendar::Timestamp;
use crate::readings::file::error::Snippet;
use crate::readings::file::field::{self, Clock, Problem, trim};
use crate::readings::file::sniff::{Shape, Taken, TimeColumn, join};
use crate::readings::file::words::is_absent;

/// Adds the line to a problem, with a caret under the field.
pub fn in_line(mut problem: Problem, record: &ByteRecord, delimiter: u8, field: Option<usize>) -> Problem {
    if problem.found.contains('\n') {
        problem.expected = "a closing quote on the same line".into();
    }
    problem.snippet = Some(Box::new(Snippet::of(record.iter(), delimiter, field)));
    problem
}

/// Adds the line and the file's name of the column to a problem in a column.
pub fn in_column(problem: Problem, record: &ByteRecord, taken: &Taken, field: usize) -> Problem {
    let header = taken.names.get(field).cloned();
    Problem { header, ..in_line(problem, record, taken.delimiter, Some(field)) }
}

/// Checks the number of fields of a row.
pub fn check_width(record: &ByteRecord, width: usize) -> Result<(), Problem> {
    if record.len() == width {
        return Ok(());
    }
    let torn = if record.as_slice().contains(&b'\n') { ", one of them with a quote that is not closed" } else { "" };
    Err(Problem {
        expected: format!("{width} fields").into(),
        found: format!("{} fields{torn}", record.len()),
        ..Problem::default()
    })
}

/// Reads the time of a row.
pub fn time(record: &ByteRecord, column: &TimeColumn, clock: &mut Clock<'_>) -> Result<Timestamp, Problem> {
    match column.clock {
        None => column.form.read(&record[column.at], clock),
        Some(_) => column.form.read(&join(record, column.at, column.clock).unwrap_or_default(), clock),
    }
}

/// Returns whether a line is a row by itself: it has as many fields as the others, a time, and a state where rows have one.
pub fn is_row(record: &ByteRecord, taken: &Taken, clock: &mut Clock<'_>) -> bool {
    let state = match &taken.shape {
        Shape::Long { value, .. } => *value,
        Shape::Wide { .. } => None,
    };
    record.len() == taken.names.len()
        && time(record, &taken.time, clock).is_ok()
        && state.is_none_or(|at| value(&record[at], taken.occupied_above).is_ok())
}

/// The statement of a cell about its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Occupied,
    Vacant,
    /// The sensor is not there.
    Absent,
}

/// Reads a state, or a number where there is a value above which a room is occupied.
pub fn value(cell: &[u8], occupied_above: Option<f64>) -> Result<Value, Problem> {
    let state = |is_occupied| if is_occupied { Value::Occupied } else { Value::Vacant };
    if let Some(above) = occupied_above
        && let Some(number) = field::number(cell)
    {
        return Ok(state(number > above));
    }
    if is_absent(trim(cell)) {
        return Ok(Value::Absent);
    }
    field::state(cell).map(state).map_err(|problem| match occupied_above {
        Some(_) => Problem { expected: "a number, or a state such as on and off".into(), ..problem },
        None => problem,
    })
}
