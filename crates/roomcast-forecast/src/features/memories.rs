//! The columns of the shipped layers: what a device and its building did, remembered for days and for months.
//!
//! Unlike the columns of [`COLUMNS`](super::columns::COLUMNS), which look at least a day back from their target hour,
//! these are as of the origin: all 24 hours of a forecast see the same past. Nothing is fitted on them at a site, so they
//! are computed for forecasts alone. All are relative to the prior or to what it expected, so 0 means "nothing to add",
//! and their units are those of every building.

use std::ops::Range;

use super::columns::{COLUMNS, WIDTH};
use super::inputs::{known, mean};
use super::kernel::{NEIGHBOUR_WEIGHT, growth};
use super::lags::Lags;
use super::odds::logit;
use crate::calendar::LocalHour;
use crate::hourly::{HORIZON, Hourly};

/// Half-lives of the rates of the day type, days.
const TYPE_HALF_LIVES: [f64; 5] = [3.0, 7.0, 14.0, 56.0, 120.0];
/// Half-lives of the rates of the weekday, days.
const WEEKDAY_HALF_LIVES: [f64; 2] = [28.0, 84.0];
/// Number of half-lives, rounded up to whole registers.
const LANES: usize = 8;
/// Hours of the windows of the levels.
const LEVEL_HOURS: [usize; 3] = [24, 72, 168];
/// Weight of the prior in a rate, in hours of the origin's day.
const RATE_SHRINK: f32 = 1.0;
/// Expected hours with which a device's level is pulled toward the usual.
const LEVEL_SHRINK_HOURS: f32 = 3.0;
/// The same of one day.
const DAY_SHRINK_HOURS: f32 = 1.0;
/// The same of all devices together.
const BUILDING_SHRINK_HOURS: f32 = 5.0;
/// Days back to which the last day of the same type is looked for, as for lags.
const MAX_DAYS_BACK: usize = 21;

/// Number of [`MEMORIES`].
pub const MEMORY_WIDTH: usize = MEMORIES.len();

/// Returns the positions, in the matrix of a forecast, of the columns that mean the same at every site. A weekday does
/// not: what other buildings do on Fridays says little about this one.
pub fn transferable() -> Vec<usize> {
    (0..WIDTH + MEMORY_WIDTH).filter(|&at| COLUMNS.get(at).is_none_or(|column| column.name != "weekday")).collect()
}

/// The names of the columns, in order.
pub const MEMORIES: [&str; 17] = [
    "rate_3d",
    "rate_7d",
    "rate_14d",
    "rate_56d",
    "rate_120d",
    "weekday_28d",
    "weekday_84d",
    "level_1d",
    "level_3d",
    "level_7d",
    "building_level_1d",
    "building_level_3d",
    "building_level_7d",
    "last_day_level",
    "building_last_day_level",
    "lag_1d_pull",
    "last_day_around",
];

/// Observed and expected occupied hours.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    occupied: f32,
    expected: f32,
}

impl Level {
    fn add(&mut self, occupied: f32, expected: f32) {
        self.occupied += occupied;
        self.expected += expected;
    }

    /// Returns the logarithm of the ratio, with some hours as usual mixed in.
    fn log(self, shrink: f32) -> f32 {
        ((self.occupied + shrink) / (self.expected + shrink)).ln()
    }
}

/// The parts of the columns that all devices of a grid share.
#[derive(Debug, Clone, Default)]
pub(super) struct SiteMemories {
    /// Weights of an hour of each day of the history, by half-life.
    weights: Vec<[f32; LANES]>,
    /// Levels of the building in the last hours.
    levels: [f32; LEVEL_HOURS.len()],
    /// For each hour of the horizon the last day of its type, as a position among the days of the grid.
    last_days: Vec<Option<usize>>,
    /// Levels of the building on these days.
    last_day_levels: Vec<f32>,
}

