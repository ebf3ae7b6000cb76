//! A seeded building that makes motion-sensor readings at any scale.
//!
//! People, meetings and visits occupy rooms; sensors notice some of the movement; faults spoil some of the reports.
//! Every number follows from the seed, the device and the date, and does not depend on the number of threads or devices.
//! Only faults are laid over the span, so that each span has its share of them.
//!
//! [`Kind::Building`] is regular, and its habits do not depend on the span. The other kinds are made like life: each site
//! has a character of its own, and its states last from its first day on. [`statistics`] says how like life they are;
//! [`site`] and [`experience_sites`] make many of them.
//!
//! Time is local wall time without a zone: days have 24 hours.

mod building;
mod chance;
mod experience;
mod faults;
mod lesson;
mod life;
mod sensor;
pub mod statistics;
mod write;

use chrono::{Datelike, NaiveDate};
use rayon::prelude::*;

use building::site::{FLOOR_ROOMS, SiteDay, day_number, floor_level, site_day};
use chance::{Purpose, between, chance, dice};
pub use experience::{Site, SitePlan, experience_sites, site};
use faults::Faults;
pub use lesson::experience;
use life::days::{Days, Today};
use life::wear::Wear;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings, Times};
use roomcast_forecast::rooms::{Assignment, Rooms, RoomsError};
use sensor::{DAY, Presence, Sensor};
pub use write::{Format, Summary, WriteError, write};

/// The kind of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// One building with rooms of many uses, regular as a timetable: other seeds draw other rooms, not another
    /// character. Its readings do not depend on the span.
    #[default]
    Building,
    /// Offices for one to ten people, with meeting rooms, corridors and kitchens.
    Offices,
    /// Meeting rooms only.
    MeetingRooms,
    /// Homes of up to eight rooms.
    Homes,
    /// Classrooms with timetables and long breaks, rooms of teachers, corridors.
    Schools,
    /// Desks of one person each.
    Desks,
}

impl Kind {
    /// The kinds made like life, each site with a character of its own: all but [`Kind::Building`].
    pub const LIFELIKE: [Self; 5] = [Self::Offices, Self::MeetingRooms, Self::Homes, Self::Schools, Self::Desks];
}

/// A building of simulated rooms, with one or more motion sensors in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Building {
    /// The kind of site.
    pub kind: Kind,
    /// The seed that every number follows from.
    pub seed: u64,
    /// Number of rooms, at most 2³⁰ divided by the sensors in each.
    pub devices: usize,
    /// Number of sensors in each room. The first reports what it would report alone.
    pub sensors_per_room: usize,
    /// Number of rooms on a floor. Floors of the regular building have busy and quiet days of their own.
    pub floor_rooms: usize,
    /// First day.
    pub from: NaiveDate,
    /// Last day, inclusive; no days if it is before the first.
    pub to: NaiveDate,
    /// Use of rooms. At 1, an average room is occupied in about a fifth of all hours and its sensor fires about 20
    /// times a day, weekends included.
    pub density: f64,
    /// Share of sensors with faults, 0 to 1.
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
    /// Hours in which somebody was in the room for at least 20 seconds, whatever the sensors saw: a bit set per room,
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
    /// Index of the sensor, from 0: those of a room follow each other.
    pub device: u32,
}

/// Usual share of devices with faults.
const FAULTS: f64 = 0.1;

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

/// A room of either recipe.
enum Room {
    Building(building::room::Room),
    Life(Box<life::room::Room>),
}

/// The state of the whole site on a day.
enum Weather {
    Building(SiteDay),
    Life(Today),
}

/// A room with its sensors.
struct Furnished {
    id: u64,
    room: Room,
    mounts: Vec<Mount>,
}

/// A sensor in its room, with its faults.
struct Mount {
    /// The number that its chances follow from; that of the first sensor is the room's.
    id: u64,
    sensor: Sensor,
    faults: Faults,
    wear: Wear,
}

/// Distance of the numbers of two sensors of a room, more than the number of rooms.
const SENSOR_STEP: u64 = 1 << 40;

