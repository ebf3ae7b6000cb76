//! Raw sensor events: reading, validation row by row, and cleaning.
//!
//! A reading says that one motion sensor fired at one instant. Nothing is recorded while nobody moves, so an hour
//! without readings is vacant or unobserved; [`crate::hourly`] distinguishes the two.

mod active_period;
mod file;
pub mod names;
mod order;
mod profile;
pub mod silent_days;
mod times;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::calendar::Timestamp;

pub use file::{Collected, Counts, FileRow, FileSummary, MAX_REFUSALS, ReadError, ReadOptions, ReadSummary, Refusal};
pub use file::{FRAME, Stray, apart, field, read, read_arrow, read_with, rows, write_parquet};
pub use order::in_order;
pub use profile::{DeviceProfile, Profile, profile};
pub use times::Times;

/// The motion of every device of a site, ordered by device name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// One entry per device, in ascending order of name, each name once.
    pub devices: Vec<DeviceReadings>,
}

/// The motion that one device recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReadings {
    /// The device's name as in the input.
    pub device: String,
    /// Instants (seconds) at which the sensor fired: strictly ascending.
    pub times: Times,
}

impl Readings {
    /// Returns the readings before `origin`. Devices without any are left out.
    pub fn before(&self, origin: Timestamp) -> Readings {
        let devices = self.devices.iter().filter_map(|d| {
            let times = d.times.before(origin);
            (!times.is_empty()).then(|| DeviceReadings { device: d.device.clone(), times })
        });
        Readings { devices: devices.collect() }
    }

    /// Returns the readings at `from` or later. Devices without any are left out.
    pub fn since(&self, from: Timestamp) -> Readings {
        let devices = self.devices.iter().filter_map(|d| {
            let times = d.times.since(from);
            (!times.is_empty()).then(|| DeviceReadings { device: d.device.clone(), times })
        });
        Readings { devices: devices.collect() }
    }

    /// Returns these readings and others together, each once.
    pub fn merged(self, more: Readings) -> Readings {
        order::merge(vec![self, more]).0
    }

    /// Returns these readings with more of some devices. The times of other devices are shared.
    pub fn extended(&self, more: &[DeviceReadings]) -> Readings {
        let mut devices = self.devices.clone();
        for new in more.iter().filter(|new| !new.times.is_empty()) {
            match devices.binary_search_by(|d| d.device.cmp(&new.device)) {
                Ok(at) => {
                    let times = &mut devices[at].times;
                    let in_order = times.last() < new.times.first();
                    times.extend(&new.times);
                    if !in_order {
                        times.sort();
                        times.dedup();
                    }
                }
                Err(at) => devices.insert(at, new.clone()),
            }
        }
        Readings { devices }
    }

    /// Returns the first and last instant over all devices, if there is any reading.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.devices.iter().filter_map(|d| d.times.first()).min()?;
        let last = self.devices.iter().filter_map(|d| d.times.last()).max()?;
        Some((*first, *last))
    }

    /// Returns the number of readings over all devices.
    pub fn len(&self) -> usize {
        self.devices.iter().map(|d| d.times.len()).sum()
    }

    /// Returns whether there are no readings.
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
    /// Returns the SHA-256 of the length of the name in bytes, the name, the number of times and the times. All numbers
    /// are 64-bit little-endian.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(16 + self.device.len() + 8 * self.times.len());
        bytes.extend((self.device.len() as u64).to_le_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend((self.times.len() as u64).to_le_bytes());
        bytes.extend(self.times.iter().flat_map(|time| time.to_le_bytes()));
        Sha256::digest(&bytes).into()
    }
}

/// Returns [`Readings::fingerprint`] of devices with these fingerprints, in ascending order of name.
pub fn fingerprint(devices: &[[u8; 32]]) -> String {
    hex::encode(Sha256::digest(devices.as_flattened()))
}
