//! Writing a batch to PostgreSQL.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::quarantine;
use crate::postgres::AdvisoryLock;
use crate::readings::batch::Receipt;
use crate::readings::day_codec::{day, decode};
use crate::readings::plan::{Id, Plan, Reading, by_hour, distinct};
use roomcast_forecast::calendar::Calendar;

/// Rows of one statement. Three columns of this many rows fit into one TLS record (16 KiB). A longer message takes
/// 40 ms more: sqlx leaves Nagle's algorithm on, so its rest waits until the server acknowledges the first record, and
/// the server delays that while it waits for the rest.
const MAX_BATCH_ROWS: usize = 448;

/// Writes a batch inside a transaction. Returns the receipt and the numbers of its devices, of which some are `known`.
pub(super) async fn write(
    connection: &mut PgConnection,
    plan: &Plan<'_>,
    known: &[Option<i64>],
    calendar: &Calendar,
) -> Result<(Receipt, Vec<i64>), sqlx::Error> {
    // From here on no day is packed or dropped.
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(AdvisoryLock::Days as i64)
        .execute(&mut *connection)
        .await?;
    let numbers = devices(connection, plan, known).await?;
    heard(connection, plan, &numbers).await?;
    let readings = plan.readings(&numbers, ids(connection, &plan.ids()).await?);
    let mut stored = distinct(&readings);
    drop_packed(connection, &mut stored).await?;
    store(connection, &mut stored).await?;
    hourly(connection, &stored, calendar).await?;
    let dropped = quarantine::write(connection, plan).await?;
    Ok((plan.receipt(&readings, &stored, dropped), numbers))
}

/// Returns the numbers of the plan's devices. New devices get numbers in order of name.
async fn devices(
    connection: &mut PgConnection,
    plan: &Plan<'_>,
    known: &[Option<i64>],
) -> Result<Vec<i64>, sqlx::Error> {
    let mut numbers = known.to_vec();
    let names = |numbers: &[Option<i64>]| -> Vec<String> {
        let missing = plan.devices.iter().zip(numbers).filter(|(_, number)| number.is_none());
        missing.map(|(&(name, _), _)| name.to_owned()).collect()
    };
    // The first pass only selects: an insert uses up a number even when the name already exists.
    for insert in [false, true] {
        let missing = names(&numbers);
        if missing.is_empty() {
            break;
        }
        if insert {
            let sql =
                "INSERT INTO devices (name) SELECT name FROM unnest($1::text[]) AS name ORDER BY name COLLATE \"C\"
                       ON CONFLICT DO NOTHING";
            sqlx::query(sql).bind(&missing).execute(&mut *connection).await?;
        }
        let found: Vec<(String, i64)> = sqlx::query_as("SELECT name, id FROM devices WHERE name = ANY($1)")
            .bind(&missing)
            .fetch_all(&mut *connection)
            .await?;
        let found: HashMap<String, i64> = found.into_iter().collect();
        for (number, (name, _)) in numbers.iter_mut().zip(&plan.devices) {
            *number = number.or_else(|| found.get(*name).copied());
        }
    }
    numbers.into_iter().collect::<Option<Vec<i64>>>().ok_or(sqlx::Error::RowNotFound)
}

async fn heard(connection: &mut PgConnection, plan: &Plan<'_>, numbers: &[i64]) -> Result<(), sqlx::Error> {
    let mut heard: Vec<(i64, i64)> = numbers.iter().copied().zip(plan.devices.iter().map(|&(_, time)| time)).collect();
    heard.sort_unstable();
    for some in heard.chunks(MAX_BATCH_ROWS) {
        let (devices, times): (Vec<i64>, Vec<i64>) = some.iter().copied().unzip();
        sqlx::query(
            "INSERT INTO heard (device, time) SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS new (device, time)
             ORDER BY device ON CONFLICT (device) DO UPDATE SET time = excluded.time WHERE excluded.time > heard.time",
        )
        .bind(devices)
        .bind(times)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Writes ids. Returns those that were there before.
async fn ids(connection: &mut PgConnection, ids: &[Id]) -> Result<HashSet<Id>, sqlx::Error> {
    let mut known: HashSet<Id> = ids.iter().copied().collect();
    for some in ids.chunks(MAX_BATCH_ROWS) {
        let (days, keys): (Vec<i64>, Vec<i64>) = some.iter().copied().unzip();
        let new: Vec<Id> = sqlx::query_as(
            "INSERT INTO ids (day, key) SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS new (day, key)
             ORDER BY day, key ON CONFLICT DO NOTHING RETURNING day, key",
        )
        .bind(days)
        .bind(keys)
        .fetch_all(&mut *connection)
        .await?;
        for id in new {
            known.remove(&id);
        }
    }
    Ok(known)
}

/// Removes readings that are already packed.
async fn drop_packed(connection: &mut PgConnection, readings: &mut Vec<Reading>) -> Result<(), sqlx::Error> {
    let Some(&(first, _)) = readings.first() else { return Ok(()) };
    let last: Option<i64> = sqlx::query_scalar("SELECT max(day) FROM packed").fetch_one(&mut *connection).await?;
    let Some(last) = last.filter(|&last| day(first) <= last) else { return Ok(()) };
    let days = readings.iter().map(|&(time, device)| (day(time), device)).take_while(|&(day, _)| day <= last);
    let days: HashSet<(i64, i64)> = days.collect();
    let (days, devices): (Vec<i64>, Vec<i64>) = days.into_iter().unzip();
    let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT packed.day, packed.device, times FROM unnest($1::bigint[], $2::bigint[]) AS asked (day, device)
         JOIN packed ON packed.day = asked.day AND packed.device = asked.device",
    )
    .bind(days)
    .bind(devices)
    .fetch_all(connection)
    .await?;
    let mut packed = HashSet::new();
    for (day, device, times) in rows {
        packed.extend(decode(day, &times)?.into_iter().map(|time| (time, device)));
    }
    readings.retain(|reading| !packed.contains(reading));
    Ok(())
}

/// Writes readings. Keeps only the new ones in `readings`.
async fn store(connection: &mut PgConnection, readings: &mut Vec<Reading>) -> Result<(), sqlx::Error> {
    let mut new = Vec::with_capacity(readings.len());
    for some in readings.chunks(MAX_BATCH_ROWS) {
        let (times, devices): (Vec<i64>, Vec<i64>) = some.iter().copied().unzip();
        let stored: Vec<Reading> = sqlx::query_as(
            "INSERT INTO readings (time, device, xid)
             SELECT time, device, pg_current_xact_id()::text::bigint
             FROM unnest($1::bigint[], $2::bigint[]) AS new (time, device) ORDER BY time, device
             ON CONFLICT DO NOTHING RETURNING time, device",
        )
        .bind(times)
        .bind(devices)
        .fetch_all(&mut *connection)
        .await?;
        new.extend(stored);
    }
    *readings = new;
    Ok(())
}

async fn hourly(connection: &mut PgConnection, stored: &[Reading], calendar: &Calendar) -> Result<(), sqlx::Error> {
    for some in by_hour(stored, calendar).chunks(MAX_BATCH_ROWS) {
        let (keys, counts): (Vec<(i32, i64)>, Vec<i64>) = some.iter().copied().unzip();
        let (hours, devices): (Vec<i32>, Vec<i64>) = keys.into_iter().unzip();
        sqlx::query(
            "INSERT INTO hourly (hour, device, count)
             SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS new (hour, device, count)
             ORDER BY hour, device ON CONFLICT (hour, device) DO UPDATE SET count = hourly.count + excluded.count",
        )
        .bind(hours)
        .bind(devices)
        .bind(counts)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
