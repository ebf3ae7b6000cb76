//! What a server does on its own: the first training, retrainings that fail, a store that is tidied.

use serde_json::{Value, json};

use super::client::{Server, receive, registry, roomcast, sample, wait};
use crate::store::place::Place;
use crate::stream::bench::{block_on, metric, post, serve, start, stored};
use roomcast_forecast::calendar::Calendar;

fn alert(server: &Server, kind: &str) -> Value {
    let answer = server.get("/alerts").json();
    answer["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).cloned().unwrap_or_default()
}

#[test]
fn a_server_without_readings_trains_models_once_it_has_enough() {
    let (models, place) = (tempfile::tempdir().unwrap(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let text = std::fs::read_to_string(sample()).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    let send = |from: &str, to: &str| {
        let rows = rows.lines().filter(|row| *row >= from && *row < to).map(|row| format!("{row}\n"));
        let answer = post(&server, "text/csv", &[], format!("{head}\n{}", rows.collect::<String>()).as_bytes());
        assert!(answer.json()["stored"].as_u64().unwrap() > 0, "{}", answer.text());
    };
    let version = || server.get("/predict").json()["model"]["version"].as_str().map(str::to_owned);
    send("2016-07-01", "2016-07-08");
    wait("the devices", || server.get("/devices").json()["devices"].as_array().is_some_and(|all| all.len() == 5));
    assert_eq!(version().as_deref(), Some("baseline"));
    // 2016-07-01 to 2016-07-07 are seven days at most.
    let learning = server.get("/models").json()["learning"].clone();
    assert_eq!(learning, json!({ "days": 6, "days_needed": 10, "takes_readings": true }));
    let sources: Vec<Value> = server.get("/devices").json()["devices"].as_array().unwrap().clone();
    assert!(sources.iter().all(|device| device["source"] == "baseline"), "{sources:?}");
    assert!(!models.path().join("current").exists(), "too little is saved as a model: {}", server.log());
    send("2016-07-08", "2016-07-13");
    wait("models", || version().as_deref() != Some("baseline"));
    assert_eq!(server.get("/models").json()["learning"], Value::Null);
    assert_eq!(version(), std::fs::read_to_string(models.path().join("current")).ok().map(|name| name.trim().into()));
    wait("the end of the training", || metric(&server, "roomcast_retrainings_total") == 1.0);
    assert_eq!(metric(&server, "roomcast_retraining_failures_total"), 0.0);
}

#[test]
fn a_retraining_that_fails_is_shown_until_one_works() {
    let models = registry();
    let every_second = ["--retrain", "* * * * * *", "--retrain-jitter", "0", "--retrain-max-age", "400d"];
    let server = Server::start(models.path(), &every_second);
    let (current, aside) = (models.path().join("current"), models.path().join("aside"));
    std::fs::rename(&current, &aside).unwrap();
    wait("an alert", || alert(&server, "retraining_failed")["count"] == 1);
    let error = server.get("/models").json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("retraining failed") && error.contains("models activate"), "{error}");
    assert!(metric(&server, "roomcast_retraining_failures_total") >= 1.0);
    assert_eq!(server.get("/predict").status, 200);
    std::fs::rename(&aside, &current).unwrap();
    wait("a retraining that works", || server.get("/models").json()["error"].is_null());
    wait("no alert", || alert(&server, "retraining_failed") == Value::Null);
}

#[test]
fn a_sensor_that_stays_on_is_an_alert_until_it_has_behaved_for_weeks() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let midnight = start() - 8 * 3600;
    let send = |days: std::ops::Range<i64>, hall: [i64; 2]| {
        let row = |day: i64, hour: i64, rest: &str| {
            format!("{},{rest}\n", calendar.format(midnight + day * 86_400 + hour * 3600))
        };
        let rows = days.flat_map(|day| {
            let [on, off] = hall;
            [row(day, 9, "loft,1"), row(day, 12, "loft,0"), row(day, on, "hall,1"), row(day, off, "hall,0")]
        });
        let body = format!("time,device,device_activated\n{}", rows.collect::<String>());
        assert_eq!(post(&server, "text/csv", &[], body.as_bytes()).status, 200);
    };
    // On for 14 hours, which is longer than twelve. The first off says that these sensors have one.
    send(0..4, [6, 20]);
    wait("the alert", || alert(&server, "stuck_sensors")["count"] == 1);
    assert_eq!(alert(&server, "stuck_sensors")["examples"], json!(["hall"]));
    assert!(server.get("/metrics").text().contains("roomcast_alert{kind=\"stuck_sensors\"} 1"));
    send(4..32, [6, 9]);
    wait("its end", || alert(&server, "stuck_sensors") == Value::Null);
}

#[test]
fn a_sensor_in_motion_for_days_is_an_alert_until_it_is_still() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let midnight = start() - 8 * 3600;
    let send = |device: &str, hours: std::ops::Range<i64>| {
        let row = |hour: i64| format!("{},{device},1\n", calendar.format(midnight + hour * 3600 + 60));
        let body = format!("time,device,device_activated\n{}", hours.map(row).collect::<String>());
        assert_eq!(post(&server, "text/csv", &[], body.as_bytes()).status, 200);
    };
    send("hall", 8..10);
    send("loft", 8..10);
    send("hall", 24..24 + 49);
    wait("the alert", || alert(&server, "stuck_sensors")["examples"] == json!(["hall"]));
    send("loft", 78..79);
    wait("its end", || alert(&server, "stuck_sensors") == Value::Null);
}

