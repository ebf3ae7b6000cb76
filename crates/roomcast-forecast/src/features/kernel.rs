//! The prior: a kernel rate per device and hour.
//!
//! The rate of a target hour weighs past hours by age (exponential decay), by day (same weekday most, other days of the
//! same type less) and by hour of day (neighbours a little). It is shrunk toward the site's rate for that hour and
//! day type.

use crate::calendar::LocalHour;

/// Half-life of the rate, days.
const HALF_LIFE: f64 = 21.0;
/// Half-life of the recent rate, days.
const RECENT_HALF_LIFE: f64 = 4.0;
/// Half-life of the level (observed against expected), days.
const LEVEL_HALF_LIFE: f64 = 4.0;
/// Extra weight of the same weekday, on top of that of any day of the same type.
const SAME_WEEKDAY_WEIGHT: f64 = 0.7;
/// Weight of each neighbouring hour.
pub(super) const NEIGHBOUR_WEIGHT: f64 = 0.2;
/// Weight of the site's rate, hours of evidence.
const SHRINK_HOURS: f64 = 1.5;
/// Weight with which the level is pulled toward 1, expected hours.
const LEVEL_SHRINK_HOURS: f64 = 3.0;

/// Returns a weight that grows with the day of an observation instead of shrinking with its age: ratios of sums are the
/// same, and no sum has to be aged. `half_life` and `days` (from any fixed day) are in days.
pub fn growth(half_life: f64, days: f64) -> f64 {
    (std::f64::consts::LN_2 / half_life * days).exp()
}

/// Doublings after which the weights of [`restarting_growth`] restart at 1: some years of growth would overflow.
const RESTART_DOUBLINGS: i32 = 512;
/// Factor on a weight from before a restart, two to the minus [`RESTART_DOUBLINGS`]: exact, so that no ratio of sums
/// changes by a bit.
const RESTART_FACTOR: f64 = f64::from_bits((1023 - RESTART_DOUBLINGS as u64) << 52);

/// Returns [`growth`] from day 0 on for any number of days, restarted at 1 every [`RESTART_DOUBLINGS`] doublings.
pub(super) fn restarting_growth(half_life: f64, day: i32) -> f64 {
    let doublings = f64::from(day) / half_life;
    (std::f64::consts::LN_2 * doublings.fract()).exp() * 2.0_f64.powi(doublings as i32 % RESTART_DOUBLINGS)
}

/// Returns a weight from at most some days before, rescaled if a restart lies between it and the weight `now`.
pub(super) fn rescaled(then: f64, now: f64) -> f64 {
    if then > now { then * RESTART_FACTOR } else { then }
}

/// Weights of an hour of some day in the rate, the recent rate and the level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    slow: f64,
    fast: f64,
    level: f64,
}

/// Returns the weights of each day from that of the first hour on. Days after `last_known`, a local day, weigh as much
/// as it.
pub(super) fn weights(locals: &[LocalHour], last_known: i32) -> Vec<Weights> {
    let (day0, days) = locals.first().zip(locals.last()).map_or((0, 0), |(a, b)| (a.day, b.day - a.day + 1));
    let weights = |day| Weights {
        slow: restarting_growth(HALF_LIFE, day),
        fast: restarting_growth(RECENT_HALF_LIFE, day),
        level: restarting_growth(LEVEL_HALF_LIFE, day),
    };
    (0..days).map(|day| weights(day.min(last_known.saturating_sub(day0)))).collect()
}

/// Weighted sums of occupied and observed hours.
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

    /// Rescales the sums for weights from after a restart.
    pub(super) fn rescale(&mut self) {
        self.occupied *= RESTART_FACTOR;
        self.observed *= RESTART_FACTOR;
    }

    fn plus(self, other: Cell, weight: f64) -> Cell {
        Cell { occupied: self.occupied + weight * other.occupied, observed: self.observed + weight * other.observed }
    }

    /// Returns the rate with `evidence` hours at `toward` mixed in.
    pub(super) fn rate(self, toward: f64, evidence: f64) -> f64 {
        (self.occupied + evidence * toward) / (self.observed + evidence)
    }
}

/// Rates of one device and hour besides the prior probability.
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

