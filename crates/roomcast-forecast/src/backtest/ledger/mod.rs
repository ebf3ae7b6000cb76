//! The savings ledger: ways to decide when rooms are on, held against the same hours of the same rooms.
//!
//! Four policies are compared: a timetable, a reactive one that turns on at motion, the schedule as it would have been
//! made at each origin, and the one that knew what came. A schedule depends on nothing at or after its making: its
//! chances come from the replay, its threshold from the days that were over. Hours of sensors that were silent for long
//! are left out for every policy, since nobody knows whether the room was empty.

mod energy;
mod schedules;
pub(crate) mod words;

pub use energy::{Energy, Power};
pub use schedules::{Followed, Made};

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::skill::{self, Interval};
use super::{BacktestError, BacktestPlan, ScoredHour, baselines};
use crate::calendar::{Calendar, HOUR};
use crate::decisions::blocks::BlockRule;
use crate::decisions::policies::{Sums, Times};
use crate::decisions::promise::{Kept, Promise, WINDOW_DAYS, are_too_few, judge};
use crate::decisions::timetable::Timetables;
use crate::readings::Readings;

/// Thresholds of the curve.
const CURVE: [f64; 16] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// The policies to compare.
#[derive(Debug, Clone)]
pub struct LedgerPlan {
    /// The timetables.
    pub timetables: Timetables,
    /// The rule of blocks: the time that rooms need besides the hours of their use.
    pub rule: BlockRule,
    /// The promise of the schedule.
    pub promise: Promise,
    /// The power of rooms, if it was given.
    pub power: Power,
}

/// The policies, in the order of [`Ledger::policies`].
pub const POLICIES: [&str; 4] = ["timetable", "reactive", "schedule", "hindsight"];

/// The results of the policies.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// The comparison of the schedule with the timetable in words.
    pub headline: String,
    /// The promise of the schedule, and whether it was kept, in words.
    pub promise_kept: String,
    /// The promise.
    pub promise: Promise,
    /// The timetable of rooms without one of their own.
    pub timetable: String,
    /// Seconds from the start of a block to its first occupied hour.
    pub preheat_seconds: i64,
    /// Seconds from the last occupied hour to the end of its block.
    pub setback_after_seconds: i64,
    /// Shortest length of a block, seconds.
    pub min_run_seconds: i64,
    /// Number of rooms.
    pub rooms: usize,
    /// Number of local days.
    pub days: usize,
    /// Number of hours, one per room and hour.
    pub hours: f64,
    /// Number of these that were occupied.
    pub occupied_hours: f64,
    /// Number of hours that are left out because the sensor had been silent for long.
    pub silent_hours: usize,
    /// The four policies.
    pub policies: Vec<Policy>,
    /// The model's chances at fixed thresholds.
    pub curve: Vec<Point>,
    /// The hour-of-week rate at the same thresholds.
    pub rate_curve: Vec<Point>,
    /// Share of all hours on at which the curve misses as much as the timetable; `None` where it has no such point. This
    /// threshold is known in hindsight only.
    pub on_share_at_timetable_missed: Option<f64>,
    /// Share of all hours on at which the hour-of-week rate misses as much as the schedule; `None` where its curve has no
    /// such point. This threshold is known in hindsight only.
    pub rate_on_share_at_schedule_missed: Option<f64>,
    /// The plain states of the model and of the simple rules.
    pub states: Vec<Point>,
    /// The timetable and the schedule by room, in order of name.
    pub by_room: Vec<Room>,
    /// An estimate of the energy, if a power was given.
    pub energy: Option<Energy>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// Its name.
    pub policy: &'static str,
    /// Hours on.
    pub hours_on: f64,
    /// Share of all hours that was on.
    pub on_share: f64,
    /// Hours on in vacant hours.
    pub empty_hours_on: f64,
    /// Occupied hours in which the room was not ready.
    pub missed_hours: f64,
    /// Share of the occupied hours that this is, with its 95 % interval over days.
    pub missed_share: Interval,
    /// Number of times that a room was switched on.
    pub starts: f64,
    /// Share of the timetable's hours on that this policy saves, with its 95 % interval over days.
    pub saved: Interval,
}

/// A point of hours on against hours missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The threshold, or the name of the rule.
    pub label: String,
    /// Share of all hours that was on.
    pub on_share: f64,
    /// Share of the occupied hours that was missed.
    pub missed_share: f64,
}

