//! Blocks: the times at which a room is to be on, from the hours in which it is expected in use.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveTime};

use crate::calendar::{Calendar, HOUR, Hour, Timestamp};

/// A block of time to heat or ventilate, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// The time to begin.
    pub start: Timestamp,
    /// The time to stop.
    pub end: Timestamp,
    /// The occupied hours in it: the start of the first and the end of the last.
    pub occupied: (Timestamp, Timestamp),
    /// The highest probability of its hours.
    pub peak: f64,
}

/// The time that a room needs besides the hours of its use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockRule {
    /// Seconds from the start of a block to its first occupied hour.
    pub preheat: i64,
    /// Seconds from the last occupied hour to the end of its block.
    pub setback: i64,
    /// Shortest length of a block, seconds. A shorter one ends later.
    pub min_run: i64,
    /// Dates on which nothing is on, whatever the probabilities.
    pub closures: BTreeSet<NaiveDate>,
}

/// Returns the blocks of hours with their probabilities, ascending: those from `threshold` on count as occupied. No
/// block begins before `origin`, which would be too late to act on, unless its first hour does. No block reaches into a
/// closed day.
pub fn blocks(
    hours: impl IntoIterator<Item = (Hour, f64)>,
    threshold: f64,
    rule: &BlockRule,
    origin: Timestamp,
    calendar: &Calendar,
) -> Vec<Block> {
    let is_closed = |from| rule.closures.contains(&calendar.wall(from).date());
    // The edges of the closed days around an hour. What is before and after its use may cross one midnight.
    let edges = |from| {
        let date = calendar.wall(from).date();
        let day_before = date.pred_opt().filter(|day| rule.closures.contains(day));
        let day_after = date.succ_opt().filter(|day| rule.closures.contains(day));
        let midnight = |date: NaiveDate| calendar.instant(date.and_time(NaiveTime::MIN));
        (day_before.map_or(Timestamp::MIN, |_| midnight(date)), day_after.map_or(Timestamp::MAX, midnight))
    };
    let mut blocks: Vec<Block> = Vec::new();
    for (hour, probability) in hours {
        let from = calendar.start(hour);
        if probability < threshold || is_closed(from) {
            continue;
        }
        let until = from + HOUR;
        let (opens, closes) = edges(from);
        let start = (from - rule.preheat).max(origin.min(from)).max(opens);
        match blocks.last_mut() {
            Some(last) if start <= last.end => {
                last.end = last.end.max((until + rule.setback).min(closes));
                last.occupied.1 = until;
                last.peak = last.peak.max(probability);
            }
            _ => blocks.push(Block {
                start,
                end: (until + rule.setback).max(start + rule.min_run).min(closes),
                occupied: (from, until),
                peak: probability,
            }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCES: [f64; 7] = [0.9, 0.1, 0.1, 0.8, 0.9, 0.1, 0.6];

    /// Returns the blocks of hours 10 to 16 in minutes; preheat, setback and shortest run are minutes as well.
    fn spans(preheat: i64, setback: i64, min_run: i64, closures: &[&str]) -> Vec<(i64, i64)> {
        let closures = closures.iter().map(|date| date.parse().unwrap()).collect();
        let rule = BlockRule { preheat: preheat * 60, setback: setback * 60, min_run: min_run * 60, closures };
        let found = blocks((10..).zip(CHANCES), 0.5, &rule, 10 * HOUR - 600, &Calendar::default());
        found.iter().map(|block| (block.start / 60, block.end / 60)).collect()
    }

    #[test]
    fn blocks_begin_early_end_late_and_merge() {
        assert_eq!(spans(0, 0, 0, &[]), [(600, 660), (780, 900), (960, 1020)]);
        // The first cannot begin before the origin, ten minutes before its hour.
        assert_eq!(spans(45, 0, 0, &[]), [(590, 660), (735, 900), (915, 1020)]);
        assert_eq!(spans(30, 30, 0, &[]), [(590, 690), (750, 1050)]);
    }

    #[test]
    fn a_short_block_runs_on_and_a_closed_day_has_none() {
        assert_eq!(spans(0, 0, 90, &[]), [(600, 690), (780, 900), (960, 1050)]);
        // Blocks that run on into the next are one block.
        assert_eq!(spans(0, 0, 180, &[]), [(600, 900), (960, 1140)]);
        assert_eq!(spans(0, 0, 90, &["1970-01-01"]), []);
        assert_eq!(spans(0, 0, 0, &["1970-01-02"]).len(), 3);
    }

    #[test]
    fn nothing_reaches_into_a_closed_day() {
        let closures = |date: &str| [date.parse().unwrap()].into();
        let edges = |first: Hour, closed: &str, min_run| {
            let rule = BlockRule { preheat: 12 * HOUR, setback: 6 * HOUR, min_run, closures: closures(closed) };
            let found = blocks((first..).zip([0.9, 0.1]), 0.5, &rule, 0, &Calendar::default());
            found.iter().map(|block| (block.start / HOUR, block.end / HOUR)).collect::<Vec<_>>()
        };
        // Hour 26 is 02:00 of January 2, hour 46 is 22:00.
        assert_eq!(edges(26, "1970-01-01", 0), [(24, 33)]);
        assert_eq!(edges(46, "1970-01-03", 0), [(34, 48)]);
        assert_eq!(edges(46, "1970-01-03", 20 * HOUR), [(34, 48)]);
        assert_eq!(edges(46, "1970-01-05", 0), [(34, 53)]);
    }
}
