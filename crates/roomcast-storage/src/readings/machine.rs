//! The machine below a store in a file: its file system and its clock.

use std::fs::File;
use std::io;
use std::path::Path;

use roomcast_forecast::calendar::{Calendar, Timestamp};

/// The file system and the clock below a store in a file. The program uses those of the operating system; the simulation
/// of faults puts its own in their place.
pub trait Machine: Send + Sync {
    /// Returns the name of SQLite's file system (VFS); `None` means the operating system's.
    fn file_system(&self) -> Option<String>;

    /// Syncs a file to the disk.
    ///
    /// # Errors
    /// Returns the error of the file system, also for a missing file.
    fn sync(&self, file: &Path) -> io::Result<()>;

    /// Returns the present instant in UTC.
    fn utc_now(&self) -> Timestamp;
}

/// The machine that the process runs on.
pub(super) struct OperatingSystem;

impl Machine for OperatingSystem {
    fn file_system(&self) -> Option<String> {
        None
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        File::open(file)?.sync_all()
    }

    fn utc_now(&self) -> Timestamp {
        Calendar::utc_now()
    }
}
