//! Names of versions and of the files of a registry.

/// The description of a version.
pub const MANIFEST: &str = "manifest.json";

/// The layers of all devices.
pub const MODELS: &str = "models.bin";

/// The report of the retraining that made a version.
pub const REPORT: &str = "report.json";

/// The checksums of a version's files.
pub const SUMS: &str = "SHA256SUMS";

/// The file that holds the name of the current version.
pub const CURRENT: &str = "current";

/// The lock of the process that writes.
pub const WRITE_LOCK: &str = ".lock";

/// The lock of the process that retrains.
pub const TRAINING_LOCK: &str = ".retraining";

/// Returns whether a text has the form of a version's name: cutoff, `Z` if it is UTC, and part of a hash.
pub fn is_name(text: &str) -> bool {
    let Some((cutoff, hash)) = text.split_once('-') else { return false };
    let Some((date, time)) = cutoff.strip_suffix('Z').unwrap_or(cutoff).split_once('T') else { return false };
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digits(date, 8) && digits(time, 6) && (6..=64).contains(&hash.len()) && hash.bytes().all(hex)
}