/// Computes the prior probability of each hour of the site grid and appends the other rates to `rates` if given.
///
/// `values`: state of each hour (1, 0 or NaN for unobserved), as long as the history; `locals`: history and horizon;
/// `weights`: one per day of `locals`; `site_rate`: the site's rate for each hour of `locals`. The value at hour `t`
/// uses hours up to `t - delay` only.
pub(super) fn priors(
    values: &[f32],
    locals: &[LocalHour],
    weights: &[Weights],
    site_rate: &[f32],
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
    let mut before = Weights { slow: 0.0, fast: 0.0, level: 0.0 };
    for (t, at) in locals.iter().enumerate() {
        let now = weights(at);
        if now.slow < before.slow {
            week.as_flattened_mut().iter_mut().chain(kind.as_flattened_mut()).for_each(Cell::rescale);
        }
        if now.fast < before.fast {
            recent.as_flattened_mut().iter_mut().for_each(Cell::rescale);
        }
        if now.level < before.level {
            level.rescale();
        }
        before = now;
        if let Some(past) = t.checked_sub(delay).filter(|&past| past < values.len() && !values[past].is_nan()) {
            let (y, l) = (f64::from(values[past]), &locals[past]);
            let then = weights(l);
            let (slow, fast) = (rescaled(then.slow, now.slow), rescaled(then.fast, now.fast));
            let lev = rescaled(then.level, now.level);
            let (hour, off) = (l.hour as usize, l.off as usize);
            // A holiday's hours say nothing about its weekday.
            if !l.special {
                week[l.weekday as usize][hour].add(y * slow, slow);
            }
            kind[off][hour].add(y * slow, slow);
            recent[off][hour].add(y * fast, fast);
            level.add(y * lev, f64::from(out[past]) * lev);
        }
        let Weights { slow, fast, level: lev } = now;
        let (hour, off) = (at.hour as usize, at.off as usize);
        let same = &kind[off];
        let (earlier, later) = (same[(hour + 23) % 24], same[(hour + 1) % 24]);
        let weekday = if !at.special { week[at.weekday as usize][hour] } else { Cell::default() };
        let b = f64::from(site_rate[t]);
        let all =
            same[hour].plus(weekday, SAME_WEEKDAY_WEIGHT).plus(earlier, NEIGHBOUR_WEIGHT).plus(later, NEIGHBOUR_WEIGHT);
        let prior = all.rate(b, SHRINK_HOURS * slow);
        out.push(prior as f32);
        if let Some(rates) = &mut rates {
            rates.push(Rates {
                weekday: weekday.rate(prior, slow) as f32,
                recent: recent[off][hour].rate(prior, 0.5 * fast) as f32,
                before: earlier.rate(prior, slow) as f32,
                after: later.rate(prior, slow) as f32,
                level: level.rate(1.0, LEVEL_SHRINK_HOURS * lev) as f32,
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;

    /// Rates over half a century, in which every weight restarts, stay those of a constant habit.
    #[test]
    fn rates_do_not_wear_out() {
        let calendar = Calendar::default();
        let locals: Vec<LocalHour> = (0..52 * 365 * 24).map(|hour| calendar.local(hour)).collect();
        let busy = |l: &LocalHour| f32::from(!l.off && (9..17).contains(&l.hour) && l.weekday != 2);
        let values: Vec<f32> = locals.iter().map(busy).collect();
        let (weights, site_rate, mut rates) = (weights(&locals, i32::MAX), vec![0.3; locals.len()], Vec::new());
        let restarts = |of: fn(&Weights) -> f64| weights.windows(2).filter(|pair| of(&pair[1]) < of(&pair[0])).count();
        assert_eq!([restarts(|w| w.slow), restarts(|w| w.fast), restarts(|w| w.level)], [1, 9, 9]);
        let priors = priors(&values, &locals, &weights, &site_rate, 24, Some(&mut rates));
        let week = 7 * 24;
        for t in 3 * 52 * week..locals.len() {
            let (now, then) = (&rates[t], &rates[t - week]);
            for (now, then) in [
                (priors[t], priors[t - week]),
                (now.weekday, then.weekday),
                (now.recent, then.recent),
                (now.before, then.before),
                (now.after, then.after),
                (now.level, then.level),
            ] {
                assert!((now - then).abs() < 1e-4, "hour {t}: {now} after {then}");
            }
        }
    }
}
