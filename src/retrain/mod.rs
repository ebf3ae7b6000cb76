//! The retraining job: renew the models that are due, and only where the new ones are not worse.
//!
//! *Due* ([`due`]) are the site's layers when they are older than allowed or do worse than the plain prior on the latest
//! days, and with them every device; otherwise the devices without a model, those left on older site layers, and
//! those whose own forecasts do worse than the prior.
//!
//! A *challenger* is fitted on readings before the latest days and *judged* ([`judge`]) on them against the
//! *champion*, the models in use: the same hours, asked at the same instants, days as blocks. Only days after
//! everything the champion learned from count. With too few of them nothing can be said, and the challenger takes
//! over only if the champion is over age; the report says so. What is promoted is then fitted again on everything.
//!
//! A device's trees are steps on top of the site's score, so they are never moved to other site layers:
//!
//! - The site's layers are judged by themselves. When they are renewed, every device gets a challenger on the new
//!   ones. A device whose challenger is worse keeps its layer, and the version keeps the older site layers below it
//!   ([`Models::older`], at most [`MOST_OLDER`]). It is due again the next time.
//! - When they stay, due devices get challengers on the layers that are there.

pub mod due;
pub mod judge;
pub mod report;
pub mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{Days, NaiveTime};
use rayon::prelude::*;

use self::due::{Dues, Reason};
use self::judge::{Scored, Window};
use self::report::{Report, Trial};
use crate::calendar::{Calendar, Instant};
use crate::features::Building;
use crate::hourly::Hourly;
use crate::model::fit::{self, TrainError};
use crate::model::{DeviceModel, Models, SiteModel};
use crate::readings::Readings;

/// Most generations of site layers that a version holds beside its own. A device on still older ones moves to the new.
pub const MOST_OLDER: usize = 3;

/// What a retraining is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Only readings before this instant are known.
    pub until: Instant,
    /// Seconds after which what was learned is over age.
    pub max_age: i64,
    /// Whole local days before `until` that challengers are judged on.
    pub judge_days: u16,
    /// Whether everything is due, whatever its age.
    pub all: bool,
    /// Whether to stop before anything is fitted on all readings.
    pub dry_run: bool,
}

/// What came of a retraining.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was due, how it was judged, what was decided.
    pub report: Report,
    /// The models to take over; none when nothing was promoted, or on a dry run.
    pub models: Option<Models>,
}

/// Everything the steps of one retraining look at.
struct Run<'a> {
    readings: &'a Readings,
    calendar: &'a Calendar,
    options: &'a Options,
    /// All readings before `until`.
    hourly: Hourly,
    building: Building,
    /// The first instant that may be judged on.
    latest: Instant,
    /// Called once per fit of a device.
    done: &'a (dyn Fn() + Sync),
}

/// Renews what is due of `champion`, everything without one, and says why. `done` is called once per fit of a device.
///
/// # Errors
/// [`TrainError`] when LightGBM or Polars refuse. Too little history is no error: nothing is promoted then.
pub fn run(
    readings: &Readings,
    calendar: &Calendar,
    champion: Option<&Models>,
    options: &Options,
    done: &(dyn Fn() + Sync),
) -> Result<Outcome, TrainError> {
    let hourly = Hourly::new(readings, calendar, options.until);
    let building = Building::new(&hourly);
    let midnight = calendar.wall(calendar.start(hourly.end)).date() - Days::new(u64::from(options.judge_days));
    let latest = calendar.instant(midnight.and_time(NaiveTime::MIN));
    let run = Run { readings, calendar, options, hourly, building, latest, done };
    let mut report = Report::new(calendar, options, run.hourly.devices.len());
    let models = match champion {
        _ if !fit::enough(&run.hourly) => None,
        None => run.first(&mut report)?,
        Some(champion) => run.renew(champion, &mut report)?,
    };
    let models = models.filter(|models| !models.devices.is_empty());
    if models.is_none() && !options.dry_run && (report.promoted() > 0 || !fit::enough(&run.hourly)) {
        report = Report::new(calendar, options, run.hourly.devices.len());
        report.note = Some("too little history to learn from".into());
    }
    Ok(Outcome { report, models })
}

