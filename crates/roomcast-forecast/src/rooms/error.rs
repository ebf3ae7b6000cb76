//! Errors of a table of rooms. Every message names the file and, where there is one, line and column.

use super::Level;
use crate::readings::ReadError;

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
    #[error("{file}: line {line}, column {column}: expected {expected}, found {found:?}")]
    Cell {
        /// The file as it was named.
        file: String,
        /// The line of the row.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// The expected content.
        expected: String,
        /// The content found, cut to 80 characters.
        found: String,
    },
    /// Two floors get the same name when each is written with its building.
    #[error(
        "{file}: two floors are both named {floor:?}, with their buildings\nhint: give one of them another name, without /"
    )]
    TwoFloors {
        /// The file as it was named.
        file: String,
        /// The name of both.
        floor: String,
    },
    /// A period ends before it begins, or as it begins.
    #[error("{file}: line {line}, column to: expected a time after that of the column from")]
    Period {
        /// The file as it was named.
        file: String,
        /// The line of the row.
        line: u64,
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
        "{file}: lines {} and {}: sensor {sensor:?} is assigned twice at the same time\nhint: end the earlier row with `to`, and begin the later one with `from`",
        .lines.0, .lines.1
    )]
    Overlap {
        /// The file as it was named.
        file: String,
        /// The lines of both rows, ascending.
        lines: (u64, u64),
        /// The sensor.
        sensor: String,
    },
    /// A room is on two floors or in two buildings.
    #[error(
        "{file}: lines {} and {}: room {room:?} has two {level}s\nhint: a room has one {level}; give two rooms two names, such as \"{place} {room}\"",
        .lines.0, .lines.1
    )]
    TwoPlaces {
        /// The file as it was named.
        file: String,
        /// The lines of both rows, ascending.
        lines: (u64, u64),
        /// The room.
        room: String,
        /// The level at which its rows differ.
        level: Level,
        /// The floor or building of the second row at fault.
        place: String,
    },
}
