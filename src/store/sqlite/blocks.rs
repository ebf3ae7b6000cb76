//! Numbers of many devices in one row: counts of an hour, times last heard.
//!
//! A batch of a large site touches as many devices as it has readings. A row for each would cost more than the readings
//! themselves; so the numbers of [`BLOCK`] devices are one row, read and written as a whole. Only one transaction writes at
//! a time.

use std::collections::HashMap;

use sqlx::{Row as _, SqliteConnection};

use super::bulk::Bulk;
use crate::calendar::{Hour, Instant};
use crate::store::varint;

/// Devices of a block: those whose numbers, divided by this, are the block's. Larger ones would make a site that stores
/// single readings write much for each.
const BLOCK: i64 = 256;

/// Statements over blocks.
pub(super) struct Statements {
    heard: Bulk,
    set_heard: Bulk,
    hours: Bulk,
    set_hours: Bulk,
}

impl Statements {
    pub fn new() -> Self {
        let real = "WHERE column1 IS NOT NULL";
        Self {
            heard: Bulk::new(1, "SELECT block, times FROM", "CROSS JOIN heard_blocks ON block = column1"),
            set_heard: Bulk::new(
                2,
                "INSERT OR REPLACE INTO heard_blocks (block, times) SELECT column1, column2 FROM",
                real,
            ),
            hours: Bulk::new(
                2,
                "SELECT hour, block, counts FROM",
                "CROSS JOIN hour_blocks ON hour = column1 AND block = column2",
            ),
            set_hours: Bulk::new(
                3,
                "INSERT OR REPLACE INTO hour_blocks (hour, block, counts) SELECT column1, column2, column3 FROM",
                real,
            ),
        }
    }
}

/// The numbers of a block's devices, by their place in it; 0 is none.
struct Block(Vec<u64>);

impl Block {
    fn read(bytes: &[u8]) -> Result<Self, sqlx::Error> {
        let damaged = || sqlx::Error::Decode("the numbers of a block are damaged".into());
        varint::all(bytes).filter(|numbers| numbers.len() <= BLOCK as usize).map(Self).ok_or_else(damaged)
    }

    fn of(&mut self, device: i64) -> &mut u64 {
        let place = device.rem_euclid(BLOCK) as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        &mut self.0[place]
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * self.0.len());
        self.0.iter().for_each(|&number| varint::put(&mut bytes, number));
        bytes
    }

    /// Devices that have a number, and it.
    fn of_block(self, block: i64) -> impl Iterator<Item = (i64, u64)> {
        let devices = (block * BLOCK..).zip(self.0);
        devices.filter(|&(_, number)| number > 0)
    }
}

/// Moves the times at which devices were last heard forward; each device comes once.
pub(super) async fn hear(
    connection: &mut SqliteConnection,
    statements: &Statements,
    mut heard: Vec<(i64, Instant)>,
) -> Result<(), sqlx::Error> {
    heard.sort_unstable();
    let of_block = |a: &(i64, Instant), b: &(i64, Instant)| a.0.div_euclid(BLOCK) == b.0.div_euclid(BLOCK);
    let keys: Vec<[i64; 1]> = heard.chunk_by(of_block).map(|same| [same[0].0.div_euclid(BLOCK)]).collect();
    let mut old = HashMap::new();
    for query in statements.heard.over(&keys) {
        for row in query?.fetch_all(&mut *connection).await? {
            old.insert([row.try_get(0)?], Block::read(row.try_get(1)?)?);
        }
    }
    let mut changed = Vec::with_capacity(keys.len());
    for (key, devices) in keys.into_iter().zip(heard.chunk_by(of_block)) {
        let mut numbers = old.remove(&key).unwrap_or(Block(Vec::new()));
        let mut moved = false;
        for &(device, time) in devices {
            let (latest, time) = (numbers.of(device), u64::try_from(time).unwrap_or(0));
            moved |= time > *latest;
            *latest = time.max(*latest);
        }
        if moved {
            changed.push((key, numbers.bytes()));
        }
    }
    statements.set_heard.run(connection, &changed).await?;
    Ok(())
}

/// Adds to the counts of hours and devices, which are in order.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    statements: &Statements,
    counts: &[((Hour, i64), i64)],
) -> Result<(), sqlx::Error> {
    let key = |&((hour, device), _): &((Hour, i64), i64)| [i64::from(hour), device.div_euclid(BLOCK)];
    let keys: Vec<[i64; 2]> = counts.chunk_by(|a, b| key(a) == key(b)).map(|same| key(&same[0])).collect();
    let mut old = HashMap::new();
    for query in statements.hours.over(&keys) {
        for row in query?.fetch_all(&mut *connection).await? {
            old.insert([row.try_get(0)?, row.try_get(1)?], Block::read(row.try_get(2)?)?);
        }
    }
    let mut changed = Vec::with_capacity(keys.len());
    for (at, same) in keys.into_iter().zip(counts.chunk_by(|a, b| key(a) == key(b))) {
        let mut numbers = old.remove(&at).unwrap_or(Block(Vec::new()));
        for &((_, device), count) in same {
            *numbers.of(device) += count.unsigned_abs();
        }
        changed.push((at, numbers.bytes()));
    }
    statements.set_hours.run(connection, &changed).await?;
    Ok(())
}

/// The counts in a row of `hour_blocks`, by device.
pub(super) fn counts(block: i64, bytes: &[u8]) -> Result<impl Iterator<Item = (i64, i64)>, sqlx::Error> {
    Ok(Block::read(bytes)?.of_block(block).map(|(device, count)| (device, count as i64)))
}

/// The times in a row of `heard_blocks`, by device.
pub(super) fn times(block: i64, bytes: &[u8]) -> Result<impl Iterator<Item = (i64, Instant)>, sqlx::Error> {
    Ok(Block::read(bytes)?.of_block(block).map(|(device, time)| (device, time as Instant)))
}

/// Moves what stores up to version 3 had in a row per device into blocks.
pub(super) async fn convert(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let statements = Statements::new();
    let old = sqlx::query_as("SELECT device, time FROM heard").fetch_all(&mut *connection).await?;
    hear(connection, &statements, old).await?;
    // An hour at a time: all of them would not fit into memory.
    let next = "SELECT min(hour) FROM hourly WHERE hour > ?";
    let mut last = i64::from(Hour::MIN);
    while let Some(hour) = sqlx::query_scalar::<_, Option<i64>>(next).bind(last).fetch_one(&mut *connection).await? {
        let of_hour =
            sqlx::query_as("SELECT hour, device, count FROM hourly WHERE hour = ? ORDER BY device").bind(hour);
        let rows: Vec<(Hour, i64, i64)> = of_hour.fetch_all(&mut *connection).await?;
        let counts_of: Vec<_> = rows.into_iter().map(|(hour, device, count)| ((hour, device), count)).collect();
        count(connection, &statements, &counts_of).await?;
        last = hour;
    }
    sqlx::raw_sql("DROP TABLE heard; DROP TABLE hourly").execute(connection).await?;
    Ok(())
}
