//! Readings in order: devices by name, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{DeviceReadings, Readings};

/// Sorts devices by name.
pub fn in_order(mut devices: Vec<DeviceReadings>) -> Readings {
    devices.sort_unstable_by(|a, b| a.device.cmp(&b.device));
    Readings { devices }
}

/// Merges readings. Returns them with the number of motions that were there more than once.
pub(super) fn merge(mut parts: Vec<Readings>) -> (Readings, u64) {
    if parts.len() < 2 {
        return (parts.pop().unwrap_or_default(), 0);
    }
    let number: usize = parts.iter().map(Readings::len).sum();
    let mut all: HashMap<String, DeviceReadings> = HashMap::new();
    for device in parts.into_iter().flat_map(|part| part.devices) {
        match all.entry(device.device.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(device)),
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.times.add(&device.times);
                known.offs.add(&device.offs);
            }
        }
    }
    let merged = in_order(all.into_values().collect());
    let repeated = (number - merged.len()) as u64;
    (merged, repeated)
}
