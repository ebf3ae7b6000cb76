//! Arrival times of messages that carry no time of their own.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use roomcast_forecast::calendar::{Calendar, Timestamp};

/// Longest step back of the clock that is smoothed over, in seconds. The arrival clock follows a longer step at once: a
/// wrong clock was corrected, or clocks went back at a site without a zone.
const SMOOTHED: i64 = 1800;

/// A clock for arrivals that small steps back do not turn backwards.
///
/// It shows the site's time. When that is set back by up to half an hour, the clock goes on at half speed until the
/// site's time has caught up. Later arrivals keep later seconds, and none is further ahead than the step.
#[derive(Debug, Default)]
pub struct ArrivalClock {
    last: Mutex<Option<(f64, Instant)>>,
}

impl ArrivalClock {
    /// Returns the present instant.
    pub fn now(&self, calendar: &Calendar) -> Timestamp {
        self.stamp(calendar.now(), Instant::now())
    }

    fn stamp(&self, now: Timestamp, watch: Instant) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match *last {
            Some((stamp, at)) if stamp - now as f64 <= SMOOTHED as f64 => {
                (now as f64).max(stamp + watch.duration_since(at).as_secs_f64() / 2.0)
            }
            _ => now as f64,
        };
        *last = Some((stamp, watch));
        stamp.floor() as Timestamp
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_set_back_a_little_goes_on_slowly_until_time_has_caught_up() {
        let clock = ArrivalClock::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(clock.stamp(10_000, start), 10_000);
        assert_eq!(clock.stamp(10_010, after(10)), 10_010);
        // Ten minutes back.
        let stamps: Vec<i64> = (1..=1400).map(|second| clock.stamp(9410 + second, after(10 + second as u64))).collect();
        assert!(stamps.is_sorted() && stamps.iter().zip(&stamps[2..]).all(|(a, b)| a < b));
        assert_eq!((stamps[0], stamps[599], stamps[1399]), (10_010, 10_310, 10_810));
    }

    #[test]
    fn motion_after_a_clock_was_set_back_stays_in_the_hour_in_which_it_happened() {
        let calendar = Calendar::default();
        let (clock, start) = (ArrivalClock::default(), Instant::now());
        let eleven = calendar.parse("2024-03-05 11:00:00").unwrap();
        let hour = |now: Timestamp, after: u64| calendar.hour(clock.stamp(now, start + Duration::from_secs(after)));
        assert_eq!(hour(eleven - 1, 0), calendar.hour(eleven) - 1);
        assert_eq!(hour(eleven + 120, 121), calendar.hour(eleven));
        // Ten minutes back: the motions of the next minutes do not fall into the hour before.
        for second in 0..1500 {
            assert_eq!(hour(eleven + 120 - 600 + second, 121 + second as u64), calendar.hour(eleven), "{second}");
        }
        assert_eq!(hour(eleven + 3600, 121 + 4080), calendar.hour(eleven) + 1);
    }

    #[test]
    fn a_clock_set_back_far_is_believed() {
        let clock = ArrivalClock::default();
        let start = Instant::now();
        assert_eq!(clock.stamp(10_000, start), 10_000);
        assert_eq!(clock.stamp(6400, start), 6400);
        assert_eq!(clock.stamp(90_000, start), 90_000);
    }
}
