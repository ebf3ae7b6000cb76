//! A run directory: the output of the steps, written as files.
//!
//! ```text
//! RUN/
//!   site/      _SUCCESS, *.parquet with one row: the site with its layers
//!   devices/   _SUCCESS, *.parquet with one row per device
//! ```
//!
//! Spark's committer writes `_SUCCESS` last; without it nothing is read. Every row is verified.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::assemble::{Assembly, Run};
use super::row::Row;
use super::steps::MODELS;
use crate::files::is_parquet;

const SUCCESS: &str = "_SUCCESS";

/// Reason why a run cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run has not ended, or has failed.
    #[error("{directory}: there is no _SUCCESS: the run has not ended, or has failed")]
    Unfinished {
        /// The part of the run without `_SUCCESS`.
        directory: String,
    },
    /// A file or directory cannot be read.
    #[error("{path}: cannot read")]
    Io {
        /// File or directory.
        path: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The content is not the output of the steps.
    #[error("{path}: {what}")]
    Damaged {
        /// File or directory.
        path: String,
        /// The reason.
        what: String,
    },
}

/// Reads and verifies a run.
///
/// # Errors
/// [`RunError`], with the path, when a part has not ended, or a file cannot be read or is invalid.
pub fn read(directory: &Path) -> Result<Run, RunError> {
    let (at, devices_at) = (directory.join("site"), directory.join("devices"));
    let (site_files, device_files) = (files(&at)?, files(&devices_at)?);
    let mut sites = Vec::new();
    for file in site_files {
        let frame = frame(&file, &["site"])?;
        let column = frame.column("site").and_then(|column| column.binary().cloned());
        let column = column.map_err(|error| damaged(&file, error))?;
        sites.extend(column.iter().flatten().map(<[u8]>::to_vec));
    }
    let [bytes] = sites.as_slice() else {
        return Err(damaged(&at, format!("{} sites where one is expected", sites.len())));
    };
    let mut assembly = Assembly::new(bytes).map_err(|what| damaged(&at, what))?;
    for file in device_files {
        let frame = frame(&file, &MODELS.each_ref().map(|(name, _)| *name))?;
        take(&frame, &mut assembly).map_err(|what| damaged(&file, what))?;
    }
    assembly.finish().map_err(|what| damaged(&devices_at, what))
}

fn damaged(path: &Path, what: impl ToString) -> RunError {
    RunError::Damaged { path: path.display().to_string(), what: what.to_string() }
}

/// Returns the Parquet files of a part of the run that has ended, in order of name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, RunError> {
    if !directory.join(SUCCESS).is_file() {
        return Err(RunError::Unfinished { directory: directory.display().to_string() });
    }
    let io = |source| RunError::Io { path: directory.display().to_string(), source };
    let entries = fs::read_dir(directory).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['_', '.']));
    let files = entries.into_iter().map(|entry| entry.path()).filter(|path| !hidden(path) && is_parquet(path));
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

/// Adds the rows of a file.
fn take(frame: &DataFrame, assembly: &mut Assembly) -> Result<(), String> {
    for (name, kind) in &MODELS {
        let found = frame.column(name).map_err(|error| error.to_string())?.dtype();
        if found != kind {
            return Err(format!("column {name}: expected {kind}, found {found}"));
        }
    }
    (0..frame.height()).try_for_each(|at| assembly.add(row(frame, at)?))
}

/// Reads one device's row.
fn row(frame: &DataFrame, row: usize) -> Result<Row, String> {
    let text = |column| cell(frame, column, row, |column, row| column.str().ok()?.get(row).map(String::from));
    let number = |column| cell(frame, column, row, |column, row| column.i64().ok()?.get(row));
    let bytes = |column| cell(frame, column, row, |column, row| column.binary().ok()?.get(row).map(<[u8]>::to_vec));
    let float = |column| cell(frame, column, row, |column, row| column.f64().ok()?.get(row));
    let scores = number("rows").ok().zip(float("prior_loss").ok()).zip(float("building_loss").ok());
    let scores = scores.zip(float("device_loss").ok()).map(|(((rows, prior), site), own)| (rows, prior, site, own));
    Ok(Row {
        device: text("device")?,
        model: bytes("model")?,
        sha256: text("sha256")?,
        site_sha256: text("site_sha256")?,
        scores,
        judged: bytes("judged")?,
        reason: text("reason").ok(),
        cutoff: number("cutoff")?,
        hours: number("hours")?,
        readings: number("readings")?,
        first_reading: number("first_reading")?,
        last_reading: number("last_reading")?,
        readings_sha256: text("readings_sha256")?,
        fit_seconds: float("fit_seconds")?,
    })
}

fn cell<T>(frame: &DataFrame, name: &str, row: usize, of: impl Fn(&Column, usize) -> Option<T>) -> Result<T, String> {
    let column = frame.column(name).map_err(|error| error.to_string())?;
    of(column, row).ok_or_else(|| format!("there is no {name} in row {}", row + 1))
}
