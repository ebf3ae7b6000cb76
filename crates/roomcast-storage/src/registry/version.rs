//! One version: `manifest.json`, `models.bin`, `report.json` after a retraining, and `SHA256SUMS` over all.
//!
//! The manifest holds the checksums of the other files, and `SHA256SUMS` holds that of the manifest. The schema is
//! checked before anything else is interpreted.

use serde::Deserialize;

use super::error::{Damage, RegistryError};
use super::manifest::Manifest;
use super::place::Place;
use roomcast_forecast::features;
use roomcast_forecast::model::Models;
use roomcast_forecast::model::checksum::{line, sha256};
use roomcast_forecast::model::codec::{self, SCHEMA};

const MANIFEST: &str = "manifest.json";
const MODELS: &str = "models.bin";
const REPORT: &str = "report.json";
pub const SUMS: &str = "SHA256SUMS";

/// Most bytes of any file but the models and a report.
const SMALL: u64 = 1 << 20;

/// The fields that the manifest of every schema has.
#[derive(Deserialize)]
struct Head {
    schema_version: u32,
    roomcast: String,
}

/// Returns whether a text has the form of a version's name: cutoff, `Z` if it is UTC, and part of a hash.
pub fn is_name(text: &str) -> bool {
    let Some((cutoff, hash)) = text.split_once('-') else { return false };
    let Some((date, time)) = cutoff.strip_suffix('Z').unwrap_or(cutoff).split_once('T') else { return false };
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits(date, 8) && digits(time, 6) && (6..=64).contains(&hash.len()) && hash.bytes().all(hex)
}

/// Writes the files of a version to a place, in the order in which they are needed.
///
/// # Errors
/// Returns the error of the place.
pub fn write(place: &dyn Place, manifest: &Manifest, packed: &[u8], report: Option<&str>) -> Result<(), RegistryError> {
    let version = &manifest.version;
    let text = serde_json::to_string_pretty(manifest);
    let mut text = text.map_err(|error| RegistryError::content(place.file(version, MANIFEST), error))?;
    text.push('\n');
    let sums = line(&sha256(text.as_bytes()), MANIFEST) + &others(manifest);
    let mut files = vec![(MODELS, packed)];
    files.extend(report.map(|report| (REPORT, report.as_bytes())));
    files.extend([(MANIFEST, text.as_bytes()), (SUMS, sums.as_bytes())]);
    place.put(version, &files)
}

/// Returns the lines of `SHA256SUMS` after the manifest's.
fn others(manifest: &Manifest) -> String {
    let report = manifest.report_sha256.as_ref().map_or(String::new(), |sum| line(sum, REPORT));
    line(&manifest.models_sha256, MODELS) + &report
}

/// Reads a whole version: manifest, checksums and models. Checks that they belong together.
///
/// # Errors
/// Returns [`RegistryError::Damaged`], [`RegistryError::Schema`], [`RegistryError::Features`], or the error of the
/// place.
pub fn read(place: &dyn Place, version: &str) -> Result<(Models, Manifest), RegistryError> {
    let (manifest, packed) = read_packed(place, version)?;
    let content = |what| RegistryError::content(place.file(version, MODELS), what);
    let models = codec::decode(&packed).map_err(content)?;
    let checked = manifest.check(models.cutoff, models.devices.len());
    checked.map_err(|what| RegistryError::content(place.file(version, MANIFEST), what))?;
    Ok((models, manifest))
}

/// Reads a manifest, and verifies that every byte of the version is what was saved.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn verify(place: &dyn Place, version: &str) -> Result<Manifest, RegistryError> {
    Ok(read_packed(place, version)?.0)
}

/// Returns the report of the retraining that made a version, if one did.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn report(place: &dyn Place, version: &str) -> Result<Option<String>, RegistryError> {
    read_report(place, version, &read_manifest(place, version)?)
}

fn read_report(place: &dyn Place, version: &str, manifest: &Manifest) -> Result<Option<String>, RegistryError> {
    let Some((sum, bytes)) = manifest.report_sha256.as_ref().zip(manifest.report_bytes) else { return Ok(None) };
    let report = read_exact(place, version, REPORT, bytes)?;
    let file = place.file(version, REPORT);
    if sha256(&report) != *sum {
        return Err(RegistryError::damaged(file, Damage::Checksum));
    }
    String::from_utf8(report).map(Some).map_err(|_| RegistryError::content(file, "the text is not UTF-8"))
}

fn read_packed(place: &dyn Place, version: &str) -> Result<(Manifest, Vec<u8>), RegistryError> {
    let manifest = read_manifest(place, version)?;
    let packed = read_exact(place, version, MODELS, manifest.models_bytes)?;
    if sha256(&packed) != manifest.models_sha256 {
        return Err(RegistryError::damaged(place.file(version, MODELS), Damage::Checksum));
    }
    read_report(place, version, &manifest)?;
    Ok((manifest, packed))
}

/// Reads a manifest, and verifies that it is what was saved.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn read_manifest(place: &dyn Place, version: &str) -> Result<Manifest, RegistryError> {
    let (file, sums_file) = (place.file(version, MANIFEST), place.file(version, SUMS));
    let text = read_text(place, version, MANIFEST)?;
    let sums = read_text(place, version, SUMS)?;
    let rest = sums.strip_prefix(&line(&sha256(text.as_bytes()), MANIFEST));
    let rest = rest.ok_or_else(|| RegistryError::damaged(&file, Damage::Checksum))?;
    let content = |error: serde_json::Error| RegistryError::content(&file, error);
    let Head { schema_version: found, roomcast } = serde_json::from_str(&text).map_err(content)?;
    if found != SCHEMA {
        return Err(RegistryError::Schema { file, found, expected: SCHEMA, roomcast });
    }
    let manifest: Manifest = serde_json::from_str(&text).map_err(content)?;
    if rest != others(&manifest) {
        return Err(RegistryError::damaged(&sums_file, Damage::Checksum));
    }
    if manifest.version != version {
        return Err(RegistryError::content(&file, format!("it describes version {}", manifest.version)));
    }
    match difference(&manifest.features) {
        Some(difference) => Err(RegistryError::Features { file, roomcast, difference }),
        None => Ok(manifest),
    }
}

fn read_exact(place: &dyn Place, version: &str, file: &str, expected: u64) -> Result<Vec<u8>, RegistryError> {
    let bytes = place.read(version, file, expected)?;
    let found = bytes.len() as u64;
    match found == expected {
        true => Ok(bytes),
        false => Err(RegistryError::damaged(place.file(version, file), Damage::Length { found, expected })),
    }
}

fn read_text(place: &dyn Place, version: &str, file: &str) -> Result<String, RegistryError> {
    let text = String::from_utf8(place.read(version, file, SMALL)?);
    text.map_err(|_| RegistryError::content(place.file(version, file), "the text is not UTF-8"))
}

/// Returns the first of a manifest's columns that differs from those of this binary.
fn difference(theirs: &[String]) -> Option<String> {
    let ours = features::columns();
    let at =
        (0..ours.len().max(theirs.len())).find(|&at| ours.get(at).copied() != theirs.get(at).map(String::as_str))?;
    let name = |name: Option<&str>| name.map_or("none".into(), |name| format!("{name:?}"));
    Some(format!("column {at} is {}, not {}", name(theirs.get(at).map(String::as_str)), name(ours.get(at).copied())))
}
