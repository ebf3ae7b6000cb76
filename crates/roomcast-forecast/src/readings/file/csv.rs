//! Delimited text of any layout.

use std::io::{self, Cursor, Read};

use super::error::ReadError;
use super::shape;
use super::sink::Sink;
use super::sniff::{self, Layout};
use super::source::Peeked;
use super::source::encoding::{Decoded, Encoding};
use crate::calendar::Calendar;

/// Bytes from which the layout is found.
const SAMPLE_BYTES: usize = 256 * 1024;

/// Longest header of which the sample has more than a part.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Reads all rows of one text.
///
/// # Errors
/// [`ReadError`] for a text that is no table of readings, a header that lacks a column, a source that fails, and the
/// first bad row unless the sink takes them.
pub fn read<S: Sink>(text: impl Read, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    let failed = |error| ReadError::io(into.file(), error);
    let (first, text) = sample(text).map_err(failed)?;
    let encoding = layout
        .encoding
        .or_else(|| Encoding::windows(&first.bytes, first.is_whole))
        .filter(|encoding| !encoding.is_utf8());
    let Some(encoding) = encoding else { return rows(&first, text, None, layout, calendar, into) };
    let text = Decoded::new(text, encoding);
    let (first, text) = sample(text).map_err(failed)?;
    rows(&first, text, Some(encoding), layout, calendar, into)
}

/// Reads the rows of a text in UTF-8 that begins with `first` and was in another encoding.
fn rows<S: Sink>(
    first: &Sample,
    text: impl Read,
    encoding: Option<Encoding>,
    layout: &Layout,
    calendar: &Calendar,
    into: &mut S,
) -> Result<(), S::Error> {
    let taken = sniff::sniff(&first.bytes, first.is_whole, layout, calendar, into.until(), into.file())?;
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

/// The beginning of a text.
struct Sample {
    bytes: Vec<u8>,
    /// True when there is no more.
    is_whole: bool,
}

/// Returns the beginning of a text, and the text from its beginning.
fn sample<R: Read>(mut text: R) -> io::Result<(Sample, Peeked<R>)> {
    let mut bytes = Vec::new();
    let mut read = |bytes: &mut Vec<u8>, more: usize| text.by_ref().take(more as u64).read_to_end(bytes);
    let mut is_whole = read(&mut bytes, SAMPLE_BYTES)? < SAMPLE_BYTES;
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !bytes.iter().any(is_line_end) {
        // The header of a table with a column for each of many rooms. Rows below it are hardly longer.
        while !is_whole
            && bytes.len() < MAX_HEADER_BYTES
            && !bytes[bytes.len() - SAMPLE_BYTES..].iter().any(is_line_end)
        {
            is_whole = read(&mut bytes, SAMPLE_BYTES)? < SAMPLE_BYTES;
        }
        let rows = 2 * bytes.len();
        is_whole = is_whole || read(&mut bytes, rows)? < rows;
    }
    Ok((Sample { bytes: bytes.clone(), is_whole }, Cursor::new(bytes).chain(text)))
}
