//! Hourly totals and rates over all devices of a site.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use polars::prelude::IdxSize;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::inputs::SiteHour;
use super::kernel::{self, Cell, Weights};
use super::lags::Lags;
use super::memories::SiteMemories;
use super::odds::logit;
use crate::calendar::LocalHour;
use crate::hourly::{DeviceHours, HORIZON, Hourly, State};

/// Half-life of the site's rates, days.
const HALF_LIFE: f64 = 28.0;
/// Half-life of the site's level (observed against expected), days.
const LEVEL_HALF_LIFE: f64 = 2.0;
/// Share of occupied hours assumed without data, worth [`DEFAULT_SHARE_HOURS`] hours of evidence.
const DEFAULT_SHARE: f64 = 0.15;
/// Hours of evidence behind [`DEFAULT_SHARE`].
const DEFAULT_SHARE_HOURS: f64 = 10.0;
/// Factor on the average share of occupied hours for a day off without data.
const DAY_OFF_FACTOR: f64 = 0.3;

/// Number of devices of which priors are in memory.
const DEVICES_AT_ONCE: usize = 1024;

/// Value of [`SiteRates::silent_share`] assumed before the site has shown it.
const DEFAULT_SILENT_SHARE: f64 = 0.2;
/// Expected hours of evidence behind [`DEFAULT_SILENT_SHARE`].
const DEFAULT_SILENT_HOURS: f64 = 20.0;

/// Hourly data of the whole site, on the site grid (history and horizon).
#[derive(Debug, Clone)]
pub struct SiteRates {
    /// Number of devices occupied in each hour of the history.
    pub occupied: Vec<f32>,
    /// Number of devices observed in each hour of the history.
    pub observed: Vec<f32>,
    /// Number of occupied hours that the priors of the observed devices expect.
    pub expected: Vec<f32>,
    /// The site's rate for each hour, as known [`HORIZON`] hours ahead.
    pub rate: Vec<f32>,
    /// Observed against expected occupancy of devices on days on which they counted as silent, 0 to 1: the factor on
    /// the forecast of a silent device.
    pub silent_share: f64,
    /// Grid positions, for each hour, of the hours that calendar lags point to.
    pub lags: Lags,
    /// The parts of the design matrices that are the same for all devices.
    pub(super) shared: Shared,
}

/// The parts of the design matrices that are the same for all devices, computed once.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// Weights of an hour of each day in a device's rates.
    pub weights: Vec<Weights>,
    /// The site's values of each hour.
    pub hours: Vec<SiteHour>,
    /// Entry `n` is the logarithm of 1 plus the days of `n` hours.
    pub histories: Vec<f32>,
    /// Sums that the columns of the shipped layers share.
    pub memories: SiteMemories,
    /// The grid position of the midnight at which the day of the first hour to forecast has begun, and the same sums as of
    /// then; `None` for a forecast from midnight on.
    pub midnight: Option<(usize, SiteMemories)>,
}

/// The parts of a [`SiteRates`] that come from its devices; the rest follows from these and the calendar. Vectors have
/// one entry per hour of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Number of devices occupied in each hour.
    pub occupied: Vec<f32>,
    /// Number of devices observed in each hour.
    pub observed: Vec<f32>,
    /// Number of occupied hours that the priors of the observed devices expect.
    pub expected: Vec<f32>,
    /// Same as [`SiteRates::silent_share`].
    pub silent_share: f64,
}

impl SiteRates {
    /// Adds up the devices of a grid.
    pub fn new(hourly: &Hourly) -> SiteRates {
        SiteRates::from_totals(Totals::new(hourly), hourly)
    }

