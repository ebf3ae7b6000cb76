//! Quarantine and leases of SQLite.

use sqlx::{Pool, Sqlite};

use super::SqliteStore;
use crate::calendar::Calendar;
use crate::store::Quarantined;

pub(super) async fn quarantined(
    readers: &Pool<Sqlite>,
    after: i64,
    limit: usize,
) -> Result<Vec<Quarantined>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64, String, String, String)> = sqlx::query_as(
        "SELECT id, received, seen, source, payload, reason FROM quarantine WHERE id > ? ORDER BY id LIMIT ?",
    )
    .bind(after)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(readers)
    .await?;
    let row =
        |(id, received, seen, source, payload, reason)| Quarantined { id, received, seen, source, payload, reason };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn release(store: &SqliteStore, ids: &[i64]) -> Result<u64, sqlx::Error> {
    let mut writing = store.begin().await?;
    let rows: Vec<[i64; 1]> = ids.iter().map(|&id| [id]).collect();
    let released = store.statements.release.run(&mut writing.connection, &rows).await?;
    writing.commit().await?;
    Ok(released)
}

/// All who share the file share the machine's clock.
pub(super) async fn lease(store: &SqliteStore, name: &str, holder: &str, seconds: i64) -> Result<bool, sqlx::Error> {
    let now = Calendar::utc_now();
    let mut writing = store.begin().await?;
    let taken = sqlx::query(
        "INSERT INTO leases (name, holder, until) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until <= ?4",
    )
    .bind(name)
    .bind(holder)
    .bind(now.saturating_add(seconds))
    .bind(now)
    .execute(&mut writing.connection)
    .await?;
    writing.commit().await?;
    Ok(taken.rows_affected() > 0)
}

pub(super) async fn unlease(store: &SqliteStore, name: &str, holder: &str) -> Result<(), sqlx::Error> {
    let mut writing = store.begin().await?;
    let query = sqlx::query("DELETE FROM leases WHERE name = ? AND holder = ?").bind(name).bind(holder);
    query.execute(&mut writing.connection).await?;
    writing.commit().await
}
