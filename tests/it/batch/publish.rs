//! Runs that are taken over, once and whole, and runs that are not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use super::{UNTIL, part, roomcast, run, run_of, said, sample};

fn publish(run: &Path, models: &Path, more: &[&str]) -> Result<Value, String> {
    let args = ["publish", "--json", "--run", run.to_str().unwrap(), "--models", models.to_str().unwrap()];
    let output = roomcast(&[&args, more].concat(), Vec::new());
    match output.status.code() {
        Some(0) => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        code => {
            assert_eq!(code, Some(1));
            Err(said(&output))
        }
    }
}

fn train(models: &Path, until: &str) -> String {
    let (input, models) = (sample(), models.to_str().unwrap());
    let output =
        roomcast(&["train", "--input", input.to_str().unwrap(), "--until", until, "--models", models], Vec::new());
    assert!(output.status.success(), "{}", said(&output));
    current(models.as_ref())
}

fn current(models: &Path) -> String {
    fs::read_to_string(models.join("current")).unwrap().trim().to_owned()
}

/// Every file with what is in it.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(content(&entry));
        } else {
            files.insert(entry.clone(), fs::read(entry).unwrap());
        }
    }
    files
}

/// A copy of the sample's run to do something to.
fn copy() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("run");
    for (path, bytes) in content(&run().join("run")) {
        let to = copy.join(path.strip_prefix(run().join("run")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    (dir, copy)
}

#[test]
fn a_run_is_what_train_makes_and_is_published_once() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (place.path().join("one"), place.path().join("other"));
    let version = train(&one, UNTIL);
    let report = publish(&run().join("run"), &other, &[]).unwrap();
    assert_eq!((report["version"].as_str(), report["activated"].as_bool()), (Some(version.as_str()), Some(true)));
    assert_eq!(current(&other), version);
    let models = |registry: &Path| fs::read(registry.join(&version).join("models.bin")).unwrap();
    assert!(models(&one) == models(&other), "other models than on one machine");
    let before = content(&other);
    let report = publish(&run().join("run"), &other, &[]).unwrap();
    assert_eq!(report["note"], "published before");
    assert_eq!(content(&other), before);
}

#[test]
fn a_run_that_has_not_ended_or_is_damaged_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let version = train(place.path(), "2016-08-11 00:00:00");
    let before = content(place.path());
    let refused = |change: &dyn Fn(&Path), expected: &str| {
        let (_keep, run) = copy();
        change(&run);
        let error = publish(&run, place.path(), &["--max-age", "1h"]).unwrap_err();
        assert!(error.contains(expected), "{error} instead of {expected}");
    };
    let remove = |path: PathBuf| fs::remove_file(path).unwrap();
    refused(&|run| remove(run.join("devices/_SUCCESS")), "has not ended");
    refused(&|run| remove(run.join("site/_SUCCESS")), "has not ended");
    let file = |run: &Path, at: usize| run.join(format!("devices/part-{at:05}.snappy.parquet"));
    refused(&|run| remove(file(run, 1)), "3 devices with");
    refused(&|run| fs::copy(file(run, 0), file(run, 7)).map(drop).unwrap(), "occurs twice");
    refused(&|run| fs::write(file(run, 0), &fs::read(file(run, 0)).unwrap()[..900]).unwrap(), "part-00000");
    refused(&|run| remove(run.join("site/part-00000.snappy.parquet")), "0 sites where one is expected");
    // Every column with another value in its first row, as if it had been changed on the way.
    let changed = |first: Column| {
        move |run: &Path| {
            let path = file(run, 0);
            let mut frame = ParquetReader::new(fs::File::open(&path).unwrap()).finish().unwrap();
            let rest = frame.column(first.name()).unwrap().slice(1, usize::MAX).cast(first.dtype()).unwrap();
            let mut column = first.clone();
            column.append(&rest).unwrap();
            frame.with_column(column).unwrap();
            part(&mut frame, &run.join("devices"), 0);
        }
    };
    let number = |name: &str, value: i64| Column::new(name.into(), [value]);
    let text = |name: &str, value: &str| Column::new(name.into(), [value]);
    refused(&changed(Column::new("model".into(), [&[0_u8; 40][..]])), "the model is damaged");
    refused(&changed(text("sha256", &"0".repeat(64))), "the model is damaged");
    refused(&changed(text("site_sha256", &"0".repeat(64))), "another site");
    refused(&changed(number("cutoff", 1)), "its cutoff is not the site's");
    refused(&changed(number("last_reading", i64::MAX)), "not before its cutoff");
    refused(&changed(number("rows", 1)), "its scores are not those in the model");
    refused(&changed(number("hours", 1)), "hours of motion, where the site has 7 with");
    refused(&changed(text("device", "a\nb")), "without control characters");
    refused(&changed(text("rows", "many")), "column rows: expected i64");
    assert_eq!(content(place.path()), before);
    assert_eq!(current(place.path()), version);
}

#[test]
fn a_challenger_is_judged_on_what_neither_has_seen() {
    let place = tempfile::tempdir().unwrap();
    let champion = train(place.path(), "2016-08-11 00:00:00");
    let input = sample();
    let judged = ["--max-age", "90d", "--input", input.to_str().unwrap()];
    let wrong = run_of(true);
    let report = publish(&wrong.path().join("run"), place.path(), &judged).unwrap();
    assert_eq!(report["site"]["promoted"], false, "{report}");
    assert!(report["site"]["judged"]["days"].as_u64().unwrap() >= 10, "{report}");
    assert_eq!((report["version"].as_str(), current(place.path())), (None, champion.clone()));
    // Without readings nothing can be said, and the champion is not over age.
    let report = publish(&run().join("run"), place.path(), &["--max-age", "90d"]).unwrap();
    assert_eq!((report["site"]["promoted"].as_bool(), current(place.path())), (Some(false), champion.clone()));
    let before = content(place.path());
    let dry = publish(&run().join("run"), place.path(), &[&judged[..], &["--dry-run"]].concat()).unwrap();
    assert_eq!((dry["site"]["promoted"].as_bool(), content(place.path())), (Some(true), before));
    let report = publish(&run().join("run"), place.path(), &judged).unwrap();
    assert_eq!(
        (report["site"]["promoted"].as_bool(), report["activated"].as_bool()),
        (Some(true), Some(true)),
        "{report}"
    );
    assert_eq!(report["champion"].as_str(), Some(champion.as_str()));
    assert_eq!(report["version"].as_str(), Some(current(place.path()).as_str()));
    assert_eq!(report["judged_from"].as_str(), Some("2016-08-20T12:30:00"));
    // Over age it is replaced without.
    let again = tempfile::tempdir().unwrap();
    train(again.path(), "2016-08-11 00:00:00");
    let report = publish(&run().join("run"), again.path(), &["--max-age", "7d"]).unwrap();
    assert_eq!((report["site"]["reason"].as_str(), report["activated"].as_bool()), (Some("over_age"), Some(true)));
}
