//! Judges challengers against the champion, for the site and for each device.

use rayon::prelude::*;

use super::judge::{DailyLosses, JudgedHours};
use super::report::{DeviceTrial, Layer, Reason, Report, SiteTrial};
use crate::calendar::Hour;
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::TrainError;

/// The models in use, and the hours on which they are challenged.
pub(super) struct Contest<'a> {
    /// All known hours.
    pub hourly: &'a Hourly,
    /// The readings of all devices together in these hours.
    pub site_rates: &'a SiteRates,
    /// The models in use.
    pub champion: &'a Models,
    /// The first hour from which neither side has learned.
    pub from: Hour,
    /// The fewest days on which a judgement can be based.
    pub fewest_days: usize,
}

/// The losses of one device's challengers and of the champion.
#[derive(Clone, Default)]
struct Comparison {
    /// The challenger's site layers against those of the champion.
    site_layers: DailyLosses,
    /// The challenger's whole stack against that of the champion.
    whole: DailyLosses,
    /// The challenger's site layers against the champion's whole stack.
    site: DailyLosses,
}

impl Contest<'_> {
    /// Returns whether there can be enough days to judge on.
    pub fn has_days(&self) -> bool {
        let days = (self.hourly.end - self.from).max(0) / 24;
        days as usize >= self.fewest_days - 1
    }

    /// Returns whether the champion's forecasts do worse than the prior by more than noise, over all devices.
    ///
    /// # Errors
    /// Returns `TrainError` with the error of Polars.
    pub fn has_lost_skill(&self) -> Result<bool, TrainError> {
        let losses = self.each_device(|judged, name| {
            let log_odds = self.champion.layers(name).scores(&judged.matrix);
            judged.losses(&log_odds, &log_odds)
        })?;
        let losses = losses.iter().fold(DailyLosses::default(), DailyLosses::merge);
        Ok(losses.days() >= self.fewest_days && losses.champion_is_without_skill())
    }

    /// Judges a challenger: the site's layers first, then each of `devices`. Records the decisions in `report`. A
    /// challenger that cannot be judged takes over only if the champion is over age.
    ///
    /// # Errors
    /// Returns `TrainError` with the error of Polars.
    pub fn judge<'a>(
        &self,
        challenger: Option<&Models>,
        devices: impl Iterator<Item = &'a String>,
        reason: Reason,
        report: &mut Report,
    ) -> Result<(), TrainError> {
        let devices_compared = match challenger {
            Some(models) => self.each_device(|judged, name| self.compare(models, judged, name))?,
            None => vec![Comparison::default(); self.hourly.devices.len()],
        };
        let site = devices_compared.iter().fold(DailyLosses::default(), |sum, device| sum.merge(&device.site_layers));
        let judged = (site.days() >= self.fewest_days).then(|| site.judged());
        let promoted = if judged.is_some() { !site.challenger_is_worse() } else { reason == Reason::OverAge };
        report.site = Some(SiteTrial { reason, promoted, judged });
        if promoted {
            let trial = |name: &String| {
                let compared = self.hourly.position(name).and_then(|at| devices_compared.get(at));
                (name.clone(), compared.map_or(DeviceTrial::UNJUDGED, |compared| self.decide(compared)))
            };
            report.devices = devices.map(trial).collect();
        }
        Ok(())
    }

    fn compare(&self, challenger: &Models, judged: &JudgedHours, name: &str) -> Comparison {
        let champion = self.champion.layers(name);
        let (old, new) = (champion.scores(&judged.matrix), challenger.layers(name).scores(&judged.matrix));
        let (old_site, new_site) = (champion.site.scores(&judged.matrix), challenger.site.scores(&judged.matrix));
        Comparison {
            site_layers: judged.losses(&old_site, &new_site),
            whole: judged.losses(&old, &new),
            site: judged.losses(&old, &new_site),
        }
    }

    /// Returns the layer that a device gets once the site's layers are renewed.
    fn decide(&self, Comparison { whole, site, .. }: &Comparison) -> DeviceTrial {
        if whole.days() < self.fewest_days {
            return DeviceTrial::UNJUDGED;
        }
        let gets = if !whole.challenger_is_worse() && !whole.challenger_is_without_skill() {
            Layer::Challenger
        } else if !site.challenger_is_without_skill() {
            Layer::Site
        } else {
            Layer::Prior
        };
        DeviceTrial { gets, judged: Some(whole.judged()) }
    }

    /// Returns the value of `of` for each device of the grid, and the default for devices without judged hours.
    fn each_device<T: Default + Send>(
        &self,
        of: impl Fn(&JudgedHours, &str) -> T + Sync,
    ) -> Result<Vec<T>, TrainError> {
        let of = |at: usize| -> Result<T, TrainError> {
            let judged = JudgedHours::new(self.hourly, self.site_rates, at, self.from)?;
            Ok(judged.map_or_else(T::default, |judged| of(&judged, &self.hourly.devices[at].device)))
        };
        (0..self.hourly.devices.len()).into_par_iter().map(of).collect()
    }
}
