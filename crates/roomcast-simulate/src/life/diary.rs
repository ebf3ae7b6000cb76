//! Bookings of a room: series of meetings or lessons, meetings of the day, workshops.

use super::days::Today;
use super::lasting::{Spell, Spells};
use super::people::{log_odds, probability};
use super::traits::Traits;
use crate::chance::{Dice, below, between, chance, exponential, factor, normal, poisson, weighted};
use crate::sensor::Presence;

/// Relative number of meetings of the day that begin in each hour from 7 to 19.
const START_WEIGHTS: [f64; 13] = [0.4, 0.9, 1.3, 1.2, 0.9, 0.6, 1.1, 1.3, 1.2, 0.8, 0.4, 0.2, 0.1];

/// The bookings of a room.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diary {
    series: Vec<Series>,
    /// Mean number of series that begin on a day, and their mean length in weeks.
    begin: f64,
    weeks: f64,
    /// Mean number of meetings of the day on an average workday, and their mean length in hours.
    pub ad_hoc: f64,
    pub length: f64,
    workshop: Option<Workshop>,
}

/// Days in a row on which a room is taken from morning to evening.
#[derive(Debug, Clone, Copy)]
struct Workshop {
    spell: Spell,
    spells: Spells,
}

/// A booking that recurs each week, or every other week.
#[derive(Debug, Clone, Copy)]
struct Series {
    weekday: usize,
    /// The parity of its weeks; none if it takes place each week.
    parity: Option<i32>,
    start: f64,
    length: f64,
    /// Log-odds of taking place on a day of level 1.
    held: f64,
    /// Standard deviation of its start, hours.
    scatter: f64,
    /// Its last day, in days since 1970-01-01.
    last: i32,
}

impl Diary {
    /// Draws the bookings of a meeting room with about so many series at a time and meetings a day.
    pub fn meetings(traits: &Traits, series: f64, ad_hoc: f64, first: i32, dice: &mut Dice) -> Self {
        let weeks = factor(dice, 4.0, 30.0);
        let mut diary = Self {
            series: Vec::new(),
            begin: series / (weeks * 7.0),
            weeks,
            ad_hoc,
            length: between(dice, 0.7, 1.6),
            workshop: Some(Workshop {
                spell: Spell::NONE,
                spells: Spells { begin: factor(dice, 0.001, 0.02), days: (1.0, 2.2) },
            }),
        };
        for _ in 0..poisson(dice, series) {
            diary.begin_series(traits, first, dice);
        }
        diary
    }

    /// Draws a timetable that is the same each week, filled to a share.
    pub fn lessons(traits: &Traits, share: f64, dice: &mut Dice) -> Self {
        let first = 7.9 + 0.4 * traits.later.clamp(-1.0, 1.5);
        let periods = 6 + below(dice, 4);
        let mut diary = Self::default();
        for weekday in 0..5 {
            for period in 0..periods {
                if chance(dice, share * if period > 5 { 0.6 } else { 1.0 }) {
                    let start = first + period as f64 * 0.92 + if period > 4 { 0.6 } else { 0.0 };
                    let held = log_odds(between(dice, 0.75, 0.97));
                    diary.series.push(Series {
                        weekday,
                        parity: None,
                        start,
                        length: 0.75,
                        held,
                        scatter: 0.05,
                        last: i32::MAX,
                    });
                }
            }
        }
        diary.ad_hoc = factor(dice, 0.1, 1.0);
        diary.length = 0.6;
        diary
    }

    fn begin_series(&mut self, traits: &Traits, day: i32, dice: &mut Dice) {
        let half_hour = if chance(dice, 0.4) { 0.5 } else { 0.0 };
        let start = 7.0 + traits.later + weighted(dice, &START_WEIGHTS) as f64 + half_hour;
        let length = [0.5, 1.0, 1.5, 2.0, 3.0][weighted(dice, &[1.0, 4.0, 2.0, 2.0, 1.0])];
        let held = log_odds(between(dice, 0.65, 0.96));
        let last = day + (7.0 * (2.0 + exponential(dice, self.weeks))).min(1000.0) as i32;
        let parity = chance(dice, 0.3).then(|| i32::from(chance(dice, 0.5)));
        let scatter = 0.1 * traits.disorder;
        let daily = chance(dice, 0.1);
        let first = weighted(dice, &[1.0, 1.2, 1.2, 1.1, 0.6]);
        let days = if daily { 0..5 } else { first..first + 1 };
        let parity = if daily { None } else { parity };
        self.series.extend(days.map(|weekday| Series { weekday, parity, start, length, held, scatter, last }));
    }

    /// Appends the bookings of a day on which the room has the given log level.
    pub fn spend_day(&mut self, traits: &Traits, today: &Today, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        self.series.retain(|series| today.day <= series.last);
        if chance(dice, self.begin) && self.series.len() < 40 {
            self.begin_series(traits, today.day, dice);
        }
        // Day 0 was a Thursday; the shift makes weeks begin on Mondays.
        let week = (today.day + 3).div_euclid(7).rem_euclid(2);
        for series in &self.series {
            let due = series.weekday == today.weekday && series.parity.is_none_or(|parity| parity == week);
            if due && chance(dice, probability(series.held + 1.5 * level.min(0.7))) {
                let start = series.start + series.scatter * normal(dice);
                let end = start + series.length * between(dice, 0.7, 1.25);
                out.extend(Presence::hours(start, end.min(today.leave), between(dice, 4.0, 14.0)));
            }
        }
        for _ in 0..poisson(dice, self.ad_hoc * level.exp()).min(12) {
            let start = 7.0 + traits.later + weighted(dice, &START_WEIGHTS) as f64 + between(dice, 0.0, 1.0);
            let end = start + (0.15 + exponential(dice, self.length)).min(5.0);
            out.extend(Presence::hours(start, end.min(today.leave), between(dice, 4.0, 14.0)));
        }
        if let Some(workshop) = &mut self.workshop
            && workshop.spell.step(workshop.spells, today.day, dice)
            && today.weekday < 5
            && level > -1.0
        {
            let lunch = between(dice, 11.8, 12.8);
            out.extend(Presence::hours(between(dice, 8.2, 9.8), lunch, 14.0));
            out.extend(Presence::hours(lunch + 0.8, between(dice, 15.0, 18.5).min(today.leave), 14.0));
        }
    }
}
