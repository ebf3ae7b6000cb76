//! The tables of PostgreSQL, version by version.

use sqlx::{Executor, PgConnection};

use super::{Lock, lock};
use crate::calendar::Calendar;
use crate::store::StoreError;
use crate::store::schema::{Meta, check, zone};

/// The oldest supported server, as `server_version_num`.
const OLDEST: i32 = 150_000;

/// Step n, counted from 0, upgrades version n to n + 1. Steps are never changed, only added.
const STEPS: [&str; 7] = [
    // `xid` is the transaction that wrote a reading. `heard` is a table of its own because it changes with every batch,
    // and an upsert there uses up no number. Names are ordered by their bytes, as everywhere else.
    "CREATE TABLE devices (
         id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT COLLATE \"C\" NOT NULL UNIQUE
     );
     CREATE TABLE heard (device BIGINT PRIMARY KEY, time BIGINT NOT NULL) WITH (fillfactor = 50);
     CREATE TABLE readings (
         time BIGINT NOT NULL, device BIGINT NOT NULL, xid BIGINT NOT NULL, PRIMARY KEY (time, device)
     ) PARTITION BY RANGE (time);
     CREATE INDEX readings_xid ON readings (xid);
     CREATE TABLE hourly (
         hour INTEGER NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (hour, device)
     ) WITH (fillfactor = 70);
     CREATE TABLE ids (day BIGINT NOT NULL, key BIGINT NOT NULL, PRIMARY KEY (day, key));
     CREATE TABLE quarantine (
         id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key BIGINT NOT NULL UNIQUE, received BIGINT NOT NULL,
         seen BIGINT NOT NULL, source TEXT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL
     );",
    // `changed` is the latest `xid` of the packed readings.
    "CREATE TABLE packed (
         day BIGINT NOT NULL, device BIGINT NOT NULL, count BIGINT NOT NULL, changed BIGINT NOT NULL,
         times BYTEA NOT NULL, PRIMARY KEY (day, device)
     );
     CREATE INDEX packed_changed ON packed (changed);",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL);",
    // At most one round is open. Instants of the site are numbers; those of the database's clock are timestamps.
    "CREATE SEQUENCE fences;
     CREATE TABLE rounds (
         id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, until BIGINT NOT NULL, known BIGINT, site BYTEA,
         holder TEXT, fence BIGINT NOT NULL, leased_until TIMESTAMPTZ NOT NULL,
         started TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), ended TIMESTAMPTZ, devices BIGINT NOT NULL DEFAULT 0,
         failed BIGINT, version TEXT, promoted BIGINT, kept BIGINT, note TEXT
     );
     CREATE UNIQUE INDEX rounds_open ON rounds ((ended IS NULL)) WHERE ended IS NULL;
     CREATE TABLE round_devices (
         round BIGINT NOT NULL, device TEXT COLLATE \"C\" NOT NULL, times BYTEA NOT NULL, holder TEXT,
         fence BIGINT NOT NULL DEFAULT 0, leased_until TIMESTAMPTZ NOT NULL DEFAULT '-infinity',
         attempts INTEGER NOT NULL DEFAULT 0, trouble TEXT, result BYTEA, failed TEXT, PRIMARY KEY (round, device)
     );
     CREATE INDEX round_devices_open ON round_devices (round, attempts, device) WHERE result IS NULL AND failed IS NULL;",
    // One table replaces partitions by day: each statement locks all of them, and the server has room for some thousand
    // locks. `by_day` moves the readings. Packing deletes rows from the beginning of the table and its indexes. A
    // vacuum frees their room; by default it would wait until a fifth of a large table is dead.
    "ALTER TABLE readings RENAME TO readings_by_day;
     ALTER INDEX readings_pkey RENAME TO readings_by_day_pkey;
     ALTER INDEX readings_xid RENAME TO readings_by_day_xid;
     CREATE TABLE readings (
         time BIGINT NOT NULL, device BIGINT NOT NULL, xid BIGINT NOT NULL, PRIMARY KEY (time, device)
     ) WITH (autovacuum_vacuum_scale_factor = 0.05);
     CREATE INDEX readings_xid ON readings (xid);",
    // One row: the size of the quarantine, and the number of rows dropped from it.
    "CREATE TABLE quarantine_size (held BIGINT NOT NULL, bytes BIGINT NOT NULL, dropped BIGINT NOT NULL);
     INSERT INTO quarantine_size
         SELECT count(*), coalesce(sum(octet_length(payload) + octet_length(reason)), 0), 0 FROM quarantine;",
    // The fit of devices is no longer leased.
    "DROP TABLE round_devices; DROP TABLE rounds; DROP SEQUENCE fences;",
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
    let from = check(name, meta.as_ref(), STEPS.len(), calendar)?;
    upgrade(connection, from, calendar).await.map_err(failed)?;
    rewind(connection).await.map_err(failed)
}

/// Applies all steps after the first `from`.
async fn upgrade(connection: &mut PgConnection, from: usize, calendar: &Calendar) -> Result<(), sqlx::Error> {
    if from == STEPS.len() {
        return Ok(());
    }
    if from == 0 {
        let schema: Option<String> = sqlx::query_scalar("SELECT current_schema()").fetch_one(&mut *connection).await?;
        if schema.is_none() {
            // The schema is missing that is first in the search path.
            connection.execute("CREATE SCHEMA IF NOT EXISTS roomcast").await?;
        }
        connection.execute("CREATE TABLE meta (version BIGINT NOT NULL, zone TEXT NOT NULL)").await?;
        let first = sqlx::query("INSERT INTO meta (version, zone) VALUES (0, $1)").bind(zone(calendar));
        first.execute(&mut *connection).await?;
    }
    for &step in &STEPS[from..] {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    let now = sqlx::query("UPDATE meta SET version = $1").bind(STEPS.len() as i64);
    now.execute(connection).await?;
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
