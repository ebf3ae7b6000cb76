//! Rooms, floors and buildings: the table of which sensor is where, and the series that follow from it.
//!
//! A *sensor* is what a reading names. A *room* has one or more sensors and is occupied when any of them is. A *floor* is
//! occupied when any of its rooms is, a *building* when any of its floors is. [`Rooms::readings`] turns readings of sensors
//! into those of rooms, floors or buildings; everything downstream takes a series as it takes a device. Each level is
//! forecast by itself, because people come together, and [`coherent`](crate::forecast::coherent) makes the levels agree.
//!
//! Without a table each sensor is its own room, and all of them are one building.

mod error;
mod file;
mod series;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::calendar::{Calendar, Timestamp};
use crate::readings::Readings;

pub use error::{RoomsError, Source};
pub use file::{MAX_ROWS, local_time};

/// The name of the building whose rooms are all those of the site, where the table names no building.
pub const BUILDING: &str = "building";

/// The level of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Each room.
    #[default]
    Room,
    /// Each floor: anyone in any of its rooms.
    Floor,
    /// Each building: anyone in any of its rooms.
    Building,
}

impl Level {
    /// All levels, each below the next.
    pub const ALL: [Level; 3] = [Level::Room, Level::Floor, Level::Building];

    /// Returns the level's name in options, parameters and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Level::Room => "room",
            Level::Floor => "floor",
            Level::Building => "building",
        }
    }

    /// Returns a number of series of the level in words, such as `1 room` or `6 floors`.
    pub fn count(self, number: usize) -> String {
        format!("{number} {self}{}", if number == 1 { "" } else { "s" })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        let found = Level::ALL.into_iter().find(|level| level.name() == text);
        found.ok_or_else(|| format!("expected room, floor or building, found {text:?}"))
    }
}

/// A row of the table: a sensor is in a room from one instant to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The sensor's name in readings.
    pub sensor: String,
    /// The room's name.
    pub room: String,
    /// The floor of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// The building of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<String>,
    /// The first instant at which the sensor is in this room; `None` from its first reading on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first instant at which it is no longer; `None` for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The place of a room, by the names of the series of its floor and its building.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    floor: Option<String>,
    building: Option<String>,
}

/// The table of sensors and rooms. The empty table makes each sensor its own room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rooms {
    /// In order of sensor, then `from`.
    assignments: Vec<Assignment>,
    /// The place of each room of the table.
    places: BTreeMap<String, Place>,
    /// The building of each floor.
    floors: BTreeMap<String, Option<String>>,
    /// True when the table names a building.
    has_buildings: bool,
}

impl Rooms {
    /// Makes a table of its rows, in any order.
    ///
    /// # Errors
    /// [`RoomsError`] that names the rows by position, such as `rooms[0]`, when a name is invalid, a period is empty, a sensor is in two
    /// rooms at a time, or a room is on two floors or in two buildings.
    pub fn new(assignments: Vec<Assignment>) -> Result<Rooms, RoomsError> {
        let rows: Vec<(u64, Assignment)> = (0..).zip(assignments).collect();
        rows.iter().try_for_each(|(at, row)| file::check(*at, row))?;
        Rooms::checked(&Source::List, rows)
    }

