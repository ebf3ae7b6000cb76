//! The tables of PostgreSQL, version by version.

use sqlx::PgConnection;

use crate::postgres::{AdvisoryLock, create_schema, lock};
use crate::readings::error::StoreError;
use crate::readings::schema::{IS_UNUSED, Meta, OLDEST_VERSION, SET_ZONE, check, zone};
use roomcast_forecast::calendar::Calendar;

/// The oldest supported server, as `server_version_num`.
const MIN_SERVER_VERSION: i32 = 150_000;

/// The tables but for those that later versions than [`OLDEST_VERSION`] added or replaced.
const TABLES: &str = include_str!("../../../sql/postgres/tables.sql");
const READINGS: &str = include_str!("../../../sql/postgres/readings.sql");
const QUARANTINE_SIZE: &str = include_str!("../../../sql/postgres/quarantine_size.sql");
const ROOMS: &str = include_str!("../../../sql/postgres/rooms.sql");

/// Migration steps, one per version after [`OLDEST_VERSION`]. Steps are never changed, only added.
const STEPS: [&[&str]; 5] = [
    // `by_day` moves what is in the tables of days.
    &[include_str!("../../../sql/postgres/set_partitions_aside.sql"), READINGS],
    &[QUARANTINE_SIZE],
    &[include_str!("../../../sql/postgres/drop_rounds.sql")],
    &[include_str!("../../../sql/postgres/offs.sql")],
    &[ROOMS],
];

/// Makes or upgrades the tables and checks that the store is this site's. Runs inside a transaction.
pub(super) async fn prepare(connection: &mut PgConnection, name: &str, calendar: &Calendar) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::integer")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if version < MIN_SERVER_VERSION {
        return Err(StoreError::refused(name, format!("needs PostgreSQL 15 or later, this is {}", version / 10_000)));
    }
    // Servers that start at the same time take turns.
    lock(connection, AdvisoryLock::Schema).await.map_err(failed)?;
    let mut meta = meta(connection).await.map_err(failed)?;
    if let Some(meta) = meta.as_mut().filter(|meta| meta.may_take_zone(STEPS.len(), calendar)) {
        take_zone(connection, meta, calendar).await.map_err(failed)?;
    }
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
        create_schema(connection).await?;
    }
    let steps = done.map_or(vec![TABLES, READINGS, QUARANTINE_SIZE, ROOMS], |done| STEPS[done..].concat());
    for step in steps {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    let recorded = match done {
        None => sqlx::query("INSERT INTO meta (version, zone) VALUES ($1, $2)"),
        Some(_) => sqlx::query("UPDATE meta SET version = $1 WHERE zone = $2"),
    };
    recorded.bind(OLDEST_VERSION + STEPS.len() as i64).bind(zone(calendar)).execute(connection).await?;
    Ok(())
}

/// Gives an unused store the calendar's zone.
async fn take_zone(connection: &mut PgConnection, meta: &mut Meta, calendar: &Calendar) -> Result<(), sqlx::Error> {
    let now = Calendar::utc_now();
    if sqlx::query_scalar(IS_UNUSED).bind(now).fetch_one(&mut *connection).await? {
        zone(calendar).clone_into(&mut meta.zone);
        sqlx::query(SET_ZONE).bind(zone(calendar)).execute(connection).await?;
    }
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
