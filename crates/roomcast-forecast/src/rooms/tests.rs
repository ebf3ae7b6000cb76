use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, HOUR};
use crate::hourly::{Hourly, State};
use crate::readings::{DeviceReadings, Times, in_order};

const DAY: i64 = 24 * HOUR;

/// A midnight.
const START: Timestamp = 20_000 * DAY;

fn parse(text: &str) -> Result<Rooms, String> {
    Rooms::parse(text.as_bytes(), "rooms.csv", &Calendar::default()).map_err(|error| error.to_string())
}

fn sensor(name: &str, ons: &[Timestamp], offs: &[Timestamp]) -> DeviceReadings {
    let of = |times: &[Timestamp]| times.iter().map(|time| START + time).collect();
    DeviceReadings { device: name.into(), times: of(ons), offs: of(offs) }
}

#[test]
fn columns_come_in_any_order_and_with_any_separator() {
    let expected = parse(
        "sensor,room,floor,building,from,to\na,Kitchen,1,HQ,,2026-03-01\nb,Kitchen,1,HQ,2026-03-01 12:00:00,\nc,Lab,,,,\n",
    );
    let other = "\u{feff}Room; To ;sensor;FLOOR;from;building\n\nKitchen;2026-03-01;a;1;;HQ\nLab;;c;;;\nKitchen;;b;1;2026-03-01T12:00;HQ\n";
    assert_eq!(parse(other), expected);
    let rooms = expected.unwrap();
    assert_eq!(rooms.assignments().len(), 3);
    assert_eq!(rooms.rooms().collect::<Vec<_>>(), ["Kitchen", "Lab"]);
    assert_eq!((rooms.floor_of("Kitchen"), rooms.building_of("Kitchen")), (Some("HQ/1"), Some("HQ")));
    assert_eq!((rooms.floor_of("Lab"), rooms.building_of("Lab"), rooms.has_floors()), (None, None, true));
    assert_eq!(Rooms::parse(&rooms.csv(&Calendar::default())[..], "again", &Calendar::default()).unwrap(), rooms);
    assert_eq!(Rooms::new(rooms.assignments().to_vec()).unwrap(), rooms);
}

#[test]
fn columns_and_dates_are_read_in_german_and_french_and_text_of_windows_too() {
    let expected = parse("sensor,room,floor,building,from,to\na,Küche,1,HQ,2026-03-01,2026-04-01 12:30:00\n").unwrap();
    let german = "Sensor;Raum;Stockwerk;Gebäude;von;bis\na;Küche;1;HQ;01.03.2026;1.4.2026 12:30\n";
    let french = "Capteur;Pièce;Étage;Bâtiment;du;au\na;Küche;1;HQ;2026-03-01;01.04.2026 12:30:00\n";
    for text in [german, french] {
        assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        // Letters of these languages have the same numbers in Windows-1252 as in Unicode.
        let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
        assert_eq!(Rooms::parse(&bytes[..], "rooms.csv", &Calendar::default()).unwrap(), expected, "{text}");
    }
    let error = parse("sensor,room,to\na,A,30.02.2026\n").unwrap_err();
    assert!(error.contains("line 2, column to: expected a date as YYYY-MM-DD"), "{error}");
}

