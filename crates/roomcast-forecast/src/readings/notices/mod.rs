//! Notices of suspicious readings, each with a remedy.
//!
//! A notice is advice to a person. Forecasts do not read notices.

mod faults;
mod site;
mod twins;

use chrono::NaiveDate;
use rayon::prelude::*;
use serde::Serialize;

use self::faults::Grid;
use super::{Profile, Readings};
use crate::calendar::Calendar;
use crate::rooms::Rooms;

/// Something suspicious in the readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The kind of the notice.
    pub kind: Kind,
    /// The devices concerned; none when it is the whole site.
    pub devices: Vec<String>,
    /// The first local day concerned.
    pub from: NaiveDate,
    /// The last local day concerned.
    pub to: NaiveDate,
    /// The finding, as a sentence without its subject.
    pub finding: String,
    /// The remedy.
    pub advice: &'static str,
}

/// The subject of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A device has readings in every hour, for days.
    Stuck,
    /// A device fires all the time, on some days or always.
    Chattering,
    /// Devices have the same readings, or nearly.
    Twins,
    /// The whole site is silent for days.
    SilentSite,
}

impl Kind {
    /// Returns the kind as a person reads it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Stuck => "stuck on",
            Kind::Chattering => "chattering",
            Kind::Twins => "twins",
            Kind::SilentSite => "silent site",
        }
    }
}

/// Returns the notices of the period in which the site was in use, by kind, then device. The profile is that of the same
/// readings. Sensors that share a room of the table are no twins.
pub fn notices(readings: &Readings, profile: &Profile, rooms: &Rooms, calendar: &Calendar) -> Vec<Notice> {
    let readings = readings.alive(calendar.latest());
    let Some(grid) = Grid::new(&readings, calendar) else { return Vec::new() };
    let usual = profile.median_readings_per_occupied_hour;
    let mut notices: Vec<Notice> =
        readings.devices.par_iter().flat_map_iter(|device| faults::of_device(device, &grid, usual)).collect();
    notices.extend(twins::find(&readings, rooms, &grid));
    notices.extend(site::silences(profile, calendar, &grid));
    notices.sort_by(|a, b| (a.kind, &a.devices, a.from).cmp(&(b.kind, &b.devices, b.from)));
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{HOUR, Timestamp};
    use crate::readings::{DeviceReadings, Times, profile};

    /// Midnight of a Monday.
    const MONDAY: Timestamp = 1_467_590_400; // 2016-07-04
    const DAY: i64 = 24 * HOUR;

    /// Rooms used on workdays, each in about half of the hours from 8 to 18, some readings an hour.
    fn office(rooms: u64, days: i64) -> Readings {
        let devices = (0..rooms).map(|room| {
            let dice = |n: i64| (room * 7919 + n as u64 * 104_729).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let hours = (0..days * 24).filter(|hour| hour / 24 % 7 < 5 && (8..18).contains(&(hour % 24)));
            let used = hours.filter(|&hour| dice(hour) % 2 == 0);
            let times = used.flat_map(|hour| {
                (0..1 + dice(hour + 1) as i64 % 5).map(move |n| MONDAY + hour * HOUR + 600 * n + room as i64)
            });
            DeviceReadings { device: format!("room_{room}"), times: times.collect(), offs: Times::default() }
        });
        Readings { devices: devices.collect() }
    }

    fn found(readings: &Readings) -> Vec<String> {
        found_with(readings, &Rooms::default())
    }

    fn found_with(readings: &Readings, rooms: &Rooms) -> Vec<String> {
        let calendar = Calendar::default();
        let notices = notices(readings, &profile(readings, &calendar), rooms, &calendar);
        let line = |n: Notice| format!("{} {}: {} to {}", n.kind.label(), n.devices.join("+"), n.from, n.to);
        notices.into_iter().map(line).collect()
    }

    fn add(device: &mut DeviceReadings, times: impl Iterator<Item = Timestamp>) {
        device.times.extend(times);
    }

    #[test]
    fn a_sound_office_has_no_notices() {
        assert!(found(&office(6, 35)).is_empty(), "{:?}", found(&office(6, 35)));
        assert!(found(&Readings::default()).is_empty());
    }

    #[test]
    fn a_device_stuck_for_days_is_noticed_and_one_busy_day_is_not() {
        let mut readings = office(4, 35);
        add(&mut readings.devices[1], (10 * 24..14 * 24).map(|hour| MONDAY + hour * HOUR + 7));
        add(&mut readings.devices[2], (20 * 24..21 * 24).map(|hour| MONDAY + hour * HOUR + 7));
        assert_eq!(found(&readings), ["stuck on room_1: 2016-07-14 to 2016-07-17"]);
    }

    #[test]
    fn a_day_of_chatter_is_noticed() {
        let mut readings = office(4, 35);
        // Every ten seconds from noon to six.
        add(&mut readings.devices[3], (0..6 * 360).map(|n| MONDAY + 22 * DAY + 12 * HOUR + 10 * n));
        assert_eq!(found(&readings), ["chattering room_3: 2016-07-26 to 2016-07-26"]);
    }

    #[test]
    fn two_names_of_one_sensor_are_twins_and_a_third_in_another_room_is_not() {
        let mut readings = office(4, 35);
        // The second name misses a few readings, and its clock is some seconds ahead.
        let times = readings.devices[0].times.iter().enumerate().filter(|(n, _)| n % 29 != 0).map(|(_, t)| t + 4);
        readings.devices[3].times = times.collect();
        let twins = ["twins room_0+room_3: 2016-07-11 to 2016-08-05"];
        assert_eq!(found(&readings), twins);
        // Two sensors of one room are meant to say the same, but not those that were in one room months ago.
        let found_in = |rows: &str| {
            let table = format!("sensor,room,from,to\n{rows}");
            let rooms = Rooms::parse(table.as_bytes(), "rooms.csv", &Calendar::default()).unwrap();
            found_with(&readings, &rooms)
        };
        assert!(found_in("room_0,Hall,,\nroom_3,Hall,,\n").is_empty());
        assert_eq!(found_in("room_0,Hall,,\nroom_3,Lab,,\n"), twins);
        assert_eq!(found_in("room_0,Hall,,\nroom_3,Hall,,2016-05-01\nroom_3,Lab,2016-05-01,\n"), twins);
    }

    #[test]
    fn rooms_that_are_used_in_the_same_hours_every_day_are_no_twins() {
        let mut readings = office(4, 35);
        for (room, device) in readings.devices.iter_mut().enumerate() {
            let hours = (0..35 * 24).filter(|hour| hour / 24 % 7 < 5 && (9..17).contains(&(hour % 24)));
            device.times = hours.map(|hour| MONDAY + hour * HOUR + 60 * room as i64).collect();
        }
        assert!(found(&readings).is_empty(), "{:?}", found(&readings));
    }

    #[test]
    fn a_silent_site_is_noticed_from_three_workdays_on() {
        let mut readings = office(4, 49);
        for device in &mut readings.devices {
            // A Monday to Wednesday; a Tuesday and Wednesday of another week are holidays perhaps.
            device
                .times
                .retain(|t| !(21..24).contains(&((t - MONDAY) / DAY)) && !(29..31).contains(&((t - MONDAY) / DAY)));
        }
        assert_eq!(found(&readings), ["silent site : 2016-07-25 to 2016-07-27"]);
    }
}
