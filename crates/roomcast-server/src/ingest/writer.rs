//! One task that stores the data of all sources, in transactions as large as the queue.
//!
//! While one transaction is under way others queue, and the next takes them together: the slower the disk, the larger
//! the transactions. The queue is bounded by rows and bytes. When the store is away, senders that can keep their data
//! and ask again (HTTP) are told at once. Messages that a broker keeps for us wait here and are tried again. Data that
//! the store would never take goes into quarantine, because a broker would bring it again and again.

mod divide;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, sleep_until, timeout};

use super::Source;
use crate::backoff::Backoff;
use crate::metrics::Counts;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_storage::readings::{Batch, Event, Receipt, Store, Verdict};

/// Rows after which a transaction takes no more.
const GROUP: usize = 5000;

/// Time for which a transaction of fewer than [`FEW`] rows waits for more, because messages come one by one.
const LINGER: Duration = Duration::from_millis(1);
const FEW: usize = 100;

/// Longest time of a transaction. After it the store counts as away, and rows that may have been stored are offered
/// again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shortest and longest wait between tries while the store is away.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

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

/// The outcome of a submission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// New readings.
    pub stored: u64,
    /// Readings that were already stored.
    pub duplicates: u64,
    /// Signs of life.
    pub no_motion: u64,
}

impl Tally {
    fn add(&mut self, more: Tally) {
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

/// Receives the outcome once a submission is stored or has failed. A receive error means that the writer ended before.
pub type Answer = oneshot::Receiver<Result<Tally, Failure>>;

/// The error that the queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Room in the queue. Dropping it frees the room.
#[derive(Debug)]
pub struct Room {
    rows: Option<OwnedSemaphorePermit>,
    bytes: OwnedSemaphorePermit,
}

impl Room {
    /// Adds the room of another.
    pub fn join(&mut self, other: Room) {
        self.bytes.merge(other.bytes);
    }
}

/// A sender's behaviour while the store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The sender is told at once that the store is away.
    Told,
    /// The data is tried again until it is stored. Data that the store never takes goes into quarantine.
    Waits,
}

/// Accepts readings. Clones are cheap.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    rows: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    limits: Limits,
}

/// Function called after each transaction with the new readings.
pub type Hook = Box<dyn Fn(Vec<(String, Timestamp)>) + Send + Sync>;

struct Job {
    source: Source,
    batch: Batch,
    /// Outcome of the events that are already stored and no longer in the batch.
    tally: Tally,
    patience: Patience,
    room: Room,
    reply: oneshot::Sender<Result<Tally, Failure>>,
}

