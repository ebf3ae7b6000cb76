//! Sums of scores by day, so that old days can be dropped.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Live;
use crate::measures::loss::{self, DailyMean};

/// Number of days of the window.
pub const WINDOW: i32 = 14;

/// Fewest days for a verdict.
const MIN_DAYS: usize = 5;
/// Difference of losses, in standard errors, above which it is more than chance.
const STANDARD_ERRORS: f64 = 3.0;

/// Sums of the scores of a device's forecasts on one local day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// The local date, days since 1970-01-01.
    pub day: i32,
    /// Number of hours whose forecast was made at their beginning.
    pub hours: u32,
    /// Sum of their log losses.
    pub loss: f64,
    /// Sum of the baseline's log losses for the same hours.
    pub baseline: f64,
    /// Sum of their squared errors.
    pub brier: f64,
    /// Number of hours whose forecast was made at midnight.
    pub day_hours: u32,
    /// Sum of their log losses.
    pub day_loss: f64,
}

impl Day {
    /// Adds the sums of another day; the date stays.
    pub fn add(&mut self, other: &Day) {
        self.hours += other.hours;
        self.loss += other.loss;
        self.baseline += other.baseline;
        self.brier += other.brier;
        self.day_hours += other.day_hours;
        self.day_loss += other.day_loss;
    }
}

/// The days of a device, ascending.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Days(VecDeque<Day>);

impl Days {
    /// Adds a score to its day, and forgets days outside the window that ends with it.
    pub fn add(&mut self, score: &Day) {
        match self.0.iter_mut().find(|known| known.day == score.day) {
            Some(known) => known.add(score),
            None => {
                let at = self.0.partition_point(|known| known.day < score.day);
                self.0.insert(at, *score);
            }
        }
        self.forget(score.day);
    }

    /// Forgets the days outside the window that ends with `today`.
    pub fn forget(&mut self, today: i32) {
        while self.0.front().is_some_and(|day| day.day <= today - WINDOW) {
            self.0.pop_front();
        }
    }

    /// Returns whether there is no day.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sums over all days.
    pub fn sum(&self) -> Day {
        self.0.iter().fold(Day::default(), |mut sum, day| {
            sum.add(day);
            sum
        })
    }

    /// Returns whether the forecasts lost more than the baseline by more than chance explains, with days as blocks.
    pub fn is_worse(&self) -> bool {
        let days = self.0.iter().filter(|day| day.hours > 0);
        days.clone().count() >= MIN_DAYS
            && DailyMean::new(days.map(|day| day.loss - day.baseline)).exceeds(STANDARD_ERRORS)
    }
}

impl Live {
    /// Returns the means of sums; `None` without an hour.
    pub fn of(sum: &Day) -> Option<Live> {
        let hours = f64::from(sum.hours);
        (sum.hours > 0).then(|| Live {
            hours: sum.hours,
            log_loss: sum.loss / hours,
            baseline: sum.baseline / hours,
            skill: loss::skill(sum.loss, sum.baseline),
            brier: sum.brier / hours,
            day_ahead: (sum.day_hours > 0).then(|| sum.day_loss / f64::from(sum.day_hours)),
        })
    }
}
