//! Faults of sensors: late installation, death, flat batteries, chatter.

use super::chance::{Dice, Purpose, between, chance, dice, exponential, poisson, weighted};
use super::sensor::DAY;
use roomcast_forecast::calendar::Timestamp;

/// The faults of one device over the span of a simulation. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Faults {
    /// The first instant with reports.
    installed: Option<Timestamp>,
    /// The instant of the sensor's death, from which it reports nothing.
    dead: Option<Timestamp>,
    /// Stretches without a report.
    silent: Vec<(Timestamp, Timestamp)>,
    chatter: Vec<Chatter>,
}

/// A stretch during which the sensor fires all the time, in an empty room too.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chatter {
    from: Timestamp,
    to: Timestamp,
    /// Mean seconds from one report to the next.
    gap: f64,
}

impl Faults {
    /// Draws the faults of a device between two instants; a `share` of all devices has any.
    pub fn draw(seed: u64, share: f64, device: u64, from: Timestamp, to: Timestamp) -> Self {
        let dice = &mut dice(seed, Purpose::Fault, device, 0);
        let mut faults = Self::default();
        if !chance(dice, share) {
            return faults;
        }
        let span = (to - from) as f64;
        let days = span / f64::from(DAY);
        let at = |share: f64| from + (span * share) as i64;
        let several = if chance(dice, 0.25) { 2 } else { 1 };
        for _ in 0..several {
            match weighted(dice, &[0.3, 0.2, 0.3, 0.2]) {
                0 => faults.installed = Some(at(between(dice, 0.1, 0.6))),
                1 => faults.dead = Some(at(between(dice, 0.35, 0.95))),
                2 => {
                    for _ in 0..1 + poisson(dice, days / 250.0) {
                        let start = at(between(dice, 0.05, 0.9));
                        let length = (between(dice, 5.0, 25.0) * f64::from(DAY)).min(span * 0.4);
                        faults.silent.push((start, start + length as i64));
                    }
                }
                _ => {
                    for _ in 0..1 + poisson(dice, days / 300.0) {
                        let start = at(between(dice, 0.05, 0.95));
                        let hours = (0.5 + exponential(dice, 8.0)).min(72.0);
                        let chatter =
                            Chatter { from: start, to: start + (hours * 3600.0) as i64, gap: between(dice, 3.0, 20.0) };
                        faults.chatter.push(chatter);
                    }
                }
            }
        }
        faults
    }

    /// Applies the faults to the reports of a sound sensor on the day that begins at `midnight`.
    pub fn apply(&self, midnight: Timestamp, dice: &mut Dice, fires: &mut Vec<u32>) {
        for chatter in &self.chatter {
            let start = (chatter.from - midnight).max(0) as f64;
            let end = (chatter.to - midnight).min(i64::from(DAY)) as f64;
            let mut now = start + between(dice, 0.0, chatter.gap);
            while now < end {
                fires.push(now as u32);
                now += chatter.gap * between(dice, 0.7, 1.3);
            }
        }
        let reports = |second: u32| {
            let time = midnight + i64::from(second);
            self.installed.is_none_or(|from| time >= from)
                && self.dead.is_none_or(|from| time < from)
                && !self.silent.iter().any(|&(from, to)| (from..to).contains(&time))
        };
        if *self != Self::default() {
            fires.retain(|&second| reports(second));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: i64 = 60 * DAY as i64;

    #[test]
    fn the_share_of_faulty_devices_is_kept() {
        let faulty = |share| (0..2000).filter(|&i| Faults::draw(1, share, i, 0, SPAN) != Faults::default()).count();
        assert_eq!(faulty(0.0), 0);
        assert_eq!(faulty(1.0), 2000);
        assert!((120..290).contains(&faulty(0.1)));
    }

    #[test]
    fn silence_wins_over_chatter() {
        let faults = Faults {
            installed: Some(100),
            dead: Some(5000),
            silent: vec![(1000, 2000)],
            chatter: vec![Chatter { from: 500, to: 9000, gap: 10.0 }],
        };
        let mut fires = vec![50, 200, 1500, 60_000];
        faults.apply(0, &mut dice(1, Purpose::Firing, 0, 0), &mut fires);
        assert!(fires.contains(&200));
        assert!(fires.iter().all(|t| (100..1000).contains(t) || (2000..5000).contains(t)));
        assert!((250..500).contains(&fires.len()), "{}", fires.len());
    }

    #[test]
    fn chatter_goes_on_after_midnight() {
        let day = i64::from(DAY);
        let faults =
            Faults { chatter: vec![Chatter { from: day - 3600, to: day + 3600, gap: 5.0 }], ..Faults::default() };
        let on = |midnight| {
            let mut fires = Vec::new();
            faults.apply(midnight, &mut dice(1, Purpose::Firing, 0, midnight), &mut fires);
            fires
        };
        assert!(on(0).iter().all(|&t| t >= DAY - 3600) && on(0).len() > 500);
        assert!(on(day).iter().all(|&t| t < 3600) && on(day).len() > 500);
        assert!(on(2 * day).is_empty());
    }
}
