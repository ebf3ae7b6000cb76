//! Raw sensor events: reading, validation row by row, and cleaning.
//!
//! A reading says that one motion sensor fired at one instant. Nothing is recorded while nobody moves, so an hour
//! without readings is vacant or unobserved; [`crate::hourly`] distinguishes the two.

pub mod apart;
mod clean;
mod csv;
mod error;
pub mod field;
mod lines;
mod lived;
pub mod names;
mod parquet;
mod profile;
mod rows;
mod sink;
mod summary;
mod times;
mod write;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::calendar::{Calendar, Timestamp};
use sink::Sink;

pub use clean::{Collected, in_order};
pub use error::ReadError;
pub use profile::{DeviceProfile, Profile, profile};
pub use rows::{FileRow, rows};
pub use summary::{Counts, FileSummary, REFUSALS_KEPT, ReadSummary, Refusal, Stray};
pub use times::Times;
pub use write::write_parquet;

/// The motion of every device of a site, ordered by device name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// One entry per device, in ascending order of name, each name once.
    pub devices: Vec<DeviceReadings>,
}

/// The motion that one device recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReadings {
    /// The device's name as in the input.
    pub device: String,
    /// Instants (seconds) at which the sensor fired: strictly ascending.
    pub times: Times,
}

impl Readings {
    /// Returns the readings before `origin`. Devices without any are left out.
    pub fn before(&self, origin: Timestamp) -> Readings {
        let devices = self.devices.iter().filter_map(|d| {
            let times = d.times.before(origin);
            (!times.is_empty()).then(|| DeviceReadings { device: d.device.clone(), times })
        });
        Readings { devices: devices.collect() }
    }

    /// Returns the readings at `from` or later. Devices without any are left out.
    pub fn since(&self, from: Timestamp) -> Readings {
        let devices = self.devices.iter().filter_map(|d| {
            let times = d.times.since(from);
            (!times.is_empty()).then(|| DeviceReadings { device: d.device.clone(), times })
        });
        Readings { devices: devices.collect() }
    }

    /// Returns these readings and others together, each once.
    pub fn merged(self, more: Readings) -> Readings {
        clean::merge(vec![self, more]).0
    }

    /// Returns these readings with more of some devices. The times of other devices are shared.
    pub fn grown(&self, more: &[DeviceReadings]) -> Readings {
        let mut devices = self.devices.clone();
        for new in more.iter().filter(|new| !new.times.is_empty()) {
            match devices.binary_search_by(|d| d.device.cmp(&new.device)) {
                Ok(at) => {
                    let times = &mut devices[at].times;
                    let in_order = times.last() < new.times.first();
                    times.extend(&new.times);
                    if !in_order {
                        times.sort();
                        times.dedup();
                    }
                }
                Err(at) => devices.insert(at, new.clone()),
            }
        }
        Readings { devices }
    }

    /// Returns the first and last instant over all devices, if there is any reading.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.devices.iter().filter_map(|d| d.times.first()).min()?;
        let last = self.devices.iter().filter_map(|d| d.times.last()).max()?;
        Some((*first, *last))
    }

    /// Returns the number of readings over all devices.
    pub fn len(&self) -> usize {
        self.devices.iter().map(|d| d.times.len()).sum()
    }

    /// Returns whether there are no readings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the SHA-256 of the content, in hexadecimal: the same for the same readings in any file form. It is the
    /// hash of the devices' own, [`DeviceReadings::fingerprint`], one after the other.
    pub fn fingerprint(&self) -> String {
        let own: Vec<[u8; 32]> = self.devices.par_iter().map(DeviceReadings::fingerprint).collect();
        fingerprint(&own)
    }
}

