//! The rows of a file in the file's order, for callers that store them elsewhere.

use std::collections::HashMap;
use std::path::Path;

use super::error::{ReadError, Refusal};
use super::field::{self, Problem};
use super::sink::Sink;
use super::sniff::Layout;
use crate::calendar::{Calendar, Timestamp};

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRow<'a> {
    /// A valid row.
    Event {
        /// The device's name.
        device: &'a str,
        /// The instant of the event.
        time: Timestamp,
        /// True for motion, false for none.
        motion: bool,
    },
    /// An invalid row.
    Refused {
        /// The row's position and its error.
        refusal: Refusal,
        /// The row as a JSON object, or unchanged if it does not fit the header.
        payload: String,
    },
}

/// Passes every row of a file to `take`. Rows are read as by [`super::read`], but in the file's order and none left
/// out.
///
/// # Errors
/// [`ReadError`] for a file that cannot be read at all, and any error of `take`.
pub fn rows<E: From<ReadError>>(
    path: &Path,
    layout: &Layout,
    calendar: &Calendar,
    take: impl FnMut(FileRow<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = Rows { file: path.to_string_lossy().into_owned(), numbers: HashMap::new(), names: Vec::new(), take };
    super::each_row(path, layout, calendar, &mut rows)
}

struct Rows<F> {
    file: String,
    /// Positions in `names` by cell, so that a name is checked once and not in every row.
    numbers: HashMap<Box<[u8]>, usize>,
    names: Vec<String>,
    take: F,
}

impl<E: From<ReadError>, F: FnMut(FileRow<'_>) -> Result<(), E>> Sink for Rows<F> {
    type Error = E;

    fn file(&self) -> &str {
        &self.file
    }

    fn device(&mut self, cell: &[u8]) -> Result<usize, Problem> {
        let cell = field::trim(cell);
        if let Some(&number) = self.numbers.get(cell) {
            return Ok(number);
        }
        let name = field::name(cell)?.to_owned();
        self.numbers.insert(cell.into(), self.names.len());
        self.names.push(name);
        Ok(self.names.len() - 1)
    }

    fn accept(&mut self, time: Timestamp, device: usize, motion: bool) -> Result<(), E> {
        (self.take)(FileRow::Event { device: &self.names[device], time, motion })
    }

    fn taken(&mut self, remark: &str) {
        super::say(&self.file, 1, remark);
    }

    fn refuse(&mut self, line: u64, problem: Problem, row: impl FnOnce() -> String) -> Result<(), E> {
        let refusal = Refusal::new(&self.file, line, problem);
        (self.take)(FileRow::Refused { refusal, payload: row() })
    }
}
