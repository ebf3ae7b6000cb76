//! A run directory: what the steps gave, as whoever ran them has written it.
//!
//! ```text
//! RUN/
//!   site/      _SUCCESS, *.parquet with one row: the site with its layers
//!   devices/   _SUCCESS, *.parquet with one row per device
//! ```
//!
//! `_SUCCESS` is what Spark's committer writes last; without it nothing is read. Every row is verified.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use polars::prelude::*;
use sha2::{Digest, Sha256};

use super::site::Site;
use super::steps::{self, MODELS};
use crate::calendar::{Calendar, Instant};
use crate::model::registry::{self, About};
use crate::model::rule::OutOfSample;
use crate::model::{DeviceModel, Models, SiteModel};
use crate::readings::{self, field, hex};

const SUCCESS: &str = "_SUCCESS";

/// Why a run cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run is not over.
    #[error("{directory}: there is no _SUCCESS: the run has not ended, or has failed")]
    Unfinished {
        /// Part of the run.
        directory: String,
    },
    /// The operating system refused.
    #[error("{path}: cannot read")]
    Io {
        /// File or directory.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Something is not what the steps gave.
    #[error("{path}: {what}")]
    Damaged {
        /// File or directory.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// What a run has made, verified.
#[derive(Debug, Clone)]
pub struct Run {
    /// SHA-256 over the site and the models: the same for the same result.
    pub id: String,
    /// All models.
    pub models: Models,
    /// The calendar they were trained with.
    pub calendar: Calendar,
    /// First and last reading that they learned from.
    pub span: (Instant, Instant),
    /// Number of these readings.
    pub readings: usize,
    /// As [`readings::Readings::fingerprint`] of them all.
    pub fingerprint: String,
    /// Time that the devices' fits took, added up.
    pub training: Duration,
    /// Devices without a model that was judged, with the reason.
    pub skipped: Vec<(String, String)>,
}

impl Run {
    /// For the registry.
    pub fn about(&self) -> About<'_> {
        About {
            calendar: &self.calendar,
            first_reading: self.span.0,
            last_reading: self.span.1,
            readings: self.readings,
            fingerprint: self.fingerprint.clone(),
            training: self.training,
        }
    }
}

/// Reads and verifies a run.
///
/// # Errors
/// [`RunError`], with the file at fault.
pub fn read(directory: &Path) -> Result<Run, RunError> {
    let (at, devices_at) = (directory.join("site"), directory.join("devices"));
    let (site_parts, device_parts) = (parts(&at)?, parts(&devices_at)?);
    let mut sites = Vec::new();
    for part in site_parts {
        let frame = frame(&part, &["site"])?;
        let column = frame.column("site").and_then(|column| column.binary().cloned());
        let column = column.map_err(|error| damaged(&part, error))?;
        sites.extend(column.iter().flatten().map(<[u8]>::to_vec));
    }
    let [bytes] = sites.as_slice() else {
        return Err(damaged(&at, format!("{} sites where one is expected", sites.len())));
    };
    let site = Site::decode(bytes).map_err(|error| damaged(&at, error))?;
    let Some((_, all)) = &site.layers else { return Err(damaged(&at, "its site has no layers: too little history")) };
    let mut found = Found { site: &site, site_sha256: registry::sha256(bytes), devices: BTreeMap::new() };
    for part in device_parts {
        let frame = frame(&part, &MODELS.each_ref().map(|(name, _)| *name))?;
        found.take(&frame).map_err(|what| damaged(&part, what))?;
    }
    found.finish(all.clone()).map_err(|what| damaged(&devices_at, what))
}

fn damaged(path: &Path, what: impl ToString) -> RunError {
    RunError::Damaged { path: path.display().to_string(), what: what.to_string() }
}

/// The Parquet files of a part of the run that has ended, in order of name.
fn parts(directory: &Path) -> Result<Vec<PathBuf>, RunError> {
    if !directory.join(SUCCESS).is_file() {
        return Err(RunError::Unfinished { directory: directory.display().to_string() });
    }
    let io = |source| RunError::Io { path: directory.display().to_string(), source };
    let entries = fs::read_dir(directory).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['_', '.']));
    let parquet = |path: &Path| path.extension().is_some_and(|extension| extension == "parquet");
    let files = entries.into_iter().map(|entry| entry.path()).filter(|path| !hidden(path) && parquet(path));
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    Ok(files)
}

fn frame(path: &Path, columns: &[&str]) -> Result<DataFrame, RunError> {
    let file = File::open(path).map_err(|source| RunError::Io { path: path.display().to_string(), source })?;
    let columns = columns.iter().map(|&name| name.to_owned()).collect();
    // Polars panics on some damaged files.
    match catch_unwind(AssertUnwindSafe(|| ParquetReader::new(file).with_columns(Some(columns)).finish())) {
        Ok(Ok(frame)) => Ok(frame),
        Ok(Err(error)) => Err(damaged(path, error)),
        Err(_) => Err(damaged(path, "the file is damaged")),
    }
}

/// One device's row.
struct Device {
    model: DeviceModel,
    sha256: String,
    judged: OutOfSample,
    reason: Option<String>,
    hours: i64,
    readings: i64,
    span: (Instant, Instant),
    fingerprint: [u8; 32],
    seconds: f64,
}

