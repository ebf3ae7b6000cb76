//! `roomcast predict`: forecasts the 24 hours after an instant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};

use super::series::{Plan, Series, known_until};
use super::{caution, check_known, heatmap, nothing_before};
use crate::commands::arguments::{LevelArg, RuleArgs, SiteArgs, check_level, from_variable, values};
use crate::commands::output::{print, remark};
use crate::commands::{progress, wrong_usage};
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::files;
use roomcast_forecast::forecast::{DeviceForecast, write};
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::rooms::Level;
use roomcast_storage::inputs::Inputs;
use roomcast_storage::readings;

/// Forecast the 24 hours after a time, or up to seven days.
///
/// Without an output the forecast is drawn as a heat map. A time that is yet to come, such as tomorrow, is forecast from
/// the present: by the models as far as they reach, which is seven days, and by each room's usual rate after that.
#[derive(Debug, Args)]
#[command(mut_arg("input", |input| input.required(false).env(Resettable::Reset)))]
pub struct PredictArgs {
    /// Time of the forecast, local: a time such as '2016-08-31 23:59:59', a date for its midnight, now, today or tomorrow.
    /// Readings at or after it are not used
    #[arg(value_name = "TIMESTAMP")]
    timestamp: String,
    /// Readings, unless --input names them: a file (CSV, Excel, Parquet, also packed), a directory, a store, a Home
    /// Assistant database, or - for standard input
    #[arg(value_name = "INPUT")]
    first: Option<PathBuf>,
    /// File of the forecast: JSON for a name that ends in .json, CSV for .csv and names without an ending; - for standard
    /// output
    #[arg(value_name = "OUTPUT")]
    second: Option<PathBuf>,
    /// Registry of saved models: a directory, postgres://…, or s3://bucket/prefix. Without it, models are fitted on the
    /// readings before the timestamp
    #[arg(long, value_name = "PLACE")]
    models: Option<PathBuf>,
    /// Days of 24 hours to forecast, 1 to 7
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = values::days)]
    days: usize,
    /// Device to forecast; without it, all (repeatable). With --rooms a room, and with --level a floor or building
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Level to forecast
    #[arg(long, value_enum, default_value_t)]
    level: LevelArg,
    /// Add the probability as a fourth column of the CSV
    #[arg(long)]
    probabilities: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Format of the forecast, in place of --json
    #[arg(long, value_enum, conflicts_with = "json", hide = true)]
    format: Option<Format>,
    #[command(flatten)]
    rule: RuleArgs,
    /// Highest age of the last reading at the timestamp, such as 2d or 36h; if it is older, the command fails
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    max_age: Option<Duration>,
    /// Also draw the forecast as a heat map on standard error
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Format of a forecast file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `time,device,activation_predicted`, ordered by time, then device.
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
    let (paths, output) = places(args)?;
    let inputs = Inputs { paths, ..args.site.inputs() };
    let calendar = inputs.site.calendar()?;
    let origin = values::moment(&args.timestamp, &calendar).context("cannot read the timestamp")?;
    let output = match output {
        None => None,
        Some(output) => {
            files::check(&output)?;
            let format = format(args, &output)?;
            Some((output, format))
        }
    };
    let bar = progress::waiting("reading");
    let site = inputs.read_site(&calendar, Some(origin))?;
    bar.finish_and_clear();
    let Some((_, last)) = site.sensors.active_period(origin) else {
        let names: Vec<_> = inputs.paths.iter().map(|path| readings::redacted(&path.to_string_lossy())).collect();
        bail!("{}: {}", names.join(", "), nothing_before(&inputs, &site, origin, &calendar));
    };
    let data_until = calendar.format(last);
    if args.max_age.is_some_and(|age| origin - last > age.as_secs() as i64) {
        bail!(
            "the last reading, at {data_until}, is older than --max-age at {}\nhint: add later readings, forecast from an earlier \
             time, or leave out --max-age for the hour-of-week rate",
            calendar.format(origin)
        );
    }
    let known_until = known_until(&site.sensors, &calendar, origin);
    let rule = args.rule.rule();
    let (level, models) = (args.level.into(), args.models.as_deref());
    let plan = Plan { site: &site, calendar: &calendar, models, rule, origin, days: args.days, known_until };
    check_level(level, &site.rooms)?;
    check_known(&site.at(level, &calendar), &args.device, " before the timestamp")?;
    let Series { mut forecasts, hourly, models, .. } = plan.forecast(level)?;
    if let Some(since) = hourly.stale {
        let (sensors, days) = (site.sensors.devices.len(), (origin - since) / (24 * HOUR));
        remark(&format!(
            "no sensor of {sensors} has been heard for {days} days, since {data_until}: the forecast is the hour-of-week rate\n\
             hint: the readings end at {data_until}: predict '{}' forecasts from there",
            calendar.format(calendar.start(calendar.hour(last) + 1))
        ));
    }
    if let Some(caution) = caution(&hourly) {
        remark(&caution);
    }
    if !matches!(rule, Rule::Fixed(_)) {
        remark(&format!("an hour counts as occupied from a probability of {:.2} on", models.threshold.0));
    }
    forecasts.retain(|f| args.device.is_empty() || args.device.contains(&f.device));
    let Some((output, format)) = output else {
        print(heatmap::draw(&forecasts, level, &calendar).trim_start_matches('\n'))?;
        remark(&closing(&forecasts, level, &calendar, origin, None));
        return Ok(());
    };
    let bytes = match format {
        Format::Csv => write::csv(&forecasts, &calendar, args.probabilities),
        Format::Json => write::json(&forecasts, &calendar, origin, last, hourly.stale.is_some())?,
    };
    files::write(&output, &bytes)?;
    if args.show {
        remark(heatmap::draw(&forecasts, level, &calendar).trim_end());
    }
    remark(&closing(&forecasts, level, &calendar, origin, Some(&output)));
    Ok(())
}

