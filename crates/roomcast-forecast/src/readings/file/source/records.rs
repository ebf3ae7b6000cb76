//! Rows of delimited text, and the lines on which they begin.

use std::io::Read;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::lines::LineEnds;
use crate::readings::file::error::ReadError;
use crate::readings::file::field::trim;

/// Bytes of one read from the source.
const BUFFER_BYTES: usize = 256 * 1024;

/// Longest row in bytes. Reading stops when an unclosed quote makes a row longer.
const MAX_ROW_BYTES: usize = 4 * 1024 * 1024;

/// The rows of a text.
pub struct Records<R> {
    input: Reader<LineEnds<R>>,
    /// The row read last.
    pub record: ByteRecord,
}

impl<R: Read> Records<R> {
    pub fn new(text: R, delimiter: u8) -> Self {
        let lines = LineEnds::new(text, MAX_ROW_BYTES);
        let input = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(lines);
        Self { input, record: ByteRecord::new() }
    }

    /// Reads the next row that is not blank. Returns false at the end.
    ///
    /// # Errors
    /// [`ReadError`] for a source that fails and a row that does not end.
    pub fn next(&mut self, file: &str) -> Result<bool, ReadError> {
        let Self { input, record } = self;
        loop {
            input.get_mut().passed = 0;
            match input.read_byte_record(record) {
                Ok(true) if record.len() == 1 && trim(&record[0]).is_empty() => {}
                Ok(more) => return Ok(more),
                Err(_) if input.get_ref().exceeded() => {
                    let line = record.position().map_or(1, |position| position.line());
                    return Err(ReadError::Endless { file: file.to_owned(), line, limit: MAX_ROW_BYTES });
                }
                Err(error) => return Err(ReadError::io(file, error.into())),
            }
        }
    }

    /// Returns the line on which the row just read begins.
    pub fn line(&self) -> u64 {
        // A record's own position is the end of the row before, ahead of any blank lines. Its end is exact: one line end
        // after its last line, unless the input ended first.
        let inside = self.record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
        let end = u64::from(!self.input.get_ref().ended);
        self.input.position().line().saturating_sub(inside + end).max(1)
    }

    /// Returns the row as it probably stands in the file.
    pub fn text(&self, delimiter: u8) -> String {
        String::from_utf8_lossy(&self.record.iter().collect::<Vec<_>>().join(&delimiter)).into_owned()
    }
}
