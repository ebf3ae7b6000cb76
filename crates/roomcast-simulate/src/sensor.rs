//! The motion sensor: from people in a room to the seconds at which it fires.

use super::chance::{Dice, Purpose, below, between, chance, dice, exponential, weighted};

/// Number of seconds in a day.
pub(crate) const DAY: u32 = 86_400;

/// Seconds for which a person who enters or leaves is sure to move.
const DOORWAY_SECONDS: u32 = 45;

/// Movements an hour of a person in the doorway.
const DOORWAY_RATE: f64 = 110.0;

/// A stretch of a day that a person is in the room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Presence {
    /// First second of the day.
    pub from: u32,
    /// Second after the last.
    pub to: u32,
    /// Movements an hour that a sensor could see. They add up when stretches overlap.
    pub rate: f64,
}

impl Presence {
    /// Makes a stretch from hours of the day, cut to the day; `None` if it is shorter than ten seconds.
    pub fn hours(from: f64, to: f64, rate: f64) -> Option<Self> {
        let second = |hour: f64| (hour.clamp(0.0, 24.0) * 3600.0) as u32;
        let (from, to) = (second(from), second(to));
        (to >= from + 10).then_some(Self { from, to, rate })
    }
}

/// The properties of one sensor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sensor {
    /// Seconds after firing during which the sensor sees nothing (hold-off time).
    blind: u32,
    /// Probability that one movement is reported a second time, 0 to 4 s later.
    echo: f64,
    /// Share of the movements in the room that the sensor can see.
    view: f64,
}

impl Sensor {
    /// Draws the sensor of a device. Most hold off for three minutes, as in buildings with one make throughout.
    pub fn of(seed: u64, device: u64) -> Self {
        let dice = &mut dice(seed, Purpose::Sensor, device, 0);
        let view = between(dice, 0.45, 1.05);
        match weighted(dice, &[0.76, 0.14, 0.10]) {
            0 => Self { blind: 190, echo: 0.0, view },
            1 => Self { blind: 10 + below(dice, 80) as u32, echo: 0.0, view },
            _ => Self { blind: 110, echo: between(dice, 0.2, 0.5), view },
        }
    }

    /// Appends the seconds of the day at which the sensor fires, ascending.
    ///
    /// Movements are a Poisson process whose rate is the sum over the people present (simulated by inverting the
    /// integrated rate; Devroye 1986, VI.1.3), thinned by the time the sensor is blind.
    pub fn fire(&self, presences: &[Presence], dice: &mut Dice, edges: &mut Vec<(u32, f64)>, fires: &mut Vec<u32>) {
        edges.clear();
        for presence in presences {
            let doorway = DOORWAY_SECONDS.min((presence.to - presence.from) / 2);
            edges.extend([
                (presence.from, presence.rate + DOORWAY_RATE),
                (presence.from + doorway, -DOORWAY_RATE),
                (presence.to - doorway, DOORWAY_RATE),
                (presence.to, -presence.rate - DOORWAY_RATE),
            ]);
        }
        edges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut rate = 0.0;
        let mut free_at = 0.0;
        let mut wait = exponential(dice, 1.0);
        for (i, &(start, change)) in edges.iter().enumerate() {
            rate += change;
            let end = edges.get(i + 1).map_or(f64::from(start), |next| f64::from(next.0));
            // Rates that should cancel may leave a rounding error.
            let per_second = rate * self.view / 3600.0;
            let mut now = f64::from(start).max(free_at);
            while per_second > 1e-9 && now < end {
                let next = now + wait / per_second;
                if next >= end {
                    wait -= (end - now) * per_second;
                    break;
                }
                fires.push(next as u32);
                if self.echo > 0.0 && chance(dice, self.echo) {
                    fires.push((next as u32 + below(dice, 5) as u32).min(DAY - 1));
                }
                free_at = next + f64::from(self.blind) + between(dice, 0.0, 8.0);
                now = free_at;
                wait = exponential(dice, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(sensor: Sensor, presences: &[Presence]) -> Vec<u32> {
        let mut out = Vec::new();
        sensor.fire(presences, &mut dice(1, Purpose::Firing, 0, 0), &mut Vec::new(), &mut out);
        out
    }

    #[test]
    fn fires_only_while_somebody_is_there_and_not_while_blind() {
        let sensor = Sensor { blind: 190, echo: 0.0, view: 1.0 };
        let presences = [Presence::hours(9.0, 11.0, 8.0).unwrap(), Presence::hours(14.0, 14.5, 8.0).unwrap()];
        let fires = fires(sensor, &presences);
        assert!((10..35).contains(&fires.len()), "{}", fires.len());
        assert!(fires.iter().all(|t| presences.iter().any(|p| (p.from..p.to).contains(t))));
        assert!(fires.windows(2).all(|pair| pair[1] - pair[0] >= 189));
    }

    #[test]
    fn more_people_mean_more_readings() {
        let sensor = Sensor { blind: 20, echo: 0.0, view: 1.0 };
        let one = Presence::hours(8.0, 18.0, 5.0).unwrap();
        assert!(fires(sensor, &[one; 6]).len() > 2 * fires(sensor, &[one]).len());
    }

    #[test]
    fn an_empty_room_is_silent() {
        assert!(fires(Sensor::of(1, 1), &[]).is_empty());
        assert_eq!(Presence::hours(9.0, 9.001, 5.0), None);
        assert_eq!(Presence::hours(24.5, 26.0, 5.0), None);
    }
}
