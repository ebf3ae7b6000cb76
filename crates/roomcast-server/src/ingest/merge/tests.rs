use std::collections::BTreeSet;

use super::*;
use roomcast_forecast::readings::{Readings, in_order};
use roomcast_forecast::rooms::Assignment;

const START: Timestamp = 20_000 * 24 * HOUR;

/// Sensors a and b in two rooms of floor 1, c on floor 2, d on no floor. After noon b is on floor 2.
fn table() -> Rooms {
    let row = |sensor: &str, floor: Option<&str>, from, to| Assignment {
        sensor: sensor.into(),
        room: format!("{sensor} {}", floor.unwrap_or_default()),
        floor: floor.map(str::to_owned),
        building: None,
        from,
        to,
    };
    let noon = Some(START + 12 * HOUR);
    let rows = vec![
        row("a", Some("1"), None, None),
        row("b", Some("1"), None, noon),
        row("b", Some("2"), noon, None),
        row("c", Some("2"), None, None),
        row("d", None, None, None),
    ];
    Rooms::new(rows).unwrap()
}

fn merger() -> Merger {
    Merger::new(table(), Level::Floor, Calendar::default())
}

fn event(sensor: &str, time: i64, kind: Kind) -> Event {
    Event { device: sensor.into(), time: START + time, kind, id: Some(format!("{sensor}-{time}")) }
}

/// The stored events, as floor, kind and seconds.
fn stored(merge: &Merge) -> Vec<(&str, Kind, i64)> {
    merge.batch.events.iter().map(|event| (event.device.as_str(), event.kind, event.time - START)).collect()
}

#[test]
fn floors_get_the_motion_of_their_sensors_and_nothing_else() {
    let mut merger = merger();
    let refused =
        vec![roomcast_storage::readings::Refused { source: "mqtt".into(), payload: "a".into(), reason: "a".into() }];
    let events = vec![
        event("a", 60, Kind::Motion),
        event("b", 60, Kind::Motion),
        event("c", 60, Kind::Off),
        event("d", 60, Kind::Motion),
        event("x", 60, Kind::Motion),
    ];
    let merge = merger.merge(&Batch { events, refused }, START);
    assert_eq!(stored(&merge), [("1", Kind::Motion, 60), ("1", Kind::Rest, 60), ("2", Kind::Rest, 60)]);
    assert!(merge.batch.refused.is_empty() && merge.batch.events.iter().all(|event| event.id.is_none()));
    let [none, again] = [Verdict::NoMotion, Verdict::Duplicate].map(Err);
    assert_eq!(merge.verdicts, [Ok(0), again, none, none, none]);
    assert_eq!(merger.rooms.series(Level::Floor).collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn an_interval_counts_in_each_of_its_hours_also_while_it_lasts() {
    let mut merger = merger();
    let mut merge = |events: Vec<Event>, now: i64| {
        let merge = merger.merge(&Batch { events, refused: Vec::new() }, START + now);
        let motion = merge.batch.events.iter().filter(|event| event.kind == Kind::Motion);
        motion.map(|event| (event.time - START) / 60).collect::<Vec<_>>()
    };
    // The first `off` says of which kind the sensor is.
    assert_eq!(merge(vec![event("a", 600, Kind::Off)], 700), [0; 0]);
    assert_eq!(merge(vec![event("a", HOUR + 300, Kind::Motion)], HOUR + 310), [65]);
    // Another sensor speaks, while this one is still on.
    assert_eq!(merge(vec![event("c", 3 * HOUR + 60, Kind::Rest)], 3 * HOUR + 90), [65, 120, 180]);
    assert_eq!(merge(vec![event("c", 3 * HOUR + 80, Kind::Rest)], 3 * HOUR + 95), [0; 0]);
    assert_eq!(merge(vec![event("a", 4 * HOUR + 1800, Kind::Off)], 4 * HOUR + 1801), [65, 120, 180, 240, 270]);
}

#[test]
fn a_floor_has_the_instants_of_the_series_of_its_rooms() {
    let mut state = 1_u64;
    let mut dice = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..500 {
        // Some edges are on whole hours, and some in the same second.
        let mut time = || if dice(3) == 0 { HOUR * dice(30) as i64 } else { 300 * dice(360) as i64 };
        let times: Vec<i64> = (0..40).map(|_| time()).collect();
        let mut edges: Vec<_> = times.into_iter().map(|time| (time, dice(4) as usize, dice(2) == 0)).collect();
        edges.truncate(1 + dice(40) as usize);
        let cuts: Vec<usize> = (0..dice(6)).map(|_| dice(60) as usize).collect();
        // In order of time, as they arrive; in the end each sensor says `off`.
        edges.extend((0..4).map(|sensor| (31 * HOUR, sensor, false)));
        edges.sort();
        let names = ["a", "b", "c", "d"];
        let events: Vec<Event> = edges
            .iter()
            .map(|&(time, sensor, is_on)| event(names[sensor], time, if is_on { Kind::Motion } else { Kind::Off }))
            .collect();
        let mut merger = merger();
        let mut found: BTreeSet<(String, Timestamp)> = BTreeSet::new();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).chain([0, events.len()]).collect();
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            let batch = Batch { events: events[pair[0]..pair[1]].to_vec(), refused: Vec::new() };
            let merge = merger.merge(&batch, START + 1000 * HOUR);
            let motion = merge.batch.events.into_iter().filter(|event| event.kind == Kind::Motion);
            found.extend(motion.map(|event| (event.device, event.time)));
        }
        let of = |sensor: usize, on: bool| {
            edges.iter().filter(|edge| edge.1 == sensor && edge.2 == on).map(|edge| START + edge.0).collect()
        };
        let device = |at: usize| DeviceReadings { device: names[at].into(), times: of(at, true), offs: of(at, false) };
        let sensors: Readings = in_order((0..4).map(device).collect());
        let calendar = Calendar::default();
        let floors = table().readings(&sensors, Level::Floor, &calendar, Timestamp::MAX);
        let expected: BTreeSet<(String, Timestamp)> = floors
            .devices
            .iter()
            .flat_map(|floor| {
                let times = floor.presence(&calendar, Timestamp::MAX).times;
                times.iter().map(|time| (floor.device.clone(), time)).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, expected, "{edges:?}");
    }
}
