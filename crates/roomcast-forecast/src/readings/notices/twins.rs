//! Devices with the same readings, or nearly: one sensor under two names, or two in one room.
//!
//! Two devices are twins when they differ in at most a tenth of the hours in which two rooms of the same habits would.
//! Rooms that are used in the same hours every day show nothing, and are not called twins. Nor are two sensors that the
//! table of rooms has in one room in these weeks.
//!
//! Not all pairs are compared, which ten thousand devices would make fifty million. Devices are gathered by parts of a
//! minimum hash of their occupied hours, which the same hours share and like ones mostly do.

use std::collections::HashMap;

use rayon::prelude::*;

use super::faults::{Grid, date};
use super::{Kind, Notice};
use crate::readings::{DeviceReadings, Readings};
use crate::rooms::Rooms;

/// Days up to the end of the readings that are compared.
const DAYS: usize = 28;
/// Fewest hours in which two rooms of the same habits would have to differ.
const LEAST_EXPECTED: f64 = 20.0;
/// Largest share of these in which twins may differ.
const MAX_DIFFERENCE: f64 = 0.1;
/// Hours with a reading from which a day says that a sensor is stuck, not that somebody was there.
const STUCK_HOURS: usize = 23;
/// Parts of the minimum hash, and hashes in each: hours of which nine tenths are the same share a part in 9,999 of
/// 10,000 cases.
const PARTS: usize = 12;
const HASHES: usize = 3;
/// Most devices of one part that another is compared with.
const MAX_COMPARED: usize = 4;

const ADVICE: &str = "if this is one sensor under two names, or two in one room, keep one of them: the others count its room \
                      again in the rates of the site";

/// The hours of one device in the window.
struct Hours {
    /// Position of the first hour since its first reading.
    since: usize,
    /// Positions of occupied hours, ascending, without days on which it was stuck.
    occupied: Vec<u32>,
    /// Share of occupied hours by hour of the local day, workdays first, then days off.
    share: [[f64; 24]; 2],
}

/// Returns the groups of twins.
pub(super) fn find(readings: &Readings, rooms: &Rooms, grid: &Grid) -> Vec<Notice> {
    let begin = grid.hours.len().saturating_sub(24 * DAYS);
    let hours: Vec<Hours> = readings.devices.par_iter().map(|device| Hours::new(device, grid, begin)).collect();
    let hashes: Vec<[u64; PARTS]> = hours.par_iter().map(|hours| parts(&hours.occupied)).collect();
    let name = |device: usize| readings.devices[device].device.as_str();
    let share_room = |a: usize, b: usize| rooms.share_room(name(a), name(b), grid.instant(begin));
    let mut seen: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
    // The first device of each group, by device.
    let mut group: Vec<usize> = (0..hours.len()).collect();
    for (device, hashes) in hashes.iter().enumerate() {
        if (hours[device].occupied.len() as f64) < LEAST_EXPECTED / 2.0 {
            continue;
        }
        for key in hashes.iter().copied().enumerate() {
            let others = seen.entry(key).or_default();
            let is_like = |&&other: &&usize| {
                group[device] == device
                    && are_twins(&hours[device], &hours[other], grid)
                    && !share_room(device, other)
                    && !share_room(device, group[other])
            };
            let like = others.iter().find(is_like);
            match like {
                Some(&other) => group[device] = group[other],
                None if others.len() < MAX_COMPARED && !others.contains(&group[device]) => others.push(device),
                None => {}
            }
        }
    }
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    group.iter().enumerate().for_each(|(device, &first)| groups.entry(first).or_default().push(device));
    let twins = groups.into_values().filter(|devices| devices.len() > 1);
    twins.filter_map(|devices| notice(&devices, &hours, readings, grid)).collect()
}

fn notice(devices: &[usize], hours: &[Hours], readings: &Readings, grid: &Grid) -> Option<Notice> {
    let all = || devices.iter().flat_map(|&device| hours[device].occupied.iter().copied());
    let day = |position: u32| date(grid.hours[position as usize].0);
    let (first, others) = devices.split_first()?;
    let same = others.iter().map(|&other| difference(&hours[*first], &hours[other]).1).fold(1.0, f64::min);
    Some(Notice {
        kind: Kind::Twins,
        devices: devices.iter().map(|&device| readings.devices[device].device.clone()).collect(),
        from: day(all().min()?),
        to: day(all().max()?),
        finding: format!("have {:.0} % of their hours with readings in common", 100.0 * same),
        advice: ADVICE,
    })
}

impl Hours {
    fn new(device: &DeviceReadings, grid: &Grid, begin: usize) -> Hours {
        let mut occupied: Vec<u32> = Vec::new();
        for time in device.times.iter_from(grid.instant(begin)) {
            let position = grid.position(time) as u32;
            if occupied.last() != Some(&position) {
                occupied.push(position);
            }
        }
        let day = |position: &u32| grid.hours[*position as usize].0;
        let days = occupied.chunk_by(|a, b| day(a) == day(b)).filter(|hours| hours.len() < STUCK_HOURS);
        let occupied: Vec<u32> = days.flatten().copied().collect();
        let since = device.times.first().map_or(begin, |first| grid.position(first)).max(begin);
        let (mut share, mut all) = ([[0.0; 24]; 2], [[0.0; 24]; 2]);
        for &(_, hour, off) in &grid.hours[since..] {
            all[usize::from(off)][usize::from(hour)] += 1.0;
        }
        for &position in &occupied {
            let (_, hour, off) = grid.hours[position as usize];
            share[usize::from(off)][usize::from(hour)] += 1.0 / all[usize::from(off)][usize::from(hour)];
        }
        Hours { since, occupied, share }
    }

    /// Returns the occupied hours from a position on.
    fn from(&self, since: usize) -> &[u32] {
        &self.occupied[self.occupied.partition_point(|&position| (position as usize) < since)..]
    }
}

/// Returns the smallest hash of each part over some hours.
fn parts(hours: &[u32]) -> [u64; PARTS] {
    // The finalizer of splitmix64.
    let mix = |mut n: u64| {
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    };
    let smallest = |seed: u64| hours.iter().map(|&hour| mix(u64::from(hour) << 16 | seed)).min().unwrap_or(0);
    std::array::from_fn(|part| (0..HASHES).fold(0, |key, hash| mix(key ^ smallest((part * HASHES + hash) as u64))))
}

/// Returns the number of hours that one device has and the other has not, and the share of common ones.
fn difference(a: &Hours, b: &Hours) -> (f64, f64) {
    let since = a.since.max(b.since);
    let (a, b) = (a.from(since), b.from(since));
    let common = a.iter().filter(|position| b.binary_search(position).is_ok()).count();
    let all = a.len() + b.len() - common;
    ((all - common) as f64, common as f64 / all.max(1) as f64)
}

fn are_twins(a: &Hours, b: &Hours, grid: &Grid) -> bool {
    let expected: f64 = grid.hours[a.since.max(b.since)..]
        .iter()
        .map(|&(_, hour, off)| {
            let [a, b] = [a, b].map(|hours| hours.share[usize::from(off)][usize::from(hour)]);
            a * (1.0 - b) + b * (1.0 - a)
        })
        .sum();
    expected >= LEAST_EXPECTED && difference(a, b).0 <= MAX_DIFFERENCE * expected
}
