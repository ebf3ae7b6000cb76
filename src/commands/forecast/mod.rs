//! Forecasts: made, explained, and scored on the past.

mod backtest;
mod explain;
mod heatmap;
mod ledger;
mod predict;
mod schedule;
mod series;

use std::path::Path;

use anyhow::{anyhow, bail};
use clap::Subcommand;

use crate::commands::output::remark;
use crate::commands::progress;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::Readings;
use roomcast_forecast::readings::names::nearest;
use roomcast_forecast::rooms::{Level, Rooms};
use roomcast_storage::inputs::{Inputs, SiteReadings};
use roomcast_storage::readings;
use roomcast_storage::registry::Registry;

/// The commands of this group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forecast the 24 hours after a time
    #[command(after_help = "Examples:\n  roomcast predict tomorrow --input readings.csv\n  \
                      roomcast predict '2016-08-24 23:59:59' data/device_activations.csv forecast.csv --show")]
    Predict(predict::PredictArgs),
    /// Plan when each room is to be on in the 24 hours after a time
    #[command(
        after_help = "Example:\n  roomcast schedule '2016-08-24 23:59:59' --input data/device_activations.csv --preheat 45m"
    )]
    Schedule(schedule::ScheduleArgs),
    /// Explain the probability of one hour by its features
    #[command(
        after_help = "Example:\n  roomcast explain --input data/device_activations.csv device_2 '2016-08-25 10:00:00'"
    )]
    Explain(explain::ExplainArgs),
    /// Score forecasts of past days beside simple rules
    #[command(
        after_help = "Example:\n  roomcast backtest --input data/device_activations.csv --every 24h --html report.html"
    )]
    Backtest(backtest::BacktestArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error of the command.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Command::Predict(args) => predict::run(args),
            Command::Schedule(args) => schedule::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Backtest(args) => backtest::run(args),
        }
    }
}

/// Returns the saved models of a level from a registry: the current ones, or, if these have learned from an hour to
/// forecast, the newest that have not. Without a registry, fits models on the level's grid.
fn models(
    registry: Option<&Path>,
    rooms: &Rooms,
    level: Level,
    (hourly, rates): (&Hourly, &SiteRates),
    calendar: &Calendar,
) -> anyhow::Result<Models> {
    let Some(place) = registry else {
        let bar = progress::bar("devices fitted", Some(hourly.devices.len() as u64));
        let models = fit::train(hourly, rates, &|| bar.inc(1))?;
        bar.finish_and_clear();
        return Ok(models);
    };
    let registry = Registry::open(place);
    let (mut models, mut manifest) = registry.load(None)?;
    let begins = calendar.start(hourly.end);
    if models.cutoff > begins {
        let Some(older) = registry.load_before(begins, calendar, rooms)? else {
            remark("all saved models have learned from later hours: the forecast is the hour-of-week rate");
            return Ok(Models::habit(hourly.devices.iter().map(|device| device.device.clone()), begins));
        };
        (models, manifest) = older;
        remark(&format!(
            "the current models have learned from later hours: the forecast is by those of {}",
            manifest.cutoff
        ));
    }
    if let Some(why) = manifest.rooms_mismatch(rooms) {
        bail!("the models in {} were {why}\nhint: train and forecast with the same --rooms", place.display());
    }
    // Once is enough, although a level above the rooms needs the models of the rooms too.
    if level == Level::Room
        && let Some(why) = manifest.mismatch(calendar)
    {
        remark(&format!("caution: the models in {} were {why}\nhint: {}", place.display(), calendar_hint(&why)));
    }
    if level != Level::Room {
        let Some(above) = models.levels.remove(&level) else {
            bail!("the models in {} know no {level}\nhint: train them with --rooms", place.display());
        };
        models = above;
    }
    Ok(models)
}

/// Returns the options that must be the same in training and forecasting, by the difference between them.
fn calendar_hint(why: &str) -> &'static str {
    if why.contains("time zone") {
        "train and forecast with the same --timezone"
    } else if why.contains("every week") {
        "train and forecast with the same --weekend"
    } else {
        "train and forecast with the same --country, --region, --holidays, --closed and --open"
    }
}

/// Returns a caution about forecasts from too few days of readings to fit models on.
fn caution(hourly: &Hourly) -> Option<String> {
    let (days, needed) = ((hourly.end - hourly.first) / 24, fit::MIN_DAYS);
    let is_young = days < needed && hourly.stale.is_none();
    is_young.then(|| {
        let day = days + 1;
        format!("caution: day {day} of the {needed} that models of these rooms need; until then the chances are rough")
    })
}

/// Largest number of devices that an error lists.
const MAX_LISTED: usize = 8;

/// Returns the error for a device without readings, with the one known name that is most like its name, or the first ones.
fn unknown<'a>(device: &str, known: impl Iterator<Item = &'a str> + Clone, before: &str) -> anyhow::Error {
    let hint = match &nearest(device, known.clone())[..] {
        [near] => format!("; did you mean {near:?}?"),
        // Of several that are equally near, none is the better guess.
        _ => {
            let count = known.clone().count();
            let listed = known.take(MAX_LISTED).collect::<Vec<_>>().join(", ");
            let more = count.saturating_sub(MAX_LISTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("\nhint: there are {listed}{more}")
        }
    };
    anyhow!("no readings of device {device:?}{before}{hint}")
}

/// Returns the error for a site without a reading before an instant.
fn nothing_before(inputs: &Inputs, site: &SiteReadings, origin: Timestamp, calendar: &Calendar) -> anyhow::Error {
    // Of a store only the rows before the instant are read.
    let are_all_read = !inputs.paths.iter().any(|path| path.to_str().is_some_and(readings::is_store));
    match site.summary.rows {
        0 if are_all_read => anyhow!("no readings at all"),
        _ => anyhow!("no reading before {}", calendar.format(origin)),
    }
}

/// Checks that all devices of the arguments have readings.
fn check_known(readings: &Readings, devices: &[String], before: &str) -> anyhow::Result<()> {
    let is_known = |device: &String| readings.devices.binary_search_by(|d| d.device.cmp(device)).is_ok();
    match devices.iter().find(|device| !is_known(device)) {
        Some(device) => Err(unknown(device, readings.devices.iter().map(|d| d.device.as_str()), before)),
        None => Ok(()),
    }
}
