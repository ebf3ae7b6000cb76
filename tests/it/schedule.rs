//! `roomcast schedule`, from outside.

use assert_cmd::Command;
use predicates::prelude::*;
use roomcast_forecast::calendar::{Calendar, HOUR};
use serde_json::Value;

/// The shipped readings, July and August 2016.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/device_activations.csv");

fn schedule(line: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("roomcast");
    command.args(["schedule", "2016-08-24 23:59:59", "--input", DATA]).args(line.split_whitespace());
    command
}

fn stdout(line: &str) -> String {
    String::from_utf8(schedule(line).assert().success().get_output().stdout.clone()).expect("text")
}

#[test]
fn every_format_has_the_same_blocks() {
    let json: Value = serde_json::from_str(&stdout("--preheat 45m --format json")).expect("JSON");
    let promise = &json["promise"];
    assert_eq!((promise["max_missed"].as_f64(), promise["source"].as_str()), (Some(0.05), Some("forecasts")));
    assert!(promise["lately"]["occupied_hours"].as_u64() > Some(100), "{promise}");
    assert_eq!(json["rule"]["preheat_seconds"].as_i64(), Some(2700));
    let devices = json["devices"].as_array().expect("devices");
    let blocks: Vec<&Value> = devices.iter().flat_map(|device| device["blocks"].as_array().expect("blocks")).collect();
    let csv = stdout("--preheat 45m --format csv");
    assert_eq!(csv.lines().count(), 1 + blocks.len());
    let first = blocks[0]["start"].as_str().expect("a time").replace('T', " ");
    assert!(csv.lines().nth(1).expect("a block").contains(&first), "{csv}");
    let calendar: icalendar::Calendar = stdout("--preheat 45m --format ics").parse().expect("a calendar");
    assert_eq!(calendar.events().count(), blocks.len());
    let text = stdout("--preheat 45m");
    assert!(text.contains("24 hours from Thursday 2016-08-25 00:00"), "{text}");
    assert!(devices.iter().all(|device| text.contains(device["device"].as_str().expect("a name"))), "{text}");
    assert!(text.contains("promise is to miss at most 5.0 % of the occupied hours"), "{text}");
}

#[test]
fn a_stricter_promise_is_on_longer_and_other_rules_make_none() {
    let hours = |line: &str| {
        let json: Value = serde_json::from_str(&stdout(&format!("--format json {line}"))).expect("JSON");
        (json["hours_on"].as_f64().expect("hours"), json["promise"]["scope"].as_str().map(str::to_owned))
    };
    let (usual, scope) = hours("");
    assert_eq!(scope.as_deref(), Some("site"));
    assert!(hours("--max-missed 1%").0 > usual);
    assert_eq!(hours("--promise room").1.as_deref(), Some("room"));
    assert_eq!(hours("--threshold 0.5").1, None);
    assert_eq!(hours("--cost-miss 3 --cost-waste 1").1, None);
    // Nobody is expected on a day that was given as closed.
    assert_eq!(hours("--closed 2016-08-25").0, 0.0);
    let closed = stdout("--closed 2016-08-25");
    assert!(closed.contains("7 rooms on for 0.0 hours"), "{closed}");
}

#[test]
fn a_schedule_takes_dates_and_days_to_come_as_a_forecast_does() {
    let run = |args: &[&str]| {
        let output = assert_cmd::cargo::cargo_bin_cmd!("roomcast").args(args).output().expect("the binary");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        (String::from_utf8(output.stdout).expect("text"), error)
    };
    let plan =
        |at: &str, input: &str| run(&["schedule", at, "--input", input, "--threshold", "0.5", "--format", "json"]).0;
    assert_eq!(plan("2016-08-25", DATA), plan("2016-08-25 00:00:00", DATA));

    // A room that is used from 9 to 17 every day, until now.
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("readings.csv");
    let now = Calendar::default().now();
    let midnight = now - now.rem_euclid(86_400);
    let times = (-30 * 24..24).filter(|hour: &i64| (9..17).contains(&hour.rem_euclid(24)));
    let times = times.map(|hour| midnight + hour * HOUR).filter(|&time| time < now);
    let rows: String = times.map(|time| format!("{},hall,1\n", Calendar::default().format(time))).collect();
    std::fs::write(&file, format!("time,device,device_activated\n{rows}")).expect("a file");
    let input = file.to_str().expect("a path in UTF-8");
    let json: Value = serde_json::from_str(&plan("tomorrow", input)).expect("JSON");
    let tomorrow = Calendar::default().format(midnight + 24 * HOUR);
    let block = &json["devices"][0]["blocks"][0]["start"];
    assert!(block.as_str().is_some_and(|start| start.starts_with(&tomorrow[..10])), "{json}");
    let (text, _) = run(&["schedule", "tomorrow", "--input", input]);
    assert!(text.contains(&format!("{} 00:00", &tomorrow[..10])), "{text}");
}

#[test]
fn what_cannot_be_planned_is_said() {
    for (line, message) in [
        ("--device device_9", "there are device_1, device_2, device_3, device_4, device_5, device_6, device_7\n"),
        ("--device devise_2", "did you mean \"device_2\"?"),
        ("--timetable mon-fri", "--timetable belongs to backtest and serve"),
        ("--preheat 13h", "at most 12h"),
        ("--max-missed 5", "such as 0.05 or 5%"),
        ("--promise room --threshold 0.5", "cannot be used with"),
    ] {
        schedule(line).assert().failure().stderr(predicate::str::contains(message));
    }
}