impl DeviceReadings {
    /// Returns the SHA-256 of the length of the name in bytes, the name, the number of times and the times. All numbers
    /// are 64-bit little-endian.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(16 + self.device.len() + 8 * self.times.len());
        bytes.extend((self.device.len() as u64).to_le_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend((self.times.len() as u64).to_le_bytes());
        bytes.extend(self.times.iter().flat_map(|time| time.to_le_bytes()));
        Sha256::digest(&bytes).into()
    }
}

/// Returns [`Readings::fingerprint`] of devices with these fingerprints, in ascending order of name.
pub fn fingerprint(devices: &[[u8; 32]]) -> String {
    hex::encode(Sha256::digest(devices.as_flattened()))
}

/// Options of reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Counts and skips rows that are no readings, instead of stopping at the first.
    pub skip_bad_rows: bool,
    /// Leaves out rows at or after this instant. Such rows must be valid all the same.
    pub until: Option<Timestamp>,
}

/// Reads the readings of one or several files.
///
/// A file named `….parquet` is Parquet, and `-` is CSV on standard input. Any other file is CSV with a header that
/// names at least `time`, `device` and `device_activated`, in any order and any case:
///
/// - `time`: local wall time as [`Calendar::parse`] reads it; fractions of seconds are cut off;
/// - `device`: 1 to 256 bytes of UTF-8 without control characters; spaces around it are cut off;
/// - `device_activated`: `1`, `1.0`, `true` or `on` for motion; `0`, `0.0`, `false` or `off` for none, which is counted
///   but is no reading.
///
/// Order does not matter, within a file or between files. Duplicates count once. An input without any reading is no
/// error: see [`ReadSummary::accepted`].
///
/// # Errors
/// [`ReadError`] of the first file in the order of `paths` that cannot be read. It names the file and, where there is
/// one, line and column.
pub fn read(
    paths: &[PathBuf],
    options: &ReadOptions,
    calendar: &Calendar,
) -> Result<(Readings, ReadSummary), ReadError> {
    read_with(paths, Vec::new(), options, calendar)
}

/// Reads files as [`read`] does, and adds readings that are not from files.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    paths: &[PathBuf],
    others: Vec<Collected>,
    options: &ReadOptions,
    calendar: &Calendar,
) -> Result<(Readings, ReadSummary), ReadError> {
    let files: Vec<_> = paths.par_iter().map(|path| read_file(path, options, calendar)).collect();
    let mut summary = ReadSummary::default();
    let mut parts = Vec::with_capacity(paths.len() + others.len());
    for part in files.into_iter().chain(others.into_iter().map(Ok)) {
        let Collected { readings, summary: part, without_motion } = part?;
        summary.add(part);
        summary.without_motion.extend(without_motion);
        parts.push(readings);
    }
    let (readings, in_several) = clean::merge(parts);
    summary.accepted -= in_several;
    summary.duplicates += in_several;
    summary.span = readings.span();
    summary.set_aside(&readings.strays(calendar.latest()), calendar);
    summary.devices = readings.devices.len();
    summary.without_motion.sort();
    summary.without_motion.dedup();
    summary.without_motion.retain(|name| readings.devices.binary_search_by(|d| d.device.cmp(name)).is_err());
    Ok((readings, summary))
}

fn read_file(path: &Path, options: &ReadOptions, calendar: &Calendar) -> Result<Collected, ReadError> {
    let mut collector = clean::Collector::new(&path.to_string_lossy(), options);
    each_row(path, calendar, &mut collector)?;
    Ok(collector.finish())
}

/// Passes the rows of a file, or of standard input for `-`, to a sink.
fn each_row<S: Sink>(path: &Path, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    if path == Path::new("-") {
        return csv::read(io::stdin().lock(), calendar, into);
    }
    let file = File::open(path).map_err(|error| ReadError::io(into.file(), error))?;
    match (is_parquet(path), apart::program()) {
        (true, Some(program)) => apart::read(program, file, calendar, into),
        (true, None) => parquet::read(file, calendar, into),
        (false, _) => csv::read(file, calendar, into),
    }
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}
