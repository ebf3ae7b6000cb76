//! Locks of a file, as SQLite asks for them: shared, reserved, pending, exclusive.

use std::collections::BTreeMap;

use libsqlite3_sys::{SQLITE_LOCK_EXCLUSIVE, SQLITE_LOCK_NONE, SQLITE_LOCK_RESERVED, SQLITE_LOCK_SHARED};

/// The level of the lock of each handle.
#[derive(Debug, Default)]
pub struct Locks(BTreeMap<u64, i32>);

impl Locks {
    /// Raises the lock of a handle. Returns whether it could.
    pub fn raise(&mut self, handle: u64, level: i32) -> bool {
        let mut others = self.0.iter().filter(|(other, _)| **other != handle).map(|(_, level)| *level);
        let is_free = match level {
            SQLITE_LOCK_SHARED => others.all(|other| other <= SQLITE_LOCK_RESERVED),
            SQLITE_LOCK_RESERVED => others.all(|other| other <= SQLITE_LOCK_SHARED),
            _ => others.all(|other| other == SQLITE_LOCK_NONE),
        };
        if is_free {
            let own = self.0.entry(handle).or_insert(level);
            *own = level.max(*own);
        }
        is_free
    }

    /// Lowers the lock of a handle.
    pub fn lower(&mut self, handle: u64, level: i32) {
        match level {
            SQLITE_LOCK_NONE => drop(self.0.remove(&handle)),
            level => {
                if let Some(own) = self.0.get_mut(&handle) {
                    *own = level.min(*own);
                }
            }
        }
    }

    /// Returns whether any handle means to write.
    pub fn is_reserved(&self) -> bool {
        self.0.values().any(|&level| (SQLITE_LOCK_RESERVED..=SQLITE_LOCK_EXCLUSIVE).contains(&level))
    }
}
