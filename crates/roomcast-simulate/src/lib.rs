//! A seeded building that makes motion-sensor readings at any scale.
//!
//! People, meetings and visits occupy rooms; sensors notice some of the movement; faults spoil some of the reports.
//! Every number follows from the seed, the device and the date. A device's habits therefore depend neither on the
//! number of threads or devices nor on the span asked for. Only faults are laid over the span, so that each span has
//! its share of them.
//!
//! Time is local wall time without a zone: days have 24 hours.

mod building;
mod chance;
mod faults;
mod sensor;
mod write;

use chrono::{Datelike, NaiveDate};
use rayon::prelude::*;

use chance::{Purpose, between, chance, dice};
use faults::Faults;
use building::room::Room;
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::{DeviceReadings, Readings};
use sensor::{DAY, Presence, Sensor};
use building::site::{FLOOR_ROOMS, day_number, floor_level, site_day};
pub use write::{Format, Summary, WriteError, write};

/// A building of simulated rooms, one motion sensor in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Building {
    /// The seed that every number follows from.
    pub seed: u64,
    /// Number of devices, at most 2³⁰.
    pub devices: usize,
    /// First day.
    pub from: NaiveDate,
    /// Last day, inclusive; no days if it is before the first.
    pub to: NaiveDate,
    /// Use of rooms. At 1, an average room is occupied in about a fifth of all hours and its sensor fires about 20
    /// times a day, weekends included.
    pub density: f64,
    /// Share of devices with faults, 0 to 1.
    pub faults: f64,
    /// Share of readings that are written twice, 0 to 1.
    pub duplicates: f64,
    /// Share of readings written up to five minutes after their place, 0 to 1.
    pub disorder: f64,
}

/// The readings of one day of a [`Building`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The date.
    pub date: NaiveDate,
    /// Hours in which somebody was in the room for at least 20 seconds, whatever the sensor saw: a bit set per device,
    /// lowest bit midnight to one.
    pub occupied: Vec<u32>,
    /// Hours with at least one reading, in the same form.
    pub observed: Vec<u32>,
    rows: Vec<u64>,
}

/// One reading of a [`Day`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Second of the day, 0 to 86,399.
    pub second: u32,
    /// Index of the device, from 0.
    pub device: u32,
}

/// Number of bits of a packed row that hold the second of the day.
const SECOND_BITS: u32 = 17;

/// Number of bits of a packed row, above the second, that hold the device.
const DEVICE_BITS: u32 = 30;

impl Day {
    /// Returns the day's readings in the order of writing: by time, then device, apart from those that
    /// [`Building::disorder`] displaces.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row> + '_ {
        self.rows.iter().map(|row| Row {
            second: (row & ((1 << SECOND_BITS) - 1)) as u32,
            device: (row >> SECOND_BITS & ((1 << DEVICE_BITS) - 1)) as u32,
        })
    }

    /// Returns the day's midnight on the wall clock, in seconds from 1970-01-01.
    pub fn midnight(&self) -> Timestamp {
        Timestamp::from(day_number(self.date)) * Timestamp::from(DAY)
    }
}

/// A device with its room, its sensor and its faults.
struct Device {
    id: u64,
    room: Room,
    sensor: Sensor,
    faults: Faults,
}

impl Building {
    /// Returns a building with density 1, a tenth of its devices faulty, one reading in two hundred written twice, and
    /// no disorder.
    pub fn new(seed: u64, devices: usize, from: NaiveDate, to: NaiveDate) -> Self {
        Self { seed, devices, from, to, density: 1.0, faults: 0.1, duplicates: 0.005, disorder: 0.0 }
    }

    /// Returns the names of the devices, ascending: `device_1` to `device_9`, or in larger buildings, with floors of
    /// 50, names like `floor_03/room_0127`.
    pub fn names(&self) -> Vec<String> {
        if self.devices <= 9 {
            return (1..=self.devices).map(|i| format!("device_{i}")).collect();
        }
        let digits = |n: usize| n.to_string().len();
        let floor = digits(self.devices.div_ceil(FLOOR_ROOMS)).max(2);
        let room = digits(self.devices).max(4);
        (0..self.devices).map(|i| format!("floor_{:0floor$}/room_{:0room$}", i / FLOOR_ROOMS + 1, i + 1)).collect()
    }

