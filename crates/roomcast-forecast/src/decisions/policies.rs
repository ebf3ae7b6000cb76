//! Policies: what any way to decide when rooms are on is worth.
//!
//! A policy is a list of times on. It is held against the hours of a room of which it is known whether they were
//! occupied. An occupied hour counts as missed for the part of it in which the room was not ready: a room is ready once
//! it has been on for the preheat. A reactive policy turns on at the first motion; the time of that hour before the
//! motion does not count as missed, since nobody was there.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::blocks::{BlockRule, blocks};
use crate::calendar::{Calendar, HOUR, Hour, Timestamp};

/// A time on: begin and end.
pub type Span = (Timestamp, Timestamp);

/// An hour of a room of which it is known whether it was occupied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownHour {
    /// The hour.
    pub hour: Hour,
    /// Its local day, in days since 1970-01-01.
    pub day: i32,
    /// Its first motion, if it was occupied.
    pub motion: Option<Timestamp>,
}

/// Sums over hours of rooms, in hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// All hours.
    pub hours: f64,
    /// Occupied hours.
    pub occupied: f64,
    /// Hours on.
    pub on: f64,
    /// Hours on in hours that were vacant.
    pub empty_on: f64,
    /// Occupied hours in which the room was not ready.
    pub missed: f64,
    /// Number of times that a room was switched on.
    pub starts: f64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.hours += other.hours;
        self.occupied += other.occupied;
        self.on += other.on;
        self.empty_on += other.empty_on;
        self.missed += other.missed;
        self.starts += other.starts;
    }
}

/// The times at which a room is on, and at which it is ready for use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    on: Vec<Span>,
    ready: Vec<Span>,
}

impl Times {
    /// Returns the times of a policy that decides before the hours: ready from `preheat` seconds after each start on.
    pub fn planned(spans: impl IntoIterator<Item = Span>, preheat: i64) -> Times {
        let on = merged(spans);
        let ready = on.iter().map(|&(from, until)| (from + preheat, until)).filter(|(from, until)| from < until);
        Times { ready: ready.collect(), on }
    }

    /// Returns the times of the policy that knew the occupied hours.
    pub fn hindsight(hours: &[KnownHour], rule: &BlockRule, calendar: &Calendar) -> Times {
        let occupied = hours.iter().map(|known| (known.hour, f64::from(u8::from(known.motion.is_some()))));
        let known =
            blocks(occupied, 0.5, &BlockRule { closures: Default::default(), ..rule.clone() }, i64::MIN, calendar);
        Times::planned(known.iter().map(|block| (block.start, block.end)), rule.preheat)
    }

    /// Returns the times of the policy that turns on at the first motion, and off `setback` after the last hour with
    /// motion.
    pub fn reactive(hours: &[KnownHour], rule: &BlockRule, calendar: &Calendar) -> Times {
        let span = |known: &KnownHour| {
            let until = calendar.start(known.hour) + HOUR + rule.setback;
            known.motion.map(|motion| (motion, until.max(motion + rule.min_run)))
        };
        // The next hour of a stay begins at its first motion, but the room is still on: it goes off at the end of the
        // hour at the earliest.
        let stays = hours.iter().enumerate().filter_map(|(at, known)| {
            let (motion, until) = span(known)?;
            let before = at.checked_sub(1).and_then(|before| hours.get(before));
            let follows = before.is_some_and(|before| before.hour + 1 == known.hour && before.motion.is_some());
            Some((if follows { calendar.start(known.hour) } else { motion }, until))
        });
        let mut times = Times::planned(stays, rule.preheat);
        let before_motion = hours.iter().filter_map(|known| Some((calendar.start(known.hour), known.motion?)));
        times.ready = merged(times.ready.iter().copied().chain(before_motion));
        times
    }

