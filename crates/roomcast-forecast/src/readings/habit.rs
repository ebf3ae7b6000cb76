//! The usual ways of a sensor: how long it moves, and how long it does not.

use super::Times;
use crate::calendar::{Calendar, Hour};

/// Number of hours with motion in a row, over two nights, after which a sensor counts as stuck; `inspect` warns of the same.
const STUCK_HOURS: u32 = 48;

/// Multiple of its usual gaps after which a device without motion counts as silent, and of its usual runs of motion after
/// which one counts as stuck.
pub(crate) const GAP_FACTOR: u32 = 2;

/// Adds a gap or run to the two longest. The second longest is a habit; the longest may be the one time the battery was empty.
pub(crate) fn remember(longest: &mut [u32; 2], gap: u32) {
    if gap > longest[0] {
        *longest = [gap, longest[0]];
    } else {
        longest[1] = longest[1].max(gap);
    }
}

/// The runs of hours with motion of a sensor, hour by hour.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    run: u32,
    longest: [u32; 2],
    was_vacant: bool,
}

impl Runs {
    /// Adds an hour with motion. Returns whether the sensor counts as stuck in it: it has moved for longer than its habit
    /// explains, and was still for an hour before.
    pub(crate) fn motion(&mut self) -> bool {
        self.run += 1;
        self.was_vacant && self.run > STUCK_HOURS.max(GAP_FACTOR * self.longest[1])
    }

    /// Adds an hour without motion, or several.
    pub(crate) fn still(&mut self, is_vacant: bool) {
        remember(&mut self.longest, self.run);
        self.run = 0;
        self.was_vacant |= is_vacant;
    }
}

/// Returns the hours in which a sensor with these instants of motion counts as stuck: ascending. Each depends only on motion
/// up to the hour.
pub(crate) fn stuck_hours(times: &Times, calendar: &Calendar) -> Vec<Hour> {
    let (mut runs, mut last, mut stuck) = (Runs::default(), None, Vec::new());
    for (hour, _) in times.hours(calendar) {
        if last.is_some_and(|last| hour > last + 1) {
            runs.still(true);
        }
        last = Some(hour);
        if runs.motion() {
            stuck.push(hour);
        }
    }
    stuck
}
