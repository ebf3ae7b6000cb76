//! How fast readings come in through the whole server: over HTTP beside loops that write the same rows into SQLite themselves,
//! and from a broker beside a consumer that acknowledges without storing. Ratios within one run.
//!
//! ```sh
//! cargo bench --bench ingest              # Mosquitto has to be installed for the second part
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use roomcast_forecast::calendar::Calendar;
use rumqttc::{Client, Event, MqttOptions, Packet, PublishOptions, QoS};
use sqlx::{Connection, QueryBuilder};

mod common;

/// Rows of a request and of a transaction.
const BATCH: usize = 1000;

/// Requests of one measurement.
const BATCHES: usize = 100;

/// Messages of one measurement; the first tenth is not timed, so that connecting is not.
const MESSAGES: usize = 200_000;
const UNTIMED: usize = MESSAGES / 10;

/// 1 July 2016, midnight.
const START: i64 = 1_467_331_200;

const DEVICES: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // In turns, since a disk has moods.
    let (mut one, mut many, mut http, mut wide) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let place = tempfile::tempdir().expect("a directory");
        one.push(runtime.block_on(bare_loop(&place.path().join("one.db"), 1)));
        many.push(runtime.block_on(bare_loop(&place.path().join("many.db"), 500)));
        http.push(posted(1));
        wide.push(posted(4));
    }
    let rows = (BATCH * BATCHES) as f64;
    let rate = |times: &mut Vec<Duration>| rows / median(times);
    let (one, many, http, wide) = (rate(&mut one), rate(&mut many), rate(&mut http), rate(&mut wide));
    println!("bare loop, a statement per row       {one:>9.0} rows/s");
    println!("bare loop, 500 rows per statement    {many:>9.0} rows/s");
    println!(
        "HTTP NDJSON, one sender              {http:>9.0} rows/s   {:.2} and {:.2} of these",
        http / one,
        http / many
    );
    println!("HTTP NDJSON, four senders            {wide:>9.0} rows/s   {:.2} and {:.2}", wide / one, wide / many);

    let Some(broker) = Broker::start() else {
        println!("no mosquitto to start: nothing measured from a broker");
        return;
    };
    let (mut acked, mut stored) = (Vec::new(), Vec::new());
    for turn in 0..3 {
        acked.push(acknowledged(&broker, &format!("bare-{turn}")));
        stored.push(received(&broker, &format!("ours-{turn}")));
    }
    let rate = |times: &mut Vec<Duration>| (MESSAGES - UNTIMED) as f64 / median(times);
    let (acked, stored) = (rate(&mut acked), rate(&mut stored));
    println!("MQTT QoS 1, acknowledged only        {acked:>9.0} messages/s");
    println!("MQTT QoS 1, stored and acknowledged  {stored:>9.0} messages/s   {:.2} of these", stored / acked);
}

fn row(n: usize) -> (String, i64) {
    (format!("device {:05}", n * 7 % DEVICES), START + (n / DEVICES) as i64)
}

/// The same rows, durable batch by batch, from a loop that does nothing else. It keeps devices by name and counts no
/// hours, which the server does.
async fn bare_loop(path: &Path, together: usize) -> Duration {
    let mut connection = common::bare_table(path).await;
    let rows: Vec<_> = (0..BATCH * BATCHES).map(row).collect();
    let watch = Instant::now();
    for batch in rows.chunks(BATCH) {
        let mut transaction = connection.begin().await.expect("a transaction");
        for some in batch.chunks(together) {
            let mut insert = QueryBuilder::new("INSERT INTO readings (time, device) ");
            insert.push_values(some, |mut values, (device, time)| {
                values.push_bind(time).push_bind(device.as_str());
            });
            insert.push(" ON CONFLICT DO NOTHING");
            insert.build().execute(&mut *transaction).await.expect("rows");
        }
        transaction.commit().await.expect("a commit");
    }
    watch.elapsed()
}

/// Posts the rows over so many connections.
fn posted(senders: usize) -> Duration {
    let server = Server::start(&[]);
    let calendar = Calendar::default();
    let line = |n| {
        let (device, time) = row(n);
        format!("{{\"time\":\"{}\",\"device\":\"{device}\"}}\n", calendar.format(time))
    };
    let bodies: Vec<String> =
        (0..BATCHES).map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(line).collect()).collect();
    let watch = Instant::now();
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let (bodies, port) = (&bodies, server.port);
            scope.spawn(move || {
                let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("a connection"));
                for body in bodies.iter().skip(sender).step_by(senders) {
                    let head = format!(
                        "POST /readings HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let stored = exchange(&mut stream, &head, body);
                    assert!(stored.contains("\"stored\":1000"), "{stored}");
                }
            });
        }
    });
    watch.elapsed()
}

