//! The prior: a kernel rate per device and hour.
//!
//! For a target hour the rate weighs past hours by age (exponential decay), by day (same weekday
//! most, other days of the same type less), by hour of day (neighbours a little), and is shrunk
//! toward the building's rate for that hour and day type.

use crate::calendar::LocalHour;

/// Half-life of the rate, days.
const HALF_LIFE: f64 = 21.0;
/// Half-life of the recent rate, days.
const RECENT_HALF_LIFE: f64 = 4.0;
/// Half-life of the level (observed against expected), days.
const LEVEL_HALF_LIFE: f64 = 4.0;
/// Extra weight of the same weekday beside that of any day of the same type.
const SAME_WEEKDAY: f64 = 0.7;
/// Weight of each neighbouring hour.
const NEIGHBOUR: f64 = 0.2;
/// Hours of evidence that the building's rate counts for.
const SHRINK: f64 = 1.5;
/// Expected hours that pull the level toward 1.
const LEVEL_SHRINK: f64 = 3.0;

/// Weight of an observation that grows with its day instead of shrinking with age: ratios of sums
/// are the same, and no sum has to be aged. `half_life` and `days` (from any fixed day) are in days.
pub fn growth(half_life: f64, days: f64) -> f64 {
    (std::f64::consts::LN_2 / half_life * days).exp()
}

/// What an hour of some day weighs in the rate, in the recent rate and in the level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    slow: f64,
    fast: f64,
    level: f64,
}

/// The weights of each day from that of the first hour on.
pub(super) fn weights(locals: &[LocalHour]) -> Vec<Weights> {
    let days = locals.first().zip(locals.last()).map_or(0, |(first, last)| last.day - first.day + 1);
    let of = |half_life: f64, day: i32| growth(half_life, f64::from(day));
    let weights =
        |day| Weights { slow: of(HALF_LIFE, day), fast: of(RECENT_HALF_LIFE, day), level: of(LEVEL_HALF_LIFE, day) };
    (0..days).map(weights).collect()
}

/// Weighted occupied and observed hours.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    pub occupied: f64,
    pub observed: f64,
}

impl Cell {
    pub(super) fn add(&mut self, occupied: f64, observed: f64) {
        self.occupied += occupied;
        self.observed += observed;
    }

    fn plus(self, other: Cell, weight: f64) -> Cell {
        Cell { occupied: self.occupied + weight * other.occupied, observed: self.observed + weight * other.observed }
    }

    /// The rate with `evidence` hours at `toward` mixed in.
    pub(super) fn rate(self, toward: f64, evidence: f64) -> f64 {
        (self.occupied + evidence * toward) / (self.observed + evidence)
    }
}

/// What the kernel says of one device and hour beside the prior probability.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    /// Rate of the same weekday and hour, shrunk toward the prior.
    pub weekday: f32,
    /// Rate of the same day type and hour with a short memory, shrunk toward the prior.
    pub recent: f32,
    /// Rate of the same day type, one hour before.
    pub before: f32,
    /// Rate of the same day type, one hour after.
    pub after: f32,
    /// Observed against expected occupancy of the last days.
    pub level: f32,
}

/// Computes the prior probability of each hour of the site grid and, where they are wanted, appends its other rates.
///
/// `values`: state of each hour (1, 0 or NaN for unobserved), as long as the history; `locals`: history and
/// horizon; `weights`: of its days; `building`: the building's rate for each hour of `locals`. The value at hour `t`
/// uses hours up to `t - delay` only.
pub(super) fn priors(
    values: &[f32],
    locals: &[LocalHour],
    weights: &[Weights],
    building: &[f32],
    delay: usize,
    mut rates: Option<&mut Vec<Rates>>,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(locals.len());
    let mut week = [[Cell::default(); 24]; 7];
    let mut kind = [[Cell::default(); 24]; 2];
    let mut recent = [[Cell::default(); 24]; 2];
    let mut level = Cell::default();
    let day0 = locals.first().map_or(0, |l| l.day);
    let weights = |l: &LocalHour| weights[(l.day - day0) as usize];
    for (t, at) in locals.iter().enumerate() {
        if let Some(past) = t.checked_sub(delay).filter(|&past| past < values.len() && !values[past].is_nan()) {
            let (y, l) = (f64::from(values[past]), &locals[past]);
            let Weights { slow, fast, level: lev } = weights(l);
            let (hour, off) = (l.hour as usize, l.off as usize);
            // A holiday's hours say nothing about its weekday.
            if !l.special {
                week[l.weekday as usize][hour].add(y * slow, slow);
            }
            kind[off][hour].add(y * slow, slow);
            recent[off][hour].add(y * fast, fast);
            level.add(y * lev, f64::from(out[past]) * lev);
        }
        let Weights { slow, fast, level: lev } = weights(at);
        let (hour, off) = (at.hour as usize, at.off as usize);
        let same = &kind[off];
        let (earlier, later) = (same[(hour + 23) % 24], same[(hour + 1) % 24]);
        let weekday = if !at.special { week[at.weekday as usize][hour] } else { Cell::default() };
        let b = f64::from(building[t]);
        let all = same[hour].plus(weekday, SAME_WEEKDAY).plus(earlier, NEIGHBOUR).plus(later, NEIGHBOUR);
        let prior = all.rate(b, SHRINK * slow);
        out.push(prior as f32);
        if let Some(rates) = &mut rates {
            rates.push(Rates {
                weekday: weekday.rate(prior, slow) as f32,
                recent: recent[off][hour].rate(prior, 0.5 * fast) as f32,
                before: earlier.rate(prior, slow) as f32,
                after: later.rate(prior, slow) as f32,
                level: level.rate(1.0, LEVEL_SHRINK * lev) as f32,
            });
        }
    }
    out
}
