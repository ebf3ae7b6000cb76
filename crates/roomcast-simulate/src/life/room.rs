//! A room of a lifelike site: its use, which changes now and then, and its state from day to day.

use super::days::Today;
use super::diary::Diary;
use super::lasting::{Level, Spell};
use super::people::Person;
use super::traits::Traits;
use super::visits::{BEDTIME, DAYTIME, EVENING, Hours, MEALTIMES, MORNING_AND_EVENING, Visits};
use crate::Kind;
use crate::chance::{Dice, Purpose, below, between, chance, dice, factor, normal, poisson, weighted};
use crate::sensor::Presence;

/// Number of rooms of one home.
const HOME_ROOMS: u64 = 8;

/// A room with its state.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    device: u64,
    habit: Habit,
    mood: Level,
    drift: Level,
    idle: Spell,
    /// Logarithms of the room's own level on each weekday.
    weekdays: [f64; 7],
    household: Option<Household>,
    cleaning: Option<Cleaning>,
}

/// The use of a room until it is given to others.
#[derive(Debug, Clone)]
struct Habit {
    people: Vec<Person>,
    diary: Option<Diary>,
    visits: Option<Visits>,
}

/// When the people of a home are up and out, the same for all of its rooms.
#[derive(Debug, Clone, Copy)]
struct Household {
    number: u64,
    /// Hours at which the first gets up and the last goes to bed.
    wakes: f64,
    sleeps: f64,
    /// Probability of being out in the day, on each weekday.
    out: [f64; 7],
    leaves: f64,
    returns: f64,
    scatter: f64,
}

/// A cleaner's hour, and the probability of coming on a workday.
#[derive(Debug, Clone, Copy)]
struct Cleaning {
    hour: f64,
    comes: f64,
}

impl Room {
    /// Draws the room of a device before the first day.
    pub fn draw(seed: u64, traits: &Traits, device: u64, first: i32) -> Self {
        let dice = &mut dice(seed, Purpose::Habits, device, 0);
        let quirk = factor(dice, 0.05, 0.4);
        let home = traits.kind == Kind::Homes;
        Self {
            device,
            habit: Habit::draw(seed, traits, device, first, dice),
            mood: Level::draw(dice),
            drift: Level::draw(dice),
            idle: Spell::NONE,
            weekdays: std::array::from_fn(|_| quirk * normal(dice)),
            household: home.then(|| Household::draw(seed, device / HOME_ROOMS)),
            cleaning: (!home && chance(dice, 0.25)).then(|| Cleaning {
                hour: if chance(dice, 0.3) { between(dice, 4.0, 7.0) } else { between(dice, 17.0, 21.0) },
                comes: between(dice, 0.1, 0.9),
            }),
        }
    }

    /// Goes on by a day, and appends the presences in the room.
    pub fn spend_day(&mut self, seed: u64, traits: &Traits, today: &Today, out: &mut Vec<Presence>) {
        let dice = &mut dice(seed, Purpose::RoomDay, self.device, i64::from(today.day));
        if chance(dice, traits.change) {
            self.habit = Habit::draw(seed, traits, self.device, today.day, dice);
        }
        let mut level = today.level + self.weekdays[today.weekday];
        level += self.mood.step(traits.room_mood, dice) + self.drift.step(traits.room_drift, dice);
        if self.idle.step(traits.idle, today.day, dice) {
            level -= 6.0;
        }
        for person in &mut self.habit.people {
            person.spend_day(traits, today, level, dice, out);
        }
        if let Some(diary) = &mut self.habit.diary {
            diary.spend_day(traits, today, level, dice, out);
        }
        let hours = self.household.map_or(Hours::ALL, |household| household.hours(seed, today));
        if let Some(visits) = self.habit.visits {
            visits.spend_day(today, traits.later, level, hours, dice, out);
        }
        for _ in 0..poisson(dice, traits.night * today.level.min(0.0).exp()) {
            let start = between(dice, 0.0, 6.0);
            out.extend(Presence::hours(start, start + 0.03, 40.0));
        }
        if let Some(cleaning) = self.cleaning
            && today.weekday < 5
            && today.level > -1.5
            && chance(dice, cleaning.comes)
        {
            let start = cleaning.hour + 0.3 * normal(dice);
            out.extend(Presence::hours(start, start + between(dice, 0.03, 0.15), 20.0));
        }
    }
}

impl Household {
    fn draw(seed: u64, number: u64) -> Self {
        let dice = &mut dice(seed, Purpose::Household, number, -1);
        let usual = between(dice, 0.1, 0.95);
        let out = std::array::from_fn(|day| {
            let p = if day < 5 { usual } else { between(dice, 0.1, 0.5) };
            if chance(dice, 0.2) { 1.0 - p } else { p }
        });
        Self {
            number,
            wakes: between(dice, 5.5, 8.5),
            sleeps: between(dice, 21.5, 24.5),
            out,
            leaves: between(dice, 7.0, 10.5),
            returns: between(dice, 14.0, 18.5),
            scatter: factor(dice, 0.2, 1.2),
        }
    }

