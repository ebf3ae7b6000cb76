//! The server from outside: warm and cold requests per second, latency, start-up and memory, as ratios in one run.
//!
//! The same client asks, over loopback and in turn: the real binary; a bare Actix server that answers with the very
//! bytes `/predict` gave; and, when `PEER_PORT` names one, another server with the same paths
//! (`benches/peers/serve.sh` starts one). For `warm` and `cold` the servers have one half of the processors and the
//! client the other: on the same ones a fast server would be measured by how much the client leaves of them.
//!
//! Sections: `warm`, `cold`, `start` by default; `large` (10,000 devices, some minutes) when named.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, rt, web};
use roomcast_simulate::{Format, write};

mod common;

const TOKEN: &str = "bench";
/// Connections of each of the client's threads, one per processor: it asks on all of them, then collects the answers.
const CONNECTIONS: usize = 32;
/// Length of one measurement; each is made this many times, in turn with the others.
const SPAN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
/// Requests of a cold measurement, each for another instant.
const COLD: usize = 60;

/// A server under measurement; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processors of the servers and of the client, as `taskset` takes them; the same one where there is only one.
fn halves() -> (String, String) {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let half = all / 2;
    (format!("0-{}", half.max(1) - 1), format!("{half}-{}", all - 1))
}

/// A command, on some processors only when they are named.
fn command(program: impl AsRef<OsStr>, processors: Option<&str>) -> Command {
    let Some(processors) = processors else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(program);
    command
}

/// Starts the binary on some readings; returns it ready, and how long that took.
fn start(input: &Path, models: &Path, processors: Option<&str>) -> (Server, Duration) {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let file = place.path().join("port");
    let watch = Instant::now();
    let child = command(env!("CARGO_BIN_EXE_roomcast"), processors)
        .env("ROOMCAST_TOKENS", format!("read:{TOKEN}"))
        .args(["serve", "--bind", "127.0.0.1:0", "--rate-limit", "0"])
        .args(["--input".as_ref(), input.as_os_str(), "--models".as_ref(), models.as_os_str()])
        .args(["--port-file".as_ref(), file.as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary was built with this bench");
    let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    while !ready(&mut server, &file) {
        assert!(watch.elapsed() < Duration::from_secs(300), "the server is not ready");
        sleep(Duration::from_millis(5));
    }
    (server, watch.elapsed())
}

/// Whether a server has written its port and is ready.
fn ready(server: &mut Server, port_file: &Path) -> bool {
    let port = std::fs::read_to_string(port_file).ok().and_then(|text| text.trim().parse().ok());
    server.address.set_port(port.unwrap_or(0));
    server.address.port() != 0 && ask(&mut connect(server.address), "/readyz").0 == 200
}

/// This program again, as a server that does nothing but answer with these bytes.
fn fixed(body: &[u8], processors: &str) -> Server {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let (file, port) = (place.path().join("body"), place.path().join("port"));
    std::fs::write(&file, body).expect("a disk with room");
    let child = command(std::env::current_exe().expect("a name"), Some(processors))
        .args(["fixed".as_ref(), file.as_os_str(), port.as_os_str()])
        .spawn()
        .expect("this program");
    let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    while !ready(&mut server, &port) {
        sleep(Duration::from_millis(5));
    }
    server
}

/// Serves the bytes of a file; writes the port to another.
fn serve_fixed(body: &str, port_file: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let body = web::Bytes::from(std::fs::read(body).expect("the body"));
    let app = move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().default_service(web::to(answer))
    };
    let server = HttpServer::new(app).disable_signals().listen(listener).expect("a listener").run();
    std::fs::write(port_file, port.to_string()).expect("a disk with room");
    rt::System::new().block_on(server).expect("a server");
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("a listening server");
    stream.set_nodelay(true).expect("a socket option");
    BufReader::with_capacity(1 << 16, stream)
}

/// Status and body of one request.
fn ask(stream: &mut BufReader<TcpStream>, target: &str) -> (u16, Vec<u8>) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).expect("a connection");
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).expect("an answer");
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if status == 0 {
            status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a whole answer");
    (status, body)
}

/// Reads one answer and forgets it; its bytes must be those of a success.
fn skip(stream: &mut TcpStream, buffer: &mut [u8]) {
    let (mut filled, mut wanted) = (0, usize::MAX);
    while filled < wanted {
        let read = stream.read(&mut buffer[filled..]).expect("an answer");
        assert!(read > 0, "the server closed the connection");
        filled += read;
        if wanted == usize::MAX
            && let Some(head) = buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&buffer[..head]).expect("a head in ASCII").to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).expect("a length");
            wanted = head + 4 + length;
        }
    }
}

