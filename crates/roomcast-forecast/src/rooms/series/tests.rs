use proptest::prelude::*;

use super::*;
use crate::hourly::{Hourly, State};
use crate::rooms::Assignment;

const DAY: i64 = 24 * HOUR;

/// A Monday, at midnight.
const START: Timestamp = 19_996 * DAY;

/// A sensor with motion at half past these hours since [`START`].
fn pulses(name: &str, hours: impl IntoIterator<Item = i64>) -> DeviceReadings {
    let times = hours.into_iter().map(|hour| START + hour * HOUR + HOUR / 2).collect();
    DeviceReadings { device: name.into(), times, offs: Times::default() }
}

/// Hours from 9 to 17 of some days.
fn office(days: std::ops::Range<i64>) -> impl Iterator<Item = i64> + Clone {
    days.flat_map(|day| (9..17).map(move |hour| day * 24 + hour))
}

/// The table in which these sensors are in one room, on one floor with the room `other`.
fn table(sensors: &[&str]) -> Rooms {
    let row = |sensor: &str, room: &str| Assignment {
        sensor: sensor.into(),
        room: room.into(),
        floor: Some("1".into()),
        ..Assignment::default()
    };
    let rows = sensors.iter().map(|sensor| row(sensor, "room")).chain([row("other", "other")]);
    Rooms::new(rows.collect()).unwrap()
}

/// The states of the room as of the last of some days.
fn states(rooms: &Rooms, sensors: Vec<DeviceReadings>, level: Level, days: i64) -> Vec<State> {
    let (calendar, origin) = (Calendar::default(), START + days * DAY);
    let made = rooms.readings(&Readings { devices: sensors }, level, &calendar, Timestamp::MAX);
    let hourly = Hourly::new(&made, &calendar, origin);
    let name = if level == Level::Room { "room" } else { "1" };
    let device = &hourly.devices[hourly.position(name).unwrap()];
    // From the first midnight on.
    let before = (device.first - calendar.hour(START)) as usize;
    std::iter::repeat_n(State::Unobserved, before).chain(device.states.iter().copied()).collect()
}

#[test]
fn a_stuck_sensor_among_several_does_not_make_the_room_unknown() {
    // For two weeks both see the same. Then `a` is on for ten days.
    let a = pulses("a", office(0..14).chain(14 * 24..24 * 24));
    let b = pulses("b", office(0..24));
    let other = pulses("other", office(0..24));
    let (rooms, from) = (table(&["a", "b"]), 16 * 24);
    let of = |sensors: &[&DeviceReadings], level| {
        states(&rooms, sensors.iter().map(|&sensor| sensor.clone()).collect(), level, 24)
    };
    let both = of(&[&a, &b, &other], Level::Room);
    assert_eq!(both[from..], of(&[&b, &other], Level::Room)[from..], "the room's hours are those of the other sensor");
    assert!(both[from..].contains(&State::Occupied) && !both[from..].contains(&State::Stuck));
    // So it is on the floor, also where the stuck sensor is alone in its room.
    assert_eq!(of(&[&a, &b, &other], Level::Floor)[from..], both[from..]);
    assert_eq!(of(&[&a, &other], Level::Floor)[from..], both[from..]);
    // A room with one sensor is unknown, as before.
    assert!(of(&[&a, &other], Level::Room)[from..].iter().all(|state| *state == State::Stuck));
}

#[test]
fn a_stuck_sensor_counts_where_no_other_one_works() {
    let a = pulses("a", office(0..14).chain(14 * 24..60 * 24));
    let all_stuck = |from: usize, states: &[State]| states[from..].iter().all(|state| *state == State::Stuck);
    let made = |b: DeviceReadings, rooms: &Rooms, days| {
        states(rooms, vec![a.clone(), b, pulses("other", office(0..60))], Level::Room, days)
    };
    let rooms = table(&["a", "b"]);
    // The other one is stuck at the same time.
    assert!(all_stuck(16 * 24, &made(pulses("b", office(0..14).chain(14 * 24..24 * 24)), &rooms, 24)));
    // It has been dead for months: nothing says that the room is empty.
    let dead = made(pulses("b", office(0..2)), &rooms, 60);
    assert!(all_stuck(32 * 24, &dead), "{:?}", &dead[30 * 24..]);
    // It has been moved to another room.
    let mut rows = rooms.assignments().to_vec();
    rows[1].to = Some(START + 15 * DAY);
    assert!(all_stuck(16 * 24, &made(pulses("b", office(0..24)), &Rooms::new(rows).unwrap(), 24)));
}

proptest! {
    #[test]
    fn what_is_known_of_a_stuck_sensor_is_the_beginning_of_what_is_known_later(
        // Hours with and without motion of two sensors.
        runs in prop::collection::vec((1..90_i64, 1..30_i64), 2..12),
        origin in 0..700_i64,
        minutes in 0..60_i64,
    ) {
        let (calendar, rooms) = (Calendar::default(), table(&["a", "b"]));
        let of = |name: &str, runs: Vec<&(i64, i64)>| {
            let mut hour = 0;
            let spans = runs.into_iter().flat_map(|(on, off)| {
                let from = hour;
                hour += on + off;
                from..from + on
            });
            pulses(name, spans.collect::<Vec<_>>())
        };
        let sensors = Readings {
            devices: vec![of("a", runs.iter().collect()), of("b", runs.iter().rev().collect()), pulses("other", [0])],
        };
        let origin = START + origin * HOUR + minutes * 60;
        for level in Level::ALL {
            let made = |sensors: &Readings, until| rooms.readings(sensors, level, &calendar, until);
            let all = made(&sensors, Timestamp::MAX);
            let known = made(&sensors.before(origin), Timestamp::MAX);
            prop_assert_eq!(&known, &all.before(origin));
            prop_assert_eq!(&known, &made(&sensors, origin));
        }
    }
}
