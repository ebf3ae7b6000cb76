//! Writing a batch to SQLite.

use std::collections::HashSet;

use sqlx::{Executor, Row, SqliteConnection};

use super::bulk::{Bulk, Script};
use super::{blocks, quarantine};
use crate::readings::batch::Receipt;
use crate::readings::day_codec::{day, decode};
use crate::readings::plan::{Id, Plan, Reading, by_hour, distinct};
use roomcast_forecast::calendar::{Calendar, Timestamp};

/// Begins a transaction that writes.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Reads the last packed day and the number of the reading stored last. Its row begins with 0.
const LAST_STORED: &str =
    "SELECT 0, (SELECT max(day) FROM packed), (SELECT seq FROM sqlite_sequence WHERE name = 'readings')";

/// Statements over many rows.
pub(super) struct Statements {
    blocks: blocks::Statements,
    known_ids: Bulk,
    ids: Bulk,
    packed: Bulk,
    readings: Bulk,
    /// Deletes rows of the quarantine and returns the bytes of each.
    pub release: Bulk,
}

impl Statements {
    pub fn new() -> Self {
        let real = "WHERE column1 IS NOT NULL";
        Self {
            blocks: blocks::Statements::new(),
            known_ids: Bulk::new(
                2,
                "SELECT column1, column2 FROM",
                "JOIN ids ON ids.day = column1 AND ids.key = column2",
            ),
            ids: Bulk::new(
                2,
                "INSERT INTO ids (day, key) SELECT column1, column2 FROM",
                &format!("{real} ON CONFLICT DO NOTHING"),
            ),
            packed: Bulk::new(
                2,
                "SELECT packed.day, packed.device, packed.times FROM",
                "JOIN packed ON packed.day = column1 AND packed.device = column2",
            ),
            readings: Bulk::new(
                2,
                "INSERT INTO readings (time, device) SELECT column1, column2 FROM",
                &format!("{real} ON CONFLICT DO NOTHING"),
            ),
            release: Bulk::new(
                1,
                "DELETE FROM quarantine WHERE id IN (SELECT column1 FROM",
                ") RETURNING octet_length(payload) + octet_length(reason)",
            ),
        }
    }
}

/// Writes a batch that came at an instant in UTC, in a transaction of its own. Returns the receipt and the numbers of its devices, of which some are
/// `known`.
///
/// Usually these are three scripts: the lookups, the readings, and the updates that follow from the new readings.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    statements: &Statements,
    plan: &Plan<'_>,
    known: &[Option<i64>],
    calendar: &Calendar,
    now: Timestamp,
) -> Result<(Receipt, Vec<i64>), sqlx::Error> {
    let (new_ids, numbers) = (plan.ids(), known.iter().copied().collect::<Option<Vec<i64>>>());
    let mut look_up = Script::default();
    let (numbers, known_ids) = match numbers {
        Some(numbers) if new_ids.is_empty() => {
            look_up = look_up.then(BEGIN);
            (numbers, HashSet::new())
        }
        _ => {
            connection.execute(BEGIN).await?;
            (devices(connection, plan, known).await?, ids(connection, statements, &new_ids).await?)
        }
    };
    let readings = plan.readings(&numbers, known_ids);
    let mut stored = distinct(&readings);
    let mut heard: Vec<_> = numbers.iter().zip(&plan.devices).map(|(&number, &(_, time))| (number, time)).collect();
    heard.sort_unstable();

    let mut hours = by_hour(&stored, calendar);
    let offered = stored.len();

    let blocks = &statements.blocks;
    look_up = look_up.then(LAST_STORED).over(&blocks.heard, &blocks::heard_keys(&heard))?;
    look_up = look_up.over(&blocks.hours, &blocks::hour_keys(&hours))?;
    let (mut last, mut old) = ((None, None), blocks::Stored::default());
    for row in look_up.query().fetch_all(&mut *connection).await? {
        match row.try_get::<i64, _>(0)? {
            0 => last = (row.try_get(1)?, row.try_get(2)?),
            _ => old.take(&row)?,
        }
    }
    drop_packed(connection, statements, last.0, &mut stored).await?;
    store(connection, statements, last.1.unwrap_or(0), &mut stored).await?;
    let dropped = quarantine::write(connection, plan, now).await?;
    // Usually all of them are new.
    if stored.len() < offered {
        hours = by_hour(&stored, calendar);
    }
    let follow = Script::default().over(&blocks.set_heard, &blocks::record_heard(&mut old, &heard))?;
    let follow = follow.over(&blocks.set_hours, &blocks::add_counts(&mut old, &hours))?;
    follow.then("COMMIT").query().execute(connection).await?;
    Ok((plan.receipt(&readings, &stored, dropped), numbers))
}

