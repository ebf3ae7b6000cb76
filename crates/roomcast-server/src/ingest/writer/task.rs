//! The task that stores submitted data, one transaction after the other.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;

use super::commit::{Committer, Sink};
use super::divide::divide;
use super::submission::{Failure, Group, OnFailure, Submission};
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

    /// Stores submissions until their last sender is dropped and everything is stored.
    pub async fn run(mut self, mut submissions: mpsc::UnboundedReceiver<Submission>) {
        let mut pending: VecDeque<Submission> = VecDeque::new();
        loop {
            let first = match pending.pop_front() {
                None => submissions.recv().await,
                submission => submission,
            };
            let Some(first) = first else { return };
            let mut group = Group::from(first);
            let lingers = group.rows() < LINGER_ROWS
                && group.parts.iter().all(|(submission, ..)| submission.on_failure == OnFailure::Retry);
            if lingers && pending.is_empty() {
                self.committer.store.sleep(LINGER_TIME).await;
            }
            while group.rows() < MAX_GROUP_ROWS {
                match pending.pop_front().or_else(|| submissions.try_recv().ok()) {
                    Some(submission) => group.add(submission),
                    None => break,
                }
            }
            let (left, is_unavailable) = self.store(group).await;
            if left.is_empty() {
                continue;
            }
            for submission in left.into_iter().rev() {
                pending.push_front(submission);
            }
            self.wait(is_unavailable, &mut pending, &mut submissions).await;
        }
    }

    /// Stores a group. Returns the submissions to try again, and whether the store is unavailable. Otherwise it accepts
    /// further submissions.
    async fn store(&mut self, group: Group) -> (Vec<Submission>, bool) {
        let (mut left, mut is_unavailable) = (Vec::new(), false);
        let Err((group, failure)) = self.committer.commit(group).await else {
            self.delays.reset();
            return (left, is_unavailable);
        };
        let alone = group.parts.len() == 1;
        for submission in group.split() {
            // A submission that the store never takes must not keep it from taking the rest.
            let stored = if failure.temporary || alone {
                Err((submission, failure.clone()))
            } else {
                self.committer.commit_one(submission).await
            };
            let stored = match stored {
                Err((submission, failure)) if submission.on_failure == OnFailure::Retry && !failure.temporary => {
                    divide(&self.committer, &self.calendar, submission).await
                }
                stored => stored,
            };
            match stored {
                Ok(()) => {}
                Err((submission, failure)) if submission.on_failure == OnFailure::Retry => {
                    is_unavailable |= failure.temporary;
                    left.push(submission);
                }
                // The sender may no longer be waiting.
                Err((submission, failure)) => drop(submission.reply.send(Err(failure))),
            }
        }
        (left, is_unavailable)
    }

    /// Waits before the next try. If the store is unavailable, senders that need not wait get an error immediately;
    /// otherwise their data is stored meanwhile.
    async fn wait(
        &mut self,
        is_unavailable: bool,
        pending: &mut VecDeque<Submission>,
        submissions: &mut mpsc::UnboundedReceiver<Submission>,
    ) {
        let store = self.committer.store.clone();
        let mut pause = pin!(store.sleep(self.delays.step()));
        loop {
            tokio::select! {
                biased;
                () = &mut pause => return,
                submission = submissions.recv() => match submission {
                    Some(submission) if submission.on_failure == OnFailure::Retry => pending.push_back(submission),
                    Some(submission) if !is_unavailable => {
                        // The submission leaves nothing behind, because it does not wait.
                        self.store(submission.into()).await;
                    }
                    Some(submission) => {
                        let message = "the store is unavailable".to_owned();
                        drop(submission.reply.send(Err(Failure { message, temporary: true })));
                    }
                    // The last sender is gone, but the held submissions are still tried.
                    None => return pause.await,
                },
            }
        }
    }
}