impl Building {
    /// Returns a building with density 1, a tenth of its devices faulty, one reading in two hundred written twice, and
    /// no disorder.
    pub fn new(seed: u64, devices: usize, from: NaiveDate, to: NaiveDate) -> Self {
        Self {
            kind: Kind::Building,
            seed,
            devices,
            sensors_per_room: 1,
            floor_rooms: FLOOR_ROOMS,
            from,
            to,
            density: 1.0,
            faults: FAULTS,
            duplicates: 0.005,
            disorder: 0.0,
        }
    }

    /// Returns the names of the sensors, ascending: those of the rooms where each has one, otherwise names like
    /// `device_3/sensor_2`.
    pub fn names(&self) -> Vec<String> {
        let rooms = self.room_names();
        let digits = self.sensors_per_room.to_string().len();
        let of =
            |room: String| (1..=self.sensors_per_room).map(move |sensor| format!("{room}/sensor_{sensor:0digits$}"));
        if self.sensors_per_room == 1 { rooms } else { rooms.into_iter().flat_map(of).collect() }
    }

    /// Returns the table of the building's rooms, their sensors and their floors.
    ///
    /// # Errors
    /// Returns an error when the building is too large for a table.
    pub fn rooms(&self) -> Result<Rooms, RoomsError> {
        let rooms = self.room_names();
        let row = |(at, sensor): (usize, String)| {
            let room = at / self.sensors_per_room;
            let floor = Some(self.floor_name(room));
            Assignment { sensor, room: rooms[room].clone(), floor, ..Assignment::default() }
        };
        Rooms::new(self.names().into_iter().enumerate().map(row).collect())
    }

    /// Returns the names of the rooms, ascending: `device_1` to `device_9`, or in larger buildings with their floors, names
    /// like `floor_03/room_0127`.
    pub fn room_names(&self) -> Vec<String> {
        if self.devices <= 9 {
            return (1..=self.devices).map(|i| format!("device_{i}")).collect();
        }
        let room = self.devices.to_string().len().max(4);
        (0..self.devices).map(|i| format!("{}/room_{:0room$}", self.floor_name(i), i + 1)).collect()
    }

    /// Returns the name of the floor of a room, by position.
    fn floor_name(&self, room: usize) -> String {
        let floors = self.devices.div_ceil(self.floor_rooms).to_string().len();
        let digits = if self.devices <= 9 { 1 } else { floors.max(2) };
        format!("floor_{:0digits$}", room / self.floor_rooms + 1)
    }

