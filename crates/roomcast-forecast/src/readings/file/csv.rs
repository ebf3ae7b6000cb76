//! Delimited text of any layout.

use std::io::Read;

use super::error::ReadError;
use super::shape;
use super::sink::Sink;
use super::sniff::{self, Layout};
use super::source;
use super::source::encoding::{Decoded, Encoding};
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
    let encoding = layout.encoding.or_else(|| Encoding::windows(&sample)).filter(|encoding| !encoding.is_utf8());
    let Some(encoding) = encoding else { return rows(&sample, text, None, layout, calendar, into) };
    let text = Decoded::new(text, encoding);
    let (sample, text) = source::peek(text, SAMPLE_BYTES).map_err(|error| ReadError::io(into.file(), error))?;
    rows(&sample, text, Some(encoding), layout, calendar, into)
}

/// Reads the rows of a text in UTF-8 that begins with `sample` and was in another encoding.
fn rows<S: Sink>(
    sample: &[u8],
    text: impl Read,
    encoding: Option<Encoding>,
    layout: &Layout,
    calendar: &Calendar,
    into: &mut S,
) -> Result<(), S::Error> {
    let taken = sniff::sniff(sample, sample.len() < SAMPLE_BYTES, layout, calendar, into.file())?;
    let columns = taken.as_ref().map(|taken| taken.remark.clone());
    let remark = match encoding.map(Encoding::name) {
        None => columns,
        Some(name) => Some(columns.map_or_else(|| format!("read as {name}"), |columns| format!("{columns}; {name}"))),
    };
    if let Some(remark) = remark {
        into.taken(&remark);
    }
    match taken {
        Some(taken) => shape::read(text, &taken, calendar, into),
        None => shape::read_contract(text, calendar, into),
    }
}
