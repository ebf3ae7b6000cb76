//! Rooms of several sensors, floors and buildings, from outside.

mod sensors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// The end of the readings.
const ORIGIN: &str = "2016-08-21 23:59:59";

fn roomcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = roomcast(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn fails(args: &[&str]) -> String {
    let output = roomcast(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// A folder with readings, and the paths in it as texts.
struct Site {
    folder: TempDir,
}

impl Site {
    /// Eight rooms on four floors with two sensors each, of two months.
    fn new() -> Site {
        let site = Site { folder: tempfile::tempdir().unwrap() };
        ok(&[
            "simulate",
            "--devices",
            "8",
            "--sensors-per-room",
            "2",
            "--floor-rooms",
            "2",
            "--faults",
            "0",
            "--to",
            "2016-08-25",
            "--output",
            &site.path("readings.csv"),
            "--rooms",
            &site.path("rooms.csv"),
        ]);
        site
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Forecasts with further options, and returns probability and state by name and time.
    fn predict(&self, options: &[&str]) -> BTreeMap<(String, String), (f64, bool)> {
        let (input, rooms) = (self.path("readings.csv"), self.path("rooms.csv"));
        let base = ["predict", ORIGIN, &input, "-", "--probabilities", "--rooms", &rooms];
        let csv = ok(&[&base[..], options].concat());
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            ((cells[1].to_owned(), cells[0].to_owned()), (cells[3].parse().unwrap(), cells[2] == "1"))
        };
        csv.lines().skip(1).map(row).collect()
    }
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv")
}

#[test]
fn a_room_of_one_sensor_is_forecast_as_a_device_of_its_name_is_to_the_last_bit() {
    let site = Site { folder: tempfile::tempdir().unwrap() };
    let readings = std::fs::read_to_string(sample()).unwrap();
    let (header, rows) = readings.split_once('\n').unwrap();
    let renamed = site.write("renamed.csv", &format!("{header}\n{}", rows.replace("device_", "room_")));
    let (input, time) = (sample(), "2016-08-24 23:59:59");
    let input = input.to_str().unwrap();
    let table = |name: &str, floor: &str| {
        let rows: String = (1..=7).map(|n| format!("device_{n},{name}_{n},{floor}\n")).collect();
        site.write("rooms.csv", &format!("sensor,room,floor\n{rows}"))
    };
    let predict =
        |input: &str, options: &[&str]| ok(&[&["predict", time, input, "-", "--probabilities"], options].concat());
    let with = |name: &str, floor: &str| predict(input, &["--rooms", &table(name, floor)]);
    // A name decides which rows a device learns from, so another name is another forecast, by a little.
    assert_eq!(with("device", "first"), predict(input, &[]));
    assert_eq!(with("room", "first"), predict(&renamed, &[]));
    // What is known of floors changes nothing about rooms.
    assert_eq!(with("room", ""), with("room", "first"));
}

#[test]
fn floors_and_buildings_are_at_least_as_likely_as_what_they_hold() {
    let site = Site::new();
    let (rooms, floors, building) =
        (site.predict(&[]), site.predict(&["--level", "floor"]), site.predict(&["--level", "building"]));
    assert_eq!((rooms.len(), floors.len(), building.len()), (8 * 24, 4 * 24, 24));
    for ((room, time), (probability, occupied)) in &rooms {
        let number: usize = room.trim_start_matches("device_").parse().unwrap();
        let floor = floors[&(format!("floor_{}", number.div_ceil(2)), time.clone())];
        assert!(floor.0 >= *probability && floor.1 >= *occupied, "{room} {time}");
    }
    for ((floor, time), (probability, occupied)) in &floors {
        let whole = building[&("building".into(), time.clone())];
        assert!(whole.0 >= *probability && whole.1 >= *occupied, "{floor} {time}");
    }
    // At noon somebody is in the building, and not surely on each floor.
    let noon = "2016-08-22 12:00:00";
    let lowest = floors.iter().filter(|((_, time), _)| time == noon).map(|(_, hour)| hour.0).fold(1.0, f64::min);
    assert!(building[&("building".into(), noon.into())].0 > lowest);
}

#[test]
fn saved_models_forecast_each_level_as_fitted_ones_do() {
    let site = Site::new();
    let (input, rooms, models) = (site.path("readings.csv"), site.path("rooms.csv"), site.path("models"));
    let trained = ok(&["train", "--input", &input, "--rooms", &rooms, "--models", &models, "--until", ORIGIN]);
    assert!(trained.contains("floors       4, each with models of its own\nbuildings    1, each"), "{trained}");
    for level in ["room", "floor", "building"] {
        let saved = site.predict(&["--level", level, "--models", &models]);
        assert_eq!(saved, site.predict(&["--level", level]), "{level}");
    }
    assert!(ok(&["models", "show", "--models", &models]).contains("rooms"));
    // Without the rooms the names would mean something else.
    let error = fails(&["predict", ORIGIN, &input, "-", "--models", &models]);
    assert!(
        error.contains("trained on rooms of several sensors, used without --rooms") && error.contains("hint:"),
        "{error}"
    );
    let plain = site.path("plain");
    ok(&["train", "--input", &input, "--models", &plain, "--until", ORIGIN]);
    let error = fails(&["predict", ORIGIN, &input, "-", "--models", &plain, "--rooms", &rooms]);
    assert!(error.contains("trained without --rooms, used with it"), "{error}");
    let report = ok(&["retrain", "--input", &input, "--models", &plain, "--rooms", &rooms, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["refused"].as_str().unwrap().contains("trained without --rooms"), "{report}");
    assert_eq!(report["activated"], true);
    assert_eq!(site.predict(&["--level", "floor", "--models", &plain]).len(), 4 * 24);
}

#[test]
fn a_level_that_is_not_there_is_an_error_that_says_what_is_missing() {
    let site = Site { folder: tempfile::tempdir().unwrap() };
    let input = sample();
    let base = ["predict", "2016-08-24 23:59:59", input.to_str().unwrap(), "-"];
    let error = fails(&[&base[..], &["--level", "floor"]].concat());
    assert!(error.contains("there are no floors\nhint: --rooms names a file"), "{error}");
    assert_eq!(ok(&[&base[..], &["--level", "building"]].concat()).lines().count(), 25);
    let rooms = site.write("rooms.csv", "sensor,room,from\ndevice_1,A,soon\n");
    let error = fails(&[&base[..], &["--rooms", &rooms]].concat());
    assert!(error.contains("rooms.csv: line 2, column from: expected a date as YYYY-MM-DD"), "{error}");
    let error = fails(&[&base[..], &["--rooms", &site.path("none.csv")]].concat());
    assert!(error.contains("none.csv: no such file"), "{error}");
    let rooms = site.write("rooms.csv", "sensor,room\ndevice_1,Kitchen\ndevice_2,Kitchen\ndevice_70,Lab\n");
    let error = fails(&[&base[..], &["--rooms", &rooms, "--device", "Kitchn"]].concat());
    assert!(error.contains("did you mean \"Kitchen\"?"), "{error}");
    let output = roomcast(&[&base[..], &["--rooms", &rooms]].concat());
    let said = text(&output.stderr);
    assert!(said.contains("5 sensors are not in it, each is its own room: device_3, device_4"), "{said}");
    assert!(said.contains("1 sensor of the table of rooms has no readings") && said.contains("device_70"), "{said}");
}

#[test]
fn inspect_shows_rooms_and_a_dead_sensor_that_does_not_make_its_room_unknown() {
    let site = Site::new();
    // The second sensor of the third room dies after a month.
    let all = site.read("readings.csv");
    let is_kept = |line: &&str| !line.contains("device_3/sensor_2") || *line < "2016-08-01";
    let kept: String = all.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    let input = site.write("dead.csv", &kept);
    let rooms = site.path("rooms.csv");
    let shown = ok(&["inspect", &input, "--rooms", &rooms]);
    let line = shown.lines().find(|line| line.starts_with("device_3 ")).unwrap();
    assert!(line.contains("floor_2") && line.ends_with("dead: device_3/sensor_2"), "{shown}");
    let json = ok(&["inspect", &input, "--rooms", &rooms, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let room = &value["rooms"]["rooms"][2];
    assert_eq!((&room["room"], &room["dead"][0]), (&"device_3".into(), &"device_3/sensor_2".into()), "{room}");
    let json = ok(&["predict", ORIGIN, &input, "-", "--rooms", &rooms, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let room = &value["devices"][2];
    assert_eq!((&room["device"], &room["status"]), (&"device_3".into(), &"live".into()), "{json}");
}

#[test]
fn schedule_and_backtest_take_levels() {
    let site = Site::new();
    let (input, rooms) = (site.path("readings.csv"), site.path("rooms.csv"));
    let plan = ok(&["schedule", ORIGIN, "--input", &input, "--rooms", &rooms, "--level", "floor", "--format", "csv"]);
    assert!(plan.contains("floor_1") && !plan.contains("device_1"), "{plan}");
    let base = ["backtest", "--input", &input, "--rooms", &rooms, "--from", "2016-08-16", "--refit", "30d"];
    let report = ok(&[&base[..], &["--level", "floor", "--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let found = &report["independence"];
    assert_eq!(
        (&found["level"], found["hours"].as_u64()),
        (&"floor".into(), report["setup"]["hours"].as_u64()),
        "{found}"
    );
    assert_eq!(found["log_loss"], report["overall"]["forecasters"][0]["log_loss"], "{report}");
    let table = ok(&[&base[..], &["--level", "building"]].concat());
    assert!(table.contains("buildings beside the product 1 − ∏(1 − p) over their rooms"), "{table}");
}

#[test]
fn utilisation_counts_the_rooms_of_a_table_and_those_of_a_store() {
    let site = Site::new();
    let (input, rooms, store) = (site.path("readings.csv"), site.path("rooms.csv"), site.path("readings.db"));
    let counted = ok(&["utilisation", "--input", &input, "--rooms", &rooms, "--format", "csv"]);
    let sensors = ok(&["utilisation", "--input", &input, "--format", "csv"]);
    assert!(counted.contains("device_3,") && !counted.contains("sensor_2"), "{counted}");
    assert_eq!(sensors.lines().count() - counted.lines().count(), 8, "{sensors}");
    ok(&["import", &input, "--store", &store]);
    ok(&["store", "rooms", "--store", &store, "--set", &rooms]);
    assert_eq!(ok(&["utilisation", "--input", &store, "--format", "csv"]), counted);
    let floors = ok(&["utilisation", "--input", &store, "--level", "floor", "--format", "csv"]);
    let sum = |text: &str| -> u32 {
        text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse::<u32>().unwrap()).sum()
    };
    assert!(floors.contains("\nfloor_1,") && floors.contains("\nfloor_2,"), "{floors}");
    assert_eq!((floors.lines().count(), sum(&floors)), (5, sum(&counted)), "{floors}");
    let table = ok(&["utilisation", "--input", &store, "--level", "building"]);
    assert!(table.contains("\nbuilding ") && table.contains("building  "), "{table}");
    let none = roomcast(&["utilisation", "--input", &input, "--level", "floor"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("there are no floors"), "{none:?}");
}

#[test]
fn a_store_that_has_a_time_zone_is_not_said_to_have_none() {
    let site = Site { folder: tempfile::tempdir().unwrap() };
    let rooms = site.write("rooms.csv", "sensor,room\na,Kitchen\n");
    let set = |store: &str, zone: &[&str]| {
        roomcast(&[&["store", "rooms", "--store", &site.path(store), "--set", &rooms], zone].concat())
    };
    assert_eq!(text(&set("berlin.db", &["--timezone", "Europe/Berlin"]).stdout), "1 room stored\n");
    let refused = set("berlin.db", &[]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Europe/Berlin"), "{said}");
    assert!(!said.contains("the store has no time zone"), "{said}");
    let made = text(&set("none.db", &[]).stderr);
    assert!(made.contains("the store has no time zone"), "{made}");
}

#[test]
fn a_sensor_named_like_a_room_of_others_counts_there_and_is_warned_of() {
    let site = Site { folder: tempfile::tempdir().unwrap() };
    let input = sample();
    let input = input.to_str().unwrap();
    let rooms = site.write("rooms.csv", "sensor,room\ndevice_1,device_3\n");
    let output = roomcast(&["predict", "2016-08-24 23:59:59", input, "-", "--rooms", &rooms]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("rooms.csv: 1 room; 5 sensors are not in it"), "{said}");
    assert!(said.contains("count in the rooms that it gives their names") && said.contains("device_3"), "{said}");
    let both = site.write("both.csv", "sensor,room\ndevice_1,device_3\ndevice_3,device_3\n");
    let listed = roomcast(&["predict", "2016-08-24 23:59:59", input, "-", "--rooms", &both]);
    assert_eq!(text(&output.stdout), text(&listed.stdout));
    assert!(!text(&listed.stderr).contains("count in the rooms"), "{}", text(&listed.stderr));
    let json: serde_json::Value = serde_json::from_str(&ok(&["inspect", input, "--rooms", &rooms, "--json"])).unwrap();
    assert_eq!(json["rooms"]["rooms"][0]["sensors"], serde_json::json!(["device_1", "device_3"]));
    let shown = ok(&["inspect", input, "--rooms", &rooms]);
    assert!(
        shown.contains("1 sensor not in the table of rooms, counted in the room of the same name: device_3"),
        "{shown}"
    );
}
