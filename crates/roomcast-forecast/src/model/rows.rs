//! The rows of the past that a model learns from.

use crate::calendar::{HOUR, Hour};
use crate::features::Row;
use crate::hourly::{HORIZON, Hourly, State};

/// Hours from a device's first reading that are not learned from: its prior is mostly the building's until then.
const WARM_UP_HOURS: Hour = 72;

/// A row to learn from, with its label.
#[derive(Debug, Clone, Copy)]
pub struct Labelled {
    /// The row.
    pub row: Row,
    /// True when the target hour was occupied.
    pub occupied: bool,
}

/// Returns one row per observed hour of a device, each with an origin at most a day earlier. Half the origins are at
/// midnight, as most forecasts are; the others are at any time of day, with short leads more often.
///
/// The choice depends only on the device's name and the hour, so equal histories give equal rows.
pub fn rows(hourly: &Hourly, device: usize) -> Vec<Labelled> {
    rows_of(hourly, device, |_| true)
}

/// Returns the part of [`rows`] whose hours are chosen.
pub fn rows_of(hourly: &Hourly, device: usize, chosen: impl Fn(Hour) -> bool) -> Vec<Labelled> {
    let hours = &hourly.devices[device];
    let seed = seed(&hours.device);
    let observed = (hours.first..)
        .zip(hours.states.iter())
        .skip(WARM_UP_HOURS as usize)
        .filter(|(_, state)| state.value().is_some());
    let labelled = observed.filter(|&(hour, _)| chosen(hour)).map(|(hour, state)| {
        let dice = hash(seed ^ hour as u64);
        let local = hourly.local(hour).hour;
        let (lead, passed) = match dice % 4 {
            0 | 1 => (local + 1, 0),
            2 => (1 + (dice >> 8) as u8 % 4, (dice >> 16) as i64 % (HOUR - 60)),
            _ => (1 + (dice >> 8) as u8 % HORIZON as u8, 0),
        };
        // The first whole hour at or after the origin has lead 1.
        let start = hourly.start + i64::from(hour - hourly.first) * HOUR;
        let origin = start - i64::from(lead - 1) * HOUR - if passed > 0 { HOUR - passed } else { 0 };
        Labelled { row: Row { hour, lead, origin }, occupied: *state == State::Occupied }
    });
    let mut rows = Vec::with_capacity(hours.states.len());
    rows.extend(labelled);
    rows
}

/// Returns the seed of the choices about a device: a hash of its name.
pub fn seed(device: &str) -> u64 {
    hash(device.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| hash(h ^ u64::from(b))))
}

/// Mixes bits (splitmix64's finaliser: D. Lea, G. Steele and S. Vigna, 2014).
pub fn hash(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
