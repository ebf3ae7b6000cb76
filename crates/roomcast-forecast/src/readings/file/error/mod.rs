//! Errors of reading an input. Every message names the file; most end in a line `hint: …`.

mod problem;
mod refusal;
mod snippet;

use std::io;

pub use problem::{COLUMNS, Problem, excerpt};
pub use refusal::{FRAME, Refusal};
pub use snippet::Snippet;

/// Reasons an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{file}: no such file\nhint: check the path and the working directory")]
    Missing {
        /// The file as it was named.
        file: String,
    },
    /// A directory has no files of readings.
    #[error(
        "{file}: the directory has no files of readings\nhint: they end in .csv, .tsv, .txt, .parquet, .xlsx, .gz or .zst"
    )]
    Directory {
        /// The path as it was named.
        file: String,
    },
    /// The operating system refused to open or read the file.
    #[error("{file}: cannot be read")]
    Io {
        /// The file as it was named.
        file: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is empty, or has only blank lines.
    #[error(
        "{file}: the file is empty\nhint: the first line names the columns, such as time,device,device_activated; docs/DATA.md has the other layouts"
    )]
    Empty {
        /// The file as it was named.
        file: String,
    },
    /// The file is of another kind, recognized by its first bytes.
    #[error("{file}: expected readings, found {found}\nhint: {hint}")]
    Format {
        /// The file as it was named.
        file: String,
        /// The kind of file.
        found: &'static str,
        /// The way to make CSV of it.
        hint: &'static str,
    },
    /// A column is missing, or occurs twice.
    #[error("{file}: the header has {count} column {column:?}: expected {expected}, found {found:?}\nhint: {hint}")]
    Header {
        /// The file as it was named.
        file: String,
        /// `no` or `more than one`.
        count: &'static str,
        /// The column at fault.
        column: &'static str,
        /// The columns that must be there.
        expected: &'static str,
        /// The header as found, cut to 80 characters.
        found: String,
        /// The likely mistake.
        hint: String,
    },
    /// A row is invalid, and bad rows are not skipped.
    #[error("{}", .0.in_full())]
    BadRow(Box<Refusal>),
    /// A row does not end.
    #[error(
        "{file}: line {line}: the row does not end within {limit} bytes\nhint: look for line ends that are missing, or a quote that is never closed"
    )]
    Endless {
        /// The file as it was named.
        file: String,
        /// The line on which the row begins.
        line: u64,
        /// Most bytes of a row.
        limit: usize,
    },
    /// A Parquet column has a type that cannot be read.
    #[error("{file}: column {column}: expected {expected}, found the type {found}\nhint: {hint}")]
    ColumnType {
        /// The file as it was named.
        file: String,
        /// The column at fault.
        column: &'static str,
        /// The types that can be read.
        expected: &'static str,
        /// The type found.
        found: String,
        /// The remedy.
        hint: &'static str,
    },
    /// The file is damaged, or is not Parquet.
    #[error(
        "{file}: cannot be read as Parquet: {message}\nhint: check that the file is whole; CSV must not be named .parquet"
    )]
    Parquet {
        /// The file as it was named.
        file: String,
        /// The Parquet reader's message.
        message: String,
    },
    /// The first row can be read in two ways.
    #[error("{file}: {what}\n{drawn}\nhint: {hint}")]
    Ambiguous {
        /// The file as it was named.
        file: String,
        /// Both readings of the first row.
        what: String,
        /// The row, with a caret under the field.
        drawn: String,
        /// The option that decides.
        hint: String,
    },
    /// The file does not fit the options of its layout.
    #[error("{file}: {what}\nhint: {hint}")]
    Layout {
        /// The file as it was named.
        file: String,
        /// The part that does not fit.
        what: String,
        /// The remedy.
        hint: String,
    },
    /// The file is not a workbook of Excel, or is damaged.
    #[error("{file}: cannot be read as an Excel workbook: {message}\nhint: save the sheet as CSV")]
    Workbook {
        /// The file as it was named.
        file: String,
        /// The reader's message.
        message: String,
    },
    /// The library that holds a data frame does not give out its rows.
    #[error("{file}: cannot be read as Arrow: {message}")]
    Arrow {
        /// The name of the data frame.
        file: String,
        /// The message of the library.
        message: String,
    },
    /// The process that read the file reported an error; see [`super::apart`].
    #[error("{message}")]
    Apart {
        /// One of the other messages.
        message: String,
    },
}

impl ReadError {
    /// Converts an error of opening or reading a file.
    pub(crate) fn io(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => ReadError::Missing { file },
            io::ErrorKind::IsADirectory => ReadError::Directory { file },
            _ => ReadError::Io { file, source },
        }
    }
}
