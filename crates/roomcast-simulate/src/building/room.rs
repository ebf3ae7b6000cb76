//! Rooms: their kinds, their changing habits, and the people in them on a day.

use std::iter::repeat_n;

use super::meetings::{Bookings, Slot};
use super::people::Person;
use super::site::{DayKind, SiteDay};
use crate::chance::{Dice, Purpose, below, between, chance, dice, exponential, poisson, weighted};
use crate::sensor::Presence;

/// The use a room was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BusyMeeting,
    QuietMeeting,
    Office,
    OpenPlan,
    Corridor,
    Kitchen,
    Lab,
    Rare,
    Storage,
}

use Kind::{BusyMeeting, Corridor, Kitchen, Lab, Office, OpenPlan, QuietMeeting, Rare, Storage};

/// Number of rooms of each kind among twenty. Every twenty devices hold this mix in an order of their own.
const KIND_COUNTS: [(Kind, usize); 9] = [
    (BusyMeeting, 5),
    (QuietMeeting, 3),
    (Office, 4),
    (OpenPlan, 2),
    (Corridor, 1),
    (Kitchen, 1),
    (Lab, 2),
    (Rare, 1),
    (Storage, 1),
];

/// Number of days in which a habit can change at most once.
const REGIME_DAYS: i32 = 182;

/// Relative number of visits at each hour of the day.
type Profile = [f64; 24];

const DAYTIME_PROFILE: Profile = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.15, 0.7, 1.5, 1.4, 1.2, 1.3, 1.7, 1.5, 1.2, 1.2, 1.3, 1.1, 0.5, 0.15, 0.05, 0.02,
    0.0, 0.0,
];
const MEALTIME_PROFILE: Profile = [
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6, 1.5, 1.6, 1.0, 1.4, 3.5, 2.2, 0.9, 1.4, 0.8, 0.4, 0.15, 0.05, 0.0, 0.0,
    0.0, 0.0,
];

/// Short visits: people who pass through, fetch something, or make coffee.
#[derive(Debug, Clone, Copy)]
struct Visits {
    /// Mean number of visits on an average working day.
    per_day: f64,
    profile: &'static Profile,
    /// Mean length of a visit, hours.
    length: f64,
}

/// The crew that cleans a room before people come or after they leave.
#[derive(Debug, Clone, Copy)]
struct Cleaning {
    hour: f64,
    weekdays: [bool; 5],
}

/// The use of a room from some day on.
#[derive(Debug, Clone)]
struct Habit {
    /// First day, in days since 1970-01-01.
    since: i32,
    number: i64,
    team: Vec<Person>,
    bookings: Bookings,
    visits: Visits,
}

/// One room and its uses over the span of a simulation.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    device: u64,
    /// The habits from the last to the first; the first in time begins on or before the span's first day.
    habits: Vec<Habit>,
    cleaning: Option<Cleaning>,
}

impl Room {
    /// Draws the room of a device, with its habits between two days.
    pub fn draw(seed: u64, density: f64, device: u64, first: i32, last: i32) -> Self {
        let phase = (device as i32).wrapping_mul(61).rem_euclid(REGIME_DAYS);
        let mut habits = Vec::new();
        // Walking back to the last change before the span, or to 1970, makes the habit of a day independent of the
        // span.
        for block in (0..=(last + phase).div_euclid(REGIME_DAYS)).rev() {
            let dice = &mut dice(seed, Purpose::Regime, device, i64::from(block));
            let since = block * REGIME_DAYS - phase + below(dice, REGIME_DAYS as usize) as i32;
            if since <= last && chance(dice, 0.25) {
                let kind = if chance(dice, 0.3) {
                    KIND_COUNTS[weighted(dice, &KIND_COUNTS.map(|(_, rooms)| rooms as f64))].0
                } else {
                    kind(seed, device)
                };
                habits.push(habit(seed, density, device, kind, since, i64::from(block)));
            }
            if habits.last().is_some_and(|habit| habit.since <= first) {
                break;
            }
        }
        if habits.last().is_none_or(|habit| habit.since > first) {
            habits.push(habit(seed, density, device, kind(seed, device), i32::MIN, -1));
        }
        let dice = &mut dice(seed, Purpose::Habit, device, -2);
        let hour = if chance(dice, 0.5) { between(dice, 3.5, 6.5) } else { between(dice, 17.8, 20.5) };
        let often = between(dice, 0.15, 0.8);
        let weekdays = std::array::from_fn(|_| chance(dice, often));
        let cleaning = chance(dice, 0.22).then_some(Cleaning { hour, weekdays });
        Self { device, habits, cleaning }
    }

