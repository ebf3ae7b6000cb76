//! A promise of comfort: at most a given share of the occupied hours is missed.
//!
//! The site has one threshold: the highest below which at most the target share of the occupied hours of the last
//! [`WINDOW_DAYS`] days lies. Tomorrow is never quite like these days, so the target itself moves after every day, by
//! `STEP` × (promised share × occupied hours − missed hours) / mean occupied hours a day. A week that missed too much
//! lowers the target, and a week that missed too little raises it. Only days that were over when a schedule is made
//! count.
//!
//! A site that keeps its promise may still miss more in some rooms. [`Scope::Room`] moves the target of each room by
//! the hours that this room missed, on the same window of the site: one room has too few hours for a window of its own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decisions::outcomes::{BINS, Outcomes, edge};
use crate::model::rule::{OutOfSample, Rule};

/// Days of forecasts that a threshold is set on.
pub const WINDOW_DAYS: i32 = 28;

/// Share of a day's difference by which the target moves. Half or twice as much changes little.
const STEP: f64 = 0.05;

/// Fewest days that a threshold is set on.
pub const MIN_DAYS: u32 = 7;

/// Fewest days, and fewest hours that may be missed on them, from which it shows whether a promise is kept.
const PROOF: (u32, f64) = (14, 5.0);

/// Factor on the promised share up to which a promise counts as kept.
pub const TOLERANCE: f64 = 1.1;

/// Standard errors below what was missed, down to which the share that was promised is no surprise: a 95 % interval.
const CHANCE_ERRORS: f64 = 1.96;

/// The rooms for which a promise holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All rooms of the site together.
    #[default]
    Site,
    /// Each room.
    Room,
}

/// A highest share of the occupied hours that may be missed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Promise {
    /// The share, 0 to 1.
    pub max_missed: f64,
    /// The rooms for which it holds.
    pub scope: Scope,
}

impl Default for Promise {
    fn default() -> Self {
        Promise { max_missed: 0.05, scope: Scope::Site }
    }
}

/// The way to a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// A promise, which follows recent forecasts.
    Promise(Promise),
    /// A fixed threshold, or that of least cost.
    Rule(Rule),
}

impl Default for Method {
    fn default() -> Self {
        Method::Promise(Promise::default())
    }
}

/// The forecasts that a threshold was set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Forecasts of the last days and what happened.
    Forecasts,
    /// Hours that were held back when the models were fitted.
    Training,
    /// None: the probabilities are taken at their word.
    Assumed,
}

/// Hours of the last days, at the thresholds that were in force on each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Lately {
    /// Number of days.
    pub days: u32,
    /// Number of occupied hours.
    pub occupied: u64,
    /// Number of these below the threshold.
    pub missed: u64,
    /// Number of all hours.
    pub hours: u64,
    /// Number of hours from the threshold on.
    pub on: u64,
}

impl Lately {
    /// Returns the share of the occupied hours that was missed; `None` without an occupied hour.
    pub fn missed_share(&self) -> Option<f64> {
        (self.occupied > 0).then(|| self.missed as f64 / self.occupied as f64)
    }

    /// Returns the share of all hours from the threshold on; `None` without an hour.
    pub fn on_share(&self) -> Option<f64> {
        (self.hours > 0).then(|| self.on as f64 / self.hours as f64)
    }
}

/// Whether a promise was kept on the last days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// As promised, with a tenth to spare.
    Kept,
    /// More was missed than was promised, and more than chance explains.
    Broken,
    /// There are too few days or occupied hours to tell, or more was missed, which chance explains.
    Unproven,
}

/// A promise, and how well it was kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// The promise.
    #[serde(flatten)]
    pub promise: Promise,
    /// The data on which the threshold was set.
    pub source: Source,
    /// The hours of the last days.
    pub lately: Lately,
    /// Whether it was kept on them.
    pub kept: Kept,
}

/// Thresholds of a site and its rooms.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// The site's.
    pub site: f64,
    /// Those of rooms with one of their own, and what was missed there.
    pub rooms: BTreeMap<String, (f64, Lately)>,
    /// The promise behind them, if there is one.
    pub standing: Option<Standing>,
}

