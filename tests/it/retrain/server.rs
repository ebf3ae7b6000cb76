//! Servers that retrain by themselves, and what they leave behind when they are killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roomcast_storage::registry::Registry;
use tempfile::TempDir;

use super::{current, said};
use crate::serve::client::{Server, copy_all, roomcast, sample, train, wait};

/// A registry with models of two weeks, their version, and in its directory a file with the readings of three.
fn few_weeks() -> (TempDir, String, PathBuf) {
    let models = tempfile::tempdir().unwrap();
    let old = train(models.path(), "2016-07-15 00:00:00");
    let file = models.path().join("readings.csv");
    let text = std::fs::read_to_string(sample()).unwrap();
    let early = text.lines().filter(|line| *line < "2016-07-23" || line.starts_with("time"));
    std::fs::write(&file, early.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    (models, old, file)
}

#[test]
fn a_server_killed_while_it_retrains_leaves_the_old_or_the_new_version() {
    let (models, old, file) = few_weeks();
    let mut ends = std::collections::BTreeSet::new();
    for pause in [200, 1200, 3000] {
        let place = tempfile::tempdir().unwrap();
        copy_all(models.path(), place.path());
        let server = Server::with(
            &["--input", file.to_str().unwrap(), "--models", place.path().to_str().unwrap()],
            &EVERY_SECOND,
        );
        let registry = Registry::open(place.path());
        wait("a retraining", || registry.lock_training().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(pause));
        // SIGKILL: the child is left behind, and ends by itself.
        drop(server);
        wait("the end of the child", || registry.lock_training().unwrap().is_some());
        let (loaded, manifest) = registry.load(None).unwrap();
        assert!(!loaded.devices.is_empty());
        assert!(registry.list().unwrap().iter().all(|entry| entry.manifest.is_ok()));
        assert!(registry.load(Some(&old)).is_ok());
        ends.insert(manifest.version == old);
    }
    assert!(ends.contains(&false), "no child came to its end");
}

const EVERY_SECOND: [&str; 6] = ["--retrain", "* * * * * *", "--retrain-jitter", "0", "--retrain-max-age", "6d"];

#[test]
fn what_a_killed_server_left_behind_keeps_the_next_one_waiting_and_overrules_nobody() {
    let (models, old, file) = few_weeks();
    let other = train(models.path(), "2016-07-16 00:00:00");
    let arguments = |place: &Path| {
        let (file, place) = (file.to_str().unwrap().to_owned(), place.to_str().unwrap().to_owned());
        ["--input".to_owned(), file, "--models".to_owned(), place]
    };
    let start = |place: &Path| Server::with(&arguments(place).each_ref().map(String::as_str), &EVERY_SECOND);
    // The server is killed while its child is at work. A child that ended before the kill is no such case: another is made.
    let killed = || {
        for _ in 0..5 {
            let place = tempfile::tempdir().unwrap();
            copy_all(models.path(), place.path());
            let server = start(place.path());
            let registry = Registry::open(place.path());
            wait("a retraining", || registry.lock_training().unwrap().is_none());
            // SIGKILL: the child is left behind.
            drop(server);
            if registry.lock_training().unwrap().is_none() && current(place.path()) == other {
                return (place, registry);
            }
        }
        panic!("five children in turn were too fast");
    };
    let versions = |registry: &Registry| registry.list().unwrap().len();

    // Its successor does not begin another while that is under way, and takes what it makes.
    let (place, registry) = killed();
    let server = start(place.path());
    let version = || server.get("/predict?device=device_1").json()["model"]["version"].as_str().unwrap().to_owned();
    if registry.lock_training().unwrap().is_none() {
        wait("a turn", || {
            server.log().contains("no retraining: another") || registry.lock_training().unwrap().is_some()
        });
    }
    wait("new models", || version() != other && version() == current(place.path()));
    assert_eq!((versions(&registry), registry.load(Some(&other)).is_ok()), (3, true));
    drop(server);

    // Somebody goes back to an older version meanwhile: that is what counts. A child that had not looked yet which one is
    // current finds the older one, and its own not better.
    let overruled = (0..5).any(|pause| {
        let (place, registry) = killed();
        std::thread::sleep(Duration::from_millis(200 * pause));
        said(&["models", "activate", &old, "--models", place.path().to_str().unwrap()]);
        let in_time = registry.lock_training().unwrap().is_none();
        wait("the end of the child", || registry.lock_training().unwrap().is_some());
        assert_eq!(current(place.path()), old);
        in_time && versions(&registry) == 3
    });
    assert!(overruled, "no child came to save anything");
}

#[test]
fn a_server_retrains_by_itself_and_takes_the_result() {
    // Few weeks again: the child gets what the other tests leave it.
    let (models, old, file) = few_weeks();
    let server = Server::with(
        &["--input", file.to_str().unwrap(), "--models", models.path().to_str().unwrap()],
        &["--retrain", "* * * * * *", "--retrain-jitter", "0", "--retrain-max-age", "6d", "--retrain-keep", "3"],
    );
    let version = || server.get("/predict?device=device_1").json()["model"]["version"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    while version() == old {
        assert!(begun.elapsed() < Duration::from_secs(300), "no new models: {}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(version(), current(models.path()));
    let figure = |name: &str| -> u64 {
        let text = server.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("roomcast_{name} "))).unwrap();
        line.parse().unwrap()
    };
    // The registry changed before the child had ended.
    wait("the figures", || figure("retrainings_total") >= 1);
    assert_eq!(figure("retraining_failures_total"), 0);
    assert!(figure("retraining_last_success_seconds") > 1_700_000_000);
    assert!(server.log().contains("retrained") && server.log().contains("next retraining"));

    let (input, dir) = (sample(), models.path().to_str().unwrap());
    let serve = ["serve", "--no-auth", "--models", dir, "--input", input.to_str().unwrap(), "--retrain"];
    let wrong = roomcast(&[&serve[..], &["every night"]].concat());
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("expected a cron expression"), "{wrong:?}");
    let piped = ["serve", "--no-auth", "--models", dir, "--input", "-", "--retrain", "0 2 * * *"];
    assert!(String::from_utf8_lossy(&roomcast(&piped).stderr).contains("standard input"));
}
