//! Jobs of the server, scheduled or when needed, one after the other: retraining the models, the first training for a
//! store that was empty, packing and dropping old readings.
//!
//! Servers of one store share one lease for all jobs ([`JOBS`](crate::state::live::JOBS)), so that one server does
//! them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::retrain::{self, Priority};
use super::upkeep;
use crate::state::site::{Phase, Site};
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};
use roomcast_forecast::model::fit;
use roomcast_forecast::rooms::Rooms;
use roomcast_forecast::train::schedule::Schedule;

/// Interval at which the clock and the server's phase are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Seconds back by which a clock counts as changed. The time to wait for is then computed again.
const MIN_CLOCK_JUMP: i64 = 60;

/// Runs the jobs that are due, until the server stops.
pub fn run(site: &Site) {
    let settings = &site.settings;
    let retraining = &settings.retrain;
    let mut retrain_timer = Timer::new("retraining", retraining.schedule.clone(), retraining.jitter);
    let upkeep_schedule = settings.upkeep.as_ref().map(|upkeep| upkeep.schedule.clone());
    let mut upkeep_timer = Timer::new("upkeep", upkeep_schedule, Duration::ZERO);
    let mut initial = InitialTraining::default();
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        let now = site.calendar.now();
        let is_retraining_due = retrain_timer.is_due(now, &site.calendar);
        let is_upkeep_due = upkeep_timer.is_due(now, &site.calendar);
        // Before the first models exist, they are already being trained.
        if site.serving.phase() != Phase::Ready {
            continue;
        }
        if initial.is_due(site) {
            retrain::run(site, retraining, Priority::Nice);
        } else if is_retraining_due {
            retrain::run(site, retraining, Priority::Idle);
        }
        if let (true, Some(upkeep), Some(live)) = (is_upkeep_due, &settings.upkeep, &site.live) {
            upkeep::run(site, upkeep, live);
        }
    }
}

/// Reports each time of a schedule once.
struct Timer {
    what: &'static str,
    schedule: Option<Schedule>,
    jitter: Duration,
    next: Option<Timestamp>,
    before: Timestamp,
}

impl Timer {
    fn new(what: &'static str, schedule: Option<Schedule>, jitter: Duration) -> Timer {
        Timer { what, schedule, jitter, next: None, before: Timestamp::MIN }
    }

    fn is_due(&mut self, now: Timestamp, calendar: &Calendar) -> bool {
        let Some(schedule) = &self.schedule else { return false };
        if now < self.before.saturating_sub(MIN_CLOCK_JUMP) {
            self.next = None;
        }
        self.before = now;
        let next = *self.next.get_or_insert_with(|| {
            let next = schedule.next(now, calendar).map_or(Timestamp::MAX, |next| next + random_seconds(self.jitter));
            tracing::info!(at = calendar.format(next), "next {}", self.what);
            next
        });
        if now >= next {
            self.next = None;
        }
        now >= next
    }
}

/// Returns a random number of seconds from 0 to `most`, different in every process.
fn random_seconds(most: Duration) -> i64 {
    // The standard library seeds its hashes from the operating system.
    let random = RandomState::new().build_hasher().finish();
    (random % (most.as_secs() + 1)) as i64
}

/// Decides whether a server without models, or with models of other rooms, has enough data to train some. It tries
/// again with each further day of data, and with each table of rooms.
#[derive(Default)]
struct InitialTraining {
    days: Hour,
    rooms: Arc<Rooms>,
}

impl InitialTraining {
    fn is_due(&mut self, site: &Site) -> bool {
        let Ok(snapshot) = site.snapshot() else { return false };
        if !snapshot.loaded.is_baseline() {
            return false;
        }
        let days = snapshot.history.days(&site.calendar);
        let rooms = &snapshot.history.rooms;
        let is_tried = days <= self.days && Arc::ptr_eq(rooms, &self.rooms);
        if days < fit::MIN_DAYS || is_tried || !site.settings.can_read_again() {
            return false;
        }
        (self.days, self.rooms) = (days, rooms.clone());
        // A registry with versions but no current one is a choice of the operator.
        let is_first = site.registry.is_empty();
        if is_first {
            tracing::info!(days, "the history is long enough to train the first models");
        }
        is_first || snapshot.loaded.other_rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_seconds_spread_and_stay_within_their_bound() {
        let drawn: Vec<i64> = (0..200).map(|_| random_seconds(Duration::from_secs(600))).collect();
        assert!(drawn.iter().all(|seconds| (0..=600).contains(seconds)));
        let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert!(distinct.len() > 100, "{}", distinct.len());
        assert_eq!(random_seconds(Duration::ZERO), 0);
    }

    #[test]
    fn a_time_comes_once_and_again_when_the_clock_is_set_back() {
        let calendar = Calendar::default();
        let at = |text: &str| calendar.parse(text).unwrap();
        let mut timer = Timer::new("test", Some("0 2 * * *".parse().unwrap()), Duration::ZERO);
        let mut due = |text: &str| timer.is_due(at(text), &calendar);
        assert!(!due("2024-03-05 01:59:59") && due("2024-03-05 02:00:00"));
        assert!(!due("2024-03-05 02:00:01") && !due("2024-03-06 01:00:00"));
        assert!(due("2024-03-06 02:30:00"));
        // The clock was set back by a day: two o'clock is due again, before the time that was waited for.
        assert!(!due("2024-03-05 01:00:00") && due("2024-03-05 02:00:00"));
        assert!(!Timer::new("test", None, Duration::ZERO).is_due(at("2024-03-05 02:00:00"), &calendar));
    }
}
