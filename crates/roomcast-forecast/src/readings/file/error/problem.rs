//! An error in a cell or a row, before the file and the line are known.

use std::borrow::Cow;
use std::fmt;

use super::Snippet;

/// The names of the three columns, in the order in which they are written.
pub const COLUMNS: [&str; 3] = ["time", "device", "device_activated"];

/// An error in a cell, or in the row as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    pub column: Option<&'static str>,
    pub expected: Cow<'static, str>,
    pub found: String,
    /// The remedy, where it is not to correct the row.
    pub hint: Option<&'static str>,
    /// The file's own name of the column, where it is another.
    pub header: Option<String>,
    /// The line, for people.
    pub snippet: Option<Box<Snippet>>,
}

impl Problem {
    pub fn new(column: usize, expected: &'static str, found: &[u8]) -> Self {
        let column = COLUMNS.get(column).copied();
        Self { column, expected: expected.into(), found: excerpt(found), ..Self::default() }
    }

    pub fn null(column: usize) -> Self {
        Self::new(column, "a value", b"null")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = self.column {
            write!(f, "{column}: ")?;
        }
        write!(f, "expected {}, found {:?}", self.expected, self.found)
    }
}

/// Returns the beginning of a text of unknown encoding, short enough to print.
pub fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes. The cut comes before the copy, because a bad cell may be large.
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * 81)]);
    match head.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &head[..end]),
        None => head.into_owned(),
    }
}