/// The timetable and the schedule of one room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Room {
    /// The device's name.
    pub device: String,
    /// Occupied hours.
    pub occupied_hours: f64,
    /// Hours on by timetable and by schedule.
    pub hours_on: [f64; 2],
    /// Share of the occupied hours missed by each; `None` without an occupied hour.
    pub missed_share: [Option<f64>; 2],
}

/// Plans the replay of the days before a backtest, on whose outcomes its first schedules depend: daily, with weekly fits.
pub fn prior(plan: &BacktestPlan, calendar: &Calendar) -> BacktestPlan {
    let day = 24 * HOUR;
    let begin = calendar.wall(plan.from) - chrono::TimeDelta::days(i64::from(WINDOW_DAYS));
    let (from, to) = (calendar.instant(begin), plan.from - 1);
    BacktestPlan { from, to, every: day, refit: 7 * day, history: plan.history, days: 1 }
}

/// Replays the plan of [`prior`]; nothing where there are too few readings.
///
/// # Errors
/// [`BacktestError`] when a fit or a forecast fails.
pub fn replay_earlier(
    readings: &Readings,
    calendar: &Calendar,
    prior: &BacktestPlan,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<ScoredHour>, BacktestError> {
    match super::run(readings, calendar, prior, progress) {
        Err(BacktestError::NoOrigins { .. } | BacktestError::NothingToScore { .. }) => Ok(Vec::new()),
        other => other,
    }
}

impl Ledger {
    /// Compares the policies on the hours of a backtest; `earlier` are those of [`prior`]. Returns `None` without an
    /// hour of which it is known whether it was occupied.
    pub fn new(
        readings: &Readings,
        calendar: &Calendar,
        plan: &LedgerPlan,
        earlier: &[ScoredHour],
        hours: &[ScoredHour],
    ) -> Option<Ledger> {
        let followed = Followed::new(readings, calendar, hours);
        let made = followed.schedules(plan, earlier);
        let rooms: Vec<[BTreeMap<i32, Sums>; 4]> = followed
            .rooms
            .par_iter()
            .zip(&made)
            .map(|(room, made)| {
                let from = room.known.first().map_or(0, |known| calendar.start(known.hour));
                let to = room.known.last().map_or(0, |known| calendar.start(known.hour));
                // A night of the day before may reach into the first.
                let fixed = plan.timetables.of(room.device).times(from - 24 * HOUR, to, calendar);
                let times = [
                    Times::planned(fixed, plan.rule.preheat),
                    Times::reactive(&room.known, &plan.rule, calendar),
                    Times::planned(followed.spans(made), plan.rule.preheat),
                    Times::hindsight(&room.known, &plan.rule, calendar),
                ];
                times.map(|times| times.by_day(&room.known, calendar))
            })
            .collect();
        let sums = days(&rooms);
        let all = total(sums.values());
        if all[0].hours == 0.0 {
            return None;
        }
        let policies = policies(&sums);
        let point = |label: String, chance: &(dyn Fn(&ScoredHour) -> f64 + Sync), threshold: f64| {
            let sums = followed.fixed(&plan.rule, chance, threshold);
            Point { label, on_share: sums.on / sums.hours, missed_share: share(sums.missed, sums.occupied) }
        };
        let curve = |chance: &(dyn Fn(&ScoredHour) -> f64 + Sync)| -> Vec<Point> {
            CURVE.iter().map(|&threshold| point(format!("{threshold}"), chance, threshold)).collect()
        };
        let state = |forecaster: usize| {
            let chance = |scored: &ScoredHour| f64::from(u8::from(scored.forecast(forecaster).1));
            point(super::name(forecaster).to_owned(), &chance, 0.5)
        };
        let of_chances = curve(&|scored| f64::from(scored.probability));
        let of_rate = curve(&|scored| f64::from(scored.baselines[baselines::COUNT - 1]));
        let mut ledger = Ledger {
            headline: String::new(),
            promise_kept: String::new(),
            promise: plan.promise,
            timetable: plan.timetables.site.to_string(),
            preheat_seconds: plan.rule.preheat,
            setback_after_seconds: plan.rule.setback,
            min_run_seconds: plan.rule.min_run,
            rooms: rooms.len(),
            days: sums.len(),
            hours: all[0].hours,
            occupied_hours: all[0].occupied,
            silent_hours: followed.silent,
            policies,
            on_share_at_timetable_missed: on_share_at(&of_chances, share(all[0].missed, all[0].occupied)),
            curve: of_chances,
            rate_on_share_at_schedule_missed: on_share_at(&of_rate, share(all[2].missed, all[2].occupied)),
            rate_curve: of_rate,
            states: (0..super::FORECASTERS).map(state).collect(),
            by_room: followed.rooms.iter().zip(&rooms).map(|(room, sums)| of_room(room.device, sums)).collect(),
            energy: Energy::new(&plan.power, followed.rooms.iter().map(|room| room.device).zip(&rooms)),
        };
        (ledger.headline, ledger.promise_kept) = (words::headline(&ledger), words::promise(&ledger));
        Some(ledger)
    }

    /// Returns the policy of the timetable.
    pub fn fixed(&self) -> &Policy {
        &self.policies[0]
    }

    /// Returns the policy of the schedule.
    pub fn schedule(&self) -> &Policy {
        &self.policies[2]
    }

    /// Returns whether the schedule kept its promise on the site, and whether the hours are too few to show it.
    pub fn kept(&self) -> (Kept, bool) {
        let (days, promised) = (self.days as u32, self.promise.max_missed);
        let kept = judge(days, self.occupied_hours, self.schedule().missed_hours, promised);
        (kept, are_too_few(days, self.occupied_hours, promised))
    }
}

/// Returns a share; 0 of nothing.
fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}

