//! The tables of SQLite, version by version.

use sqlx::{Executor, SqliteConnection};

use crate::readings::error::StoreError;
use crate::readings::schema::{IS_UNUSED, Meta, OLDEST_VERSION, SET_ZONE, check, zone};
use roomcast_forecast::calendar::Calendar;

/// The tables of version [`OLDEST_VERSION`].
const TABLES: &str = include_str!("../../../sql/sqlite/4.sql");

/// Migration steps, one per version after [`OLDEST_VERSION`]. Steps are never changed, only added.
const STEPS: [&str; 3] = [
    include_str!("../../../sql/sqlite/5.sql"),
    include_str!("../../../sql/sqlite/6.sql"),
    include_str!("../../../sql/sqlite/7.sql"),
];

/// Makes the tables, or brings them up to date, and checks that the store is this site's.
pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    name: &str,
    calendar: &Calendar,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::of(name, error);
    connection.execute("BEGIN IMMEDIATE").await.map_err(failed)?;
    let mut meta = meta(connection).await.map_err(failed)?;
    if meta.is_none() && tables(connection).await.map_err(failed)? > 0 {
        return Err(StoreError::damaged(name, "it holds tables of another program"));
    }
    if let Some(meta) = meta.as_mut().filter(|meta| meta.may_take_zone(STEPS.len(), calendar)) {
        take_zone(connection, meta, calendar).await.map_err(failed)?;
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
    recorded.bind(OLDEST_VERSION + STEPS.len() as i64).bind(zone(calendar)).execute(connection).await?;
    Ok(())
}

async fn tables(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await
}

/// Gives an unused store the calendar's zone.
async fn take_zone(connection: &mut SqliteConnection, meta: &mut Meta, calendar: &Calendar) -> Result<(), sqlx::Error> {
    let now = Calendar::utc_now();
    if sqlx::query_scalar(IS_UNUSED).bind(now).fetch_one(&mut *connection).await? {
        zone(calendar).clone_into(&mut meta.zone);
        sqlx::query(SET_ZONE).bind(zone(calendar)).execute(connection).await?;
    }
    Ok(())
}

async fn meta(connection: &mut SqliteConnection) -> Result<Option<Meta>, sqlx::Error> {
    let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetch_optional(&mut *connection).await?;
    if there.is_none() {
        return Ok(None);
    }
    let row: (i64, String) = sqlx::query_as("SELECT version, zone FROM meta").fetch_one(connection).await?;
    Ok(Some(Meta { version: row.0, zone: row.1 }))
}
