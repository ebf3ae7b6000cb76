//! Delays between tries after failures, and the log messages of the failures.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Duration of a connection after which the waits start again with the first.
pub(crate) const STABLE_DURATION: Duration = Duration::from_secs(5);

/// Shortest pause between two runs of a job.
const MIN_PAUSE: Duration = Duration::from_secs(5);

/// Returns the earliest time of the next run of a job that began at an instant and ends now. The pause is `factor` times as long
/// as the run took.
pub(crate) fn next_run(began: Instant, factor: u32) -> Instant {
    Instant::now() + MIN_PAUSE.max(began.elapsed() * factor)
}

/// Waits that double from the shortest to the longest.
#[derive(Debug, Clone)]
pub struct Backoff {
    delays: RangeInclusive<Duration>,
    next: Duration,
}

impl Default for Backoff {
    /// Returns the waits between connections to other servers.
    fn default() -> Self {
        Backoff::new(Duration::from_millis(250)..=Duration::from_secs(10))
    }
}

impl Backoff {
    /// Returns waits within these bounds.
    pub fn new(delays: RangeInclusive<Duration>) -> Backoff {
        Backoff { next: *delays.start(), delays }
    }

    /// Returns the wait before the next try.
    pub fn step(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(*self.delays.end());
        delay
    }

    /// Starts again with the shortest wait, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = *self.delays.start();
    }
}

/// Failures since the last success, of which only the first is worth a warning.
#[derive(Debug, Default)]
pub struct Outage(bool);

impl Outage {
    /// Records a failure, and returns whether it is the first since the last success.
    pub fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    /// Records a success, and returns whether it ends an outage.
    pub fn end(&mut self) -> bool {
        std::mem::take(&mut self.0)
    }
}
