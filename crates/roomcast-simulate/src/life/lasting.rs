//! States that last: levels that wander, and spells that begin and end.

use crate::chance::{Dice, chance, exponential, normal};

/// The size and memory of a level that wanders around 0: an AR(1) process (Box and Jenkins, 1970).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wander {
    /// Standard deviation.
    pub sd: f64,
    /// Correlation between one day and the next.
    pub phi: f64,
}

/// The present value of a [`Wander`], in standard deviations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level(f64);

impl Level {
    /// Draws the value before the first day.
    pub fn draw(dice: &mut Dice) -> Self {
        Self(normal(dice))
    }

    /// Goes on by a day, and returns the new value.
    pub fn step(&mut self, wander: Wander, dice: &mut Dice) -> f64 {
        self.0 = wander.phi * self.0 + (1.0 - wander.phi * wander.phi).sqrt() * normal(dice);
        wander.sd * self.0
    }
}

/// How often spells begin, and how long they last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spells {
    /// Probability that one begins on a day outside of a spell.
    pub begin: f64,
    /// Shortest and mean length, days; lengths above the shortest are exponential.
    pub days: (f64, f64),
}

/// The present spell, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spell {
    /// The first day after the spell, in days since 1970-01-01.
    end: i32,
}

impl Spell {
    /// No spell so far.
    pub const NONE: Self = Self { end: i32::MIN };

    /// Goes on to a day, and returns whether a spell covers it.
    pub fn step(&mut self, spells: Spells, day: i32, dice: &mut Dice) -> bool {
        if day >= self.end && chance(dice, spells.begin) {
            let (shortest, mean) = spells.days;
            self.end = day + (shortest + exponential(dice, mean - shortest)).clamp(1.0, 365.0) as i32;
        }
        self.covers(day)
    }

    /// Returns whether the present spell lasts until after a day.
    pub fn covers(self, day: i32) -> bool {
        day < self.end
    }
}
