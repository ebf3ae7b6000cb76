//! A server that keeps nothing below a floor: no name of a sensor or room is in its store, models, answers, metrics or log.

use std::path::Path;

use serde_json::{Value, json};

use super::client::{Server, wait};
use crate::store::place::Place;
use crate::stream::bench::{post, time};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Words that nobody may find. Names of files and tests hold none of these words.
const SECRETS: [&str; 3] = ["anna", "berta", "chamber"];

const TABLE: &str = "sensor,room,floor\npir_anna,chamber A,1\npir_berta,chamber B,1\npir_c,chamber C,2\n";

/// Office hours of workdays, with `off`, of days from the first on; ids name the sensors.
fn readings(days: std::ops::Range<i64>) -> String {
    let mut rows = String::from("time,device,device_activated,id\n");
    for (day, hour) in days.filter(|day| day % 7 < 5).flat_map(|day| (0..9).map(move |hour| (day, hour))) {
        for (n, sensor) in ["pir_anna", "pir_berta", "pir_c"].into_iter().enumerate() {
            if (day * 7 + hour * 5 + 3 * n as i64) % 10 < 6 {
                let at = day * DAY + hour * HOUR + 60 * n as i64;
                rows += &format!("{},{sensor},1,{sensor}-{at}\n", time(at));
                rows += &format!("{},{sensor},0,{sensor}-{at}-off\n", time(at + 1000));
            }
        }
    }
    rows
}

fn serve(place: &Place, models: &Path, table: &Path, level: &str) -> Server {
    let args = ["--store", &place.url, "--models", models.to_str().unwrap()];
    let more = ["--rooms", table.to_str().unwrap(), "--level", level];
    Server::in_environment(&[("RUST_LOG", "debug"), ("ROOMCAST_LOG", "debug")], &args, &more)
}

/// Whether bytes hold one of the secrets, in any case.
fn reveals(bytes: &[u8]) -> Option<&'static str> {
    let lower = bytes.to_ascii_lowercase();
    SECRETS.into_iter().find(|secret| lower.windows(secret.len()).any(|found| found == secret.as_bytes()))
}

/// Checks all files below a directory.
fn check(dir: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += check(&path);
        } else {
            files += 1;
            assert_eq!(reveals(&std::fs::read(&path).unwrap()), None, "{}", path.display());
        }
    }
    files
}

#[test]
fn nothing_below_a_floor_is_stored_or_shown() {
    let (models, place, settings) = (tempfile::tempdir().unwrap(), Place::sqlite(), tempfile::tempdir().unwrap());
    let table = settings.path().join("rooms.csv");
    std::fs::write(&table, TABLE).unwrap();
    let server = serve(&place, models.path(), &table, "floor");
    let answer = post(&server, "text/csv", &[], readings(0..24).as_bytes());
    assert_eq!((answer.status, reveals(&answer.body)), (200, None), "{}", answer.text());
    assert!(answer.json()["stored"].as_u64().unwrap() > 200, "{}", answer.text());
    // A row that cannot be read, and one of a sensor that is on no floor.
    let rows = json!([{ "time": "soon", "device": "pir_anna" }, { "time": time(0), "device": "annas own" }]);
    let answer = post(&server, "application/json", &[], rows.to_string().as_bytes());
    assert_eq!((answer.json()["stored"].clone(), reveals(&answer.body)), (json!(0), None), "{}", answer.text());
    let version = || server.get("/predict").json()["model"]["version"].as_str().unwrap().to_owned();
    wait("models", || version() != "baseline");
    let devices = server.get("/devices").json()["devices"].clone();
    let names: Vec<&Value> = devices.as_array().unwrap().iter().map(|device| &device["device"]).collect();
    assert_eq!(names, [&json!("1"), &json!("2")]);
    let headers = ["Authorization: Bearer w-token", "Content-Type: text/csv"];
    assert_eq!(server.ask("PUT", "/rooms", &headers, TABLE.as_bytes()).code(), "rooms_given");
    for path in [
        "/devices",
        "/predict",
        "/predict?days=7",
        "/rooms",
        "/rooms?format=csv",
        "/alerts",
        "/metrics",
        "/models",
        "/schedule",
        "/schedule.ics",
        "/utilisation",
        "/ledger",
        "/devices/1",
        "/devices/1/history",
        "/readyz",
        "/openapi.json",
        "/",
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status < 500, reveals(&answer.body)), (true, None), "{path}");
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(server.log().contains("on no floor of --rooms"), "{}", server.log());
    assert_eq!(reveals(server.log().as_bytes()), None, "{}", server.log());
    drop(server);
    assert!(check(place.dir.path()) > 0 && check(models.path()) > 0);
    // The table itself would be found.
    assert_eq!(reveals(&std::fs::read(&table).unwrap()), Some("anna"));
    // The same store goes on at the same level, and is refused at another.
    drop(serve(&place, models.path(), &table, "floor"));
    let refused = super::client::roomcast(&[
        "serve",
        "--store",
        &place.url,
        "--models",
        models.path().to_str().unwrap(),
        "--level",
        "building",
        "--no-auth",
        "--port",
        "0",
    ]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("the store holds readings of 2 names that are no buildings"), "{error}");
}