/// Returns the sums of all rooms by day.
fn days(rooms: &[[BTreeMap<i32, Sums>; 4]]) -> BTreeMap<i32, [Sums; 4]> {
    let mut days: BTreeMap<i32, [Sums; 4]> = BTreeMap::new();
    for (policy, by_day) in rooms.iter().flat_map(|policies| policies.iter().enumerate()) {
        for (&day, &sums) in by_day {
            days.entry(day).or_default()[policy] += sums;
        }
    }
    days
}

fn total<'a>(days: impl IntoIterator<Item = &'a [Sums; 4]>) -> [Sums; 4] {
    days.into_iter().fold(<[Sums; 4]>::default(), |mut all, day| {
        all.iter_mut().zip(day).for_each(|(all, &sums)| *all += sums);
        all
    })
}

/// Returns the policies with intervals: whole local days are drawn with replacement, the same for all policies.
fn policies(days: &BTreeMap<i32, [Sums; 4]>) -> Vec<Policy> {
    let days: Vec<&[Sums; 4]> = days.values().collect();
    let all = total(days.iter().copied());
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let draws = if days.len() < skill::MIN_DAYS { 0 } else { skill::BOOTSTRAP_DRAWS };
    let draw = |_| total((0..days.len()).map(|_| days[random.random_range(0..days.len())]));
    let drawn: Vec<[Sums; 4]> = (0..draws).map(draw).collect();
    let interval = |of: &dyn Fn(&[Sums; 4]) -> f64| Interval {
        value: of(&all),
        interval: skill::percentiles(drawn.iter().map(of).collect()),
    };
    let policy = |(at, &policy): (usize, &&'static str)| Policy {
        policy,
        hours_on: all[at].on,
        on_share: share(all[at].on, all[at].hours),
        empty_hours_on: all[at].empty_on,
        missed_hours: all[at].missed,
        missed_share: interval(&|sums| share(sums[at].missed, sums[at].occupied)),
        starts: all[at].starts,
        saved: interval(&|sums| share(sums[0].on - sums[at].on, sums[0].on)),
    };
    POLICIES.iter().enumerate().map(policy).collect()
}

/// Returns the share of hours on at which a curve misses this share, between the two nearest points.
fn on_share_at(curve: &[Point], missed: f64) -> Option<f64> {
    let pair = curve.windows(2).find(|pair| pair[0].missed_share <= missed && missed <= pair[1].missed_share)?;
    let [low, high] = pair else { return None };
    let way = share(missed - low.missed_share, high.missed_share - low.missed_share);
    Some(low.on_share + way * (high.on_share - low.on_share))
}

fn of_room(device: &str, sums: &[BTreeMap<i32, Sums>; 4]) -> Room {
    let of = |policy: usize| {
        sums[policy].values().fold(Sums::default(), |mut all, &day| {
            all += day;
            all
        })
    };
    let both = [of(0), of(2)];
    Room {
        device: device.to_owned(),
        occupied_hours: both[0].occupied,
        hours_on: both.map(|sums| sums.on),
        missed_share: both.map(|sums| (sums.occupied > 0.0).then(|| sums.missed / sums.occupied)),
    }
}