struct Found<'a> {
    site: &'a Site,
    site_sha256: String,
    devices: BTreeMap<String, Device>,
}

impl Found<'_> {
    fn take(&mut self, frame: &DataFrame) -> Result<(), String> {
        for (name, kind) in &MODELS {
            let found = frame.column(name).map_err(|error| error.to_string())?.dtype();
            if found != kind {
                return Err(format!("column {name}: expected {kind}, found {found}"));
            }
        }
        for row in 0..frame.height() {
            let name = cell(frame, "device", row, |column, row| column.str().ok()?.get(row).map(String::from))?;
            field::name(name.as_bytes()).map_err(|problem| format!("expected {}", problem.expected))?;
            let device = self.device(frame, row, &name).map_err(|what| format!("device {name:?}: {what}"))?;
            if self.devices.insert(name.clone(), device).is_some() {
                return Err(format!("device {name:?} is there twice"));
            }
        }
        Ok(())
    }

    fn device(&self, frame: &DataFrame, row: usize, name: &str) -> Result<Device, String> {
        let text = |column| cell(frame, column, row, |column, row| column.str().ok()?.get(row).map(String::from));
        let number = |column| cell(frame, column, row, |column, row| column.i64().ok()?.get(row));
        let bytes = |column| cell(frame, column, row, |column, row| column.binary().ok()?.get(row).map(<[u8]>::to_vec));
        let float = |column| cell(frame, column, row, |column, row| column.f64().ok()?.get(row));
        let (packed, sha256) = (bytes("model")?, text("sha256")?);
        if registry::sha256(&packed) != sha256 {
            return Err("the model is damaged: the checksum does not match".into());
        }
        if text("site_sha256")? != self.site_sha256 {
            return Err("it was fitted on top of another site".into());
        }
        let model = registry::decode_device(name, &packed)?;
        let (until, cutoff, last) = (self.site.until, number("cutoff")?, number("last_reading")?);
        if cutoff != until || model.cutoff != until {
            return Err("its cutoff is not the site's".into());
        }
        let first = number("first_reading")?;
        if last >= cutoff || first > last || number("readings")? < 1 {
            return Err("its readings are not before its cutoff".into());
        }
        let check = model.check.map(|check| (i64::from(check.rows), check.prior, check.building, check.device));
        let scores = number("rows").ok().zip(float("prior_loss").ok()).zip(float("building_loss").ok());
        if check != scores.zip(float("device_loss").ok()).map(|(((rows, prior), site), own)| (rows, prior, site, own)) {
            return Err("its scores are not those in the model".into());
        }
        Ok(Device {
            judged: steps::judged(&bytes("judged")?)?,
            reason: text("reason").ok(),
            hours: number("hours")?,
            readings: number("readings")?,
            span: (first, last),
            fingerprint: unhex(&text("readings_sha256")?).ok_or("its readings have no checksum")?,
            seconds: float("fit_seconds")?,
            model,
            sha256,
        })
    }

    fn finish(self, all: SiteModel) -> Result<Run, String> {
        let (site, devices) = (self.site, &self.devices);
        let (here, hours) = (devices.len() as u64, devices.values().map(|d| d.hours).sum::<i64>());
        if (here, hours) != (site.devices, site.hours as i64) {
            let (all, known) = (site.devices, site.hours);
            return Err(format!("{here} devices with {hours} hours of motion, where the site has {all} with {known}"));
        }
        let (Some(first), Some(last)) =
            (devices.values().map(|d| d.span.0).min(), devices.values().map(|d| d.span.1).max())
        else {
            return Err("there are no devices".into());
        };
        let calendar = site.calendar();
        if site.until > registry::latest(Some(last), &calendar) {
            return Err(format!(
                "{} has not come yet: nobody knows what happens until then",
                calendar.format(site.until)
            ));
        }
        let mut id = Sha256::new_with_prefix(&self.site_sha256);
        let mut models = Models { site: all, cutoff: site.until, ..Models::default() };
        for (name, device) in devices {
            id.update(format!("{name}\n{}\n", device.sha256));
            models.site.out_of_sample.merge(&device.judged);
        }
        let fingerprints: Vec<[u8; 32]> = devices.values().map(|d| d.fingerprint).collect();
        let skipped = devices.iter().filter_map(|(name, d)| Some((name.clone(), d.reason.clone()?)));
        Ok(Run {
            id: hex(&id.finalize()),
            span: (first, last),
            readings: devices.values().map(|d| d.readings as usize).sum(),
            fingerprint: readings::fingerprint(&fingerprints),
            training: Duration::try_from_secs_f64(devices.values().map(|d| d.seconds).sum()).unwrap_or_default(),
            skipped: skipped.collect(),
            models: Models { devices: self.devices.into_iter().map(|(name, d)| (name, d.model)).collect(), ..models },
            calendar,
        })
    }
}

fn cell<T>(frame: &DataFrame, name: &str, row: usize, of: impl Fn(&Column, usize) -> Option<T>) -> Result<T, String> {
    let column = frame.column(name).map_err(|error| error.to_string())?;
    of(column, row).ok_or_else(|| format!("there is no {name} in row {}", row + 1))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