    /// Makes a table of rows with their lines in a file, or positions in a list.
    fn checked(table: &Source, mut rows: Vec<(u64, Assignment)>) -> Result<Rooms, RoomsError> {
        if let Some((row, _)) = rows.iter().find(|(_, row)| row.from.zip(row.to).is_some_and(|(from, to)| to <= from)) {
            return Err(RoomsError::Period { table: table.clone(), row: *row });
        }
        let places = places(table, &rows)?;
        rows.sort_by(|(_, a), (_, b)| (&a.sensor, a.from).cmp(&(&b.sensor, b.from)));
        for pair in rows.windows(2) {
            let [(first, a), (second, b)] = pair else { continue };
            let is_over = a.to.zip(b.from).is_some_and(|(to, from)| to <= from);
            if a.sensor == b.sensor && !is_over {
                let rows = (*first.min(second), *first.max(second));
                return Err(RoomsError::Overlap { table: table.clone(), rows, sensor: a.sensor.clone() });
            }
        }
        let mut floors: BTreeMap<String, Option<String>> = BTreeMap::new();
        for place in places.values() {
            let Some(floor) = place.floor.clone() else { continue };
            let known = floors.entry(floor.clone()).or_insert_with(|| place.building.clone());
            if *known != place.building {
                return Err(RoomsError::TwoFloors { table: table.clone(), floor });
            }
        }
        Ok(Rooms {
            floors,
            has_buildings: places.values().any(|place| place.building.is_some()),
            places,
            assignments: rows.into_iter().map(|(_, row)| row).collect(),
        })
    }

    /// Returns the rows of the table in order of sensor, then time.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// Returns whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.assignments.is_empty()
    }

    /// Returns whether the table names a floor.
    pub fn has_floors(&self) -> bool {
        !self.floors.is_empty()
    }

    /// Returns the levels above the rooms that the table has, each below the next; none for an empty table.
    pub fn levels(&self) -> Vec<Level> {
        let floor = self.has_floors().then_some(Level::Floor);
        let building = (!self.is_empty()).then_some(Level::Building);
        floor.into_iter().chain(building).collect()
    }

    /// Returns the SHA-256 of the table as [`Rooms::csv`] writes it, in hexadecimal; `None` for an empty table.
    pub fn fingerprint(&self, calendar: &Calendar) -> Option<String> {
        (!self.is_empty()).then(|| hex::encode(Sha256::digest(self.csv(calendar))))
    }

    /// Returns the names of the rooms of the table, ascending.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Returns the names of the floors of the table, ascending: `building/floor` where a building is named.
    pub fn floors(&self) -> impl Iterator<Item = &str> {
        self.floors.keys().map(String::as_str)
    }

    /// Returns the floor of a room, as [`Rooms::floors`] names it.
    pub fn floor_of(&self, room: &str) -> Option<&str> {
        self.places.get(room)?.floor.as_deref()
    }

    /// Returns the building of a room. Where the table names no building, all rooms are in [`BUILDING`].
    pub fn building_of(&self, room: &str) -> Option<&str> {
        if self.has_buildings { self.places.get(room)?.building.as_deref() } else { Some(BUILDING) }
    }

    /// Returns the building of a floor, named as in [`Rooms::floors`].
    pub fn building_of_floor(&self, floor: &str) -> Option<&str> {
        if self.has_buildings { self.floors.get(floor)?.as_deref() } else { Some(BUILDING) }
    }

    /// Returns the names of the series of a level in which a sensor counts: one, or several if it was moved.
    pub fn series_of<'a>(&'a self, sensor: &'a str, level: Level) -> Vec<&'a str> {
        let rooms = match self.rows_of(sensor) {
            [] => vec![sensor],
            rows => rows.iter().map(|row| row.room.as_str()).collect(),
        };
        let mut names: Vec<&str> = rooms.into_iter().filter_map(|room| self.name_at(room, level)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the name of the series of a level in which a sensor counts at an instant; `None` where it counts in none.
    pub fn series_at<'a>(&'a self, sensor: &'a str, level: Level, at: Timestamp) -> Option<&'a str> {
        let is_there = |row: &&Assignment| row.from.is_none_or(|from| from <= at) && row.to.is_none_or(|to| at < to);
        let room = match self.rows_of(sensor) {
            [] => sensor,
            rows => rows.iter().find(is_there)?.room.as_str(),
        };
        self.name_at(room, level)
    }

    /// Returns the names of the series of a level that the rooms of the table are in, ascending, each once; that of the whole
    /// site for buildings where the table names none.
    pub fn series(&self, level: Level) -> impl Iterator<Item = &str> {
        let site = (level == Level::Building && !self.has_buildings).then_some(BUILDING);
        let named: BTreeSet<&str> =
            self.places.keys().filter_map(|room| self.name_at(room, level)).chain(site).collect();
        named.into_iter()
    }

    /// Returns the sensors of the table without readings, each once, ascending.
    pub fn without_readings<'a>(&'a self, readings: &Readings) -> Vec<&'a str> {
        let is_known = |name: &str| readings.devices.binary_search_by(|d| d.device.as_str().cmp(name)).is_ok();
        let groups = self.assignments.chunk_by(|a, b| a.sensor == b.sensor);
        groups.map(|rows| rows[0].sensor.as_str()).filter(|name| !is_known(name)).collect()
    }

    /// Returns whether the table has a room of this name.
    pub fn has_room(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Returns the sensors with readings that are not in the table, ascending: each is its own room, or counts in the room
    /// of the table that has its name.
    pub fn unassigned<'a>(&self, readings: &'a Readings) -> Vec<&'a str> {
        let names = readings.devices.iter().map(|device| device.device.as_str());
        names.filter(|name| self.rows_of(name).is_empty()).collect()
    }

    /// Returns whether two sensors are in one room at some time from an instant on.
    pub fn share_room(&self, a: &str, b: &str, since: Timestamp) -> bool {
        let is_shared = |a: &Assignment, b: &Assignment| {
            let from = a.from.max(b.from).unwrap_or(Timestamp::MIN).max(since);
            let to = a.to.unwrap_or(Timestamp::MAX).min(b.to.unwrap_or(Timestamp::MAX));
            a.room == b.room && from < to
        };
        self.rows_of(a).iter().any(|a| self.rows_of(b).iter().any(|b| is_shared(a, b)))
    }

    /// Returns the rows of a sensor.
    fn rows_of(&self, sensor: &str) -> &[Assignment] {
        let from = self.assignments.partition_point(|row| row.sensor.as_str() < sensor);
        let rows = &self.assignments[from..];
        &rows[..rows.partition_point(|row| row.sensor == sensor)]
    }

    /// Returns the name of the series of a level in which a room counts.
    pub(crate) fn name_at<'a>(&'a self, room: &'a str, level: Level) -> Option<&'a str> {
        match level {
            Level::Room => Some(room),
            Level::Floor => self.floor_of(room),
            Level::Building => self.building_of(room),
        }
    }
}

