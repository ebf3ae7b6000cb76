//! What a disk holds after the power was lost while programs ran.
//!
//! - What was written to a file before its last fsync is there. Of what was written since, each sector is old or new.
//! - Of the names in a directory those are there that were before its last fsync. Of the changes since, the first so many have happened,
//!   for each directory as many as it likes: file systems with a journal keep the order of all, others that of one directory.
//! - A file's fsync says nothing about its name, although ext4 writes it as well.

use std::collections::{BTreeSet, HashMap};

use super::recording::{Call, Moment, Recording, What};
use super::tree::{Change, Node, Tree};
use crate::store::place::Numbers;

impl Recording {
    /// A disk as it may be when the power was lost at a moment.
    pub fn lose_power(&self, at: Moment, numbers: &mut Numbers) -> Tree {
        let synced = self.synced(at);
        let is_durable = |call: &Call, node: Node| synced.get(&node).is_some_and(|&began| call.ended < began);
        let begun: Vec<(&Call, &Change)> = self.changes().filter(|(call, _)| call.began < at).collect();
        let mut disk = self.disk.clone();
        for at in survivors(&begun, is_durable, numbers) {
            disk.apply(begun[at].1);
        }
        let sector = if numbers.below(2) == 0 { 512 } else { 4096 };
        // As long as programs saw them.
        let mut lengths: HashMap<Node, usize> = HashMap::new();
        for (call, change) in begun {
            match change {
                Change::Write { file, offset, bytes } => {
                    let length = lengths.entry(*file).or_insert_with(|| disk.file_mut(*file).len());
                    *length = (*length).max(offset + bytes.len());
                    if is_durable(call, *file) {
                        disk.write(*file, *offset, bytes);
                    } else {
                        write_some(&mut disk, *file, *offset, bytes, sector, numbers);
                    }
                }
                Change::Truncate { file, length } => {
                    lengths.insert(*file, *length);
                    if is_durable(call, *file) || numbers.below(2) == 0 {
                        disk.file_mut(*file).resize(*length, 0);
                    }
                }
                _ => {}
            }
        }
        // A file may have its new length without what was written there.
        let mut lengths: Vec<_> = lengths.into_iter().collect();
        lengths.sort_unstable();
        for (file, length) in lengths {
            let bytes = disk.file_mut(file);
            if length > bytes.len() && numbers.below(4) == 0 {
                bytes.resize(length, 0);
            }
        }
        disk
    }

    pub fn changes(&self) -> impl Iterator<Item = (&Call, &Change)> {
        self.calls.iter().filter_map(|call| match &call.what {
            What::Change(change) => Some((call, change)),
            _ => None,
        })
    }

    /// When the last sync of each file and directory began that had ended at a moment.
    fn synced(&self, at: Moment) -> HashMap<Node, Moment> {
        let mut synced: HashMap<Node, Moment> = HashMap::new();
        for call in self.calls.iter().filter(|call| call.ended < at) {
            if let What::Sync(node) = call.what
                && (self.is_synced)(&self.live.0[node])
            {
                let began = synced.entry(node).or_default();
                *began = call.began.max(*began);
            }
        }
        synced
    }
}

/// Which of the changes of names have happened on the disk, in order.
fn survivors(
    begun: &[(&Call, &Change)],
    is_durable: impl Fn(&Call, Node) -> bool,
    numbers: &mut Numbers,
) -> Vec<usize> {
    // The changes that a directory's last sync does not cover.
    let mut open: HashMap<Node, Vec<usize>> = HashMap::new();
    let mut last: BTreeSet<usize> = BTreeSet::new();
    for (at, (call, change)) in begun.iter().enumerate() {
        for directory in change.directories() {
            if is_durable(call, directory) {
                last.insert(at);
            } else {
                open.entry(directory).or_default().push(at);
            }
        }
    }
    let mut open: Vec<_> = open.into_iter().collect();
    open.sort_unstable();
    for (_, changes) in open {
        let happened = match numbers.below(4) {
            0 => 0,
            1 => changes.len(),
            _ => numbers.below(changes.len() as u64 + 1) as usize,
        };
        last.extend(&changes[..happened]);
    }
    // What happened in a directory happened after all that came before it there.
    let (mut happened, mut reached) = (Vec::new(), BTreeSet::new());
    for (at, (_, change)) in begun.iter().enumerate().rev() {
        if last.contains(&at) || change.directories().any(|directory| reached.contains(&directory)) {
            happened.push(at);
            reached.extend(change.directories());
        }
    }
    happened.reverse();
    happened
}

/// Writes all, nothing, or some of the sectors.
fn write_some(disk: &mut Tree, file: Node, offset: usize, bytes: &[u8], sector: usize, numbers: &mut Numbers) {
    let way = numbers.below(4);
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min((offset + from) / sector * sector + sector - offset);
        if way == 1 || way > 1 && numbers.below(2) == 0 {
            disk.write(file, offset + from, &bytes[from..to]);
        }
        from = to;
    }
}
