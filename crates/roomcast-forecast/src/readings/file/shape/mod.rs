//! Readings in rows of different shapes.

mod contract;
mod long;
mod row;
mod wide;

use std::io::Read;

use super::sink::Sink;
use super::sniff::{Shape, Taken};
use super::source::Records;
use crate::calendar::Calendar;

pub use contract::read as read_contract;

/// Reads the rows of a text whose layout was found.
///
/// # Errors
/// The errors of the source, and those of the sink.
pub fn read<S: Sink>(text: impl Read, taken: &Taken, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    let mut input = Records::new(text, taken.delimiter);
    for _ in 0..taken.skip {
        input.header(into.file())?;
    }
    match &taken.shape {
        Shape::Long { device, value } => long::read(input, taken, (*device, *value), calendar, into),
        Shape::Wide { rooms, length, is_end } => {
            let interval = wide::Interval { length: *length, is_end: *is_end };
            wide::read(input, taken, rooms, interval, calendar, into)
        }
    }
}