/// Returns the place of each room. A row that leaves floor or building empty says nothing about it.
fn places(table: &Source, rows: &[(u64, Assignment)]) -> Result<BTreeMap<String, Place>, RoomsError> {
    type Named<'a> = Option<(u64, &'a str)>;
    let mut named: BTreeMap<&str, [Named<'_>; 2]> = BTreeMap::new();
    for (line, row) in rows {
        let known = named.entry(&row.room).or_default();
        for ((known, new), level) in
            known.iter_mut().zip([&row.floor, &row.building]).zip([Level::Floor, Level::Building])
        {
            let Some(new) = new.as_deref() else { continue };
            match *known {
                Some((first, name)) if name != new => {
                    let rows = (first.min(*line), first.max(*line));
                    let (table, room) = (table.clone(), row.room.clone());
                    return Err(RoomsError::TwoPlaces { table, rows, room, level, place: new.to_owned() });
                }
                Some(_) => {}
                None => *known = Some((*line, new)),
            }
        }
    }
    let place = |[floor, building]: [Named<'_>; 2]| {
        let building = building.map(|(_, name)| name.to_owned());
        let floor = floor.map(|(_, floor)| match &building {
            Some(building) => format!("{building}/{floor}"),
            None => floor.to_owned(),
        });
        Place { floor, building }
    };
    Ok(named.into_iter().map(|(room, names)| (room.to_owned(), place(names))).collect())
}
