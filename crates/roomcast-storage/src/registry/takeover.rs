//! Judges a run's models and puts them in the place of those in use, once.

use super::{Registry, RegistryError, champion};
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::model::Models;
use roomcast_forecast::model::fit::TrainError;
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::Rooms;
use roomcast_forecast::train::report::Report;
use roomcast_forecast::train::shard::assemble::Run;
use roomcast_forecast::train::{self, Options, Outcome, TrainingInfo};

/// Reason why a run cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The registry cannot be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The models cannot be judged.
    #[error("cannot judge the models")]
    Train(#[from] TrainError),
    /// The report cannot be written.
    #[error("cannot write the report")]
    Report(#[from] serde_json::Error),
}

/// Settings of the judgement.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The end of the readings that are known; `None` for all.
    pub until: Option<Timestamp>,
    /// Age in seconds at which models in use are replaced unjudged.
    pub max_age: i64,
    /// True to change nothing.
    pub dry_run: bool,
}

/// The judgement of a run.
#[derive(Debug)]
pub struct Judgement {
    /// The report of the judgement and the decision.
    pub report: Report,
    models: Option<Models>,
    in_use: Option<String>,
    /// SHA-256 of the table of rooms.
    rooms: Option<String>,
}

/// Returns the version in use if this run saved it.
///
/// # Errors
/// [`RegistryError`] when the registry cannot be read. A damaged report counts as one of no run.
pub fn published(registry: &Registry, run: &Run) -> Result<Option<String>, RegistryError> {
    let Some(version) = registry.current()? else { return Ok(None) };
    let text = match registry.report(&version) {
        Err(error) if error.is_temporary() => return Err(error),
        text => text.ok().flatten(),
    };
    let report = text.and_then(|text| serde_json::from_str::<Report>(&text).ok());
    Ok(report.filter(|report| report.run.as_ref() == Some(&run.id)).map(|_| version))
}

/// Judges a run against the models in use, on readings after everything that both have learned from. No readings are
/// needed when no models are in use. With a table the run's devices and the readings' are its rooms.
///
/// # Errors
/// [`TakeoverError`] when the registry cannot be read or the models cannot be judged.
pub fn judge(
    registry: &Registry,
    run: &Run,
    readings: &Readings,
    rooms: &Rooms,
    rules: &Rules,
) -> Result<Judgement, TakeoverError> {
    let calendar = &run.calendar;
    let in_use = registry.current()?;
    let end = |last| rules.until.unwrap_or_else(|| calendar.start(calendar.hour(last) + 1));
    let period = readings.active_period(calendar.latest());
    let known = period.map_or(run.models.cutoff, |(_, last)| end(last).max(run.models.cutoff));
    let last = period.map_or(run.span.1, |(_, last)| last.max(run.span.1));
    let options = Options { until: known, max_age: rules.max_age, judge_days: u16::MAX, dry_run: rules.dry_run };
    let (champion, refused) = champion(registry, last, calendar, rooms)?;
    let outcome = train::settle(readings, calendar, champion.as_ref(), run.models.clone(), &options)?;
    let Outcome { mut report, models } = outcome;
    report.run = Some(run.id.clone());
    report.champion.clone_from(&in_use);
    report.refused = refused;
    Ok(Judgement { report, models, in_use, rooms: rooms.fingerprint(calendar) })
}

impl Judgement {
    /// Saves models that take over, and makes them current if the version they were judged against still is. Returns
    /// the new version and whether it is current; `None` if the models in use stay.
    ///
    /// # Errors
    /// [`TakeoverError`] when the report or the registry cannot be written.
    pub fn promote(&self, registry: &Registry, run: &Run) -> Result<Option<(String, bool)>, TakeoverError> {
        let Some(models) = &self.models else { return Ok(None) };
        let report = serde_json::to_string_pretty(&serde_json::json!(self.report))? + "\n";
        let about = TrainingInfo { rooms: self.rooms.clone(), ..run.training_info() };
        let (manifest, activated) = registry.promote(models, &about, &report, self.in_use.as_deref())?;
        Ok(Some((manifest.version, activated)))
    }
}