impl SiteMemories {
    /// Prepares a grid; `occupied` and `expected` are totals of all devices for each hour of the history.
    pub(super) fn new(hourly: &Hourly, occupied: &[f32], expected: &[f32]) -> SiteMemories {
        let locals = &hourly.locals;
        let past = occupied.len();
        let day0 = locals.first().map_or(0, |local| local.day);
        let today = locals.get(past).map_or(day0, |local| local.day);
        let half_lives = TYPE_HALF_LIVES.iter().chain(&WEEKDAY_HALF_LIVES);
        let mut weights = vec![[0.0; LANES]; (today - day0 + 1) as usize];
        for (at, &half_life) in half_lives.enumerate() {
            for (day, weights) in (day0..).zip(&mut weights) {
                weights[at] = growth(half_life, f64::from(day - today)) as f32;
            }
        }
        let mut levels = LEVEL_HOURS.map(|_| Level::default());
        let mut days = vec![Level::default(); weights.len()];
        let mut off = vec![None; weights.len() + 2];
        for (at, (&occupied, &expected)) in occupied.iter().zip(expected).enumerate() {
            days[(locals[at].day - day0) as usize].add(occupied, expected);
            for (level, hours) in levels.iter_mut().zip(LEVEL_HOURS) {
                if at + hours >= past {
                    level.add(occupied, expected);
                }
            }
        }
        for local in locals {
            if let Some(off) = off.get_mut((local.day - day0) as usize) {
                *off = Some(local.off);
            }
        }
        let last_day = |local: &LocalHour| {
            // A day without an hour in the history is no day of it.
            let until = ((local.day - day0) as usize).min(days.len());
            (until.saturating_sub(MAX_DAYS_BACK)..until).rev().find(|&day| off[day] == Some(local.off))
        };
        let last_days: Vec<_> = locals[past..].iter().map(last_day).collect();
        let level = |day: &Option<usize>| day.map_or(0.0, |day| days[day].log(BUILDING_SHRINK_HOURS));
        SiteMemories {
            levels: levels.map(|level| level.log(BUILDING_SHRINK_HOURS)),
            last_day_levels: last_days.iter().map(level).collect(),
            last_days,
            weights,
        }
    }
}

/// Weighted sums of occupied and observed hours, by half-life.
#[derive(Clone, Copy, Default)]
struct Sums {
    occupied: [f32; LANES],
    observed: [f32; LANES],
}

impl Sums {
    fn add(&mut self, value: f32, weights: &[f32; LANES]) {
        for (lane, weight) in weights.iter().enumerate() {
            self.occupied[lane] += value * weight;
            self.observed[lane] += weight;
        }
    }

    fn plus(mut self, other: &Sums, weight: f32) -> Sums {
        for lane in 0..LANES {
            self.occupied[lane] += weight * other.occupied[lane];
            self.observed[lane] += weight * other.observed[lane];
        }
        self
    }

    /// Returns the log-odds of the rate of a lane beyond those of a prior that is mixed in.
    fn shift(&self, lane: usize, prior: f32) -> f32 {
        let rate = (self.occupied[lane] + RATE_SHRINK * prior) / (self.observed[lane] + RATE_SHRINK);
        logit(rate) - logit(prior)
    }
}

