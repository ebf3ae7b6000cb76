//! Upgrades: what earlier releases wrote is read by this one. `scripts/upgrade-fixtures` writes the files of a release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::serve::client::{Server, copy_all, roomcast};
use serde_json::Value;

/// Largest mean distance from the forecast that the release itself made. Features may be mended between releases, but models
/// that are read as something else forecast something else.
const MAX_DISTANCE: f64 = 0.02;

/// A copy of what each release wrote, by version.
fn releases(to: &Path) -> Vec<(String, PathBuf)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/upgrade");
    let versions = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap());
    let copy = |entry: std::fs::DirEntry| {
        let version = entry.file_name().into_string().unwrap();
        copy_all(&entry.path(), &to.join(&version));
        (version.clone(), to.join(version))
    };
    versions.map(copy).collect()
}

fn run(args: &[&str]) -> String {
    let output = roomcast(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The probability of each hour and device in a file of a forecast.
fn chances(csv: &str) -> BTreeMap<(String, String), f64> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        ((cells[0].to_owned(), cells[1].to_owned()), cells[3].parse().unwrap())
    };
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn stores_and_models_of_every_release_are_read() {
    let place = tempfile::tempdir().unwrap();
    let releases = releases(place.path());
    assert!(releases.iter().any(|(version, _)| version == env!("CARGO_PKG_VERSION")), "run scripts/upgrade-fixtures");
    for (version, folder) in releases {
        let at = |name: &str| folder.join(name).display().to_string();
        let zone = ["--timezone", "Europe/Berlin"];
        let forecast = ["predict", "2026-07-03 06:00:00", &at("readings.db"), "-", "--models", &at("models")];
        let made = run(&[&forecast[..], &zone, &["--probabilities"]].concat());
        let (made, expected) =
            (chances(&made), chances(&std::fs::read_to_string(folder.join("forecast.csv")).unwrap()));
        assert!(made.len() == 72 && made.keys().eq(expected.keys()), "{version}");
        let distance = made.iter().map(|(key, chance)| (chance - expected[key]).abs()).sum::<f64>() / 72.0;
        assert!(distance <= MAX_DISTANCE, "{version}: {distance} from its own forecast");
        // By the models, and not by the rate that takes their place when they are refused.
        let json: Value = serde_json::from_str(&run(&[&forecast[..], &zone, &["--json"]].concat())).unwrap();
        let sources = json["devices"].as_array().unwrap().iter().map(|device| device["source"].clone());
        assert_eq!(sources.collect::<Vec<_>>(), ["model"; 3], "{version}");
    }
}

#[test]
fn a_server_goes_on_with_the_store_and_models_of_every_release() {
    let place = tempfile::tempdir().unwrap();
    for (version, folder) in releases(place.path()) {
        let at = |name: &str| folder.join(name).display().to_string();
        let store = at("readings.db");
        let arguments = ["--store", &store, "--models", &at("models"), "--timezone", "Europe/Berlin"];
        let server = Server::with(&arguments, &[]);
        let models = server.get("/models").json();
        let current = std::fs::read_to_string(folder.join("models/current")).unwrap();
        assert_eq!((models["current"].as_str(), models["error"].as_str()), (Some(current.trim()), None), "{version}");
        let row = br#"{"time":"2026-07-05T10:00:00+02:00","device":"device_1"}"#;
        let auth = ["Authorization: Bearer w-token", "Content-Type: application/x-ndjson"];
        let answer = server.ask("POST", "/readings", &auth, row);
        assert_eq!((answer.status, answer.json()["stored"].as_u64()), (200, Some(1)), "{version}: {}", answer.text());
        drop(server);
        let quarantined = run(&["store", "quarantine", "list", "--store", &store, "--timezone", "Europe/Berlin"]);
        assert!(quarantined.contains("yesterday"), "{version}: {quarantined}");
    }
}
