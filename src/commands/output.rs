//! Output of commands: results to standard output, remarks to standard error.

use std::io::Write;
use std::path::Path;

use roomcast_forecast::files;
use serde::Serialize;

/// Writes a result to standard output. A reader that closes the pipe early is not an error.
///
/// # Errors
/// Returns an error when standard output cannot be written.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    files::write(Path::new("-"), text.as_ref())
}

/// Writes a result to standard output as indented JSON.
///
/// # Errors
/// Returns the errors of [`print`] and [`json`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(json(value)?)
}

/// Returns a value as indented JSON that ends with a line break.
///
/// # Errors
/// Returns an error when the value has no form in JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Writes a remark to standard error. A lost remark does not spoil the result, so a closed pipe is not an error.
pub fn remark(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
