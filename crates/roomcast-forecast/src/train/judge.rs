//! Scores challenger and champion on hours that neither has seen, paired by day.

use std::collections::BTreeMap;

use polars::prelude::PolarsResult;
use serde::{Deserialize, Serialize};

use crate::calendar::Hour;
use crate::features::{Matrix, PRIOR, SiteRates, Table};
use crate::hourly::Hourly;
use crate::measures::loss::{DailyMean, log_odds_loss};
use crate::model::rows;

/// The fewest judged days that allow a judgement, unless fewer were requested.
pub const MIN_DAYS: usize = 4;
/// The mean loss that a challenger saves over the champion, in standard errors, up to which it counts as worse rather
/// than unlucky.
const WORSE_GAIN: f64 = -2.0;
/// The mean loss saved over the prior, in standard errors, up to which a forecaster counts as without skill.
const UNSKILLED_GAIN: f64 = -2.5;

/// The rows of one device from an hour on.
pub struct JudgedHours {
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

impl Day {
    fn add(&mut self, other: &Day) {
        self.rows += other.rows;
        self.prior += other.prior;
        self.champion += other.champion;
        self.challenger += other.challenger;
    }
}

/// Log losses by local day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DailyLosses(BTreeMap<i32, Day>);

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

impl JudgedHours {
    /// Returns the observed hours, from `from` on, of the device at a position of the grid, with the features that
    /// training would give them. Returns `None` without such hours.
    ///
    /// # Errors
    /// Returns the error of Polars.
    pub fn new(
        hourly: &Hourly,
        site_rates: &SiteRates,
        device: usize,
        from: Hour,
    ) -> PolarsResult<Option<JudgedHours>> {
        let labelled = rows::rows_of(hourly, device, |hour| hour >= from);
        if labelled.is_empty() {
            return Ok(None);
        }
        let rows: Vec<_> = labelled.iter().map(|labelled| labelled.row).collect();
        Ok(Some(JudgedHours {
            matrix: Table::new(hourly, site_rates, device).matrix(&rows)?,
            occupied: labelled.iter().map(|labelled| labelled.occupied).collect(),
            days: rows.iter().map(|row| hourly.local(row.hour).day).collect(),
        }))
    }

    /// Returns the losses of two forecasters, given their log-odds of each row, and the losses of the prior.
    pub(crate) fn losses(&self, champion: &[f64], challenger: &[f64]) -> DailyLosses {
        let mut losses = DailyLosses::default();
        for (at, &prior) in self.matrix.column(PRIOR).iter().enumerate() {
            let loss = |log_odds| log_odds_loss(log_odds, self.occupied[at]);
            losses.0.entry(self.days[at]).or_default().add(&Day {
                rows: 1,
                prior: loss(f64::from(prior)),
                champion: loss(champion[at]),
                challenger: loss(challenger[at]),
            });
        }
        losses
    }
}

impl DailyLosses {
    /// Adds the days of another device.
    pub fn merge(mut self, other: &DailyLosses) -> DailyLosses {
        other.0.iter().for_each(|(&day, losses)| self.0.entry(day).or_default().add(losses));
        self
    }

    /// Returns the number of local days with at least one hour.
    pub fn days(&self) -> usize {
        self.0.len()
    }

    /// Returns the mean of a daily difference in standard errors.
    fn standard_errors(&self, difference: fn(&Day) -> f64) -> f64 {
        DailyMean::new(self.0.values().map(difference)).standard_errors()
    }

    /// Returns whether the champion does worse than the prior by more than noise.
    pub(crate) fn champion_is_without_skill(&self) -> bool {
        self.standard_errors(|day| day.prior - day.champion) <= UNSKILLED_GAIN
    }

    /// Returns whether the challenger does worse than the prior by more than noise.
    pub(crate) fn challenger_is_without_skill(&self) -> bool {
        self.standard_errors(|day| day.prior - day.challenger) <= UNSKILLED_GAIN
    }

    /// Returns whether the challenger does worse than the champion by more than noise.
    pub(crate) fn challenger_is_worse(&self) -> bool {
        self.gain() <= WORSE_GAIN
    }

    fn gain(&self) -> f64 {
        self.standard_errors(|day| day.champion - day.challenger)
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

    /// Builds losses of one row a day from those of prior, champion and challenger.
    fn losses(days: &[(f64, f64, f64)]) -> DailyLosses {
        let day = |&(prior, champion, challenger): &(f64, f64, f64)| Day { rows: 1, prior, champion, challenger };
        DailyLosses((0..).zip(days.iter().map(day)).collect())
    }

    #[test]
    fn noise_is_not_worse_and_a_steady_loss_is() {
        let same = losses(&[(0.5, 0.4, 0.4), (0.6, 0.5, 0.5), (0.4, 0.3, 0.3), (0.5, 0.4, 0.4)]);
        assert!(!same.challenger_is_worse() && same.judged().gain == 0.0);
        let mixed = losses(&[(0.5, 0.4, 0.5), (0.5, 0.4, 0.3), (0.5, 0.4, 0.45), (0.5, 0.4, 0.36)]);
        assert!(!mixed.challenger_is_worse(), "{:?}", mixed.judged());
        let worse = losses(&[(0.5, 0.4, 0.5), (0.5, 0.4, 0.48), (0.5, 0.4, 0.53), (0.5, 0.4, 0.47)]);
        assert!(worse.challenger_is_worse() && !worse.champion_is_without_skill());
        let gone = losses(&[(0.3, 0.4, 0.4), (0.3, 0.45, 0.4), (0.3, 0.42, 0.4), (0.3, 0.41, 0.4)]);
        assert!(gone.champion_is_without_skill() && !gone.challenger_is_worse());
    }

    #[test]
    fn days_of_several_devices_are_one_block() {
        let merged = losses(&[(0.5, 0.25, 0.5)]).merge(&losses(&[(1.0, 0.75, 0.25), (1.0, 1.0, 1.0)]));
        let judged = merged.judged();
        assert_eq!((judged.days, judged.rows), (2, 3));
        assert_eq!((judged.prior, judged.champion), (0.833_333, 0.666_667));
    }
}
