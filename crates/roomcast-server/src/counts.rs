//! Counters of the sources and the writer. No counter names a device, so their number is fixed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::ingest::Source;
use crate::ingest::skipped::Skipped;

/// A number that several threads change.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to the number.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Returns the number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts of one source.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Bodies or messages received.
    pub received: Count,
    /// New readings.
    pub stored: Count,
    /// Readings that were already stored.
    pub duplicates: Count,
    /// Signs of life that are no readings.
    pub no_motion: Count,
    /// Rows put into quarantine.
    pub refused: Count,
    /// Items rejected because the queue was full: HTTP bodies, and MQTT messages of QoS 0.
    pub turned_away: Count,
    /// Messages that were too large to be read.
    pub too_large: Count,
    /// Connections that were lost and made again.
    pub reconnects: Count,
    /// 1 while connected.
    pub connected: Count,
}

/// All counts on the way to the store.
#[derive(Debug, Default)]
pub struct Counts {
    sources: [Arrived; Source::ALL.len()],
    /// Topics of messages that were too large to be read.
    pub skipped: Skipped,
    /// Transactions that succeeded.
    pub commits: Count,
    /// Transactions that failed.
    pub commit_failures: Count,
    /// Rows that the quarantine dropped to make room for later ones.
    pub quarantine_dropped: Count,
    /// Nanoseconds of all successful transactions.
    pub commit_nanoseconds: Count,
}

impl Counts {
    /// Returns the counts of a source.
    pub fn of(&self, source: Source) -> &Arrived {
        &self.sources[source as usize]
    }
}
