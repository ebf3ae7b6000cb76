//! The series of a level from those of sensors.
//!
//! A sensor's edges are first resolved to instants of motion, by the one rule of [`DeviceReadings::presence`] and with the
//! sensor's own cap. A room's series is the union of these instants: it is occupied in exactly the hours in which one of its
//! sensors is. What is known of a sensor at an origin is the beginning of what is known later, so the same holds of the
//! union, whichever of the two is made first.
//!
//! A sensor that is stuck on says nothing about a series in which another sensor works: its motion is left out from then on, as
//! long as the other one was heard lately and is not on without a pause itself. Without another one the series is stuck, too.
//!
//! A series of one sensor that is there throughout keeps the sensor's edges as they are.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Level, Rooms};
use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::readings::habit::stuck_hours;
use crate::readings::{DeviceReadings, Readings, Times};

/// Time without motion after which a sensor no longer speaks for a series in which another one is stuck.
const WORKING_WINDOW: i64 = 28 * 24 * HOUR;

/// Hours in a row with motion after which a sensor does not speak for such a series: it may be stuck itself.
const PAUSE_WINDOW: Hour = 24;

/// A sensor's part in a series.
struct Part<'a> {
    sensor: &'a DeviceReadings,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// The motion of a sensor in a series.
struct Motion {
    /// Instants in the period in which the sensor counts, ascending.
    times: Times,
    /// The end of that period.
    to: Option<Timestamp>,
    /// Hours in which the sensor is stuck, ascending.
    stuck: Vec<Hour>,
}

impl Motion {
    fn of(part: &Part<'_>, calendar: &Calendar, origin: Timestamp) -> Motion {
        let times = part.sensor.presence(calendar, origin).times;
        let stuck = stuck_hours(&times, calendar);
        let times = part.from.map_or(times.clone(), |from| times.since(from));
        Motion { times: part.to.map_or(times.clone(), |to| times.before(to)), to: part.to, stuck }
    }

    /// Returns whether the sensor is known to work at the beginning of an hour: it has moved lately, and not in each of the
    /// last hours. What happens in the hour or after it changes nothing.
    fn works(&self, hour: Hour, calendar: &Calendar) -> bool {
        let begin = calendar.start(hour);
        if self.to.is_some_and(|to| to <= begin) {
            return false;
        }
        let lately = self.times.iter_from(begin - i64::from(PAUSE_WINDOW) * HOUR).take_while(|&time| time < begin);
        let mut moved: Vec<Hour> = lately.map(|time| calendar.hour(time)).collect();
        moved.dedup();
        let is_heard = self.times.last_before(begin).is_some_and(|last| begin - last < WORKING_WINDOW);
        is_heard && moved.len() < PAUSE_WINDOW as usize
    }
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
    let motions: Vec<Motion> = parts.iter().map(|part| Motion::of(part, calendar, origin)).collect();
    let mut all: Vec<Timestamp> = Vec::new();
    for (at, motion) in motions.iter().enumerate() {
        if motion.stuck.is_empty() {
            all.extend(&motion.times);
            continue;
        }
        let others = || motions.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, other)| other);
        let is_left_out =
            |hour| motion.stuck.binary_search(&hour).is_ok() && others().any(|other| other.works(hour, calendar));
        let mut last = None;
        for time in &motion.times {
            let hour = calendar.hour(time);
            let (_, left_out) =
                *last.insert(last.filter(|(of, _)| *of == hour).unwrap_or_else(|| (hour, is_left_out(hour))));
            if !left_out {
                all.push(time);
            }
        }
    }
    DeviceReadings { device: name.to_owned(), times: all.into(), offs: Times::default() }
}

#[cfg(test)]
mod tests;
