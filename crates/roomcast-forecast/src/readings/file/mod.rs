//! Reading of files, row by row, and writing.
//!
//! A [`source`] is opened and unpacked, [`sniff`] finds the layout of a text, and its [`shape`] finds the cells of a row, as
//! [`parquet`] and [`arrow`] do. [`field`] reads them, and a [`sink`] takes the row or its error: [`collect`](mod@collect) makes
//! readings of them, [`rows`](mod@rows) passes them on, and [`apart`] sends them to another process.

pub mod apart;
mod arrow;
mod collect;
mod csv;
mod error;
pub mod field;
mod parquet;
mod rows;
mod shape;
mod sink;
mod sniff;
mod source;
mod summary;
mod table;
mod words;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Readings;
use super::order::merge;
use crate::calendar::Calendar;
use crate::files::is_parquet;
use collect::Collector;
use sink::Sink;
use source::Content;
use source::sheet::Sheet;

pub use arrow::read_arrow;
pub use collect::{Collected, ReadOptions, collect};
pub use error::{FRAME, ReadError, Refusal};
pub use rows::{FileRow, rows};
pub use sniff::is_value_name;
pub use sniff::{Columns, Delimiter, Layout, TimeForm};
pub use source::encoding::Encoding;
pub use source::places::files;
pub use source::{Records, sheet};
pub use summary::{Cause, Counts, FileSummary, MAX_REFUSALS, ReadSummary, Stray};
pub(crate) use table::each_record;
pub use write::write_parquet;

/// Reads the readings of one or several files.
///
/// A directory stands for the files in it, and `-` for standard input. A file named `….parquet` is Parquet. Any other file
/// is text in UTF-8, UTF-16 or Windows-1252, perhaps packed by gzip or zstd, or an Excel workbook. The contract's own layout is CSV with a
/// header that names at least `time`, `device` and `device_activated`, in any order and any case:
///
/// - `time`: local wall time as [`Calendar::parse`] reads it; fractions of seconds are cut off;
/// - `device`: 1 to 256 bytes of UTF-8 without control characters; spaces around it are cut off;
/// - `device_activated`: motion or none, as [`field::state`] reads it; none ends what the motion before it began
///   ([`DeviceReadings::presence`](super::DeviceReadings::presence)).
///
/// Every other layout is found from the first rows, unless [`ReadOptions::layout`] gives it: the separator, the columns by
/// their names and contents, the form of times, a row for each reading or a column for each room.
/// [`FileSummary::taken`] says what was found.
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
    let paths = files(paths)?;
    let read: Vec<_> = paths.par_iter().map(|path| read_file(path, options, calendar)).collect();
    let mut summary = ReadSummary::default();
    let mut parts = Vec::with_capacity(paths.len() + others.len());
    for part in read.into_iter().chain(others.into_iter().map(Ok)) {
        let Collected { readings, summary: part, without_motion } = part?;
        summary.add(part);
        summary.without_motion.extend(without_motion);
        parts.push(readings);
    }
    say_all(&summary.files);
    let (mut readings, in_several) = merge(parts);
    summary.without_motion.extend(readings.take_quiet().devices.into_iter().map(|device| device.device));
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
    each_row(path, &options.layout, calendar, &mut collector)?;
    Ok(collector.finish())
}

/// Passes the rows of a file, or of standard input for `-`, to a sink.
fn each_row<S: Sink>(path: &Path, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    if path == Path::new("-") {
        return text(io::stdin().lock(), layout, calendar, into);
    }
    let file = File::open(path).map_err(|error| ReadError::io(into.file(), error))?;
    match (is_parquet(path), apart::program()) {
        (true, Some(program)) => apart::read(program, file, layout, calendar, into),
        (true, None) => parquet::read(file, layout, calendar, into),
        (false, _) => text(file, layout, calendar, into),
    }
}

/// Passes the rows of a text, packed or not, or of a workbook to a sink.
fn text<S: Sink>(source: impl Read, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    match source::open(source, into.file())? {
        Content::Text(text) => csv::read(text, layout, calendar, into),
        Content::Workbook(source) => {
            let mut sheet = Sheet::open(source, into.file())?;
            let read = csv::read(sheet.text(), layout, calendar, into);
            // A text that broke off is the cause of what is wrong with its rows.
            sheet.finish()?;
            read
        }
    }
}

/// Says what the columns of some files were taken for. A log line, because it is not for the caller of the library.
fn say(file: &str, files: usize, remark: &str) {
    match files - 1 {
        0 => tracing::info!(target: "roomcast::files", "{file}: {remark}"),
        more => tracing::info!(target: "roomcast::files", "{file} and {more} more: {remark}"),
    }
}

/// Says what was taken for what, once for all files of one layout.
fn say_all(files: &[FileSummary]) {
    let mut said: Vec<(&str, &str, usize)> = Vec::new();
    for (file, remark) in files.iter().filter_map(|file| Some((file.file.as_str(), file.taken.as_deref()?))) {
        match said.iter_mut().find(|(_, known, _)| *known == remark) {
            Some((_, _, count)) => *count += 1,
            None => said.push((file, remark, 1)),
        }
    }
    said.into_iter().for_each(|(file, remark, count)| say(file, count, remark));
}
