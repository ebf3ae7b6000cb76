//! `roomcast retrain`: trains anew when it is due, and takes over what is not worse.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::backtest::duration;
use super::site::SiteArgs;
use roomcast_forecast::files;
use roomcast_forecast::train::report::Report;
use roomcast_forecast::train::{self, Options, Outcome, TrainingInfo};
use roomcast_server::jobs::retrain::Job;
use roomcast_storage::inputs::Inputs;
use roomcast_storage::registry::{self, Registry};

/// Number of days to judge new models on, unless another is asked for.
const JUDGE_DAYS: u16 = 7;

/// Most devices listed with a reason each.
const LISTED: usize = 20;

/// Train anew when it is time, and take over what is not worse.
///
/// It is time when the models in use are over age, or lately did worse than the baseline. New models of the site and of all its
/// devices are fitted on readings before the latest days and judged on these against the models in use. If the site's layers are
/// not worse, everything is fitted again on all readings and saved as a new version; a device whose own new model is worse
/// gets the site's layers alone.
#[derive(Debug, Args)]
pub struct RetrainArgs {
    /// Readings and site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// The other options.
    #[command(flatten)]
    pub options: RetrainOptions,
}

/// The options of a retraining.
#[derive(Debug, Args)]
pub struct RetrainOptions {
    /// Where the models are: a directory, postgres://…, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
    /// Know only readings before this instant, local time
    #[arg(long, value_name = "TIMESTAMP")]
    pub until: Option<String>,
    /// Age from which models are renewed, such as 7d, 36h
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub max_age: Duration,
    /// Days to judge new models on, the latest ones
    #[arg(long, value_name = "DAYS", default_value_t = JUDGE_DAYS, value_parser = clap::value_parser!(u16).range(2..=90))]
    pub judge_days: u16,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove old versions afterwards, all but the N with the latest cutoffs, the current one and the one before it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Fits at a time; without it, one per processor
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// The actions taken, beside the report.
#[derive(Default)]
struct Done {
    version: Option<String>,
    activated: bool,
    removed: Vec<String>,
}

/// Decides, fits, judges, saves, and prints the report. It is no error if nothing was due.
///
/// # Errors
/// Returns an error for readings that cannot be read, no readings, or a registry that cannot be read or written or has
/// versions of which none is current.
pub fn run(args: &RetrainArgs) -> anyhow::Result<()> {
    retrain(&args.site.inputs(), &args.options)
}

fn retrain(inputs: &Inputs, args: &RetrainOptions) -> anyhow::Result<()> {
    if let Some(jobs) = args.jobs {
        // The call fails only when something in this process has already used the pool.
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context("cannot set the number of jobs")?;
    }
    let registry = Registry::open(&args.models);
    // A dry run leaves no trace, not even a lock.
    let lease = if args.dry_run { None } else { registry.lock_training()? };
    if lease.is_none() && !args.dry_run {
        let note = format!("another retraining of {} is under way: nothing done", registry.name());
        let text = if args.json { pretty(&json!({ "note": note }))? } else { note + "\n" };
        return files::write("-".as_ref(), text.as_bytes());
    }
    let calendar = inputs.site.calendar()?;
    let until = args.until.as_deref().map(|text| calendar.parse(text)).transpose().context("cannot read --until")?;
    let (readings, _) = inputs.read(&calendar, until)?;
    let Some((first_reading, last_reading)) = readings.lived(inputs.latest(&calendar)) else {
        bail!("there are no readings to train on; roomcast inspect says what the input holds");
    };
    let watch = Instant::now();
    let until = until.unwrap_or_else(|| calendar.start(calendar.hour(last_reading) + 1));
    let in_use = registry.current()?;
    let (champion, refused) = registry::champion(&registry, last_reading, &calendar)?;
    let options =
        Options { until, max_age: args.max_age.as_secs() as i64, judge_days: args.judge_days, dry_run: args.dry_run };
    let bar = progress();
    let outcome = train::run(&readings, &calendar, champion.as_ref(), &options, &|| bar.inc(1));
    bar.finish_and_clear();
    let Outcome { mut report, models } = outcome.context("cannot train")?;
    report.champion.clone_from(&in_use);
    report.refused = refused;
    let mut done = Done::default();
    if let Some(models) = models {
        let about = TrainingInfo {
            calendar: &calendar,
            first_reading,
            last_reading,
            readings: readings.len(),
            fingerprint: readings.fingerprint(),
            training: watch.elapsed(),
        };
        let (manifest, activated) = registry.promote(&models, &about, &pretty(&json!(report))?, in_use.as_deref())?;
        done = Done { version: Some(manifest.version), activated, removed: Vec::new() };
    }
    if let Some(keep) = args.keep.filter(|_| !args.dry_run) {
        done.removed = registry.prune_besides(keep as usize, in_use.as_deref())?;
    }
    let text = if args.json {
        pretty(&machine(&report, &done))?
    } else {
        human(&report, &done, args.dry_run, &registry.name())
    };
    files::write("-".as_ref(), text.as_bytes())
}

/// Runs the job that a server sends on standard input, and prints the report as JSON.
///
/// # Errors
/// Returns the errors of [`run`], and an error for an input that is no [`Job`].
pub fn run_job() -> anyhow::Result<()> {
    let job: Job =
        serde_json::from_reader(std::io::stdin().lock()).context("expected a retraining on standard input")?;
    let options = RetrainOptions {
        models: job.models,
        until: None,
        max_age: job.max_age,
        judge_days: JUDGE_DAYS,
        dry_run: false,
        keep: Some(job.keep),
        jobs: Some(1),
        json: true,
    };
    retrain(&job.inputs, &options)
}

/// Returns a counter of fits on standard error, which is silent when that is no terminal.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {pos}");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_message("devices fitted:")
}

pub(super) fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Returns the report with the actions taken, as JSON.
fn machine(report: &Report, done: &Done) -> Value {
    let mut value = json!(report);
    value["promoted"] = json!(report.promoted());
    value["fell_back"] = json!(report.fell_back());
    value["kept"] = json!(report.kept());
    value["version"] = json!(done.version);
    value["activated"] = json!(done.activated);
    value["removed"] = json!(done.removed);
    value
}

/// Returns a text on the version, if one was made, and on whether it is current.
pub(super) fn became(version: Option<&(String, bool)>, registry: &str) -> String {
    match version {
        None => "none: the models in use stay".into(),
        Some((version, true)) => format!("{version} in {registry} (current)"),
        Some((version, false)) => format!("{version}, not activated: another version was made current meanwhile"),
    }
}

/// Returns lines for the first devices that have no judged model of their own, with the reason.
pub(super) fn unjudged(skipped: &[(String, String)]) -> String {
    let line = |(device, why): &(String, String)| format!("  {device}, without a model of its own: {why}\n");
    let mut text: String = skipped.iter().take(LISTED).map(line).collect();
    if skipped.len() > LISTED {
        text.push_str(&format!("  … and {} more\n", skipped.len() - LISTED));
    }
    text
}

fn human(report: &Report, done: &Done, is_dry: bool, registry: &str) -> String {
    let mut text = report.text();
    let version = match &done.version {
        None if is_dry => "none: a dry run".into(),
        version => became(version.clone().map(|version| (version, done.activated)).as_ref(), registry),
    };
    text.push_str(&format!("{:<12} {version}\n", "version"));
    for version in &done.removed {
        text.push_str(&format!("{:<12} {version}\n", "removed"));
    }
    text
}
