//! The tables of SQLite, version by version.

use sqlx::{Executor, SqliteConnection};

use crate::readings::StoreError;
use crate::readings::schema::{FIRST, Meta, check, zone};
use roomcast_forecast::calendar::Calendar;

/// The tables of version [`FIRST`].
///
/// A reading's `seq` is its place in the order of commits; AUTOINCREMENT, so that numbers of rows that were dropped are not given
/// again. `heard_blocks` is apart from `devices` because it changes with every batch. `changed` is the largest `seq` of the readings
/// packed.
const TABLES: &str = "CREATE TABLE meta (version INTEGER NOT NULL, zone TEXT NOT NULL);
     CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
     CREATE TABLE readings (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, device INTEGER NOT NULL, UNIQUE (time, device)
     );
     CREATE TABLE ids (day INTEGER NOT NULL, key INTEGER NOT NULL, PRIMARY KEY (day, key)) WITHOUT ROWID;
     CREATE TABLE quarantine (
         id INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE, received INTEGER NOT NULL,
         seen INTEGER NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
     );
     CREATE TABLE packed (
         day INTEGER NOT NULL, device INTEGER NOT NULL, count INTEGER NOT NULL, changed INTEGER NOT NULL,
         times BLOB NOT NULL, PRIMARY KEY (day, device)
     ) WITHOUT ROWID;
     CREATE INDEX packed_changed ON packed (changed);
     CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE heard_blocks (block INTEGER PRIMARY KEY, times BLOB NOT NULL);
     CREATE TABLE hour_blocks (
         hour INTEGER NOT NULL, block INTEGER NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (hour, block)
     ) WITHOUT ROWID;";

/// Each makes the next version; the first, of [`FIRST`]. Steps are never changed, only added.
const STEPS: [&str; 1] = [
    // One row: what is in quarantine, and how much was dropped from it.
    "CREATE TABLE quarantine_size (held INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL);
     INSERT INTO quarantine_size
         SELECT count(*), coalesce(sum(octet_length(payload) + octet_length(reason)), 0), 0 FROM quarantine;",
];

/// Makes the tables, or brings them up to date, and checks that the store is this site's.
pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    name: &str,
    calendar: &Calendar,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    connection.execute("BEGIN IMMEDIATE").await.map_err(failed)?;
    let meta = meta(connection).await.map_err(failed)?;
    if meta.is_none() && tables(connection).await.map_err(failed)? > 0 {
        return Err(StoreError::damaged(name, "it holds tables of another program"));
    }
    let done = check(name, meta.as_ref(), STEPS.len(), calendar)?;
    upgrade(connection, done, calendar).await.map_err(failed)?;
    connection.execute("COMMIT").await.map_err(failed)?;
    Ok(())
}

/// Creates the tables if there are none, and applies all steps but those that are `done`.
async fn upgrade(
    connection: &mut SqliteConnection,
    done: Option<usize>,
    calendar: &Calendar,
) -> Result<(), sqlx::Error> {
    if done == Some(STEPS.len()) {
        return Ok(());
    }
    let steps = done.map_or([&[TABLES], &STEPS[..]].concat(), |done| STEPS[done..].to_vec());
    for step in steps {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    let recorded = match done {
        None => sqlx::query("INSERT INTO meta (version, zone) VALUES (?, ?)"),
        Some(_) => sqlx::query("UPDATE meta SET version = ? WHERE zone = ?"),
    };
    recorded.bind(FIRST + STEPS.len() as i64).bind(zone(calendar)).execute(connection).await?;
    Ok(())
}

async fn tables(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await
}

async fn meta(connection: &mut SqliteConnection) -> Result<Option<Meta>, sqlx::Error> {
    let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetch_optional(&mut *connection).await?;
    if there.is_none() {
        return Ok(None);
    }
    let row: (i64, String) = sqlx::query_as("SELECT version, zone FROM meta").fetch_one(connection).await?;
    Ok(Some(Meta { version: row.0, zone: row.1 }))
}
