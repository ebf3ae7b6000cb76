//! Errors of a table of rooms. Every message names the file and, where there is one, line and column; of a
//! list, the row by its position.

use std::fmt;

use super::Level;
use crate::readings::ReadError;

/// The origin of the rows of a table, by which errors name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, as it was named; rows are named by their lines.
    File(String),
    /// A list; rows are named by position as in JSON, such as `rooms[0]`.
    List,
}

impl Source {
    /// Returns the name of a cell.
    fn cell(&self, row: u64, column: &str) -> String {
        match self {
            Source::File(file) => format!("{file}: line {row}, column {column}"),
            Source::List => format!("rooms[{row}].{column}"),
        }
    }

    /// Returns the name of two rows.
    fn pair(&self, (a, b): (u64, u64)) -> String {
        match self {
            Source::File(file) => format!("{file}: lines {a} and {b}"),
            Source::List => format!("rooms[{a}] and rooms[{b}]"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::File(file) => file,
            Source::List => "rooms",
        })
    }
}

/// Reasons a table of rooms cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoomsError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A column is missing or occurs twice.
    #[error(
        "{file}: line {line}: the header has {count} column {column}: expected sensor, room, and if known floor, building, from, to"
    )]
    Header {
        /// The file as it was named.
        file: String,
        /// The line of the header.
        line: u64,
        /// `no` or `more than one`.
        count: &'static str,
        /// The column at fault.
        column: &'static str,
    },
    /// The first line names no column.
    #[error(
        "{file}: line {line}: expected a header, such as sensor,room,floor, found {found:?}\nhint: put the names of the columns in the first line"
    )]
    NoHeader {
        /// The file as it was named.
        file: String,
        /// The first line.
        line: u64,
        /// Its first cell.
        found: String,
    },
    /// A row has more or fewer cells than the header.
    #[error("{file}: line {line}: expected {expected} columns as in the header, found {found}")]
    Width {
        /// The file as it was named.
        file: String,
        /// The line of the row.
        line: u64,
        /// Number of columns of the header.
        expected: usize,
        /// Number of cells of the row.
        found: usize,
    },
    /// A cell is invalid.
    #[error("{}: expected {expected}, found {found:?}", .table.cell(*.row, .column))]
    Cell {
        /// The origin of the rows.
        table: Source,
        /// The row, by line or position.
        row: u64,
        /// The column's name.
        column: &'static str,
        /// The expected content.
        expected: String,
        /// The content found, cut to 80 characters.
        found: String,
    },
    /// Two floors get the same name when each is written with its building.
    #[error(
        "{table}: two floors are both named {floor:?}, with their buildings\nhint: give one of them another name, without /"
    )]
    TwoFloors {
        /// The origin of the rows.
        table: Source,
        /// The name of both.
        floor: String,
    },
    /// A period ends before it begins, or as it begins.
    #[error("{}: expected a time after that of the column from", .table.cell(*.row, "to"))]
    Period {
        /// The origin of the rows.
        table: Source,
        /// The row, by line or position.
        row: u64,
    },
    /// The table has more rows than are read.
    #[error("{file}: line {line}: expected at most {most} rows")]
    Long {
        /// The file as it was named.
        file: String,
        /// The line of the first row too many.
        line: u64,
        /// Most rows.
        most: usize,
    },
    /// A sensor is in two rooms, or twice in one, at the same time.
    #[error(
        "{}: sensor {sensor:?} is assigned twice at the same time\nhint: end the earlier row with `to`, and begin the later one with `from`",
        .table.pair(*.rows)
    )]
    Overlap {
        /// The origin of the rows.
        table: Source,
        /// Both rows, by line or position, ascending.
        rows: (u64, u64),
        /// The sensor.
        sensor: String,
    },
    /// A room is on two floors or in two buildings.
    #[error(
        "{}: room {room:?} has two {level}s\nhint: a room has one {level}; give two rooms two names, such as \"{place} {room}\"",
        .table.pair(*.rows)
    )]
    TwoPlaces {
        /// The origin of the rows.
        table: Source,
        /// Both rows, by line or position, ascending.
        rows: (u64, u64),
        /// The room.
        room: String,
        /// The level at which its rows differ.
        level: Level,
        /// The floor or building of the second row at fault.
        place: String,
    },
}
