//! The line that says what a file was taken for.

use csv::ByteRecord;

use super::layout::delimiter_name;
use super::taken::{Shape, Taken, join};
use super::time::TimeForm;
use crate::calendar::{Calendar, HOUR, Timestamp};

/// Most rooms that are named.
const MAX_NAMED: usize = 3;

/// Describes what was taken for what, and how many lines above the header were left out, such as ``read `timestamp` as time, `sensor_id` as device; `;` between``.
pub fn describe(taken: &Taken, first: Option<&ByteRecord>, titles: usize, calendar: &Calendar) -> String {
    let name = |at: usize| format!("`{}`", taken.names[at]);
    let mut time = name(taken.time.at);
    if let Some(clock) = taken.time.clock {
        time += &format!(" and {}", name(clock));
    }
    let form = form(taken, first, calendar);
    let mut parts = vec![format!("{time} as time{}", if form.is_empty() { form } else { format!(" ({form})") })];
    match &taken.shape {
        Shape::Long { device, value } => {
            parts.push(format!("{} as device", name(*device)));
            match (value, taken.occupied_above) {
                (Some(value), Some(above)) => parts.push(format!("{} above {above} as occupied", name(*value))),
                (Some(value), None) => parts.push(format!("{} as state", name(*value))),
                (None, _) => parts.push("each row as motion".to_owned()),
            }
        }
        Shape::Wide { rooms, length, is_end } => {
            let named: Vec<String> = rooms.iter().take(MAX_NAMED).map(|&room| name(room)).collect();
            let more = rooms.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let rooms = if rooms.len() == 1 { "room" } else { "rooms" };
            let above = taken.occupied_above.unwrap_or(0.0);
            parts.push(format!("{}{more} as {rooms}, occupied above {above}", named.join(", ")));
            parts.push(interval(*length, *is_end));
        }
    }
    let left_out = match titles {
        0 => String::new(),
        1 => "; the line above the header is left out".to_owned(),
        more => format!("; {more} lines above the header are left out"),
    };
    format!("read {}; {} between{left_out}", parts.join(", "), delimiter_name(taken.delimiter))
}

fn form(taken: &Taken, first: Option<&ByteRecord>, calendar: &Calendar) -> String {
    let shown = calendar.zone().map_or(String::new(), |zone| format!(", shown in {}", zone.name()));
    let cell = first.and_then(|row| join(row, taken.time.at, taken.time.clock)).unwrap_or_default();
    let is_utc = cell.ends_with(b"Z") || cell.ends_with(b"z") || cell.ends_with(b"+00:00");
    let has_offset = cell.get(16..).is_some_and(|rest| rest.iter().any(|byte| b"+-".contains(byte)));
    match &taken.time.form {
        TimeForm::Iso | TimeForm::YearFirst if is_utc => format!("UTC{shown}"),
        TimeForm::Iso | TimeForm::YearFirst if has_offset => format!("with its offset{shown}"),
        TimeForm::Iso | TimeForm::YearFirst => String::new(),
        TimeForm::DayFirst => "day first".to_owned(),
        TimeForm::MonthFirst => "month first".to_owned(),
        TimeForm::Epoch(1) => format!("seconds in UTC{shown}"),
        TimeForm::Epoch(1000) => format!("milliseconds in UTC{shown}"),
        TimeForm::Epoch(_) => format!("in UTC{shown}"),
        TimeForm::Pattern(pattern) => format!("as {pattern}"),
    }
}

fn interval(length: Timestamp, is_end: bool) -> String {
    let length = match length {
        0 => return "each row at its time".to_owned(),
        length if length % HOUR == 0 => format!("{} h", length / HOUR),
        length if length % 60 == 0 => format!("{} min", length / 60),
        length => format!("{length} s"),
    };
    format!("a row for the {length} {} its time", if is_end { "before" } else { "from" })
}
