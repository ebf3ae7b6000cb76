//! Collection of valid rows as [`Readings`]: by device, in order, each second once.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use super::error::{ReadError, Refusal};
use super::field::{self, Problem};
use super::sink::Sink;
use super::sniff::Layout;
use super::summary::{Counts, FileSummary};
use crate::calendar::Timestamp;
use crate::readings::order::in_order;
use crate::readings::{DeviceReadings, Readings};

/// Options of reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadOptions {
    /// Counts and skips invalid rows, instead of stopping at the first.
    pub skip_bad_rows: bool,
    /// Leaves out rows at or after this instant. Such rows must be valid all the same.
    pub until: Option<Timestamp>,
    /// The layout of the files, as far as it is given.
    pub layout: Layout,
}

impl ReadOptions {
    /// Stops at the first invalid row, and finds the layout of each file.
    pub const STRICT: ReadOptions = ReadOptions { skip_bad_rows: false, until: None, layout: Layout::FOUND };
    /// Counts and skips invalid rows, and finds the layout of each file.
    pub const LENIENT: ReadOptions = ReadOptions { skip_bad_rows: true, until: None, layout: Layout::FOUND };
}

/// The rows of one file so far.
pub(super) struct Collector<'a> {
    options: &'a ReadOptions,
    summary: FileSummary,
    /// Positions in `devices` by device name. Keys are valid names, so that a name is checked once and not in every
    /// row.
    names: HashMap<Box<[u8]>, usize, RandomState>,
    devices: Vec<Device>,
}

struct Device {
    name: String,
    times: Vec<Timestamp>,
    offs: Vec<Timestamp>,
    /// True when a row said that its room was vacant for a while.
    quiet: bool,
}

/// The content of one file or of a store.
pub struct Collected {
    /// The readings, also those of devices that only reported "no motion".
    pub readings: Readings,
    pub summary: FileSummary,
    /// Devices without any reading.
    pub without_motion: Vec<String>,
}

impl Collected {
    /// Wraps readings that are not from a file, under a name, with the devices that have no reading.
    pub fn of(name: &str, readings: Readings, without_motion: Vec<String>) -> Self {
        let number = readings.len() as u64;
        let counts = Counts { rows: number, accepted: number, ..Counts::default() };
        let summary = FileSummary { file: name.to_owned(), counts, ..FileSummary::default() };
        Self { readings, summary, without_motion }
    }
}

/// Collects readings that are not in a file, such as those of another program's database.
///
/// # Errors
/// [`ReadError::BadRow`] for a device without a name, unless bad rows are skipped, and the error of `rows`.
pub fn collect<E: From<ReadError>>(
    name: &str,
    options: &ReadOptions,
    rows: impl IntoIterator<Item = Result<(String, Timestamp, bool), E>>,
) -> Result<Collected, E> {
    let mut collector = Collector::new(name, options);
    for (row, edge) in (1..).zip(rows) {
        let (device, time, motion) = edge?;
        match collector.device(device.as_bytes()) {
            Ok(device) => collector.accept(time, device, motion)?,
            Err(problem) => collector.refuse(row, problem, || device)?,
        }
    }
    Ok(collector.finish())
}

impl<'a> Collector<'a> {
    pub fn new(file: &str, options: &'a ReadOptions) -> Self {
        let summary = FileSummary { file: file.to_owned(), ..FileSummary::default() };
        Self { options, summary, names: HashMap::default(), devices: Vec::new() }
    }

    /// Orders the readings and drops duplicates.
    pub fn finish(mut self) -> Collected {
        let is_quiet = |device: &&Device| device.quiet && device.times.is_empty() && device.offs.is_empty();
        let without_motion = self.devices.iter().filter(is_quiet).map(|device| device.name.clone()).collect();
        let number: usize = self.devices.iter().map(|device| device.times.len()).sum();
        let device =
            |Device { name, times, offs, .. }| DeviceReadings { device: name, times: times.into(), offs: offs.into() };
        let devices = self.devices.into_par_iter().map(device).filter(|device| device.edge_count() > 0).collect();
        let readings = in_order(devices);
        self.summary.counts.accepted = readings.len() as u64;
        self.summary.counts.duplicates = (number - readings.len()) as u64;
        Collected { readings, summary: self.summary, without_motion }
    }
}

impl Sink for Collector<'_> {
    type Error = ReadError;

    fn file(&self) -> &str {
        &self.summary.file
    }

    fn device(&mut self, cell: &[u8]) -> Result<usize, Problem> {
        let cell = field::trim(cell);
        if let Some(&device) = self.names.get(cell) {
            return Ok(device);
        }
        let name = field::name(cell)?.to_owned();
        self.names.insert(cell.into(), self.devices.len());
        self.devices.push(Device { name, times: Vec::new(), offs: Vec::new(), quiet: false });
        Ok(self.devices.len() - 1)
    }

    fn until(&self) -> Option<Timestamp> {
        self.options.until
    }

    fn leave_out(&mut self) {
        self.summary.counts.rows += 1;
        self.summary.counts.after_until += 1;
    }

    fn accept(&mut self, time: Timestamp, device: usize, motion: bool) -> Result<(), ReadError> {
        if self.options.until.is_some_and(|until| time >= until) {
            self.leave_out();
            return Ok(());
        }
        let counts = &mut self.summary.counts;
        counts.rows += 1;
        self.summary.heard = self.summary.heard.max(Some(time));
        let device = &mut self.devices[device];
        if !motion {
            counts.no_motion += 1;
            device.offs.push(time);
            return Ok(());
        }
        if device.times.last().is_some_and(|&before| time < before) {
            counts.out_of_order += 1;
        }
        device.times.push(time);
        Ok(())
    }

    fn quiet(&mut self, time: Timestamp, device: usize) -> Result<(), ReadError> {
        self.summary.counts.rows += 1;
        self.summary.counts.no_motion += 1;
        self.summary.heard = self.summary.heard.max(Some(time));
        self.devices[device].quiet = true;
        Ok(())
    }

    fn taken(&mut self, remark: &str) {
        self.summary.taken = match self.summary.taken.take() {
            None => Some(remark.to_owned()),
            Some(before) => Some(format!("{before}; {remark}")),
        };
    }

    /// Returns [`ReadError::BadRow`] unless bad rows are to be skipped.
    fn refuse(&mut self, line: u64, problem: Problem, _: impl FnOnce() -> String) -> Result<(), ReadError> {
        let refusal = Refusal::new(&self.summary.file, line, problem);
        if !self.options.skip_bad_rows {
            return Err(ReadError::BadRow(Box::new(refusal)));
        }
        self.summary.refuse(refusal);
        Ok(())
    }
}
