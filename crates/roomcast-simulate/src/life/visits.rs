//! Short visits: people who pass through, fetch something, cook, or sleep badly.

use super::days::Today;
use crate::chance::{Dice, between, exponential, poisson};
use crate::sensor::Presence;

/// Relative number of visits at each hour of the day.
type Profile = [f64; 24];

/// Corridors and stores of places of work.
pub(crate) const DAYTIME: Profile = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.2, 0.7, 1.5, 1.4, 1.2, 1.3, 1.7, 1.5, 1.2, 1.2, 1.3, 1.1, 0.6, 0.25, 0.1, 0.05,
    0.02, 0.0,
];
/// Kitchens of places of work.
pub(crate) const MEALTIMES: Profile = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6, 1.5, 1.6, 1.0, 1.4, 3.5, 2.2, 0.9, 1.4, 0.8, 0.4, 0.15, 0.05, 0.0, 0.0,
    0.0, 0.0,
];
/// Kitchens and baths of homes.
pub(crate) const MORNING_AND_EVENING: Profile = [
    0.03, 0.01, 0.005, 0.005, 0.02, 0.1, 1.2, 2.0, 1.8, 1.3, 1.0, 1.0, 1.5, 1.1, 0.8, 0.8, 1.0, 1.6, 2.0, 1.8, 1.3,
    1.0, 0.7, 0.3,
];
/// Living rooms.
pub(crate) const EVENING: Profile = [
    0.06, 0.01, 0.005, 0.005, 0.01, 0.03, 0.3, 0.7, 0.8, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0, 1.0, 1.2, 1.6, 2.2, 2.6, 2.6,
    2.3, 1.5, 0.5,
];
/// Bedrooms.
pub(crate) const BEDTIME: Profile = [
    0.1, 0.04, 0.02, 0.02, 0.03, 0.2, 1.4, 1.6, 1.2, 0.8, 0.5, 0.4, 0.4, 0.5, 0.4, 0.4, 0.4, 0.5, 0.6, 0.7, 0.9, 1.4,
    1.6, 0.8,
];

/// The visits of a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visits {
    /// Mean number of visits on an average workday.
    pub per_day: f64,
    pub profile: &'static Profile,
    /// Mean length of a visit, hours.
    pub length: f64,
}

/// Hours of a day between which visits happen, and those within them between which none do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hours {
    pub up: (f64, f64),
    pub gone: (f64, f64),
}

impl Hours {
    /// The whole day.
    pub const ALL: Self = Self { up: (0.0, 24.0), gone: (24.0, 24.0) };
}

impl Visits {
    /// Appends the visits of a day on which the room has the given log level.
    pub fn spend_day(
        &self,
        today: &Today,
        later: f64,
        level: f64,
        hours: Hours,
        dice: &mut Dice,
        out: &mut Vec<Presence>,
    ) {
        let total: f64 = self.profile.iter().sum();
        let scale = self.per_day * level.exp() / total;
        for (hour, weight) in self.profile.iter().enumerate() {
            if *weight <= 0.0 {
                continue;
            }
            for _ in 0..poisson(dice, scale * weight).min(30) {
                let start = hour as f64 + later + between(dice, 0.0, 1.0);
                let end = start + 0.008 + exponential(dice, self.length);
                let Hours { up, gone } = hours;
                if start < today.leave && start >= up.0 && start < up.1 && !(start > gone.0 && start < gone.1) {
                    let end = if start < gone.0 { end.min(gone.0) } else { end.min(up.1) };
                    out.extend(Presence::hours(start, end, 12.0));
                }
            }
        }
    }
}