#[test]
fn a_table_with_a_fault_names_file_line_and_column() {
    for (text, expected) in [
        ("", "rooms.csv: line 1: the header has no column sensor: expected sensor, room, and if known"),
        ("sensor,floor\n", "rooms.csv: line 1: the header has no column room: expected sensor"),
        (
            "pir-1a,Office\npir-2a,Office\n",
            "rooms.csv: line 1: expected a header, such as sensor,room,floor, found \"pir-1a\"\nhint: ",
        ),
        ("sensor,room,room\n", "rooms.csv: line 1: the header has more than one column room"),
        ("sensor,rom\n", "line 1, column header: expected sensor, room, floor, building, from or to, found \"rom\""),
        ("sensor,room\na,A\n\nb\n", "rooms.csv: line 4: expected 2 columns as in the header, found 1"),
        ("sensor,room\na,A\nb,\n", "rooms.csv: line 3, column room: expected a name, found \"\""),
        ("sensor,room,floor\na,A,x\u{7}\n", "line 2, column floor: expected a name without control characters, found"),
        (
            "sensor,room,from\na,A,soon\n",
            "line 2, column from: expected a date as YYYY-MM-DD or a time as YYYY-MM-DD HH:MM:SS, found \"soon\"",
        ),
        ("sensor,room,to\na,A,2026-02-30\n", "line 2, column to: expected a date as YYYY-MM-DD"),
        (
            "sensor,room,from,to\na,A,2026-03-01,2026-03-01\n",
            "line 2, column to: expected a time after that of the column from",
        ),
        (
            "sensor,room,from,to\na,A,,2026-03-02\nb,B,,\na,B,2026-03-01,\n",
            "rooms.csv: lines 2 and 4: sensor \"a\" is assigned twice at the same time\nhint: end the earlier row with `to`",
        ),
        ("sensor,room\na,A\na,A\n", "lines 2 and 3: sensor \"a\" is assigned twice"),
        (
            "sensor,room,floor\na,A,1\nb,A,2\n",
            "rooms.csv: lines 2 and 3: room \"A\" has two floors\nhint: a room has one floor",
        ),
        ("sensor,room,building\na,A,1\nc,B,2\nb,A,2\n", "lines 2 and 4: room \"A\" has two buildings"),
        (
            "sensor,room,building\na,Kitchen,South\nb,Kitchen,North\n",
            "hint: a room has one building; give two rooms two names, such as \"North Kitchen\"",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let bad = Assignment { sensor: "a".into(), room: "b\n".into(), ..Assignment::default() };
    let error = Rooms::new(vec![Assignment { room: "b".into(), ..bad.clone() }, bad]).unwrap_err().to_string();
    assert!(error.contains("rooms[1].room: expected a name without control"), "{error}");
    let row = |sensor: &str, room: &str, floor: &str| Assignment {
        sensor: sensor.into(),
        room: room.into(),
        floor: Some(floor.into()),
        ..Assignment::default()
    };
    let list = |rows| Rooms::new(rows).unwrap_err().to_string();
    let twice = list(vec![row("a", "A", "1"), row("b", "B", "1"), row("a", "C", "1")]);
    assert!(twice.starts_with("rooms[0] and rooms[2]: sensor \"a\" is assigned twice"), "{twice}");
    let two = list(vec![row("a", "A", "1"), row("b", "A", "2")]);
    assert!(two.starts_with("rooms[0] and rooms[1]: room \"A\" has two floors"), "{two}");
    let period = list(vec![Assignment { from: Some(1), to: Some(1), ..row("a", "A", "1") }]);
    assert_eq!(period, "rooms[0].to: expected a time after that of the column from");
    assert!(parse("sensor,room,from,to\na,A,,2026-03-01\na,B,2026-03-01,\n").is_ok());
}

#[test]
fn a_sensor_alone_in_its_room_keeps_its_edges() {
    let rooms = parse("sensor,room,floor\na,Kitchen,1\n").unwrap();
    let sensors = Readings { devices: vec![sensor("a", &[10, 20], &[15]), sensor("b", &[30], &[])] };
    let of = |rooms: &Rooms, level| rooms.readings(&sensors, level, &Calendar::default(), Timestamp::MAX);
    let kitchen = DeviceReadings { device: "Kitchen".into(), ..sensors.devices[0].clone() };
    assert_eq!(of(&rooms, Level::Room).devices, [kitchen.clone(), sensors.devices[1].clone()]);
    assert_eq!(of(&rooms, Level::Floor).devices, [DeviceReadings { device: "1".into(), ..kitchen }]);
    assert_eq!(of(&Rooms::default(), Level::Room), sensors);
    assert_eq!(of(&Rooms::default(), Level::Floor), Readings::default());
    assert_eq!(of(&Rooms::default(), Level::Building).devices[0].device, BUILDING);
    let gone = parse("sensor,room\na,A\nz,A\n").unwrap();
    assert_eq!((gone.without_readings(&sensors), gone.unassigned(&sensors)), (vec!["z"], vec!["b"]));
}

#[test]
fn history_follows_a_sensor_that_is_moved() {
    let rooms = parse("sensor,room,from,to\na,A,,2024-10-05 12:00:00\na,B,2024-10-05 12:00:00,2024-10-05 20:00:00\nb,B,2024-10-05 20:00:00,\n").unwrap();
    // Of the interval of `a`, from 9:30 to 14:30, each room has its part.
    let a = sensor("a", &[9 * HOUR + 1800, 21 * HOUR], &[100, 14 * HOUR + 1800, 22 * HOUR]);
    let b = sensor("b", &[19 * HOUR, 20 * HOUR], &[]);
    assert_eq!(START, Calendar::default().parse("2024-10-04 00:00:00").unwrap());
    let late = |device: &DeviceReadings| {
        let times = |times: &Times| times.iter().map(|time| time + DAY).collect();
        DeviceReadings { device: device.device.clone(), times: times(&device.times), offs: times(&device.offs) }
    };
    let sensors = Readings { devices: vec![late(&a), late(&b)] };
    let made = rooms.readings(&sensors, Level::Room, &Calendar::default(), Timestamp::MAX);
    let hours = |at: usize| {
        let times = made.devices[at].times.iter();
        times.map(|time| (time - START - DAY) as f64 / HOUR as f64).collect::<Vec<_>>()
    };
    assert_eq!(hours(0), [9.5, 10.0, 11.0]);
    assert_eq!(hours(1), [12.0, 13.0, 14.0, 14.5, 20.0]);
    assert_eq!(rooms.series_of("a", Level::Room), ["A", "B"]);
    assert_eq!(rooms.series_of("x", Level::Room), ["x"]);
}

/// Edges of some sensors, some of them on whole hours or in the same second.
fn edges() -> impl Strategy<Value = Vec<(usize, Timestamp, bool)>> {
    let time = prop_oneof![(0..60_i64).prop_map(|hour| hour * HOUR), 0..60 * HOUR, (0..600_i64).prop_map(|n| n * 360)];
    prop::collection::vec((0..5_usize, time, any::<bool>()), 1..80)
}

/// The sensors of edges: the last one gives pulses alone.
fn sensors(edges: &[(usize, Timestamp, bool)]) -> Readings {
    let of = |at: usize, is_motion: bool| {
        let own = edges.iter().filter(|edge| edge.0 == at && (edge.2 || at == 4) == is_motion);
        own.map(|edge| START + edge.1).collect()
    };
    let device = |at| DeviceReadings { device: format!("s{at}"), times: of(at, true), offs: of(at, false) };
    let mut readings = in_order((0..5).map(device).collect());
    readings.devices.retain(|device| device.edge_count() > 0);
    readings
}

/// Rooms A (s0, s1 and s4), B (s2, then s3 from the second day on) on one floor, and s3's own room before.
fn table() -> Rooms {
    let row = |sensor: &str, room: &str, from, to| {
        let (sensor, room) = (sensor.to_owned(), room.to_owned());
        Assignment { sensor, room, floor: Some("1".into()), building: None, from, to }
    };
    let noon = START + DAY + 12 * HOUR;
    let rows = vec![
        row("s0", "A", None, None),
        row("s1", "A", None, None),
        row("s4", "A", None, None),
        row("s2", "B", None, Some(noon)),
        row("s3", "B", Some(noon), None),
    ];
    Rooms::new(rows).unwrap()
}

fn hours(device: &DeviceReadings, calendar: &Calendar, origin: Timestamp) -> BTreeSet<i32> {
    device.presence(calendar, origin).times.iter().map(|time| calendar.hour(time)).collect()
}

/// The instants of motion of each series that a grid is made of.
fn instants(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> BTreeMap<String, Times> {
    let of = |device: &DeviceReadings| (device.device.clone(), device.presence(calendar, origin).times);
    readings.devices.iter().map(of).filter(|(_, times)| !times.is_empty()).collect()
}

/// The hours in which a series is occupied, by its name.
fn occupied(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> BTreeMap<String, BTreeSet<i32>> {
    let of = |device: &DeviceReadings| (device.device.clone(), hours(device, calendar, origin));
    readings.devices.iter().map(of).filter(|(_, hours)| !hours.is_empty()).collect()
}

proptest! {
    #[test]
    fn a_room_is_occupied_in_exactly_the_hours_of_its_sensors(edges in edges(), origin in 0..90 * HOUR) {
        let (calendar, origin, rooms) = (Calendar::default().with_max_presence(5), START + origin, table());
        let sensors = sensors(&edges);
        let noon = START + DAY + 12 * HOUR;
        let mut expected: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for sensor in &sensors.devices {
            for time in sensor.presence(&calendar, origin).times.iter() {
                let room = match sensor.device.as_str() {
                    "s2" if time >= noon => continue,
                    "s3" if time < noon => continue,
                    "s2" | "s3" => "B",
                    _ => "A",
                };
                expected.entry(room.to_owned()).or_default().insert(calendar.hour(time));
            }
        }
        let all = rooms.readings(&sensors, Level::Room, &calendar, Timestamp::MAX);
        prop_assert_eq!(&occupied(&all, &calendar, origin), &expected);
        // What is known at an origin says the same of the hours before it, whichever comes first: origin, rooms or levels.
        let known = rooms.readings(&sensors.before(origin), Level::Room, &calendar, origin);
        prop_assert_eq!(&occupied(&known, &calendar, origin), &expected);
        let of_all = rooms.readings(&sensors, Level::Room, &calendar, origin);
        prop_assert_eq!(instants(&known, &calendar, origin), instants(&of_all, &calendar, origin));
        prop_assert_eq!(instants(&known, &calendar, origin), instants(&all, &calendar, origin));
        prop_assert_eq!(&occupied(&all.before(origin), &calendar, origin), &expected);
        let floor: BTreeSet<i32> = expected.values().flatten().copied().collect();
        for level in [Level::Floor, Level::Building] {
            let made = occupied(&rooms.readings(&sensors, level, &calendar, Timestamp::MAX), &calendar, origin);
            prop_assert_eq!(made.values().next().cloned().unwrap_or_default(), floor.clone());
        }
    }

    #[test]
    fn the_grid_of_rooms_is_that_of_their_sensors(mut edges in edges(), origin in 0..90 * HOUR) {
        edges.push((0, 0, true));
        let (calendar, origin, rooms) = (Calendar::default().with_max_presence(5), START + origin, table());
        // Each sensor says `off`, and the site lives, before the rest: the grid begins with the same readings then.
        let mut sensors = sensors(&edges);
        for device in &mut sensors.devices {
            device.times.extend([START - HOUR]);
            if device.device != "s4" {
                device.offs.extend([START - HOUR / 2]);
            }
        }
        let state = |hourly: &Hourly, device: &str, hour: i32| {
            let device = &hourly.devices[hourly.position(device)?];
            device.states.get((hour - device.first) as usize).copied()
        };
        let (by_sensor, made) = (Hourly::new(&sensors, &calendar, origin), rooms.readings(&sensors, Level::Room, &calendar, origin));
        let by_room = Hourly::new(&made, &calendar, origin);
        prop_assert_eq!((by_room.first, by_room.end), (by_sensor.first, by_sensor.end));
        for hour in by_room.first..by_room.end {
            let is_occupied = |name: &str| state(&by_sensor, name, hour).is_some_and(State::has_motion);
            let expected = ["s0", "s1", "s4"].into_iter().any(is_occupied);
            prop_assert_eq!(state(&by_room, "A", hour).is_some_and(State::has_motion), expected, "hour {}", hour);
        }
    }
}

#[test]
fn two_floors_of_one_name_are_refused() {
    let error = parse("sensor,room,floor,building\na,X,B/1,A\nb,Y,1,A/B\n").unwrap_err();
    assert!(error.contains("two floors are both named \"A/B/1\""), "{error}");
}

#[test]
fn a_time_that_occurs_twice_comes_back_from_the_table() {
    let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let table = "sensor,room,from,to\na,X,2024-10-27T02:30:00+02:00,2024-10-27T02:30:00+01:00\n";
    let rooms = Rooms::parse(table.as_bytes(), "rooms.csv", &calendar).unwrap();
    assert_eq!(Rooms::parse(rooms.csv(&calendar).as_slice(), "rooms.csv", &calendar).unwrap(), rooms);
}
