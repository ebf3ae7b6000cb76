//! Delimited text of any layout.

use std::io::{self, Cursor, Read};

use super::error::ReadError;
use super::shape;
use super::sink::Sink;
use super::sniff::{self, Layout};
use super::source::Peeked;
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
    let (sample, is_whole, text) = sample(text).map_err(|error| ReadError::io(into.file(), error))?;
    match sniff::sniff(&sample, is_whole, layout, calendar, into.until(), into.file())? {
        Some(taken) => {
            into.taken(&taken.remark);
            shape::read(text, &taken, calendar, into)
        }
        None => shape::read_contract(text, calendar, into),
    }
}

/// Returns the beginning of a text, whether it is all, and the text from its beginning.
fn sample<R: Read>(mut text: R) -> io::Result<(Vec<u8>, bool, Peeked<R>)> {
    let mut sample = Vec::new();
    let mut read = |sample: &mut Vec<u8>, bytes: usize| text.by_ref().take(bytes as u64).read_to_end(sample);
    let mut is_whole = read(&mut sample, SAMPLE_BYTES)? < SAMPLE_BYTES;
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !sample.iter().any(is_line_end) {
        // The header of a table with a column for each of many rooms. Rows below it are hardly longer.
        while !is_whole
            && sample.len() < MAX_HEADER_BYTES
            && !sample[sample.len() - SAMPLE_BYTES..].iter().any(is_line_end)
        {
            is_whole = read(&mut sample, SAMPLE_BYTES)? < SAMPLE_BYTES;
        }
        let rows = 2 * sample.len();
        is_whole = is_whole || read(&mut sample, rows)? < rows;
    }
    Ok((sample.clone(), is_whole, Cursor::new(sample).chain(text)))
}
