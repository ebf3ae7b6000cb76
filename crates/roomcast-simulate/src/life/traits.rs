//! Traits that make one site different from another, drawn from ranges as wide as those of real sites.

use super::lasting::{Spells, Wander};
use crate::Kind;
use crate::chance::{Dice, Purpose, between, chance, dice, factor, normal};

/// The traits of one site.
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    pub kind: Kind,
    /// Logarithm of the level of each weekday, Monday first.
    pub weekdays: [f64; 7],
    /// Hours by which everything is later than usual.
    pub later: f64,
    /// Days of the whole site: busy and quiet ones, and the slow rise and fall of its use.
    pub mood: Wander,
    pub drift: Wander,
    /// The same of one room.
    pub room_mood: Wander,
    pub room_drift: Wander,
    /// How long people keep to coming or not coming; the level adds to log-odds.
    pub habit: Wander,
    /// How irregular the hours of people and meetings are; 1 is usual.
    pub disorder: f64,
    /// Days on which nearly nobody comes, and the logarithm of their level.
    pub empty: Spells,
    pub empty_level: f64,
    /// Weeks in which a room is not used.
    pub idle: Spells,
    /// Absences of a person.
    pub away: Spells,
    /// Days on which nothing is recorded anywhere, those of one sensor, and those on which one stays on.
    pub outage: Spells,
    pub silence: Spells,
    pub stuck: Spells,
    /// Mean number of short visits of a room in a night.
    pub night: f64,
    /// Probability that a room is given to others on a day.
    pub change: f64,
    /// Public holidays, the same dates each year, as (month, day), and whether the operator told the site's calendar.
    pub holidays: Vec<(u32, u32)>,
    pub listed: bool,
    /// Logarithms of the level on holidays, in the middle of the summer and between the years.
    pub holiday_level: f64,
    pub summer: f64,
    pub new_year: f64,
}

/// Dates of which each site keeps some as public holidays, beside the first of January and the 25th of December.
const HOLIDAYS: [(u32, u32); 16] = [
    (1, 6),
    (2, 16),
    (3, 30),
    (4, 2),
    (4, 27),
    (5, 1),
    (5, 8),
    (5, 21),
    (6, 4),
    (7, 4),
    (7, 14),
    (8, 15),
    (10, 3),
    (11, 1),
    (11, 11),
    (12, 26),
];

impl Traits {
    /// Draws the traits of the site of a seed.
    pub fn draw(kind: Kind, seed: u64) -> Self {
        let dice = &mut dice(seed, Purpose::Traits, kind as u64, 0);
        let homes = kind == Kind::Homes;
        let (saturday, sunday) = weekend(kind, dice);
        let slope = between(dice, 0.3, 2.6);
        let pattern = [-0.02, 0.04, 0.05, 0.03, -0.12];
        let weekdays = std::array::from_fn(|day| match day {
            5 => saturday,
            6 => sunday,
            _ => slope * pattern[day] * if homes { 0.4 } else { 1.0 } + 0.05 * normal(dice),
        });
        let rare = |dice: &mut Dice, probability: f64, low: f64, high: f64| {
            if chance(dice, probability) { factor(dice, low, high) } else { 0.0 }
        };
        let empty = match kind {
            Kind::Offices => Spells { begin: factor(dice, 0.015, 0.065), days: (1.0, between(dice, 1.0, 3.5)) },
            Kind::Homes => Spells { begin: factor(dice, 0.004, 0.02), days: (1.0, between(dice, 2.0, 5.0)) },
            _ => Spells { begin: factor(dice, 0.003, 0.015), days: (1.0, between(dice, 1.0, 3.0)) },
        };
        let count = 4 + (between(dice, 0.0, 7.0) as usize);
        let mut holidays = vec![(1, 1), (12, 25)];
        holidays.extend(HOLIDAYS.iter().filter(|_| chance(dice, count as f64 / HOLIDAYS.len() as f64)));
        Self {
            kind,
            weekdays,
            later: 0.7 * normal(dice),
            mood: Wander { sd: factor(dice, 0.3, 0.95), phi: between(dice, 0.0, 0.3) },
            drift: Wander { sd: factor(dice, 0.05, 0.3), phi: between(dice, 0.96, 0.99) },
            room_mood: Wander { sd: factor(dice, 0.1, 0.35), phi: between(dice, 0.1, 0.6) },
            room_drift: Wander { sd: factor(dice, 0.3, 1.4), phi: between(dice, 0.97, 0.99) },
            habit: Wander { sd: factor(dice, 0.7, 2.4), phi: between(dice, 0.7, 0.93) },
            disorder: factor(dice, 0.2, 0.7),
            empty,
            empty_level: -between(dice, 2.0, 5.0),
            idle: Spells { begin: factor(dice, 0.01, 0.05), days: (2.0, between(dice, 3.0, 5.0)) },
            away: Spells { begin: factor(dice, 0.006, 0.02), days: (1.0, between(dice, 3.0, 5.5)) },
            outage: Spells { begin: rare(dice, 0.3, 0.0005, 0.004), days: (0.5, between(dice, 2.0, 10.0)) },
            silence: Spells { begin: rare(dice, 0.4, 0.0003, 0.003), days: (1.0, between(dice, 4.0, 12.0)) },
            stuck: Spells { begin: rare(dice, 0.35, 0.0005, 0.01), days: (0.5, between(dice, 1.0, 4.0)) },
            night: if homes { factor(dice, 0.01, 0.15) } else { factor(dice, 0.0015, 0.07) },
            change: factor(dice, 0.0015, 0.008),
            holidays,
            listed: chance(dice, if kind == Kind::Schools { 0.75 } else { 0.5 }),
            holiday_level: if homes { between(dice, -0.2, 0.2) } else { -between(dice, 2.0, 6.0) },
            summer: if homes { -between(dice, 0.0, 0.4) } else { -factor(dice, 0.05, 0.8) },
            new_year: if homes { -between(dice, 0.0, 0.5) } else { -factor(dice, 0.3, 1.5) },
        }
    }
}

/// Draws the logarithms of the levels of Saturday and Sunday.
fn weekend(kind: Kind, dice: &mut Dice) -> (f64, f64) {
    let (low, high): (f64, f64) = match kind {
        Kind::Homes => (0.9, 1.4),
        Kind::Desks => (0.006, 0.15),
        Kind::Schools => (0.005, 0.1),
        Kind::MeetingRooms => (0.005, 0.15),
        Kind::Building | Kind::Offices => (0.006, 0.15),
    };
    let saturday = factor(dice, low, high).ln();
    (saturday, saturday + 0.3 * normal(dice))
}
