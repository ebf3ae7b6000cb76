//! `roomcast predict`: forecasts the 24 hours after an instant.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::backtest::duration;
use super::site::ClockArgs;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::files;
use roomcast_forecast::forecast::write;
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::Readings;
use roomcast_forecast::readings::names::closest;
use roomcast_storage::inputs::Inputs;
use roomcast_storage::readings;
use roomcast_storage::registry::Registry;

/// What `predict` is asked.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The instant the forecast is made at, local time, such as '2016-08-31 23:59:59', or now; nothing at or after it is
    /// looked at
    #[arg(value_name = "TIMESTAMP")]
    pub timestamp: String,
    /// Readings: CSV or Parquet (- for CSV on standard input), or a store
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,
    /// Where the forecast goes (- for standard output)
    #[arg(value_name = "OUTPUT")]
    pub output: PathBuf,
    /// Use the models saved here (a directory, postgres://…, or s3://bucket/prefix) instead of training on the readings before the timestamp
    #[arg(long, value_name = "PLACE")]
    pub models: Option<PathBuf>,
    /// Only this device (repeatable)
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Add the probability as a fourth column
    #[arg(long)]
    pub probabilities: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// How probabilities become states.
    #[command(flatten)]
    pub rule: RuleArgs,
    /// Fail when the last reading is older than this at the timestamp, such as 2d, 36h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_age: Option<Duration>,
    /// Show the forecast in the terminal as well, as a heat map on standard error
    #[arg(long)]
    pub show: bool,
    /// Clock and calendar.
    #[command(flatten)]
    pub clock: ClockArgs,
}

/// The decision rule.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct RuleArgs {
    /// Call an hour occupied from this probability on (0.5 without any rule)
    #[arg(long, value_name = "P", value_parser = share, conflicts_with_all = ["cost_miss", "max_missed"])]
    pub threshold: Option<f64>,
    /// Cost of an occupied hour called vacant (a cold meeting), with --cost-waste
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_waste", conflicts_with = "max_missed")]
    pub cost_miss: Option<f64>,
    /// Cost of a vacant hour called occupied (an empty room heated), with --cost-miss
    #[arg(long, value_name = "COST", value_parser = cost, requires = "cost_miss")]
    pub cost_waste: Option<f64>,
    /// Miss at most this share of the occupied hours, such as 0.05
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_missed: Option<f64>,
}

impl RuleArgs {
    /// Returns the rule that was asked for, and 0.5 without any.
    pub fn rule(&self) -> Rule {
        match (self.threshold, self.cost_miss, self.cost_waste, self.max_missed) {
            (Some(threshold), ..) => Rule::Fixed(threshold),
            (_, Some(miss), Some(waste), _) => Rule::Cost { miss, waste },
            (.., Some(share)) => Rule::MostMissed(share),
            _ => Rule::Fixed(0.5),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "expected a number from 0 to 1".into())
}

fn cost(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "expected a number above 0".into())
}

/// Form of a forecast file.
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
    let inputs = Inputs { paths: vec![args.input.clone()], site: args.clock.config() };
    let calendar = inputs.site.calendar()?;
    let origin = match args.timestamp.as_str() {
        "now" => calendar.now(),
        text => calendar.parse(text).context("cannot read the timestamp")?,
    };
    files::check(&args.output)?;
    let (readings, summary) = inputs.read(&calendar, Some(origin))?;
    let Some((_, last)) = readings.lived(origin) else {
        bail!("{}: no reading before {}", readings::shown(&args.input.to_string_lossy()), args.timestamp);
    };
    let data_until = calendar.format(last);
    if args.max_age.is_some_and(|age| origin - last > age.as_secs() as i64) {
        bail!("the last reading, of {data_until}, is older than --max-age allows at {}", calendar.format(origin));
    }
    let hourly = Hourly::unless_stale(&readings, &calendar, origin, summary.heard);
    if let Some(since) = hourly.stale {
        let (devices, days) = (readings.devices.len(), (origin - since) / (24 * HOUR));
        say(&format!(
            "no sensor of {devices} has been heard for {days} days, since {data_until}: the forecast is the habit's rate"
        ));
    }
    let building = SiteRates::new(&hourly);
    let mut models = match hourly.stale {
        Some(_) => Models::default(),
        None => models(args.models.as_deref(), &hourly, &building)?,
    };
    models.threshold = args.rule.rule().threshold(&models.site.out_of_sample);
    let chosen = choose(&readings, &args.device)?;
    let mut forecasts = forecast::forecast_all(&hourly, &building, &models).context("cannot build the features")?;
    if let Some(chosen) = chosen {
        forecasts.retain(|f| chosen.contains(&f.device));
    }
    let bytes = match args.format {
        Format::Csv => write::csv(&forecasts, &calendar, args.probabilities),
        Format::Json => write::json(&forecasts, &calendar, origin, last, hourly.stale.is_some())?,
    };
    files::write(&args.output, &bytes)?;
    if args.show {
        say(super::heatmap::draw(&forecasts, &calendar).trim_end());
    }
    say(&closing(&forecasts, &calendar, origin, &args.output));
    Ok(())
}

/// Writes a line to standard error. A reader that went away is no error, because only the forecast matters.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
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

fn models(saved: Option<&Path>, hourly: &Hourly, building: &SiteRates) -> anyhow::Result<Models> {
    let Some(dir) = saved else { return Ok(fit::train(hourly, building, &|| ())?) };
    let (models, manifest) = Registry::open(dir).load(None)?;
    if models.cutoff > hourly.origin {
        tracing::warn!(
            version = manifest.version,
            "these models were trained on readings after the timestamp: the forecast is no fair test of them"
        );
    }
    Ok(models)
}

/// Returns the devices asked for, and `None` for all.
fn choose(readings: &Readings, asked: &[String]) -> anyhow::Result<Option<Vec<String>>> {
    for device in asked {
        if readings.devices.binary_search_by(|d| d.device.cmp(device)).is_err() {
            let known = readings.devices.iter().map(|d| d.device.as_str());
            match closest(device, known) {
                Some(near) => bail!("no readings of device {device:?} before the timestamp; did you mean {near:?}?"),
                None => bail!("no readings of device {device:?} before the timestamp"),
            }
        }
    }
    Ok((!asked.is_empty()).then(|| asked.to_vec()))
}
