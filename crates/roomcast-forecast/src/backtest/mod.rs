//! Rolling-origin evaluation: forecasts from past origins with the readings known then, scored against the motion seen.
//!
//! [`run`] makes one [`ScoredHour`] per device, origin and target hour, with the forecasts of the model and of every
//! simple rule in [`baselines`]. [`report::Report`] holds their scores ([`scores`]) and confidence intervals of the
//! differences ([`skill`]). [`text`] writes it as tables, [`html`] as a page. [`cases`] writes the hours themselves.

pub mod baselines;
pub mod cases;
pub mod days_ahead;
pub mod groups;
pub mod html;
pub mod learning_curve;
pub mod ledger;
pub mod levels;
mod numbers;
pub mod outcomes;
pub mod parts;
pub mod report;
pub mod scores;
pub mod skill;
pub mod text;
pub mod verdict;
pub mod worst_days;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use polars::error::PolarsError;
use rayon::prelude::*;

use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::features::SiteRates;
use crate::forecast::DeviceForecast;
use crate::forecast::parts::{PartChances, forecast};
use crate::hourly::Hourly;
use crate::model::Source;
use crate::model::fit::{self, TrainError};
use crate::readings::Readings;

/// The origins to forecast from, the time between fits, and how much history is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacktestPlan {
    /// The first origin.
    pub from: Timestamp,
    /// The last origin is no later than this.
    pub to: Timestamp,
    /// Seconds of wall time from one origin to the next: daily origins stay at the same local hour.
    pub every: i64,
    /// Seconds of wall time after which models are fitted again, at the next origin.
    pub refit: i64,
    /// Seconds of readings known before an origin; `None` for all of them.
    pub history: Option<i64>,
    /// Days of 24 hours that a forecast reaches, 1 to [`MAX_DAYS`](crate::hourly::MAX_DAYS).
    pub days: usize,
}

/// Reason why a backtest cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// There are no readings.
    #[error("there are no readings")]
    NoReadings,
    /// The readings are too few to choose origins.
    #[error("the readings span less than two whole days, which is too little to fit models and to score them")]
    TooShort,
    /// A step is zero or negative.
    #[error("{0} must be positive")]
    Step(&'static str),
    /// The last origin is before the first.
    #[error("there is no origin: the first would be {from}, the last {to}")]
    NoOrigins {
        /// First origin, local wall time.
        from: String,
        /// Last origin, local wall time.
        to: String,
    },
    /// There is no origin that has both a reading before it and an hour of the readings after it.
    #[error("nothing to score: the readings go from {first} to {last}, the origins from {from} to {to}")]
    NothingToScore {
        /// First reading, local wall time.
        first: String,
        /// Last reading, local wall time.
        last: String,
        /// First origin, local wall time.
        from: String,
        /// Last origin, local wall time.
        to: String,
    },
    /// Training failed.
    #[error("cannot fit models as of {origin}")]
    Train {
        /// The origin of the fit, local wall time.
        origin: String,
        /// The cause.
        source: TrainError,
    },
    /// Forecasting failed.
    #[error("cannot forecast from {origin}")]
    Forecast {
        /// The origin of the forecast, local wall time.
        origin: String,
        /// The cause.
        source: PolarsError,
    },
}

/// One forecast hour of one device: the forecasts and the outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredHour {
    /// Position of the device in [`Readings::devices`].
    pub device: u32,
    /// The instant of the forecast.
    pub origin: Timestamp,
    /// The target hour.
    pub hour: Hour,
    /// Position of the target hour after the origin, from 1 on.
    pub lead: u8,
    /// Local date of the target hour, in days since 1970-01-01.
    pub day: i32,
    /// Local hour of day of the target hour, 0 to 23.
    pub hour_of_day: u8,
    /// True when the local date is a day off.
    pub off: bool,
    /// The model's probability of motion in the hour.
    pub probability: f32,
    /// The model's state, from its decision rule.
    pub occupied: bool,
    /// True when there was motion.
    pub actual: bool,
    /// True when the sensor had been silent for so long that "no motion" says little, or on for so long that motion does.
    pub silent: bool,
    /// Probabilities of the simple rules, in the order of [`baselines::NAMES`].
    pub baselines: [f32; baselines::COUNT],
    /// States of the simple rules.
    pub baseline_states: [bool; baselines::COUNT],
    /// Probabilities of the parts of the model's forecast.
    pub parts: PartChances,
    /// Whole weeks of the device's history before the origin.
    pub weeks: u16,
    /// The source of the model's forecast.
    pub source: Source,
}

/// Number of forecasters of an hour: the model and the simple rules.
pub(crate) const FORECASTERS: usize = 1 + baselines::COUNT;

