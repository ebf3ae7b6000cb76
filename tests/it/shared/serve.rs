//! Servers of a shared registry: their forecasts are those of a server beside a directory, whatever becomes of the registry.

use std::path::Path;

use assert_cmd::cargo::cargo_bin;

use super::place::Shared;
use crate::serve::client::{Server, roomcast, wait};

/// Instants from which forecasts are asked for, and an hour after each.
const AT: [(&str, &str); 3] = [
    ("2026-03-20%2012:30:00", "2026-03-20%2014:00:00"),
    ("2026-03-21%2008:00:00", "2026-03-22%2007:00:00"),
    ("2026-03-22%2017:45:10", "2026-03-22%2018:00:00"),
];

/// Readings of a simulated building.
fn readings(place: &Path) -> String {
    let file = place.join("readings.parquet").display().to_string();
    let made = ["simulate", "--devices", "400", "--from", "2026-03-01", "--to", "2026-03-23", "--seed", "5"];
    let output = roomcast(&[&made[..], &["--output", &file]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

fn run(shared: &Shared, args: &[&str]) {
    let output =
        shared.command(cargo_bin!("roomcast")).args(args).env("ROOMCAST_MODELS", &shared.url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Two versions, the older current.
fn train(shared: &Shared, file: &str) -> [String; 2] {
    for until in ["2026-03-18 00:00:00", "2026-03-20 00:00:00"] {
        run(shared, &["train", "--input", file, "--until", until]);
    }
    let list =
        shared.command(cargo_bin!("roomcast")).args(["models", "list", "--json", "--models", &shared.url]).output();
    let list: serde_json::Value = serde_json::from_slice(&list.unwrap().stdout).unwrap();
    let versions = [1, 0].map(|at| list[at]["version"].as_str().unwrap().to_owned());
    run(shared, &["models", "activate", &versions[0]]);
    versions
}

fn start(shared: &Shared, file: &str) -> Server {
    let mut variables: Vec<(&str, &str)> =
        shared.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.push(("ROOMCAST_MODELS", &shared.url));
    Server::in_environment(&variables, &["--input", file], &[])
}

fn version(server: &Server) -> String {
    server.get("/models").json()["current"].as_str().unwrap_or_default().to_owned()
}

/// Asks both the same, and wants the same bytes.
fn compare(near: &Server, far: &Server, names: &[String]) {
    for (at, hour) in AT {
        let all = format!("/predict?format=csv&at={at}");
        let expected = near.get(&all);
        assert!(expected.status == 200 && expected.body.len() > 100_000);
        assert_eq!(far.get(&all).text(), expected.text());
        for name in [&names[0], &names[names.len() / 2], &names[names.len() - 1]] {
            for target in [
                format!("/predict?format=csv&device={name}&at={at}"),
                format!("/explain?device={name}&at={at}&hour={hour}"),
            ] {
                let (expected, found) = (near.get(&target), far.get(&target));
                assert_eq!((expected.status, found.text()), (200, expected.text()), "{target}");
            }
        }
    }
    let devices = |server: &Server| server.get("/devices").json()["devices"].clone();
    assert_eq!(devices(far), devices(near));
}

fn error(server: &Server) -> String {
    server.get("/models").json()["error"].as_str().unwrap_or_default().to_owned()
}

fn serves(mut shared: Shared) {
    let place = tempfile::tempdir().unwrap();
    let file = readings(place.path());
    let directory = Shared::directory();
    let versions = train(&directory, &file);
    assert_eq!(train(&shared, &file), versions, "the same models have the same name everywhere");
    let [old, new] = &versions;

    let (near, far) = (start(&directory, &file), start(&shared, &file));
    let names: Vec<String> = near.get("/devices").json()["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["device"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.len() > 390, "a few may be without a reading: {}", names.len());
    compare(&near, &far, &names);

    // A version that is made current is followed.
    for registry in [&directory, &shared] {
        run(registry, &["models", "activate", new]);
    }
    for server in [&near, &far] {
        wait("the new models", || version(server) == *new);
    }
    compare(&near, &far, &names);

    // A version with one wrong byte is refused whole: the server keeps the models it has, and one that starts takes the newest
    // version that is sound.
    for registry in [&directory, &shared] {
        run(registry, &["models", "activate", old]);
    }
    for server in [&near, &far] {
        wait("the old models", || version(server) == *old);
    }
    shared.damage(new);
    shared.make_current(new);
    wait("the damage", || error(&far).contains("checksum"));
    let refused = far.ask("POST", "/models/reload", &["Authorization: Bearer a-token"], b"");
    assert_eq!((refused.status, refused.code().as_str(), version(&far)), (409, "reload_failed", old.clone()));
    compare(&near, &far, &names);
    drop(far);
    let far = start(&shared, &file);
    assert_eq!(version(&far), *old);
    assert!(error(&far).contains("checksum"), "{}", error(&far));

    // While the registry is away every device goes on being answered.
    shared.cut_off();
    wait("the loss", || error(&far).contains("not available"));
    let refused = far.ask("POST", "/models/reload", &["Authorization: Bearer a-token"], b"");
    assert_eq!((refused.status, refused.code().as_str()), (503, "models_unavailable"));
    assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    compare(&near, &far, &names);
    assert_eq!(far.get("/healthz").status, 200);
}

#[test]
fn from_a_database() {
    if let Some(shared) = Shared::postgres() {
        serves(shared);
    }
}

#[test]
fn from_a_bucket() {
    if let Some(shared) = Shared::s3() {
        serves(shared);
    }
}