/// Posts a reading an hour for 20 days, and says when the last one is.
fn twenty_days(server: &Server) -> i64 {
    let calendar = Calendar::default();
    let row = |n: i64| format!("{},hall,1\n", calendar.format(start() + n * 3600));
    let rows: String = (0..480).map(row).collect();
    let answer = post(server, "text/csv", &[], format!("time,device,device_activated\n{rows}").as_bytes());
    assert_eq!(answer.json()["stored"], 480, "{}", answer.text());
    start() + 479 * 3600
}

const TIDY: [&str; 6] = ["--upkeep", "* * * * * *", "--pack", "2d", "--retain", "10d"];

/// Whether a server serves nothing older than ten days before its last reading.
fn has_forgotten(server: &Server, last: i64) -> bool {
    let device = server.get("/devices/hall").json();
    let first = device["first_reading"].as_str().map(|first| first.replace('T', " "));
    first.and_then(|first| Calendar::default().parse(&first).ok()).is_some_and(|first| last - first <= 11 * 86_400)
}

#[test]
fn old_days_are_packed_and_forgotten() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &TIDY);
    let last = twenty_days(&server);
    wait("what is forgotten", || has_forgotten(&server, last));
    wait("what is packed", || metric(&server, "roomcast_store_packed_total") > 0.0);
    let dropped = metric(&server, "roomcast_store_dropped_total");
    assert!((200.0..=240.0).contains(&dropped), "{dropped}");
    assert!(metric(&server, "roomcast_store_tidied_seconds") > 1_700_000_000.0);
    assert_eq!((alert(&server, "upkeep_failed"), stored(&place.url).len()), (Value::Null, 480 - dropped as usize));
    // What comes too late for a packed day still counts, once.
    let late = Calendar::default().format(last - 5 * 86_400 + 7);
    let send =
        || post(&server, "application/json", &[], json!([{ "time": late, "device": "hall" }]).to_string().as_bytes());
    assert_eq!((send().json()["stored"].clone(), send().json()["stored"].clone()), (json!(1), json!(0)));
    assert_eq!(stored(&place.url).len(), 481 - dropped as usize);
}

#[test]
fn of_two_servers_one_tidies_the_store_and_both_forget() {
    let Some(place) = block_on(Place::postgres()) else { return };
    let models = registry();
    let first = serve(&place.url, &models, &TIDY);
    wait("the right to tidy", || metric(&first, "roomcast_store_tidied_seconds") > 0.0);
    let last = twenty_days(&first);
    let second = serve(&place.url, &models, &TIDY);
    for server in [&first, &second] {
        wait("what is forgotten", || has_forgotten(server, last));
    }
    for server in [&first, &second] {
        assert_eq!(metric(server, "roomcast_reading_reloads_total"), 0.0, "nothing has to be read to forget");
    }
    wait("the other's turn", || second.log().contains("no upkeep: another server has the lease"));
    let dropped = |server| metric(server, "roomcast_store_dropped_total");
    assert!(dropped(&first) >= 200.0 && dropped(&second) == 0.0, "{} {}", dropped(&first), dropped(&second));
    // A server that stops gives its right back, and the other need not wait for its end.
    let mut first = first;
    first.signal("TERM");
    first.child.wait().unwrap();
    wait("the turn", || metric(&second, "roomcast_store_tidied_seconds") > 0.0);
}

