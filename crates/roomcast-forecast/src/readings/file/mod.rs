//! Reading of files, row by row, and writing.
//!
//! [`csv`], [`parquet`] and [`arrow`] find the cells of a row, [`field`] reads them, and a [`sink`] takes the row or its error:
//! [`collect`] makes readings of them, [`rows`](mod@rows) passes them on, and [`apart`] sends them to another process.

pub mod apart;
mod arrow;
mod collect;
mod csv;
mod error;
pub mod field;
mod lines;
mod parquet;
mod rows;
mod sink;
mod summary;
mod write;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Readings;
use super::order::merge;
use crate::calendar::Calendar;
use collect::Collector;
use sink::Sink;

pub use arrow::{FRAME, read_arrow};
pub use collect::{Collected, ReadOptions};
pub use error::ReadError;
pub use rows::{FileRow, rows};
pub use summary::{Counts, FileSummary, MAX_REFUSALS, ReadSummary, Refusal, Stray};
pub use write::write_parquet;

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
    let (readings, in_several) = merge(parts);
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
    let mut collector = Collector::new(&path.to_string_lossy(), options);
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
