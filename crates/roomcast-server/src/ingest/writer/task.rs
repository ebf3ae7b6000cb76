//! The task that stores submitted data, one transaction after the other.

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

/// Time for which a transaction of fewer than [`LINGER_ROWS`] rows waits for more, because messages arrive one by one.
const LINGER_TIME: Duration = Duration::from_millis(1);
const LINGER_ROWS: usize = 100;

/// Shortest and longest delay between tries while the store is unavailable.
const RETRY_DELAY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

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

    /// Stores jobs until their last sender is dropped and everything is stored.
    pub async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut pending: VecDeque<Job> = VecDeque::new();
        loop {
            let first = match pending.pop_front() {
                None => jobs.recv().await,
                job => job,
            };
            let Some(first) = first else { return };
            let mut group = Group::from(first);
            let lingers =
                group.rows() < LINGER_ROWS && group.parts.iter().all(|(job, ..)| job.on_failure == OnFailure::Retry);
            if lingers && pending.is_empty() {
                sleep(LINGER_TIME).await;
            }
            while group.rows() < MAX_GROUP_ROWS {
                match pending.pop_front().or_else(|| jobs.try_recv().ok()) {
                    Some(job) => group.add(job),
                    None => break,
                }
            }
            let (left, is_away) = self.store(group).await;
            if left.is_empty() {
                continue;
            }
            for job in left.into_iter().rev() {
                pending.push_front(job);
            }
            self.wait(is_away, &mut pending, &mut jobs).await;
        }
    }

    /// Stores a group. Returns the jobs to try again, and whether the store is unavailable. Otherwise it accepts
    /// further jobs.
    async fn store(&mut self, group: Group) -> (Vec<Job>, bool) {
        let (mut left, mut is_away) = (Vec::new(), false);
        let Err((group, failure)) = self.committer.commit(group).await else {
            self.delays.reset();
            return (left, is_away);
        };
        let alone = group.parts.len() == 1;
        for job in group.split() {
            // A job that the store never takes must not keep it from taking the rest.
            let stored = if failure.temporary || alone {
                Err((job, failure.clone()))
            } else {
                self.committer.commit_one(job).await
            };
            let stored = match stored {
                Err((job, failure)) if job.on_failure == OnFailure::Retry && !failure.temporary => {
                    divide(&self.committer, &self.calendar, job).await
                }
                stored => stored,
            };
            match stored {
                Ok(()) => {}
                Err((job, failure)) if job.on_failure == OnFailure::Retry => {
                    is_away |= failure.temporary;
                    left.push(job);
                }
                // The sender may no longer be waiting.
                Err((job, failure)) => drop(job.reply.send(Err(failure))),
            }
        }
        (left, is_away)
    }

    /// Waits before the next try. If the store is unavailable, senders that need not wait get an error immediately;
    /// otherwise their data is stored meanwhile.
    async fn wait(&mut self, is_away: bool, pending: &mut VecDeque<Job>, jobs: &mut mpsc::UnboundedReceiver<Job>) {
        let until = Instant::now() + self.delays.step();
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                job = jobs.recv() => match job {
                    Some(job) if job.on_failure == OnFailure::Retry => pending.push_back(job),
                    Some(job) if !is_away => {
                        // The job leaves nothing behind, because it does not wait.
                        self.store(job.into()).await;
                    }
                    Some(job) => {
                        let message = "the store is unavailable".to_owned();
                        drop(job.reply.send(Err(Failure { message, temporary: true })));
                    }
                    // The last sender is gone, but the held jobs are still tried.
                    None => return sleep_until(until).await,
                },
            }
        }
    }
}
