//! Many different lifelike sites, to learn from what holds at all of them.

use chrono::NaiveDate;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::Readings;

use crate::chance::{Purpose, below, dice, factor};
use crate::{Building, Kind};

/// Numbers of rooms of the sites of [`experience_sites`], smallest and largest.
const ROOMS: (f64, f64) = (1.0, 41.0);

/// Numbers of days of the sites of [`experience_sites`], smallest and largest.
const DAYS: (f64, f64) = (60.0, 400.0);

/// 2014-01-01, the earliest first day of a site, in days since 1970-01-01, and the number of first days.
const FIRST_DAY: usize = 16_071;
const FIRST_DAYS: usize = 3_652;

/// A simulated site, as a forecast sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The readings; rooms that never had one are left out.
    pub readings: Readings,
    /// The calendar that its operator would have made ([`Building::calendar`]).
    pub calendar: Calendar,
}

/// The parameters from which a site is made.
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

/// Makes a site of a kind, with a first day drawn from 2014 to 2023. The same arguments give the same site on
/// any number of threads.
pub fn site(kind: Kind, seed: u64, rooms: usize, days: u32) -> Site {
    let date = |day: usize| NaiveDate::from_epoch_days(day as i32).unwrap_or_default();
    let first = FIRST_DAY + below(&mut dice(seed, Purpose::Plan, 0, 0), FIRST_DAYS);
    // The last day of a building is inclusive.
    let building =
        Building { kind, ..Building::new(seed, rooms, date(first), date((first + days as usize).max(1) - 1)) };
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
