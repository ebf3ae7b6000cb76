//! The bytes of a file: durable ones, and changes that came after.

use std::ops::Range;

use crate::chance::Chance;

/// Bytes that a disk writes together.
const SECTOR: usize = 512;

/// The bytes of a file.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The file as programs see it.
    seen: Vec<u8>,
    /// The file as it is on the disk for sure.
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Content {
    /// Returns the length of the file.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Reads into a buffer, which is filled with zeros behind the end. Returns the number of bytes read.
    pub fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let there = self.seen.get(at..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        buffer[count..].fill(0);
        count
    }

    /// Writes bytes.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.seen, at, bytes);
        self.changes.push(Change::Write(at, bytes.to_owned()));
    }

    /// Changes the length.
    pub fn truncate(&mut self, length: usize) {
        self.seen.resize(length, 0);
        self.changes.push(Change::Length(length));
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Write(at, bytes) => put(&mut self.durable, at, &bytes),
                Change::Length(length) => self.durable.resize(length, 0),
            }
        }
    }

    /// Leaves what a loss of power leaves. Returns the number of writes lost in part or whole, and in part.
    pub fn lose_power(&mut self, chance: &mut Chance) -> (u64, u64) {
        let (mut lost, mut torn) = (0, 0);
        let changes = std::mem::take(&mut self.changes);
        // A disk may keep nothing, everything, the first changes, or any of them.
        let (kept, likely) = match chance.of(0..5) {
            0 => (0, 0),
            1 => (changes.len(), 0),
            2 => (chance.of(0..changes.len() as u64 + 1) as usize, 0),
            3 => (0, 50),
            _ => (0, 90),
        };
        for (number, change) in changes.into_iter().enumerate() {
            let is_whole = number < kept;
            match change {
                Change::Length(length) if is_whole || chance.percent(likely) => self.durable.resize(length, 0),
                Change::Length(_) => {}
                Change::Write(at, bytes) => {
                    let sectors = sectors(at, bytes.len());
                    let count = sectors.len();
                    let mut written = 0;
                    for part in sectors {
                        if is_whole || chance.percent(likely) {
                            put(&mut self.durable, at + part.start, &bytes[part]);
                            written += 1;
                        }
                    }
                    lost += u64::from(written < count);
                    torn += u64::from(written > 0 && written < count);
                }
            }
        }
        self.seen.clone_from(&self.durable);
        (lost, torn)
    }
}

/// Returns the parts of a write that lie in different sectors.
fn sectors(at: usize, length: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    while start < length {
        let end = ((at + start) / SECTOR + 1) * SECTOR - at;
        parts.push(start..end.min(length));
        start = end;
    }
    parts
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_the_rest_may_be_lost_by_sector() {
        let (mut kept, mut gone, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(100, &[1; 1000]);
            content.sync();
            content.write(0, &[2; 2000]);
            let mut seen = [9; 10];
            assert_eq!((content.read(1995, &mut seen), seen), (5, [2, 2, 2, 2, 2, 0, 0, 0, 0, 0]));
            content.lose_power(&mut Chance::new(seed));
            let mut bytes = [0; 2000];
            content.read(0, &mut bytes);
            match bytes.iter().filter(|&&byte| byte == 2).count() {
                0 => gone += 1,
                2000 => kept += 1,
                _ => torn += 1,
            }
            assert!(bytes[100..1100].iter().all(|&byte| byte > 0));
            let is_whole = |sector: &[u8]| sector.iter().all(|&byte| byte == 2) || !sector.contains(&2);
            assert!(bytes.chunks(SECTOR).all(is_whole));
        }
        assert!(kept > 20 && gone > 20 && torn > 20, "{kept} {gone} {torn}");
    }

    #[test]
    fn a_write_is_cut_where_sectors_end() {
        assert_eq!(sectors(500, 600), [0..12, 12..524, 524..600]);
        assert!(sectors(512, 512).into_iter().eq(std::iter::once(0..512)) && sectors(3, 0).is_empty());
    }
}
