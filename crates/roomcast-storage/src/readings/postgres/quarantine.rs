//! The quarantine in PostgreSQL. Every change holds its lock, which keeps its recorded size correct.

use sqlx::{AssertSqlSafe, PgConnection};

use super::PostgresStore;
use crate::postgres::{AdvisoryLock, lock};
use crate::readings::batch::{Quarantined, QuarantinedRow};
use crate::readings::plan::Plan;
use crate::readings::quarantine::{QuarantineSize, Reject, excess, growth, most_drops};
use roomcast_forecast::calendar::{Calendar, Timestamp};

/// Bytes written after which the table is vacuumed.
pub(super) const VACUUM_BYTES: i64 = 64 << 20;

/// Bytes of a row besides its payload and reason.
pub(super) const ROW_BYTES: i64 = 128;

/// Writes refused rows in order of arrival. It holds the lock, because that is not the order of their keys. Returns the
/// number of rows dropped to make room.
pub(super) async fn write(connection: &mut PgConnection, plan: &Plan<'_>) -> Result<u64, sqlx::Error> {
    let refused = &plan.refused;
    if refused.is_empty() {
        return Ok(0);
    }
    lock(connection, AdvisoryLock::Quarantine).await?;
    let text = |of: fn(&Reject<'_>) -> String| refused.iter().map(of).collect::<Vec<String>>();
    let written: Vec<(i64, i64)> = sqlx::query_as(
        "INSERT INTO quarantine (key, seen, source, payload, reason, received)
         SELECT key, seen, source, payload, reason, $6
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
             AS new (key, seen, source, payload, reason, place)
         ORDER BY place
         ON CONFLICT (key) DO UPDATE SET received = excluded.received, seen = quarantine.seen + excluded.seen
         RETURNING key, seen",
    )
    .bind(refused.iter().map(|reject| reject.key).collect::<Vec<i64>>())
    .bind(refused.iter().map(|reject| reject.seen).collect::<Vec<i64>>())
    .bind(text(|reject| reject.source.to_owned()))
    .bind(text(|reject| reject.payload.clone()))
    .bind(text(|reject| reject.reason.clone()))
    .bind(Calendar::utc_now())
    .fetch_all(&mut *connection)
    .await?;
    let (rows, bytes) = growth(refused, &written);
    let (mut rows, mut bytes): (i64, i64) =
        sqlx::query_as("UPDATE quarantine_size SET held = held + $1, bytes = bytes + $2 RETURNING held, bytes")
            .bind(rows)
            .bind(bytes)
            .fetch_one(&mut *connection)
            .await?;
    let mut dropped = plan.dropped;
    while dropped - plan.dropped < most_drops(refused.len()) {
        let Some(most) = excess(rows, bytes) else { break };
        let oldest = removal("id IN (SELECT id FROM quarantine ORDER BY id LIMIT $1)");
        let oldest = sqlx::query_as(AssertSqlSafe(oldest)).bind(most).fetch_one(&mut *connection);
        let removed: i64;
        (removed, rows, bytes) = oldest.await?;
        if removed == 0 {
            break;
        }
        dropped += removed as u64;
    }
    if dropped > 0 {
        let count = sqlx::query("UPDATE quarantine_size SET dropped = dropped + $1").bind(dropped as i64);
        count.execute(connection).await?;
    }
    Ok(dropped)
}

/// Returns a statement that deletes the rows that meet a condition. It returns their number, and the rows and bytes
/// left.
fn removal(condition: &str) -> String {
    format!(
        "WITH gone AS (
             DELETE FROM quarantine WHERE {condition} RETURNING octet_length(payload) + octet_length(reason) AS bytes
         ), sums AS (SELECT count(*) AS held, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone)
         UPDATE quarantine_size AS size SET held = size.held - sums.held, bytes = size.bytes - sums.bytes FROM sums
         RETURNING sums.held, size.held, size.bytes"
    )
}

/// Deletes the rows last refused before an instant.
pub(super) async fn forget(connection: &mut PgConnection, before: Timestamp) -> Result<(), sqlx::Error> {
    lock(connection, AdvisoryLock::Quarantine).await?;
    sqlx::query(AssertSqlSafe(removal("received < $1"))).bind(before).execute(connection).await?;
    Ok(())
}

impl PostgresStore {
    pub async fn quarantined(&self, after: i64, limit: usize) -> Result<Vec<Quarantined>, sqlx::Error> {
        let rows: Vec<QuarantinedRow> = sqlx::query_as(
            "SELECT id, received, seen, source, payload, reason FROM quarantine WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Quarantined::from).collect())
    }

    pub async fn quarantine_size(&self) -> Result<QuarantineSize, sqlx::Error> {
        let size = sqlx::query_as("SELECT held, bytes, dropped FROM quarantine_size").fetch_one(&self.pool).await?;
        Ok(QuarantineSize::new(size))
    }

    pub async fn release(&self, ids: &[i64]) -> Result<u64, sqlx::Error> {
        let mut writing = self.begin().await?;
        lock(&mut writing, AdvisoryLock::Quarantine).await?;
        let (removed, _, _): (i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(removal("id = ANY($1)"))).bind(ids).fetch_one(&mut *writing).await?;
        writing.commit().await?;
        Ok(removed as u64)
    }
}
