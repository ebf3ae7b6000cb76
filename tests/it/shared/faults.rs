//! What must not happen when writers die, and when bytes are not what was saved.

use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use super::place::Shared;
use crate::serve::client::{roomcast, sample};

/// A version trained into a registry, by the command.
fn train(shared: &Shared, until: &str) -> String {
    let mut command = shared.command(cargo_bin!("roomcast"));
    command.args(["train", "--until", until, "--input"]).arg(sample()).env("ROOMCAST_MODELS", &shared.url);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.starts_with("version")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// What `roomcast models` says.
fn models(shared: &Shared, args: &[&str]) -> (bool, String) {
    let output =
        shared.command(cargo_bin!("roomcast")).arg("models").args(args).env("ROOMCAST_MODELS", &shared.url).output();
    let output = output.unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn both(test: impl Fn(Shared)) {
    [Shared::postgres(), Shared::s3()].into_iter().flatten().for_each(test);
}

#[test]
fn damage_is_found_and_healed_by_the_same_training() {
    both(|shared| {
        let old = train(&shared, "2016-08-20 23:59:59");
        let new = train(&shared, "2016-08-24 23:59:59");
        shared.damage(&new);
        let (done, said) = models(&shared, &["show"]);
        assert!(!done && said.contains("the checksum does not match"), "{said}");
        assert!(!models(&shared, &["activate", &new]).0);
        assert!(models(&shared, &["list"]).1.contains("unusable"));
        assert!(models(&shared, &["activate", &old]).0 && models(&shared, &["show"]).0);
        assert_eq!(train(&shared, "2016-08-24 23:59:59"), new);
        assert!(models(&shared, &["show", &new]).0 && models(&shared, &["show"]).1.contains(&new));
        let (done, said) = models(&shared, &["prune", "--keep", "1"]);
        assert!(done && said == format!("removed {old}\n"), "{said}");
    });
}

/// A process that saves and prunes is killed at random moments: whatever is current is whole, as is all that is listed.
#[test]
fn killed_saves_leave_whole_models() {
    both(|shared| {
        train(&shared, "2016-08-20 23:59:59");
        let current = || models(&shared, &["list", "--json"]).1;
        let rounds = if shared.url.starts_with("s3:") { 1 } else { 4 };
        for round in 0..rounds {
            let before = current();
            let mut child = shared.command(std::env::current_exe().unwrap());
            child.args(["--exact", "registry::save_for_ever", "--ignored"]);
            child
                .env("ROOMCAST_TEST_REGISTRY", &shared.url)
                .env("ROOMCAST_TEST_FROM", (100 + 1000 * round).to_string());
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let start = Instant::now();
            while current() == before {
                assert!(start.elapsed() < Duration::from_secs(60), "nothing was saved");
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_millis(37 * round + 11));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(models(&shared, &["show"]).0, "{}", models(&shared, &["show"]).1);
            assert!(!models(&shared, &["list"]).1.contains("unusable"));
        }
    });
}

/// Without its last object a version is not there, and what is left of it goes with the next pruning. Who died with the lock holds
/// it until it ends.
#[test]
fn half_an_upload_is_no_version() {
    let Some(shared) = Shared::s3() else { return };
    let old = train(&shared, "2016-08-20 23:59:59");
    let new = train(&shared, "2016-08-24 23:59:59");
    assert!(models(&shared, &["activate", &old]).0);
    let sums = shared.key(&format!("{new}/SHA256SUMS"));
    assert_eq!(shared.ask("DELETE", &sums, b"").status, 204);
    let list = models(&shared, &["list"]).1;
    assert!(list.contains(&old) && !list.contains(&new), "{list}");
    assert!(!models(&shared, &["activate", &new]).0);
    let held = format!("holder someone\nuntil {}\n", roomcast_forecast::calendar::Calendar::utc_now() + 3);
    assert_eq!(shared.ask("PUT", &shared.key(".lock"), held.as_bytes()).status, 200);
    let start = Instant::now();
    assert!(models(&shared, &["prune", "--keep", "5"]).0);
    assert!(start.elapsed() > Duration::from_secs(1), "the lock was not waited for");
    assert_eq!(shared.ask("GET", &shared.key(&format!("{new}/models.bin")), b"").status, 404);
    assert_eq!(train(&shared, "2016-08-24 23:59:59"), new);
    assert!(models(&shared, &["show"]).1.contains(&new));
}

#[test]
fn a_place_that_is_away_or_none_is_said_to_be() {
    for (url, what) in [
        ("postgres://me:hunter2@127.0.0.1:9/db", "not available"),
        ("gs://bucket/models", "a registry is in a directory"),
        ("s3://", "a registry is in a directory"),
    ] {
        let output = roomcast(&["models", "list", "--models", url]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(what) && !said.contains("hunter2"), "{said}");
    }
}
