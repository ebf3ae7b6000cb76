//! `roomcast schedule`: when each room is to be on in the 24 hours after an instant.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{check_known, models};
use crate::commands::arguments::{BlockArgs, PromiseScope, RuleArgs, SiteArgs, values};
use crate::commands::output::{self, remark};
use crate::commands::progress;
use roomcast_forecast::backtest::outcomes;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::decisions::outcomes::Outcomes;
use roomcast_forecast::decisions::promise::{self, Method, Scope};
use roomcast_forecast::decisions::{ics, plan, write};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::files;
use roomcast_forecast::forecast;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::Models;
use roomcast_forecast::readings::Readings;

/// Arguments of `roomcast schedule`.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// Time of the schedule, local, such as '2016-08-31 23:59:59', or now. Readings at or after it are not used
    #[arg(value_name = "TIMESTAMP")]
    timestamp: String,
    #[command(flatten)]
    site: SiteArgs,
    /// Registry of saved models: a directory, postgres://…, or s3://bucket/prefix. Without it, models are fitted on the
    /// readings before the timestamp
    #[arg(long, value_name = "PLACE")]
    models: Option<PathBuf>,
    /// Days of 24 hours to plan, 1 to 7
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = values::days)]
    days: usize,
    /// Device to plan for; without it, all (repeatable)
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    #[command(flatten)]
    blocks: BlockArgs,
    #[command(flatten)]
    rule: RuleArgs,
    /// What --max-missed holds for
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["threshold", "cost_miss"])]
    promise: PromiseScope,
    /// Format of the schedule
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// File of the schedule; - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

/// Format of a schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with one line per room, and how sure it is.
    #[default]
    Text,
    /// One object with the blocks of every room.
    Json,
    /// One line per block.
    Csv,
    /// A calendar with one event per block.
    Ics,
}

/// Computes the schedule and writes it.
///
/// # Errors
/// Returns an error for a timestamp or file that cannot be read, an unknown device, or an output that cannot be
/// written.
pub fn run(args: &ScheduleArgs) -> anyhow::Result<()> {
    let inputs = args.site.inputs();
    let calendar = inputs.site.calendar()?;
    let origin = match args.timestamp.as_str() {
        "now" => calendar.now(),
        text => calendar.parse(text).context("cannot read the timestamp")?,
    };
    files::check(&args.output)?;
    let (readings, summary) = inputs.read(&calendar, Some(origin))?;
    if readings.active_period(origin).is_none() {
        bail!("no reading before {}", calendar.format(origin));
    }
    check_known(&readings, &args.device, " before the timestamp")?;
    let hourly = Hourly::unless_stale(&readings, &calendar, origin, summary.heard);
    if hourly.stale.is_some() {
        remark("all sensors have been silent for long: the schedule follows the hour-of-week rate");
    }
    let rates = SiteRates::new(&hourly);
    let models = match hourly.stale {
        Some(_) => Models::default(),
        None => models(args.models.as_deref(), &hourly, &rates)?,
    };
    let hourly = hourly.reaching(args.days, &calendar);
    let rates = rates.reaching(&hourly);
    let mut forecasts = forecast::forecast_all(&hourly, &rates, &models).context("cannot build the features")?;
    forecasts.retain(|forecast| args.device.is_empty() || args.device.contains(&forecast.device));
    let method = args.rule.method(args.promise.into());
    let record = record(method, &readings, &calendar, origin)?;
    let rooms = forecasts.iter().map(|forecast| forecast.device.as_str());
    let today = plan::today(origin, &calendar);
    let thresholds = promise::thresholds(method, &record, &models.site.out_of_sample, today, rooms);
    let rule = args.blocks.rule(&inputs.site);
    let rooms = plan::plan(&forecasts, &thresholds, &rule, origin, &calendar);
    let bytes = match args.format {
        Format::Text => {
            let from = calendar.wall(calendar.start(hourly.end)).format("%A %Y-%m-%d %H:%M");
            format!("{} hours from {from}\n\n{}", hourly.horizon(), write::text(&rooms, &thresholds, &calendar))
                .into_bytes()
        }
        Format::Json => {
            let json = write::json(&rooms, &thresholds, &rule, (origin, hourly.stale.is_some()), &calendar);
            output::json(&json)?.into_bytes()
        }
        Format::Csv => write::csv(&rooms, &calendar),
        Format::Ics => ics::calendar(&rooms, calendar.now(), &calendar).into_bytes(),
    };
    if !matches!(args.format, Format::Text) {
        remark(&write::words(&thresholds));
    }
    files::write(&args.output, &bytes)
}

/// Returns what came of forecasts of the last days, if the method needs them.
fn record(method: Method, readings: &Readings, calendar: &Calendar, origin: Timestamp) -> anyhow::Result<Outcomes> {
    let Method::Promise(promise) = method else { return Ok(Outcomes::default()) };
    let bar = progress::bar("the last 28 days", Some(0));
    let step = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let record = outcomes::of_last_days(readings, calendar, origin, promise.scope == Scope::Room, &step)?;
    bar.finish_and_clear();
    Ok(record)
}