/// Returns the columns of some `hours` of the horizon, one after the other, for one device. `values` holds its states of
/// the history (1, 0 or NaN), `prior` its prior of the history and the horizon.
pub(super) fn columns(
    hourly: &Hourly,
    site: &SiteMemories,
    lags: &Lags,
    values: &[f32],
    prior: &[f32],
    hours: Range<usize>,
) -> Vec<f32> {
    let past = values.len();
    let day0 = hourly.locals.first().map_or(0, |local| local.day);
    let mut kinds = [[Sums::default(); 24]; 2];
    let mut week = [[Sums::default(); 24]; 7];
    let mut levels = LEVEL_HOURS.map(|_| Level::default());
    let mut days = vec![Level::default(); site.weights.len()];
    for (at, (&value, local)) in values.iter().zip(&hourly.locals).enumerate() {
        if value.is_nan() {
            continue;
        }
        let day = (local.day - day0) as usize;
        let weights = &site.weights[day];
        kinds[usize::from(local.off)][usize::from(local.hour)].add(value, weights);
        // A holiday's hours say nothing about its weekday.
        if !local.special {
            week[usize::from(local.weekday)][usize::from(local.hour)].add(value, weights);
        }
        days[day].add(value, prior[at]);
        for (level, hours) in levels.iter_mut().zip(LEVEL_HOURS) {
            if at + hours >= past {
                level.add(value, prior[at]);
            }
        }
    }
    let levels = levels.map(|level| level.log(LEVEL_SHRINK_HOURS));
    let state = |at: usize| values.get(at).copied().unwrap_or(f32::NAN);
    let first_day = (hourly.end - hourly.first) as usize + HORIZON;
    let mut out = vec![0.0; MEMORY_WIDTH * hours.len()];
    for (row, at) in hours.clone().enumerate() {
        let (local, p) = (&hourly.locals[at], prior[at]);
        let hour = usize::from(local.hour);
        let around = |cells: &[Sums; 24]| {
            let cell = cells[hour].plus(&cells[(hour + 23) % 24], NEIGHBOUR_WEIGHT as f32);
            cell.plus(&cells[(hour + 1) % 24], NEIGHBOUR_WEIGHT as f32)
        };
        let kind = around(&kinds[usize::from(local.off)]);
        let weekday = if local.special { Sums::default() } else { around(&week[usize::from(local.weekday)]) };
        let mut column = 0;
        let mut push = |value: f32| {
            out[column * hours.len() + row] = value;
            column += 1;
        };
        (0..TYPE_HALF_LIVES.len()).for_each(|lane| push(kind.shift(lane, p)));
        (0..WEEKDAY_HALF_LIVES.len()).for_each(|lane| push(weekday.shift(TYPE_HALF_LIVES.len() + lane, p)));
        levels.into_iter().chain(site.levels).for_each(&mut push);
        push(site.last_days[at - past].map_or(0.0, |day| days[day].log(DAY_SHRINK_HOURS)));
        push(site.last_day_levels[at - past]);
        push(known(state(lags.days[0][at] as usize) - p));
        // A forecast that reaches further says the same of the first day.
        let reach = if at < first_day { first_day } else { hourly.locals.len() };
        let near = [at - 1, at, at + 1]
            .map(|at| lags.same_type[0][..reach].get(at).map_or(f32::NAN, |&at| state(at as usize)));
        push(known(mean(near) - p));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, HOUR};
    use crate::features::{SiteRates, Table, WIDTH};
    use crate::readings::{DeviceReadings, Readings, Times};

    /// Two rooms over five weeks: one used at varying hours of its workdays, one each day at noon.
    fn readings(calendar: &Calendar) -> (Readings, i64) {
        let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
        let used = |hour: &i64| {
            let (day, hour) = (hour / 24, hour % 24);
            day % 7 < 5 && (8 + day % 3..11 + day % 5).contains(&hour)
        };
        let office = (0..35 * 24).filter(used).map(|hour| monday + hour * HOUR + 60).collect();
        let lobby = (0..35).map(|day| monday + (24 * day + 12) * HOUR).collect();
        let device = |name: &str, times| DeviceReadings { device: name.into(), times, offs: Times::default() };
        (Readings { devices: vec![device("lobby", lobby), device("office", office)] }, monday)
    }

    /// Every column is what its definition says, counted hour by hour.
    #[test]
    fn columns_are_what_they_say() {
        let calendar = Calendar::default();
        let (readings, monday) = readings(&calendar);
        // A Wednesday at midnight, and the same day at 13:20.
        for seconds in [0, 13 * HOUR + 1200] {
            let hourly = Hourly::new(&readings, &calendar, monday + 30 * 24 * HOUR + seconds);
            let site_rates = SiteRates::new(&hourly);
            let office = 1;
            let full = Table::new(&hourly, &site_rates, office).forecast().unwrap().now;
            let column = |name: &str| full.column(WIDTH + MEMORIES.iter().position(|it| *it == name).unwrap());
            let device = &hourly.devices[office];
            let today = hourly.local(hourly.end).day;
            let known = |test: &dyn Fn(&LocalHour) -> f64| {
                let mut sums = (0.0, 0.0);
                for (hour, state) in (device.first..).zip(device.states.iter()) {
                    let local = hourly.local(hour);
                    let (weight, value) = (test(&local), state.value());
                    if let Some(value) = value {
                        sums.0 += weight * f64::from(value);
                        sums.1 += weight;
                    }
                }
                sums
            };
            for lead in [0, 9, 14, 23] {
                let target = hourly.local(hourly.end + lead as i32);
                let prior = 1.0 / (1.0 + (-full.column(0)[lead]).exp());
                let near = |local: &LocalHour| match (24 + local.hour - target.hour) % 24 {
                    0 => 1.0,
                    1 | 23 => NEIGHBOUR_WEIGHT,
                    _ => 0.0,
                };
                let shift = |(occupied, observed): (f64, f64)| {
                    let rate = (occupied + f64::from(prior)) / (observed + 1.0);
                    logit(rate as f32) - logit(prior)
                };
                let age = |local: &LocalHour| f64::from(today - local.day);
                let kind = |local: &LocalHour| f64::from(u8::from(local.off == target.off)) * near(local);
                let week = |local: &LocalHour| f64::from(u8::from(local.weekday == target.weekday)) * near(local);
                for (name, expected) in [
                    ("rate_3d", shift(known(&|local| kind(local) * (-age(local) / 3.0).exp2()))),
                    ("rate_120d", shift(known(&|local| kind(local) * (-age(local) / 120.0).exp2()))),
                    ("weekday_28d", shift(known(&|local| week(local) * (-age(local) / 28.0).exp2()))),
                ] {
                    let found = column(name)[lead];
                    assert!((found - expected).abs() < 1e-3, "{name} of lead {lead}: {found}, not {expected}");
                }
            }
            // The levels are those of all target hours.
            assert!(column("level_3d").iter().all(|level| level.is_finite() && *level == column("level_3d")[0]));
        }
    }
}