impl Thresholds {
    /// Returns the threshold of a room.
    pub fn of(&self, room: &str) -> f64 {
        self.rooms.get(room).map_or(self.site, |&(threshold, _)| threshold)
    }
}

/// Returns the thresholds of a schedule that is made on the local day `today`, from the days before it. `judged` are
/// the probabilities of hours that the models were not fitted on; they serve where recent forecasts are too few.
/// `rooms` are the rooms that need a threshold of their own under [`Scope::Room`].
pub fn thresholds<'a>(
    method: Method,
    outcomes: &Outcomes,
    judged: &OutOfSample,
    today: i32,
    rooms: impl IntoIterator<Item = &'a str>,
) -> Thresholds {
    let promise = match method {
        Method::Rule(rule) => {
            return Thresholds { site: rule.threshold(judged).0, rooms: BTreeMap::new(), standing: None };
        }
        Method::Promise(promise) => promise,
    };
    let past = Past::new(outcomes, today);
    let (target, lately) = past.follow(promise.max_missed);
    let from_past = past.days.last().and_then(|day| day.threshold(target, promise.max_missed));
    let (site, source) = match from_past {
        Some(bin) => (edge(bin), Source::Forecasts),
        None => {
            let source = if judged.is_empty() { Source::Assumed } else { Source::Training };
            (Rule::MostMissed(promise.max_missed).threshold(judged).0, source)
        }
    };
    let (mut own, mut lately) = (BTreeMap::new(), lately);
    if promise.scope == Scope::Room && from_past.is_some() {
        for room in rooms {
            let (target, lately) = past.follow_room(outcomes, room, today, promise.max_missed);
            let bin = past.days.last().and_then(|day| day.threshold(target, promise.max_missed));
            own.insert(room.to_owned(), (bin.map_or(site, edge), lately));
        }
        // The site's hours at the thresholds of its rooms.
        lately = own.values().fold(Lately::default(), |sum, (_, room)| Lately {
            days: sum.days.max(room.days),
            occupied: sum.occupied + room.occupied,
            missed: sum.missed + room.missed,
            ..sum
        });
    }
    let kept = kept(&lately, promise.max_missed);
    Thresholds { site, rooms: own, standing: Some(Standing { promise, source, lately, kept }) }
}

/// Returns whether a promise was kept.
pub fn kept(lately: &Lately, max_missed: f64) -> Kept {
    judge(lately.days, lately.occupied as f64, lately.missed as f64, max_missed)
}

/// Returns whether a promise was kept on a number of days, by their occupied hours and those of them that were missed.
pub fn judge(days: u32, occupied: f64, missed: f64, max_missed: f64) -> Kept {
    if are_too_few(days, occupied, max_missed) {
        return Kept::Unproven;
    }
    let share = missed / occupied;
    let error = (share * (1.0 - share).max(0.0) / occupied).sqrt();
    match share {
        _ if share <= TOLERANCE * max_missed => Kept::Kept,
        _ if share - CHANCE_ERRORS * error <= max_missed => Kept::Unproven,
        _ => Kept::Broken,
    }
}

/// Returns whether days or occupied hours are too few to show whether a promise is kept.
pub fn are_too_few(days: u32, occupied: f64, max_missed: f64) -> bool {
    days < PROOF.0 || occupied <= 0.0 || occupied * max_missed < PROOF.1
}

/// A day and the window of days before it.
struct Window<'a> {
    /// The local day.
    day: i32,
    /// Number of days in the window.
    days: u32,
    /// For every bin, the occupied hours of the window below it; the last entry is all of them.
    below: Vec<u64>,
    /// The day's own hours; `None` for the day of the schedule.
    counts: Option<&'a crate::decisions::outcomes::Day>,
}

