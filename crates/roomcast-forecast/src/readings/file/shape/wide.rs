//! A column for each room, and a row for each interval.

use std::io::Read;

use super::row::{Value, check_width, in_column, in_line, is_row, time, value};
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::readings::file::field::{Clock, Problem, trim};
use crate::readings::file::sink::{Sink, as_object};
use crate::readings::file::sniff::Taken;
use crate::readings::file::source::Records;
use crate::readings::file::words::is_blank;

/// The interval of a row.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// Seconds; 0 where rows have no even distance.
    pub length: Timestamp,
    /// True when the row's time is its end.
    pub is_end: bool,
}

impl Interval {
    /// Returns the instant at which what a row says is known: the end of its interval.
    fn known(self, time: Timestamp) -> Timestamp {
        if self.is_end { time } else { time + self.length }
    }

    /// Returns the instants at which an occupied interval counts as motion: its last second, before which nobody knows of
    /// it, and, in an interval of more than an hour, the last second of each whole hour of the site that ends in it.
    fn instants(self, time: Timestamp, calendar: &Calendar) -> impl Iterator<Item = Timestamp> {
        let end = self.known(time);
        let last = if self.length > 0 || self.is_end { end - 1 } else { end };
        let start = if self.length > HOUR { end - self.length } else { last };
        let first = calendar.start(calendar.hour(start) + 1);
        let hours = (first..=last).step_by(HOUR as usize).map(|hour| hour - 1);
        hours.chain(std::iter::once(last))
    }
}

/// Reads the rows. A blank cell says nothing about its room.
///
/// # Errors
/// The errors of the source, and those of the sink.
pub fn read<S: Sink>(
    mut input: Records<impl Read>,
    taken: &Taken,
    rooms: &[usize],
    interval: Interval,
    calendar: &Calendar,
    into: &mut S,
) -> Result<(), S::Error> {
    let mut clock = Clock::new(calendar);
    while input.next(into.file(), |record| is_row(record, taken, &mut clock))? {
        let time = match row(&input, taken, &mut clock) {
            Ok(time) => time,
            Err(problem) => {
                into.refuse(input.line(), problem, || input.text())?;
                continue;
            }
        };
        // A row says something about its interval up to the end.
        let is_late = into.until().is_some_and(|until| time >= until || interval.known(time) > until);
        for &room in rooms {
            let cell = &input.record[room];
            if is_blank(trim(cell)) {
                continue;
            }
            let read = into.device(taken.names[room].as_bytes());
            match read.and_then(|device| Ok((device, value(cell, taken.occupied_above)?))) {
                Ok((_, Value::Occupied | Value::Vacant)) if is_late => into.leave_out(),
                Ok((device, Value::Occupied)) => {
                    for instant in interval.instants(time, calendar) {
                        into.accept(instant, device, true)?;
                    }
                }
                Ok((device, Value::Vacant)) => into.quiet(time, device)?,
                Ok((_, Value::Absent)) => {}
                Err(problem) => {
                    let problem = in_column(problem, &input.record, taken, room);
                    let payload = || {
                        let text = |at: usize| String::from_utf8_lossy(&input.record[at]);
                        as_object([text(taken.time.at), taken.names[room].as_str().into(), text(room)])
                    };
                    into.refuse(input.line(), problem, payload)?;
                }
            }
        }
    }
    Ok(())
}

fn row(input: &Records<impl Read>, taken: &Taken, clock: &mut Clock<'_>) -> Result<Timestamp, Problem> {
    let record = &input.record;
    check_width(record, taken.names.len()).map_err(|problem| in_line(problem, record, taken.delimiter, None))?;
    time(record, &taken.time, clock).map_err(|problem| in_column(problem, record, taken, taken.time.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(zone: Option<chrono_tz::Tz>, length: i64, is_end: bool, time: &str) -> Vec<String> {
        let calendar = Calendar::new(zone);
        let interval = Interval { length, is_end };
        let time = calendar.parse(time).unwrap();
        interval.instants(time, &calendar).map(|time| calendar.format(time)[11..19].to_owned()).collect()
    }

    #[test]
    fn an_interval_is_motion_in_its_last_second_and_in_that_of_each_hour_in_it() {
        assert_eq!(instants(None, 900, false, "2016-07-01 10:45:00"), ["10:59:59"]);
        assert_eq!(instants(None, 900, true, "2016-07-01 11:00:00"), ["10:59:59"]);
        assert_eq!(instants(None, 3600, false, "2016-07-01 10:00:00"), ["10:59:59"]);
        assert_eq!(instants(None, 7200, false, "2016-07-01 10:00:00"), ["10:59:59", "11:59:59"]);
        assert_eq!(instants(None, 7200, false, "2016-07-01 10:30:00"), ["10:59:59", "11:59:59", "12:29:59"]);
        assert_eq!(instants(None, 0, false, "2016-07-01 10:30:00"), ["10:30:00"]);
        let kolkata = Some(chrono_tz::Asia::Kolkata);
        assert_eq!(instants(kolkata, 7200, true, "2016-07-01 12:00:00"), ["10:59:59", "11:59:59"]);
    }
}
