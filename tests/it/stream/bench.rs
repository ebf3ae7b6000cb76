//! What the tests of arriving readings share: servers with a store, sensors that publish, brokers of their own.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::Readings;
use roomcast_storage::readings;
use rumqttc::{Client, Event, MqttOptions, Packet, PublishOptions, QoS};
use tempfile::TempDir;

use crate::serve::client::{Answer, Server, receive, wait};

pub const BROKER: u16 = 1883;
pub const NATS: u16 = 4222;

/// An instant that is in the past of every machine these tests run on.
pub fn start() -> Timestamp {
    Calendar::default().parse("2024-03-04 08:00:00").unwrap()
}

pub fn time(seconds: i64) -> String {
    Calendar::default().format(start() + seconds)
}

/// A name no other test has used.
pub fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("roomcast-{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, SeqCst))
}

/// Whether a server of the machine is there; where it has to be, it is an error that it is not.
pub fn has(port: u16, name: &str) -> bool {
    let there = TcpStream::connect(("127.0.0.1", port)).is_ok();
    if !there {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {name} on port {port}");
        println!("skipped: no {name} on port {port}");
    }
    there
}

/// A server with a store.
pub fn serve(store: &str, models: &TempDir, more: &[&str]) -> Server {
    Server::with(&["--store", store, "--models", models.path().to_str().unwrap()], more)
}

pub fn post(server: &Server, media: &str, more: &[&str], body: &[u8]) -> Answer {
    let media = format!("Content-Type: {media}");
    let mut headers = vec!["Authorization: Bearer w-token", &media];
    headers.extend(more);
    server.ask("POST", "/readings", &headers, body)
}

/// Posts rows to a server that may be gone: the status, if there was an answer.
pub fn try_post(port: u16, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = format!(
        "POST /readings HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer w-token\r\n\
        Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    Some(receive(&mut BufReader::new(stream)).status).filter(|status| *status > 0)
}

/// The value of a metric.
pub fn metric(server: &Server, name: &str) -> f64 {
    let text = server.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

/// How many readings a store holds by now.
pub fn count(url: &str) -> usize {
    block_on(async { readings::open(url, &Calendar::default()).await.unwrap().load(None).await.unwrap().0.len() })
}

/// What a store holds that nobody writes to any more; each reading is counted once in its hour.
pub fn stored(url: &str) -> Readings {
    block_on(async {
        let store = readings::open(url, &Calendar::default()).await.unwrap();
        let readings = store.load(None).await.unwrap().0;
        let counted: i64 = store.hours(None).await.unwrap().iter().map(|hour| hour.count).sum();
        assert_eq!(counted, readings.len() as i64);
        readings
    })
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Publishes messages with QoS 1, one after the other with a pause between, until the broker has taken all.
pub fn publish(port: u16, messages: &[(String, String)], retain: bool, pause: Duration) {
    let mut options = MqttOptions::new(fresh("sensor"), ("127.0.0.1", port));
    options.set_inflight(100).set_max_packet_size(1 << 10, 32 << 20);
    let (client, mut connection) = Client::builder(options).capacity(100).build();
    let how = PublishOptions::new(QoS::AtLeastOnce).retain(retain);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (topic, payload) in messages {
                client.publish(topic, payload.as_bytes(), how).unwrap();
                std::thread::sleep(pause);
            }
        });
        let acks = connection.iter().filter(|event| {
            let event = event.as_ref().expect("the broker answers");
            matches!(event, Event::Incoming(Packet::PubAck(_)))
        });
        assert_eq!(acks.take(messages.len()).count(), messages.len());
    });
}

/// Ends a persistent session at a broker.
pub fn forget(port: u16, client_id: &str) {
    let (client, mut connection) =
        Client::builder(MqttOptions::new(client_id, ("127.0.0.1", port))).capacity(10).build();
    let _ = connection.recv();
    let _ = client.disconnect();
    let _ = connection.iter().take(2).count();
}

/// Waits until a server has subscribed so many times.
pub fn subscribed(server: &Server, times: usize) {
    wait("a subscription", || server.log().matches("subscribed").count() >= times);
}

/// A broker of a test's own.
pub struct Mosquitto {
    pub port: u16,
    place: TempDir,
    child: Child,
}

impl Mosquitto {
    /// None where there is no Mosquitto and none has to be.
    pub fn start() -> Option<Mosquitto> {
        Mosquitto::with(tempfile::tempdir().unwrap(), "allow_anonymous true\n")
    }

    /// The same with more settings, about files in a place.
    pub fn with(place: TempDir, more: &str) -> Option<Mosquitto> {
        let port = free_port();
        let config = format!("listener {port} 127.0.0.1\nmax_queued_messages 0\nmax_inflight_messages 1000\n{more}");
        std::fs::write(place.path().join("conf"), config).unwrap();
        let Some(child) = run(place.path()) else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no mosquitto to start");
            println!("skipped: no mosquitto to start");
            return None;
        };
        let broker = Mosquitto { port, place, child };
        broker.ready();
        Some(broker)
    }

    /// Kills it, session and all, and starts it again.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        self.child = run(self.place.path()).unwrap();
        self.ready();
    }

    fn ready(&self) {
        wait("the broker", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }
}

fn run(place: &Path) -> Option<Child> {
    ["mosquitto", "/usr/sbin/mosquitto"].iter().find_map(|name| {
        let mut command = Command::new(name);
        command.arg("-c").arg(place.join("conf")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    })
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Stands before a server, which it can cut off.
pub struct Proxy {
    pub port: u16,
    away: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let away = Arc::new(AtomicBool::new(false));
        let cut = away.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if cut.load(SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                pass(client.try_clone().unwrap(), server.try_clone().unwrap(), cut.clone());
                pass(server, client, cut.clone());
            }
        });
        Proxy { port, away }
    }

    pub fn set_away(&self, away: bool) {
        self.away.store(away, SeqCst);
    }
}

/// Passes bytes on until one side is gone, or both are cut off.
fn pass(mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = vec![0; 1 << 16];
        while !cut.load(SeqCst) {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) if to.write_all(&buffer[..n]).is_ok() => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                _ => break,
            }
        }
        let _ = from.shutdown(std::net::Shutdown::Both);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
