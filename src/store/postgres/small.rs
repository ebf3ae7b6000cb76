//! Quarantine and leases of PostgreSQL.

use sqlx::PgPool;

use crate::store::Quarantined;

pub(super) async fn quarantined(pool: &PgPool, after: i64, limit: usize) -> Result<Vec<Quarantined>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64, String, String, String)> = sqlx::query_as(
        "SELECT id, received, seen, source, payload, reason FROM quarantine WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let row =
        |(id, received, seen, source, payload, reason)| Quarantined { id, received, seen, source, payload, reason };
    Ok(rows.into_iter().map(row).collect())
}

pub(super) async fn release(pool: &PgPool, ids: &[i64]) -> Result<u64, sqlx::Error> {
    let query = sqlx::query("DELETE FROM quarantine WHERE id = ANY($1)").bind(ids);
    Ok(query.execute(pool).await?.rows_affected())
}

/// By the database's clock, which all servers share.
pub(super) async fn lease(pool: &PgPool, name: &str, holder: &str, seconds: i64) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query(
        "INSERT INTO leases (name, holder, until) VALUES ($1, $2, extract(epoch FROM now())::bigint + $3)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE leases.holder = excluded.holder OR leases.until <= extract(epoch FROM clock_timestamp())::bigint",
    )
    .bind(name)
    .bind(holder)
    .bind(seconds)
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() > 0)
}

pub(super) async fn unlease(pool: &PgPool, name: &str, holder: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2").bind(name).bind(holder);
    query.execute(pool).await?;
    Ok(())
}
