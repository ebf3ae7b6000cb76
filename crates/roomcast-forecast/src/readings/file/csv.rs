//! Delimited text of any layout.

use std::io::Read;

use super::error::ReadError;
use super::shape;
use super::sink::Sink;
use super::sniff::{self, Layout};
use super::source;
use crate::calendar::Calendar;

/// Bytes from which the layout is found.
const SAMPLE_BYTES: usize = 256 * 1024;

/// Reads all rows of one text.
///
/// # Errors
/// [`ReadError`] for a text that is no table of readings, a header that lacks a column, a source that fails, and the
/// first bad row unless the sink takes them.
pub fn read<S: Sink>(text: impl Read, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    let (sample, text) = source::peek(text, SAMPLE_BYTES).map_err(|error| ReadError::io(into.file(), error))?;
    match sniff::sniff(&sample, sample.len() < SAMPLE_BYTES, layout, calendar, into.file())? {
        Some(taken) => {
            into.taken(&taken.remark);
            shape::read(text, &taken, calendar, into)
        }
        None => shape::read_contract(text, calendar, into),
    }
}