/// Requests per second and latencies (seconds, ascending) of some threads with [`CONNECTIONS`] each that ask for [`SPAN`].
fn load(address: SocketAddr, target: &str, threads: usize) -> (f64, Vec<f64>) {
    let watch = Instant::now();
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let mut latencies: Vec<f64> = scope(|scope| {
        let one = || {
            let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(address).into_inner()).collect();
            let (mut took, mut buffer) = (Vec::new(), vec![0; 1 << 17]);
            while watch.elapsed() < SPAN {
                let asked = Instant::now();
                streams.iter_mut().for_each(|s| s.write_all(request.as_bytes()).expect("a connection"));
                for stream in &mut streams {
                    skip(stream, &mut buffer);
                    took.push(asked.elapsed().as_secs_f64());
                }
            }
            took
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().flat_map(|one| one.join().expect("a client")).collect()
    });
    latencies.sort_by(f64::total_cmp);
    (latencies.len() as f64 / SPAN.as_secs_f64(), latencies)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Warm: the same forecast again and again. Rates are medians of rounds in turn.
fn warm(server: &Server, peer: Option<SocketAddr>, processors: &str) {
    let (_, body) = ask(&mut connect(server.address), "/predict");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("warm: GET /predict of 7 rooms, {} bytes, {} connections", body.len(), threads * CONNECTIONS);
    let fixed = fixed(&body, processors);
    let mut all = vec![("roomcast", server.address), ("fixed body", fixed.address)];
    all.extend(peer.map(|peer| ("peer", peer)));
    let mut measured = vec![(Vec::new(), Vec::new()); all.len()];
    for _ in 0..ROUNDS {
        for (at, (_, address)) in all.iter().enumerate() {
            let (rate, latencies) = load(*address, "/predict", threads);
            measured[at].0.push(rate);
            measured[at].1.push(latencies[latencies.len() * 99 / 100]);
        }
    }
    let figures: Vec<(f64, f64)> = measured.into_iter().map(|(rate, tail)| (median(rate), median(tail))).collect();
    for ((name, _), (rate, tail)) in all.iter().zip(&figures) {
        let (ratio, tails) = (figures[0].0 / rate, figures[0].1 / tail);
        println!(
            "  {name:11} {rate:>9.0} requests/s, p99 {:>7.3} ms; roomcast: {ratio:.2} times the rate, {tails:.2} times the p99",
            1e3 * tail
        );
    }
}

/// Cold: every request is for another instant, so nothing can be reused.
fn cold(server: &Server, peer: Option<SocketAddr>) {
    println!("cold: GET /predict of 7 rooms at {COLD} instants, one connection");
    let mut figures = Vec::new();
    for (name, address) in [("roomcast", Some(server.address)), ("peer", peer)] {
        let Some(address) = address else { continue };
        let mut stream = connect(address);
        let mut took: Vec<f64> = (0..COLD)
            .map(|n| {
                let target = format!("/predict?at=2024-03-0{}+{:02}:10:00", 1 + n / 12, n % 12 + 6);
                let asked = Instant::now();
                let (status, body) = ask(&mut stream, &target);
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                asked.elapsed().as_secs_f64()
            })
            .collect();
        took.sort_by(f64::total_cmp);
        let (middle, tail) = (took[COLD / 2], took[COLD * 99 / 100]);
        figures.push(middle);
        println!(
            "  {name:11} {:>9.1} requests/s, median {:>7.2} ms, p99 {:>7.2} ms",
            1.0 / middle,
            1e3 * middle,
            1e3 * tail
        );
    }
    if let [ours, theirs] = figures[..] {
        println!("  roomcast: {:.1} times the rate", theirs / ours);
    }
}

/// Readings and models of a simulated building.
fn site(place: &Path, devices: usize, trained: usize) -> (std::path::PathBuf, std::path::PathBuf) {
    let input = place.join(format!("{devices}.parquet"));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&input).expect("a new file"));
    write(&common::building(devices, 60), Format::Parquet, &mut file, None).expect("a disk with room");
    drop(file);
    let models = place.join(format!("models-{devices}"));
    let of = if trained < devices { site(place, trained, trained).0 } else { input.clone() };
    let done = Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .args(["train".as_ref(), "--input".as_ref(), of.as_os_str(), "--models".as_ref(), models.as_os_str()])
        .stdout(Stdio::null())
        .status();
    assert!(done.is_ok_and(|status| status.success()));
    (input, models)
}

/// Peak memory of a server, MiB.
fn peak(server: &Server) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Start to ready, all forecasts once, then again after one instant more.
fn whole(place: &Path, devices: usize, trained: usize) {
    let (input, models) = site(place, devices, trained);
    let (server, ready) = start(&input, &models, None);
    let mut stream = connect(server.address);
    let asked = Instant::now();
    let (_, body) = ask(&mut stream, "/predict");
    let all = asked.elapsed();
    let asked = Instant::now();
    ask(&mut stream, "/predict");
    println!(
        "{devices} devices, 60 days, Parquet: ready after {:.2} s; all forecasts {:.2} s ({:.1} MB), again {:.1} ms; peak {:.0} MiB",
        ready.as_secs_f64(),
        all.as_secs_f64(),
        body.len() as f64 / 1e6,
        1e3 * asked.elapsed().as_secs_f64(),
        peak(&server),
    );
}

fn main() {
    let sections: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let [role, body, port_file] = &sections[..]
        && role == "fixed"
    {
        return serve_fixed(body, port_file);
    }
    let wanted = |name: &str| if sections.is_empty() { name != "large" } else { sections.iter().any(|s| s == name) };
    let port = std::env::var("PEER_PORT").ok().and_then(|port| port.parse::<u16>().ok());
    let peer = port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let place = tempfile::tempdir().expect("a place for temporary files");
    if wanted("start") {
        whole(place.path(), 1_000, 1_000);
    }
    if wanted("large") {
        whole(place.path(), 10_000, 1_000);
    }
    if wanted("warm") || wanted("cold") {
        let (input, models) = site(place.path(), 7, 7);
        let (servers, client) = halves();
        let (server, _) = start(&input, &models, Some(&servers));
        // Last of all: from here on this process keeps to its half.
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset").args(["-acp", &client, &own]).stdout(Stdio::null()).status();
        assert!(pinned.is_ok_and(|status| status.success()), "taskset");
        if wanted("warm") {
            warm(&server, peer, &servers);
        }
        if wanted("cold") {
            cold(&server, peer);
        }
    }
}
