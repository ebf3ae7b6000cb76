//! Submitted data: as it arrived, or grouped for one transaction.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::ingest::Source;
use roomcast_storage::readings::Batch;

/// The outcome of a submission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// New readings.
    pub stored: u64,
    /// Readings that were already stored.
    pub duplicates: u64,
    /// Reports without motion.
    pub no_motion: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, more: Outcome) {
        self.stored += more.stored;
        self.duplicates += more.duplicates;
        self.no_motion += more.no_motion;
    }
}

/// The reason nothing of a submission was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The store's message.
    pub message: String,
    /// True when the same may work later.
    pub temporary: bool,
}

/// A sender's choice of the reaction to an unavailable store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// The sender gets an error immediately.
    Report,
    /// The data is tried again until it is stored. Data that the store never accepts goes into quarantine.
    Retry,
}

/// Reserved room in the queue. Dropping it frees the room.
#[derive(Debug)]
pub struct Reservation {
    pub(super) rows: Option<OwnedSemaphorePermit>,
    pub(super) bytes: OwnedSemaphorePermit,
}

impl Reservation {
    /// Adds the room of another.
    pub fn join(&mut self, other: Reservation) {
        self.bytes.merge(other.bytes);
    }
}

/// The submission of one sender.
pub(super) struct Submission {
    pub source: Source,
    pub batch: Batch,
    /// Outcome of the events that are already stored and no longer in the batch.
    pub outcome: Outcome,
    pub on_failure: OnFailure,
    pub reservation: Reservation,
    pub reply: oneshot::Sender<Result<Outcome, Failure>>,
}

/// The submissions of one transaction, with their rows in one batch.
#[derive(Default)]
pub(super) struct Group {
    pub batch: Batch,
    /// The submissions without their rows, with the numbers of their events and refused rows.
    pub parts: Vec<(Submission, usize, usize)>,
}

impl From<Submission> for Group {
    fn from(submission: Submission) -> Group {
        let mut group = Group::default();
        group.add(submission);
        group
    }
}

impl Group {
    pub fn rows(&self) -> usize {
        self.batch.events.len() + self.batch.refused.len()
    }

    pub fn add(&mut self, mut submission: Submission) {
        let Batch { mut events, mut refused } = std::mem::take(&mut submission.batch);
        self.parts.push((submission, events.len(), refused.len()));
        self.batch.events.append(&mut events);
        self.batch.refused.append(&mut refused);
    }

    /// Returns the submissions of which the group was made.
    pub fn split(self) -> Vec<Submission> {
        let (mut events, mut refused) = (self.batch.events.into_iter(), self.batch.refused.into_iter());
        let whole = |(submission, own_events, own_refused)| {
            let events = events.by_ref().take(own_events).collect();
            Submission { batch: Batch { events, refused: refused.by_ref().take(own_refused).collect() }, ..submission }
        };
        self.parts.into_iter().map(whole).collect()
    }
}
