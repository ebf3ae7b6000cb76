//! `roomcast publish`: verifies, judges and takes over models that were fitted elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::backtest::duration;
use super::retrain::{became, pretty, unjudged};
use roomcast_forecast::files;
use roomcast_forecast::readings::{ReadOptions, Readings};
use roomcast_forecast::train::report::Report;
use roomcast_forecast::train::shard::assemble::Run;
use roomcast_forecast::train::shard::run;
use roomcast_storage::inputs;
use roomcast_storage::registry::Registry;
use roomcast_storage::registry::takeover::{self, Rules};

/// Take over the models of a run of deploy/spark, where they are not worse.
///
/// Everything in the run is verified: that it has ended, every checksum, every number, each device once, nothing learned from
/// after its cutoff. Against models in use the new ones are judged on --input as `roomcast retrain` does, on days that neither
/// has seen; without such days they take over only when those in use are over age. To publish a run twice changes nothing.
#[derive(Debug, Args)]
pub struct PublishRunArgs {
    /// What the run has written
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Where the models go: a directory, postgres://…, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
    /// Readings to judge on, some weeks before the run's cutoff and all since: files or a store (repeatable)
    #[arg(long, short, value_name = "FILE", value_delimiter = ',')]
    pub input: Vec<PathBuf>,
    /// Know only readings before this instant, local time
    #[arg(long, value_name = "TIMESTAMP", requires = "input")]
    pub until: Option<String>,
    /// Count and leave out rows that cannot be read, instead of stopping at the first
    #[arg(long)]
    pub skip_bad_rows: bool,
    /// Age from which models in use are replaced unjudged, such as 7d, 36h
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub max_age: Duration,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Verifies, judges and saves models, and prints the report. It is no error if the models in use stay.
///
/// # Errors
/// Returns an error for a run that has not ended or is damaged, readings that cannot be read, or a registry that cannot
/// be read or written or that another process is renewing.
pub fn run(args: &PublishRunArgs) -> anyhow::Result<()> {
    let found = run::read(&args.run).context("this run cannot be published")?;
    let registry = Registry::open(&args.models);
    // A dry run leaves no trace, not even a lock.
    let lease = if args.dry_run { None } else { registry.lock_training()? };
    if lease.is_none() && !args.dry_run {
        bail!("{} is being retrained: nothing done", registry.name());
    }
    let calendar = &found.calendar;
    if let Some(version) = takeover::published(&registry, &found)? {
        let value = json!({ "run": found.id, "version": version, "activated": true, "note": "published before" });
        let text =
            if args.json { pretty(&value)? } else { format!("version      {version}: this run, published before\n") };
        return files::write("-".as_ref(), text.as_bytes());
    }
    let until = args.until.as_deref().map(|text| calendar.parse(text)).transpose().context("cannot read --until")?;
    let options = ReadOptions { skip_bad_rows: args.skip_bad_rows, until };
    let readings = match args.input.as_slice() {
        [] => Readings::default(),
        paths => inputs::read(paths, &options, calendar).context("cannot read the readings")?.0,
    };
    let max_age = args.max_age.as_secs() as i64;
    let rules = Rules { until, max_age, dry_run: args.dry_run };
    let verdict = takeover::judge(&registry, &found, &readings, &rules)?;
    let version = verdict.promote(&registry, &found)?;
    let report = &verdict.report;
    let text = if args.json {
        machine(report, version.as_ref())?
    } else {
        human(report, version.as_ref(), &found, args.dry_run, &registry.name())
    };
    files::write("-".as_ref(), text.as_bytes())
}

fn machine(report: &Report, version: Option<&(String, bool)>) -> anyhow::Result<String> {
    let mut value = json!(report);
    value["promoted"] = json!(report.promoted());
    value["fell_back"] = json!(report.fell_back());
    value["kept"] = json!(report.kept());
    value["version"] = json!(version.map(|(name, _)| name));
    value["activated"] = json!(version.is_some_and(|(_, activated)| *activated));
    pretty(&value)
}

fn human(report: &Report, version: Option<&(String, bool)>, run: &Run, is_dry: bool, registry: &str) -> String {
    let version = match version {
        None if is_dry => "none: a dry run".into(),
        version => became(version, registry),
    };
    report.text() + &unjudged(&run.skipped) + &format!("{:<12} {version}\n", "version")
}
