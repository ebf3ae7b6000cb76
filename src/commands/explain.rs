//! `roomcast explain`: explains the probability of one hour.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::site::SiteArgs;
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{self, Explanation};
use roomcast_forecast::hourly::{HORIZON, Hourly};
use roomcast_forecast::model::fit;
use roomcast_forecast::readings::names::closest;
use roomcast_storage::registry::Registry;

/// What `explain` is asked.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The device
    pub device: String,
    /// The hour to explain, local time, such as '2016-08-25 10:00:00'
    pub hour: String,
    /// The instant the forecast is made at; without it, the midnight before the hour
    #[arg(long, value_name = "TIMESTAMP")]
    pub at: Option<String>,
    /// Use the models saved here (a directory, postgres://…, or s3://bucket/prefix) instead of training on the readings before that instant
    #[arg(long, value_name = "PLACE")]
    pub models: Option<PathBuf>,
    /// Print the explanation as JSON
    #[arg(long)]
    pub json: bool,
    /// Readings and site.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// Explains and prints.
///
/// # Errors
/// Returns an error for readings or times that cannot be read, an unknown device, or an hour outside the 24 of the
/// forecast.
pub fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let inputs = args.site.inputs();
    let calendar = inputs.site.calendar()?;
    let target = calendar.hour(calendar.parse(&args.hour).context("cannot read the hour")?);
    let origin = match &args.at {
        Some(text) => calendar.parse(text).context("cannot read --at")?,
        None => calendar.start(target - i32::from(calendar.local(target).hour)),
    };
    let (readings, _) = inputs.read(&calendar, Some(origin))?;
    let hourly = Hourly::new(&readings, &calendar, origin);
    let Some(device) = hourly.position(&args.device) else {
        let near = closest(&args.device, hourly.devices.iter().map(|d| d.device.as_str()));
        bail!(
            "no readings of device {:?} before {}{}",
            args.device,
            calendar.format(origin),
            match near {
                Some(near) => format!("; did you mean {near:?}?"),
                None => String::new(),
            }
        );
    };
    if !(hourly.end..hourly.end + HORIZON as i32).contains(&target) {
        bail!("{} is not among the {HORIZON} hours after {}", args.hour, calendar.format(origin));
    }
    let building = SiteRates::new(&hourly);
    let models = match &args.models {
        Some(dir) => Registry::open(dir).load(None)?.0,
        None => fit::train(&hourly, &building, &|| ())?,
    };
    let explanation =
        forecast::explain(&hourly, &building, device, &models, target).context("cannot build the features")?;
    let text =
        if args.json { serde_json::to_string_pretty(&explanation)? + "\n" } else { describe(&explanation, args) };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(()),
    }
}

fn describe(explanation: &Explanation, args: &ExplainArgs) -> String {
    let mut text = format!(
        "{}, {}: {:.0} % chance of being occupied (log-odds {:+.3})\n\n{:>9}  {:20} value\n{:>+9.3}  (start)\n",
        args.device,
        args.hour,
        100.0 * explanation.probability,
        explanation.score,
        "log-odds",
        "feature",
        explanation.base
    );
    for part in explanation.contributions.iter().filter(|part| part.contribution.abs() >= 5e-4) {
        let _ = writeln!(text, "{:>+9.3}  {:20} {:.3}", part.contribution, part.feature, part.value);
    }
    if explanation.silent_share < 1.0 {
        let _ = writeln!(
            text,
            "\nThe sensor is silent: the chance is taken times {:.2}, as silent ones here deserve.",
            explanation.silent_share
        );
    }
    text
}
