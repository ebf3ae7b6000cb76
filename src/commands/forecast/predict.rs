//! `roomcast predict`: forecasts the 24 hours after an instant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{check_known, heatmap, models};
use crate::commands::arguments::{ClockArgs, FileArgs, RuleArgs, values};
use crate::commands::output::remark;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::files;
use roomcast_forecast::forecast::write;
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::Models;
use roomcast_forecast::model::rule::Rule;
use roomcast_storage::inputs::{Inputs, SiteConfig};
use roomcast_storage::readings;

/// Arguments of `roomcast predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Time of the forecast, local, such as '2016-08-31 23:59:59', or now. Readings at or after it are not used
    #[arg(value_name = "TIMESTAMP")]
    timestamp: String,
    /// Readings: a file (CSV, Excel, Parquet, also packed), a directory, a store, a Home Assistant database, or - for standard
    /// input
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// File of the forecast; - for standard output
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// Registry of saved models: a directory, postgres://…, or s3://bucket/prefix. Without it, models are fitted on the
    /// readings before the timestamp
    #[arg(long, value_name = "PLACE")]
    models: Option<PathBuf>,
    /// Device to forecast; without it, all (repeatable)
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Add the probability as a fourth column of the CSV
    #[arg(long)]
    probabilities: bool,
    /// Format of the forecast
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    rule: RuleArgs,
    /// Highest age of the last reading at the timestamp, such as 2d or 36h; if it is older, the command fails
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    max_age: Option<Duration>,
    /// Also draw the forecast as a heat map on standard error
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    clock: ClockArgs,
}

/// Format of a forecast file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `time,device,activation_predicted`, ordered by time, then device.
    #[default]
    Csv,
    /// One object with 24 hours per device.
    Json,
}

/// Computes the forecast and writes it.
///
/// # Errors
/// Returns an error for a timestamp or file that cannot be read, an unknown device, or an output that cannot be
/// written.
pub fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let site = SiteConfig { layout: args.files.layout(), ..args.clock.config() };
    let inputs = Inputs { paths: vec![args.input.clone()], site };
    let calendar = inputs.site.calendar()?;
    let origin = match args.timestamp.as_str() {
        "now" => calendar.now(),
        text => calendar.parse(text).context("cannot read the timestamp")?,
    };
    files::check(&args.output)?;
    let (readings, summary) = inputs.read(&calendar, Some(origin))?;
    let Some((_, last)) = readings.active_period(origin) else {
        bail!("{}: no reading before {}", readings::redacted(&args.input.to_string_lossy()), args.timestamp);
    };
    let data_until = calendar.format(last);
    if args.max_age.is_some_and(|age| origin - last > age.as_secs() as i64) {
        bail!("the last reading, at {data_until}, is older than --max-age at {}", calendar.format(origin));
    }
    let hourly = Hourly::unless_stale(&readings, &calendar, origin, summary.heard);
    if let Some(since) = hourly.stale {
        let (devices, days) = (readings.devices.len(), (origin - since) / (24 * HOUR));
        remark(&format!(
            "no sensor of {devices} has been heard for {days} days, since {data_until}: the forecast is the hour-of-week rate"
        ));
    }
    let rates = SiteRates::new(&hourly);
    let mut models = match hourly.stale {
        Some(_) => Models::default(),
        None => models(args.models.as_deref(), &hourly, &rates)?,
    };
    let rule = args.rule.rule();
    models.threshold = rule.threshold(&models.site.out_of_sample);
    if !matches!(rule, Rule::Fixed(_)) {
        remark(&format!("an hour counts as occupied from a probability of {:.2} on", models.threshold.0));
    }
    check_known(&readings, &args.device, " before the timestamp")?;
    let mut forecasts = forecast::forecast_all(&hourly, &rates, &models).context("cannot build the features")?;
    forecasts.retain(|f| args.device.is_empty() || args.device.contains(&f.device));
    let bytes = match args.format {
        Format::Csv => write::csv(&forecasts, &calendar, args.probabilities),
        Format::Json => write::json(&forecasts, &calendar, origin, last, hourly.stale.is_some())?,
    };
    files::write(&args.output, &bytes)?;
    if args.show {
        remark(heatmap::draw(&forecasts, &calendar).trim_end());
    }
    remark(&closing(&forecasts, &calendar, origin, &args.output));
    Ok(())
}

/// Returns one line: rooms, hours expected in use, and the file of the forecast.
fn closing(forecasts: &[DeviceForecast], calendar: &Calendar, origin: Timestamp, output: &Path) -> String {
    let expected: f64 = forecasts.iter().flat_map(|forecast| &forecast.hours).map(|hour| hour.probability).sum();
    let rooms = match forecasts.len() {
        1 => "1 room".to_owned(),
        number => format!("{number} rooms"),
    };
    let from = calendar.format(calendar.start(calendar.next_hour(origin)));
    let place = if output == Path::new("-") { "standard output".into() } else { output.to_string_lossy() };
    format!("{rooms}, 24 hours from {from}: {expected:.1} room-hours expected in use; written to {place}")
}
