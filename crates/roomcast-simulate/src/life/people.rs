//! People with a place of their own in a room: the days they come, and their hours.

use super::days::Today;
use super::lasting::{Level, Spell, Wander};
use super::traits::Traits;
use crate::Kind;
use crate::chance::{Dice, between, chance, exponential, factor, normal};
use crate::sensor::Presence;

/// One person's habits and state. Times are hours of the day.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    arrives: f64,
    /// Hours from arrival to departure, lunch included.
    stays: f64,
    /// Start of lunch, and its length in hours.
    lunch: (f64, f64),
    /// Log-odds of coming on each weekday of level 1.
    comes: [f64; 7],
    /// The habit that stays the same for some days in a row: coming or not, and coming early or late.
    habit: Level,
    hours: Level,
    away: Spell,
    /// Probability of coming hours later, of leaving hours earlier, and of working in the evening.
    late: f64,
    early: f64,
    evening: f64,
    /// Standard deviation of arrival and departure, hours.
    scatter: f64,
    /// Mean hours in the room at a stretch, and out of it.
    stretch: (f64, f64),
    /// Movements an hour in the room.
    restless: f64,
}

/// How long a person keeps to coming early or late.
const HOURS: Wander = Wander { sd: 1.0, phi: 0.6 };

/// Returns the log-odds of a probability.
pub(crate) fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Returns the probability of log-odds.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

impl Person {
    /// Draws a person of a site.
    pub fn draw(traits: &Traits, dice: &mut Dice) -> Self {
        let usual = between(dice, 0.93, 0.99);
        let part_time = chance(dice, 0.2);
        let comes = std::array::from_fn(|_| {
            let at_home = chance(dice, if part_time { 0.3 } else { 0.06 });
            log_odds(if at_home { between(dice, 0.05, 0.5) } else { usual })
        });
        let disorder = traits.disorder;
        let desk = traits.kind == Kind::Desks;
        Self {
            arrives: 8.6 + traits.later + 0.9 * normal(dice),
            stays: if part_time { between(dice, 4.0, 7.0) } else { 8.6 + 0.7 * normal(dice) },
            lunch: (between(dice, 11.6, 13.3), between(dice, 0.4, 1.2)),
            comes,
            habit: Level::draw(dice),
            hours: Level::draw(dice),
            away: Spell::NONE,
            late: (disorder * between(dice, 0.05, 0.3)).min(0.6),
            early: (disorder * between(dice, 0.05, 0.25)).min(0.6),
            evening: disorder * factor(dice, 0.005, 0.1),
            scatter: disorder * factor(dice, 0.3, 1.2),
            stretch: (factor(dice, 1.0, if desk { 6.0 } else { 4.0 }), disorder * factor(dice, 0.25, 1.2)),
            restless: between(dice, 3.0, 8.0),
        }
    }

    /// Appends the stretches that the person spends in the room, on a day on which the room has the given log level.
    pub fn spend_day(&mut self, traits: &Traits, today: &Today, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let habit = self.habit.step(traits.habit, dice);
        let hours = self.hours.step(HOURS, dice);
        let away = self.away.step(traits.away, today.day, dice);
        let comes = probability(self.comes[today.weekday] + 1.5 * level.min(0.5) + habit);
        if away || !chance(dice, comes) {
            return;
        }
        let weekend = today.weekday >= 5;
        let mut from = self.arrives + self.scatter * (0.6 * hours + 0.8 * normal(dice));
        let mut to = from + self.stays * (0.25 * level).exp().clamp(0.3, 1.3) + self.scatter * normal(dice);
        if chance(dice, self.late) {
            from += between(dice, 0.5, 5.0);
        }
        if chance(dice, self.early) {
            to -= between(dice, 0.5, 5.0);
        }
        if weekend {
            from += between(dice, 0.0, 5.0);
            to = from + between(dice, 0.5, 6.0);
        }
        let to = to.min(today.leave).min(23.5);
        let lunch = if chance(dice, 0.8) { self.lunch.0 + 0.3 * normal(dice) } else { 24.0 };
        self.stay(from, to, lunch, dice, out);
        if !weekend && chance(dice, self.evening) {
            let back = to.max(17.0) + between(dice, 0.5, 3.0);
            self.stay(back, (back + exponential(dice, 1.5)).min(24.0), 24.0, dice, out);
        }
    }

    fn stay(&self, from: f64, to: f64, lunch: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let mut at = from.max(0.0);
        while at < to {
            let mut end = at + 0.05 + exponential(dice, self.stretch.0);
            let mut back = end + 0.05 + exponential(dice, self.stretch.1);
            if at < lunch && end > lunch {
                end = lunch;
                back = lunch + self.lunch.1 * between(dice, 0.6, 1.5);
            }
            out.extend(Presence::hours(at, end.min(to), self.restless));
            at = back;
        }
    }
}
