//! Two servers on one PostgreSQL, and the one that publishes is gone without a word.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use redis::Commands;
use serde_json::Value;
use tempfile::TempDir;

use super::homeassistant::Listener;
use super::{REDIS, fill, now, row};
use crate::serve::client::{Server, registry, wait};
use crate::store::place::Place;
use crate::stream::bench::{BROKER, Proxy, block_on, fresh, has, metric, post, serve};

/// Seconds after which nothing has to be heard of a server that publishes, and in which the other asks at least once.
const LEASE: u64 = 45;
const ASK: u64 = 10;

fn sent(server: &Server) -> [f64; 2] {
    ["mqtt", "redis"].map(|target| metric(server, &format!("roomcast_publish_sent_total{{target=\"{target}\"}}")))
}

/// What servers of one site share.
struct Site {
    place: Place,
    models: TempDir,
    node: String,
    device: String,
    mqtt: String,
    redis: String,
}

impl Site {
    fn new() -> Option<Site> {
        if !has(BROKER, "broker") || !has(REDIS, "Redis") {
            return None;
        }
        let (place, node) = (block_on(Place::postgres())?, fresh("site").replace('-', "_"));
        let mqtt = format!("mqtt://127.0.0.1:{BROKER}/?client_id={node}");
        let redis = format!("redis://127.0.0.1:{REDIS}");
        Some(Site { place, models: registry(), node, device: fresh("shared"), mqtt, redis })
    }
}

/// Every value a key of Redis had, as long as somebody looks.
fn watched(key: &str, over: &AtomicBool) -> Vec<Value> {
    let mut redis = redis::Client::open(format!("redis://127.0.0.1:{REDIS}")).unwrap().get_connection().unwrap();
    let mut values: Vec<Value> = Vec::new();
    while !over.load(SeqCst) {
        let found: Option<String> = redis.get(key).unwrap();
        let found = found.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        if values.last() != Some(&found) {
            values.push(found);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _: i64 = redis.del(key).unwrap();
    values
}

#[test]
fn when_the_server_that_publishes_is_killed_the_other_takes_over_and_contradicts_nothing() {
    let Some(Site { place, models, node, device, mqtt, redis }) = Site::new() else { return };
    let start = || {
        let targets = ["--publish-mqtt", &mqtt, "--publish-prefix", &node, "--publish-redis", &redis];
        serve(&place.url, &models, &targets)
    };
    let listener = Listener::start(&[format!("{node}/#")]);
    let heard = || listener.heard.lock().unwrap().len();
    let availability = format!("{node}/status");
    let is = |state: &str| listener.last(&availability).as_deref() == Some(state);
    let (key, over) = (format!("prediction:{device}"), AtomicBool::new(false));
    let values = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watched(&key, &over));
        let first = start();
        fill(&first, &[&device], &format!("{device}-attic"));
        wait("forecasts of the first", || sent(&first).into_iter().all(|sent| sent > 0.0) && is("online"));
        let second = start();
        wait("the readings", || metric(&second, "roomcast_readings") == metric(&first, "roomcast_readings"));
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(sent(&second), [0.0, 0.0]);
        let killed = Instant::now();
        // SIGKILL.
        drop(first);
        wait("the last will", || is("offline"));
        let said = heard();
        // What is new meanwhile nobody publishes: whose turn it is is not known yet.
        post(&second, "application/x-ndjson", &[], row(&device, now() - 1).as_bytes());
        let silence = Duration::from_secs(LEASE - ASK - 5);
        while killed.elapsed() < silence {
            assert_eq!((sent(&second), heard()), ([0.0, 0.0], said));
            std::thread::sleep(Duration::from_millis(500));
        }
        wait("forecasts of the second", || sent(&second).into_iter().all(|sent| sent > 0.0) && is("online"));
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(LEASE + ASK + 5), "{took:?}");
        // One that comes back finds its turn taken.
        let third = start();
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(sent(&third), [0.0, 0.0]);
        over.store(true, SeqCst);
        watcher.join().unwrap()
    });
    let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    assert!(values.len() >= 2, "{values:?}");
    for pair in values.windows(2) {
        let time = |at: usize, name: &str| pair[at][name].as_str().unwrap().to_owned();
        // Neither went back to what it knew before the other.
        assert!(time(0, "made_at") <= time(1, "made_at") && time(0, "origin") <= time(1, "origin"), "{pair:?}");
    }
    listener.erase();
}

#[test]
fn a_server_cut_off_from_the_store_alone_leaves_publishing_to_the_other() {
    let Some(Site { place, models, node, device, mqtt, redis }) = Site::new() else { return };
    let start = |url: &str| {
        serve(url, &models, &["--publish-mqtt", &mqtt, "--publish-prefix", &node, "--publish-redis", &redis])
    };
    let proxy = Proxy::to(5432);
    let first = start(&place.url.replace(":5432", &format!(":{}", proxy.port)));
    fill(&first, &[&device], &format!("{device}-attic"));
    wait("forecasts of the first", || sent(&first).into_iter().all(|sent| sent > 0.0));
    let second = start(&place.url);
    let of = |server: &Server, what: &str| metric(server, &format!("roomcast_publish_{what}{{target=\"mqtt\"}}"));
    proxy.set_away(true);
    std::thread::sleep(Duration::from_secs(LEASE - ASK - 5));
    assert_eq!(sent(&second), [0.0, 0.0]);
    wait("forecasts of the second", || sent(&second).into_iter().all(|sent| sent > 0.0));
    // Both have the same name at the broker, which drops the one when the other comes.
    wait("the first to be dropped", || of(&first, "connected") == 0.0);
    let before = sent(&first);
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(2 * ASK) {
        assert_eq!((of(&second, "connected"), of(&second, "failures_total"), of(&first, "connected")), (1.0, 0.0, 0.0));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(sent(&first), before);
    assert!(first.log().contains("it is not known whether another server publishes"), "{}", first.log());
    proxy.set_away(false);
    wait("the first to learn of it", || first.log().contains("another server publishes forecasts"));
    assert_eq!((of(&second, "connected"), of(&second, "failures_total")), (1.0, 0.0));
    drop((first, second));
    let mut redis = redis::Client::open(redis).unwrap().get_connection().unwrap();
    let _: i64 = redis.del(format!("prediction:{device}")).unwrap();
    let listener = Listener::start(&[format!("{node}/#")]);
    wait("what is retained", || listener.last(&format!("{node}/status")).is_some());
    listener.erase();
}