    /// Appends the presences in the room on a day on which its floor has the given level.
    pub fn spend_day(&self, seed: u64, site: &SiteDay, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let Some(habit) = self.habits.iter().find(|habit| habit.since <= site.day) else { return };
        if site.kind == DayKind::Silent {
            return;
        }
        for person in &habit.team {
            person.spend_day(seed, site, level, dice, out);
        }
        let slot = Slot { device: self.device, regime: habit.number };
        habit.bookings.spend_day(seed, slot, site, level, dice, out);
        habit.visits.spend_day(site, level, dice, out);
        if site.kind == DayKind::Weekend {
            return;
        }
        if let Some(cleaning) = self.cleaning.filter(|cleaning| cleaning.weekdays[site.weekday]) {
            let start = cleaning.hour + between(dice, -0.2, 0.2);
            let minutes = between(dice, 2.0, 8.0);
            if chance(dice, 0.85) {
                out.extend(Presence::hours(start, start + minutes / 60.0, 15.0));
            }
        }
        if chance(dice, 0.002) {
            // The night watch looks in.
            let start = between(dice, 0.0, 4.5);
            out.extend(Presence::hours(start, start + 0.02, 40.0));
        }
    }
}

impl Visits {
    fn spend_day(&self, site: &SiteDay, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let total: f64 = self.profile.iter().sum();
        // On weekends a building is crossed on a few days a month, not a little every hour.
        let level = match site.kind {
            DayKind::Weekend if chance(dice, 0.1) => 0.06,
            DayKind::Weekend | DayKind::Silent => 0.0,
            DayKind::Work | DayKind::Bridge => level,
        };
        for (hour, weight) in self.profile.iter().enumerate() {
            if *weight <= 0.0 || hour as f64 >= site.leave {
                continue;
            }
            for _ in 0..poisson(dice, self.per_day * level * weight / total) {
                let start = hour as f64 + between(dice, 0.0, 1.0);
                out.extend(Presence::hours(start, start + 0.006 + exponential(dice, self.length), 12.0));
            }
        }
    }
}

/// Returns the kind a device was built for: its card in the shuffled deck of its twenty.
fn kind(seed: u64, device: u64) -> Kind {
    let mut deck: Vec<Kind> = KIND_COUNTS.iter().flat_map(|&(kind, rooms)| repeat_n(kind, rooms)).collect();
    let n = deck.len();
    let dice = &mut dice(seed, Purpose::Deck, device / n as u64, 0);
    for i in (1..n).rev() {
        deck.swap(i, below(dice, i + 1));
    }
    deck[(device % n as u64) as usize]
}

/// Draws the use of a room, around what is usual for its kind.
fn habit(seed: u64, density: f64, device: u64, kind: Kind, since: i32, number: i64) -> Habit {
    let dice = &mut dice(seed, Purpose::Habit, device, number);
    let taste = density * between(dice, 0.6, 1.5);
    let (desks, late) = match kind {
        Office => (1 + usize::from(chance(dice, 0.15)), chance(dice, 0.08)),
        OpenPlan => (4 + below(dice, 9), false),
        Lab => (2 + below(dice, 3), true),
        _ => (0, false),
    };
    // A desk is used or not: density changes the number of desks in use rather than the days.
    let desks = ((desks as f64) * density + between(dice, 0.0, 1.0)).floor() as usize;
    let id = |i: usize| device << 6 | (i as u64 & 63);
    let team = (0..desks.min(64)).map(|i| Person::draw(dice, id(i), late)).collect();
    let length = between(dice, 0.8, 1.5);
    let people = between(dice, 2.5, 7.0);
    let (series, ad_hoc, workshops) = match kind {
        BusyMeeting => (5.5, 2.7, 0.06),
        QuietMeeting => (1.8, 0.9, 0.02),
        Office => (0.0, 0.15, 0.0),
        Rare => (0.15, 0.1, 0.01),
        _ => (0.0, 0.0, 0.0),
    };
    let (per_day, length_of_visit, profile) = match kind {
        Corridor => (90.0, 0.01, &DAYTIME_PROFILE),
        Kitchen => (35.0, 0.06, &MEALTIME_PROFILE),
        Storage => (1.2, 0.05, &DAYTIME_PROFILE),
        Lab | OpenPlan => (1.0, 0.03, &DAYTIME_PROFILE),
        Rare => (0.1, 0.02, &DAYTIME_PROFILE),
        _ => (0.4, 0.02, &DAYTIME_PROFILE),
    };
    Habit {
        since,
        number,
        team,
        bookings: Bookings { series: series * taste, ad_hoc: ad_hoc * taste, length, people, workshops },
        visits: Visits { per_day: per_day * taste, profile, length: length_of_visit },
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::building::site::day_number;

    fn day(year: i32) -> i32 {
        day_number(NaiveDate::from_ymd_opt(year, 3, 1).unwrap())
    }

    #[test]
    fn every_twenty_rooms_are_the_same_mix() {
        for block in 0..5 {
            let offices = (0..20).filter(|i| kind(9, block * 20 + i) == Office).count();
            assert_eq!(offices, 4);
        }
    }

    #[test]
    fn habits_do_not_depend_on_the_span() {
        let at = |room: &Room, day| room.habits.iter().find(|h| h.since <= day).map(|h| (h.since, h.number));
        let mut changes = 0;
        for device in 0..40 {
            let long = Room::draw(1, 1.0, device, day(2012), day(2020));
            let short = Room::draw(1, 1.0, device, day(2015), day(2016));
            for day in (day(2015)..=day(2016)).step_by(9) {
                assert_eq!(at(&long, day), at(&short, day));
            }
            changes += long.habits.len() - 1;
        }
        assert!((80..240).contains(&changes), "{changes} changes in 320 room-years");
    }
}
