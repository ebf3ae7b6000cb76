//! `roomcast export`: writes the readings of a store as Parquet files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use sha2::{Digest, Sha256};

use crate::commands::arguments::{LevelArg, RoomsArgs, StoreArgs};
use crate::commands::output::print;
use roomcast_forecast::files;
use roomcast_forecast::readings::{DeviceReadings, write_parquet};

/// Arguments of `roomcast export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    at: StoreArgs,
    /// Directory of the files; created if it is missing
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Number of files; for the same number, a device is always in the same file
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9999))]
    buckets: u32,
    #[command(flatten)]
    rooms: RoomsArgs,
    /// Level of the series with --rooms, which are written in place of those of the sensors
    #[arg(long, value_enum, default_value_t, requires = "rooms")]
    level: LevelArg,
}

/// Exports the readings, and prints the names of the files.
///
/// # Errors
/// Returns an error when the store cannot be read or a file cannot be written. Also returns an error when the directory
/// has files of an export into another number of files, which would be read together with the new ones.
pub fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let opened = args.at.open()?;
    fs::create_dir_all(&args.output).with_context(|| format!("cannot create {}", args.output.display()))?;
    check_others(&args.output, args.buckets)?;
    let table = args.rooms.table(&opened.calendar)?;
    let (mut readings, _) = opened.wait(opened.store.load(None)).context("cannot read the store")?;
    if !table.is_empty() {
        readings = table.all_readings(&readings, args.level.into(), &opened.calendar);
    }
    let zoned = opened.calendar.zone().is_some();
    let mut text = String::new();
    for bucket in 0..args.buckets {
        let devices: Vec<&DeviceReadings> =
            readings.devices.iter().filter(|d| bucket_of(&d.device, args.buckets) == bucket).collect();
        let path = args.output.join(format!("readings-{:04}-of-{:04}.parquet", bucket + 1, args.buckets));
        let mut bytes = Vec::new();
        write_parquet(devices.iter().copied(), zoned, &mut bytes).context("cannot write Parquet")?;
        files::write(&path, &bytes)?;
        let rows: usize = devices.iter().map(|d| d.edge_count()).sum();
        text += &format!("{}: {} devices, {rows} readings\n", path.display(), devices.len());
    }
    print(text)
}

/// Returns the file of a device: the first 64 bits of the SHA-256 of its name, modulo the number of files.
fn bucket_of(device: &str, buckets: u32) -> u32 {
    let mut head = [0; 8];
    head.copy_from_slice(&Sha256::digest(device.as_bytes())[..8]);
    (u64::from_be_bytes(head) % u64::from(buckets)) as u32
}

/// Checks that there are no files of an export into another number of files.
fn check_others(directory: &Path, buckets: u32) -> anyhow::Result<()> {
    let end = format!("-of-{buckets:04}.parquet");
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("readings-") && name.contains("-of-") && !name.ends_with(&end) {
            bail!(
                "{} has {name}, a file of an export into another number of files\nhint: remove it, or choose another directory",
                directory.display()
            );
        }
    }
    Ok(())
}
