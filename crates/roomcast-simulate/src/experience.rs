//! Many different lifelike sites, to learn from what holds at all of them.

use chrono::{Days, NaiveDate};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::Readings;

use crate::chance::{Purpose, below, dice, factor};
use crate::{Building, Kind};

/// Numbers of rooms of the sites of [`experience_sites`], smallest and largest.
const ROOMS: (f64, f64) = (1.0, 41.0);

/// Numbers of days of the sites of [`experience_sites`], smallest and largest.
const DAYS: (f64, f64) = (60.0, 400.0);

/// A simulated site, as a forecast sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The readings; rooms that never had one are left out.
    pub readings: Readings,
    /// The calendar that its operator would have made ([`Building::calendar`]).
    pub calendar: Calendar,
}

/// What a site is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SitePlan {
    /// The kind of site.
    pub kind: Kind,
    /// The seed that its numbers follow from.
    pub seed: u64,
    /// Number of rooms.
    pub rooms: usize,
    /// Number of days.
    pub days: u32,
}

impl SitePlan {
    /// Makes the site.
    pub fn build(&self) -> Site {
        site(self.kind, self.seed, self.rooms, self.days)
    }
}

/// Makes a site of a kind, on days that begin on a date drawn from ten years. The same arguments give the same site on
/// any number of threads.
pub fn site(kind: Kind, seed: u64, rooms: usize, days: u32) -> Site {
    let first = below(&mut dice(seed, Purpose::Plan, 0, 0), 3650) as u64;
    let from = NaiveDate::default() + Days::new(15 * 365 + first);
    let building = Building { kind, ..Building::new(seed, rooms, from, from + Days::new(u64::from(days))) };
    // The last day of a building is inclusive.
    let building = Building { to: building.to - Days::new(1), ..building };
    Site { readings: building.readings(), calendar: building.calendar() }
}

/// Plans a number of different sites: the lifelike kinds in turn, 1 to 40 rooms, small sites more often than large ones,
/// 60 to 400 days. The first sites of a longer list are those of a shorter one.
pub fn experience_sites(count: usize, seed: u64) -> Vec<SitePlan> {
    let plan = |i: usize| {
        let dice = &mut dice(seed, Purpose::Plan, 1, i as i64);
        SitePlan {
            kind: Kind::LIFELIKE[i % Kind::LIFELIKE.len()],
            seed: seed << 32 ^ i as u64,
            rooms: factor(dice, ROOMS.0, ROOMS.1) as usize,
            days: factor(dice, DAYS.0, DAYS.1) as u32,
        }
    };
    (0..count).map(plan).collect()
}
