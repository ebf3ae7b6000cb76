//! Daily totals of a site, which show silent devices and a silent site.

use serde::{Deserialize, Serialize};

use super::Hourly;
use crate::calendar::{HOUR, Hour, Timestamp};
use crate::readings::habit::{GAP_FACTOR, remember};

/// Smallest number of days with motion elsewhere, but not of the device, after which it counts as silent.
const SILENT_DAYS: u32 = 5;

/// Number of calendar days without motion after which the only device of a site counts as silent.
const ALONE_SILENT_DAYS: i32 = 14;

/// Smallest number of whole working days without any reading after which the state of the site is unknown.
const STALE_WORKDAYS: u32 = 2;

/// Seconds before the origin in which a sign of life of any sensor shows that a site without motion is empty.
const SIGN_OF_LIFE_SECONDS: i64 = 24 * HOUR;

/// Number of devices with motion, and of devices seen so far, on each local day. A device's hours depend on the other
/// devices through these alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDays {
    /// First hour of the site's grid.
    pub first_hour: Hour,
    /// First local day of the grid.
    first: i32,
    /// Number of devices with motion, per day.
    active: Vec<u32>,
    /// Number of devices seen on or before each day.
    seen: Vec<u32>,
}

impl SiteDays {
    /// Counts the days with motion of all devices of a grid.
    pub(super) fn new(motion: &[Vec<i32>], hourly: &Hourly) -> SiteDays {
        let (first, last) = match (hourly.locals.first(), hourly.locals.last()) {
            (Some(a), Some(b)) => (a.day, b.day),
            _ => (0, 0),
        };
        let mut active = vec![0; (last - first + 1) as usize];
        let mut seen = active.clone();
        for days in motion {
            for &day in days {
                active[(day - first) as usize] += 1;
            }
            if let Some(&day) = days.first() {
                seen[(day - first) as usize] += 1;
            }
        }
        for day in 1..seen.len() {
            seen[day] += seen[day - 1];
        }
        SiteDays { first_hour: hourly.first, first, active, seen }
    }

    /// Returns the last reading of a grid's site when it is longer ago than nights, days off and usual pauses explain:
    /// two whole working days or more, and more than any pause before. The state of the site since then is unknown,
    /// unless a sensor was `heard` in the last day before the origin (a "no motion" is a sign of life): then the site
    /// is empty.
    pub fn stale_since(&self, hourly: &Hourly, heard: Option<Timestamp>) -> Option<Timestamp> {
        if is_alive(hourly.origin, heard) {
            return None;
        }
        let last = hourly.devices.iter().filter_map(|device| device.times.last()).max()?;
        let today = hourly.locals.get(hourly.position_at(hourly.origin).0)?.day;
        let (mut still, mut longest) = (0, 0);
        for day in hourly.locals.chunk_by(|a, b| a.day == b.day).map(|day| day[0]).take_while(|hour| hour.day < today) {
            if self.active[(day.day - self.first) as usize] > 0 {
                longest = longest.max(still);
                still = 0;
            } else if !day.off {
                still += 1;
            }
        }
        let is_heard_today = self.active[(today - self.first) as usize] > 0;
        (!is_heard_today && still >= STALE_WORKDAYS && still > longest).then_some(last)
    }

    /// Returns, for each local day from a grid's first, whether the whole site was silent before it for longer than its
    /// days off and usual pauses explain: an outage or a closure, which says nothing about its rooms. Day `d` depends only on
    /// days before `d`. If the sensors are known to live at the origin, a silence that lasts is no outage: the site is
    /// empty.
    pub(super) fn site_silence(&self, hourly: &Hourly, is_alive: bool) -> Vec<bool> {
        let (mut still, mut longest) = (0_u32, [0_u32; 2]);
        let mut silent = vec![false; self.active.len()];
        for day in hourly.locals.chunk_by(|a, b| a.day == b.day).map(|day| day[0]) {
            let at = (day.day - self.first) as usize;
            silent[at] = still >= STALE_WORKDAYS && still > longest[1];
            if self.active[at] > 0 {
                remember(&mut longest, still);
                still = 0;
            } else if !day.off {
                still += 1;
            }
        }
        if is_alive {
            let ongoing = self.active.iter().rposition(|&devices| devices > 0).map_or(0, |at| at + 1);
            silent[ongoing..].fill(false);
        }
        silent
    }

    /// Returns the last day with motion of any device.
    pub(super) fn last_active(&self) -> Option<i32> {
        self.active.iter().rposition(|&devices| devices > 0).map(|at| self.first + at as i32)
    }

    /// Returns whether enough devices moved, other than one that did not, to show that the building was in use.
    fn is_lively(&self, day: i32) -> bool {
        let at = (day - self.first) as usize;
        let others = self.seen[at].saturating_sub(1);
        self.active[at] >= 1.max(others.div_ceil(4))
    }

    /// Returns whether no other device had been seen before a day.
    fn is_alone(&self, day: i32) -> bool {
        self.seen[(day - 1 - self.first).max(0) as usize] <= 1
    }

    /// Returns, for each day from a device's first, the number of lively days without motion before it, and whether it
    /// exceeds the device's own habit. Day `d` depends only on days before `d`.
    pub(super) fn silence(&self, motion: &[i32]) -> Vec<(u32, bool)> {
        let (Some(&first), last) = (motion.first(), self.first + self.active.len() as i32) else { return Vec::new() };
        let mut out = Vec::with_capacity((last - first) as usize);
        let (mut next, mut still, mut last_motion) = (0, 0_u32, first);
        let mut longest = [0_u32; 2];
        for day in first..last {
            let limit = SILENT_DAYS.max(GAP_FACTOR * longest[1]);
            let silent = if self.is_alone(day) { day - last_motion > ALONE_SILENT_DAYS } else { still >= limit };
            out.push((still, silent));
            if motion.get(next) == Some(&day) {
                remember(&mut longest, still);
                (next, still, last_motion) = (next + 1, 0, day);
            } else if self.is_lively(day) {
                still += 1;
            }
        }
        out
    }
}

/// Returns whether a sensor was heard in the last day before an origin.
pub(super) fn is_alive(origin: Timestamp, heard: Option<Timestamp>) -> bool {
    heard.is_some_and(|heard| heard < origin && origin - heard < SIGN_OF_LIFE_SECONDS)
}
