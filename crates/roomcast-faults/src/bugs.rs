//! Bugs that are planted to see whether the simulation finds them. Nothing of the product can reach them.

use crate::disk::Lies;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Commits do not sync the write-ahead log.
    NoSyncAtCommit,
    /// Checkpoints do not sync the database.
    NoSyncAtCheckpoint,
    /// A process does not sync the write-ahead log that a killed one has left.
    NoSyncAtOpen,
    /// Readings are acknowledged before they are stored.
    EarlyAcknowledgement,
    /// Ids of events are forgotten, so repetitions count.
    NoDedup,
    /// The seconds of readings are not compared: a repetition is stored a second later.
    RepeatedSecond,
    /// A process works on although its lease has ended.
    NoFence,
    /// A process works although another holds the lease.
    IgnoredLease,
    /// A server that follows the store goes on one reading too far.
    LostChanges,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 9] = [
        Bug::NoSyncAtCommit,
        Bug::NoSyncAtCheckpoint,
        Bug::NoSyncAtOpen,
        Bug::EarlyAcknowledgement,
        Bug::NoDedup,
        Bug::RepeatedSecond,
        Bug::NoFence,
        Bug::IgnoredLease,
        Bug::LostChanges,
    ];

    /// Returns the lies that the disk tells.
    pub fn lies(bug: Option<Bug>) -> Lies {
        Lies {
            skips_log_sync: bug == Some(Bug::NoSyncAtCommit),
            skips_database_sync: bug == Some(Bug::NoSyncAtCheckpoint),
        }
    }
}
