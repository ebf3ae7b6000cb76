//! What the sources and the writer count. No count names a device, so their number is fixed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Source;
use super::skipped::Skipped;

/// One number.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Takes another value.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What came by one source.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Bodies or messages received.
    pub received: Count,
    /// New readings.
    pub stored: Count,
    /// Readings that were there already.
    pub duplicates: Count,
    /// Signs of life that are no readings.
    pub no_motion: Count,
    /// What is in quarantine instead.
    pub refused: Count,
    /// What was turned away because the queue was full: HTTP bodies, and MQTT messages of QoS 0.
    pub turned_away: Count,
    /// Messages that were too large to be read.
    pub too_large: Count,
    /// Connections that were lost and made again.
    pub reconnects: Count,
    /// 1 while connected.
    pub connected: Count,
}

/// Everything that is counted on the way to the store.
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
    /// Nanoseconds of all that succeeded.
    pub commit_nanoseconds: Count,
}

impl Counts {
    /// What came by a source.
    pub fn of(&self, source: Source) -> &Arrived {
        &self.sources[source as usize]
    }
}
