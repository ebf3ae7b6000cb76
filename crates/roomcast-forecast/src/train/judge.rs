//! Scores challenger and champion on hours that neither has seen, paired by day.

use std::collections::BTreeMap;

use polars::prelude::PolarsResult;
use serde::{Deserialize, Serialize};

use crate::calendar::Hour;
use crate::features::{Matrix, PRIOR, SiteRates, Table};
use crate::hourly::Hourly;
use crate::model::judge::{log_loss, standard_errors};
use crate::model::rows;

/// The fewest judged days that allow a judgement, unless fewer were asked for.
pub const FEWEST_DAYS: usize = 4;
/// Gain over the champion, in standard errors, up to which a challenger counts as worse and not just unlucky.
const WORSE: f64 = -2.0;
/// Gain over the prior, in standard errors, up to which skill counts as gone.
const GONE: f64 = -2.5;

/// The rows of one device from an hour on.
pub struct Window {
    /// The design matrix.
    pub matrix: Matrix,
    occupied: Vec<bool>,
    days: Vec<i32>,
}

/// Summed log losses of one local day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Day {
    rows: u32,
    prior: f64,
    champion: f64,
    challenger: f64,
}

/// Log losses by local day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored(BTreeMap<i32, Day>);

/// The result of a challenger. Losses are mean log losses over the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Number of local days.
    pub days: usize,
    /// Number of hours.
    pub rows: u32,
    /// Loss of the prior alone.
    pub prior: f64,
    /// Loss of the models in use.
    pub champion: f64,
    /// Loss of the new models.
    pub challenger: f64,
    /// The challenger's gain: the loss it saves over the champion, in standard errors with days as blocks.
    pub gain: f64,
}

impl Window {
    /// Returns the observed hours, from `from` on, of the device at a position of the grid. Each hour is asked as in
    /// training. Returns `None` without such hours.
    ///
    /// # Errors
    /// Returns the error of Polars.
    pub fn new(hourly: &Hourly, building: &SiteRates, device: usize, from: Hour) -> PolarsResult<Option<Window>> {
        let rows = rows::rows_of(hourly, device, |hour| hour >= from);
        if rows.is_empty() {
            return Ok(None);
        }
        let asked: Vec<_> = rows.iter().map(|labelled| labelled.row).collect();
        Ok(Some(Window {
            matrix: Table::new(hourly, building, device).matrix(&asked)?,
            occupied: rows.iter().map(|labelled| labelled.occupied).collect(),
            days: asked.iter().map(|row| hourly.local(row.hour).day).collect(),
        }))
    }

    /// Returns the losses of two forecasters, given their log-odds of each row, and the losses of the prior.
    pub fn score(&self, champion: &[f64], challenger: &[f64]) -> Scored {
        let mut scored = Scored::default();
        for (at, &prior) in self.matrix.column(PRIOR).iter().enumerate() {
            let day = scored.0.entry(self.days[at]).or_default();
            day.rows += 1;
            day.prior += log_loss(f64::from(prior), self.occupied[at]);
            day.champion += log_loss(champion[at], self.occupied[at]);
            day.challenger += log_loss(challenger[at], self.occupied[at]);
        }
        scored
    }
}

impl Scored {
    /// Adds the days of another device.
    pub fn merge(mut self, other: &Scored) -> Scored {
        for (&day, theirs) in &other.0 {
            let mine = self.0.entry(day).or_default();
            mine.rows += theirs.rows;
            mine.prior += theirs.prior;
            mine.champion += theirs.champion;
            mine.challenger += theirs.challenger;
        }
        self
    }

    /// Returns the number of local days with at least one hour.
    pub fn days(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the champion does worse than the prior by more than noise.
    pub fn skill_gone(&self) -> bool {
        standard_errors(self.0.values().map(|day| day.prior - day.champion)) <= GONE
    }

    /// Returns whether the challenger does worse than the prior by more than noise.
    pub fn without_skill(&self) -> bool {
        standard_errors(self.0.values().map(|day| day.prior - day.challenger)) <= GONE
    }

    /// Returns whether the challenger does worse than the champion by more than noise.
    pub fn worse(&self) -> bool {
        self.gain() <= WORSE
    }

    fn gain(&self) -> f64 {
        standard_errors(self.0.values().map(|day| day.champion - day.challenger))
    }

    /// Returns the figures.
    pub fn judged(&self) -> Judged {
        let rows: u32 = self.0.values().map(|day| day.rows).sum();
        let mean = |of: fn(&Day) -> f64| self.0.values().map(of).sum::<f64>() / f64::from(rows.max(1));
        // Numbers are rounded, so that they are short to read and come back from JSON unchanged.
        let short = |number: f64| (number * 1e6).round() / 1e6;
        Judged {
            days: self.days(),
            rows,
            prior: short(mean(|day| day.prior)),
            champion: short(mean(|day| day.champion)),
            challenger: short(mean(|day| day.challenger)),
            gain: short(self.gain()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds scores of one row a day from the losses of prior, champion and challenger.
    fn scored(days: &[(f64, f64, f64)]) -> Scored {
        let day = |&(prior, champion, challenger): &(f64, f64, f64)| Day { rows: 1, prior, champion, challenger };
        Scored((0..).zip(days.iter().map(day)).collect())
    }

    #[test]
    fn noise_is_not_worse_and_a_steady_loss_is() {
        let same = scored(&[(0.5, 0.4, 0.4), (0.6, 0.5, 0.5), (0.4, 0.3, 0.3), (0.5, 0.4, 0.4)]);
        assert!(!same.worse() && same.judged().gain == 0.0);
        let mixed = scored(&[(0.5, 0.4, 0.5), (0.5, 0.4, 0.3), (0.5, 0.4, 0.45), (0.5, 0.4, 0.36)]);
        assert!(!mixed.worse(), "{:?}", mixed.judged());
        let worse = scored(&[(0.5, 0.4, 0.5), (0.5, 0.4, 0.48), (0.5, 0.4, 0.53), (0.5, 0.4, 0.47)]);
        assert!(worse.worse() && !worse.skill_gone());
        let gone = scored(&[(0.3, 0.4, 0.4), (0.3, 0.45, 0.4), (0.3, 0.42, 0.4), (0.3, 0.41, 0.4)]);
        assert!(gone.skill_gone() && !gone.worse());
    }

    #[test]
    fn days_of_several_devices_are_one_block() {
        let merged = scored(&[(0.5, 0.25, 0.5)]).merge(&scored(&[(1.0, 0.75, 0.25), (1.0, 1.0, 1.0)]));
        let judged = merged.judged();
        assert_eq!((judged.days, judged.rows), (2, 3));
        assert_eq!((judged.prior, judged.champion), (0.833_333, 0.666_667));
    }
}
