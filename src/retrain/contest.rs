//! Challengers against the champion, and the models that come of it.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Options;
use super::due::{Dues, Reason};
use super::generations::{assemble, move_off_the_oldest};
use super::judge::{self, Scored, Window};
use super::report::{Report, Trial};
use crate::calendar::{Calendar, Instant};
use crate::features::Building;
use crate::hourly::Hourly;
use crate::model::fit::{self, TrainError};
use crate::model::{DeviceModel, Models, SiteModel};
use crate::readings::Readings;

/// Everything the steps of one retraining look at.
pub(super) struct Run<'a> {
    pub readings: &'a Readings,
    pub calendar: &'a Calendar,
    pub options: &'a Options,
    /// All readings before `until`.
    pub hourly: Hourly,
    pub building: Building,
    /// The first instant that may be judged on.
    pub latest: Instant,
    /// Called once per fit of a device.
    pub done: &'a (dyn Fn() + Sync),
}

impl Run<'_> {
    /// Models where there were none: nothing to be judged against.
    pub fn first(&self, report: &mut Report) -> Result<Option<Models>, TrainError> {
        report.site = Some(Trial::unjudged(Reason::NoModel, true));
        for device in &self.hourly.devices {
            report.devices.insert(device.device.clone(), Trial::unjudged(Reason::NoModel, true));
        }
        if self.options.dry_run {
            return Ok(None);
        }
        fit::train(&self.hourly, &self.building, self.done).map(Some)
    }

    /// The models that the contest decided for, fitted on everything; none where all stays as it is.
    pub fn renew(&self, champion: &Models, report: &mut Report) -> Result<Option<Models>, TrainError> {
        let site = self.contest(champion, report)?;
        if self.options.dry_run || report.promoted() == 0 && !site {
            return Ok(None);
        }
        let promoted = |name: &str| report.devices.get(name).is_some_and(|trial| trial.promoted);
        let fresh = if site {
            fit::train(&self.hourly, &self.building, self.done)?
        } else {
            let names: Vec<&str> = report.devices.keys().map(String::as_str).filter(|name| promoted(name)).collect();
            let devices = self.own_layers(&self.hourly, &self.building, &champion.site, &names)?;
            Models { devices, site: champion.site.clone(), cutoff: self.options.until, ..Models::default() }
        };
        // Of devices without readings nothing is kept when everything else is new.
        let known = |name: &str| !site || self.hourly.position(name).is_some();
        Ok(Some(self.put_together(fresh, champion, site, report, known)))
    }

    /// What becomes of models that were fitted elsewhere, on readings before [`Run::latest`]: those of the champion where
    /// they are worse; none where all stays as it is.
    pub fn settle(&self, champion: &Models, fresh: Models, report: &mut Report) -> Result<Option<Models>, TrainError> {
        let reason = match champion.site.cutoff {
            0 => Reason::NoModel,
            cutoff if self.over_age(cutoff) => Reason::OverAge,
            _ => Reason::Asked,
        };
        let of = |name: &String| if champion.devices.contains_key(name) { reason.of_all() } else { Reason::NoModel };
        let devices = fresh.devices.keys().map(|name| (name.clone(), of(name))).collect();
        let due = Dues { site: Some(reason), devices };
        report.judged_from = Some(self.calendar.rfc3339(self.first_judged(champion, &due)));
        let site = self.trial(reason, Some(self.judge_site(champion, &fresh)?), champion.site.cutoff);
        let promoted = site.promoted;
        report.site = Some(site);
        if !promoted {
            return Ok(None);
        }
        report.devices = self.trials(champion, Some(&fresh), &due)?;
        move_off_the_oldest(champion, report);
        if self.options.dry_run {
            return Ok(None);
        }
        Ok(Some(self.put_together(fresh, champion, true, report, |name| due.devices.contains_key(name))))
    }

    /// Fresh models with what the report says is the prior, and with the champion's layers of the `known` devices that it does
    /// not say are promoted.
    fn put_together(
        &self,
        mut fresh: Models,
        champion: &Models,
        site: bool,
        report: &Report,
        known: impl Fn(&str) -> bool,
    ) -> Models {
        for (name, _) in report.devices.iter().filter(|(_, trial)| trial.baseline) {
            fresh.devices.insert(name.clone(), DeviceModel { cutoff: fresh.cutoff, ..DeviceModel::default() });
        }
        let promoted = |name: &str| report.devices.get(name).is_some_and(|trial| trial.promoted);
        assemble(fresh, champion, !site, |name| !promoted(name) && known(name))
    }

    /// Challengers for what is due of the champion, and what becomes of each; whether the site's layers are renewed.
    fn contest(&self, champion: &Models, report: &mut Report) -> Result<bool, TrainError> {
        let mut due = Dues::find(self, champion)?;
        let mut challengers = self.challengers(champion, &due)?;
        let from = |due: &Dues| self.calendar.rfc3339(self.first_judged(champion, due));
        report.judged_from = challengers.is_some().then(|| from(&due));
        if let Some(reason) = due.site {
            let judged = challengers.as_ref().map(|models| self.judge_site(champion, models)).transpose()?;
            let trial = self.trial(reason, judged, champion.site.cutoff);
            if !trial.promoted {
                // Challengers of devices were fitted on top of the layers that lost.
                due.keep_site();
                challengers = self.challengers(champion, &due)?;
                report.judged_from = challengers.as_ref().map(|_| from(&due)).or(report.judged_from.take());
            }
            report.site = Some(trial);
        }
        report.devices = self.trials(champion, challengers.as_ref(), &due)?;
        if due.site.is_some() {
            move_off_the_oldest(champion, report);
        }
        Ok(due.site.is_some())
    }

    /// What becomes of the challengers of the devices that are due.
    fn trials(
        &self,
        champion: &Models,
        challengers: Option<&Models>,
        due: &Dues,
    ) -> Result<BTreeMap<String, Trial>, TrainError> {
        let of = |(name, &reason): (&String, &Reason)| {
            let age = champion.devices.get(name).map_or(0, |device| champion.site_of(device).cutoff);
            let judged = match (challengers, reason) {
                (None, _) | (_, Reason::NoModel) => None,
                (Some(models), _) => Some(self.judge_device(name, champion, models, due)?),
            };
            let (scored, baseline) = judged.unzip();
            let trial = self.trial(reason, scored, age);
            Ok((name.clone(), Trial { baseline: baseline.unwrap_or(false) && trial.judged.is_some(), ..trial }))
        };
        due.devices.par_iter().map(of).collect()
    }

    /// The first instant of the latest days after everything that some of the due layers learned from: challengers know
    /// all before it.
    fn first_judged(&self, champion: &Models, due: &Dues) -> Instant {
        let known = due.devices.keys().filter_map(|name| champion.devices.get(name));
        let learned = match due.site {
            Some(_) => Some(champion.site.cutoff),
            None => known.map(|device| champion.learned_until(device)).min(),
        };
        self.latest.max(learned.unwrap_or(self.latest))
    }

    /// Models fitted on what was known before the judged days; none where there is nothing to judge, or too little
    /// to learn from.
    fn challengers(&self, champion: &Models, due: &Dues) -> Result<Option<Models>, TrainError> {
        let cut = self.first_judged(champion, due);
        let names: Vec<&str> =
            due.devices.keys().map(String::as_str).filter(|&name| champion.devices.contains_key(name)).collect();
        let days = (self.hourly.end - self.calendar.next_hour(cut)).max(0) / 24;
        if names.is_empty() && due.site.is_none() || (days as usize) < self.fewest_days() - 1 {
            return Ok(None);
        }
        let hourly = Hourly::new(self.readings, self.calendar, cut);
        if !fit::enough(&hourly) {
            return Ok(None);
        }
        let building = Building::new(&hourly);
        if due.site.is_some() {
            return fit::train(&hourly, &building, self.done).map(Some);
        }
        let devices = self.own_layers(&hourly, &building, &champion.site, &names)?;
        Ok(Some(Models { site: champion.site.clone(), devices, cutoff: cut, ..Models::default() }))
    }

    /// Layers of named devices on top of site layers; devices that are not in the grid are left out.
    fn own_layers(
        &self,
        hourly: &Hourly,
        building: &Building,
        site: &SiteModel,
        names: &[&str],
    ) -> Result<BTreeMap<String, DeviceModel>, TrainError> {
        let places: Vec<usize> = names.iter().filter_map(|name| hourly.position(name)).collect();
        let layers = fit::train_devices(hourly, building, site, &places, self.done)?;
        Ok(places.iter().map(|&at| hourly.devices[at].device.clone()).zip(layers).collect())
    }

    /// The site's layers of both by themselves, over all devices.
    fn judge_site(&self, champion: &Models, challenger: &Models) -> Result<Scored, TrainError> {
        let from = self.calendar.next_hour(self.latest.max(champion.site.cutoff));
        let of = |device: usize| -> Result<Scored, TrainError> {
            let Some(window) = Window::new(&self.hourly, &self.building, device, from)? else {
                return Ok(Scored::default());
            };
            Ok(window.score(&champion.site.scores(&window.matrix), &challenger.site.scores(&window.matrix), from))
        };
        let parts: Vec<Scored> = (0..self.hourly.devices.len()).into_par_iter().map(of).collect::<Result<_, _>>()?;
        Ok(parts.into_iter().fold(Scored::default(), Scored::merge))
    }

    /// One device's stack of both, and whether the challenger is the prior, for want of a better one.
    fn judge_device(
        &self,
        name: &str,
        champion: &Models,
        challenger: &Models,
        due: &Dues,
    ) -> Result<(Scored, bool), TrainError> {
        let (Some(at), Some(old)) = (self.hourly.position(name), champion.devices.get(name)) else {
            return Ok(Default::default());
        };
        let from = self.calendar.next_hour(self.first_judged(champion, due).max(champion.learned_until(old)));
        let Some(window) = Window::new(&self.hourly, &self.building, at, from)? else {
            return Ok(Default::default());
        };
        // Whom the challengers do not know yet gets the site's forecast from them.
        let newcomer = DeviceModel { follows_site: true, ..DeviceModel::default() };
        let new = challenger.devices.get(name).unwrap_or(&newcomer);
        let old = old.scores(champion.site_of(old), &window.matrix);
        let fitted = window.score(&old, &new.scores(&challenger.site, &window.matrix), from);
        if !fitted.without_skill() {
            return Ok((fitted, false));
        }
        Ok((window.score(&old, &DeviceModel::default().scores(&challenger.site, &window.matrix), from), true))
    }

    /// What becomes of a challenger, given the instant up to which the site layers in its place learned.
    fn trial(&self, reason: Reason, scored: Option<Scored>, learned_until: Instant) -> Trial {
        match scored.filter(|scored| scored.days() >= self.fewest_days()) {
            Some(scored) => Trial::judged(reason, &scored),
            None => Trial::unjudged(reason, reason == Reason::NoModel || self.over_age(learned_until)),
        }
    }

    /// Whether what learned up to an instant is older than allowed.
    pub fn over_age(&self, learned_until: Instant) -> bool {
        self.options.until - learned_until >= self.options.max_age
    }

    /// Fewer judged days than this say nothing.
    pub fn fewest_days(&self) -> usize {
        judge::FEWEST_DAYS.min(usize::from(self.options.judge_days)).max(2)
    }
}
