//! `roomcast train`: trains models for every device and saves them as a new version of the registry.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::site::SiteArgs;
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::{DeviceModel, Models, Source, check, fit};
use roomcast_forecast::train::TrainingInfo;
use roomcast_storage::registry::Registry;

/// What `train` is asked.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Readings and site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Where the models go, a new version beside those that are there: a directory, postgres://…, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
    /// Learn only from readings before this instant, local time
    #[arg(long, value_name = "TIMESTAMP")]
    pub until: Option<String>,
    /// Fits at a time; without it, one per processor
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Save the version without making it the current one
    #[arg(long)]
    pub no_activate: bool,
}

/// Trains and saves models, and prints the result.
///
/// # Errors
/// Returns an error for readings that cannot be read, no readings, or a registry that cannot be written.
pub fn run(args: &TrainArgs) -> anyhow::Result<()> {
    if let Some(jobs) = args.jobs {
        // The call fails only when something in this process has already used the pool.
        rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context("cannot set the number of jobs")?;
    }
    let inputs = args.site.inputs();
    let calendar = inputs.site.calendar()?;
    let until = args.until.as_deref().map(|text| calendar.parse(text)).transpose().context("cannot read --until")?;
    let (readings, _) = inputs.read(&calendar, until)?;
    let Some((first_reading, last_reading)) = readings.lived(inputs.latest(&calendar)) else {
        bail!("there are no readings to train on; roomcast inspect says what the input holds");
    };
    let watch = Instant::now();
    // Without --until the models learn up to the end of the hour of the last reading.
    let cutoff = until.unwrap_or_else(|| calendar.start(calendar.hour(last_reading) + 1));
    ensure!(
        cutoff <= check::latest(Some(last_reading), &calendar),
        "--until {} has not come yet: nobody knows what happens until then",
        calendar.format(cutoff)
    );
    let (number, fingerprint) = (readings.len(), readings.fingerprint());
    let hourly = Hourly::new(&readings, &calendar, cutoff);
    drop(readings);
    let building = SiteRates::new(&hourly);
    let bar = progress(hourly.devices.len() as u64);
    let models = fit::train(&hourly, &building, &|| bar.inc(1)).context("cannot train")?;
    bar.finish_and_clear();
    let about = TrainingInfo {
        calendar: &calendar,
        first_reading,
        last_reading,
        readings: number,
        fingerprint,
        training: watch.elapsed(),
    };
    let registry = Registry::open(&args.models);
    let manifest = registry.save(&models, &about, !args.no_activate)?;
    let mut text = summary(&hourly, &models, watch.elapsed().as_secs_f64());
    let state = if args.no_activate { "saved, not activated" } else { "current" };
    text.push_str(&format!("\nversion      {} in {} ({state})\n", manifest.version, registry.name()));
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the summary"),
        _ => Ok(()),
    }
}

/// Returns a progress bar on standard error, which is silent when that is no terminal.
fn progress(devices: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} devices, {eta} left");
    ProgressBar::with_draw_target(Some(devices), ProgressDrawTarget::stderr())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message("fitting")
}

/// Most devices listed with a reason each.
const LISTED: usize = 20;

fn summary(hourly: &Hourly, models: &Models, seconds: f64) -> String {
    let rows: usize = hourly.devices.iter().map(|d| d.states.len()).sum();
    let of = |source: Source| hourly.devices.iter().filter(|d| source_of(models, &d.device) == source).count();
    let mut text = format!(
        "devices      {}\nhours        {rows}\nseconds      {seconds:.1}\n\nown model    {:>6}  trees of the device's own on top of the building's\n\
         building     {:>6}  the building's layers alone\nbaseline     {:>6}  the decayed hour-of-week rate alone\n",
        hourly.devices.len(),
        of(Source::Model),
        of(Source::Building),
        of(Source::Baseline),
    );
    let skipped: Vec<(&str, &str)> = hourly
        .devices
        .iter()
        .filter_map(|d| {
            let missing = DeviceModel::default();
            let why = fit::skipped(d.status, models.devices.get(&d.device).unwrap_or(&missing))?;
            Some((d.device.as_str(), why))
        })
        .collect();
    if !skipped.is_empty() {
        text.push_str(&format!("\nwithout a model of their own: {}\n", skipped.len()));
        for (device, why) in skipped.iter().take(LISTED) {
            text.push_str(&format!("  {device}: {why}\n"));
        }
        if skipped.len() > LISTED {
            text.push_str(&format!("  … and {} more\n", skipped.len() - LISTED));
        }
    }
    text
}

fn source_of(models: &Models, device: &str) -> Source {
    models.devices.get(device).map_or(Source::Building, |model| model.source())
}
