//! The rooms of `roomcast inspect --rooms`: what each is made of, and its sensors that are dead.

use std::collections::HashMap;
use std::fmt::{self, Write};

use serde::Serialize;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{self, Readings};
use roomcast_forecast::rooms::{Level, Rooms};
use roomcast_forecast::table::table;

/// How a table of rooms fits the readings.
#[derive(Debug, Serialize)]
pub struct RoomsReport {
    rooms: Vec<RoomReport>,
    /// Sensors of the table without readings.
    without_readings: Vec<String>,
    /// Sensors that are not in the table; each is its own room, or counts in the room of the table that has its name.
    unassigned: Vec<String>,
}

/// A room of the table.
#[derive(Debug, Serialize)]
struct RoomReport {
    room: String,
    floor: Option<String>,
    building: Option<String>,
    /// Its sensors at any time.
    sensors: Vec<String>,
    /// Those without motion for longer than their habits explain, or without any. The room is known by the others.
    dead: Vec<String>,
    occupied_share: f64,
    occupied_hours_per_workday: f64,
}

impl RoomsReport {
    /// Describes the rooms of a table; `silent` are the sensors that are silent at the end of the readings.
    pub fn new(rooms: &Rooms, sensors: &Readings, silent: &[String], calendar: &Calendar) -> RoomsReport {
        let without_readings = rooms.without_readings(sensors);
        let profile = readings::profile(&rooms.all_readings(sensors, Level::Room, calendar), calendar);
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut sensors_of: HashMap<&str, Vec<&str>> = HashMap::new();
        for row in rooms.assignments() {
            sensors_of.entry(&row.room).or_default().push(&row.sensor);
        }
        for name in rooms.unassigned(sensors) {
            // It counts in the room of its name, if there is one.
            if let Some(of_room) = sensors_of.get_mut(name) {
                of_room.push(name);
            }
        }
        let mut room = |room: &str| {
            let at = profile.devices.binary_search_by(|device| device.device.as_str().cmp(room));
            let of = at.ok().map(|at| &profile.devices[at]);
            let mut sensors = sensors_of.remove(room).unwrap_or_default();
            sensors.dedup();
            let is_dead = |name: &&str| without_readings.contains(name) || silent.iter().any(|silent| silent == name);
            RoomReport {
                room: room.to_owned(),
                floor: rooms.floor_of(room).map(str::to_owned),
                building: rooms.building_of(room).map(str::to_owned),
                dead: names(&sensors.iter().copied().filter(is_dead).collect::<Vec<_>>()),
                sensors: names(&sensors),
                occupied_share: of.map_or(0.0, |of| of.occupied_share),
                occupied_hours_per_workday: of.map_or(0.0, |of| of.occupied_hours_per_workday),
            }
        };
        RoomsReport {
            rooms: rooms.rooms().map(&mut room).collect(),
            unassigned: names(&rooms.unassigned(sensors)),
            without_readings: names(&without_readings),
        }
    }

    /// Writes the rooms as a table, and one line for each kind of sensor that does not fit.
    pub fn write(&self, out: &mut String) -> fmt::Result {
        let text = |name: &Option<String>| name.clone().unwrap_or_default();
        let row = |room: &RoomReport| {
            let dead = if room.dead.is_empty() { String::new() } else { format!("dead: {}", room.dead.join(", ")) };
            vec![
                room.room.clone(),
                text(&room.floor),
                text(&room.building),
                room.sensors.len().to_string(),
                format!("{:.1} %", 100.0 * room.occupied_share),
                format!("{:.1}", room.occupied_hours_per_workday),
                dead,
            ]
        };
        let header = ["room", "floor", "building", "sensors", "occupied", "h/workday", "note"];
        writeln!(out)?;
        out.write_str(&table(&header, &self.rooms.iter().map(row).collect::<Vec<_>>(), 3))?;
        writeln!(
            out,
            "occupied: share of the hours in which any of the room's sensors is occupied; dead: a sensor without motion for \
             longer than its habits explain, or ever; the room is known by its others"
        )?;
        let (named, alone): (Vec<_>, Vec<_>) =
            self.unassigned.iter().cloned().partition(|name| self.rooms.iter().any(|room| room.room == *name));
        for (sensors, what) in [
            (&alone, "not in the table of rooms, each is its own room"),
            (&named, "not in the table of rooms, counted in the room of the same name"),
            (&self.without_readings, "in the table of rooms, without readings"),
        ] {
            match &sensors[..] {
                [] => {}
                [one] => writeln!(out, "1 sensor {}: {one}", what.replace("each is", "it is"))?,
                more => writeln!(out, "{} sensors {what}: {}", more.len(), more.join(", "))?,
            }
        }
        Ok(())
    }
}
