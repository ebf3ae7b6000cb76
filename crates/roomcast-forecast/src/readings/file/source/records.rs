//! Rows of delimited text, and the lines on which they begin.

use std::io::{Read, SeekFrom};

use csv::{ByteRecord, Position, Reader, ReaderBuilder, Terminator};

use super::lines::LineEnds;
use super::tape::Tape;
use crate::readings::file::error::ReadError;
use crate::readings::file::field::trim;

/// Bytes of one read from the source.
const BUFFER_BYTES: usize = 256 * 1024;

/// Longest row of a file in bytes. A row that is longer is an error, or, over several lines, an unclosed quote.
const MAX_ROW_BYTES: usize = 4 * 1024 * 1024;

/// The rows of a text.
///
/// A quoted cell may go on over several lines, as comments do. If one of these lines but for the first is a row by itself, or
/// the first is one and all of them together are none, the quote was never closed: each line is read alone then, and a quote
/// ends with its line. The cell of an unclosed quote ends in a line end, by which its row is refused if the cell matters.
pub struct Records<R> {
    input: Reader<Tape<LineEnds<R>>>,
    /// The row read last.
    pub record: ByteRecord,
    /// The number of the line at which reading of the last row began. Blank lines may be ahead of the row.
    from: u64,
    /// Lines that are read alone.
    torn: Option<Torn>,
    limit: usize,
}

/// Lines that an unclosed quote had put together.
struct Torn {
    /// Place and number of the next of them.
    at: u64,
    line: u64,
    /// The place behind the last of them.
    end: u64,
}

impl<R: Read> Records<R> {
    pub fn new(text: R, delimiter: u8) -> Self {
        Self::with_limit(text, delimiter, MAX_ROW_BYTES)
    }

    /// Reads rows of about this many bytes at most.
    pub fn with_limit(text: R, delimiter: u8, limit: usize) -> Self {
        let input = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES.min(limit))
            .from_reader(Tape::new(LineEnds::new(text), limit));
        Self { input, record: ByteRecord::new(), from: 1, torn: None, limit }
    }

    /// Reads the header: the next row that is not blank.
    ///
    /// # Errors
    /// As [`Records::next`].
    pub fn header(&mut self, file: &str) -> Result<bool, ReadError> {
        self.next(file, |_| false)
    }

    /// Reads the next row that is not blank. Returns false at the end. `is_row` tells a line that is a row by itself from the
    /// second line of a comment.
    ///
    /// # Errors
    /// [`ReadError`] for a source that fails and a row that does not end.
    pub fn next(&mut self, file: &str, mut is_row: impl FnMut(&ByteRecord) -> bool) -> Result<bool, ReadError> {
        let failed = |error: csv::Error| ReadError::io(file, error.into());
        loop {
            if self.torn.is_some() {
                if self.next_torn().map_err(failed)? {
                    return Ok(true);
                }
                continue;
            }
            let (start, line) = (self.input.position().byte(), self.input.position().line());
            self.input.get_mut().mark = start;
            self.from = line;
            match self.input.read_byte_record(&mut self.record) {
                Ok(false) => return Ok(false),
                Ok(true) => {
                    let is_long = self.input.position().line() > line + 1 || self.input.get_ref().ended;
                    if is_long && self.is_torn(&mut is_row).map_err(failed)? {
                        continue;
                    }
                    if !is_blank(&self.record) {
                        return Ok(true);
                    }
                }
                Err(_) if self.input.get_ref().exceeded() => self.tear(file)?,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Decides whether the row just read is several rows. The lines but for the last, which may begin another comment, are
    /// read alone then.
    fn is_torn(&mut self, is_row: &mut impl FnMut(&ByteRecord) -> bool) -> Result<bool, csv::Error> {
        let after = self.input.position().clone();
        let tape = self.input.get_ref();
        let blank = blank_lines(tape.marked(after.byte()));
        let start = tape.mark + blank;
        let mut end = tape.line_end(start);
        if end >= after.byte() {
            return Ok(false);
        }
        let whole = self.record.clone();
        let mut is_torn = !is_row(&whole) && self.read_alone(start, end, self.from + blank)? && is_row(&self.record);
        let mut last = end;
        while end < after.byte() {
            last = end;
            end = self.input.get_ref().line_end(end).min(after.byte());
            is_torn = is_torn || self.read_alone(last, end, self.from)? && is_row(&self.record);
        }
        if is_torn {
            self.torn = Some(Torn { at: start, line: self.from + blank, end: last });
        } else {
            self.record = whole;
            self.go_to(after)?;
        }
        Ok(is_torn)
    }

    /// Reads the lines alone that are together longer than any row.
    fn tear(&mut self, file: &str) -> Result<(), ReadError> {
        let tape = self.input.get_ref();
        let text = tape.marked(tape.end());
        let blank = blank_lines(text);
        let last = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last as u64 + 1);
        let line = self.from + blank;
        if last == 0 {
            return Err(ReadError::Endless { file: file.to_owned(), line, limit: self.limit });
        }
        // Blank lines alone are left behind.
        let end = tape.mark + if blank > 0 { blank } else { last };
        self.torn = Some(Torn { at: tape.mark + blank, line, end });
        Ok(())
    }

    /// Reads the next of the lines that are read alone. Returns false when it is blank, or there is none.
    fn next_torn(&mut self) -> Result<bool, csv::Error> {
        let Some(torn) = &mut self.torn else { return Ok(false) };
        let (at, line) = (torn.at, torn.line);
        if at >= torn.end {
            self.torn = None;
            self.go_to(position(at, line))?;
            return Ok(false);
        }
        let end = self.input.get_ref().line_end(at);
        (torn.at, torn.line) = (end, line + 1);
        self.input.get_mut().mark = at;
        self.from = line;
        Ok(self.read_alone(at, end, line)? && !is_blank(&self.record))
    }

    /// Reads a text that has been read before as if there were no other.
    fn read_alone(&mut self, from: u64, end: u64, line: u64) -> Result<bool, csv::Error> {
        self.go_to(position(from, line))?;
        self.input.get_mut().stop = Some(end);
        self.input.read_byte_record(&mut self.record)
    }

    fn go_to(&mut self, place: Position) -> Result<(), csv::Error> {
        self.input.get_mut().stop = None;
        self.input.seek_raw(SeekFrom::Start(place.byte()), place)
    }

    /// Returns the line on which the row just read begins.
    pub fn line(&self) -> u64 {
        self.from + blank_lines(self.input.get_ref().marked(self.input.position().byte()))
    }

    /// Returns the row as it stands in the text.
    pub fn text(&self) -> String {
        let text = self.input.get_ref().marked(self.input.position().byte());
        String::from_utf8_lossy(text).trim_matches('\n').to_owned()
    }
}

fn position(byte: u64, line: u64) -> Position {
    let mut position = Position::new();
    position.set_byte(byte).set_line(line);
    position
}

fn is_blank(record: &ByteRecord) -> bool {
    record.len() == 1 && trim(&record[0]).is_empty()
}

/// Returns the number of line ends with which a text begins.
fn blank_lines(text: &[u8]) -> u64 {
    text.iter().take_while(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
