//! Memory that the connections of a database share: the index of its write-ahead log.

use std::collections::BTreeMap;

use libsqlite3_sys::{SQLITE_SHM_EXCLUSIVE, SQLITE_SHM_NLOCK};

/// The shared memory of a database. It is zero when the first connection attaches: a loss of power leaves nothing of it,
/// and SQLite's own file system clears what killed processes have left.
#[derive(Default)]
pub struct Shared {
    regions: Vec<Box<[u64]>>,
    /// Locks of each attached handle, by slot: of which process, and which are exclusive.
    attached: BTreeMap<u64, (u32, [Held; SQLITE_SHM_NLOCK as usize])>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Not,
    Shared,
    Exclusive,
}

impl Shared {
    /// Attaches a handle of a process.
    pub fn attach(&mut self, handle: u64, process: u32) {
        if self.attached.is_empty() {
            self.regions.clear();
        }
        self.attached.entry(handle).or_insert((process, Default::default()));
    }

    /// Detaches a handle.
    pub fn detach(&mut self, handle: u64) {
        self.attached.remove(&handle);
        if self.attached.is_empty() {
            self.regions.clear();
        }
    }

    /// Returns a region of so many bytes. Returns `None` for one that is not there and is not to be made.
    pub fn region(&mut self, number: usize, bytes: usize, makes: bool) -> Option<*mut u8> {
        while makes && self.regions.len() <= number {
            self.regions.push(vec![0; bytes.div_ceil(8)].into_boxed_slice());
        }
        self.regions.get_mut(number).map(|region| region.as_mut_ptr().cast())
    }

    /// Locks slots for a handle. Returns whether it could.
    pub fn lock(&mut self, handle: u64, slots: std::ops::Range<usize>, flags: i32) -> bool {
        let wanted = if flags & SQLITE_SHM_EXCLUSIVE != 0 { Held::Exclusive } else { Held::Shared };
        let hinders = |held: &Held| *held == Held::Exclusive || (wanted == Held::Exclusive && *held == Held::Shared);
        let others = self.attached.iter().filter(|(other, _)| **other != handle);
        if others.flat_map(|(_, (_, held))| &held[slots.clone()]).any(hinders) {
            return false;
        }
        if let Some((_, held)) = self.attached.get_mut(&handle) {
            held[slots].fill(wanted);
        }
        true
    }

    /// Unlocks slots of a handle.
    pub fn unlock(&mut self, handle: u64, slots: std::ops::Range<usize>) {
        if let Some((_, held)) = self.attached.get_mut(&handle) {
            held[slots].fill(Held::Not);
        }
    }

    /// Returns all locks, for messages.
    pub fn locks(&self) -> String {
        format!("{:?}", self.attached)
    }

    /// Returns whether a process holds any lock.
    pub fn is_locked_by(&self, process: u32) -> bool {
        self.attached.values().any(|(own, held)| *own == process && held.iter().any(|held| *held != Held::Not))
    }
}
