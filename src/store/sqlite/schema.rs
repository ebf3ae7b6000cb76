//! The tables of SQLite, version by version.

use sqlx::{Executor, SqliteConnection};

use super::blocks;
use crate::calendar::Calendar;
use crate::store::StoreError;
use crate::store::schema::{Meta, check, zone};

/// Step n, counted from 0, upgrades version n to n + 1. Steps are never changed, only added.
const STEPS: [&str; 5] = [
    // A reading's `seq` is its position in the order of commits. AUTOINCREMENT keeps numbers of dropped rows from being
    // reused. `heard` is a table of its own because it changes with every batch.
    "CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
     CREATE TABLE heard (device INTEGER PRIMARY KEY, time INTEGER NOT NULL);
     CREATE TABLE readings (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, device INTEGER NOT NULL, UNIQUE (time, device)
     );
     CREATE TABLE hourly (
         hour INTEGER NOT NULL, device INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (hour, device)
     ) WITHOUT ROWID;
     CREATE TABLE ids (day INTEGER NOT NULL, key INTEGER NOT NULL, PRIMARY KEY (day, key)) WITHOUT ROWID;
     CREATE TABLE quarantine (
         id INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE, received INTEGER NOT NULL,
         seen INTEGER NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
     );",
    // `changed` is the largest `seq` of the packed readings.
    "CREATE TABLE packed (
         day INTEGER NOT NULL, device INTEGER NOT NULL, count INTEGER NOT NULL, changed INTEGER NOT NULL,
         times BLOB NOT NULL, PRIMARY KEY (day, device)
     ) WITHOUT ROWID;
     CREATE INDEX packed_changed ON packed (changed);",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;",
    // These replace `heard` and `hourly`, whose rows `blocks::convert` moves.
    "CREATE TABLE heard_blocks (block INTEGER PRIMARY KEY, times BLOB NOT NULL);
     CREATE TABLE hour_blocks (
         hour INTEGER NOT NULL, block INTEGER NOT NULL, counts BLOB NOT NULL, PRIMARY KEY (hour, block)
     ) WITHOUT ROWID;",
    // One row: the size of the quarantine, and the number of rows dropped from it.
    "CREATE TABLE quarantine_size (held INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL);
     INSERT INTO quarantine_size
         SELECT count(*), coalesce(sum(octet_length(payload) + octet_length(reason)), 0), 0 FROM quarantine;",
];

/// The first version with blocks.
const BLOCKS: usize = 4;

/// Makes or upgrades the tables and checks that the store is this site's.
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
    let from = check(name, meta.as_ref(), STEPS.len(), calendar)?;
    upgrade(connection, from, calendar).await.map_err(failed)?;
    connection.execute("COMMIT").await.map_err(failed)?;
    Ok(())
}

/// Applies all steps after the first `from`.
async fn upgrade(connection: &mut SqliteConnection, from: usize, calendar: &Calendar) -> Result<(), sqlx::Error> {
    if from == STEPS.len() {
        return Ok(());
    }
    if from == 0 {
        connection.execute("CREATE TABLE meta (version INTEGER NOT NULL, zone TEXT NOT NULL)").await?;
        let first = sqlx::query("INSERT INTO meta (version, zone) VALUES (0, ?)").bind(zone(calendar));
        first.execute(&mut *connection).await?;
    }
    for (version, &step) in (1..).zip(&STEPS).skip(from) {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
        if version == BLOCKS {
            blocks::convert(connection).await?;
        }
    }
    let now = sqlx::query("UPDATE meta SET version = ?").bind(STEPS.len() as i64);
    now.execute(connection).await?;
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