/// Returns the name of a forecaster: 0 is the model, the simple rules follow.
pub fn name(forecaster: usize) -> &'static str {
    if forecaster == 0 { "model" } else { baselines::NAMES[forecaster - 1] }
}

impl ScoredHour {
    /// Returns the probability and state from one forecaster: 0 is the model, the simple rules follow.
    pub fn forecast(&self, forecaster: usize) -> (f32, bool) {
        match forecaster {
            0 => (self.probability, self.occupied),
            n => (self.baselines[n - 1], self.baseline_states[n - 1]),
        }
    }
}

/// The origins that one fit serves.
struct Fold {
    fitted: Timestamp,
    origins: Vec<Timestamp>,
}

impl BacktestPlan {
    /// Plans origins. Without `from` the first is the midnight after two thirds of the readings' days; without `to` the
    /// last is the midnight of the last day that the readings cover as a whole. `latest` is the latest instant that a
    /// reading can have now.
    ///
    /// # Errors
    /// [`BacktestError`] when there are no readings, or too few to choose a first origin.
    pub fn new(
        readings: &Readings,
        calendar: &Calendar,
        latest: Timestamp,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        (every, refit): (i64, i64),
    ) -> Result<BacktestPlan, BacktestError> {
        let (first, last) = readings.active_period(latest).ok_or(BacktestError::NoReadings)?;
        let midnight = |date: NaiveDate| calendar.instant(date.and_time(NaiveTime::MIN));
        let (begin, end) = (calendar.wall(first).date(), calendar.wall(last).date());
        let days = (end - begin).num_days().max(0) as u64;
        let from = match from {
            Some(from) => from,
            None if days < 2 => return Err(BacktestError::TooShort),
            None => midnight(begin + Days::new((days * 2).div_ceil(3).min(days - 1))),
        };
        let to = to.unwrap_or_else(|| midnight(end - Days::new(1)).max(from));
        Ok(BacktestPlan { from, to, every, refit, history: None, days: 1 })
    }

    /// Returns all origins, ascending.
    pub fn origins(&self, calendar: &Calendar) -> Vec<Timestamp> {
        let start = calendar.wall(self.from);
        let step = |n: i64| start.checked_add_signed(TimeDelta::try_seconds(self.every.max(1).checked_mul(n)?)?);
        let mut origins: Vec<Timestamp> =
            (0..).map_while(|n| Some(calendar.instant(step(n)?))).take_while(|&origin| origin <= self.to).collect();
        // Steps shorter than the hour that the clocks skip land on the same instant.
        origins.dedup();
        origins
    }

    fn folds(&self, calendar: &Calendar) -> Vec<Fold> {
        let mut folds: Vec<Fold> = Vec::new();
        for origin in self.origins(calendar) {
            // Wall time, so that a day of 23 hours does not delay a daily refit by a day.
            let since = |fold: &Fold| (calendar.wall(origin) - calendar.wall(fold.fitted)).num_seconds();
            match folds.last_mut().filter(|fold| since(fold) < self.refit) {
                Some(fold) => fold.origins.push(origin),
                None => folds.push(Fold { fitted: origin, origins: vec![origin] }),
            }
        }
        folds
    }

    /// Returns the readings that may be known at an origin. Later ones may be among them; the grid excludes those.
    fn remembered<'a>(&self, readings: &'a Readings, origin: Timestamp) -> Cow<'a, Readings> {
        let Some(history) = self.history else { return Cow::Borrowed(readings) };
        Cow::Owned(readings.before(origin).since(origin - history))
    }
}