    /// Returns the readings, one day after the other. Only one day at a time is in memory.
    ///
    /// The devices of a day are made in parallel on rayon's current thread pool.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        let devices = self.fit_out();
        self.from.iter_days().take_while(|date| *date <= self.to).map(move |date| self.day(&devices, date))
    }

    /// Returns all readings at once, in ascending order, without duplicates or devices that never fired.
    pub fn readings(&self) -> Readings {
        let mut times = vec![Vec::new(); self.devices];
        for day in self.days() {
            let midnight = day.midnight();
            for row in day.rows() {
                times[row.device as usize].push(midnight + Timestamp::from(row.second));
            }
        }
        let devices = self.names().into_par_iter().zip(times).filter_map(|(device, mut times)| {
            times.sort_unstable();
            times.dedup();
            (!times.is_empty()).then_some(DeviceReadings { device, times: times.into() })
        });
        Readings { devices: devices.collect() }
    }

    /// Draws every device's room, sensor and faults.
    fn fit_out(&self) -> Vec<Device> {
        let (first, last) = (day_number(self.from), day_number(self.to));
        let instant = |day: i32| Timestamp::from(day) * Timestamp::from(DAY);
        let device = |id| Device {
            id,
            room: Room::draw(self.seed, self.density, id, first, last),
            sensor: Sensor::of(self.seed, id),
            faults: Faults::draw(self.seed, self.faults, id, instant(first), instant(last + 1)),
        };
        (0..self.devices as u64).into_par_iter().map(device).collect()
    }

    fn day(&self, devices: &[Device], date: NaiveDate) -> Day {
        let site = site_day(self.seed, date);
        // Whole floors are made together because they share a level.
        let floors = devices.par_chunks(FLOOR_ROOMS).enumerate().map(|(floor, devices)| {
            let level = floor_level(self.seed, floor, &site);
            let mut part = Day { date, occupied: Vec::new(), observed: Vec::new(), rows: Vec::new() };
            let (mut presences, mut edges, mut fires) = (Vec::new(), Vec::new(), Vec::new());
            for device in devices {
                presences.clear();
                fires.clear();
                let (id, when) = (device.id, i64::from(site.day));
                device.room.spend_day(
                    self.seed,
                    &site,
                    level,
                    &mut dice(self.seed, Purpose::Day, id, when),
                    &mut presences,
                );
                let firing = &mut dice(self.seed, Purpose::Firing, id, when);
                device.sensor.fire(&presences, firing, &mut edges, &mut fires);
                device.faults.apply(part.midnight(), firing, &mut fires);
                part.occupied.push(hours_occupied(&presences));
                part.observed.push(fires.iter().fold(0, |hours, second| hours | 1 << (second / 3600)));
                self.deliver(id, when, &fires, &mut part.rows);
            }
            part
        });
        let mut day = Day { date, occupied: Vec::new(), observed: Vec::new(), rows: Vec::new() };
        for part in floors.collect::<Vec<_>>() {
            day.occupied.extend(part.occupied);
            day.observed.extend(part.observed);
            day.rows.extend(part.rows);
        }
        day.rows.par_sort_unstable();
        day
    }

    /// Appends a device's readings of a day as packed rows that sort into the order of writing.
    fn deliver(&self, device: u64, day: i64, fires: &[u32], rows: &mut Vec<u64>) {
        let dice = &mut dice(self.seed, Purpose::Delivery, device, day);
        for &second in fires {
            let copies = if chance(dice, self.duplicates) { 2 } else { 1 };
            for _ in 0..copies {
                let late = if chance(dice, self.disorder) { between(dice, 1.0, 300.0) as u32 } else { 0 };
                let place = u64::from((second + late).min(DAY - 1));
                rows.push(place << (SECOND_BITS + DEVICE_BITS) | device << SECOND_BITS | u64::from(second));
            }
        }
    }
}

/// Returns the hours of the day with at least 20 seconds of presence at a stretch, as a bit set.
fn hours_occupied(presences: &[Presence]) -> u32 {
    let mut hours = 0;
    for presence in presences {
        for hour in presence.from / 3600..=(presence.to - 1).min(DAY - 1) / 3600 {
            let inside = presence.to.min((hour + 1) * 3600) - presence.from.max(hour * 3600);
            hours |= u32::from(inside >= 20) << hour;
        }
    }
    hours
}

/// Returns whether a date lies in 1971 to 2200, the years whose hours fit their type everywhere in Roomcast.
pub fn is_in_range(date: NaiveDate) -> bool {
    (1971..=2200).contains(&date.year())
}

#[cfg(test)]
mod tests;
