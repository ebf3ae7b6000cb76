//! One transaction: stores a batch, counts the outcome and answers its senders.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::submission::{Failure, Group, Outcome, Submission};
use crate::ingest::Source;
use crate::ingest::counts::Counts;
use roomcast_forecast::calendar::Timestamp;
use roomcast_storage::readings::{Batch, Event, Kind, Receipt, Store, StoreError, Verdict};

/// Longest time of a transaction. After it the store counts as unavailable, and rows that may have been stored are
/// stored again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Function called after each transaction with the new readings.
pub type Hook = Box<dyn Fn(Vec<(String, Timestamp)>) + Send + Sync>;

/// The world as the writer needs it: a store and time. Tests put a store that fails, and simulated time, in their
/// place.
pub trait Sink: Send + Sync + 'static {
    /// Stores a batch, as [`Store::ingest`].
    fn ingest(&self, batch: &Batch) -> impl Future<Output = Result<Receipt, StoreError>> + Send;

    /// Waits for a duration.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

impl Sink for Store {
    fn ingest(&self, batch: &Batch) -> impl Future<Output = Result<Receipt, StoreError>> + Send {
        Store::ingest(self, batch)
    }
}

/// Stores batches.
pub(super) struct Committer<S> {
    pub store: Arc<S>,
    pub counts: Arc<Counts>,
    pub hook: Hook,
}

impl<S: Sink> Committer<S> {
    /// Stores a group and answers its senders. Returns the group when nothing of it was stored.
    pub async fn commit(&self, group: Group) -> Result<(), (Group, Failure)> {
        match self.ingest(&group.batch).await {
            Ok(receipt) => {
                self.answer(group, receipt);
                Ok(())
            }
            Err(failure) => Err((group, failure)),
        }
    }

    /// Stores a submission and answers its sender. Returns the submission when nothing of it was stored.
    pub async fn commit_one(&self, submission: Submission) -> Result<(), (Submission, Failure)> {
        match self.commit(submission.into()).await {
            Ok(()) => Ok(()),
            Err((group, failure)) => match group.split().pop() {
                Some(submission) => Err((submission, failure)),
                None => Ok(()),
            },
        }
    }

    /// Stores a batch.
    pub async fn ingest(&self, batch: &Batch) -> Result<Receipt, Failure> {
        let watch = Instant::now();
        let limit = pin!(self.store.sleep(COMMIT_TIMEOUT));
        let stored = tokio::select! {
            biased;
            stored = self.store.ingest(batch) => Some(stored),
            () = limit => None,
        };
        let failure = match stored {
            Some(Ok(receipt)) => {
                self.counts.commits.add(1);
                self.counts.commit_nanoseconds.add(watch.elapsed().as_nanos() as u64);
                if receipt.dropped > 0 {
                    self.counts.quarantine_dropped.add(receipt.dropped);
                    tracing::warn!(rows = receipt.dropped, "the quarantine is full: its oldest rows were dropped");
                }
                return Ok(receipt);
            }
            Some(Err(error)) => Failure { message: error.to_string(), temporary: error.is_temporary() },
            None => Failure { message: format!("no answer within {} s", COMMIT_TIMEOUT.as_secs()), temporary: true },
        };
        self.counts.commit_failures.add(1);
        tracing::error!(error = failure.message, temporary = failure.temporary, "readings could not be stored");
        Err(failure)
    }

    fn answer(&self, group: Group, receipt: Receipt) {
        let Group { batch, parts } = group;
        let mut verdicts = receipt.verdicts.iter();
        for (submission, events, refused) in parts {
            let mut outcome = submission.outcome;
            outcome.add(self.count(submission.source, verdicts.by_ref().take(events)));
            self.counts.of(submission.source).refused.add(refused as u64);
            drop(submission.reservation);
            // The sender may no longer be waiting; the batch is stored all the same.
            let _ = submission.reply.send(Ok(outcome));
        }
        self.announce(batch.events, &receipt.verdicts);
    }

    /// Counts the outcomes of events of a source.
    pub fn count<'a>(&self, source: Source, verdicts: impl IntoIterator<Item = &'a Verdict>) -> Outcome {
        let mut outcome = Outcome::default();
        for verdict in verdicts {
            *match verdict {
                Verdict::Stored => &mut outcome.stored,
                Verdict::Duplicate => &mut outcome.duplicates,
                Verdict::NoMotion => &mut outcome.no_motion,
            } += 1;
        }
        let counts = self.counts.of(source);
        counts.stored.add(outcome.stored);
        counts.duplicates.add(outcome.duplicates);
        counts.no_motion.add(outcome.no_motion);
        outcome
    }

    /// Reports the new readings to the hook; an `off` may have been stored before.
    pub fn announce(&self, events: Vec<Event>, verdicts: &[Verdict]) {
        let is_new = |event: &Event, verdict| verdict == Verdict::Stored || event.kind == Kind::Off;
        let new = events.into_iter().zip(verdicts).filter(|(event, verdict)| is_new(event, **verdict));
        let new: Vec<_> = new.map(|(Event { device, time, .. }, _)| (device, time)).collect();
        if !new.is_empty() {
            (self.hook)(new);
        }
    }
}
