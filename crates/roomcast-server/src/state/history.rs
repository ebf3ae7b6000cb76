//! The readings of a site, and everything computed from them only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use super::settings::MAX_CLOCK_SKEW;
use crate::problem::{Code, Problem};
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::readings::names::closest;
use roomcast_forecast::readings::{DeviceReadings, Profile, Readings, profile};
use roomcast_forecast::rooms::{Assignment, Level, Rooms};

/// Seconds past the last reading within which a forecast may begin. Beyond, the data of files are history, and the
/// present is their end.
const MAX_FILE_SILENCE: i64 = 48 * HOUR;

/// Seconds without any reading after which the data of a store are history. Unlike a file, a store can receive more
/// readings.
pub(crate) const MAX_STORE_SILENCE: i64 = 30 * 24 * HOUR;

/// Seconds of a step. Forecasts at the present are made for the end of a step, so that they are computed once for all
/// requests in it, and include all readings that have arrived.
const ORIGIN_STEP: i64 = 300;

/// Seconds before the end of an hour at which its last step ends. From then on the hour counts as over.
const LAST_STEP: i64 = 60;

/// The readings, and everything computed from the readings only.
pub struct History {
    /// The series that are forecast: those of rooms, or of a level above them. Without a table of rooms, the readings of
    /// all sensors that have fired. An interval that has no end yet reaches into the time to come; a grid takes what lies
    /// before its origin.
    pub readings: Readings,
    /// All readings of sensors that have fired.
    pub sensors: Readings,
    /// Readings of devices that have not fired yet. They begin to count with the first motion.
    quiet: Readings,
    /// The table of rooms; empty where each sensor is a room.
    pub rooms: Arc<Rooms>,
    /// Number of motions.
    pub count: usize,
    /// First and last instant of the period in which the site was in use, as of the time of reading: see
    /// [`Readings::active_period`].
    pub span: Option<(Timestamp, Timestamp)>,
    /// The latest sign of life of any sensor, or 0; `None` when no more readings can arrive.
    heard: Option<Arc<AtomicI64>>,
    /// The profiles of the series and of the sensors.
    profiles: [OnceLock<Profile>; 2],
}

impl History {
    /// Returns the history of these readings of sensors; `heard` holds the store's latest sign of life.
    pub fn new(sensors: Readings, rooms: Arc<Rooms>, calendar: &Calendar, heard: Option<Arc<AtomicI64>>) -> History {
        let mut history = History::without_series(sensors, rooms, calendar, heard);
        history.readings = history.series(Level::Room, &history.sensors, calendar);
        history
    }

    fn without_series(
        mut sensors: Readings,
        rooms: Arc<Rooms>,
        calendar: &Calendar,
        heard: Option<Arc<AtomicI64>>,
    ) -> History {
        let quiet = sensors.take_quiet();
        let span = sensors.active_period(calendar.now() + MAX_CLOCK_SKEW);
        let (readings, profiles) = (Readings::default(), [OnceLock::new(), OnceLock::new()]);
        History { count: sensors.len(), span, heard, profiles, readings, sensors, quiet, rooms }
    }

    /// Returns the series of a level from readings of sensors, up to the end of their intervals.
    fn series(&self, level: Level, sensors: &Readings, calendar: &Calendar) -> Readings {
        match level {
            Level::Room if self.rooms.is_empty() => sensors.clone(),
            _ => self.rooms.readings(sensors, level, calendar, Timestamp::MAX),
        }
    }

