//! `roomcast train`: fits models for every device and saves them as a new version of the registry.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::report;
use crate::commands::arguments::{JobsArgs, PlacedSiteArgs, RegistryArgs, values};
use crate::commands::{output, progress};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::{DeviceModel, Models, Source, check, fit};
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::train::{self, TrainingInfo};

/// Arguments of `roomcast train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    site: PlacedSiteArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    /// End of the readings to learn from, local time; readings at or after it are not used
    #[arg(long, value_name = "TIMESTAMP")]
    until: Option<String>,
    #[command(flatten)]
    jobs: JobsArgs,
    /// Save the version without activating it
    #[arg(long)]
    no_activate: bool,
}

/// Trains and saves models, and prints the result.
///
/// # Errors
/// Returns an error for readings that cannot be read, no readings, or a registry that cannot be written.
pub fn run(args: &TrainArgs) -> anyhow::Result<()> {
    args.jobs.apply()?;
    let inputs = args.site.inputs("train")?;
    let calendar = inputs.site.calendar()?;
    let until = values::time("--until", args.until.as_deref(), &calendar)?;
    let mut site = inputs.read_site(&calendar, until)?;
    let readings = site.at(Level::Room, &calendar);
    let Some((first_reading, last_reading)) = readings.active_period(inputs.latest(&calendar)) else {
        bail!("there are no readings to train on\nhint: roomcast inspect describes the input");
    };
    let watch = Instant::now();
    // Without --until the models learn up to the end of the hour of the last reading.
    let cutoff = until.unwrap_or_else(|| calendar.start(calendar.hour(last_reading) + 1));
    ensure!(
        cutoff <= check::latest(Some(last_reading), &calendar),
        "--until {} is in the future: the readings until then are not known",
        calendar.format(cutoff)
    );
    let (number, fingerprint) = (readings.len(), readings.fingerprint());
    let hourly = Hourly::new(&readings, &calendar, cutoff);
    drop(readings);
    if site.rooms.is_empty() {
        // They are no longer needed, and large.
        site.sensors = Readings::default();
    }
    let rates = SiteRates::new(&hourly);
    let bar = progress::bar("devices fitted", Some(hourly.devices.len() as u64));
    let mut models = fit::train(&hourly, &rates, &|| bar.inc(1)).context("cannot train")?;
    models.levels =
        train::levels(&site.rooms, &site.sensors, &calendar, cutoff, &|| bar.inc(1)).context("cannot train")?;
    bar.finish_and_clear();
    let about = TrainingInfo {
        calendar: &calendar,
        first_reading,
        last_reading,
        readings: number,
        fingerprint,
        rooms: site.rooms.fingerprint(&calendar),
        training: watch.elapsed(),
    };
    let registry = args.registry.open();
    let manifest = registry.save(&models, &about, !args.no_activate)?;
    let mut text = summary(&hourly, &models, watch.elapsed().as_secs_f64());
    let state = if args.no_activate { "saved, not activated" } else { "current" };
    text.push_str(&format!("\nversion      {} in {} ({state})\n", manifest.version, registry.name()));
    output::print(text)
}

fn summary(hourly: &Hourly, models: &Models, seconds: f64) -> String {
    let rows: usize = hourly.devices.iter().map(|d| d.states.len()).sum();
    let of = |source: Source| hourly.devices.iter().filter(|d| source_of(models, &d.device) == source).count();
    let levels: String = models
        .levels
        .iter()
        .map(|(level, above)| {
            format!("{:<12} {}, each with models of its own\n", format!("{level}s"), above.devices.len())
        })
        .collect();
    let mut text = format!(
        "devices      {}\n{levels}history      {rows} hours of all devices together\ntook         {seconds:.1} s\n\nsource of their forecasts\n\
         \x20 model      {:>6}  the device's own models with those of the building\n\
         \x20 building   {:>6}  the models that all devices share\n\
         \x20 baseline   {:>6}  the device's usual rate in each hour of the week\n",
        hourly.devices.len(),
        of(Source::Model),
        of(Source::Building),
        of(Source::Baseline),
    );
    let skipped: Vec<String> = hourly
        .devices
        .iter()
        .filter_map(|d| {
            let missing = DeviceModel::default();
            let why = fit::skipped(d.status, models.devices.get(&d.device).unwrap_or(&missing))?;
            Some(format!("{}: {why}", d.device))
        })
        .collect();
    if !skipped.is_empty() {
        text += &format!("\nwithout a model of their own: {}\n{}", skipped.len(), report::devices(&skipped));
    }
    text
}

fn source_of(models: &Models, device: &str) -> Source {
    models.devices.get(device).map_or(Source::Building, |model| model.source())
}
