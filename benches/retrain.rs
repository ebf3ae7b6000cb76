//! Latency of `GET /predict` while models are retrained, against that without, in one run.
//!
//! A real server on loopback answers one client after the other; the retraining is the command that `serve --retrain`
//! starts, at the same priority. Rounds with and without take turns, and the median of the rounds counts, so that other
//! work on the machine meets both. The goal is a 99th percentile of at most twice that without.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::sleep;
use std::time::{Duration, Instant};

use roomcast_server::jobs::retrain::{Priority, with_low_priority};
use roomcast_simulate::{Format, write};

mod common;

const DEVICES: usize = 100;
const DAYS: u64 = 60;
/// Rounds of each kind, and how long each lasts.
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_millis(2500);
/// Time between two requests: a server that always answers has nothing left to share.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    _running: Running,
    stream: BufReader<TcpStream>,
}

fn roomcast() -> Command {
    Command::new(env!("CARGO_BIN_EXE_roomcast"))
}

fn serve(input: &Path, models: &Path, port_file: &Path) -> Server {
    let child = roomcast()
        .args(["serve", "--no-auth", "--bind", "127.0.0.1:0", "--rate-limit", "0"])
        .arg("--port-file")
        .arg(port_file)
        .arg("--input")
        .arg(input)
        .arg("--models")
        .arg(models)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary was built with this bench");
    let running = Running(child);
    let port = || std::fs::read_to_string(port_file).ok()?.trim().parse::<u16>().ok();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server did not come up");
        if let Some(stream) = port().and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) {
            let mut server = Server { _running: running, stream: BufReader::new(stream) };
            while server.ask("/readyz") != 200 {
                sleep(Duration::from_millis(50));
            }
            return server;
        }
        sleep(Duration::from_millis(20));
    }
}

impl Server {
    /// Status of the answer, after all of it was read.
    fn ask(&mut self, target: &str) -> u16 {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).expect("the server is there");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("the server is there");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap_or(0);
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the whole answer");
        status
    }

    /// Milliseconds of each request of one round: of one device mostly, of all now and then.
    fn round(&mut self) -> Vec<f64> {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while begun.elapsed() < ROUND {
            let at = latencies.len();
            let target = match at % 10 {
                0 => "/predict".to_owned(),
                n => format!("/predict?device=floor_01/room_{:04}", 1 + (at * 7 + n) % 50),
            };
            let watch = Instant::now();
            assert_eq!(self.ask(&target), 200, "{target}");
            latencies.push(1e3 * watch.elapsed().as_secs_f64());
            sleep(PAUSE);
        }
        latencies
    }
}

/// Until it is told to stop: what the server's schedule starts, but nothing is changed.
fn retrain(input: &Path, models: &Path, stop: &AtomicBool) {
    while !stop.load(SeqCst) {
        let mut command = with_low_priority(Path::new(env!("CARGO_BIN_EXE_roomcast")), Priority::Idle);
        command.args(["retrain", "--json", "--jobs", "1", "--dry-run", "--max-age", "1d"]);
        command.arg("--input").arg(input).arg("--models").arg(models).env("POLARS_MAX_THREADS", "1");
        let mut running = Running(command.stdout(Stdio::null()).spawn().expect("a shell"));
        let status = loop {
            if stop.load(SeqCst) {
                return;
            }
            if let Some(status) = running.0.try_wait().expect("our own child") {
                break status;
            }
            sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

fn percentile(all: &[f64], share: f64) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn main() {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let path = |name: &str| place.path().join(name);
    let (input, models) = (path("readings.csv"), path("models"));
    let mut file = BufWriter::new(File::create(&input).expect("a new file"));
    write(&common::building(DEVICES, DAYS), Format::Csv, &mut file, None).expect("a disk with room");
    drop(file);
    let mut train = roomcast();
    train.arg("train").arg("--input").arg(&input).arg("--models").arg(&models);
    let trained = train.args(["--until", "2024-02-20 00:00:00"]).stdout(Stdio::null()).status();
    assert!(trained.is_ok_and(|status| status.success()));
    let mut server = serve(&input, &models, &path("port"));
    let rounds: Vec<[Vec<f64>; 2]> = (0..=ROUNDS)
        .map(|_| {
            let quiet = server.round();
            let stop = AtomicBool::new(false);
            let busy = std::thread::scope(|scope| {
                scope.spawn(|| retrain(&input, &models, &stop));
                // Past the reading of the file, into the fits.
                sleep(Duration::from_millis(500));
                let busy = server.round();
                stop.store(true, SeqCst);
                busy
            });
            [quiet, busy]
        })
        // The first meets a server that has computed nothing yet.
        .skip(1)
        .collect();
    println!("{DEVICES} devices, {DAYS} days; medians of {ROUNDS} rounds without and with a retraining:");
    for (name, share) in [("median", 0.5), ("95 %", 0.95), ("99 %", 0.99)] {
        let of = |kind: usize| rounds.iter().map(|round| percentile(&round[kind], share)).collect::<Vec<f64>>();
        let (quiet, busy) = (of(0), of(1));
        let ratios: Vec<f64> = busy.iter().zip(&quiet).map(|(busy, quiet)| busy / quiet).collect();
        let [quiet, busy, ratio] = [quiet, busy, ratios].map(|all| percentile(&all, 0.5));
        println!("  {name:<7} {quiet:>7.3} ms  {busy:>7.3} ms   {ratio:.2} times");
    }
}
