//! Readings in order: devices by name, times ascending, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;

use super::{DeviceReadings, Readings, Times};

/// Sorts devices by name and times by time, and drops duplicate times. Returns the number of duplicate motions.
pub fn in_order(mut devices: Vec<DeviceReadings>) -> (Readings, u64) {
    devices.sort_unstable_by(|a, b| a.device.cmp(&b.device));
    let duplicates = devices.par_iter_mut().map(|device| {
        sort(&mut device.offs);
        sort(&mut device.times)
    });
    let duplicates = duplicates.sum();
    (Readings { devices }, duplicates)
}

/// Sorts times and drops duplicates. Returns the number dropped.
fn sort(times: &mut Times) -> u64 {
    if !times.is_sorted() {
        // The stable sort finds the runs of a nearly ordered file and merges them.
        times.sort();
    }
    let before = times.len();
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        times.dedup();
    }
    (before - times.len()) as u64
}

/// Merges readings. Returns them with the number of motions that were there more than once.
pub(super) fn merge(mut parts: Vec<Readings>) -> (Readings, u64) {
    if parts.len() < 2 {
        return (parts.pop().unwrap_or_default(), 0);
    }
    let mut all: HashMap<String, DeviceReadings> = HashMap::new();
    for device in parts.into_iter().flat_map(|part| part.devices) {
        match all.entry(device.device.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(device)),
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.times.extend(&device.times);
                known.offs.extend(&device.offs);
            }
        }
    }
    in_order(all.into_values().collect())
}
