//! Conversion of valid rows to [`Readings`]: by device, in order, each second once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use super::error::ReadError;
use super::field::{self, Problem};
use super::sink::Sink;
use super::summary::{Counts, FileSummary, REFUSALS_KEPT, Refusal};
use super::{DeviceReadings, ReadOptions, Readings, Times};
use crate::calendar::Timestamp;

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
    /// True when a row said that it saw no motion.
    quiet: bool,
}

/// The content of one file or of a store.
pub struct Collected {
    pub readings: Readings,
    pub summary: FileSummary,
    /// Devices without a reading that said "no motion".
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

impl<'a> Collector<'a> {
    pub fn new(file: &str, options: &'a ReadOptions) -> Self {
        let summary = FileSummary { file: file.to_owned(), ..FileSummary::default() };
        Self { options, summary, names: HashMap::default(), devices: Vec::new() }
    }

    /// Orders the readings and drops duplicates.
    pub fn finish(mut self) -> Collected {
        let quiet = self.devices.iter().filter(|d| d.quiet && d.times.is_empty());
        let mut without_motion: Vec<String> = quiet.map(|d| d.name.clone()).collect();
        without_motion.sort();
        let devices = self.devices.into_iter().filter(|d| !d.times.is_empty());
        let devices = devices.map(|d| DeviceReadings { device: d.name, times: d.times.into() }).collect();
        let (readings, duplicates) = in_order(devices);
        self.summary.counts.accepted = readings.len() as u64;
        self.summary.counts.duplicates = duplicates;
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
        self.devices.push(Device { name, times: Vec::new(), quiet: false });
        Ok(self.devices.len() - 1)
    }

    fn accept(&mut self, time: Timestamp, device: usize, motion: bool) -> Result<(), ReadError> {
        let counts = &mut self.summary.counts;
        counts.rows += 1;
        if self.options.until.is_some_and(|until| time >= until) {
            counts.after_until += 1;
            return Ok(());
        }
        self.summary.heard = self.summary.heard.max(Some(time));
        let device = &mut self.devices[device];
        if !motion {
            counts.no_motion += 1;
            device.quiet = true;
            return Ok(());
        }
        if device.times.last().is_some_and(|&before| time < before) {
            counts.out_of_order += 1;
        }
        device.times.push(time);
        Ok(())
    }

    /// Returns [`ReadError::BadRow`] unless bad rows are to be skipped.
    fn refuse(&mut self, line: u64, problem: Problem, _: impl FnOnce() -> String) -> Result<(), ReadError> {
        let Problem { column, expected, found } = problem;
        let refusal =
            || Refusal { file: self.summary.file.clone(), line, column, expected: expected.into_owned(), found };
        if !self.options.skip_bad_rows {
            return Err(ReadError::BadRow(Box::new(refusal())));
        }
        if self.summary.refusals.len() < REFUSALS_KEPT {
            let refusal = refusal();
            self.summary.refusals.push(refusal);
        }
        self.summary.counts.rows += 1;
        self.summary.counts.refused += 1;
        Ok(())
    }
}

/// Sorts devices by name and times by time, and drops duplicate times. Returns the number dropped.
pub fn in_order(mut devices: Vec<DeviceReadings>) -> (Readings, u64) {
    devices.sort_unstable_by(|a, b| a.device.cmp(&b.device));
    let duplicates = devices.par_iter_mut().map(|device| {
        let times = &mut device.times;
        if !times.is_sorted() {
            // The stable sort finds the runs of a nearly ordered file and merges them.
            times.sort();
        }
        let before = times.len();
        if times.windows(2).any(|pair| pair[0] == pair[1]) {
            times.dedup();
        }
        (before - times.len()) as u64
    });
    let duplicates = duplicates.sum();
    (Readings { devices }, duplicates)
}

/// Merges the readings of several files. Returns them with the number of those that were in more than one file.
pub fn merge(mut parts: Vec<Readings>) -> (Readings, u64) {
    if parts.len() < 2 {
        return (parts.pop().unwrap_or_default(), 0);
    }
    let mut all: HashMap<String, Times> = HashMap::new();
    for DeviceReadings { device, times } in parts.into_iter().flat_map(|part| part.devices) {
        match all.entry(device) {
            Entry::Vacant(entry) => drop(entry.insert(times)),
            Entry::Occupied(mut entry) => entry.get_mut().extend(times.iter()),
        }
    }
    in_order(all.into_iter().map(|(device, times)| DeviceReadings { device, times }).collect())
}
