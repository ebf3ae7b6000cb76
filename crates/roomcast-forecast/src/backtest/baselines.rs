//! Simple rules that the model must beat, each as a state and as a probability.
//!
//! The rules use hours before the origin only, and no hour that is not over at the origin. They see motion or no
//! motion, as anyone with the readings would: a silent sensor is a vacant room. A rule without an answer (no last week
//! yet) falls back to the last day of the same type.
//!
//! The first four rules give states. A state as a probability of 0 or 1 would cost infinitely much when wrong, so their
//! probability is their own record: how often the room was occupied after that same answer, on days of the same type
//! (workday or day off), in all hours of the past, as the rule would have answered [`HORIZON`] hours ahead. Few hours
//! are shrunk toward the same record of all rooms with the weight of `ANSWER_SHRINK_HOURS` hours.
//!
//! The hour-of-week rate is the share of occupied hours at that weekday and hour, weighted by age with a half-life of
//! `RATE_HALF_LIFE` days. It is smoothed by `WEEKDAY_SHRINK` hours toward the room's share at that hour on days of the
//! same type, and that by `DAY_TYPE_SHRINK` toward the share of all rooms on days of the same type. On holidays it is
//! the share on days off. Its state is a probability of 0.5 or more. Less smoothing loses more: these constants make
//! the rule as hard to beat as it honestly gets.

use rayon::prelude::*;

use crate::calendar::{Hour, LocalHour};
use crate::features::{FLOOR, growth};
use crate::hourly::{DeviceHours, HORIZON, Hourly};

/// Number of simple rules.
pub const COUNT: usize = 5;

/// The names of the rules.
pub const NAMES: [&str; COUNT] =
    ["all vacant", "same hour yesterday", "same hour last week", "last day of the same type", "hour-of-week rate"];

/// Weight of the record of all rooms in that of one room, hours.
const ANSWER_SHRINK_HOURS: f64 = 12.0;
/// Half-life of the hour-of-week rate, days.
const RATE_HALF_LIFE: f64 = 21.0;
/// Weight of the room's rate by day type in its rate by weekday, hours.
const WEEKDAY_SHRINK: f64 = 4.0;
/// Weight of the rate of all rooms in a room's rate by day type, hours.
const DAY_TYPE_SHRINK: f64 = 1.0;
/// Share of occupied hours assumed without data.
const DEFAULT_SHARE: f64 = 0.15;
/// Maximum number of days back that a rule searches for an hour that exists and is known.
const MAX_DAYS_BACK: i32 = 28;

/// Number of rules that look up an hour: all of [`NAMES`] but the first and the last.
const LOOKUPS: usize = 3;
/// Position of the lookup that the others fall back to.
const SAME_TYPE: usize = 2;

/// The rules' answers for one hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleForecast {
    /// Probability that the hour is occupied.
    pub probabilities: [f32; COUNT],
    /// State of the hour: true is occupied.
    pub states: [bool; COUNT],
}

/// Sums of the weights of occupied hours and of all hours.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    occupied: f64,
    hours: f64,
}

impl Share {
    fn add(&mut self, occupied: bool, weight: f64) {
        self.occupied += if occupied { weight } else { 0.0 };
        self.hours += weight;
    }

    /// Returns the share with `hours` hours at `toward` mixed in.
    fn shrunk(self, toward: f64, hours: f64) -> f64 {
        (self.occupied + hours * toward) / (self.hours + hours)
    }
}

/// Shares of occupied hours after each answer (no, yes, none), by rule and day type.
#[derive(Debug, Clone, Copy, Default)]
struct AnswerShares {
    after: [[[Share; 3]; 2]; LOOKUPS],
    all: [Share; 2],
}

impl AnswerShares {
    fn add(&mut self, other: &AnswerShares) {
        let pairs = self.after.as_flattened_mut().as_flattened_mut().iter_mut().chain(&mut self.all);
        for (sum, part) in pairs.zip(other.after.as_flattened().as_flattened().iter().chain(&other.all)) {
            sum.occupied += part.occupied;
            sum.hours += part.hours;
        }
    }
}

/// Returns the rules' answers for the hours from the origin of a grid, per device in its order.
pub(crate) fn rule_forecasts(hourly: &Hourly) -> Vec<Vec<RuleForecast>> {
    let known = hourly.position_at(hourly.origin).0.min((hourly.end - hourly.first).max(0) as usize);
    let sources = sources(&hourly.locals, known);
    let records: Vec<AnswerShares> =
        hourly.devices.par_iter().map(|device| answer_shares(hourly, device, known, &sources)).collect();
    let mut together = AnswerShares::default();
    records.iter().for_each(|record| together.add(record));
    hourly
        .devices
        .par_iter()
        .zip(&records)
        .map(|(device, own)| {
            let rates = Rates::new(hourly, device, known, &together);
            let end = (hourly.end - hourly.first) as usize;
            let hours = end..end + hourly.horizon();
            hours.map(|at| rule_forecast(hourly, device, at, &sources, own, &together, &rates)).collect()
        })
        .collect()
}

