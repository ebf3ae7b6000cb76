//! Packing and dropping whole days in PostgreSQL.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use super::{PostgresStore, quarantine};
use crate::postgres::{AdvisoryLock, lock};
use crate::readings::day_codec::{DAY, day, decode, encode, hours};
use roomcast_forecast::calendar::{Calendar, Timestamp};

/// Approximate number of readings in one transaction. Writers wait for it.
const MAX_ROWS: i64 = 1_000_000;

impl PostgresStore {
    /// Packs the days that end at or before an instant. Returns the number of readings packed.
    pub async fn pack(&self, before: Timestamp) -> Result<u64, sqlx::Error> {
        let (mut from, mut packed) = (Timestamp::MIN, 0);
        loop {
            let mut writing = self.begin().await?;
            lock(&mut writing, AdvisoryLock::Days).await?;
            let Some((start, end)) = next(&mut writing, from, day(before) * DAY).await? else {
                writing.commit().await?;
                return Ok(packed);
            };
            packed += pack_part(&mut writing, start, end).await?;
            writing.commit().await?;
            from = end;
        }
    }

    /// Drops the days that end at or before an instant. Returns the number of readings dropped.
    pub async fn retain(&self, from: Timestamp) -> Result<u64, sqlx::Error> {
        let keep = day(from);
        let (mut after, mut dropped) = (Timestamp::MIN, 0);
        loop {
            let mut writing = self.begin().await?;
            lock(&mut writing, AdvisoryLock::Days).await?;
            let Some((start, end)) = next(&mut writing, after, keep * DAY).await? else {
                dropped += drop_rest(&mut writing, keep, &self.calendar).await?;
                quarantine::forget(&mut writing, from).await?;
                writing.commit().await?;
                return Ok(dropped);
            };
            dropped += delete(&mut writing, start, end).await?;
            dropped += drop_rest(&mut writing, day(end), &self.calendar).await?;
            writing.commit().await?;
            after = end;
        }
    }

    /// Drops all days before that of `from` and after that of `to`. Returns the number of readings dropped.
    pub async fn retain_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, sqlx::Error> {
        let (first, end) = (day(from), day(to) + 1);
        let (first_hour, last_hour) = hours(first, end, &self.calendar);
        let mut writing = self.begin().await?;
        lock(&mut writing, AdvisoryLock::Days).await?;
        let packed: Vec<i64> = sqlx::query_scalar("DELETE FROM packed WHERE day < $1 OR day >= $2 RETURNING count")
            .bind(first)
            .bind(end)
            .fetch_all(&mut *writing)
            .await?;
        let loose = sqlx::query("DELETE FROM readings WHERE time < $1 OR time >= $2").bind(first * DAY).bind(end * DAY);
        let loose = loose.execute(&mut *writing).await?.rows_affected();
        let ids = sqlx::query("DELETE FROM ids WHERE day < $1 OR day >= $2").bind(first).bind(end);
        ids.execute(&mut *writing).await?;
        let hours = sqlx::query("DELETE FROM hourly WHERE hour < $1 OR hour > $2").bind(first_hour).bind(last_hour);
        hours.execute(&mut *writing).await?;
        writing.commit().await?;
        Ok(packed.into_iter().sum::<i64>() as u64 + loose)
    }
}

/// Returns the span of the next readings at or after `from` and before `before`: those of a day, or the first million
/// of it. Rows just deleted are not scanned again; PostgreSQL would pass over them one by one until a vacuum.
async fn next(
    connection: &mut PgConnection,
    from: Timestamp,
    before: Timestamp,
) -> Result<Option<(Timestamp, Timestamp)>, sqlx::Error> {
    let first = "SELECT min(time) FROM readings WHERE time >= $1 AND time < $2";
    let first = sqlx::query_scalar(first).bind(from).bind(before);
    let Some(first): Option<Timestamp> = first.fetch_one(&mut *connection).await? else { return Ok(None) };
    let end = (day(first) + 1) * DAY;
    let full = "SELECT time FROM readings WHERE time >= $1 AND time < $2 ORDER BY time OFFSET $3 LIMIT 1";
    let full = sqlx::query_scalar(full).bind(first).bind(end).bind(MAX_ROWS);
    let full: Option<Timestamp> = full.fetch_optional(connection).await?;
    // Readings of the same second stay together.
    Ok(Some((first, full.map_or(end, |full| full.max(first + 1)))))
}

/// Packs the readings of a part of a day, together with those of the day that are already packed.
async fn pack_part(connection: &mut PgConnection, start: Timestamp, end: Timestamp) -> Result<u64, sqlx::Error> {
    let day = day(start);
    let old: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT device, times FROM packed WHERE day = $1").bind(day).fetch_all(&mut *connection).await?;
    let mut old: HashMap<i64, Vec<u8>> = old.into_iter().collect();
    let new = "SELECT device, array_agg(time), max(xid) FROM readings WHERE time >= $1 AND time < $2 GROUP BY device";
    let new = sqlx::query(new).bind(start).bind(end).fetch_all(&mut *connection).await?;
    let (mut devices, mut counts, mut changed, mut bytes) = (vec![], vec![], vec![], vec![]);
    let mut packed = 0;
    for row in new {
        let device: i64 = row.try_get(0)?;
        let mut times: Vec<Timestamp> = row.try_get(1)?;
        packed += times.len() as u64;
        if let Some(bytes) = old.remove(&device) {
            times.extend(decode(day, &bytes)?);
        }
        times.sort_unstable();
        times.dedup();
        devices.push(device);
        counts.push(times.len() as i64);
        changed.push(row.try_get::<i64, _>(2)?);
        bytes.push(encode(day, &times)?);
    }
    sqlx::query(
        "INSERT INTO packed (day, device, count, changed, times)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
         ON CONFLICT (day, device) DO UPDATE
         SET count = excluded.count, changed = greatest(packed.changed, excluded.changed), times = excluded.times",
    )
    .bind(day)
    .bind(devices)
    .bind(counts)
    .bind(changed)
    .bind(bytes)
    .execute(&mut *connection)
    .await?;
    delete(connection, start, end).await?;
    Ok(packed)
}

/// Deletes the readings from `start` up to `end`. Returns how many there were.
async fn delete(connection: &mut PgConnection, start: Timestamp, end: Timestamp) -> Result<u64, sqlx::Error> {
    let delete = sqlx::query("DELETE FROM readings WHERE time >= $1 AND time < $2").bind(start).bind(end);
    Ok(delete.execute(connection).await?.rows_affected())
}

/// Drops all but unpacked readings of the days before `keep`. Returns the number of packed readings dropped.
async fn drop_rest(connection: &mut PgConnection, keep: i64, calendar: &Calendar) -> Result<u64, sqlx::Error> {
    let packed: Vec<i64> = sqlx::query_scalar("DELETE FROM packed WHERE day < $1 RETURNING count")
        .bind(keep)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM ids WHERE day < $1").bind(keep).execute(&mut *connection).await?;
    // The hour that a zone with odd minutes shares with the first kept day stays.
    let hour = calendar.hour(keep * DAY);
    sqlx::query("DELETE FROM hourly WHERE hour < $1").bind(hour).execute(connection).await?;
    Ok(packed.into_iter().sum::<i64>() as u64)
}
