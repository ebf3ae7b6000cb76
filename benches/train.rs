//! `roomcast train` as a command, at two sizes: seconds, processor time, peak memory and how it grows.
//!
//! Readings are simulated to a CSV file first, outside the measurement.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use roomcast_simulate::{Format, write};

mod common;

const DAYS: u64 = 60;
const SIZES: [usize; 2] = [250, 1_000];
/// How often the kernel is asked for the peak, which it keeps itself until the process ends.
const POLL: Duration = Duration::from_millis(5);

/// Seconds, processor seconds and peak memory in MiB of one command.
fn run(input: &Path, models: &Path) -> (f64, f64, f64) {
    let before = common::cpu_seconds(true);
    let watch = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .args(["train".as_ref(), "--input".as_ref(), input.as_os_str(), "--models".as_ref(), models.as_os_str()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary was built with this bench");
    let mut peak = 0.0_f64;
    let status = loop {
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kibibytes.unwrap_or(0.0) / 1024.0);
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        sleep(POLL);
    };
    assert!(status.success(), "{status}");
    (watch.elapsed().as_secs_f64(), common::cpu_seconds(true) - before, peak)
}

fn main() {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let measured = SIZES.map(|devices| {
        let input = place.path().join(format!("{devices}.csv"));
        let mut file = BufWriter::new(File::create(&input).expect("a new file"));
        let written = write(&common::building(devices, DAYS), Format::Csv, &mut file, None).expect("a disk with room");
        drop(file);
        let (seconds, cpu, peak) = run(&input, &place.path().join(format!("models-{devices}")));
        println!(
            "{devices:>5} devices, {DAYS} days, {} readings: {seconds:.1} s, {:.0} devices per second, \
             {:.1} ms of processor time per device, peak {peak:.0} MiB",
            written.readings,
            devices as f64 / seconds,
            1e3 * cpu / devices as f64,
        );
        peak
    });
    let [few, many] = measured;
    println!("{} times the devices: {:.2} times the memory", SIZES[1] / SIZES[0], many / few);
}