impl Window<'_> {
    /// Returns the highest bin below which at most the target share of the occupied hours lies; `None` while the window
    /// is too short for the promised share.
    fn threshold(&self, target: f64, max_missed: f64) -> Option<usize> {
        let occupied = *self.below.last()?;
        if self.days < MIN_DAYS || (occupied as f64 * max_missed) < 1.0 {
            return None;
        }
        let allowed = target * occupied as f64;
        Some(self.below.partition_point(|&missed| missed as f64 <= allowed).saturating_sub(1).min(BINS - 1))
    }

    fn mean_occupied(&self) -> f64 {
        self.below.last().map_or(0.0, |&all| all as f64) / f64::from(self.days.max(1))
    }
}

/// The days before a schedule, each with its window, and the day of the schedule.
struct Past<'a> {
    days: Vec<Window<'a>>,
}

impl<'a> Past<'a> {
    fn new(outcomes: &'a Outcomes, today: i32) -> Past<'a> {
        let known: Vec<_> = outcomes.before(today).collect();
        let mut days = Vec::with_capacity(known.len() + 1);
        let (mut counts, mut first) = (vec![0_u64; BINS], 0);
        for at in 0..=known.len() {
            let day = known.get(at).map_or(today, |&(day, _)| day);
            while first < at && known[first].0 < day - WINDOW_DAYS {
                counts.iter_mut().zip(&known[first].1.occupied).for_each(|(sum, &n)| *sum -= u64::from(n));
                first += 1;
            }
            let below = std::iter::once(0).chain(counts.iter().scan(0, |sum, &n| {
                *sum += n;
                Some(*sum)
            }));
            let own = known.get(at).map(|&(_, counts)| counts);
            days.push(Window { day, days: (at - first) as u32, below: below.collect(), counts: own });
            if let Some(own) = own {
                counts.iter_mut().zip(&own.occupied).for_each(|(sum, &n)| *sum += u64::from(n));
            }
        }
        Past { days }
    }

    /// Returns the site's target after all days, and what was missed lately.
    fn follow(&self, max_missed: f64) -> (f64, Lately) {
        let today = self.days.last().map_or(0, |day| day.day);
        let (mut target, mut lately) = (max_missed, Lately::default());
        for window in &self.days {
            let (Some(counts), Some(bin)) = (window.counts, window.threshold(target, max_missed)) else { continue };
            let sum = |counts: &[u32]| counts.iter().map(|&n| u64::from(n)).sum::<u64>();
            let (occupied, missed) = (sum(&counts.occupied), sum(&counts.occupied[..bin]));
            if window.day >= today - WINDOW_DAYS {
                lately.days += 1;
                lately.occupied += occupied;
                lately.missed += missed;
                lately.hours += occupied + sum(&counts.vacant);
                lately.on += occupied - missed + sum(&counts.vacant[bin..]);
            }
            target = moved(target, max_missed, occupied, missed, window.mean_occupied());
        }
        (target, lately)
    }

    /// Returns a room's target after all days, and what it missed lately. Hours on are not kept by room.
    fn follow_room(&self, outcomes: &Outcomes, room: &str, today: i32, max_missed: f64) -> (f64, Lately) {
        let hours: Vec<(i32, u8)> = outcomes.room(room, today).collect();
        let before = |day: i32| hours.partition_point(|&(of, _)| of < day);
        let (mut target, mut lately) = (max_missed, Lately::default());
        for window in self.days.iter().filter(|window| window.counts.is_some()) {
            let Some(bin) = window.threshold(target, max_missed) else { continue };
            let (first, own, next) = (before(window.day - WINDOW_DAYS), before(window.day), before(window.day + 1));
            let occupied = (next - own) as u64;
            let missed = hours[own..next].iter().filter(|&&(_, of)| usize::from(of) < bin).count() as u64;
            if window.day >= today - WINDOW_DAYS {
                lately.days += 1;
                lately.occupied += occupied;
                lately.missed += missed;
            }
            let mean = (own - first) as f64 / f64::from(window.days.max(1));
            target = moved(target, max_missed, occupied, missed, mean);
        }
        (target, lately)
    }
}

/// Returns the target after a day.
fn moved(target: f64, max_missed: f64, occupied: u64, missed: u64, mean_occupied: f64) -> f64 {
    let spare = max_missed * occupied as f64 - missed as f64;
    // A window with next to no use would move the target by a single hour from one end to the other.
    (target + STEP * spare / mean_occupied.max(1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;
