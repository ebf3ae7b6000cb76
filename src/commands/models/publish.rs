//! `roomcast publish`: verifies, judges and takes over models that were fitted elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::report;
use crate::commands::arguments::{FileArgs, RegistryArgs, RoomsArgs, values};
use crate::commands::output::{print, print_json};
use roomcast_forecast::readings::{ReadOptions, Readings};
use roomcast_forecast::rooms::Level;
use roomcast_forecast::train::shard::run;
use roomcast_storage::inputs;
use roomcast_storage::registry::takeover::{self, Rules};

/// Take over the models of a run of deploy/spark that are not worse.
///
/// The whole run is verified: that it has ended, every checksum, every number, that each device is there once, and that nothing
/// was learned from readings after its cutoff. The new models are judged on --input against the models in use, as `roomcast
/// retrain` does, on days that neither has seen. Without such days they take over only when the models in use have reached
/// their highest age. A run that is published a second time changes nothing.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Directory that the run has written
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Readings to judge on, from some weeks before the run's cutoff until now: files or a store (repeatable)
    #[arg(long, short, value_name = "FILE", value_delimiter = ',')]
    input: Vec<PathBuf>,
    /// End of the readings to judge on, local time; readings at or after it are not used
    #[arg(long, value_name = "TIMESTAMP", requires = "input")]
    until: Option<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    rooms: RoomsArgs,
    /// Skip and count rows that cannot be read; without it, the first one is an error
    #[arg(long)]
    skip_bad_rows: bool,
    /// Age at which models in use are replaced without a judgement, such as 7d or 36h
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = values::duration)]
    max_age: Duration,
    /// Print what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Verifies, judges and saves models, and prints the report. It is not an error if the models in use stay.
///
/// # Errors
/// Returns an error for a run that has not ended or is damaged, readings that cannot be read, or a registry that cannot
/// be read or written or that another process is renewing.
pub fn run(args: &PublishArgs) -> anyhow::Result<()> {
    let found = run::read(&args.run).context("this run cannot be published")?;
    let registry = args.registry.open();
    // A dry run leaves no trace, not even a lock.
    let lease = if args.dry_run { None } else { registry.lock_training()? };
    if lease.is_none() && !args.dry_run {
        bail!("{} is being retrained: nothing done", registry.name());
    }
    let calendar = &found.calendar;
    if let Some(version) = takeover::published(&registry, &found)? {
        let value = json!({ "run": found.id, "version": version, "activated": true, "note": "published before" });
        let text = format!("version      {version}: this run, published before\n");
        return if args.json { print_json(&value) } else { print(text) };
    }
    let until = values::time("--until", args.until.as_deref(), calendar)?;
    let options = ReadOptions { skip_bad_rows: args.skip_bad_rows, until, layout: args.files.layout() };
    let rooms = args.rooms.table(calendar)?;
    let sensors = match args.input.as_slice() {
        [] => Readings::default(),
        paths => inputs::read(paths, &options, calendar).context("cannot read the readings")?.0,
    };
    let readings = rooms.all_readings(&sensors, Level::Room, calendar);
    let max_age = args.max_age.as_secs() as i64;
    let rules = Rules { until, max_age, dry_run: args.dry_run };
    let verdict = takeover::judge(&registry, &found, &readings, &rooms, &rules)?;
    let version = verdict.promote(&registry, &found)?;
    let report = &verdict.report;
    if args.json {
        return print_json(&report::json(report, version.as_ref()));
    }
    let unjudged: Vec<String> =
        found.skipped.iter().map(|(device, why)| format!("{device}, without a model of its own: {why}")).collect();
    let version = report::version(version.as_ref(), args.dry_run, &registry.name());
    print(report.text() + &report::devices(&unjudged) + &version)
}
