//! Sensors that fall silent for days or stay on for days.

use super::days::Today;
use super::lasting::{Spell, Spells};
use super::traits::Traits;
use crate::chance::{Purpose, between, dice};
use crate::sensor::DAY;

/// Minutes from one report to the next of a sensor that stays on, at most. Each hour has several.
const STUCK_MINUTES: (f64, f64) = (4.0, 12.0);

/// The state of one sensor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wear {
    silence: Spell,
    stuck: Spell,
}

impl Wear {
    /// A sensor before the first day.
    pub const NEW: Self = Self { silence: Spell::NONE, stuck: Spell::NONE };

    /// Goes on by a day, and appends the reports of a sensor that stays on. Returns whether the sensor is silent. Spells
    /// begin `scale` times as often as usual at the site.
    pub fn step(
        &mut self,
        seed: u64,
        device: u64,
        traits: &Traits,
        today: &Today,
        scale: f64,
        fires: &mut Vec<u32>,
    ) -> bool {
        let dice = &mut dice(seed, Purpose::Wear, device, i64::from(today.day));
        let scaled = |spells: Spells| Spells { begin: spells.begin * scale, ..spells };
        let was_stuck = self.stuck.covers(today.day - 1);
        if self.stuck.step(scaled(traits.stuck), today.day, dice) {
            let day = f64::from(DAY);
            let mut now = if was_stuck { 0.0 } else { between(dice, 0.0, day) };
            let end = if self.stuck.covers(today.day + 1) { day } else { between(dice, now, day) };
            while now < end {
                fires.push(now as u32);
                now += 60.0 * between(dice, STUCK_MINUTES.0, STUCK_MINUTES.1);
            }
        }
        self.silence.step(scaled(traits.silence), today.day, dice) || today.outage && scale > 0.0
    }
}
