//! The retraining job: renew the models that are due, and only where the new ones are not worse.
//!
//! *Due* ([`due`]) are the site's layers when they are older than allowed or do worse than the plain prior on the latest
//! days, and with them every device; otherwise the devices without a model, those left on older site layers, and
//! those whose own forecasts do worse than the prior.
//!
//! A *challenger* is fitted on readings before the latest days and *judged* ([`judge`]) on them against the
//! *champion*, the models in use: the same hours, asked at the same instants, days as blocks. Only days after
//! everything the champion learned from count. With too few of them nothing can be said, and the challenger takes
//! over only if the champion is over age; the report says so. What is promoted is then fitted again on everything. Where
//! a device's challenger does worse than the prior, the prior itself takes its place.
//!
//! A device's trees are steps on top of the site's score, so they are never moved to other site layers:
//!
//! - The site's layers are judged by themselves. When they are renewed, every device gets a challenger on the new
//!   ones. A device whose challenger is worse keeps its layer, and the version keeps the older site layers below it
//!   ([`Models::older`], at most [`MOST_OLDER`]). It is due again the next time.
//! - When they stay, due devices get challengers on the layers that are there.

mod champion;
mod contest;
pub mod due;
mod generations;
pub mod judge;
pub mod report;
pub mod schedule;
#[cfg(test)]
mod tests;

use chrono::{Days, NaiveTime};

pub use self::champion::champion;
use self::contest::Run;
use self::due::Reason;
use self::report::{Report, Trial};
use crate::calendar::{Calendar, Instant};
use crate::features::Building;
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::{self, TrainError};
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

/// Decides whether models that were fitted elsewhere, on readings before their cutoff, take the place of `champion`, all of
/// them or some: judged on `readings` after everything both learned from, as in a retraining. Without such readings, or too few
/// of them, they take over only where the champion is over age.
///
/// # Errors
/// As [`run`].
pub fn settle(
    readings: &Readings,
    calendar: &Calendar,
    champion: Option<&Models>,
    challenger: Models,
    options: &Options,
) -> Result<Outcome, TrainError> {
    let mut report = Report::new(calendar, options, challenger.devices.len());
    let Some(champion) = champion else {
        report.site = Some(Trial::unjudged(Reason::NoModel, true));
        let unjudged = |name: &String| (name.clone(), Trial::unjudged(Reason::NoModel, true));
        report.devices = challenger.devices.keys().map(unjudged).collect();
        return Ok(Outcome { report, models: (!options.dry_run).then_some(challenger) });
    };
    let hourly = Hourly::new(readings, calendar, options.until);
    let building = Building::new(&hourly);
    let run = Run { readings, calendar, options, hourly, building, latest: challenger.cutoff, done: &|| () };
    let models = run.settle(champion, challenger, &mut report)?;
    Ok(Outcome { report, models })
}

/// The midnight at which the last whole local days before an instant begin that challengers are judged on.
fn judged_from(until: Instant, judge_days: u16, calendar: &Calendar) -> Instant {
    let midnight = calendar.wall(until).date() - Days::new(u64::from(judge_days));
    calendar.instant(midnight.and_time(NaiveTime::MIN))
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
    let latest = judged_from(calendar.start(hourly.end), options.judge_days, calendar);
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