/// Replays the past as [`run_each`], with all hours at once.
///
/// # Errors
/// As [`run_each`].
pub fn run(
    readings: &Readings,
    calendar: &Calendar,
    plan: &BacktestPlan,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<ScoredHour>, BacktestError> {
    let mut hours = Vec::new();
    run_each(readings, calendar, plan, progress, |more| {
        hours.extend(more);
        Ok::<_, BacktestError>(())
    })?;
    Ok(hours)
}

/// Replays the past and passes on one scored hour per device, origin and target hour, in parts of some origins as they
/// are made. A device counts once it has a reading before the origin; the target hours end with the last reading.
///
/// Models are fitted on readings before the origin of the fit, forecasts made from readings before their own origin.
/// `progress` gets the number of steps (fits and origins) done and in all, from any thread. Hours are ordered by
/// origin, device and hour, for any number of threads.
///
/// # Errors
/// [`BacktestError`] when a step is not positive, there are no readings, no origins or nothing to score, or a fit or a
/// forecast fails; the error of `each`, after which nothing more is made.
pub fn run_each<E: From<BacktestError>>(
    readings: &Readings,
    calendar: &Calendar,
    plan: &BacktestPlan,
    progress: &(dyn Fn(usize, usize) + Sync),
    mut each: impl FnMut(Vec<ScoredHour>) -> Result<(), E>,
) -> Result<(), E> {
    for (step, what) in [(plan.every, "the step between origins"), (plan.refit, "the time between refits")] {
        if step <= 0 {
            return Err(BacktestError::Step(what).into());
        }
    }
    let (first, last) = readings.span().ok_or(BacktestError::NoReadings)?;
    let time = |instant| calendar.format(instant);
    let folds = plan.folds(calendar);
    if folds.is_empty() {
        return Err(BacktestError::NoOrigins { from: time(plan.from), to: time(plan.to) }.into());
    }
    let truth = Hourly::new(readings, calendar, calendar.start(calendar.hour(last) + 1));
    let total = folds.len() + folds.iter().map(|fold| fold.origins.len()).sum::<usize>();
    let done = AtomicUsize::new(0);
    let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
    let mut is_empty = true;
    // A thread that waits inside one fit may begin another. Groups bound the number of folds that hold memory at once.
    for group in folds.chunks(rayon::current_num_threads()) {
        let parts: Vec<Vec<ScoredHour>> = group
            .par_iter()
            .map(|fold| replay(readings, calendar, plan, &truth, fold, &tick))
            .collect::<Result<_, _>>()?;
        for hours in parts.into_iter().filter(|hours| !hours.is_empty()) {
            is_empty = false;
            each(hours)?;
        }
    }
    if is_empty {
        let (from, to) = (time(plan.from), time(plan.to));
        return Err(BacktestError::NothingToScore { first: time(first), last: time(last), from, to }.into());
    }
    Ok(())
}

fn replay(
    readings: &Readings,
    calendar: &Calendar,
    plan: &BacktestPlan,
    truth: &Hourly,
    fold: &Fold,
    tick: &(dyn Fn() + Sync),
) -> Result<Vec<ScoredHour>, BacktestError> {
    let train_error = |source| BacktestError::Train { origin: calendar.format(fold.fitted), source };
    let models = {
        let hourly = Hourly::new(&plan.remembered(readings, fold.fitted), calendar, fold.fitted);
        fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).map_err(train_error)?
    };
    tick();
    let mut hours = Vec::new();
    for &origin in &fold.origins {
        let hourly = Hourly::new(&plan.remembered(readings, origin), calendar, origin).reaching(plan.days, calendar);
        let site_rates = SiteRates::new(&hourly);
        let devices = (0..hourly.devices.len()).into_par_iter();
        let forecasts: Vec<_> = devices
            .map(|device| forecast(&hourly, &site_rates, device, &models))
            .collect::<Result<_, _>>()
            .map_err(|source| BacktestError::Forecast { origin: calendar.format(origin), source })?;
        compare(readings, truth, &hourly, &forecasts, &mut hours);
        tick();
    }
    Ok(hours)
}

/// Adds one hour per device and lead: the forecasts of one origin, those of the simple rules, and the outcome.
fn compare(
    readings: &Readings,
    truth: &Hourly,
    hourly: &Hourly,
    forecasts: &[(DeviceForecast, Vec<PartChances>)],
    hours: &mut Vec<ScoredHour>,
) {
    let rule_forecasts = baselines::rule_forecasts(hourly);
    for (((forecast, parts), rule_forecasts), known) in forecasts.iter().zip(&rule_forecasts).zip(&hourly.devices) {
        let position = readings.devices.binary_search_by(|d| d.device.cmp(&forecast.device));
        let (Ok(device), Some(at)) = (position, truth.position(&forecast.device)) else { continue };
        let real = &truth.devices[at];
        let since = known.times.first().map_or(0, |first| hourly.origin - first);
        for (lead, ((model, &parts), rules)) in (1..).zip(forecast.hours.iter().zip(parts).zip(rule_forecasts)) {
            if model.hour >= truth.end {
                break;
            }
            let state = real.states[(model.hour - real.first) as usize];
            let local = truth.local(model.hour);
            hours.push(ScoredHour {
                device: device as u32,
                origin: hourly.origin,
                hour: model.hour,
                lead,
                day: local.day,
                hour_of_day: local.hour,
                off: local.off,
                probability: model.probability as f32,
                occupied: model.occupied,
                actual: state.has_motion(),
                silent: state.value().is_none(),
                baselines: rules.probabilities,
                baseline_states: rules.states,
                parts,
                weeks: (since / (7 * 24 * HOUR)).min(i64::from(u16::MAX)) as u16,
                source: forecast.source,
            });
        }
    }
}