    /// Builds from the totals of the devices, on a grid that need not hold them.
    pub fn from_totals(totals: Totals, hourly: &Hourly) -> SiteRates {
        let Totals { occupied, observed, expected, silent_share } = totals;
        let rate = rate(&occupied, &observed, hourly);
        let level = level(&occupied, &expected, hourly);
        let lags = Lags::new(&hourly.locals);
        let busy = |at: usize| (*observed.get(at)? > 0.0).then(|| occupied[at] / observed[at]);
        let pull = |(&at, rate): (&IdxSize, &f32)| busy(at as usize).map_or(0.0, |y| y - rate);
        let pulls = lags.same_type[0].iter().zip(&rate).map(pull);
        let hours = rate.iter().zip(pulls).zip(level);
        let past = occupied.len();
        let begun = |local: &LocalHour| hourly.locals.get(past).is_some_and(|next| next.day == local.day);
        let midnight = hourly.locals[..past].iter().rposition(|local| !begun(local)).map(|before| before + 1);
        let midnight = midnight.filter(|&midnight| midnight < past);
        let memories = |past: usize| SiteMemories::new(hourly, &occupied[..past], &expected[..past]);
        let shared = Shared {
            weights: kernel::weights(&hourly.locals, hourly.last_known_day()),
            hours: hours
                .map(|((&rate, last_pull), level)| SiteHour { rate, logit: logit(rate), last_pull, level })
                .collect(),
            histories: (0..rate.len()).map(|hours| (hours as f32 / 24.0).ln_1p()).collect(),
            memories: memories(past),
            midnight: midnight.map(|midnight| (midnight, memories(midnight))),
        };
        SiteRates { occupied, observed, expected, rate, silent_share, lags, shared }
    }

    /// Returns the same for a grid that reaches further ([`Hourly::reaching`]).
    pub fn reaching(&self, hourly: &Hourly) -> SiteRates {
        let SiteRates { occupied, observed, expected, silent_share, .. } = self.clone();
        SiteRates::from_totals(Totals { occupied, observed, expected, silent_share }, hourly)
    }

    /// Returns a digest of the totals: equal totals have the same, others differ but for chance.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for totals in [&self.occupied, &self.observed, &self.expected] {
            totals.len().hash(&mut hasher);
            totals.iter().for_each(|total| total.to_bits().hash(&mut hasher));
        }
        self.silent_share.to_bits().hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the number of hours observed, over all devices.
    pub fn hours(&self) -> usize {
        self.observed.iter().map(|&devices| devices as usize).sum()
    }

    /// Returns the largest number of devices observed in one hour.
    pub fn devices(&self) -> usize {
        self.observed.iter().copied().fold(0.0, f32::max) as usize
    }
}

impl Totals {
    /// Adds up the devices of a grid.
    pub fn new(hourly: &Hourly) -> Totals {
        let past = (hourly.end - hourly.first) as usize;
        let mut occupied = vec![0.0_f32; past];
        let mut observed = vec![0.0_f32; past];
        for device in &hourly.devices {
            let skip = (device.first - hourly.first) as usize;
            for (at, value) in device.states.iter().enumerate().filter_map(|(i, s)| Some((skip + i, s.value()?))) {
                occupied[at] += value;
                observed[at] += 1.0;
            }
        }
        let rate = rate(&occupied, &observed, hourly);
        let weights = kernel::weights(&hourly.locals, hourly.last_known_day());
        let priors = |device: &Arc<DeviceHours>| -> (usize, Vec<f32>, Cell) {
            let values = values(hourly, device);
            let prior = kernel::priors(&values, &hourly.locals, &weights, &rate, HORIZON, None);
            let skip = (device.first - hourly.first) as usize;
            let expected = (skip..past).map(|at| if values[at].is_nan() { 0.0 } else { prior[at] }).collect();
            (skip, expected, silent(hourly, device, &values, &prior))
        };
        let mut expected = vec![0.0_f32; past];
        let mut silent = Cell::default();
        // The priors of all devices at once would be larger than their grid.
        for devices in hourly.devices.chunks(DEVICES_AT_ONCE) {
            for (skip, values, cell) in devices.par_iter().map(priors).collect::<Vec<_>>() {
                for (sum, value) in expected[skip..].iter_mut().zip(values) {
                    *sum += value;
                }
                silent.add(cell.occupied, cell.observed);
            }
        }
        let silent_share = silent.rate(DEFAULT_SILENT_SHARE, DEFAULT_SILENT_HOURS).min(1.0);
        Totals { occupied, observed, expected, silent_share }
    }
}