    /// Returns the history of a level above the rooms.
    pub(super) fn at(&self, level: Level, calendar: &Calendar) -> History {
        History {
            readings: self.series(level, &self.sensors, calendar),
            sensors: self.sensors.clone(),
            quiet: Readings::default(),
            rooms: self.rooms.clone(),
            count: self.count,
            span: self.span,
            heard: self.heard.clone(),
            profiles: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// Returns the same readings with another table of rooms.
    pub(crate) fn with_rooms(&self, rooms: Arc<Rooms>, calendar: &Calendar) -> History {
        History::new(self.all(), rooms, calendar, self.heard.clone())
    }

    /// Returns the readings of all sensors, also of those that have never fired.
    pub(crate) fn all(&self) -> Readings {
        self.sensors.extended(&self.quiet.devices)
    }

    /// Returns the number of readings, motions and `off` together, of all sensors.
    pub(crate) fn edge_count(&self) -> usize {
        self.sensors.edge_count() + self.quiet.edge_count()
    }

    /// Returns the latest sign of life of any sensor, if the store has one.
    pub(super) fn heard(&self) -> Option<Timestamp> {
        self.heard.as_ref().map(|heard| heard.load(SeqCst)).filter(|&heard| heard > 0)
    }

    /// Returns the default instant of a forecast. While readings arrive (the last is less than 48 hours old, in a store
    /// 30 days), that is the present, rounded up to five minutes but not into the next hour. Otherwise it is the end of
    /// the hour of the last reading.
    pub fn present(&self, calendar: &Calendar) -> Timestamp {
        let now = calendar.now();
        let ended = if self.heard.is_some() { MAX_STORE_SILENCE } else { MAX_FILE_SILENCE };
        match self.span {
            Some((_, last)) if now - last > ended || last - now > MAX_CLOCK_SKEW => {
                calendar.start(calendar.hour(last) + 1)
            }
            Some((_, last)) => step(now.max(last + 1), calendar),
            None => step(now, calendar),
        }
    }

    /// Returns this history with the readings of sensors that were read since. Only the rooms of these sensors are made
    /// anew.
    pub fn extended(&self, more: &[DeviceReadings], calendar: &Calendar) -> History {
        let (all, rooms) = (self.all().extended(more), self.rooms.clone());
        if rooms.is_empty() {
            return History::new(all, rooms, calendar, self.heard.clone());
        }
        let mut grown = History::without_series(all, rooms, calendar, self.heard.clone());
        let changed: BTreeSet<String> = self.changed(more).into_iter().map(|(room, _)| room).collect();
        let rows = self.rooms.assignments().iter().filter(|row| changed.contains(&row.room));
        // A sensor that is not in the table may have the name of a room.
        let names: BTreeSet<&str> =
            rows.map(|row| row.sensor.as_str()).chain(changed.iter().map(String::as_str)).collect();
        let sensors = grown.sensors.devices.iter().filter(|sensor| names.contains(sensor.device.as_str()));
        let made = grown.series(Level::Room, &Readings { devices: sensors.cloned().collect() }, calendar);
        let mut series: BTreeMap<String, DeviceReadings> =
            self.readings.devices.iter().map(|room| (room.device.clone(), room.clone())).collect();
        // Sensors that were moved are also in rooms of which not all sensors are here.
        let made = made.devices.into_iter().filter(|room| changed.contains(&room.device));
        series.extend(made.map(|room| (room.device.clone(), room)));
        grown.readings = Readings { devices: series.into_values().collect() };
        grown
    }

    /// Returns the names of the series that new readings of sensors change, and the first new reading of each.
    pub(crate) fn changed(&self, more: &[DeviceReadings]) -> Vec<(String, Timestamp)> {
        let mut changed: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for (sensor, first) in more.iter().filter_map(|new| Some((new.device.as_str(), new.first()?))) {
            for name in self.rooms.series_of(sensor, Level::Room) {
                changed.entry(name).and_modify(|known| *known = first.min(*known)).or_insert(first);
            }
        }
        changed.into_iter().map(|(name, first)| (name.to_owned(), first)).collect()
    }

    /// Returns the rooms of which every sensor is among these, in order of name.
    pub(crate) fn rooms_of_all(&self, sensors: &[String]) -> Vec<String> {
        if self.rooms.is_empty() {
            return sensors.to_vec();
        }
        let is_among = |sensor: &str| sensors.iter().any(|name| name == sensor);
        let rooms = sensors.iter().flat_map(|sensor| self.rooms.series_of(sensor, Level::Room));
        let others = |room: &str| self.rooms.assignments().iter().any(|row| row.room == room && !is_among(&row.sensor));
        let rooms: BTreeSet<&str> = rooms.filter(|room| !others(room)).collect();
        rooms.into_iter().map(str::to_owned).collect()
    }

    /// Returns the room in which a sensor is now; `None` where each sensor is a room.
    pub(crate) fn room_of(&self, sensor: &str, now: Timestamp) -> Option<&str> {
        let is_there = |row: &&Assignment| {
            row.sensor == sensor && row.from.is_none_or(|from| from <= now) && row.to.is_none_or(|to| now < to)
        };
        self.rooms.assignments().iter().find(is_there).map(|row| row.room.as_str())
    }

    /// Checks that a forecast can be made at an instant.
    ///
    /// # Errors
    /// Returns [`Code::OutOfRange`] before the first reading or far after the last.
    pub(crate) fn check_origin(&self, origin: Timestamp, calendar: &Calendar) -> Result<(), Problem> {
        let problem = |why: String| Problem::new(Code::OutOfRange, why);
        let Some((first, last)) = self.span else { return Ok(()) };
        let latest = calendar.start(calendar.hour(last) + 1).max(self.present(calendar)) + MAX_FILE_SILENCE;
        if origin <= first {
            let why = format!("{} is before the first reading, {}", calendar.format(origin), calendar.format(first));
            Err(problem(why).hint("choose a later instant"))
        } else if origin > latest {
            let why = format!("{} is long after the last reading, {}", calendar.format(origin), calendar.format(last));
            Err(problem(why).hint(format!("the latest instant is {}", calendar.format(latest))))
        } else {
            Ok(())
        }
    }

    /// Returns the whole days from the first reading to the last.
    pub fn days(&self, calendar: &Calendar) -> Hour {
        self.span.map_or(0, |(first, last)| (calendar.hour(last) + 1 - calendar.hour(first)) / 24)
    }

    /// Returns the profile of the series.
    pub fn profile(&self, calendar: &Calendar) -> &Profile {
        if self.rooms.is_empty() {
            return self.sensor_profile(calendar);
        }
        let known = || self.readings.before(calendar.now() + MAX_CLOCK_SKEW);
        self.profiles[0].get_or_init(|| profile(&known(), calendar))
    }

    /// Returns the profile of the sensors.
    pub fn sensor_profile(&self, calendar: &Calendar) -> &Profile {
        self.profiles[1].get_or_init(|| profile(&self.sensors, calendar))
    }

    /// Returns the position and the readings of a device.
    ///
    /// # Errors
    /// Returns [`Code::UnknownDevice`] for an unknown device, with the closest known name.
    pub fn device(&self, name: &str) -> Result<(usize, &DeviceReadings), Problem> {
        let devices = &self.readings.devices;
        match devices.binary_search_by(|d| d.device.as_str().cmp(name)) {
            Ok(at) => Ok((at, &devices[at])),
            Err(_) => {
                let problem = unknown(name, devices.iter().map(|d| d.device.as_str()));
                let room = self.rooms.series_of(name, Level::Room).into_iter().find(|&room| room != name);
                Err(match room {
                    Some(room) => problem.hint(format!("it is a sensor of the room {room:?}")),
                    None => problem,
                })
            }
        }
    }
}

/// Returns the end of the step that contains an instant.
fn step(instant: Timestamp, calendar: &Calendar) -> Timestamp {
    let start = calendar.start(calendar.hour(instant));
    let (passed, whole) = (instant - start, HOUR - LAST_STEP);
    let end = (passed + ORIGIN_STEP - 1) / ORIGIN_STEP * ORIGIN_STEP;
    start + if passed <= whole { end.min(whole) } else { HOUR }
}

/// Returns the problem of an unknown device.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(Code::UnknownDevice, format!("there are no readings of device {name:?}"));
    // Names are at most 256 bytes, so comparing a longer one with all known names would be useless.
    match (name.len() <= 256).then(|| closest(name, known)).flatten() {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None => problem.hint("GET /devices lists all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_end_every_five_minutes_but_not_in_the_next_hour() {
        let calendar = Calendar::default();
        let at = |text: &str| calendar.parse(text).unwrap();
        for (time, end) in [
            ("2024-03-05 10:00:00", "2024-03-05 10:00:00"),
            ("2024-03-05 10:00:01", "2024-03-05 10:05:00"),
            ("2024-03-05 10:55:00", "2024-03-05 10:55:00"),
            ("2024-03-05 10:55:01", "2024-03-05 10:59:00"),
            ("2024-03-05 10:59:00", "2024-03-05 10:59:00"),
            ("2024-03-05 10:59:01", "2024-03-05 11:00:00"),
        ] {
            assert_eq!(calendar.format(step(at(time), &calendar)), end);
        }
    }
}
