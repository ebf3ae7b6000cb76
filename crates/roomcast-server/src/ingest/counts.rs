//! Counts of the sources and of the writer.

use super::Source;
use super::skipped::Skipped;
use crate::metrics::{Text, metrics};

metrics! {
    /// Counts of one source of readings.
    pub struct SourceCounts {
        /// Bodies or messages that were received.
        received: Counter "ingest_received_total",
        /// New readings.
        stored: Counter "ingest_stored_total",
        /// Readings that were already stored.
        duplicates: Counter "ingest_duplicates_total",
        /// Reports without motion: an `off`, or a sign of life.
        no_motion: Counter "ingest_no_motion_total",
        /// Rows that were put into quarantine.
        refused: Counter "ingest_refused_total",
        /// HTTP bodies, and MQTT messages of QoS 0, that were rejected because the queue was full.
        turned_away: Counter "ingest_turned_away_total",
        /// Messages that were too large to be read.
        too_large: Counter "ingest_too_large_total",
        /// Connections that were lost.
        reconnects: Counter "ingest_reconnects_total",
        /// 1 while the source is connected.
        connected: Gauge "ingest_connected",
    }
}

metrics! {
    /// Counts on the way from the sources to the store.
    pub struct Counts {
        /// Transactions that stored readings.
        commits: Counter "ingest_commits_total",
        /// Transactions that failed.
        commit_failures: Counter "ingest_commit_failures_total",
        /// Rows that the quarantine dropped to make room for later ones.
        quarantine_dropped: Counter "ingest_quarantine_dropped_total",
        /// Time of all successful transactions.
        commit_nanoseconds: Time "ingest_commit_seconds_total",
        + /// Topics of messages that were too large to be read.
        skipped: Skipped,
        + /// Counts of each source, in the order of [`Source::ALL`].
        sources: [SourceCounts; Source::ALL.len()],
    }
}

impl Counts {
    /// Returns the counts of a source.
    pub fn of(&self, source: Source) -> &SourceCounts {
        &self.sources[source as usize]
    }

    /// Writes the counts.
    pub fn write(&self, text: &mut Text) {
        let sources = Source::ALL.map(|source| (format!("{{source=\"{}\"}}", source.name()), self.of(source)));
        text.group(SourceCounts::ALL, &sources);
        text.group(Counts::ALL, &[("", self)]);
    }
}
