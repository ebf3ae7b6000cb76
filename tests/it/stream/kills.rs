//! `kill -9` at random moments: every acknowledged reading is there, and counted once.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};
use std::time::Duration;

use async_nats::jetstream;
use roomcast_forecast::calendar::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use super::bench::{
    BROKER, NATS, block_on, count, forget, fresh, has, publish, serve, start, stored, subscribed, time, try_post,
};
use crate::serve::client::{Server, registry, wait};
use crate::store::place::Place;

/// Kills in each test: with both stores and three sources 24 in all.
const KILLS: usize = 4;

type Expected = BTreeSet<(String, Timestamp)>;

fn held(url: &str) -> Expected {
    let device = |device: roomcast_forecast::readings::DeviceReadings| {
        device.times.iter().map(|time| (device.device.clone(), time)).collect::<Vec<_>>()
    };
    stored(url).devices.into_iter().flat_map(device).collect()
}

/// Starts a server, kills it at random moments and starts it again, as long as `send` sends.
fn killing(place: &Place, models: &TempDir, more: &[&str], port: &AtomicU16, ready: impl Fn(&Server)) -> Server {
    let begin = || {
        let server = serve(&place.url, models, more);
        port.store(server.port, SeqCst);
        ready(&server);
        server
    };
    let mut server = begin();
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(50 + RandomState::new().hash_one(0) % 450));
        // Dropping a server kills it.
        drop(server);
        server = begin();
    }
    server
}

fn http(place: &Place) {
    let (models, port, over, acknowledged) = (registry(), AtomicU16::new(0), AtomicBool::new(false), Mutex::default());
    let server = std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0.. {
                let rows = (batch * 50..batch * 50 + 50).map(|n: i64| (format!("room_{}", n % 20), n));
                let text = |(device, n)| format!("{{\"time\":\"{}\",\"device\":\"{device}\"}}\n", time(n));
                let body: String = rows.clone().map(text).collect();
                while try_post(port.load(SeqCst), &body) != Some(200) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                let mut all: std::sync::MutexGuard<'_, Expected> = acknowledged.lock().unwrap();
                all.extend(rows.map(|(device, n)| (device, start() + n)));
                if over.load(SeqCst) {
                    break;
                }
            }
        });
        let server = killing(place, &models, &[], &port, |_| ());
        over.store(true, SeqCst);
        server
    });
    drop(server);
    // All that was sent was acknowledged in the end.
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 500 && held(&place.url) == acknowledged);
}

fn mqtt(place: &Place) {
    let (models, port, site) = (registry(), AtomicU16::new(0), fresh("kill"));
    let (url, filter) = (format!("mqtt://127.0.0.1/?client_id={site}"), format!("{site}/+"));
    let mut expected = Expected::new();
    let message = |n: i64| {
        let (device, occupied) = (format!("room_{}", n % 20), n / 20 % 2 == 0);
        if occupied {
            expected.insert((device.clone(), start() + n));
        }
        let payload = json!({ "occupancy": occupied, "last_seen": time(n) });
        (format!("{site}/{device}"), payload.to_string())
    };
    let messages: Vec<_> = (0..1000).map(message).collect();
    let (subscribed_once, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let server = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait("a subscription", || subscribed_once.load(SeqCst));
            // A few at a time, as long as the server is killed: a broker keeps only so many for one that is away.
            for part in messages.chunks(100) {
                publish(BROKER, part, false, Duration::from_millis(if over.load(SeqCst) { 0 } else { 4 }));
            }
        });
        let server = killing(place, &models, &["--mqtt", &url, "--mqtt-topic", &filter], &port, |server| {
            subscribed(server, 1);
            subscribed_once.store(true, SeqCst);
        });
        over.store(true, SeqCst);
        server
    });
    wait("all readings", || count(&place.url) >= expected.len());
    drop(server);
    forget(BROKER, &site);
    assert!(held(&place.url) == expected);
}

fn nats(place: &Place) {
    let (models, port, name) = (registry(), AtomicU16::new(0), fresh("kill"));
    let subject = format!("{name}.>");
    let options = ["--nats", "nats://127.0.0.1:4222", "--nats-stream", &name, "--nats-subject", &subject];
    let (over, made) = (AtomicBool::new(false), AtomicBool::new(false));
    let (server, expected) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            block_on(async {
                let jetstream = jetstream::new(async_nats::connect("127.0.0.1:4222").await.unwrap());
                wait("the stream", || made.load(SeqCst));
                let mut expected = Expected::new();
                for n in 0.. {
                    let device = format!("room_{}", n % 20);
                    let payload = json!({ "time": time(n), "device": device }).to_string();
                    jetstream.publish(format!("{name}.0"), payload.into()).await.unwrap().await.unwrap();
                    expected.insert((device, start() + n));
                    if over.load(SeqCst) {
                        break;
                    }
                }
                expected
            })
        });
        let server = killing(place, &models, &options, &port, |server| {
            wait("the consumer", || server.log().contains("receiving from JetStream"));
            made.store(true, SeqCst);
        });
        over.store(true, SeqCst);
        (server, sender.join().unwrap())
    });
    // What a killed server had taken comes again when JetStream has waited long enough for it.
    let delete = || {
        block_on(async {
            let jetstream = jetstream::new(async_nats::connect("127.0.0.1:4222").await.unwrap());
            jetstream.delete_stream(&name).await.unwrap();
        });
    };
    wait("all readings", || count(&place.url) >= expected.len());
    drop(server);
    delete();
    assert!(expected.len() > 200 && held(&place.url) == expected);
}

#[test]
fn killed_while_requests_come_into_sqlite() {
    http(&Place::sqlite());
}

#[test]
fn killed_while_requests_come_into_postgres() {
    if let Some(place) = block_on(Place::postgres()) {
        http(&place);
    }
}

#[test]
fn killed_while_messages_come_into_sqlite() {
    if has(BROKER, "broker") {
        mqtt(&Place::sqlite());
    }
}

#[test]
fn killed_while_messages_come_into_postgres() {
    if has(BROKER, "broker")
        && let Some(place) = block_on(Place::postgres())
    {
        mqtt(&place);
    }
}

#[test]
fn killed_while_a_stream_comes_into_sqlite() {
    if has(NATS, "NATS server") {
        nats(&Place::sqlite());
    }
}

#[test]
fn killed_while_a_stream_comes_into_postgres() {
    if has(NATS, "NATS server")
        && let Some(place) = block_on(Place::postgres())
    {
        nats(&place);
    }
}