impl Run<'_> {
    /// Models where there were none: nothing to be judged against.
    fn first(&self, report: &mut Report) -> Result<Option<Models>, TrainError> {
        report.site = Some(Trial::unjudged(Reason::NoModel, true));
        for device in &self.hourly.devices {
            report.devices.insert(device.device.clone(), Trial::unjudged(Reason::NoModel, true));
        }
        if self.options.dry_run {
            return Ok(None);
        }
        fit::train(&self.hourly, &self.building, self.done).map(Some)
    }

    fn renew(&self, champion: &Models, report: &mut Report) -> Result<Option<Models>, TrainError> {
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
        let trials = |(name, &reason): (&String, &Reason)| {
            let age = champion.devices.get(name).map_or(0, |device| champion.site_of(device).cutoff);
            let judged = match (&challengers, reason) {
                (None, _) | (_, Reason::NoModel) => None,
                (Some(models), _) => Some(self.judge_device(name, champion, models, &due)?),
            };
            Ok((name.clone(), self.trial(reason, judged, age)))
        };
        report.devices = due.devices.par_iter().map(trials).collect::<Result<BTreeMap<_, _>, TrainError>>()?;
        if due.site.is_some() {
            move_off_the_oldest(champion, report);
        }
        if self.options.dry_run || report.promoted() == 0 && due.site.is_none() {
            return Ok(None);
        }
        let promoted = |name: &str| report.devices.get(name).is_some_and(|trial| trial.promoted);
        if due.site.is_some() {
            let fresh = fit::train(&self.hourly, &self.building, self.done)?;
            return Ok(Some(assemble(fresh, champion, false, |name| {
                report.devices.contains_key(name) && !promoted(name)
            })));
        }
        let names: Vec<&str> = report.devices.keys().map(String::as_str).filter(|name| promoted(name)).collect();
        let devices = self.own_layers(&self.hourly, &self.building, &champion.site, &names)?;
        let fresh = Models { devices, site: champion.site.clone(), cutoff: self.options.until, ..Models::default() };
        Ok(Some(assemble(fresh, champion, true, |name| !promoted(name))))
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

    /// One device's stack of both.
    fn judge_device(
        &self,
        name: &str,
        champion: &Models,
        challenger: &Models,
        due: &Dues,
    ) -> Result<Scored, TrainError> {
        let (Some(at), Some(old)) = (self.hourly.position(name), champion.devices.get(name)) else {
            return Ok(Scored::default());
        };
        let from = self.calendar.next_hour(self.first_judged(champion, due).max(champion.learned_until(old)));
        let Some(window) = Window::new(&self.hourly, &self.building, at, from)? else {
            return Ok(Scored::default());
        };
        // Whom the challengers do not know yet gets the site's forecast from them.
        let newcomer = DeviceModel { follows_site: true, ..DeviceModel::default() };
        let new = challenger.devices.get(name).unwrap_or(&newcomer);
        let old = old.scores(champion.site_of(old), &window.matrix);
        Ok(window.score(&old, &new.scores(&challenger.site, &window.matrix), from))
    }

    /// What becomes of a challenger, given the instant up to which the site layers in its place learned.
    fn trial(&self, reason: Reason, scored: Option<Scored>, learned_until: Instant) -> Trial {
        match scored.filter(|scored| scored.days() >= self.fewest_days()) {
            Some(scored) => Trial::judged(reason, &scored),
            None => Trial::unjudged(reason, reason == Reason::NoModel || self.over_age(learned_until)),
        }
    }

    fn over_age(&self, learned_until: Instant) -> bool {
        self.options.until - learned_until >= self.options.max_age
    }

    /// Fewer judged days than this say nothing.
    fn fewest_days(&self) -> usize {
        judge::FEWEST_DAYS.min(usize::from(self.options.judge_days)).max(2)
    }
}

/// Devices that should stay on site layers older than [`MOST_OLDER`] generations are promoted all the same.
fn move_off_the_oldest(champion: &Models, report: &mut Report) {
    for (name, trial) in &mut report.devices {
        let on = champion.devices.get(name).map_or(0, |device| usize::from(device.sits_on));
        if !trial.promoted && on >= MOST_OLDER {
            *trial = Trial { promoted: true, moved: true, ..trial.clone() };
        }
    }
}

/// Fresh models with the champion's layers of the devices that are `kept`, and the site layers these sit on. `same_site` says
/// that the site's layers of both are the same.
fn assemble(mut fresh: Models, champion: &Models, same_site: bool, kept: impl Fn(&str) -> bool) -> Models {
    let generations = std::iter::once(&champion.site).chain(&champion.older).enumerate();
    for (at, site) in generations {
        let on = champion.devices.iter().filter(|(name, device)| usize::from(device.sits_on) == at && kept(name));
        let mut on = on.peekable();
        if on.peek().is_none() {
            continue;
        }
        if at > 0 || !same_site {
            fresh.older.push(site.clone());
        }
        let place = fresh.older.len() as u8;
        for (name, device) in on {
            fresh.cutoff = fresh.cutoff.max(champion.learned_until(device));
            fresh.devices.insert(name.clone(), DeviceModel { sits_on: place, ..device.clone() });
        }
    }
    fresh.cutoff = fresh.cutoff.max(fresh.site.cutoff);
    fresh
}
