//! Servers that fetch a device's model when they are asked for it.

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

fn start(shared: &Shared, file: &str, cache: &str) -> Server {
    let mut variables: Vec<(&str, &str)> =
        shared.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.push(("ROOMCAST_MODELS", &shared.url));
    Server::in_environment(&variables, &["--input", file, "--model-cache", cache], &[])
}

fn version(server: &Server) -> String {
    server.get("/models").json()["current"].as_str().unwrap_or_default().to_owned()
}

/// Asks both the same, and wants the same bytes.
fn compare(whole: &Server, lazy: &Server, names: &[String]) {
    for (at, hour) in AT {
        let all = format!("/predict?format=csv&at={at}");
        let expected = whole.get(&all);
        assert!(expected.status == 200 && expected.body.len() > 100_000);
        assert_eq!(lazy.get(&all).text(), expected.text());
        for name in [&names[0], &names[names.len() / 2], &names[names.len() - 1]] {
            for target in [
                format!("/predict?format=csv&device={name}&at={at}"),
                format!("/explain?device={name}&at={at}&hour={hour}"),
            ] {
                let (expected, found) = (whole.get(&target), lazy.get(&target));
                assert_eq!((expected.status, found.text()), (200, expected.text()), "{target}");
            }
        }
    }
    let devices = |server: &Server| server.get("/devices").json()["devices"].clone();
    assert_eq!(devices(lazy), devices(whole));
}

fn metric(server: &Server, name: &str) -> f64 {
    let metrics = server.get("/metrics").text();
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn serves(mut shared: Shared) {
    let place = tempfile::tempdir().unwrap();
    let file = readings(place.path());
    let directory = Shared::directory();
    let versions = train(&directory, &file);
    assert_eq!(train(&shared, &file), versions, "the same models have the same name everywhere");
    let [old, new] = &versions;

    // With no room at all every model is fetched for every forecast.
    let (whole, lazy) = (start(&directory, &file, "1"), start(&shared, &file, "0"));
    let names: Vec<String> = whole.get("/devices").json()["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["device"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.len() > 390, "a few may be without a reading: {}", names.len());
    compare(&whole, &lazy, &names);
    assert!(metric(&lazy, "roomcast_model_fetches_total") >= 1100.0);
    assert_eq!(metric(&lazy, "roomcast_model_cache_bytes"), 0.0);
    assert_eq!(metric(&whole, "roomcast_model_fetches_total"), 0.0);

    // What is made current is followed.
    for registry in [&directory, &shared] {
        run(registry, &["models", "activate", new]);
    }
    for server in [&whole, &lazy] {
        wait("the new models", || version(server) == *new);
    }
    compare(&whole, &lazy, &names);

    // A device whose bytes are not what was saved gets no forecast, and others get theirs.
    shared.damage(new);
    let (last, other) = (&names[names.len() - 1], &names[0]);
    let fresh = "at=2026-03-22%2019:00:00";
    let refused = lazy.get(&format!("/predict?device={last}&{fresh}"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "models_unavailable"));
    assert!(refused.text().contains("checksum") && refused.header("retry-after").is_some(), "{}", refused.text());
    assert_eq!(lazy.get(&format!("/predict?{fresh}")).code(), "models_unavailable");
    let target = format!("/predict?format=csv&device={other}&{fresh}");
    assert_eq!(lazy.get(&target).text(), whole.get(&target).text());
    assert!(metric(&lazy, "roomcast_model_fetch_failures_total") >= 2.0);
    drop(lazy);

    // While the registry is away what is hot goes on being answered, and what is not gets no wrong answer.
    run(&shared, &["models", "activate", old]);
    run(&directory, &["models", "activate", old]);
    let hot = start(&shared, &file, "1");
    wait("the old models", || version(&whole) == *old && version(&hot) == *old);
    let ask = |server: &Server, name: &str, at: &str| server.get(&format!("/predict?format=csv&device={name}&at={at}"));
    assert_eq!(ask(&hot, other, AT[0].0).status, 200);
    shared.cut_off();
    for (at, _) in AT {
        assert_eq!(ask(&hot, other, at).text(), ask(&whole, other, at).text());
    }
    let refused = ask(&hot, &names[200], AT[1].0);
    assert_eq!((refused.status, refused.code().as_str()), (503, "models_unavailable"));
    assert!(metric(&hot, "roomcast_model_hits_total") >= 2.0 && metric(&hot, "roomcast_model_cache_bytes") > 100.0);
    assert!(hot.get("/healthz").status == 200 && hot.log().contains("cannot be read from the registry"));
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
