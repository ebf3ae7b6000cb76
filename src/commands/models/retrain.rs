//! `roomcast retrain`: fits models again when it is due, and promotes those that are not worse.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::report::{self, Saved};
use crate::commands::arguments::{JobsArgs, RegistryArgs, SiteArgs, values};
use crate::commands::output::{self, print, print_json};
use crate::commands::progress;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::train::{self, Options, Outcome, TrainingInfo};
use roomcast_storage::inputs::Inputs;
use roomcast_storage::registry;

/// Default number of days on which new models are judged.
pub const JUDGE_DAYS: u16 = 7;

/// Fit models anew when it is due, and take over those that are not worse.
///
/// It is due when the models in use have reached their highest age, or were lately worse than the baseline. New models of the
/// site and of all its devices are fitted on the readings before the latest days and judged on these days against the models
/// in use. If the layers of the site are not worse, all models are fitted again on all readings and saved as a new version. A
/// device whose new model is worse gets the site's layers alone. Floors and buildings are then judged in the same way.
#[derive(Debug, Args)]
pub struct RetrainArgs {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    options: RetrainOptions,
}

/// The options of a retraining.
#[derive(Debug, Args)]
pub struct RetrainOptions {
    /// The registry of the models.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// End of the readings to learn from, local time; readings at or after it are not used
    #[arg(long, value_name = "TIMESTAMP")]
    pub until: Option<String>,
    /// Age at which models are renewed, such as 7d or 36h
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = values::duration)]
    pub max_age: Duration,
    /// Number of days, the latest ones, on which new models are judged
    #[arg(long, value_name = "DAYS", default_value_t = JUDGE_DAYS, value_parser = clap::value_parser!(u16).range(2..=90))]
    pub judge_days: u16,
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Number of versions to keep, those with the latest cutoffs; the current version and the one before it are also kept.
    /// Without it, all are kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// The number of parallel fits.
    #[command(flatten)]
    pub jobs: JobsArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Decides, fits, judges, saves, and prints the report. Succeeds if nothing was due.
///
/// # Errors
/// Returns an error for readings that cannot be read, no readings, or a registry that cannot be read or written or has
/// versions of which none is current.
pub fn run(args: &RetrainArgs) -> anyhow::Result<()> {
    retrain(&args.site.inputs(), &args.options)
}

/// Does the same for the inputs of a site.
///
/// # Errors
/// Returns the errors of [`run`].
pub fn retrain(inputs: &Inputs, args: &RetrainOptions) -> anyhow::Result<()> {
    args.jobs.apply()?;
    let registry = args.registry.open();
    // A dry run leaves no trace, not even a lock.
    let lease = if args.dry_run { None } else { registry.lock_training()? };
    if lease.is_none() && !args.dry_run {
        let note = format!("another retraining of {} is under way: nothing done", registry.name());
        return if args.json { print_json(&json!({ "note": note })) } else { print(note + "\n") };
    }
    let calendar = inputs.site.calendar()?;
    let until = values::time("--until", args.until.as_deref(), &calendar)?;
    let site = inputs.read_site(&calendar, until)?;
    let readings = site.at(Level::Room, &calendar);
    let Some((first_reading, last_reading)) = readings.active_period(inputs.latest(&calendar)) else {
        bail!("there are no readings to train on\nhint: roomcast inspect describes the input");
    };
    let watch = Instant::now();
    let until = until.unwrap_or_else(|| calendar.start(calendar.hour(last_reading) + 1));
    let in_use = registry.current()?;
    let (champion, refused) = registry::champion(&registry, last_reading, &calendar, &site.rooms)?;
    let options =
        Options { until, max_age: args.max_age.as_secs() as i64, judge_days: args.judge_days, dry_run: args.dry_run };
    let bar = progress::bar("devices fitted", None);
    let outcome = train::run(&readings, &calendar, champion.as_ref(), &options, &|| bar.inc(1));
    bar.finish_and_clear();
    let Outcome { mut report, models } = outcome.context("cannot train")?;
    report.champion.clone_from(&in_use);
    report.refused = refused;
    let mut saved: Option<Saved> = None;
    let mut levels = BTreeMap::new();
    if report.is_promoted() {
        let champion = champion.as_ref();
        (levels, report.levels) =
            train::renew_levels(&site.rooms, &site.sensors, &calendar, champion, &options, &|| ())
                .context("cannot train")?;
    }
    if let Some(mut models) = models {
        models.levels = levels;
        let about = TrainingInfo {
            calendar: &calendar,
            first_reading,
            last_reading,
            readings: readings.len(),
            fingerprint: readings.fingerprint(),
            rooms: site.rooms.fingerprint(&calendar),
            training: watch.elapsed(),
        };
        let (manifest, activated) = registry.promote(&models, &about, &output::json(&report)?, in_use.as_deref())?;
        saved = Some((manifest.version, activated));
    }
    let removed = match args.keep {
        Some(keep) if !args.dry_run => registry.prune_besides(keep as usize, in_use.as_deref())?,
        _ => Vec::new(),
    };
    if args.json {
        let mut value = report::json(&report, saved.as_ref());
        value["removed"] = json!(removed);
        return print_json(&value);
    }
    let removed: String = removed.iter().map(|version| format!("{:<12} {version}\n", "removed")).collect();
    print(report.text() + &report::version(saved.as_ref(), args.dry_run, &registry.name()) + &removed)
}
