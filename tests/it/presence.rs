//! Sensors that say off: the same edges by every way are the same readings, models and forecasts.

use std::path::Path;

use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::readings::{self, ReadOptions, Readings};
use serde_json::Value;

use crate::batch::{fitted_run, roomcast, said};
use crate::serve::client::{Server, registry, wait};
use crate::store::commands::ok;
use crate::store::place::{Numbers, Place, on_both};
use crate::stream::bench::{post, serve};

const UNTIL: &str = "2024-03-20 15:20:00";

/// Six weeks of a building in which every other sensor says off.
fn edges() -> Readings {
    let day = |text: &str| text.parse().unwrap();
    with_offs(roomcast_simulate::Building::new(23, 6, day("2024-02-05"), day("2024-03-22")).readings(), 11)
}

/// The same, of which every other sensor says off; some offs are lost, repeated, or on the whole hour.
pub fn with_offs(mut readings: Readings, seed: u64) -> Readings {
    let mut numbers = Numbers(seed + 1);
    for device in readings.devices.iter_mut().step_by(2) {
        let (mut ons, mut offs, mut last) = (Vec::new(), Vec::new(), Timestamp::MIN);
        for time in &device.times {
            // Motion within ten minutes goes on with what has begun.
            if time.saturating_sub(last) > 600 {
                ons.push(time);
                match numbers.below(8) {
                    0 => {}
                    1 => offs.push(time - time.rem_euclid(HOUR) + HOUR),
                    2 => offs.extend([time, time + 4000, time + 4100]),
                    _ => offs.push(time + 60 + numbers.below(9000) as i64),
                }
            }
            last = time;
        }
        offs.sort_unstable();
        offs.dedup();
        (device.times, device.offs) = (ons.into(), offs.into());
    }
    readings
}

/// The edges as CSV: out of order, some of them twice.
fn csv(readings: &Readings) -> String {
    let calendar = Calendar::default();
    let mut rows: Vec<String> = Vec::new();
    for device in &readings.devices {
        let row =
            |(time, on): (Timestamp, bool)| format!("{},{},{}\n", calendar.format(time), device.device, u8::from(on));
        rows.extend(device.edges().map(row));
    }
    rows.sort_by_key(|row| row.bytes().rev().collect::<Vec<_>>());
    let again: String = rows.iter().step_by(17).map(String::as_str).collect();
    format!("time,device,device_activated\n{}{again}", rows.concat())
}

fn content(path: &Path) -> Vec<u8> {
    let version = std::fs::read_to_string(path.join("current")).unwrap();
    std::fs::read(path.join(version.trim()).join("models.bin")).unwrap()
}

