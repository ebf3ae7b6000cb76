//! Reading from SQLite.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, blocks};
use crate::readings::batch::{Cursor, HourCount};
use crate::readings::collect::Collector;
use crate::readings::day_codec::{DAY, day, decode};

use roomcast_forecast::calendar::{Hour, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};

/// Seconds of readings read at a time, which bounds the memory used besides the answer.
const SPAN_SECONDS: i64 = 7 * DAY;

/// Readings read at a time, in the order of commits.
const MAX_ROWS: i64 = 65_536;

/// Reads the number of the last committed reading.
const LAST_SEQ: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'readings'";

impl SqliteStore {
    pub async fn load(&self, before: Option<Timestamp>) -> Result<(Readings, Cursor), sqlx::Error> {
        let mut view = self.view().await?;
        let cursor: Option<i64> = sqlx::query_scalar(LAST_SEQ).fetch_optional(&mut *view).await?;
        let before = before.unwrap_or(Timestamp::MAX);
        let mut collector = Collector::new(names(&mut view).await?);
        load_packed(&mut view, day(before), &mut collector).await?;
        let next = "SELECT min(time) FROM readings WHERE time >= ?";
        let mut from = Timestamp::MIN;
        while let Some(start) = sqlx::query_scalar::<_, Option<i64>>(next).bind(from).fetch_one(&mut *view).await? {
            if start >= before {
                break;
            }
            from = start.saturating_add(SPAN_SECONDS);
            // The query returns one row per device instead of one per reading, because rows are the main cost.
            let spans = "SELECT device, group_concat(time) FROM readings WHERE time >= ? AND time < ? GROUP BY device";
            for row in sqlx::query(spans).bind(start).bind(from.min(before)).fetch_all(&mut *view).await? {
                collector.add(row.try_get(0)?, instants(row.try_get(1)?)?)?;
            }
        }
        view.end().await?;
        let mut readings = Readings { devices: collector.finish() };
        if before != Timestamp::MAX {
            readings = readings.before(before);
        }
        Ok((readings, Cursor(cursor.unwrap_or(0))))
    }

    pub async fn changes(&self, Cursor(after): Cursor) -> Result<(Vec<DeviceReadings>, Cursor), sqlx::Error> {
        let mut view = self.view().await?;
        let cursor: Option<i64> = sqlx::query_scalar(LAST_SEQ).fetch_optional(&mut *view).await?;
        let cursor = cursor.unwrap_or(0);
        if cursor <= after {
            view.end().await?;
            return Ok((Vec::new(), Cursor(cursor)));
        }
        let mut collector = Collector::new(names(&mut view).await?);
        // The rows are not ordered by device: sorting would double the cost.
        let new = "SELECT group_concat(device), group_concat(time) FROM readings WHERE seq > ? AND seq <= ?";
        let mut from = after;
        while from < cursor {
            let to = cursor.min(from + MAX_ROWS);
            let row = sqlx::query(new).bind(from).bind(to).fetch_one(&mut *view).await?;
            if let (Some(devices), Some(times)) = (row.try_get(0)?, row.try_get(1)?) {
                collector.add_each(&instants(devices)?, &instants(times)?)?;
            }
            from = to;
        }
        let packed = "SELECT day, device, times FROM packed WHERE changed > ?";
        for row in sqlx::query(packed).bind(after).fetch_all(&mut *view).await? {
            collector.add(row.try_get(1)?, decode(row.try_get(0)?, row.try_get(2)?)?)?;
        }
        view.end().await?;
        Ok((collector.finish(), Cursor(cursor)))
    }

    pub async fn hours(&self, from: Option<Timestamp>) -> Result<Vec<HourCount>, sqlx::Error> {
        let mut view = self.view().await?;
        let names = names(&mut view).await?;
        let rows = sqlx::query("SELECT hour, block, counts FROM hour_blocks WHERE hour >= ?");
        let mut hours = Vec::new();
        for row in rows.bind(from.map_or(Hour::MIN, |from| self.calendar.hour(from))).fetch_all(&mut *view).await? {
            let hour: Hour = row.try_get(0)?;
            for (device, count) in blocks::counts(row.try_get(1)?, row.try_get(2)?)? {
                hours.push(HourCount { device: name(&names, device)?, hour, count });
            }
        }
        view.end().await?;
        hours.sort_unstable();
        Ok(hours)
    }

    pub async fn heard(&self) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
        let mut view = self.view().await?;
        let names = names(&mut view).await?;
        let mut heard = Vec::with_capacity(names.len());
        for row in sqlx::query("SELECT block, times FROM heard_blocks").fetch_all(&mut *view).await? {
            for (device, time) in blocks::times(row.try_get(0)?, row.try_get(1)?)? {
                heard.push((name(&names, device)?, time));
            }
        }
        view.end().await?;
        heard.sort_unstable();
        Ok(heard)
    }

    /// Returns the start of the first day that has a reading.
    pub async fn first_day(&self) -> Result<Option<Timestamp>, sqlx::Error> {
        let (time, packed): (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT (SELECT min(time) FROM readings), (SELECT min(day) FROM packed)")
                .fetch_one(&self.readers)
                .await?;
        Ok([time.map(day), packed].into_iter().flatten().min().map(|day| day * DAY))
    }
}

/// Adds all packed days up to the `last`.
async fn load_packed(view: &mut SqliteConnection, last: i64, collector: &mut Collector) -> Result<(), sqlx::Error> {
    // To list the days would look at every row.
    let (mut days, mut from) = (Vec::new(), i64::MIN);
    let next = "SELECT min(day) FROM packed WHERE day >= ? AND day <= ?";
    while let Some(day) = sqlx::query_scalar::<_, Option<i64>>(next).bind(from).bind(last).fetch_one(&mut *view).await?
    {
        days.push(day);
        from = day + 1;
    }
    let packed = "SELECT device, times FROM packed WHERE day = ? AND device BETWEEN ? AND ?";
    for span in collector.spans() {
        for &day in &days {
            let rows = sqlx::query_as(packed).bind(day).bind(span.start()).bind(span.end());
            collector.add_packed(day, &rows.fetch_all(&mut *view).await?)?;
        }
    }
    Ok(())
}

async fn names(view: &mut SqliteConnection) -> Result<HashMap<i64, String>, sqlx::Error> {
    let names: Vec<(i64, String)> = sqlx::query_as("SELECT id, name FROM devices").fetch_all(view).await?;
    Ok(names.into_iter().collect())
}

/// Parses instants separated by commas.
pub(super) fn instants(text: &str) -> Result<Vec<Timestamp>, sqlx::Error> {
    let parsed: Result<Vec<Timestamp>, _> = text.split(',').map(str::parse).collect();
    parsed.map_err(|error| sqlx::Error::Decode(error.into()))
}

fn name(names: &HashMap<i64, String>, device: i64) -> Result<String, sqlx::Error> {
    let nameless = || sqlx::Error::Decode(format!("device {device} has no name").into());
    names.get(&device).cloned().ok_or_else(nameless)
}
