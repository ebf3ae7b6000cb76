//! A refused row, as it is listed and as it ends a run.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{Problem, Snippet};
use crate::files::is_parquet;

/// The name of a data frame in messages. Its rows are counted from 0 there, as the libraries of data frames do.
pub const FRAME: &str = "data frame";

/// A row that is not a reading, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The file as it was named, `-` for standard input.
    pub file: String,
    /// The first line of the row, from 1; in a Parquet file or a data frame the row, from 1.
    pub line: u64,
    /// The invalid column; `None` when the row as a whole does not fit the header.
    pub column: Option<&'static str>,
    /// The expected content.
    pub expected: String,
    /// The content found, cut to 80 characters.
    pub found: String,
    /// The file's own name of the column, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The remedy, where it is not to correct the row.
    #[serde(skip)]
    hint: Option<&'static str>,
    #[serde(skip)]
    snippet: Option<Box<Snippet>>,
}

impl Refusal {
    /// Describes the problem of a row.
    pub fn new(file: &str, line: u64, problem: Problem) -> Self {
        let Problem { column, expected, found, hint, header, snippet } = problem;
        Self { file: file.to_owned(), line, column, expected: expected.into_owned(), found, header, hint, snippet }
    }

    /// Returns the remedy, where it is not to correct the row.
    pub fn hint(&self) -> Option<&str> {
        self.hint
    }

    /// Returns whether another row was refused for the same reason.
    pub(in crate::readings::file) fn is_like(&self, other: &Refusal) -> bool {
        (self.column, &self.header, &self.expected) == (other.column, &other.header, &other.expected)
    }

    /// Returns the message with the line, a caret under the field, and what to do.
    pub fn in_full(&self) -> String {
        let drawn = self.snippet.as_ref().map(|snippet| "\n".to_owned() + &snippet.draw(self.line, &self.expected));
        let hint = self.hint.unwrap_or("correct the row, or leave such rows out with --skip-bad-rows");
        format!("{self}{}\nhint: {hint}", drawn.unwrap_or_default())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file == FRAME, is_parquet(Path::new(&self.file))) {
            // The libraries of data frames count rows from 0.
            (true, _) => write!(f, "{FRAME}: row {} (the first is 0)", self.line - 1)?,
            (_, true) => write!(f, "{}: row {}", self.file, self.line)?,
            _ => write!(f, "{}: line {}", self.file, self.line)?,
        }
        match self.header.as_deref().or(self.column) {
            Some(column) => write!(f, ", column {column}: expected {}, found {:?}", self.expected, self.found),
            None => write!(f, ": expected {}, found {}", self.expected, self.found),
        }
    }
}
