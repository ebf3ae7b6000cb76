//! Blocks: numbers of many devices in one row. The numbers are counts of an hour, or times last heard.
//!
//! A batch of a large site touches as many devices as it has readings. A row for each device would cost more than the
//! readings themselves, so the numbers of [`BLOCK_DEVICES`] devices are one row that is read and written as a whole.
//! Only one transaction writes at a time.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::bulk::Bulk;
use crate::readings::varint;
use roomcast_forecast::calendar::{Hour, Timestamp};

/// Devices per block; a device's number divided by this is its block. Larger blocks would make a site that stores
/// single readings write much for each.
const BLOCK_DEVICES: i64 = 256;

/// Statements over blocks. The columns of a row are 1, the hour (null for times last heard), the block and its bytes.
pub(super) struct Statements {
    pub heard: Bulk,
    pub set_heard: Bulk,
    pub hours: Bulk,
    pub set_hours: Bulk,
}

impl Statements {
    pub fn new() -> Self {
        let real = "WHERE column1 IS NOT NULL";
        Self {
            heard: Bulk::new(1, "SELECT 1, NULL, block, times FROM", "CROSS JOIN heard_blocks ON block = column1"),
            set_heard: Bulk::new(
                2,
                "INSERT OR REPLACE INTO heard_blocks (block, times) SELECT column1, column2 FROM",
                real,
            ),
            hours: Bulk::new(
                2,
                "SELECT 1, hour, block, counts FROM",
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

/// Blocks as stored.
#[derive(Default)]
pub(super) struct Stored {
    heard: HashMap<[i64; 1], Block>,
    hours: HashMap<[i64; 2], Block>,
}

impl Stored {
    /// Takes a row that one of the statements returned.
    pub fn take(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let block = Block::read(row.try_get(3)?)?;
        match row.try_get::<Option<i64>, _>(1)? {
            None => drop(self.heard.insert([row.try_get(2)?], block)),
            Some(hour) => drop(self.hours.insert([hour, row.try_get(2)?], block)),
        }
        Ok(())
    }
}

/// The numbers of a block's devices, by their position in it; 0 means none.
#[derive(Default)]
struct Block(Vec<u64>);

impl Block {
    fn read(bytes: &[u8]) -> Result<Self, sqlx::Error> {
        let damaged = || sqlx::Error::Decode("the numbers of a block are damaged".into());
        varint::decode(bytes).filter(|numbers| numbers.len() <= BLOCK_DEVICES as usize).map(Self).ok_or_else(damaged)
    }

    fn of(&mut self, device: i64) -> &mut u64 {
        let place = device.rem_euclid(BLOCK_DEVICES) as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        &mut self.0[place]
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * self.0.len());
        self.0.iter().for_each(|&number| varint::encode(&mut bytes, number));
        bytes
    }

    /// Returns the devices that have a number, with it.
    fn of_block(self, block: i64) -> impl Iterator<Item = (i64, u64)> {
        let devices = (block * BLOCK_DEVICES..).zip(self.0);
        devices.filter(|&(_, number)| number > 0)
    }
}

/// A device, and the time it was last heard.
type Heard = (i64, Timestamp);

/// An hour and device, and the number of readings.
type Count = ((Hour, i64), i64);

fn heard_key(&(device, _): &Heard) -> [i64; 1] {
    [device.div_euclid(BLOCK_DEVICES)]
}

fn hour_key(&((hour, device), _): &Count) -> [i64; 2] {
    [i64::from(hour), device.div_euclid(BLOCK_DEVICES)]
}

/// Returns the blocks of devices. The devices must be in order.
pub(super) fn heard_keys(heard: &[Heard]) -> Vec<[i64; 1]> {
    heard.chunk_by(|a, b| heard_key(a) == heard_key(b)).map(|same| heard_key(&same[0])).collect()
}

/// Returns the blocks of hours and devices. The counts must be in order.
pub(super) fn hour_keys(counts: &[Count]) -> Vec<[i64; 2]> {
    counts.chunk_by(|a, b| hour_key(a) == hour_key(b)).map(|same| hour_key(&same[0])).collect()
}

/// Advances the times last heard of devices, which are in order and each once. Returns the changed blocks.
pub(super) fn record_heard(stored: &mut Stored, heard: &[Heard]) -> Vec<([i64; 1], Vec<u8>)> {
    let changed = heard.chunk_by(|a, b| heard_key(a) == heard_key(b)).filter_map(|devices| {
        let key = heard_key(&devices[0]);
        let mut block = stored.heard.remove(&key).unwrap_or_default();
        let mut moved = false;
        for &(device, time) in devices {
            let (latest, time) = (block.of(device), u64::try_from(time).unwrap_or(0));
            moved |= time > *latest;
            *latest = time.max(*latest);
        }
        moved.then(|| (key, block.bytes()))
    });
    changed.collect()
}

/// Adds to the counts of hours and devices, which are in order. Returns the changed blocks.
pub(super) fn add_counts(stored: &mut Stored, counts: &[Count]) -> Vec<([i64; 2], Vec<u8>)> {
    let changed = counts.chunk_by(|a, b| hour_key(a) == hour_key(b)).map(|same| {
        let key = hour_key(&same[0]);
        let mut block = stored.hours.remove(&key).unwrap_or_default();
        for &((_, device), count) in same {
            *block.of(device) += count.unsigned_abs();
        }
        (key, block.bytes())
    });
    changed.collect()
}

/// Returns the counts in a row of `hour_blocks`, by device.
pub(super) fn counts(block: i64, bytes: &[u8]) -> Result<impl Iterator<Item = (i64, i64)>, sqlx::Error> {
    Ok(Block::read(bytes)?.of_block(block).map(|(device, count)| (device, count as i64)))
}

/// Returns the times in a row of `heard_blocks`, by device.
pub(super) fn times(block: i64, bytes: &[u8]) -> Result<impl Iterator<Item = (i64, Timestamp)>, sqlx::Error> {
    Ok(Block::read(bytes)?.of_block(block).map(|(device, time)| (device, time as Timestamp)))
}