/// Returns the numbers of the plan's devices. New devices get one.
async fn devices(
    connection: &mut SqliteConnection,
    plan: &Plan<'_>,
    known: &[Option<i64>],
) -> Result<Vec<i64>, sqlx::Error> {
    let mut numbers = Vec::with_capacity(known.len());
    for (&(name, _), &known) in plan.devices.iter().zip(known) {
        if let Some(number) = known {
            numbers.push(number);
            continue;
        }
        // After a start the numbers of stored devices are not known yet.
        let old = sqlx::query_scalar("SELECT id FROM devices WHERE name = ?").bind(name);
        numbers.push(match old.fetch_optional(&mut *connection).await? {
            Some(number) => number,
            None => {
                let new = sqlx::query_scalar("INSERT INTO devices (name) VALUES (?) RETURNING id").bind(name);
                new.fetch_one(&mut *connection).await?
            }
        });
    }
    Ok(numbers)
}

/// Writes ids. Returns those that were there before.
async fn ids(
    connection: &mut SqliteConnection,
    statements: &Statements,
    ids: &[Id],
) -> Result<HashSet<Id>, sqlx::Error> {
    let rows: Vec<[i64; 2]> = ids.iter().map(|&(day, key)| [day, key]).collect();
    let mut known = HashSet::new();
    for query in statements.known_ids.over(&rows) {
        for row in query?.fetch_all(&mut *connection).await? {
            known.insert((row.try_get(0)?, row.try_get(1)?));
        }
    }
    statements.ids.run(connection, &rows).await?;
    Ok(known)
}

/// Removes readings that are already packed.
async fn drop_packed(
    connection: &mut SqliteConnection,
    statements: &Statements,
    last: Option<i64>,
    readings: &mut Vec<Reading>,
) -> Result<(), sqlx::Error> {
    let Some(&(first, _)) = readings.first() else { return Ok(()) };
    let Some(last) = last.filter(|&last| day(first) <= last) else { return Ok(()) };
    let mut days: Vec<(i64, i64)> =
        readings.iter().map(|&(time, device)| (day(time), device)).take_while(|&(day, _)| day <= last).collect();
    days.sort_unstable();
    days.dedup();
    let rows: Vec<[i64; 2]> = days.iter().map(|&(day, device)| [day, device]).collect();
    let mut packed = HashSet::new();
    for query in statements.packed.over(&rows) {
        for row in query?.fetch_all(&mut *connection).await? {
            let (day, device): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            packed.extend(decode(day, row.try_get(2)?)?.into_iter().map(|time| (time, device)));
        }
    }
    readings.retain(|reading| !packed.contains(reading));
    Ok(())
}

/// Writes readings after the one numbered `before`. Keeps only the new ones in `readings`.
async fn store(
    connection: &mut SqliteConnection,
    statements: &Statements,
    before: i64,
    readings: &mut Vec<Reading>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<[i64; 2]> = readings.iter().map(|&(time, device)| [time, device]).collect();
    match statements.readings.run(connection, &rows).await? as usize {
        0 => readings.clear(),
        all if all == readings.len() => {}
        _ => {
            let new = sqlx::query_as("SELECT time, device FROM readings WHERE seq > ? ORDER BY time, device");
            *readings = new.bind(before).fetch_all(&mut *connection).await?;
        }
    }
    Ok(())
}
