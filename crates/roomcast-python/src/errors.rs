//! Errors of the library as the exceptions of `roomcast.errors`.

use std::error::Error;

use pyo3::prelude::*;
use roomcast_forecast::readings::names::closest;
use roomcast_forecast::readings::{FRAME, ReadError};

pyo3::import_exception!(roomcast.errors, BadRowError);
pyo3::import_exception!(roomcast.errors, ModelFileError);
pyo3::import_exception!(roomcast.errors, ReadingsError);
pyo3::import_exception!(roomcast.errors, RoomcastError);
pyo3::import_exception!(roomcast.errors, SettingError);
pyo3::import_exception!(roomcast.errors, UnknownDeviceError);

/// Returns the message of an error with its causes.
fn message(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // The library's hints name the options of the command line.
    text.replace("--skip-bad-rows", "skip_bad_rows=True").replace("--timezone", "timezone=…")
}

/// Converts an error of reading. That of a bad row carries its place.
pub fn reading(error: ReadError) -> PyErr {
    let text = message(&error);
    let ReadError::BadRow(refusal) = error else { return ReadingsError::new_err(text) };
    // Readers of tables count rows from 0, those of text count lines from 1.
    let is_table = refusal.file == FRAME || refusal.file.to_lowercase().ends_with(".parquet");
    let (row, line) = if is_table { (Some(refusal.line - 1), None) } else { (None, Some(refusal.line)) };
    BadRowError::new_err((text, refusal.file, row, line, refusal.column, refusal.expected, refusal.found))
}

/// Converts the error of a setting of the site or of an argument.
pub fn setting(error: impl Error + 'static) -> PyErr {
    SettingError::new_err(message(&error))
}

/// Converts any other error.
pub fn other(error: impl Error + 'static) -> PyErr {
    RoomcastError::new_err(message(&error))
}

/// Returns the error for a device without readings, with the known name that is most like its name.
pub fn unknown<'a>(device: &str, known: impl Iterator<Item = &'a str>) -> PyErr {
    let hint = closest(device, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    UnknownDeviceError::new_err(format!("no readings of device {device:?}{hint}"))
}