/// The bits of the probabilities of each device.
fn bits(forecast: &Value) -> Vec<(String, Vec<u64>)> {
    let hours = |device: &Value| -> Vec<u64> {
        device["hours"].as_array().unwrap().iter().map(|h| h["probability"].as_f64().unwrap().to_bits()).collect()
    };
    let devices = forecast["devices"].as_array().unwrap();
    devices.iter().map(|device| (device["device"].as_str().unwrap().to_owned(), hours(device))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_edges_by_every_way_give_the_same_bits() {
    let (dir, calendar, expected) = (tempfile::tempdir().unwrap(), Calendar::default(), edges());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, text) = (path("edges.csv"), csv(&expected));
    std::fs::write(&file, &text).unwrap();
    let read = |input: &str| readings::read(&[input.into()], &ReadOptions::default(), &calendar).unwrap().0;
    assert_eq!(read(&file), expected);

    // One machine, and processes of their own as Spark starts them.
    ok(&["train", "--input", &file, "--until", UNTIL, "--models", &path("one")]);
    let until = calendar.parse(UNTIL).unwrap();
    let run = fitted_run(&expected.before(until).devices, UNTIL);
    let run = run.path().join("run");
    let published = roomcast(&["publish", "--run", run.to_str().unwrap(), "--models", &path("spark")], Vec::new());
    assert!(published.status.success(), "{}", said(&published));
    assert!(content(Path::new(&path("one"))) == content(Path::new(&path("spark"))), "other models than on one machine");

    let predict = |input: &str| -> Value {
        let args = ["predict", UNTIL, input, "-", "--models", &path("one"), "--format", "json"];
        serde_json::from_str(&ok(&args)).unwrap()
    };
    let forecast = bits(&predict(&file));
    assert_eq!(forecast.len(), 6);
    let check = async |place: Place| {
        // A store from the file, and back to a file, before and after packing.
        ok(&["import", "--store", &place.url, &file, "--batch", "900"]);
        assert_eq!(place.open().await.load(None).await.unwrap().0, expected);
        assert_eq!(bits(&predict(&place.url)), forecast);
        ok(&["store", "pack", "--store", &place.url]);
        assert_eq!(place.open().await.load(None).await.unwrap().0, expected);
        let target = place.dir.path().join("export");
        ok(&["export", "--store", &place.url, "--output", target.to_str().unwrap()]);
        let parquet = target.join("readings-0001-of-0001.parquet");
        assert_eq!(read(parquet.to_str().unwrap()), expected);
        assert_eq!(bits(&predict(parquet.to_str().unwrap())), forecast);
    };
    on_both(check).await;

    // Bodies, into a store that is served.
    let place = Place::sqlite();
    let server = Server::with(&["--store", &place.url, "--models", &path("one")], &[]);
    let mut rows = text.lines();
    let head = rows.next().unwrap();
    for part in rows.collect::<Vec<_>>().chunks(5000) {
        let body = format!("{head}\n{}\n", part.join("\n"));
        assert_eq!(post(&server, "text/csv", &[], body.as_bytes()).status, 200);
    }
    let at = UNTIL.replace(' ', "T");
    let served = || bits(&server.get(&format!("/predict?at={at}")).json());
    wait("the forecast of all edges", || server.get("/devices").status == 200 && served() == forecast);
    assert_eq!(place.open().await.load(None).await.unwrap().0, expected);
    // The same as a history in a body.
    let history = server.ask(
        "POST",
        &format!("/predict?at={at}"),
        &["Authorization: Bearer r-token", "Content-Type: text/csv"],
        text.as_bytes(),
    );
    assert_eq!(bits(&history.json()), forecast);
}

#[test]
fn a_sensor_that_is_still_on_occupies_the_running_hour_without_a_new_reading() {
    let (models, place, calendar) = (registry(), Place::sqlite(), Calendar::default());
    let server = serve(&place.url, &models, &[]);
    let now = calendar.now();
    let row = |time: i64, device: &str, on: u8| format!("{},{device},{on}\n", calendar.format(time));
    let begun = now - 3 * HOUR;
    let rows = [
        row(now - 30 * HOUR, "room", 1),
        row(now - 29 * HOUR, "room", 0),
        row(begun, "room", 1),
        row(begun, "hall", 1),
    ];
    let body = format!("time,device,device_activated\n{}", rows.concat());
    assert_eq!(post(&server, "text/csv", &[], body.as_bytes()).status, 200);
    let states = |device: &str| -> Vec<String> {
        let from = calendar.format(calendar.start(calendar.hour(begun))).replace(' ', "+");
        let past = server.get(&format!("/devices/{device}/history?from={from}"));
        let Some(hours) = past.json()["hours"].as_array().cloned() else { return Vec::new() };
        hours.iter().map(|hour| hour["state"].as_str().unwrap_or("none").to_owned()).collect()
    };
    wait("the room in use", || states("room").iter().filter(|state| *state == "occupied").count() == 4);
    // A pulse says nothing about the hours after it.
    assert_eq!(states("hall").iter().filter(|state| *state == "occupied").count(), 1);
    // The end of it.
    let off = format!("time,device,device_activated\n{}", row(begun + 600, "room", 0));
    assert_eq!(post(&server, "text/csv", &[], off.as_bytes()).json()["no_motion"], 1);
    wait("the room left", || (1..=2).contains(&states("room").iter().filter(|state| *state == "occupied").count()));
}

#[test]
fn inspect_says_which_sensors_say_off_and_which_are_stuck() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("edges.csv");
    let days = |row: &dyn Fn(u32) -> String| (4..9).map(row).collect::<String>();
    let office = days(&|day| format!("2024-03-{day:02} 09:05:00,office,on\n2024-03-{day:02} 12:40:00,office,off\n"));
    let pulses = days(&|day| format!("2024-03-{day:02} 09:05:00,hall,1\n"));
    let stuck = days(&|day| format!("2024-03-{day:02} 09:05:00,cellar,1\n2024-03-{day:02} 23:00:00,cellar,0\n"));
    std::fs::write(&file, format!("time,device,device_activated\n{office}{pulses}{stuck}")).unwrap();
    let report: Value = serde_json::from_str(&ok(&["inspect", "--json", file.to_str().unwrap()])).unwrap();
    let of = |device: &Value| {
        let hours = device["occupied_hours_per_workday"].as_f64().unwrap();
        (device["device"].as_str().unwrap().to_owned(), hours, device["says_off"] == true, device["stuck"] == true)
    };
    let found: Vec<_> = report["profile"]["devices"].as_array().unwrap().iter().map(of).collect();
    let expected = [("cellar", 13.0, true, true), ("hall", 1.0, false, false), ("office", 4.0, true, false)];
    assert_eq!(found, expected.map(|(name, hours, off, stuck)| (name.to_owned(), hours, off, stuck)));
    let text = ok(&["inspect", file.to_str().unwrap()]);
    let line = |device: &str| text.lines().find(|line| line.starts_with(device)).unwrap().to_owned();
    assert!(line("office").contains("on to off") && line("hall").contains("pulses"), "{text}");
    assert!(line("cellar").contains("stuck on"), "{text}");
    // A shorter cap.
    let report: Value =
        serde_json::from_str(&ok(&["inspect", "--json", "--max-presence", "2", file.to_str().unwrap()])).unwrap();
    assert_eq!(report["profile"]["devices"][2]["occupied_hours_per_workday"], 3.0);
}
