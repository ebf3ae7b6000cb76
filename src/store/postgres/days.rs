//! Whole days of PostgreSQL: packed, or dropped.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};

use super::{Lock, begin, lock};
use crate::calendar::{Calendar, Instant};
use crate::store::packed::{DAY, day, pack as squeeze, unpack};

/// Days that have a partition, in order. Partitions are named `readings_` and their day.
const DAYS: &str = "SELECT substr(relname, 10)::bigint AS day FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                    WHERE inhparent = 'readings'::regclass ORDER BY day";

/// Packs the days that end at or before an instant; says how many readings were packed.
pub(super) async fn pack(pool: &PgPool, before: Instant) -> Result<u64, sqlx::Error> {
    let days: Vec<i64> = sqlx::query_scalar(DAYS).fetch_all(pool).await?;
    let mut packed = 0;
    for day in days.into_iter().take_while(|&closed| closed < day(before)) {
        let mut writing = begin(pool).await?;
        lock(&mut writing, Lock::Days).await?;
        packed += pack_day(&mut writing, day).await?;
        writing.commit().await?;
    }
    Ok(packed)
}

async fn pack_day(connection: &mut PgConnection, day: i64) -> Result<u64, sqlx::Error> {
    let old: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT device, times FROM packed WHERE day = $1").bind(day).fetch_all(&mut *connection).await?;
    let mut old: HashMap<i64, Vec<u8>> = old.into_iter().collect();
    let new = "SELECT device, array_agg(time), max(xid) FROM readings WHERE time >= $1 AND time < $2 GROUP BY device";
    let new = sqlx::query(new).bind(day * DAY).bind((day + 1) * DAY).fetch_all(&mut *connection).await?;
    let (mut devices, mut counts, mut changed, mut bytes) = (vec![], vec![], vec![], vec![]);
    let mut packed = 0;
    for row in new {
        let device: i64 = row.try_get(0)?;
        let mut times: Vec<Instant> = row.try_get(1)?;
        packed += times.len() as u64;
        if let Some(bytes) = old.remove(&device) {
            times.extend(unpack(day, &bytes)?);
        }
        times.sort_unstable();
        times.dedup();
        devices.push(device);
        counts.push(times.len() as i64);
        changed.push(row.try_get::<i64, _>(2)?);
        bytes.push(squeeze(day, &times)?);
    }
    sqlx::query(
        "INSERT INTO packed (day, device, count, changed, times)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
         ON CONFLICT (day, device) DO UPDATE
         SET count = excluded.count, changed = excluded.changed, times = excluded.times",
    )
    .bind(day)
    .bind(devices)
    .bind(counts)
    .bind(changed)
    .bind(bytes)
    .execute(&mut *connection)
    .await?;
    drop_partition(connection, day).await?;
    Ok(packed)
}

/// Drops a day's partition, if it is still there.
async fn drop_partition(connection: &mut PgConnection, day: i64) -> Result<(), sqlx::Error> {
    // Whoever writes readings waits behind whoever waits for readers of the table: not for long. What could not be dropped is
    // dropped the next time.
    let sql = format!(
        "SET LOCAL lock_timeout = '2s'; DROP TABLE IF EXISTS readings_{day}; SET LOCAL lock_timeout TO DEFAULT"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Drops the days that end at or before an instant; says how many readings were dropped.
pub(super) async fn retain(pool: &PgPool, from: Instant, calendar: &Calendar) -> Result<u64, sqlx::Error> {
    let keep = day(from);
    let days: Vec<i64> = sqlx::query_scalar(DAYS).fetch_all(pool).await?;
    let mut dropped = 0;
    for day in days.into_iter().take_while(|&old| old < keep) {
        let mut writing = begin(pool).await?;
        lock(&mut writing, Lock::Days).await?;
        let count = "SELECT count(*) FROM readings WHERE time >= $1 AND time < $2";
        let count = sqlx::query_scalar::<_, i64>(count).bind(day * DAY).bind((day + 1) * DAY);
        dropped += count.fetch_one(&mut *writing).await? as u64;
        drop_partition(&mut writing, day).await?;
        dropped += drop_rest(&mut writing, day + 1, calendar).await?;
        writing.commit().await?;
    }
    let mut writing = begin(pool).await?;
    lock(&mut writing, Lock::Days).await?;
    dropped += drop_rest(&mut writing, keep, calendar).await?;
    sqlx::query("DELETE FROM quarantine WHERE received < $1").bind(from).execute(&mut *writing).await?;
    writing.commit().await?;
    Ok(dropped)
}

/// Drops what is not in partitions of the days before a day; says how many packed readings were dropped.
async fn drop_rest(connection: &mut PgConnection, keep: i64, calendar: &Calendar) -> Result<u64, sqlx::Error> {
    let packed: Vec<i64> = sqlx::query_scalar("DELETE FROM packed WHERE day < $1 RETURNING count")
        .bind(keep)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM ids WHERE day < $1").bind(keep).execute(&mut *connection).await?;
    // An hour that a zone with odd minutes shares with the day kept stays.
    let hour = calendar.hour(keep * DAY);
    sqlx::query("DELETE FROM hourly WHERE hour < $1").bind(hour).execute(connection).await?;
    Ok(packed.into_iter().sum::<i64>() as u64)
}