impl Writer {
    /// Starts the task on the present runtime. It ends when the last `Writer` is dropped and everything is stored.
    pub fn start(store: Arc<dyn Store>, calendar: Calendar, limits: Limits, counts: Arc<Counts>, hook: Hook) -> Writer {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.min(u32::MAX as usize)));
        let writer = Writer { jobs, rows: semaphore(limits.rows), bytes: semaphore(limits.bytes), limits };
        let task = Task { store, calendar, counts, hook, waits: Backoff::new(WAITS.0, WAITS.1) };
        tokio::spawn(task.run(waiting));
        writer
    }

    /// Reserves room for bytes that are about to be read. More bytes than the queue holds reserve all of it.
    ///
    /// # Errors
    /// [`Full`] when there is no room for the bytes.
    pub fn room(&self, bytes: usize) -> Result<Room, Full> {
        let bytes = bytes.min(self.limits.bytes) as u32;
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| Full)?;
        Ok(Room { rows: None, bytes })
    }

    /// Hands over a batch that has room for its bytes. The answer comes when it is stored or has failed.
    ///
    /// # Errors
    /// [`Full`] when there is no room for its rows.
    pub fn submit(&self, source: Source, batch: Batch, mut room: Room, patience: Patience) -> Result<Answer, Full> {
        let rows = self.weight(&batch);
        room.rows = Some(self.rows.clone().try_acquire_many_owned(rows).map_err(|_| Full)?);
        Ok(self.send(source, batch, room, patience))
    }

    /// Hands over a batch of a message, as [`Writer::submit`]. Waits for room, and tries until the batch is stored.
    pub async fn insist(&self, source: Source, batch: Batch, bytes: usize) -> Answer {
        let bytes = bytes.min(self.limits.bytes) as u32;
        // Semaphores are never closed.
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await;
        let rows = self.rows.clone().acquire_many_owned(self.weight(&batch)).await;
        match (rows, bytes) {
            (Ok(rows), Ok(bytes)) => self.send(source, batch, Room { rows: Some(rows), bytes }, Patience::Waits),
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

    fn send(&self, source: Source, batch: Batch, room: Room, patience: Patience) -> Answer {
        let (reply, answer) = oneshot::channel();
        // Without a task the reply is dropped with the job, which its receiver notices.
        let _ = self.jobs.send(Job { source, batch, tally: Tally::default(), patience, room, reply });
        answer
    }
}

/// The rows of one transaction.
#[derive(Default)]
struct Group {
    batch: Batch,
    parts: Vec<Part>,
}

/// The part of a group that came from one sender.
struct Part {
    source: Source,
    events: usize,
    refused: usize,
    tally: Tally,
    patience: Patience,
    room: Room,
    reply: oneshot::Sender<Result<Tally, Failure>>,
}

impl Group {
    fn rows(&self) -> usize {
        self.batch.events.len() + self.batch.refused.len()
    }

    fn add(&mut self, job: Job) {
        let Job { source, mut batch, tally, patience, room, reply } = job;
        self.parts.push(Part {
            source,
            events: batch.events.len(),
            refused: batch.refused.len(),
            tally,
            patience,
            room,
            reply,
        });
        self.batch.events.append(&mut batch.events);
        self.batch.refused.append(&mut batch.refused);
    }

    /// Returns the jobs of which the group was made.
    fn split(self) -> Vec<Job> {
        let (mut events, mut refused) = (self.batch.events.into_iter(), self.batch.refused.into_iter());
        let job = |part: Part| Job {
            source: part.source,
            batch: Batch {
                events: events.by_ref().take(part.events).collect(),
                refused: refused.by_ref().take(part.refused).collect(),
            },
            tally: part.tally,
            patience: part.patience,
            room: part.room,
            reply: part.reply,
        };
        self.parts.into_iter().map(job).collect()
    }
}

/// Jobs to try again.
#[derive(Default)]
struct Left {
    jobs: Vec<Job>,
    /// True when the store is away. Otherwise it takes what others send.
    away: bool,
}

impl Left {
    fn add(&mut self, job: Job, failure: &Failure) {
        self.jobs.push(job);
        self.away |= failure.temporary;
    }
}

struct Task {
    store: Arc<dyn Store>,
    calendar: Calendar,
    counts: Arc<Counts>,
    hook: Hook,
    waits: Backoff,
}

impl Task {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut held: VecDeque<Job> = VecDeque::new();
        loop {
            let mut group = Group::default();
            match held.pop_front() {
                Some(job) => group.add(job),
                None => match jobs.recv().await {
                    Some(job) => group.add(job),
                    None => return,
                },
            }
            let lingers = group.rows() < FEW && group.parts.iter().all(|part| part.patience == Patience::Waits);
            if lingers && held.is_empty() {
                sleep(LINGER).await;
            }
            while group.rows() < GROUP {
                match held.pop_front().or_else(|| jobs.try_recv().ok()) {
                    Some(job) => group.add(job),
                    None => break,
                }
            }
            let left = self.store(group).await;
            if left.jobs.is_empty() {
                continue;
            }
            for job in left.jobs.into_iter().rev() {
                held.push_front(job);
            }
            self.wait(left.away, &mut held, &mut jobs).await;
        }
    }

    /// Stores a group. Returns the jobs to try again.
    async fn store(&mut self, group: Group) -> Left {
        let mut left = Left::default();
        let (group, failure) = match self.commit(group).await {
            Ok(()) => {
                self.waits.reset();
                return left;
            }
            Err(failed) => failed,
        };
        let alone = group.parts.len() == 1;
        for job in group.split() {
            // A job that the store never takes must not keep it from taking the rest.
            let (job, failure) = if failure.temporary || alone {
                (job, failure.clone())
            } else {
                let mut single = Group::default();
                single.add(job);
                match self.commit(single).await {
                    Ok(()) => continue,
                    Err((group, failure)) => match group.split().pop() {
                        Some(job) => (job, failure),
                        None => continue,
                    },
                }
            };
            match job.patience {
                // The sender may no longer be waiting.
                Patience::Told => drop(job.reply.send(Err(failure))),
                Patience::Waits if failure.temporary => left.add(job, &failure),
                Patience::Waits => {
                    if let Err((job, failure)) = self.divide(job).await {
                        left.add(job, &failure);
                    }
                }
            }
        }
        left
    }

    async fn commit(&self, group: Group) -> Result<(), (Group, Failure)> {
        match self.ingest(&group.batch).await {
            Ok(receipt) => {
                self.answer(group, receipt);
                Ok(())
            }
            Err(failure) => Err((group, failure)),
        }
    }

    async fn ingest(&self, batch: &Batch) -> Result<Receipt, Failure> {
        let watch = Instant::now();
        match timeout(PATIENCE, self.store.ingest(batch)).await {
            Ok(Ok(receipt)) => {
                self.counts.commits.add(1);
                self.counts.commit_nanoseconds.add(watch.elapsed().as_nanos() as u64);
                if receipt.dropped > 0 {
                    self.counts.quarantine_dropped.add(receipt.dropped);
                    tracing::warn!(rows = receipt.dropped, "the quarantine is full: its oldest rows were dropped");
                }
                Ok(receipt)
            }
            Ok(Err(error)) => Err(self.failed(Failure { message: error.to_string(), temporary: error.is_temporary() })),
            Err(_) => {
                let message = format!("no answer within {} s", PATIENCE.as_secs());
                Err(self.failed(Failure { message, temporary: true }))
            }
        }
    }

    fn failed(&self, failure: Failure) -> Failure {
        self.counts.commit_failures.add(1);
        tracing::error!(error = failure.message, temporary = failure.temporary, "readings could not be stored");
        failure
    }

    fn answer(&self, group: Group, receipt: Receipt) {
        let Group { batch, parts } = group;
        let mut verdicts = receipt.verdicts.iter();
        for part in parts {
            let mut tally = part.tally;
            tally.add(self.count(part.source, verdicts.by_ref().take(part.events)));
            self.counts.of(part.source).refused.add(part.refused as u64);
            drop(part.room);
            // The sender may no longer be waiting; the batch is stored all the same.
            let _ = part.reply.send(Ok(tally));
        }
        self.announce(batch.events, &receipt.verdicts);
    }

    /// Counts the outcomes of events of a source.
    fn count<'a>(&self, source: Source, verdicts: impl IntoIterator<Item = &'a Verdict>) -> Tally {
        let mut tally = Tally::default();
        for verdict in verdicts {
            *match verdict {
                Verdict::Stored => &mut tally.stored,
                Verdict::Duplicate => &mut tally.duplicates,
                Verdict::NoMotion => &mut tally.no_motion,
            } += 1;
        }
        let counts = self.counts.of(source);
        counts.stored.add(tally.stored);
        counts.duplicates.add(tally.duplicates);
        counts.no_motion.add(tally.no_motion);
        tally
    }

    /// Reports the new readings to the hook.
    fn announce(&self, events: Vec<Event>, verdicts: &[Verdict]) {
        let new = events.into_iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Stored);
        let new: Vec<_> = new.map(|(Event { device, time, .. }, _)| (device, time)).collect();
        if !new.is_empty() {
            (self.hook)(new);
        }
    }

    /// Waits before the next try. Senders that need not wait are told at once that the store is away; if it is not,
    /// their data is stored meanwhile.
    async fn wait(&mut self, away: bool, held: &mut VecDeque<Job>, jobs: &mut mpsc::UnboundedReceiver<Job>) {
        let until = tokio::time::Instant::now() + self.waits.step();
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                job = jobs.recv() => match job {
                    Some(job) if job.patience == Patience::Waits => held.push_back(job),
                    Some(job) if !away => {
                        let mut single = Group::default();
                        single.add(job);
                        // The job leaves nothing behind, because it does not wait.
                        self.store(single).await;
                    }
                    Some(job) => {
                        let message = "the store is away".to_owned();
                        drop(job.reply.send(Err(Failure { message, temporary: true })));
                    }
                    // The last sender is gone, but the held jobs are still tried.
                    None => return sleep_until(until).await,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
