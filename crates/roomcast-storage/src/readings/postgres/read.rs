//! Reading from PostgreSQL.
//!
//! A cursor is the number of the oldest transaction that may have been under way. All earlier ones were visible, so the
//! next read returns every reading that this one missed, however late it is committed.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};

use super::PostgresStore;
use crate::readings::batch::{Cursor, HourCount};
use crate::readings::collect::Collector;
use crate::readings::day_codec::{DAY, day, decode};
use roomcast_forecast::calendar::{Hour, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};

/// Begins a read-only transaction in which all statements see the same snapshot.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl PostgresStore {
    pub async fn load(&self, before: Option<Timestamp>) -> Result<(Readings, Cursor), sqlx::Error> {
        let (mut view, cursor) = view(&self.pool).await?;
        let end = before.unwrap_or(Timestamp::MAX);
        let mut collector = Collector::new(names(&mut view).await?);
        let days = sqlx::query_scalar("SELECT DISTINCT day FROM packed WHERE day <= $1 ORDER BY day").bind(day(end));
        let days: Vec<i64> = days.fetch_all(&mut *view).await?;
        let packed = "SELECT device, times FROM packed WHERE day = $1 AND device BETWEEN $2 AND $3";
        for span in collector.spans() {
            for &day in &days {
                let rows = sqlx::query_as(packed).bind(day).bind(span.start()).bind(span.end());
                collector.add_packed(day, &rows.fetch_all(&mut *view).await?)?;
            }
        }
        // The query returns one row per device instead of one per reading, because rows are the main cost.
        let loose =
            sqlx::query("SELECT device, array_agg(time) FROM readings WHERE time < $1 GROUP BY device").bind(end);
        for row in loose.fetch_all(&mut *view).await? {
            collector.add(row.try_get(0)?, row.try_get(1)?)?;
        }
        view.commit().await?;
        let mut readings = Readings { devices: collector.finish() };
        if before.is_some() {
            readings = readings.before(end);
        }
        Ok((readings, cursor))
    }

    pub async fn changes(&self, Cursor(after): Cursor) -> Result<(Vec<DeviceReadings>, Cursor), sqlx::Error> {
        let (mut view, cursor) = view(&self.pool).await?;
        let loose =
            sqlx::query("SELECT device, array_agg(time) FROM readings WHERE xid >= $1 GROUP BY device").bind(after);
        let loose = loose.fetch_all(&mut *view).await?;
        let mut collector = Collector::new(names(&mut view).await?);
        for row in loose {
            collector.add(row.try_get(0)?, row.try_get(1)?)?;
        }
        let packed = sqlx::query("SELECT day, device, times FROM packed WHERE changed >= $1").bind(after);
        for row in packed.fetch_all(&mut *view).await? {
            collector.add(row.try_get(1)?, decode(row.try_get(0)?, row.try_get(2)?)?)?;
        }
        view.commit().await?;
        Ok((collector.finish(), cursor))
    }

    pub async fn hours(&self, from: Option<Timestamp>) -> Result<Vec<HourCount>, sqlx::Error> {
        let rows: Vec<(String, Hour, i64)> = sqlx::query_as(
            "SELECT name, hour, count FROM hourly JOIN devices ON id = device WHERE hour >= $1 ORDER BY name, hour",
        )
        .bind(from.map_or(Hour::MIN, |from| self.calendar.hour(from)))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(device, hour, count)| HourCount { device, hour, count }).collect())
    }

    pub async fn heard(&self) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
        sqlx::query_as("SELECT name, time FROM heard JOIN devices ON id = device ORDER BY name")
            .fetch_all(&self.pool)
            .await
    }

    /// Returns the start of the first day that has a reading.
    pub async fn first_day(&self) -> Result<Option<Timestamp>, sqlx::Error> {
        let (time, packed): (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT (SELECT min(time) FROM readings), (SELECT min(day) FROM packed)")
                .fetch_one(&self.pool)
                .await?;
        Ok([time.map(day), packed].into_iter().flatten().min().map(|day| day * DAY))
    }
}

async fn view(pool: &PgPool) -> Result<(Transaction<'static, Postgres>, Cursor), sqlx::Error> {
    let mut view = pool.begin_with(BEGIN_SNAPSHOT).await?;
    // The first statement fixes the snapshot of all that follow.
    let first = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
    let cursor = sqlx::query_scalar(first).fetch_one(&mut *view).await?;
    Ok((view, Cursor(cursor)))
}

async fn names(view: &mut PgConnection) -> Result<HashMap<i64, String>, sqlx::Error> {
    let names: Vec<(i64, String)> = sqlx::query_as("SELECT id, name FROM devices").fetch_all(view).await?;
    Ok(names.into_iter().collect())
}
