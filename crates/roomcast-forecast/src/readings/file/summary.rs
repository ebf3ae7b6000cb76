//! Summary of reading an input: counts per file, and the refused rows.

use std::fmt;

use serde::Serialize;

use super::error::Refusal;
use crate::calendar::{Calendar, Timestamp};
use crate::readings::DeviceReadings;

/// Most refused rows of one file that are kept in full. The rest are only counted.
pub const MAX_REFUSALS: usize = 20;

/// Rows that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The first of them.
    pub first: Refusal,
    /// Number of these rows.
    pub rows: u64,
}

/// Counts of an input's rows.
///
/// Every row counts in one place only: `rows = accepted + duplicates + no_motion + after_until + refused`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows below the header; blank lines are not rows.
    pub rows: u64,
    /// Readings that were kept.
    pub accepted: u64,
    /// Motion of a device in a second that was already there.
    pub duplicates: u64,
    /// Rows that report "no motion": the device is alive, and nobody is there any more.
    pub no_motion: u64,
    /// Valid rows at or after [`super::ReadOptions::until`].
    pub after_until: u64,
    /// Invalid rows.
    pub refused: u64,
    /// Motion that is earlier than the same device's motion before it in the file. These rows are kept, and are among
    /// `accepted` or `duplicates`.
    pub out_of_order: u64,
}

/// Summary of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileSummary {
    /// The file as it was named, `-` for standard input.
    pub file: String,
    /// Counts of the file's rows.
    #[serde(flatten)]
    pub counts: Counts,
    /// The first [`MAX_REFUSALS`] refused rows.
    pub refusals: Vec<Refusal>,
    /// The refused rows by reason, the first [`MAX_REFUSALS`] reasons.
    #[serde(skip)]
    pub causes: Vec<Cause>,
    /// The roles that the columns were given, unless they are the contract's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// The latest row of any sensor, motion or none, before [`super::ReadOptions::until`].
    #[serde(skip)]
    pub heard: Option<Timestamp>,
}

impl FileSummary {
    /// Counts a refused row.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.counts.rows += 1;
        self.counts.refused += 1;
        let is_full = self.causes.len() == MAX_REFUSALS;
        match self.causes.iter_mut().find(|cause| cause.first.is_like(&refusal)) {
            Some(cause) => cause.rows += 1,
            None if is_full => {}
            None => self.causes.push(Cause { first: refusal.clone(), rows: 1 }),
        }
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(refusal);
        }
    }
}

/// Readings of a device that are far from those of its site, or ahead of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// The device's name.
    pub device: String,
    /// Number of these readings.
    pub readings: usize,
    /// Time of the first of them, RFC 3339.
    pub first: String,
}

impl Stray {
    /// Describes the readings of devices, in their order.
    pub fn of(devices: &[DeviceReadings], calendar: &Calendar) -> impl Iterator<Item = Stray> {
        let stray = |device: &DeviceReadings| {
            let first = calendar.rfc3339(device.times.first()?);
            Some(Stray { device: device.device.clone(), readings: device.times.len(), first })
        };
        devices.iter().filter_map(stray)
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, readings, first } = self;
        match readings {
            1 => write!(f, "{device}: {first}"),
            more => write!(f, "{device}: {more}, the first {first}"),
        }
    }
}

/// Summary of all files of one [`super::read`]. The counts have the meanings given in [`Counts`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReadSummary {
    /// One entry per file, in the order in which they were named.
    pub files: Vec<FileSummary>,
    /// Rows below the headers.
    pub rows: u64,
    /// Readings that were kept.
    pub accepted: u64,
    /// Motion of a device in a second that was already there, in the same file or another.
    pub duplicates: u64,
    /// Rows that report "no motion".
    pub no_motion: u64,
    /// Valid rows at or after [`super::ReadOptions::until`].
    pub after_until: u64,
    /// Invalid rows; see [`ReadSummary::refusals`].
    pub refused: u64,
    /// Motion that is earlier than the same device's motion before it in the file.
    pub out_of_order: u64,
    /// First and last reading kept, in seconds on the site's time line.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The latest row of any sensor, motion or none: a sign of life.
    #[serde(skip)]
    pub heard: Option<Timestamp>,
    /// Devices with at least one reading kept.
    pub devices: usize,
    /// Readings outside the period in which the site was in use, as of now. They are stored, but not learned from. See
    /// [`Readings::active_period`](crate::readings::Readings::active_period).
    pub set_aside: u64,
    /// The first of these readings by device, at most [`MAX_REFUSALS`] devices.
    pub strays: Vec<Stray>,
    /// Devices that only reported "no motion": alive, never occupied. In order of name.
    pub without_motion: Vec<String>,
}

impl ReadSummary {
    /// Returns the refused rows that were kept, at most [`MAX_REFUSALS`] per file, in the order of the files.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.files.iter().flat_map(|file| &file.refusals)
    }

    /// Returns the counts over all files.
    pub fn counts(&self) -> Counts {
        let &Self { rows, accepted, duplicates, no_motion, after_until, refused, out_of_order, .. } = self;
        Counts { rows, accepted, duplicates, no_motion, after_until, refused, out_of_order }
    }

    /// Records readings outside the period in which the site was in use.
    pub(super) fn set_aside(&mut self, strays: &[DeviceReadings], calendar: &Calendar) {
        self.set_aside = strays.iter().map(|device| device.times.len() as u64).sum();
        self.strays = Stray::of(strays, calendar).take(MAX_REFUSALS).collect();
    }

    /// Adds one file.
    pub(super) fn add(&mut self, file: FileSummary) {
        let Counts { rows, accepted, duplicates, no_motion, after_until, refused, out_of_order } = file.counts;
        self.rows += rows;
        self.accepted += accepted;
        self.duplicates += duplicates;
        self.no_motion += no_motion;
        self.after_until += after_until;
        self.refused += refused;
        self.out_of_order += out_of_order;
        self.heard = self.heard.max(file.heard);
        self.files.push(file);
    }
}
