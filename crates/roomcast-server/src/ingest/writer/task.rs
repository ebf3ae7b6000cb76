//! The task that stores what was submitted, one transaction after the other.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::commit::{Committer, Sink};
use super::divide::divide;
use super::job::{Failure, Group, Job, OnFailure};
use crate::backoff::Backoff;
use roomcast_forecast::calendar::Calendar;

/// Rows after which a transaction takes no more.
const MAX_GROUP_ROWS: usize = 5000;

/// Time for which a transaction of fewer than [`LINGER_ROWS`] rows waits for more, because messages come one by one.
const LINGER_TIME: Duration = Duration::from_millis(1);
const LINGER_ROWS: usize = 100;

/// Shortest and longest wait between tries while the store is away.
const RETRY_DELAY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

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

/// The task.
pub(super) struct Task<S> {
    committer: Committer<S>,
    calendar: Calendar,
    delays: Backoff,
}

impl<S: Sink> Task<S> {
    /// Returns a task that stores by `committer`, and writes times for the quarantine by `calendar`.
    pub fn new(committer: Committer<S>, calendar: Calendar) -> Task<S> {
        Task { committer, calendar, delays: Backoff::new(RETRY_DELAY) }
    }

    /// Stores jobs until the last sender of them is gone and everything is stored.
    pub async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
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
            let lingers =
                group.rows() < LINGER_ROWS && group.parts.iter().all(|(job, ..)| job.on_failure == OnFailure::Retry);
            if lingers && held.is_empty() {
                sleep(LINGER_TIME).await;
            }
            while group.rows() < MAX_GROUP_ROWS {
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
        let (group, failure) = match self.committer.commit(group).await {
            Ok(()) => {
                self.delays.reset();
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
                match self.committer.commit(job.into()).await {
                    Ok(()) => continue,
                    Err((group, failure)) => match group.split().pop() {
                        Some(job) => (job, failure),
                        None => continue,
                    },
                }
            };
            match job.on_failure {
                // The sender may no longer be waiting.
                OnFailure::Report => drop(job.reply.send(Err(failure))),
                OnFailure::Retry if failure.temporary => left.add(job, &failure),
                OnFailure::Retry => {
                    if let Err((job, failure)) = divide(&self.committer, &self.calendar, job).await {
                        left.add(job, &failure);
                    }
                }
            }
        }
        left
    }

    /// Waits before the next try. Senders that need not wait are told at once that the store is away; if it is not,
    /// their data is stored meanwhile.
    async fn wait(&mut self, away: bool, held: &mut VecDeque<Job>, jobs: &mut mpsc::UnboundedReceiver<Job>) {
        let until = Instant::now() + self.delays.step();
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                job = jobs.recv() => match job {
                    Some(job) if job.on_failure == OnFailure::Retry => held.push_back(job),
                    Some(job) if !away => {
                        // The job leaves nothing behind, because it does not wait.
                        self.store(job.into()).await;
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
