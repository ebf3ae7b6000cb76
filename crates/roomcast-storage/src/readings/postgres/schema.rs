//! The tables of PostgreSQL, version by version.

use sqlx::{Executor, PgConnection};

use super::{Lock, lock};
use crate::readings::StoreError;
use crate::readings::schema::{FIRST, Meta, check, zone};
use roomcast_forecast::calendar::Calendar;

/// The oldest supported server, as `server_version_num`.
const OLDEST: i32 = 150_000;

/// The tables but for those that later versions than [`FIRST`] added or replaced.
///
/// `heard` is apart from `devices` because it changes with every batch, and an upsert there uses up no number. Names are ordered by
/// their bytes, as everywhere else. `changed` is the latest `xid` of the readings packed.
const TABLES: &str = "CREATE TABLE meta (version BIGINT NOT NULL, zone TEXT NOT NULL);
     CREATE TABLE devices (
         id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT COLLATE \"C\" NOT NULL UNIQUE
     );
     CREATE TABLE heard (device BIGINT PRIMARY KEY, time BIGINT NOT NULL) WITH (fillfactor = 50);
     CREATE TABLE hourly (
         hour INTEGER NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (hour, device)
     ) WITH (fillfactor = 70);
     CREATE TABLE ids (day BIGINT NOT NULL, key BIGINT NOT NULL, PRIMARY KEY (day, key));
     CREATE TABLE quarantine (
         id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key BIGINT NOT NULL UNIQUE, received BIGINT NOT NULL,
         seen BIGINT NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
     );
     CREATE TABLE packed (
         day BIGINT NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, changed BIGINT NOT NULL,
         times BYTEA NOT NULL, PRIMARY KEY (day, device)
     );
     CREATE INDEX packed_changed ON packed (changed);
     CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);";

/// One table instead of one a day: each statement on partitions locks all of them, and the server has room for some thousand locks.
/// `xid` is the transaction that wrote a reading. Packing deletes rows from the beginning of the table and its indexes: the room
/// is used again once it is vacuumed, which may not wait until it is a fifth of a large table.
const READINGS: &str = "CREATE TABLE readings (
         time BIGINT NOT NULL, device BIGINT NOT NULL, xid BIGINT NOT NULL, PRIMARY KEY (time, device)
     ) WITH (autovacuum_vacuum_scale_factor = 0.05);
     CREATE INDEX readings_xid ON readings (xid);";

/// One row: what is in quarantine, and how much was dropped from it.
const QUARANTINE_SIZE: &str =
    "CREATE TABLE quarantine_size (held BIGINT NOT NULL, bytes BIGINT NOT NULL, dropped BIGINT NOT NULL);
     INSERT INTO quarantine_size
         SELECT count(*), coalesce(sum(octet_length(payload) + octet_length(reason)), 0), 0 FROM quarantine;";

/// Each makes the next version; the first, of [`FIRST`]. Steps are never changed, only added.
const STEPS: [&[&str]; 3] = [
    // `by_day` moves what is in the tables of days.
    &[
        "ALTER TABLE readings RENAME TO readings_by_day;
         ALTER INDEX readings_pkey RENAME TO readings_by_day_pkey;
         ALTER INDEX readings_xid RENAME TO readings_by_day_xid;",
        READINGS,
    ],
    &[QUARANTINE_SIZE],
    // Nobody leases the fit of devices any more.
    &["DROP TABLE round_devices; DROP TABLE rounds; DROP SEQUENCE fences;"],
];

/// Makes or upgrades the tables and checks that the store is this site's. Runs inside a transaction.
pub(super) async fn prepare(connection: &mut PgConnection, name: &str, calendar: &Calendar) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::integer")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if version < OLDEST {
        return Err(StoreError::refused(name, format!("needs PostgreSQL 15 or later, this is {}", version / 10_000)));
    }
    // Servers that start at the same time take turns.
    lock(connection, Lock::Schema).await.map_err(failed)?;
    let meta = meta(connection).await.map_err(failed)?;
    let done = check(name, meta.as_ref(), STEPS.len(), calendar)?;
    upgrade(connection, done, calendar).await.map_err(failed)?;
    rewind(connection).await.map_err(failed)
}

/// Creates the tables if there are none, else applies all steps but those that are `done`.
async fn upgrade(connection: &mut PgConnection, done: Option<usize>, calendar: &Calendar) -> Result<(), sqlx::Error> {
    if done == Some(STEPS.len()) {
        return Ok(());
    }
    if done.is_none() {
        let schema: Option<String> = sqlx::query_scalar("SELECT current_schema()").fetch_one(&mut *connection).await?;
        if schema.is_none() {
            // The schema is missing that is first in the search path.
            connection.execute("CREATE SCHEMA IF NOT EXISTS roomcast").await?;
        }
    }
    let steps = done.map_or(vec![TABLES, READINGS, QUARANTINE_SIZE], |done| STEPS[done..].concat());
    for step in steps {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    let recorded = match done {
        None => sqlx::query("INSERT INTO meta (version, zone) VALUES ($1, $2)"),
        Some(_) => sqlx::query("UPDATE meta SET version = $1 WHERE zone = $2"),
    };
    recorded.bind(FIRST + STEPS.len() as i64).bind(zone(calendar)).execute(connection).await?;
    Ok(())
}

async fn meta(connection: &mut PgConnection) -> Result<Option<Meta>, sqlx::Error> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('meta') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        return Ok(None);
    }
    let row: (i64, String) = sqlx::query_as("SELECT version, zone FROM meta").fetch_one(connection).await?;
    Ok(Some(Meta { version: row.0, zone: row.1 }))
}

/// Resets transaction numbers ahead of the server's own, which a store restored from another server may have. They
/// would count as new until the server caught up. Their readings are old: no cursor can be from before them.
pub(super) async fn rewind(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let next = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let ahead: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT EXISTS (SELECT FROM readings WHERE xid >= {next}) OR EXISTS (SELECT FROM packed WHERE changed >= {next})"
    )))
    .fetch_one(&mut *connection)
    .await?;
    if ahead {
        for (table, column) in [("readings", "xid"), ("packed", "changed")] {
            let sql = format!("UPDATE {table} SET {column} = 0 WHERE {column} >= {next}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
