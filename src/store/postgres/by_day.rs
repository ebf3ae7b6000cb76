//! Stores of before version 5 had a partition for each day. What is in them is moved into the one table.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{BEGIN, Lock, lock};

/// Partitions of one transaction, which holds a few locks for each.
const MOST_PARTITIONS: i64 = 200;

/// Bytes of one transaction after which it takes no more partitions: other servers that are opened wait for it.
const ENOUGH_BYTES: i64 = 16 << 20;

/// Moves the readings of all partitions into `readings`, some partitions at a time. An end in between loses nothing: whoever
/// opens the store next goes on, and nobody uses it before all are moved.
pub(super) async fn take_over(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut said = false;
    loop {
        let mut moving = connection.begin_with(BEGIN).await?;
        // Servers that start at once take turns.
        lock(&mut moving, Lock::Schema).await?;
        // Looked up in the catalogue's table: its functions may answer from a memory of before the lock was granted.
        let there = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('readings_by_day'))";
        if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *moving).await? {
            return moving.commit().await;
        }
        let partitions = next(&mut moving).await?;
        if partitions.is_empty() {
            sqlx::query("DROP TABLE readings_by_day").execute(&mut *moving).await?;
            return moving.commit().await;
        }
        if !said {
            tracing::info!("the readings are moved from a table for each day into one; this happens once");
            said = true;
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
            if bytes >= ENOUGH_BYTES {
                break;
            }
        }
        moving.commit().await?;
    }
}

/// The names of some partitions, as SQL writes them, and their sizes.
async fn next(connection: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT part::regclass::text, pg_relation_size(part) FROM (
             SELECT inhrelid AS part FROM pg_inherits WHERE inhparent = 'readings_by_day'::regclass
             ORDER BY inhrelid LIMIT $1
         ) AS parts ORDER BY part",
    )
    .bind(MOST_PARTITIONS)
    .fetch_all(connection)
    .await
}
