//! Out-of-sample forecasts and what happened, kept by day in bounded memory.
//!
//! A forecast counts here only if it was made before its hour, by models that had not learned from it. Probabilities
//! are kept by bins of equal width in log-odds, about five percent of the odds, so that thresholds near 0 are as exact
//! as others.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Number of bins.
pub const BINS: usize = 256;

/// Log-odds of the outermost bins. Forecasts keep within them.
const MAX_LOG_ODDS: f64 = 7.0;

/// Probabilities and outcomes of the hours of one local day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Number of occupied hours by bin of the probability that they were given.
    pub occupied: Vec<u32>,
    /// Number of vacant hours by bin.
    pub vacant: Vec<u32>,
}

/// Forecast probabilities and what happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// All rooms, by local day.
    days: BTreeMap<i32, Day>,
    /// The occupied hours of each room: local day and bin, ascending by day.
    rooms: BTreeMap<String, VecDeque<(i32, u8)>>,
}

/// Returns the bin of a probability.
pub fn bin(probability: f64) -> u8 {
    let log_odds = (probability / (1.0 - probability)).ln();
    let at = (log_odds + MAX_LOG_ODDS) / (2.0 * MAX_LOG_ODDS) * BINS as f64;
    at.clamp(0.0, (BINS - 1) as f64) as u8
}

/// Returns the lowest probability of a bin; 0 for the first one, 1 after the last.
pub fn edge(bin: usize) -> f64 {
    match bin {
        0 => 0.0,
        BINS.. => 1.0,
        _ => {
            let log_odds = bin as f64 / BINS as f64 * 2.0 * MAX_LOG_ODDS - MAX_LOG_ODDS;
            1.0 / (1.0 + (-log_odds).exp())
        }
    }
}

impl Outcomes {
    /// Counts one hour of a room. The days of a room come in order.
    pub fn add(&mut self, room: &str, day: i32, probability: f64, was_occupied: bool) {
        let bin = bin(probability);
        let counts = self.days.entry(day).or_insert_with(|| Day { occupied: vec![0; BINS], vacant: vec![0; BINS] });
        if !was_occupied {
            counts.vacant[usize::from(bin)] += 1;
            return;
        }
        counts.occupied[usize::from(bin)] += 1;
        match self.rooms.get_mut(room) {
            Some(hours) => hours.push_back((day, bin)),
            None => {
                self.rooms.insert(room.to_owned(), VecDeque::from([(day, bin)]));
            }
        }
    }

    /// Forgets the days before `first`.
    pub fn forget(&mut self, first: i32) {
        self.days = self.days.split_off(&first);
        for hours in self.rooms.values_mut() {
            let old = hours.partition_point(|&(day, _)| day < first);
            hours.drain(..old);
        }
        self.rooms.retain(|_, hours| !hours.is_empty());
    }

    /// Returns the days before `end`, ascending.
    pub fn before(&self, end: i32) -> impl Iterator<Item = (i32, &Day)> {
        self.days.range(..end).map(|(&day, counts)| (day, counts))
    }

    /// Returns the occupied hours of a room before `end`: local day and bin, ascending by day.
    pub fn room(&self, room: &str, end: i32) -> impl Iterator<Item = (i32, u8)> {
        self.rooms.get(room).into_iter().flatten().copied().take_while(move |&(day, _)| day < end)
    }

    /// Returns whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Returns whether the counts have the form that [`Outcomes::add`] gives them; stored bytes may have another.
    pub fn is_valid(&self) -> bool {
        let is_whole = |day: &Day| day.occupied.len() == BINS && day.vacant.len() == BINS;
        let in_order = |hours: &VecDeque<(i32, u8)>| hours.iter().zip(hours.iter().skip(1)).all(|(a, b)| a.0 <= b.0);
        self.days.values().all(is_whole) && self.rooms.values().all(in_order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_lies_at_or_above_the_edge_of_its_bin() {
        for probability in (1..1000).map(|n| f64::from(n) / 1000.0) {
            let at = usize::from(bin(probability));
            assert!(edge(at) <= probability + 1e-12 && probability < edge(at + 1) + 1e-12, "{probability}");
        }
        assert_eq!((bin(0.0), bin(1.0)), (0, 255));
        assert_eq!((edge(0), edge(BINS)), (0.0, 1.0));
    }

    #[test]
    fn forgotten_days_leave_nothing_behind() {
        let mut kept = Outcomes::default();
        kept.add("a", 1, 0.4, true);
        kept.add("b", 1, 0.4, true);
        kept.add("b", 2, 0.1, true);
        kept.add("b", 2, 0.1, false);
        kept.forget(2);
        assert!(kept.is_valid());
        assert_eq!(kept.before(9).map(|(day, _)| day).collect::<Vec<_>>(), [2]);
        assert_eq!((kept.room("a", 9).count(), kept.room("b", 9).count(), kept.room("b", 2).count()), (0, 1, 0));
        kept.forget(3);
        assert_eq!(kept, Outcomes::default());
    }
}
