//! A day of a live building in a minute; `make soak` plays it slower and with more sensors.

use std::path::Path;
use std::process::Command;

#[test]
fn a_day_played_fast_leaves_memory_flat_and_forecasts_those_of_a_cold_start() {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
    if !there("python3") || !there("curl") {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no python3 or curl");
        println!("skipped: no python3 or curl");
        return;
    }
    let played = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/soak"))
        .args(["100", "1440", "24"])
        .env("ROOMCAST_BIN", env!("CARGO_BIN_EXE_roomcast"))
        .output()
        .unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&played.stdout), String::from_utf8_lossy(&played.stderr));
    assert!(played.status.success(), "{said}{wrong}");
    assert!(said.contains("100 of 100 devices, bit for bit"), "{said}");
}