/// Returns a device's states on the site grid: 1, 0 or NaN.
pub(super) fn values(hourly: &Hourly, device: &DeviceHours) -> Vec<f32> {
    let mut values = vec![f32::NAN; (hourly.end - hourly.first) as usize];
    let skip = (device.first - hourly.first) as usize;
    for (value, state) in values[skip..].iter_mut().zip(device.states.iter()) {
        *value = state.value().unwrap_or(f32::NAN);
    }
    values
}

/// Returns the occupied and expected hours of a device on the days on which it counted as silent.
fn silent(hourly: &Hourly, device: &DeviceHours, values: &[f32], prior: &[f32]) -> Cell {
    let mut sum = Cell::default();
    let skip = values.len() - device.states.len();
    // The last hour may be unobserved only because it is not over.
    let whole = values.len().saturating_sub(1);
    for day in hourly.locals[skip..whole].chunk_by(|a, b| a.day == b.day).scan(skip, |at, day| {
        *at += day.len();
        Some(*at - day.len()..*at)
    }) {
        if day.clone().any(|at| device.states[at - skip] == State::Unobserved) {
            for at in day {
                sum.add(f64::from(values[at] == 1.0), f64::from(prior[at]));
            }
        }
    }
    sum
}

fn rate(occupied: &[f32], observed: &[f32], hourly: &Hourly) -> Vec<f32> {
    let locals = &hourly.locals;
    let mut kind = [[Cell::default(); 24]; 2];
    let mut all = Cell::default();
    let weights = weights(HALF_LIFE, hourly);
    let mut before = 0.0;
    let mut out = Vec::with_capacity(locals.len());
    for (t, (at, &w)) in locals.iter().zip(&weights).enumerate() {
        if w < before {
            kind.as_flattened_mut().iter_mut().chain([&mut all]).for_each(Cell::rescale);
        }
        before = w;
        if let Some(past) = t.checked_sub(HORIZON).filter(|&past| past < occupied.len()) {
            let (l, then) = (&locals[past], kernel::rescaled(weights[past], w));
            let (y, n) = (f64::from(occupied[past]) * then, f64::from(observed[past]) * then);
            kind[l.off as usize][l.hour as usize].add(y, n);
            all.add(y, n);
        }
        let overall = all.rate(DEFAULT_SHARE, DEFAULT_SHARE_HOURS * w) * if at.off { DAY_OFF_FACTOR } else { 1.0 };
        out.push(kind[at.off as usize][at.hour as usize].rate(overall, 2.0 * w) as f32);
    }
    out
}

/// Returns the weight of each hour of a grid; weights double with every half-life.
fn weights(half_life: f64, hourly: &Hourly) -> Vec<f64> {
    let (day0, last) = (hourly.locals.first().map_or(0, |l| l.day), hourly.last_known_day());
    hourly.locals.iter().map(|l| kernel::restarting_growth(half_life, l.day.min(last) - day0)).collect()
}

fn level(occupied: &[f32], expected: &[f32], hourly: &Hourly) -> Vec<f32> {
    let mut sum = Cell::default();
    let weights = weights(LEVEL_HALF_LIFE, hourly);
    let mut before = 0.0;
    let mut out = Vec::with_capacity(weights.len());
    for (t, &w) in weights.iter().enumerate() {
        if w < before {
            sum.rescale();
        }
        before = w;
        if let Some(past) = t.checked_sub(HORIZON).filter(|&past| past < occupied.len()) {
            let then = kernel::rescaled(weights[past], w);
            sum.add(f64::from(occupied[past]) * then, f64::from(expected[past]) * then);
        }
        out.push(sum.rate(1.0, 5.0 * w).ln() as f32);
    }
    out
}
