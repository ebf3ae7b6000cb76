//! One task that stores the data of all sources, in transactions as large as the queue.
//!
//! While one transaction is under way submissions queue, and the next transaction stores them together: the slower the
//! disk, the larger the transactions. The queue is bounded by rows and bytes. When the store is unavailable, senders
//! that can keep their data and try again (HTTP) get an error immediately. Messages that a broker keeps wait here and
//! are tried again. Data that the store would never accept goes into quarantine, because a broker would deliver it
//! again and again.

mod commit;
mod divide;
mod submission;
mod task;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Source;
use crate::ingest::counts::Counts;
use commit::Committer;
pub use commit::{Hook, Sink};
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::Batch;
pub use submission::{Failure, Outcome, Reservation};
use submission::{OnFailure, Submission};
use task::Task;

/// Most rows and bytes that may wait to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Bytes of bodies and messages as they were read.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rows: 200_000, bytes: 64 << 20 }
    }
}

/// Receives the outcome once a submission is stored or has failed. A receive error means that the writer ended before.
pub type Answer = oneshot::Receiver<Result<Outcome, Failure>>;

/// The error that the queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// Accepts readings. Clones are cheap.
#[derive(Clone)]
pub struct Writer {
    submissions: mpsc::UnboundedSender<Submission>,
    rows: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    limits: Limits,
}

impl Writer {
    /// Starts the task on the present runtime. It ends when the last `Writer` is dropped and everything is stored.
    pub fn start<S: Sink>(
        store: Arc<S>,
        calendar: Calendar,
        limits: Limits,
        counts: Arc<Counts>,
        hook: Hook,
    ) -> Writer {
        let (writer, task) = Writer::new(store, calendar, limits, counts, hook);
        tokio::spawn(task);
        writer
    }

    /// Returns a writer and its task, which ends when the last `Writer` is dropped and everything is stored.
    pub fn new<S: Sink>(
        store: Arc<S>,
        calendar: Calendar,
        limits: Limits,
        counts: Arc<Counts>,
        hook: Hook,
    ) -> (Writer, impl Future<Output = ()> + Send + 'static) {
        let (submissions, waiting) = mpsc::unbounded_channel();
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.min(u32::MAX as usize)));
        let writer = Writer { submissions, rows: semaphore(limits.rows), bytes: semaphore(limits.bytes), limits };
        (writer, Task::new(Committer { store, counts, hook }, calendar).run(waiting))
    }

    /// Reserves room for bytes that are about to be read. More bytes than the queue holds reserve all of it.
    ///
    /// # Errors
    /// [`QueueFull`] when there is no room for the bytes.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, QueueFull> {
        let bytes = bytes.min(self.limits.bytes) as u32;
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| QueueFull)?;
        Ok(Reservation { rows: None, bytes })
    }

    /// Submits a batch that has room for its bytes. The answer arrives when it is stored or has failed, immediately
    /// when the store is unavailable.
    ///
    /// # Errors
    /// [`QueueFull`] when there is no room for its rows.
    pub fn submit(&self, source: Source, batch: Batch, mut reservation: Reservation) -> Result<Answer, QueueFull> {
        let rows = self.weight(&batch);
        reservation.rows = Some(self.rows.clone().try_acquire_many_owned(rows).map_err(|_| QueueFull)?);
        Ok(self.send(source, batch, reservation, OnFailure::Report))
    }

    /// Hands over a batch of a message, as [`Writer::submit`]. Waits for room, and tries until the batch is stored.
    pub async fn submit_until_stored(&self, source: Source, batch: Batch, bytes: usize) -> Answer {
        let bytes = bytes.min(self.limits.bytes) as u32;
        // Semaphores are never closed.
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await;
        let rows = self.rows.clone().acquire_many_owned(self.weight(&batch)).await;
        match (rows, bytes) {
            (Ok(rows), Ok(bytes)) => {
                self.send(source, batch, Reservation { rows: Some(rows), bytes }, OnFailure::Retry)
            }
            _ => oneshot::channel().1,
        }
    }

    /// Returns the rows and bytes that wait now.
    pub fn waiting(&self) -> (usize, usize) {
        (
            self.limits.rows.saturating_sub(self.rows.available_permits()),
            self.limits.bytes.saturating_sub(self.bytes.available_permits()),
        )
    }

    fn weight(&self, batch: &Batch) -> u32 {
        (batch.events.len() + batch.refused.len()).min(self.limits.rows) as u32
    }

    fn send(&self, source: Source, batch: Batch, reservation: Reservation, on_failure: OnFailure) -> Answer {
        let (reply, answer) = oneshot::channel();
        // Without a task the reply is dropped with the submission, which its receiver notices.
        let _ = self.submissions.send(Submission {
            source,
            batch,
            outcome: Outcome::default(),
            on_failure,
            reservation,
            reply,
        });
        answer
    }
}

#[cfg(test)]
mod tests;
