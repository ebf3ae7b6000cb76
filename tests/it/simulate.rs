//! `roomcast simulate`, from outside.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use predicates::prelude::*;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{self, ReadOptions, Readings};

/// The command that made `data/device_activations.csv`, as data/README.md gives it.
const SHIPPED: &str = "simulate --kind offices --devices 7 --from 2016-07-01 --to 2016-08-31 --seed 31 --faults 0.4";

fn roomcast(line: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("roomcast");
    command.args(line.split_whitespace());
    command
}

/// What a command line that must succeed prints.
fn stdout(command: &mut Command) -> Vec<u8> {
    command.assert().success().get_output().stdout.clone()
}

fn read(path: &Path) -> Readings {
    let options = ReadOptions::STRICT;
    readings::read(&[path.to_owned()], &options, &Calendar::new(None)).unwrap().0
}

#[test]
fn the_shipped_file_is_what_its_command_makes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    assert!(fs::read_to_string(data.join("README.md")).unwrap().contains(SHIPPED));
    let shipped = fs::read(data.join("device_activations.csv")).unwrap();
    assert!(shipped.len() < 500_000);
    assert!(
        shipped == stdout(&mut roomcast(SHIPPED)),
        "data/device_activations.csv is not what `roomcast {SHIPPED}` makes"
    );
}

#[test]
fn threads_change_no_byte() {
    let line = "simulate --devices 120 --to 2016-07-20 --disorder 0.02 --faults 0.5";
    let with = |threads: &str| stdout(roomcast(line).env("RAYON_NUM_THREADS", threads));
    let one = with("1");
    assert!(one.len() > 1_000_000);
    assert!(one == with("3"));
    assert!(one != stdout(&mut roomcast(&format!("{line} --seed 2"))));
}

#[test]
fn each_kind_is_another_site() {
    let made = |kind: &str, threads: &str| {
        let line = format!("simulate {kind} --devices 60 --to 2016-07-12");
        stdout(roomcast(&line).env("RAYON_NUM_THREADS", threads))
    };
    let mut sites: Vec<Vec<u8>> = Vec::new();
    for kind in ["building", "offices", "meeting-rooms", "homes", "schools", "desks"] {
        let site = made(&format!("--kind {kind}"), "1");
        assert!(site.len() > 50_000, "{kind}: {} bytes", site.len());
        assert!(site == made(&format!("--kind {kind}"), "3"), "{kind}");
        assert!(!sites.contains(&site), "{kind}");
        sites.push(site);
    }
    assert!(sites[0] == made("", "2"), "without --kind");
    roomcast("simulate --kind castle").assert().code(2).stderr(predicate::str::contains("meeting-rooms"));
}

#[test]
fn csv_and_parquet_hold_the_same_readings() {
    let place = tempfile::tempdir().unwrap();
    let files = ["a.csv", "a.parquet", "parquet-by-option"].map(|name| place.path().join(name));
    for (file, option) in files.iter().zip(["", "", "--format parquet"]) {
        roomcast(&format!("simulate --devices 60 {option}"))
            .arg("--output")
            .arg(file)
            .assert()
            .success()
            .stdout("")
            .stderr(predicate::str::contains("60 devices, 62 days"));
    }
    let (csv, parquet) = (read(&files[0]), read(&files[1]));
    assert!(csv.len() > 50_000);
    assert_eq!(csv, parquet);
    assert!(fs::read(&files[1]).unwrap() == fs::read(&files[2]).unwrap());
}

#[test]
fn rows_have_the_contract_s_form_and_order() {
    let text = String::from_utf8(stdout(&mut roomcast("simulate --devices 12 --to 2016-07-15"))).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("time,device,device_activated"));
    let mut last = ("", "");
    for line in lines {
        let [time, device, activated] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(last <= (time, device), "{line}");
        assert_eq!(activated, "1");
        assert!(time.len() == 19 && device.starts_with("floor_01/room_00"), "{line}");
        last = (time, device);
    }
}

#[test]
fn the_truth_has_every_hour_of_every_device() {
    let place = tempfile::tempdir().unwrap();
    let truth = place.path().join("truth.csv");
    let line = "simulate --devices 3 --from 2016-08-15 --to 2016-08-16 --faults 0";
    let readings = String::from_utf8(stdout(roomcast(line).arg("--truth").arg(&truth))).unwrap();
    let truth = fs::read_to_string(truth).unwrap();
    let rows: Vec<&str> = truth.lines().collect();
    assert_eq!(rows.len(), 1 + 2 * 24 * 3);
    assert_eq!(rows[..3], ["time,device,occupied", "2016-08-15 00:00:00,device_1,0", "2016-08-15 00:00:00,device_2,0"]);
    assert!(rows[1..].iter().take(24 * 3).all(|row| row.ends_with(",0")), "15 August is a holiday");
    // A sound sensor fires only while somebody is there.
    for reading in readings.lines().skip(1) {
        let (hour, device) = (&reading[..13], reading.split(',').nth(1).unwrap());
        assert!(truth.contains(&format!("{hour}:00:00,{device},1")), "{reading}");
    }
}

#[test]
fn wrong_usage_is_told_and_writes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("readings.csv");
    roomcast("simulate --faults 2").assert().code(2).stderr(predicate::str::contains("a share from 0 to 1"));
    roomcast("simulate --to 2015-01-01 --output")
        .arg(&target)
        .assert()
        .failure()
        .stderr(predicate::str::contains("2015-01-01"));
    roomcast("simulate --output").arg(place.path()).assert().code(1).stderr(predicate::str::contains("is a directory"));
    let nowhere = place.path().join("no/such/place.csv");
    roomcast("simulate --output").arg(&nowhere).assert().code(1).stderr(predicate::str::contains("no/such/place.csv"));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_device_file_is_written_in_place() {
    roomcast("simulate --output /dev/null").assert().success();
    assert!(!Path::new("/dev/null").is_file());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for format in ["csv", "parquet"] {
        let line = format!("simulate --devices 200 --format {format}");
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("roomcast"))
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
