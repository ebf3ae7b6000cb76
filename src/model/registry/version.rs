//! One version's directory: `manifest.json`, `models.bin`, after a retraining `report.json`, and `SHA256SUMS` over all.
//!
//! The manifest says what the other files must be, `SHA256SUMS` says what the manifest must be. What is found
//! out about another schema is found out before anything else is understood.

use std::path::Path;

use serde::Deserialize;

use super::error::{Damage, RegistryError};
use super::files;
use super::manifest::Manifest;
use super::packed::{self, SCHEMA};
use super::sum::{line, sha256};
use crate::features;
use crate::model::Models;

const MANIFEST: &str = "manifest.json";
const MODELS: &str = "models.bin";
const REPORT: &str = "report.json";
const SUMS: &str = "SHA256SUMS";

/// What every schema has in its manifest.
#[derive(Deserialize)]
struct Head {
    schema_version: u32,
    roomcast: String,
}

/// Whether a text has the form of a version's name: cutoff, `Z` if it is UTC, and part of a hash.
pub fn is_name(text: &str) -> bool {
    let Some((cutoff, hash)) = text.split_once('-') else { return false };
    let Some((date, time)) = cutoff.strip_suffix('Z').unwrap_or(cutoff).split_once('T') else { return false };
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits(date, 8) && digits(time, 6) && (6..=64).contains(&hash.len()) && hash.bytes().all(hex)
}

/// Writes the files of a version into an empty directory, down to the disk.
///
/// # Errors
/// [`RegistryError::Io`].
pub fn write(directory: &Path, manifest: &Manifest, packed: &[u8], report: Option<&str>) -> Result<(), RegistryError> {
    let path = directory.join(MANIFEST);
    let mut text = serde_json::to_string_pretty(manifest).map_err(|error| RegistryError::content(&path, error))?;
    text.push('\n');
    let sums = line(&sha256(text.as_bytes()), MANIFEST) + &others(manifest);
    files::write(&directory.join(MODELS), packed)?;
    if let Some(report) = report {
        files::write(&directory.join(REPORT), report.as_bytes())?;
    }
    files::write(&path, text.as_bytes())?;
    files::write(&directory.join(SUMS), sums.as_bytes())?;
    files::sync(directory)
}

/// The lines of `SHA256SUMS` after the manifest's.
fn others(manifest: &Manifest) -> String {
    let report = manifest.report_sha256.as_ref().map_or(String::new(), |sum| line(sum, REPORT));
    line(&manifest.models_sha256, MODELS) + &report
}

/// Reads a whole version: manifest, checksums, models, and whether they belong together.
///
/// # Errors
/// [`RegistryError::Damaged`], [`RegistryError::Schema`], [`RegistryError::Features`], [`RegistryError::Io`].
pub fn read(directory: &Path) -> Result<(Models, Manifest), RegistryError> {
    let (manifest, packed) = read_packed(directory)?;
    let models = packed::decode(&packed).map_err(|what| RegistryError::content(&directory.join(MODELS), what))?;
    manifest.check(&models).map_err(|what| RegistryError::content(&directory.join(MANIFEST), what))?;
    Ok((models, manifest))
}

/// Reads a manifest, and makes sure that every byte of the version is what was saved.
///
/// # Errors
/// As [`read`].
pub fn verify(directory: &Path) -> Result<Manifest, RegistryError> {
    Ok(read_packed(directory)?.0)
}

/// The report of the retraining that made a version, if one did.
///
/// # Errors
/// As [`read`].
pub fn report(directory: &Path) -> Result<Option<String>, RegistryError> {
    read_report(directory, &read_manifest(directory)?)
}

fn read_report(directory: &Path, manifest: &Manifest) -> Result<Option<String>, RegistryError> {
    let Some((sum, bytes)) = manifest.report_sha256.as_ref().zip(manifest.report_bytes) else { return Ok(None) };
    let path = directory.join(REPORT);
    let report = files::read(&path, bytes)?;
    if sha256(&report) != *sum {
        return Err(RegistryError::damaged(&path, Damage::Checksum));
    }
    let report = String::from_utf8(report);
    report.map(Some).map_err(|_| RegistryError::content(&path, "the text is not UTF-8"))
}

fn read_packed(directory: &Path) -> Result<(Manifest, Vec<u8>), RegistryError> {
    let manifest = read_manifest(directory)?;
    let path = directory.join(MODELS);
    let packed = files::read(&path, manifest.models_bytes)?;
    if sha256(&packed) != manifest.models_sha256 {
        return Err(RegistryError::damaged(&path, Damage::Checksum));
    }
    read_report(directory, &manifest)?;
    Ok((manifest, packed))
}

fn read_manifest(directory: &Path) -> Result<Manifest, RegistryError> {
    let (path, sums_path) = (directory.join(MANIFEST), directory.join(SUMS));
    let text = files::read_small(&path)?;
    let sums = files::read_small(&sums_path)?;
    let rest = sums.strip_prefix(&line(&sha256(text.as_bytes()), MANIFEST));
    let rest = rest.ok_or_else(|| RegistryError::damaged(&path, Damage::Checksum))?;
    let content = |error: serde_json::Error| RegistryError::content(&path, error);
    let file = path.display().to_string();
    let Head { schema_version: found, roomcast } = serde_json::from_str(&text).map_err(content)?;
    if found != SCHEMA {
        return Err(RegistryError::Schema { file, found, expected: SCHEMA, roomcast });
    }
    let manifest: Manifest = serde_json::from_str(&text).map_err(content)?;
    if rest != others(&manifest) {
        return Err(RegistryError::damaged(&sums_path, Damage::Checksum));
    }
    if directory.file_name().is_none_or(|name| name != manifest.version.as_str()) {
        return Err(RegistryError::content(&path, format!("it describes version {}", manifest.version)));
    }
    match difference(&manifest.features) {
        Some(difference) => Err(RegistryError::Features { file, roomcast, difference }),
        None => Ok(manifest),
    }
}

/// The first of a manifest's columns that is not this binary's.
fn difference(theirs: &[String]) -> Option<String> {
    let ours = features::columns();
    let at =
        (0..ours.len().max(theirs.len())).find(|&at| ours.get(at).copied() != theirs.get(at).map(String::as_str))?;
    let name = |name: Option<&str>| name.map_or("none".into(), |name| format!("{name:?}"));
    Some(format!("column {at} is {}, not {}", name(theirs.get(at).map(String::as_str)), name(ours.get(at).copied())))
}
