//! Raw sensor events: reading, validation row by row, and cleaning.
//!
//! A reading says that one sensor fired at one instant, or that it said `off`. Nothing is recorded while nobody moves, so
//! an hour without readings is vacant or unobserved; [`crate::hourly`] distinguishes the two. What `on` and `off` together
//! say is the rule of [`DeviceReadings::presence`].

mod active_period;
mod file;
pub(crate) mod habit;
pub mod names;
pub mod notices;
mod order;
mod presence;
mod profile;
pub mod silent_days;
mod times;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::calendar::Timestamp;

pub(crate) use file::each_record;
pub use file::{
    Cause, Collected, Counts, FileRow, FileSummary, MAX_REFUSALS, ReadError, ReadOptions, ReadSummary, Refusal,
};
pub use file::{Columns, Delimiter, Encoding, FRAME, Layout, Records, Stray, TimeForm};
pub use file::{apart, collect, field, files, read, read_arrow, read_with, rows, sheet, write_parquet};
pub use order::in_order;
pub use presence::Presence;
pub use profile::{DeviceProfile, Profile, profile};
pub use times::Times;

/// The motion of every device of a site, ordered by device name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// One entry per device, in ascending order of name, each name once.
    pub devices: Vec<DeviceReadings>,
}

/// The edges that one device recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceReadings {
    /// The device's name as in the input.
    pub device: String,
    /// Instants (seconds) at which the sensor fired.
    pub times: Times,
    /// Instants at which the sensor said that nobody is there. None for a sensor that gives pulses.
    pub offs: Times,
}

impl Readings {
    /// Returns the readings before `origin`. Devices without any are left out.
    pub fn before(&self, origin: Timestamp) -> Readings {
        self.some(|device| device.before(origin))
    }

    /// Returns the readings at `from` or later. Devices without any are left out.
    pub fn since(&self, from: Timestamp) -> Readings {
        self.some(|device| device.since(from))
    }

    fn some(&self, of: impl Fn(&DeviceReadings) -> DeviceReadings) -> Readings {
        Readings { devices: self.devices.iter().map(of).filter(|device| device.edge_count() > 0).collect() }
    }

    /// Removes the devices that never fired, and returns them.
    pub fn take_quiet(&mut self) -> Readings {
        let is_quiet = |device: &mut DeviceReadings| device.times.is_empty();
        Readings { devices: self.devices.extract_if(.., is_quiet).collect() }
    }

    /// Returns these readings and others together, each once.
    pub fn merged(self, more: Readings) -> Readings {
        order::merge(vec![self, more]).0
    }

    /// Returns these readings with more of some devices. The times of other devices are shared.
    pub fn extended(&self, more: &[DeviceReadings]) -> Readings {
        let mut devices = self.devices.clone();
        for new in more.iter().filter(|new| new.edge_count() > 0) {
            match devices.binary_search_by(|d| d.device.cmp(&new.device)) {
                Ok(at) => {
                    devices[at].times.add(&new.times);
                    devices[at].offs.add(&new.offs);
                }
                Err(at) => devices.insert(at, new.clone()),
            }
        }
        Readings { devices }
    }

    /// Returns the first motion and the last reading over all devices, if there is any motion.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.devices.iter().filter_map(|d| d.times.first()).min()?;
        let last = self.devices.iter().filter_map(DeviceReadings::last).max()?;
        Some((first, last))
    }

    /// Returns the number of motions over all devices.
    pub fn len(&self) -> usize {
        self.devices.iter().map(|d| d.times.len()).sum()
    }

    /// Returns the number of edges, motions and `off` together, over all devices.
    pub fn edge_count(&self) -> usize {
        self.devices.iter().map(DeviceReadings::edge_count).sum()
    }

    /// Returns whether there is no motion.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the SHA-256 of the content, in hexadecimal. It is the same for the same readings in any file form. It is
    /// the hash of the devices' [`DeviceReadings::fingerprint`], one after the other.
    pub fn fingerprint(&self) -> String {
        let own: Vec<[u8; 32]> = self.devices.par_iter().map(DeviceReadings::fingerprint).collect();
        fingerprint(&own)
    }
}

impl DeviceReadings {
    /// Returns the device's readings before `origin`.
    pub fn before(&self, origin: Timestamp) -> DeviceReadings {
        let (times, offs) = (self.times.before(origin), self.offs.before(origin));
        DeviceReadings { device: self.device.clone(), times, offs }
    }

    /// Returns the device's readings at `from` or later.
    pub fn since(&self, from: Timestamp) -> DeviceReadings {
        let (times, offs) = (self.times.since(from), self.offs.since(from));
        DeviceReadings { device: self.device.clone(), times, offs }
    }

    /// Returns the number of edges, motions and `off` together.
    pub fn edge_count(&self) -> usize {
        self.times.len() + self.offs.len()
    }

    /// Returns the first edge.
    pub fn first(&self) -> Option<Timestamp> {
        self.times.first().into_iter().chain(self.offs.first()).min()
    }

    /// Returns the last edge.
    pub fn last(&self) -> Option<Timestamp> {
        self.times.last().max(self.offs.last())
    }

    /// Returns the edges in order of time, true for motion; in a second with both, motion first.
    pub fn edges(&self) -> impl Iterator<Item = (Timestamp, bool)> + '_ {
        let (mut ons, mut offs) = (self.times.iter().peekable(), self.offs.iter().peekable());
        std::iter::from_fn(move || match (ons.peek(), offs.peek()) {
            (Some(on), Some(off)) if off < on => offs.next().map(|time| (time, false)),
            (Some(_), _) => ons.next().map(|time| (time, true)),
            (None, _) => offs.next().map(|time| (time, false)),
        })
    }

    /// Returns the SHA-256 of the length of the name in bytes, the name, the number of times and the times; then, of a
    /// device that said `off`, the number of those times and the times. All numbers are 64-bit little-endian.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(24 + self.device.len() + 8 * self.edge_count());
        bytes.extend((self.device.len() as u64).to_le_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend((self.times.len() as u64).to_le_bytes());
        bytes.extend(self.times.iter().flat_map(|time| time.to_le_bytes()));
        if !self.offs.is_empty() {
            bytes.extend((self.offs.len() as u64).to_le_bytes());
            bytes.extend(self.offs.iter().flat_map(|time| time.to_le_bytes()));
        }
        Sha256::digest(&bytes).into()
    }
}

/// Returns [`Readings::fingerprint`] of devices with these fingerprints, in ascending order of name.
pub fn fingerprint(devices: &[[u8; 32]]) -> String {
    hex::encode(Sha256::digest(devices.as_flattened()))
}
