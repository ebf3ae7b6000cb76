//! Migration of stores before version 5, which had a partition for each day, to one table.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::postgres::{AdvisoryLock, BEGIN, lock};

/// Most partitions of one transaction, which holds a few locks for each.
const MAX_PARTITIONS: i64 = 200;

/// Bytes after which a transaction takes no more partitions. Other servers that open the store wait for it.
const MAX_BYTES: i64 = 16 << 20;

/// Moves the readings of all partitions into `readings`, some partitions at a time. An interruption loses nothing: the
/// next open continues, and the store is not used before all readings are moved.
pub(super) async fn move_partitions(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut is_logged = false;
    loop {
        let mut moving = connection.begin_with(BEGIN).await?;
        // Servers that start at the same time take turns.
        lock(&mut moving, AdvisoryLock::Schema).await?;
        // Reads the catalogue's table: its functions may use a cache from before the lock was granted.
        let there = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('readings_by_day'))";
        if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *moving).await? {
            return moving.commit().await;
        }
        let partitions = next(&mut moving).await?;
        if partitions.is_empty() {
            sqlx::query("DROP TABLE readings_by_day").execute(&mut *moving).await?;
            return moving.commit().await;
        }
        if !is_logged {
            tracing::info!("the readings are moved from a table for each day into one; this happens once");
            is_logged = true;
        }
        let mut bytes = 0;
        for (partition, size) in partitions {
            let sql = format!(
                "INSERT INTO readings (time, device, xid) SELECT time, device, xid FROM {partition}
                 ON CONFLICT DO NOTHING;
                 DROP TABLE {partition}"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *moving).await?;
            bytes += size;
            if bytes >= MAX_BYTES {
                break;
            }
        }
        moving.commit().await?;
    }
}

/// Returns the names of some partitions, quoted for SQL, and their sizes.
async fn next(connection: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT part::regclass::text, pg_relation_size(part) FROM (
             SELECT inhrelid AS part FROM pg_inherits WHERE inhparent = 'readings_by_day'::regclass
             ORDER BY inhrelid LIMIT $1
         ) AS parts ORDER BY part",
    )
    .bind(MAX_PARTITIONS)
    .fetch_all(connection)
    .await
}
