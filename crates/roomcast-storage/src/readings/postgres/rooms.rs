//! The table of rooms in PostgreSQL.

use super::PostgresStore;
use super::read::BEGIN_SNAPSHOT;
use crate::readings::rooms::{ROWS, VERSION, assignments, json};
use roomcast_forecast::rooms::{Assignment, Rooms};

/// Inserts the rows of a JSON array.
const INSERT: &str = r#"INSERT INTO rooms (sensor, room, floor, building, since, until)
    SELECT sensor, room, floor, building, "from", "to" FROM json_to_recordset($1::json)
    AS given (sensor text, room text, floor text, building text, "from" bigint, "to" bigint)"#;

impl PostgresStore {
    pub async fn rooms(&self) -> Result<(Vec<Assignment>, i64), sqlx::Error> {
        let mut view = self.pool.begin_with(BEGIN_SNAPSHOT).await?;
        let version = sqlx::query_scalar(VERSION).fetch_one(&mut *view).await?;
        let rows = sqlx::query_as(ROWS).fetch_all(&mut *view).await?;
        view.commit().await?;
        Ok((assignments(rows), version))
    }

    pub async fn rooms_version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(VERSION).fetch_one(&self.pool).await
    }

    pub async fn set_rooms(&self, rooms: &Rooms) -> Result<(), sqlx::Error> {
        let rows = json(rooms)?;
        let mut writing = self.begin().await?;
        // Writers take turns at this row.
        sqlx::query("UPDATE rooms_version SET version = version + 1").execute(&mut *writing).await?;
        sqlx::query("DELETE FROM rooms").execute(&mut *writing).await?;
        sqlx::query(INSERT).bind(rows).execute(&mut *writing).await?;
        writing.commit().await
    }
}
