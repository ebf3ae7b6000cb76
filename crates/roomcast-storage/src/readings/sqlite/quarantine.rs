//! The quarantine in SQLite.

use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use crate::readings::batch::{Quarantined, QuarantinedRow};
use crate::readings::plan::Plan;
use crate::readings::quarantine::{QuarantineSize, Reject, excess, growth, most_drops};
use roomcast_forecast::calendar::Timestamp;

/// Writes rows refused at an instant in UTC. Returns the number of rows dropped to make room.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    plan: &Plan<'_>,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    if plan.refused.is_empty() {
        return Ok(0);
    }
    let mut written = Vec::with_capacity(plan.refused.len());
    for Reject { key, seen, source, payload, reason } in &plan.refused {
        let row: (i64, i64) = sqlx::query_as(
            "INSERT INTO quarantine (key, received, seen, source, payload, reason) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (key) DO UPDATE SET received = excluded.received, seen = seen + excluded.seen
             RETURNING key, seen",
        )
        .bind(key)
        .bind(now)
        .bind(seen)
        .bind(*source)
        .bind(payload.as_str())
        .bind(reason.as_str())
        .fetch_one(&mut *connection)
        .await?;
        written.push(row);
    }
    let (rows, bytes) = growth(&plan.refused, &written);
    let (mut rows, mut bytes) = resize(connection, rows, bytes, plan.dropped).await?;
    let mut dropped = plan.dropped;
    while dropped - plan.dropped < most_drops(plan.refused.len()) {
        let Some(most) = excess(rows, bytes) else { break };
        let oldest = "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine ORDER BY id LIMIT ?)
                      RETURNING octet_length(payload) + octet_length(reason)";
        let removed: Vec<i64> = sqlx::query_scalar(oldest).bind(most).fetch_all(&mut *connection).await?;
        if removed.is_empty() {
            break;
        }
        let count = removed.len() as u64;
        (rows, bytes) = resize(connection, -(removed.len() as i64), -removed.iter().sum::<i64>(), count).await?;
        dropped += count;
    }
    Ok(dropped)
}

/// Adds to the recorded size and to the number of dropped rows. Returns the rows and bytes there are now.
async fn resize(
    connection: &mut SqliteConnection,
    rows: i64,
    bytes: i64,
    dropped: u64,
) -> Result<(i64, i64), sqlx::Error> {
    let sql = "UPDATE quarantine_size SET held = held + ?, bytes = bytes + ?, dropped = dropped + ?
               RETURNING held, bytes";
    sqlx::query_as(sql).bind(rows).bind(bytes).bind(dropped as i64).fetch_one(connection).await
}

/// Deletes the rows last refused before an instant.
pub(super) async fn forget(connection: &mut SqliteConnection, before: Timestamp) -> Result<(), sqlx::Error> {
    let old = "DELETE FROM quarantine WHERE received < ? RETURNING octet_length(payload) + octet_length(reason)";
    let removed: Vec<i64> = sqlx::query_scalar(old).bind(before).fetch_all(&mut *connection).await?;
    resize(connection, -(removed.len() as i64), -removed.iter().sum::<i64>(), 0).await?;
    Ok(())
}

impl SqliteStore {
    pub async fn quarantined(&self, after: i64, limit: usize) -> Result<Vec<Quarantined>, sqlx::Error> {
        let rows: Vec<QuarantinedRow> = sqlx::query_as(
            "SELECT id, received, seen, source, payload, reason FROM quarantine WHERE id > ? ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(Quarantined::from).collect())
    }

    pub async fn quarantine_size(&self) -> Result<QuarantineSize, sqlx::Error> {
        let size = sqlx::query_as("SELECT held, bytes, dropped FROM quarantine_size").fetch_one(&self.readers).await?;
        Ok(QuarantineSize::new(size))
    }

    pub async fn release(&self, ids: &[i64]) -> Result<u64, sqlx::Error> {
        let mut writing = self.begin().await?;
        let rows: Vec<[i64; 1]> = ids.iter().map(|&id| [id]).collect();
        let (mut removed, mut bytes) = (0, 0);
        for query in self.statements.release.over(&rows) {
            for row in query?.fetch_all(&mut writing.connection).await? {
                removed += 1;
                bytes += row.try_get::<i64, _>(0)?;
            }
        }
        resize(&mut writing.connection, -removed, -bytes, 0).await?;
        writing.commit().await?;
        Ok(removed as u64)
    }
}