/// Returns the inputs, and the output if there is one. The first of two positions is the input. A single one is the
/// output if --input names the readings.
fn places(args: &PredictArgs) -> anyhow::Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let wrong = |kind, message: &str| wrong_usage("predict", kind, message);
    let (inputs, output) = match (&args.site.input[..], &args.first, &args.second) {
        ([], Some(input), output) => (vec![input.clone()], output.clone()),
        ([], None, _) => match from_variable() {
            Some(paths) => (paths, None),
            None => {
                let message = "the readings are required: --input FILE, or the position INPUT";
                return Err(wrong(ErrorKind::MissingRequiredArgument, message));
            }
        },
        (inputs, output, None) => (inputs.to_vec(), output.clone()),
        (.., Some(_)) => {
            let message = "the readings are named twice, by --input and by the position INPUT";
            return Err(wrong(ErrorKind::ArgumentConflict, message));
        }
    };
    let is_for_programs = args.json || args.format.is_some() || args.probabilities;
    Ok((inputs, output.or_else(|| is_for_programs.then(|| "-".into()))))
}

/// Returns the format of the output: the one that is named, or that of its ending.
///
/// # Errors
/// Returns an error for an ending of another format.
fn format(args: &PredictArgs, output: &Path) -> anyhow::Result<Format> {
    let named = args.format.or(args.json.then_some(Format::Json));
    let ending = output.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match (named, ending.as_deref()) {
        (Some(named), _) => Ok(named),
        (None, Some("json")) => Ok(Format::Json),
        (None, Some("csv") | None) => Ok(Format::Csv),
        (None, Some(other)) => bail!(
            "{}: a forecast cannot be written as .{other}\nhint: let its name end in .csv or .json, or say --json",
            output.display()
        ),
    }
}

/// Returns one line: rooms (or floors, or buildings), hours expected in use, and the file of the forecast.
fn closing(
    forecasts: &[DeviceForecast],
    level: Level,
    calendar: &Calendar,
    origin: Timestamp,
    output: Option<&Path>,
) -> String {
    let expected: f64 = forecasts.iter().flat_map(|forecast| &forecast.hours).map(|hour| hour.probability).sum();
    let number = level.count(forecasts.len());
    let from = calendar.format(calendar.start(calendar.next_hour(origin)));
    let place = match output {
        None => String::new(),
        Some(path) if path == Path::new("-") => "; written to standard output".into(),
        Some(path) => format!("; written to {}", path.to_string_lossy()),
    };
    let hours = forecasts.first().map_or(0, |forecast| forecast.hours.len());
    format!("{number}, {hours} hours from {from}: {expected:.1} {level}-hours expected in use{place}")
}
