//! The series of a level from those of sensors.
//!
//! A sensor's edges are first resolved to instants of motion, by the one rule of [`DeviceReadings::presence`] and with the
//! sensor's own cap. A room's series is the union of these instants: it is occupied in exactly the hours in which one of its
//! sensors is. What is known of a sensor at an origin is the beginning of what is known later, so the same holds of the
//! union, whichever of the two is made first.
//!
//! A series of one sensor that is there throughout keeps the sensor's edges as they are.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Level, Rooms};
use crate::calendar::{Calendar, Timestamp};
use crate::readings::{DeviceReadings, Readings, Times};

/// A sensor's part in a series.
struct Part<'a> {
    sensor: &'a DeviceReadings,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Rooms {
    /// Returns the series of a level from all readings of sensors, up to the end of the hour of the last one.
    pub fn all_readings(&self, sensors: &Readings, level: Level, calendar: &Calendar) -> Readings {
        let last = sensors.devices.iter().filter_map(DeviceReadings::last).max();
        let end = last.map_or(Timestamp::MAX, |last| calendar.start(calendar.hour(last) + 1));
        self.readings(sensors, level, calendar, end)
    }

    /// Returns the series of a level from readings of sensors, as known at `origin`: only readings before it count.
    /// [`Timestamp::MAX`] is an origin after all of them; the series may then have motion after the last reading, until the
    /// cap of an interval that has no end yet. A series without motion is left out.
    ///
    /// A sensor that is not in the table is its own room, or counts in the room of the table that has its name. Its own room
    /// is on no floor, and in a building only where the table names none. Readings of a sensor of the table outside its periods count nowhere.
    pub fn readings(&self, sensors: &Readings, level: Level, calendar: &Calendar, origin: Timestamp) -> Readings {
        let mut series: BTreeMap<&str, Vec<Part<'_>>> = BTreeMap::new();
        for sensor in &sensors.devices {
            let places: Vec<(&str, _, _)> = match self.rows_of(&sensor.device) {
                [] => vec![(&sensor.device, None, None)],
                rows => rows.iter().map(|row| (row.room.as_str(), row.from, row.to)).collect(),
            };
            for (room, from, to) in places {
                if let Some(name) = self.name_at(room, level) {
                    series.entry(name).or_default().push(Part { sensor, from, to });
                }
            }
        }
        let series: Vec<_> = series.into_iter().collect();
        let made = series.par_iter().map(|(name, parts)| united(name, parts, calendar, origin));
        Readings { devices: made.filter(|series| !series.times.is_empty()).collect() }
    }
}

/// Returns the series of some sensors.
fn united(name: &str, parts: &[Part<'_>], calendar: &Calendar, origin: Timestamp) -> DeviceReadings {
    if let [Part { sensor, from: None, to: None }] = parts {
        return DeviceReadings { device: name.to_owned(), ..sensor.before(origin) };
    }
    let mut all: Vec<Timestamp> = Vec::new();
    for part in parts {
        let times = part.sensor.presence(calendar, origin).times;
        let times = part.from.map_or(times.clone(), |from| times.since(from));
        all.extend(part.to.map_or(times.clone(), |to| times.before(to)).iter());
    }
    // The stable sort merges the runs, each of which is in order.
    all.sort();
    all.dedup();
    DeviceReadings { device: name.to_owned(), times: all.into(), offs: Times::default() }
}
