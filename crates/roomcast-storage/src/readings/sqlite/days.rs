//! Packing and dropping whole days in SQLite.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};

use super::read::instants;
use super::{SqliteStore, quarantine};
use crate::readings::day_codec::{DAY, day, decode, encode, hours};
use roomcast_forecast::calendar::{Calendar, Timestamp};

impl SqliteStore {
    /// Packs the days that end at or before an instant. Returns the number of readings packed.
    pub async fn pack(&self, before: Timestamp) -> Result<u64, sqlx::Error> {
        let end = day(before) * DAY;
        let mut packed = 0;
        loop {
            let mut writing = self.begin().await?;
            let oldest: Option<i64> =
                sqlx::query_scalar("SELECT min(time) FROM readings").fetch_one(&mut writing.connection).await?;
            let Some(oldest) = oldest.filter(|&oldest| oldest < end) else {
                writing.commit().await?;
                return Ok(packed);
            };
            packed += pack_day(&mut writing.connection, day(oldest)).await?;
            writing.commit().await?;
        }
    }

    /// Drops the days that end at or before an instant, one at a time so that others can write in between. Returns the
    /// number of readings dropped.
    pub async fn retain(&self, from: Timestamp) -> Result<u64, sqlx::Error> {
        let keep = day(from);
        let mut dropped = 0;
        loop {
            let mut writing = self.begin().await?;
            let oldest = oldest_day(&mut writing.connection).await?;
            let Some(oldest) = oldest.filter(|&oldest| oldest < keep) else {
                quarantine::forget(&mut writing.connection, from).await?;
                writing.commit().await?;
                return Ok(dropped);
            };
            dropped += drop_until(&mut writing.connection, oldest + 1, &self.calendar).await?;
            writing.commit().await?;
        }
    }

    /// Drops all days before that of `from` and after that of `to`. Returns the number of readings dropped.
    pub async fn retain_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, sqlx::Error> {
        let (first, end) = (day(from), day(to) + 1);
        let (first_hour, last_hour) = hours(first, end, &self.calendar);
        let mut writing = self.begin().await?;
        let packed: i64 = sqlx::query_scalar("SELECT coalesce(sum(count), 0) FROM packed WHERE day < ? OR day >= ?")
            .bind(first)
            .bind(end)
            .fetch_one(&mut writing.connection)
            .await?;
        let loose = sqlx::query("DELETE FROM readings WHERE time < ? OR time >= ?").bind(first * DAY).bind(end * DAY);
        let loose = loose.execute(&mut writing.connection).await?.rows_affected();
        for (sql, from, end) in [
            ("DELETE FROM packed WHERE day < ? OR day >= ?", first, end),
            ("DELETE FROM ids WHERE day < ? OR day >= ?", first, end),
            ("DELETE FROM hour_blocks WHERE hour < ? OR hour > ?", i64::from(first_hour), i64::from(last_hour)),
        ] {
            sqlx::query(sql).bind(from).bind(end).execute(&mut writing.connection).await?;
        }
        writing.commit().await?;
        Ok(packed as u64 + loose)
    }
}

async fn pack_day(connection: &mut SqliteConnection, day: i64) -> Result<u64, sqlx::Error> {
    let (start, end) = (day * DAY, (day + 1) * DAY);
    let old =
        sqlx::query("SELECT device, times FROM packed WHERE day = ?").bind(day).fetch_all(&mut *connection).await?;
    let mut old: HashMap<i64, Vec<u8>> =
        old.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?;
    let new = "SELECT device, group_concat(time), max(seq) FROM readings WHERE time >= ? AND time < ? GROUP BY device";
    for row in sqlx::query(new).bind(start).bind(end).fetch_all(&mut *connection).await? {
        let (device, changed): (i64, i64) = (row.try_get(0)?, row.try_get(2)?);
        let mut times = instants(row.try_get(1)?)?;
        if let Some(bytes) = old.remove(&device) {
            times.extend(decode(day, &bytes)?);
        }
        times.sort_unstable();
        times.dedup();
        sqlx::query("INSERT OR REPLACE INTO packed (day, device, count, changed, times) VALUES (?, ?, ?, ?, ?)")
            .bind(day)
            .bind(device)
            .bind(times.len() as i64)
            .bind(changed)
            .bind(encode(day, &times)?)
            .execute(&mut *connection)
            .await?;
    }
    let drop = sqlx::query("DELETE FROM readings WHERE time >= ? AND time < ?").bind(start).bind(end);
    Ok(drop.execute(connection).await?.rows_affected())
}

/// Returns the first day that has any data.
async fn oldest_day(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let time: Option<i64> = sqlx::query_scalar("SELECT min(time) FROM readings").fetch_one(&mut *connection).await?;
    let packed: Option<i64> = sqlx::query_scalar("SELECT min(day) FROM packed").fetch_one(&mut *connection).await?;
    let ids: Option<i64> = sqlx::query_scalar("SELECT min(day) FROM ids").fetch_one(&mut *connection).await?;
    Ok([time.map(day), packed, ids].into_iter().flatten().min())
}

/// Drops the days before `keep`. Returns the number of readings dropped.
async fn drop_until(connection: &mut SqliteConnection, keep: i64, calendar: &Calendar) -> Result<u64, sqlx::Error> {
    let start = keep * DAY;
    let packed: i64 = sqlx::query_scalar("SELECT coalesce(sum(count), 0) FROM packed WHERE day < ?")
        .bind(keep)
        .fetch_one(&mut *connection)
        .await?;
    let loose = sqlx::query("DELETE FROM readings WHERE time < ?").bind(start).execute(&mut *connection).await?;
    // The hour that a zone with odd minutes shares with the first kept day stays.
    let hour = calendar.hour(start);
    for (sql, end) in [
        ("DELETE FROM packed WHERE day < ?", keep),
        ("DELETE FROM ids WHERE day < ?", keep),
        ("DELETE FROM hour_blocks WHERE hour < ?", i64::from(hour)),
    ] {
        sqlx::query(sql).bind(end).execute(&mut *connection).await?;
    }
    Ok(packed as u64 + loose.rows_affected())
}
