//! A store that is busy or away, and a queue that is full.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use super::bench::{BROKER, Mosquitto, Proxy, block_on, has, metric, post, publish, serve, stored, subscribed, time};
use crate::serve::client::{registry, wait};
use crate::store::place::Place;

/// How long the database cannot be reached.
const AWAY: Duration = Duration::from_secs(30);

fn rows(device: &str, count: i64) -> String {
    (0..count).map(|n| format!("{{\"time\":\"{}\",\"device\":\"{device}\"}}\n", time(n))).collect()
}

#[test]
fn a_full_queue_turns_away_and_what_waits_is_stored() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &["--queue-rows", "100"]);
    let send = |device: &str, count| post(&server, "application/x-ndjson", &[], rows(device, count).as_bytes());
    assert_eq!(send("a", 80).json()["stored"], 80);
    block_on(async {
        let mut other = SqliteConnection::connect(&place.url).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| send("b", 80));
            wait("the queue", || metric(&server, "roomcast_ingest_queue_rows") == 80.0);
            let turned_away = send("c", 80);
            assert_eq!((turned_away.status, turned_away.code().as_str()), (429, "queue_full"));
            assert_eq!(turned_away.header("retry-after"), Some("1"));
            block_on_thread(scope, async move { other.execute("ROLLBACK").await.unwrap() });
            assert_eq!(waits.join().unwrap().json()["stored"], 80);
        });
    });
    assert_eq!(send("c", 80).json()["stored"], 80);
    assert_eq!(metric(&server, "roomcast_ingest_turned_away_total{source=\"http\"}"), 1.0);
    // More than the queue holds goes alone.
    assert_eq!(send("d", 1000).json()["stored"], 1000);
    assert_eq!(stored(&place.url).len(), 1240);
}

/// Waits for a future on a thread of its own: within another runtime there can be no second.
fn block_on_thread<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    future: impl Future<Output = T> + Send + 'scope,
) -> T {
    scope.spawn(|| block_on(future)).join().unwrap()
}

#[test]
fn while_the_database_is_away_http_is_told_and_messages_wait() {
    if !has(BROKER, "broker") {
        return;
    }
    let Some(place) = block_on(Place::postgres()) else { return };
    let Some(broker) = Mosquitto::start() else { return };
    let (models, proxy) = (registry(), Proxy::to(5432));
    let url = place.url.replace(":5432", &format!(":{}", proxy.port));
    let server = serve(&url, &models, &["--mqtt", &format!("mqtt://127.0.0.1:{}", broker.port)]);
    subscribed(&server, 1);
    let send = |device: &str| post(&server, "application/x-ndjson", &[], rows(device, 10).as_bytes());
    assert_eq!(send("a").json()["stored"], 10);
    proxy.set_away(true);
    let messages: Vec<_> = (0..40)
        .map(|n| {
            let payload = json!({ "occupancy": true, "last_seen": time(n) });
            (format!("zigbee2mqtt/room_{n}"), payload.to_string())
        })
        .collect();
    publish(broker.port, &messages, false, Duration::ZERO);
    let gone = Instant::now();
    let watch = Instant::now();
    let told = send("b");
    assert_eq!((told.status, told.code().as_str()), (503, "store_unavailable"));
    assert!(told.header("retry-after").is_some() && watch.elapsed() < Duration::from_secs(15));
    wait("a failed commit", || metric(&server, "roomcast_ingest_commit_failures_total") >= 1.0);
    assert_eq!(metric(&server, "roomcast_ingest_stored_total{source=\"mqtt\"}"), 0.0);
    while gone.elapsed() < AWAY {
        assert!(matches!(send("b").status, 503 | 429));
        std::thread::sleep(Duration::from_millis(500));
    }
    // What is known is still served.
    assert_eq!(server.get("/predict").status, 200);
    proxy.set_away(false);
    wait("the messages", || metric(&server, "roomcast_ingest_stored_total{source=\"mqtt\"}") == 40.0);
    wait("an answer", || send("b").status == 200);
    assert_eq!(stored(&place.url).len(), 60);
}