fn rule_forecast(
    hourly: &Hourly,
    device: &DeviceHours,
    at: usize,
    sources: &[[Option<u32>; LOOKUPS]],
    own: &AnswerShares,
    together: &AnswerShares,
    rates: &Rates,
) -> RuleForecast {
    let local = &hourly.locals[at];
    let off = usize::from(local.off);
    let share = together.all[off].shrunk(DEFAULT_SHARE, ANSWER_SHRINK_HOURS);
    let recorded = |own: Share, all: Share| own.shrunk(all.shrunk(share, ANSWER_SHRINK_HOURS), ANSWER_SHRINK_HOURS);
    let mut forecast = RuleForecast { probabilities: [0.0; COUNT], states: [false; COUNT] };
    let mut set = |rule: usize, probability: f64, state: bool| {
        forecast.probabilities[rule] = (probability as f32).clamp(FLOOR, 1.0 - FLOOR);
        forecast.states[rule] = state;
    };
    set(0, recorded(own.all[off], together.all[off]), false);
    for (lookup, answer) in answers(hourly, device, &sources[at]).into_iter().enumerate() {
        let cell = answer.map_or(2, usize::from);
        let probability = recorded(own.after[lookup][off][cell], together.after[lookup][off][cell]);
        set(1 + lookup, probability, answer.unwrap_or(false));
    }
    let rate = rates.of(local);
    set(COUNT - 1, rate, rate >= 0.5);
    forecast
}

/// Returns the lookups' answers, each falling back to the last day of the same type.
fn answers(hourly: &Hourly, device: &DeviceHours, sources: &[Option<u32>; LOOKUPS]) -> [Option<bool>; LOOKUPS] {
    let skip = (device.first - hourly.first) as u32;
    let state = |source: Option<u32>| {
        let at = source?.checked_sub(skip)? as usize;
        device.states.get(at).map(|state| state.has_motion())
    };
    let fallback = state(sources[SAME_TYPE]);
    sources.map(|source| state(source).or(fallback))
}

/// Returns the record of one device over the known hours.
fn answer_shares(
    hourly: &Hourly,
    device: &DeviceHours,
    known: usize,
    sources: &[[Option<u32>; LOOKUPS]],
) -> AnswerShares {
    let mut record = AnswerShares::default();
    let skip = (device.first - hourly.first) as usize;
    let hours = device.states.iter().zip(&hourly.locals[skip..known]).zip(&sources[skip..known]);
    for ((&state, local), sources) in hours {
        let occupied = state.has_motion();
        let off = usize::from(local.off);
        record.all[off].add(occupied, 1.0);
        for (cells, answer) in record.after.iter_mut().zip(answers(hourly, device, sources)) {
            cells[off][answer.map_or(2, usize::from)].add(occupied, 1.0);
        }
    }
    record
}

/// Returns, for each hour of the grid and horizon, the positions that the lookups read: the same local hour yesterday,
/// a week ago, and on the last day of the same type. For hours before `known` these are hours that a forecast
/// [`HORIZON`] ahead would have had.
fn sources(locals: &[LocalHour], known: usize) -> Vec<[Option<u32>; LOOKUPS]> {
    let (Some(first), Some(last)) = (locals.first(), locals.last()) else { return Vec::new() };
    let mut days = vec![([None; 24], false); (last.day - first.day + 1) as usize];
    for (at, local) in locals.iter().enumerate() {
        let day = &mut days[(local.day - first.day) as usize];
        // An hour that comes twice when the clocks go back counts as its first.
        day.0[usize::from(local.hour)].get_or_insert(at as u32);
        day.1 = local.off;
    }
    let find = |at: usize, local: &LocalHour, step: usize, same_type: bool| {
        let limit = if at < known { (at + 1).saturating_sub(HORIZON) } else { known };
        (step as i32..=MAX_DAYS_BACK).step_by(step).find_map(|back| {
            let (hours, off) = days.get(usize::try_from(local.day - back - first.day).ok()?)?;
            let position: u32 = hours[usize::from(local.hour)]?;
            ((position as usize) < limit && (!same_type || *off == local.off)).then_some(position)
        })
    };
    let all = locals.iter().enumerate();
    all.map(|(at, local)| [find(at, local, 1, false), find(at, local, 7, false), find(at, local, 1, true)]).collect()
}

/// The hour-of-week rate of one device.
struct Rates {
    week: [[Share; 24]; 7],
    kind: [[Share; 24]; 2],
    /// Share of all rooms by day type.
    wide: [f64; 2],
    /// Weight of an hour on the first day of the forecast, in units of the sums.
    unit: f64,
}

impl Rates {
    fn new(hourly: &Hourly, device: &DeviceHours, known: usize, together: &AnswerShares) -> Rates {
        let day = |hour: Hour| hourly.local(hour).day;
        let weight = |day_of: i32| growth(RATE_HALF_LIFE, f64::from(day_of - day(device.first)));
        let wide = together.all.map(|share| share.shrunk(DEFAULT_SHARE, ANSWER_SHRINK_HOURS));
        let unit = weight(day(hourly.end));
        let mut rates = Rates { week: Default::default(), kind: Default::default(), wide, unit };
        let skip = (device.first - hourly.first) as usize;
        let mut today = (i32::MIN, 0.0);
        for (local, &state) in hourly.locals[..known].iter().skip(skip).zip(device.states.iter()) {
            if today.0 != local.day {
                today = (local.day, weight(local.day));
            }
            let (hour, occupied) = (usize::from(local.hour), state.has_motion());
            rates.kind[usize::from(local.off)][hour].add(occupied, today.1);
            if !local.special {
                rates.week[usize::from(local.weekday)][hour].add(occupied, today.1);
            }
        }
        rates
    }

    fn of(&self, local: &LocalHour) -> f64 {
        let (off, hour) = (usize::from(local.off), usize::from(local.hour));
        let kind = self.kind[off][hour].shrunk(self.wide[off], DAY_TYPE_SHRINK * self.unit);
        if local.special {
            return kind;
        }
        self.week[usize::from(local.weekday)][hour].shrunk(kind, WEEKDAY_SHRINK * self.unit)
    }
}
