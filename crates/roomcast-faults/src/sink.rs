//! The store and the time of a process, as its writer sees them.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomcast_server::ingest::writer::Sink;
use roomcast_storage::readings::{Batch, Event, Kind, Receipt, StoreError, Verdict};

use crate::bugs::Bug;
use crate::host::{Access, Host};

/// The store and the time of a process, as its writer sees them.
pub struct HostSink {
    /// The process.
    pub host: Arc<Host>,
    /// Batches that a planted bug has acknowledged and not stored yet.
    pub early: Mutex<Vec<Batch>>,
    /// Milliseconds below which a transaction takes its time.
    pub latency: Arc<AtomicU32>,
}

impl Sink for HostSink {
    async fn ingest(&self, batch: &Batch) -> Result<Receipt, StoreError> {
        let (world, limit) = (&self.host.hardware.world, u64::from(self.latency.load(SeqCst)));
        world.pause(Duration::from_millis(limit + 1)).await;
        let stored = self.store_with_bug(batch);
        let Some(stored) = stored else {
            // The process is dead: nothing happens in it any more.
            return std::future::pending().await;
        };
        world.note(match &stored {
            Ok(receipt) => format!("process {}: {} events are stored", self.host.group(), receipt.verdicts.len()),
            Err(error) => {
                format!("process {}: {} events are not stored: {error}", self.host.group(), batch.events.len())
            }
        });
        world.pause(Duration::from_millis(limit + 1)).await;
        stored
    }

    async fn sleep(&self, duration: Duration) {
        self.host.hardware.world.sleep(duration).await;
    }
}

impl HostSink {
    /// Stores a batch as the product does.
    fn store(&self, batch: &Batch) -> Option<Result<Receipt, StoreError>> {
        self.host.call(Access::Write, |store| async move { store.ingest(batch).await })
    }

    /// Stores a batch, or does what a planted bug does instead. Returns `None` when the process died meanwhile.
    fn store_with_bug(&self, batch: &Batch) -> Option<Result<Receipt, StoreError>> {
        match self.host.hardware.bug() {
            Some(Bug::EarlyAcknowledgement) => {
                // The batch of the call before is stored now.
                let late = std::mem::replace(
                    &mut *self.early.lock().unwrap_or_else(PoisonError::into_inner),
                    vec![batch.clone()],
                );
                for batch in late {
                    let _ = self.store(&batch)?;
                }
                let verdicts = vec![Verdict::Stored; batch.events.len()];
                Some(Ok(Receipt { verdicts, dropped: 0 }))
            }
            Some(Bug::NoDedup) => {
                let nameless = |event: &Event| Event { id: None, ..event.clone() };
                let events = batch.events.iter().map(nameless).collect();
                self.store(&Batch { events, refused: batch.refused.clone() })
            }
            Some(Bug::RepeatedSecond) => {
                let stored = self.store(batch)?;
                if let Ok(receipt) = &stored {
                    let repeated = |(event, verdict): (&Event, &Verdict)| {
                        let is_repeated = *verdict == Verdict::Duplicate && event.id.is_none();
                        is_repeated.then(|| Event { time: event.time + 1, kind: Kind::Motion, ..event.clone() })
                    };
                    let events = batch.events.iter().zip(&receipt.verdicts).filter_map(repeated).collect();
                    let _ = self.store(&Batch { events, refused: Vec::new() })?;
                }
                Some(stored)
            }
            _ => self.store(batch),
        }
    }
}
