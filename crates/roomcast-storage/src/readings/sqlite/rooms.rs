//! The table of rooms in SQLite.

use super::SqliteStore;
use crate::readings::rooms::{ROWS, VERSION, assignments, json};
use roomcast_forecast::rooms::{Assignment, Rooms};

/// Inserts the rows of a JSON array.
const INSERT: &str = "INSERT INTO rooms (sensor, room, floor, building, since, until)
    SELECT value ->> 'sensor', value ->> 'room', value ->> 'floor', value ->> 'building', value ->> 'from', value ->> 'to'
    FROM json_each(?)";

impl SqliteStore {
    pub async fn rooms(&self) -> Result<(Vec<Assignment>, i64), sqlx::Error> {
        let mut view = self.view().await?;
        let version = sqlx::query_scalar(VERSION).fetch_one(&mut *view).await?;
        let rows = sqlx::query_as(ROWS).fetch_all(&mut *view).await?;
        view.end().await?;
        Ok((assignments(rows), version))
    }

    pub async fn rooms_version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(VERSION).fetch_one(&self.readers).await
    }

    pub async fn set_rooms(&self, rooms: &Rooms) -> Result<(), sqlx::Error> {
        let rows = json(rooms)?;
        let mut writing = self.begin().await?;
        sqlx::query("DELETE FROM rooms").execute(&mut writing.connection).await?;
        sqlx::query(INSERT).bind(rows).execute(&mut writing.connection).await?;
        sqlx::query("UPDATE rooms_version SET version = version + 1").execute(&mut writing.connection).await?;
        writing.commit().await
    }
}