    /// Returns the readings, one day after the other. Only one day at a time is in memory.
    ///
    /// The devices of a day are made in parallel on rayon's current thread pool.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        let mut devices = self.fit_out();
        let mut life = self.life();
        let dates = self.from.iter_days().take_while(|date| *date <= self.to);
        dates.map(move |date| {
            let weather = match &mut life {
                Some(days) => Weather::Life(days.step(date, self.density.ln())),
                None => Weather::Building(site_day(self.seed, date)),
            };
            self.day(&mut devices, life.as_ref(), &weather, date)
        })
    }

    /// Returns all readings at once, in ascending order, without duplicates or devices that never fired.
    pub fn readings(&self) -> Readings {
        let mut times = vec![Vec::new(); self.devices * self.sensors_per_room];
        for day in self.days() {
            let midnight = day.midnight();
            for row in day.rows() {
                times[row.device as usize].push(midnight + Timestamp::from(row.second));
            }
        }
        let devices = self.names().into_par_iter().zip(times).filter_map(|(device, mut times)| {
            times.sort_unstable();
            times.dedup();
            (!times.is_empty()).then_some(DeviceReadings { device, times: times.into(), offs: Times::default() })
        });
        Readings { devices: devices.collect() }
    }

    /// Returns the calendar that its operator would have made: the weekend, and at about half of the lifelike sites the
    /// public holidays of the span, at most schools the breaks too.
    pub fn calendar(&self) -> Calendar {
        let calendar = Calendar::default();
        match self.life() {
            Some(days) => {
                let dates = self.from.iter_days().take_while(|date| *date <= self.to);
                calendar.with_days_off(dates.filter(|&date| days.is_listed(date)))
            }
            None => calendar,
        }
    }

    /// Returns a lifelike site before its first day; none for the kind that is not.
    fn life(&self) -> Option<Days> {
        (self.kind != Kind::Building).then(|| Days::draw(self.kind, self.seed))
    }

    /// Draws every room, its sensors and their faults.
    fn fit_out(&self) -> Vec<Furnished> {
        let (first, last) = (day_number(self.from), day_number(self.to));
        let instant = |day: i32| Timestamp::from(day) * Timestamp::from(DAY);
        let life = self.life();
        let room = |id| match &life {
            Some(days) => Room::Life(Box::new(life::room::Room::draw(self.seed, &days.traits, id, first))),
            None => Room::Building(building::room::Room::draw(self.seed, self.density, id, first, last)),
        };
        let mount = |id| Mount {
            id,
            sensor: Sensor::of(self.seed, id),
            faults: Faults::draw(self.seed, self.faults, id, instant(first), instant(last + 1)),
            wear: Wear::NEW,
        };
        let furnished = |id| {
            let mounts = (0..self.sensors_per_room as u64).map(|sensor| mount(id + sensor * SENSOR_STEP)).collect();
            Furnished { id, room: room(id), mounts }
        };
        (0..self.devices as u64).into_par_iter().map(furnished).collect()
    }

    fn day(&self, rooms: &mut [Furnished], life: Option<&Days>, weather: &Weather, date: NaiveDate) -> Day {
        // Whole floors are made together because they share a level.
        let floors = rooms.par_chunks_mut(self.floor_rooms).enumerate().map(|(floor, rooms)| {
            let mut part = Day { date, occupied: Vec::new(), observed: Vec::new(), rows: Vec::new() };
            let (mut presences, mut edges, mut fires) = (Vec::new(), Vec::new(), Vec::new());
            for furnished in rooms {
                presences.clear();
                let (id, when) = (furnished.id, i64::from(day_number(date)));
                match (&mut furnished.room, weather, life) {
                    (Room::Building(room), Weather::Building(site), _) => {
                        let level = floor_level(self.seed, floor, site);
                        room.spend_day(
                            self.seed,
                            site,
                            level,
                            &mut dice(self.seed, Purpose::Day, id, when),
                            &mut presences,
                        );
                    }
                    (Room::Life(room), Weather::Life(today), Some(days)) => {
                        room.spend_day(self.seed, &days.traits, today, &mut presences);
                    }
                    _ => {}
                }
                let mut observed = 0;
                for (sensor, mount) in furnished.mounts.iter_mut().enumerate() {
                    fires.clear();
                    let firing = &mut dice(self.seed, Purpose::Firing, mount.id, when);
                    mount.sensor.fire(&presences, firing, &mut edges, &mut fires);
                    let silent = match (weather, life) {
                        (Weather::Life(today), Some(days)) => {
                            let scale = self.faults / FAULTS;
                            mount.wear.step(self.seed, mount.id, &days.traits, today, scale, &mut fires)
                        }
                        _ => false,
                    };
                    mount.faults.apply(part.midnight(), firing, &mut fires);
                    if silent {
                        fires.clear();
                    }
                    observed = fires.iter().fold(observed, |hours, second| hours | 1 << (second / 3600));
                    let row = id * self.sensors_per_room as u64 + sensor as u64;
                    self.deliver(mount.id, row, when, &fires, &mut part.rows);
                }
                part.occupied.push(hours_occupied(&presences));
                part.observed.push(observed);
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

    /// Appends the readings of a day of the sensor at position `row` as packed rows that sort into the order of writing.
    fn deliver(&self, id: u64, row: u64, day: i64, fires: &[u32], rows: &mut Vec<u64>) {
        let dice = &mut dice(self.seed, Purpose::Delivery, id, day);
        for &second in fires {
            let copies = if chance(dice, self.duplicates) { 2 } else { 1 };
            for _ in 0..copies {
                let late = if chance(dice, self.disorder) { between(dice, 1.0, 300.0) as u32 } else { 0 };
                let place = u64::from((second + late).min(DAY - 1));
                rows.push(place << (SECOND_BITS + DEVICE_BITS) | row << SECOND_BITS | u64::from(second));
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
