//! The retraining job: fits all models again, and promotes those that are not worse than the models in use.
//!
//! It is *due* when the models in use are older than allowed, or were lately worse than the plain prior.
//!
//! A *challenger* is fitted on readings before the latest days. It is *judged* ([`judge`]) on these days against the
//! *champion*, the models in use: on the same hours, from the same origins, with days as blocks. Only hours after
//! everything that either learned from count. With too few of them no judgement is made, and the challenger takes over
//! only if the champion is over age. The report states this.
//!
//! The site's layers are judged separately, over all devices. If they lose, everything stays as it is. If they win, the
//! models are fitted again on all readings, and each device is judged with its whole stack. A device whose challenger
//! loses gets only the site's new layers, or only the prior if these layers do worse than the prior. A device's trees
//! are steps on top of the site's score, so they are never kept with other layers of the site than those that they were
//! fitted on.
//!
//! Each level above the rooms is judged in the same way ([`renew_levels`]), when the models of rooms take over.
//!
//! [`settle`] judges models that were fitted elsewhere by the same rules.

mod contest;
mod info;
pub mod judge;
mod levels;
pub mod report;
pub mod schedule;
pub mod shard;

use chrono::{Days, NaiveTime};

use self::contest::Contest;
pub use self::info::TrainingInfo;
pub use self::levels::{levels, renew_levels};
use self::report::{Reason, Report};
use crate::calendar::{Calendar, Timestamp};
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::{self, TrainError};
use crate::readings::Readings;

/// The options of a retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The retraining knows only readings before this instant.
    pub until: Timestamp,
    /// Age in seconds from which models are over age.
    pub max_age: i64,
    /// Number of whole local days before `until` on which challengers are judged.
    pub judge_days: u16,
    /// True to stop before anything is fitted on all readings.
    pub dry_run: bool,
}

impl Options {
    /// Returns whether models that learned up to an instant are older than allowed.
    fn over_age(&self, cutoff: Timestamp) -> bool {
        self.until - cutoff >= self.max_age
    }

    /// Returns the fewest judged days that allow a judgement.
    fn fewest_days(&self) -> usize {
        judge::MIN_DAYS.min(usize::from(self.judge_days)).max(2)
    }
}

/// The outcome of a retraining.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The report: the reason, the judgement and the decision.
    pub report: Report,
    /// The models that take over. `None` when nothing was promoted, or on a dry run.
    pub models: Option<Models>,
}

/// Fits all models again if that is due, judges them against `champion`, and reports the reasons. Calls `done` once per
/// fit of a device.
///
/// # Errors
/// Returns [`TrainError`] when LightGBM or Polars fails. Too little history is not an error: nothing is promoted then.
pub fn run(
    readings: &Readings,
    calendar: &Calendar,
    champion: Option<&Models>,
    options: &Options,
    done: &(dyn Fn() + Sync),
) -> Result<Outcome, TrainError> {
    let hourly = Hourly::new(readings, calendar, options.until);
    let mut report = Report::new(calendar, options, hourly.devices.len());
    if !fit::enough(&hourly) {
        report.give_up();
        return Ok(Outcome { report, models: None });
    }
    let site_rates = SiteRates::new(&hourly);
    let train = || fit::train(&hourly, &site_rates, done);
    let names = hourly.devices.iter().map(|device| &device.device);
    let Some(champion) = champion.filter(|models| !models.devices.is_empty()) else {
        report.promote_all(names);
        return finish(report, options, train);
    };
    let latest = judged_from(calendar.start(hourly.end), options.judge_days, calendar);
    let unseen = latest.max(champion.cutoff);
    let from = calendar.next_hour(unseen);
    let contest =
        Contest { hourly: &hourly, site_rates: &site_rates, champion, from, fewest_days: options.fewest_days() };
    let Some(reason) = due(&contest, options)? else { return Ok(Outcome { report, models: None }) };
    let known = contest.has_days().then(|| Hourly::new(readings, calendar, unseen)).filter(fit::enough);
    let challenger = known.map(|known| fit::train(&known, &SiteRates::new(&known), done)).transpose()?;
    report.judged_from = challenger.is_some().then(|| calendar.rfc3339(unseen));
    contest.judge(challenger.as_ref(), names, reason, &mut report)?;
    finish(report, options, train)
}

/// Fits the models that take over according to the report.
fn finish(
    mut report: Report,
    options: &Options,
    train: impl FnOnce() -> Result<Models, TrainError>,
) -> Result<Outcome, TrainError> {
    if options.dry_run || !report.is_promoted() {
        return Ok(Outcome { report, models: None });
    }
    let models = report.applied_to(train()?);
    if models.devices.is_empty() {
        report.give_up();
        return Ok(Outcome { report, models: None });
    }
    Ok(Outcome { report, models: Some(models) })
}

/// Decides whether models that were fitted elsewhere, on readings before their cutoff, replace `champion`. They are
/// judged on `readings` after everything both learned from, as in a retraining. Without enough such readings they take
/// over only if the champion is over age.
///
/// # Errors
/// Returns the errors of [`run`].
pub fn settle(
    readings: &Readings,
    calendar: &Calendar,
    champion: Option<&Models>,
    challenger: Models,
    options: &Options,
) -> Result<Outcome, TrainError> {
    let mut report = Report::new(calendar, options, challenger.devices.len());
    if let Some(champion) = champion.filter(|models| !models.devices.is_empty()) {
        let unseen = challenger.cutoff.max(champion.cutoff);
        report.judged_from = Some(calendar.rfc3339(unseen));
        let hourly = Hourly::new(readings, calendar, options.until);
        let site_rates = SiteRates::new(&hourly);
        let (from, fewest_days) = (calendar.next_hour(unseen), options.fewest_days());
        let contest = Contest { hourly: &hourly, site_rates: &site_rates, champion, from, fewest_days };
        let reason = if options.over_age(champion.cutoff) { Reason::OverAge } else { Reason::Asked };
        contest.judge(Some(&challenger), challenger.devices.keys(), reason, &mut report)?;
    } else {
        report.promote_all(challenger.devices.keys());
    }
    finish(report, options, || Ok(challenger))
}

/// Returns the reason to challenge the models in use, and `None` if there is none.
fn due(contest: &Contest, options: &Options) -> Result<Option<Reason>, TrainError> {
    Ok(if options.over_age(contest.champion.cutoff) {
        Some(Reason::OverAge)
    } else if contest.has_days() && contest.has_lost_skill()? {
        Some(Reason::SkillGone)
    } else {
        None
    })
}

/// Returns the midnight that begins the last whole local days before an instant, on which challengers are judged.
fn judged_from(until: Timestamp, judge_days: u16, calendar: &Calendar) -> Timestamp {
    let midnight = calendar.wall(until).date() - Days::new(u64::from(judge_days));
    calendar.instant(midnight.and_time(NaiveTime::MIN))
}