    /// Returns the hours between which somebody is up, and those between which nobody is at home.
    fn hours(self, seed: u64, today: &Today) -> Hours {
        let dice = &mut dice(seed, Purpose::Household, self.number, i64::from(today.day));
        let weekend = if today.weekday >= 5 { between(dice, 0.0, 3.0) } else { 0.0 };
        let wakes = self.wakes + weekend * 0.6 + 0.5 * self.scatter * normal(dice);
        let up = (wakes, self.sleeps + weekend * 0.3 + 0.7 * self.scatter * normal(dice));
        if chance(dice, self.out[today.weekday]) {
            let late = if chance(dice, 0.15) { between(dice, 0.5, 5.0) } else { 0.0 };
            let leaves = self.leaves + weekend + self.scatter * normal(dice);
            return Hours { up, gone: (leaves, self.returns + late + self.scatter * normal(dice)) };
        }
        let from = if chance(dice, 0.5) { between(dice, 9.0, 20.0) } else { 24.0 };
        Hours { up, gone: (from, from + factor(dice, 0.5, 5.0)) }
    }
}

impl Habit {
    /// Draws the use of a room.
    fn draw(seed: u64, traits: &Traits, device: u64, day: i32, dice: &mut Dice) -> Self {
        // Each site has its own mix of rooms.
        let site = &mut self::dice(seed, Purpose::Traits, traits.kind as u64, 2);
        let mut mix = |usual: &[f64]| -> Vec<f64> { usual.iter().map(|part| part * factor(site, 0.3, 3.0)).collect() };
        match traits.kind {
            Kind::Desks => Self::desks(traits, 1, dice),
            Kind::MeetingRooms => {
                let room = weighted(dice, &mix(&[0.5, 0.35, 0.15]));
                Self::booked(traits, [9.0, 5.0, 1.0][room], [2.6, 1.4, 0.4][room], day, dice)
            }
            Kind::Schools => match weighted(dice, &mix(&[0.7, 0.15, 0.15])) {
                0 => Self::lessons(traits, dice),
                1 => Self::desks(traits, 2 + below(dice, 5), dice),
                _ => Self::passed(60.0, 0.02, &DAYTIME, dice),
            },
            Kind::Homes => Self::home(device, dice),
            Kind::Building | Kind::Offices => match weighted(dice, &mix(&[0.4, 0.2, 0.1, 0.15, 0.05, 0.05, 0.05])) {
                0 => Self::desks(traits, 1, dice),
                1 => Self::desks(traits, 2 + below(dice, 2), dice),
                2 => Self::desks(traits, 4 + below(dice, 7), dice),
                3 => Self::booked(traits, 6.0, 1.8, day, dice),
                4 => Self::passed(70.0, 0.012, &DAYTIME, dice),
                5 => Self::passed(30.0, 0.06, &MEALTIMES, dice),
                _ => Self::passed(1.0, 0.2, &DAYTIME, dice),
            },
        }
    }

    fn desks(traits: &Traits, people: usize, dice: &mut Dice) -> Self {
        let people = (0..people).map(|_| Person::draw(traits, dice)).collect();
        // Sockets of a desk see nobody who passes.
        let per_day = if traits.kind == Kind::Desks { 0.05 } else { factor(dice, 0.1, 1.0) };
        Self { people, diary: None, visits: Some(Visits { per_day, profile: &DAYTIME, length: 0.05 }) }
    }

    fn booked(traits: &Traits, series: f64, ad_hoc: f64, day: i32, dice: &mut Dice) -> Self {
        let taste = factor(dice, 0.5, 1.6);
        let diary = Diary::meetings(traits, series * factor(dice, 0.8, 2.5), ad_hoc * taste, day, dice);
        Self {
            people: Vec::new(),
            diary: Some(diary),
            visits: Some(Visits { per_day: factor(dice, 0.05, 0.8), profile: &DAYTIME, length: 0.03 }),
        }
    }

    fn lessons(traits: &Traits, dice: &mut Dice) -> Self {
        let share = between(dice, 0.25, 0.9);
        Self {
            people: Vec::new(),
            diary: Some(Diary::lessons(traits, share, dice)),
            visits: Some(Visits { per_day: factor(dice, 0.2, 2.0), profile: &DAYTIME, length: 0.1 }),
        }
    }

    fn passed(per_day: f64, length: f64, profile: &'static [f64; 24], dice: &mut Dice) -> Self {
        let visits = Visits { per_day: per_day * factor(dice, 0.2, 1.3), profile, length };
        Self { people: Vec::new(), diary: None, visits: Some(visits) }
    }

    fn home(device: u64, dice: &mut Dice) -> Self {
        match device % HOME_ROOMS {
            0 => Self::passed(26.0, 0.9, &EVENING, dice),
            1 => Self::passed(32.0, 0.3, &MORNING_AND_EVENING, dice),
            2 => Self::passed(12.0, 0.3, &BEDTIME, dice),
            3 => Self::passed(25.0, 0.15, &MORNING_AND_EVENING, dice),
            4 => Self::passed(70.0, 0.02, &MORNING_AND_EVENING, dice),
            5 => Self::passed(6.0, 0.3, &BEDTIME, dice),
            6 => Self::passed(5.0, 1.2, &DAYTIME, dice),
            _ => Self::passed(0.7, 0.3, &EVENING, dice),
        }
    }
}
