//! The days of a whole site: its level, its holidays, its empty days and outages.

use chrono::{Datelike, NaiveDate};

use super::lasting::{Level, Spell};
use super::traits::Traits;
use crate::Kind;
use crate::building::site::day_number;
use crate::chance::{Purpose, between, chance, dice};

/// A site with the state that it has on a day.
#[derive(Debug, Clone)]
pub(crate) struct Days {
    seed: u64,
    pub traits: Traits,
    mood: Level,
    drift: Level,
    empty: Spell,
    outage: Spell,
    /// First day and length of each break of a school, in days of the year.
    breaks: Vec<(f64, f64)>,
}

/// One day of a site.
#[derive(Debug, Clone)]
pub(crate) struct Today {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Monday 0 to Sunday 6.
    pub weekday: usize,
    /// Logarithm of the level; 0 on an average workday.
    pub level: f64,
    /// Hour at which everybody leaves early; 24 on nearly all days.
    pub leave: f64,
    /// Whether nothing is recorded.
    pub outage: bool,
}

impl Days {
    /// Draws a site before its first day.
    pub fn draw(kind: Kind, seed: u64) -> Self {
        let traits = Traits::draw(kind, seed);
        let dice = &mut dice(seed, Purpose::Traits, kind as u64, 1);
        let breaks = match kind {
            Kind::Schools => vec![
                (between(dice, 165.0, 205.0), between(dice, 38.0, 50.0)),
                (between(dice, 354.0, 359.0), between(dice, 13.0, 16.0)),
                (between(dice, 84.0, 105.0), between(dice, 7.0, 14.0)),
                (between(dice, 280.0, 305.0), between(dice, 5.0, 12.0)),
            ],
            _ => Vec::new(),
        };
        let (mood, drift) = (Level::draw(dice), Level::draw(dice));
        Self { seed, traits, mood, drift, empty: Spell::NONE, outage: Spell::NONE, breaks }
    }

    /// Goes on to a date, the day after the last one, and returns what it is like. All log levels are higher by `density`.
    pub fn step(&mut self, date: NaiveDate, density: f64) -> Today {
        let traits = &self.traits;
        let day = day_number(date);
        let dice = &mut dice(self.seed, Purpose::Today, 0, i64::from(day));
        let weekday = date.weekday().num_days_from_monday() as usize;
        let mut level = density + traits.weekdays[weekday] + season(date, traits);
        level += self.mood.step(traits.mood, dice) + self.drift.step(traits.drift, dice);
        if self.empty.step(traits.empty, day, dice) {
            level += traits.empty_level;
        }
        if self.is_holiday(date) {
            level += traits.holiday_level;
        }
        if self.is_break(date) {
            level -= 4.0;
        }
        let leave = if chance(dice, 1.0 / 120.0) { between(dice, 12.0, 15.0) } else { 24.0 };
        let outage = self.outage.step(traits.outage, day, dice);
        Today { day, weekday, level, leave, outage }
    }

    /// Returns whether a date lies in a long break of a school.
    fn is_break(&self, date: NaiveDate) -> bool {
        let of_year = f64::from(date.ordinal0());
        self.breaks.iter().any(|&(first, days)| (of_year - first).rem_euclid(365.0) < days)
    }

    /// Returns whether a date is in the calendar that the site's operator made: at some sites the public holidays and
    /// breaks, at others nothing.
    pub fn is_listed(&self, date: NaiveDate) -> bool {
        self.traits.listed && (self.is_holiday(date) || self.is_break(date))
    }

    /// Returns whether a date is a public holiday of the site.
    fn is_holiday(&self, date: NaiveDate) -> bool {
        self.traits.holidays.contains(&(date.month(), date.day()))
    }
}

/// Returns the logarithm of the season's factor.
fn season(date: NaiveDate, traits: &Traits) -> f64 {
    let of_year = f64::from(date.ordinal0());
    let dip = |centre: f64, width: f64| {
        let gap = (of_year - centre).abs();
        let gap = gap.min(365.0 - gap) / width;
        1.0 / (1.0 + gap * gap * gap * gap)
    };
    traits.summer * dip(218.0, 24.0) + traits.new_year * dip(361.0, 7.0)
}
