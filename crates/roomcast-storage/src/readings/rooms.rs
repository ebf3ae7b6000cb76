//! The table of rooms between its type and the rows of a database.

use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::rooms::{Assignment, Rooms};

/// Reads the version of the table.
pub(super) const VERSION: &str = "SELECT version FROM rooms_version";

/// Reads the rows of the table.
pub(super) const ROWS: &str = "SELECT sensor, room, floor, building, since, until FROM rooms";

/// A row of the table.
pub(super) type Row = (String, String, Option<String>, Option<String>, Option<Timestamp>, Option<Timestamp>);

/// Returns the rows of a database as those of a table.
pub(super) fn assignments(rows: Vec<Row>) -> Vec<Assignment> {
    let row = |(sensor, room, floor, building, from, to)| Assignment { sensor, room, floor, building, from, to };
    rows.into_iter().map(row).collect()
}

/// Returns the rows of a table as a JSON array, which both databases read as rows.
pub(super) fn json(rooms: &Rooms) -> Result<String, sqlx::Error> {
    serde_json::to_string(rooms.assignments()).map_err(|error| sqlx::Error::Encode(error.into()))
}