/// A receiver of web hooks that is away at first: it refuses the first request and takes the others.
fn receiver() -> (u16, std::sync::mpsc::Receiver<(String, Value)>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, (heard, messages)) = (listener.local_addr().unwrap().port(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let request = receive(&mut std::io::BufReader::new(stream.try_clone().unwrap()));
            let status = if number == 0 { "503 Service Unavailable" } else { "204 No Content" };
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            std::io::Write::write_all(&mut &stream, answer.as_bytes()).unwrap();
            let body = serde_json::from_slice(&request.body).unwrap();
            if heard.send((request.head, body)).is_err() {
                return;
            }
        }
    });
    (port, messages)
}

#[test]
fn a_web_hook_is_told_what_begins_and_what_ends_and_its_secrets_are_not_logged() {
    let (models, (port, messages)) = (registry(), receiver());
    let hook = format!("http://127.0.0.1:{port}/hook/secret-path");
    let every_second = ["--retrain", "* * * * * *", "--retrain-jitter", "0", "--retrain-max-age", "400d"];
    let input = sample();
    let server = Server::in_environment(
        &[("ROOMCAST_NOTIFY_TOKEN", "secret-token")],
        &["--input", input.to_str().unwrap(), "--models", models.path().to_str().unwrap(), "--notify", &hook],
        &every_second,
    );
    let (current, aside) = (models.path().join("current"), models.path().join("aside"));
    std::fs::rename(&current, &aside).unwrap();
    let next = || messages.recv_timeout(std::time::Duration::from_secs(60)).expect("a message");
    // The sample is old, so other alerts may begin before.
    let told = |what: &str| loop {
        let (head, body) = next();
        assert!(head.starts_with("POST /hook/secret-path HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer secret-token"), "{head}");
        let all = body[what].as_array().unwrap();
        if all.iter().any(|alert| alert["kind"] == "retraining_failed") {
            return body;
        }
    };
    let first = told("began");
    assert!(first["text"].as_str().unwrap().contains("Roomcast alert: retraining_failed (1)"), "{first}");
    std::fs::rename(&aside, &current).unwrap();
    let last = told("ended");
    assert!(last["text"].as_str().unwrap().contains("Roomcast alert over: retraining_failed"), "{last}");
    // The first request was refused and tried again.
    assert!(metric(&server, "roomcast_notify_failures_total") >= 1.0);
    assert!(metric(&server, "roomcast_notify_sent_total") >= 2.0);
    assert_eq!(metric(&server, "roomcast_notify_dropped_total"), 0.0);
    let log = server.log();
    assert!(log.contains("alerts go to http://127.0.0.1") && !log.contains("secret"), "{log}");
}

#[test]
fn a_web_hook_that_is_away_delays_nothing() {
    let models = registry();
    let input = sample();
    // A port that nobody listens to.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::with(
        &["--input", input.to_str().unwrap(), "--models", models.path().to_str().unwrap()],
        &["--notify", &format!("http://127.0.0.1:{port}/x"), "--retrain", "* * * * * *", "--retrain-jitter", "0"],
    );
    std::fs::remove_file(models.path().join("current")).unwrap();
    wait("an alert", || alert(&server, "retraining_failed")["count"] == 1);
    wait("failures", || metric(&server, "roomcast_notify_failures_total") >= 2.0);
    assert_eq!((server.get("/predict").status, server.log().matches("alerts do not reach").count()), (200, 1));
    for wrong in ["ftp://a/b?key=secret", "secret"] {
        let output = roomcast(&["serve", "--input", input.to_str().unwrap(), "--no-auth", "--notify", wrong]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("--notify") && !error.contains("secret"), "{error}");
    }
}