    /// Holds the times against hours, ascending, and returns the sums by local day.
    pub fn by_day(&self, hours: &[KnownHour], calendar: &Calendar) -> BTreeMap<i32, Sums> {
        let mut days: BTreeMap<i32, Sums> = BTreeMap::new();
        let (mut on, mut ready) = (Cursor::new(&self.on), Cursor::new(&self.ready));
        for known in hours {
            let from = calendar.start(known.hour);
            let (share_on, starts) = on.within(from);
            let occupied = known.motion.is_some();
            let share_ready = if occupied { ready.within(from).0 } else { 1.0 };
            *days.entry(known.day).or_default() += Sums {
                hours: 1.0,
                occupied: f64::from(u8::from(occupied)),
                on: share_on,
                empty_on: if occupied { 0.0 } else { share_on },
                missed: 1.0 - share_ready,
                starts,
            };
        }
        days
    }
}

/// Returns spans in order, with those that touch as one.
fn merged(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.into_iter().filter(|(from, until)| from < until).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for (from, until) in sorted {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// A place in spans, for hours that come in order.
struct Cursor<'a> {
    spans: &'a [Span],
}

impl<'a> Cursor<'a> {
    fn new(spans: &'a [Span]) -> Cursor<'a> {
        Cursor { spans }
    }

    /// Returns the share of the hour that begins at `from` within the spans, and the number of spans that begin in it.
    fn within(&mut self, from: Timestamp) -> (f64, f64) {
        let until = from + HOUR;
        let over = self.spans.iter().take_while(|span| span.1 <= from).count();
        self.spans = &self.spans[over..];
        let here = self.spans.iter().take_while(|span| span.0 < until);
        here.fold((0.0, 0.0), |(share, starts), span| {
            let seconds = span.1.min(until) - span.0.max(from);
            (share + seconds as f64 / HOUR as f64, starts + f64::from(u8::from(span.0 >= from)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours 8 to 13 of a room: motion at 9:20, 10:05 and 12:00.
    fn morning() -> Vec<KnownHour> {
        let motion = |hour: i32| match hour {
            9 => Some(9 * HOUR + 1200),
            10 => Some(10 * HOUR + 300),
            12 => Some(12 * HOUR),
            _ => None,
        };
        (8..14).map(|hour| KnownHour { hour, day: 0, motion: motion(hour) }).collect()
    }

    /// Returns hours on, empty hours on, hours missed and starts.
    fn sums(times: &Times) -> [f64; 4] {
        let Sums { hours, occupied, on, empty_on, missed, starts } = times.by_day(&morning(), &Calendar::default())[&0];
        assert_eq!((hours, occupied), (6.0, 3.0));
        [on, empty_on, missed, starts]
    }

    #[test]
    fn hours_are_counted_by_hand() {
        let calendar = Calendar::default();
        let rule = |preheat: i64, setback: i64| BlockRule { preheat, setback, ..BlockRule::default() };
        assert_eq!(sums(&Times::planned([(8 * HOUR, 11 * HOUR)], 0)), [3.0, 1.0, 1.0, 1.0]);
        // Ready from half past nine on; switched on twice.
        let twice = [(9 * HOUR, 10 * HOUR), (10 * HOUR + 1800, 14 * HOUR)];
        assert_eq!(sums(&Times::planned(twice, 1800)), [4.5, 2.0, 1.5, 2.0]);
        assert_eq!(sums(&Times::hindsight(&morning(), &rule(0, 0), &calendar)), [3.0, 0.0, 0.0, 2.0]);
        assert_eq!(sums(&Times::hindsight(&morning(), &rule(1800, 900), &calendar)), [4.5, 1.5, 0.0, 2.0]);
        // On from 9:20 to 11:00 and from 12:00 to 13:00; a room that needs no time misses nothing.
        assert_eq!(
            sums(&Times::reactive(&morning(), &rule(0, 0), &calendar)).map(|n| (n * 60.0).round()),
            [160.0, 0.0, 0.0, 120.0]
        );
        // With half an hour of preheat the first half hour of each stay is cold; on for a quarter of an hour more.
        assert_eq!(
            sums(&Times::reactive(&morning(), &rule(1800, 900), &calendar)).map(|n| (n * 60.0).round()),
            [190.0, 30.0, 60.0, 120.0]
        );
    }
}
