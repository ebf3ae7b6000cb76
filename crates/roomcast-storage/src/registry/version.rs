//! One version: `manifest.json`, `models.bin`, `report.json` after a retraining, and `SHA256SUMS` over all.
//!
//! The manifest holds the checksums of the other files, and `SHA256SUMS` holds that of the manifest. The schema is
//! checked before anything else is interpreted.

use serde::Deserialize;

use super::backend::Backend;
use super::error::{Damage, RegistryError};
use super::manifest::Manifest;
use super::names::{MANIFEST, MODELS, REPORT, SUMS};
use roomcast_forecast::features;
use roomcast_forecast::model::Models;
use roomcast_forecast::model::checksum::{line, sha256};
use roomcast_forecast::model::codec::{self, SCHEMA};

/// Most bytes of any file but the models and a report.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The fields that the manifest of every schema has.
#[derive(Deserialize)]
struct Head {
    schema_version: u32,
    roomcast: String,
}

/// Writes the files of a version to a backend, in the order in which they are needed.
///
/// # Errors
/// Returns the error of the backend.
pub fn write(
    backend: &dyn Backend,
    manifest: &Manifest,
    packed: &[u8],
    report: Option<&str>,
) -> Result<(), RegistryError> {
    let version = &manifest.version;
    let text = serde_json::to_string_pretty(manifest);
    let mut text = text.map_err(|error| RegistryError::content(backend.file(version, MANIFEST), error))?;
    text.push('\n');
    let sums = line(&sha256(text.as_bytes()), MANIFEST) + &others(manifest);
    let mut files = vec![(MODELS, packed)];
    files.extend(report.map(|report| (REPORT, report.as_bytes())));
    files.extend([(MANIFEST, text.as_bytes()), (SUMS, sums.as_bytes())]);
    backend.put(version, &files)
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
/// backend.
pub fn read(backend: &dyn Backend, version: &str) -> Result<(Models, Manifest), RegistryError> {
    let (manifest, packed) = read_packed(backend, version)?;
    let content = |what| RegistryError::content(backend.file(version, MODELS), what);
    let models = codec::decode(&packed).map_err(content)?;
    let checked = manifest.check(models.cutoff, models.devices.len());
    checked.map_err(|what| RegistryError::content(backend.file(version, MANIFEST), what))?;
    Ok((models, manifest))
}

/// Reads a manifest, and verifies that every byte of the version is as saved.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn verify(backend: &dyn Backend, version: &str) -> Result<Manifest, RegistryError> {
    Ok(read_packed(backend, version)?.0)
}

/// Returns the report of the retraining that made a version, if one did.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn report(backend: &dyn Backend, version: &str) -> Result<Option<String>, RegistryError> {
    read_report(backend, version, &read_manifest(backend, version)?)
}

fn read_report(backend: &dyn Backend, version: &str, manifest: &Manifest) -> Result<Option<String>, RegistryError> {
    let Some((sum, bytes)) = manifest.report_sha256.as_ref().zip(manifest.report_bytes) else { return Ok(None) };
    let report = read_exact(backend, version, REPORT, bytes)?;
    let file = backend.file(version, REPORT);
    if sha256(&report) != *sum {
        return Err(RegistryError::damaged(file, Damage::Checksum));
    }
    String::from_utf8(report).map(Some).map_err(|_| RegistryError::content(file, "the text is not UTF-8"))
}

fn read_packed(backend: &dyn Backend, version: &str) -> Result<(Manifest, Vec<u8>), RegistryError> {
    let manifest = read_manifest(backend, version)?;
    let packed = read_exact(backend, version, MODELS, manifest.models_bytes)?;
    if sha256(&packed) != manifest.models_sha256 {
        return Err(RegistryError::damaged(backend.file(version, MODELS), Damage::Checksum));
    }
    read_report(backend, version, &manifest)?;
    Ok((manifest, packed))
}

/// Reads a manifest, and verifies that it is as saved.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn read_manifest(backend: &dyn Backend, version: &str) -> Result<Manifest, RegistryError> {
    let (file, sums_file) = (backend.file(version, MANIFEST), backend.file(version, SUMS));
    let text = read_text(backend, version, MANIFEST)?;
    let sums = read_text(backend, version, SUMS)?;
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

fn read_exact(backend: &dyn Backend, version: &str, file: &str, expected: u64) -> Result<Vec<u8>, RegistryError> {
    let bytes = backend.read(version, file, expected)?;
    let found = bytes.len() as u64;
    match found == expected {
        true => Ok(bytes),
        false => Err(RegistryError::damaged(backend.file(version, file), Damage::Length { found, expected })),
    }
}

fn read_text(backend: &dyn Backend, version: &str, file: &str) -> Result<String, RegistryError> {
    let text = String::from_utf8(backend.read(version, file, MAX_TEXT_BYTES)?);
    text.map_err(|_| RegistryError::content(backend.file(version, file), "the text is not UTF-8"))
}

/// Returns the first of a manifest's columns that differs from those of this binary.
fn difference(theirs: &[String]) -> Option<String> {
    let expected = features::columns();
    let at = (0..expected.len().max(theirs.len()))
        .find(|&at| expected.get(at).copied() != theirs.get(at).map(String::as_str))?;
    let name = |name: Option<&str>| name.map_or("none".into(), |name| format!("{name:?}"));
    Some(format!(
        "column {at} is {}, not {}",
        name(theirs.get(at).map(String::as_str)),
        name(expected.get(at).copied())
    ))
}
