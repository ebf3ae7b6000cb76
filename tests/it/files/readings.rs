//! The one set of readings.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Europe::Berlin;

/// The instant of the forecast, local time.
pub const ORIGIN: &str = "2016-07-26 00:00:00";

/// The rooms, named as Home Assistant names its sensors: models are fitted in the order of names.
pub const ROOMS: [&str; 3] = ["binary_sensor.hall", "binary_sensor.room_1", "binary_sensor.room_2"];

/// One motion: local time and room.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub wall: NaiveDateTime,
    pub room: usize,
}

impl Reading {
    pub fn utc(&self) -> DateTime<Utc> {
        Berlin.from_local_datetime(&self.wall).unwrap().to_utc()
    }

    pub fn name(&self) -> &'static str {
        ROOMS[self.room]
    }
}

/// The first local midnight, and the number of quarters of an hour up to the origin.
pub fn quarters() -> impl Iterator<Item = NaiveDateTime> {
    let first = NaiveDate::from_ymd_opt(2016, 7, 4).unwrap().and_hms_opt(0, 0, 0).unwrap();
    (0..22 * 96).map(move |quarter| first + TimeDelta::minutes(15 * quarter))
}

/// Whether a room has motion in a quarter of an hour: on working hours of workdays, now and then not.
pub fn is_occupied(wall: NaiveDateTime, room: usize) -> bool {
    let (day, hour, quarter) = (wall.ordinal() as usize, wall.hour() as usize, wall.minute() as usize / 15);
    let is_workday = wall.weekday().num_days_from_monday() < 5;
    let is_used = (day * 7 + hour * 5 + room * 3) % 10 < 7 - 2 * room;
    is_workday && (8..17 + room).contains(&hour) && is_used && (quarter + room + hour) % 3 != 1
}

/// All readings, in order of time.
pub fn all() -> Vec<Reading> {
    let of =
        |wall| (0..ROOMS.len()).filter(move |&room| is_occupied(wall, room)).map(move |room| Reading { wall, room });
    quarters().flat_map(of).collect()
}
