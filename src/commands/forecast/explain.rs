//! `roomcast explain`: explains the probability of one hour.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::{caution, models, series, unknown};
use crate::commands::arguments::{PlacedSiteArgs, values};
use crate::commands::output::{print, print_json};
use roomcast_forecast::calendar::Hour;
use roomcast_forecast::features::{self, COLUMNS, PRIOR, Reason, SiteRates, sigmoid};
use roomcast_forecast::forecast::{self, Explanation};
use roomcast_forecast::hourly::{HORIZON, Hourly};
use roomcast_forecast::model::Models;
use roomcast_forecast::rooms::Level;

/// Arguments of `roomcast explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Device to explain, or with --rooms a room
    device: String,
    /// Hour to explain, local time, such as '2016-08-25 10:00:00'
    hour: String,
    /// Time of the forecast, local; without it, the midnight before the hour
    #[arg(long, value_name = "TIMESTAMP")]
    at: Option<String>,
    /// Registry of saved models: a directory, postgres://…, or s3://bucket/prefix. Without it, models are fitted on the
    /// readings before the time of the forecast
    #[arg(long, value_name = "PLACE")]
    models: Option<PathBuf>,
    /// List every number in place of sentences
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: PlacedSiteArgs,
}

/// An explanation as `--json` prints it.
#[derive(Serialize)]
struct Json<'a> {
    hour: String,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// Explains the probability and prints the explanation.
///
/// # Errors
/// Returns an error for readings or times that cannot be read, an unknown device, or an hour outside the 24 of the
/// forecast.
pub fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let inputs = args.site.inputs("explain")?;
    let calendar = inputs.site.calendar()?;
    let target = calendar.hour(values::moment(&args.hour, &calendar).context("cannot read the hour")?);
    let midnight = || calendar.start(target - i32::from(calendar.local(target).hour));
    let origin = values::time("--at", args.at.as_deref(), &calendar)?.unwrap_or_else(midnight);
    let site = inputs.read_site(&calendar, Some(origin))?;
    let readings = site.at(Level::Room, &calendar);
    let known_until = series::known_until(&site.sensors, &calendar, origin);
    let hourly = Hourly::unless_stale(&readings, &calendar, known_until, site.summary.heard);
    let Some(device) = hourly.position(&args.device) else {
        let known = hourly.devices.iter().map(|d| d.device.as_str());
        return Err(unknown(&args.device, known, &format!(" before {}", calendar.format(origin))));
    };
    if !(calendar.next_hour(origin)..hourly.end + HORIZON as i32).contains(&target) {
        bail!("{} is not among the {HORIZON} hours after {}", args.hour, calendar.format(hourly.origin));
    }
    let rates = SiteRates::new(&hourly);
    let models = match hourly.stale {
        Some(_) => Models::default(),
        None => models(args.models.as_deref(), &site.rooms, Level::Room, (&hourly, &rates), &calendar)?,
    };
    let explanation =
        forecast::explain(&hourly, &rates, device, &models, target).context("cannot build the features")?;
    if !args.json {
        let (hour, origin) = (calendar.format(calendar.start(target)), calendar.format(origin));
        let hour = format!("{}, {hour}, as forecast at {origin}", args.device);
        return print(if args.all { list(&explanation, &hour) } else { describe(&explanation, &hour, &hourly) });
    }
    print_json(&Json { hour: calendar.rfc3339(calendar.start(target)), explanation: &explanation })
}

/// Number of hours in a week.
const HOURS_OF_WEEK: Hour = 7 * 24;

/// Smallest part of the log-odds that is a reason, and those from which it is a plain and a strong one.
const MIN_PART: f64 = 0.08;
const PLAIN_PART: f64 = 0.4;
const STRONG_PART: f64 = 1.5;

/// Describes a forecast in sentences, and lists its reasons, the strongest first.
fn describe(explanation: &Explanation, hour: &str, hourly: &Hourly) -> String {
    let percent = |probability: f64| format!("{:.0} %", 100.0 * probability);
    let mut text = format!("{hour}: {} likely to be occupied.\n", percent(explanation.probability));
    if let Some(caution) = caution(hourly) {
        let _ = writeln!(text, "{caution}.");
    }
    let prior = explanation.contributions.iter().find(|part| part.feature == COLUMNS[PRIOR].name);
    // Before a week is over, most hours of the week have never been seen.
    let is_known = hourly.end - hourly.first >= HOURS_OF_WEEK;
    if let Some(prior) = prior.filter(|prior| is_known && !prior.value.is_nan()) {
        let _ = writeln!(
            text,
            "The room is usually in use {} of the time at this hour.",
            percent(sigmoid(f64::from(prior.value)))
        );
    }
    let reasons = reasons(explanation);
    let first =
        |is_more: bool| reasons.iter().find(|(_, part)| (*part > 0.0) == is_more).map(|(reason, _)| reason.words());
    let moved = match (first(true), first(false)) {
        (Some(more), Some(less)) => format!("The chance is raised most by {more} and lowered most by {less}."),
        (Some(more), None) => format!("The chance is raised most by {more}."),
        (None, Some(less)) => format!("The chance is lowered most by {less}."),
        (None, None) => "Nothing moves the chance much.".to_owned(),
    };
    let _ = writeln!(text, "{moved}\n");
    for (reason, part) in &reasons {
        let direction = if *part > 0.0 { "more" } else { "less" };
        let strength = match part.abs() {
            STRONG_PART.. => format!("far {direction} likely"),
            PLAIN_PART.. => format!("{direction} likely"),
            _ => format!("slightly {direction} likely"),
        };
        let _ = writeln!(text, "  {:38} {strength}", reason.words());
    }
    text += &silence(explanation);
    text + "\n--all lists every number; docs/COLUMNS.md says what each means\n"
}

/// Returns the sums of the contributions by reason, the strongest first, without those that are next to nothing.
fn reasons(explanation: &Explanation) -> Vec<(Reason, f64)> {
    let mut sums: Vec<(Reason, f64)> = Vec::new();
    for part in &explanation.contributions {
        let Some(reason) = features::reason(part.feature) else { continue };
        match sums.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum += part.contribution,
            None => sums.push((reason, part.contribution)),
        }
    }
    sums.retain(|(_, sum)| sum.abs() >= MIN_PART);
    sums.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    sums
}

/// Lists every contribution.
fn list(explanation: &Explanation, hour: &str) -> String {
    let mut text = format!(
        "{hour}: {:.0} % likely to be occupied (log-odds {:+.3})\n\n{:>9}  {:20} value\n{:>+9.3}  (start)\n",
        100.0 * explanation.probability,
        explanation.score,
        "log-odds",
        "feature",
        explanation.base
    );
    for part in explanation.contributions.iter().filter(|part| part.contribution.abs() >= 5e-4) {
        let _ = writeln!(text, "{:>+9.3}  {:20} {:.3}", part.contribution, part.feature, part.value);
    }
    text + &silence(explanation)
}

fn silence(explanation: &Explanation) -> String {
    if explanation.silent_share >= 1.0 {
        return String::new();
    }
    format!(
        "\nThe sensor is silent: the probability is multiplied by {:.2}, the factor of silent sensors at this site.\n",
        explanation.silent_share
    )
}