/// Sends a request and reads the body of its answer.
fn exchange(stream: &mut BufReader<TcpStream>, head: &str, body: &str) -> String {
    stream.get_mut().write_all([head, body].concat().as_bytes()).expect("a request");
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).expect("an answer") > 0, "the server is gone");
        if let Some(("content-length", value)) = line.to_ascii_lowercase().trim().split_once(": ") {
            length = value.parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("UTF-8")
}

/// Makes a session at the broker and fills its queue. Sensors fire and rest in turn, one second apart.
fn queue(broker: &Broker, id: &str) {
    let mut session = MqttOptions::new(id, ("127.0.0.1", broker.port));
    session.set_clean_session(false);
    let (client, mut connection) = Client::builder(session).capacity(10).build();
    client.subscribe(format!("{id}/+"), QoS::AtLeastOnce).expect("room");
    let subscribed = |event: &_| matches!(event, Ok(Event::Incoming(Packet::SubAck(_))));
    connection.iter().find(subscribed).expect("a subscription").expect("a subscription");
    client.disconnect().expect("room");
    connection.iter().take_while(Result::is_ok).count();

    let mut sensor = MqttOptions::new(format!("{id}-sensor"), ("127.0.0.1", broker.port));
    sensor.set_inflight(500);
    let (client, mut connection) = Client::builder(sensor).capacity(500).build();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let calendar = Calendar::default();
            for n in 0..MESSAGES {
                let (device, turn) = (n % DEVICES, n / DEVICES);
                let time = calendar.format(START + turn as i64);
                let payload = format!("{{\"occupancy\":{},\"last_seen\":\"{time}\"}}", turn % 2 == 0);
                let topic = format!("{id}/room_{device}");
                client.publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce)).expect("room");
            }
        });
        let acks = connection
            .iter()
            .filter(|event| matches!(event.as_ref().expect("the broker answers"), Event::Incoming(Packet::PubAck(_))));
        assert_eq!(acks.take(MESSAGES).count(), MESSAGES);
    });
}

/// A consumer that acknowledges each message and does nothing with it.
fn acknowledged(broker: &Broker, id: &str) -> Duration {
    queue(broker, id);
    let mut session = MqttOptions::new(id, ("127.0.0.1", broker.port));
    session.set_clean_session(false);
    let (_client, mut connection) = Client::builder(session).capacity(1000).build();
    let (mut count, mut watch) = (0, Instant::now());
    for event in connection.iter() {
        if let Event::Incoming(Packet::Publish(_)) = event.expect("the broker answers") {
            count += 1;
            if count == UNTIMED {
                watch = Instant::now();
            }
            if count == MESSAGES {
                break;
            }
        }
    }
    watch.elapsed()
}

/// A server that stores each message before it acknowledges.
fn received(broker: &Broker, id: &str) -> Duration {
    queue(broker, id);
    let url = format!("mqtt://127.0.0.1:{}/?client_id={id}", broker.port);
    let server = Server::start(&["--mqtt", &url, "--mqtt-topic", &format!("{id}/+")]);
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).expect("a connection"));
    let mut stored = || {
        let text = exchange(&mut stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "");
        let value = |name: &str| -> f64 {
            let name = format!("roomcast_ingest_{name}{{source=\"mqtt\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).expect("a metric")
        };
        (value("stored_total") + value("no_motion_total")) as usize
    };
    let mut wait = |wanted| loop {
        let count = stored();
        if count >= wanted {
            return count;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let first = wait(UNTIMED);
    let watch = Instant::now();
    wait(MESSAGES);
    // The first look may have come late.
    watch.elapsed().mul_f64((MESSAGES - UNTIMED) as f64 / (MESSAGES - first).max(1) as f64)
}

/// A server with an empty store.
struct Server {
    child: Child,
    port: u16,
    _place: tempfile::TempDir,
}

impl Server {
    fn start(more: &[&str]) -> Server {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name).to_str().expect("UTF-8").to_owned();
        let child = Command::new(env!("CARGO_BIN_EXE_roomcast"))
            .env_remove("PRIVATE_TOKEN")
            .args(["serve", "--no-auth", "--bind", "127.0.0.1:0", "--rate-limit", "0", "--port-file", &at("port")])
            .args(["--store", &at("readings.db"), "--models", &at("models")])
            .args(more)
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let mut server = Server { child, port: 0, _place: place };
        let file = server._place.path().join("port");
        while server.port == 0 || TcpStream::connect(("127.0.0.1", server.port)).is_err() {
            server.port = std::fs::read_to_string(&file).ok().and_then(|port| port.trim().parse().ok()).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A broker of its own, which keeps all it gets.
struct Broker {
    child: Child,
    port: u16,
    _place: tempfile::TempDir,
}

impl Broker {
    fn start() -> Option<Broker> {
        let place = tempfile::tempdir().expect("a directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
        );
        std::fs::write(place.path().join("conf"), config).expect("a file");
        let child = ["mosquitto", "/usr/sbin/mosquitto"].iter().find_map(|name| {
            let mut command = Command::new(name);
            command.arg("-c").arg(place.path().join("conf")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        })?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Broker { child, port, _place: place })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}
