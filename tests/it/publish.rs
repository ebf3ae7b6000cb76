//! Forecasts that leave the server, at a real broker and a real Redis, and what they were worth.

mod homeassistant;
mod takeover;

use std::process::{Command, Stdio};

use redis::Commands;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use serde_json::{Value, json};

use crate::serve::client::{Server, registry, roomcast, sample, wait};
use crate::store::place::Place;
use crate::stream::bench::{Proxy, free_port, fresh, has, metric, post, serve};

const REDIS: u16 = 6379;

/// Days before the present on which somebody comes.
const DAYS: i64 = 20;

fn now() -> Timestamp {
    Calendar::default().now()
}

fn row(device: &str, time: Timestamp) -> String {
    json!({ "time": Calendar::default().format(time), "device": device }).to_string() + "\n"
}

/// Posts working days of some devices up to now, and one of another long ago.
fn fill(server: &Server, devices: &[&str], silent: &str) {
    fill_until(server, devices, silent, now() - 60);
}

/// The same up to an instant.
fn fill_until(server: &Server, devices: &[&str], silent: &str, present: Timestamp) {
    let midnight = present - present.rem_euclid(24 * HOUR);
    let mut rows = row(silent, midnight - DAYS * 24 * HOUR + 9 * HOUR);
    for device in devices {
        let hours = (0..=DAYS).flat_map(|day| (8..18).map(move |hour| midnight - day * 24 * HOUR + hour * HOUR));
        rows.extend(hours.filter(|time| *time < present).map(|time| row(device, time)));
        rows += &row(device, present);
    }
    let answer = post(server, "application/x-ndjson", &[], rows.as_bytes());
    assert_eq!(answer.json()["refused"], json!([]), "{}", answer.text());
}

/// The forecast of a device as HTTP gives it.
fn predicted(server: &Server, device: &str) -> Value {
    let answer = server.get(&format!("/predict?device={}", device.replace('ü', "%C3%BC").replace(' ', "%20")));
    if answer.status == 200 { answer.json() } else { Value::Null }
}

#[test]
fn redis_holds_what_http_answers_until_the_hour_is_over() {
    if !has(REDIS, "Redis") {
        return;
    }
    let (models, place, proxy) = (registry(), Place::sqlite(), Proxy::to(REDIS));
    let server = serve(&place.url, &models, &["--publish-redis", &format!("redis://127.0.0.1:{}/", proxy.port)]);
    let site = fresh("site");
    let devices = [format!("{site}/hall"), format!("{site} küche")];
    fill(&server, &[&devices[0], &devices[1]], &format!("{site}/attic"));
    let mut direct = redis::Client::open(format!("redis://127.0.0.1:{REDIS}")).unwrap().get_connection().unwrap();
    let key = |device: &str| format!("prediction:{device}");
    for device in &devices {
        wait("the same forecast", || {
            let (stored, http): (Option<String>, Value) =
                (direct.get(key(device)).unwrap(), predicted(&server, device));
            let Some(stored) = stored.and_then(|stored| serde_json::from_str::<Value>(&stored).ok()) else {
                return false;
            };
            let same = |name: &str| stored[name] == http["devices"][0][name];
            ["device", "hours", "source", "status", "model_version"].into_iter().all(same)
                && stored["origin"] == http["origin"]
                && stored["made_at"].as_str().unwrap().ends_with('Z')
        });
        let left: i64 = direct.ttl(key(device)).unwrap();
        assert!((1..=2 * HOUR).contains(&left), "{left}");
    }
    // While Redis is away the server goes on; when it is back it is told the newest.
    proxy.set_away(true);
    let gone: i64 = direct.del(key(&devices[0])).unwrap();
    assert_eq!(gone, 1);
    post(&server, "application/x-ndjson", &[], row(&devices[0], now() - 50).as_bytes());
    wait("a failure", || metric(&server, "roomcast_publish_failures_total{target=\"redis\"}") > 1.0);
    wait("an alert", || alert(&server, "disconnected")["examples"] == json!(["publish-redis"]));
    assert_eq!(predicted(&server, &devices[0])["devices"][0]["device"], devices[0]);
    proxy.set_away(false);
    wait("the key", || direct.exists(key(&devices[0])).unwrap());
    assert_eq!(server.log().matches("forecasts do not reach Redis").count(), 1);
    assert!(metric(&server, "roomcast_publish_sent_total{target=\"redis\"}") >= 6.0);
    drop(server);
    let _: i64 = direct.del([key(&devices[0]), key(&devices[1]), key(&format!("{site}/attic"))].as_slice()).unwrap();
}

#[test]
fn redis_is_written_to_over_an_encrypted_connection() {
    let place = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &[&str]| Command::new(program).args(args).current_dir(&place).output();
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
               -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem";
    let made = run("openssl", &key.split_whitespace().collect::<Vec<_>>());
    let port = free_port();
    let redis = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--tls-port",
            &port.to_string(),
            "--tls-auth-clients",
            "no",
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ])
        .args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"])
        .current_dir(&place)
        .stdout(Stdio::null())
        .spawn();
    let (Ok(made), Ok(mut redis)) = (made, redis) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no openssl or redis-server to start");
        println!("skipped: no openssl or redis-server to start");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (models, readings, certificate) = (registry(), Place::sqlite(), place.path().join("cert.pem"));
    let url = format!("rediss://localhost:{port}/");
    let server =
        serve(&readings.url, &models, &["--publish-redis", &url, "--publish-redis-ca", certificate.to_str().unwrap()]);
    fill(&server, &["hall"], "attic");
    wait("forecasts", || metric(&server, "roomcast_publish_sent_total{target=\"redis\"}") >= 2.0);
    assert_eq!(metric(&server, "roomcast_publish_connected{target=\"redis\"}"), 1.0);
    redis.kill().unwrap();
    redis.wait().unwrap();
}

#[test]
fn of_two_servers_on_one_store_one_publishes_and_the_other_takes_over() {
    if !has(REDIS, "Redis") {
        return;
    }
    let (models, place) = (registry(), Place::sqlite());
    let start = || serve(&place.url, &models, &["--publish-redis", &format!("redis://127.0.0.1:{REDIS}")]);
    let device = fresh("shared");
    let mut first = start();
    fill(&first, &[&device], &format!("{device}-attic"));
    let connected = |server: &Server| metric(server, "roomcast_publish_connected{target=\"redis\"}");
    let sent = |server: &Server| metric(server, "roomcast_publish_sent_total{target=\"redis\"}");
    wait("forecasts of the first", || sent(&first) > 0.0);
    let second = start();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((connected(&first), connected(&second), sent(&second)), (1.0, 0.0, 0.0));
    // One that stops gives its turn back.
    first.signal("TERM");
    first.child.wait().unwrap();
    wait("forecasts of the second", || connected(&second) == 1.0 && sent(&second) > 0.0);
    drop(second);
    let mut direct = redis::Client::open(format!("redis://127.0.0.1:{REDIS}")).unwrap().get_connection().unwrap();
    let keys = [format!("prediction:{device}"), format!("prediction:{device}-attic")];
    assert!(direct.del::<_, i64>(&keys[..]).unwrap() > 0);
}

fn alert(server: &Server, kind: &str) -> Value {
    let answer = server.get("/alerts").json();
    answer["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).cloned().unwrap_or_default()
}

#[test]
fn a_server_says_why_it_publishes_nothing_and_when_it_begins() {
    if !has(REDIS, "Redis") {
        return;
    }
    let (models, place, device) = (registry(), Place::sqlite(), fresh("hall"));
    let server = serve(&place.url, &models, &["--publish-redis", &format!("redis://127.0.0.1:{REDIS}/")]);
    fill_until(&server, &[&device], &format!("{device}-attic"), now() - 60 * 24 * HOUR);
    wait("the reason", || {
        server.log().contains("nothing is published to Redis at 127.0.0.1:6379 yet: the readings end")
    });
    assert!(!server.log().contains("the first forecast is published"), "{}", server.log());
    post(&server, "application/x-ndjson", &[], row(&device, now() - 60).as_bytes());
    wait("the first forecast", || server.log().contains("the first forecast is published to Redis at"));
    assert!(server.log().contains("connected to Redis"), "{}", server.log());
    drop(server);
    let mut direct = redis::Client::open(format!("redis://127.0.0.1:{REDIS}")).unwrap().get_connection().unwrap();
    let keys = [format!("prediction:{device}"), format!("prediction:{device}-attic")];
    let _: i64 = direct.del(&keys[..]).unwrap();
}

#[test]
fn floors_and_the_building_are_scored_as_rooms_are() {
    let (models, place) = (tempfile::tempdir().unwrap(), Place::sqlite());
    let table = place.dir.path().join("rooms.csv");
    let rows = "device_1,device_1,1\nhall,hall,1\nattic,attic,1\ndevice_2,device_2,2\nloft,loft,2\n";
    std::fs::write(&table, format!("sensor,room,floor\n{rows}")).unwrap();
    let (table, input) = (table.to_str().unwrap(), sample());
    let args = ["train", "--until", "2016-08-10 23:59:59", "--rooms", table, "--input", input.to_str().unwrap()];
    let trained = roomcast(&[&args[..], &["--models", models.path().to_str().unwrap()]].concat());
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let serve = || serve(&place.url, &models, &["--rooms", table]);
    let server = serve();
    let past = now() - 60 * 24 * HOUR;
    fill_until(&server, &["hall", "loft"], "attic", past);
    for level in ["floor", "building"] {
        wait("forecasts that are kept", || models.path().join(format!("live-scores-{level}")).exists());
    }
    let hour = past.div_euclid(HOUR) * HOUR;
    post(&server, "application/x-ndjson", &[], row("loft", hour + HOUR + 900).as_bytes());
    let levels = |server: &Server| server.get("/models").json()["levels"].clone();
    wait("scores", || levels(&server).as_array().is_some_and(|all| all.iter().all(|level| level["live"].is_object())));
    let scored = levels(&server);
    let names = |at: usize| scored[at]["series"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    let [floors, buildings]: [Vec<Value>; 2] = [names(0), names(1)];
    assert_eq!((floors, buildings), (vec![json!("1"), json!("2")], vec![json!("building")]), "{scored}");
    for (at, level) in ["floor", "building"].into_iter().enumerate() {
        let live = &scored[at]["live"];
        assert_eq!(scored[at]["level"], level);
        assert!(live["log_loss"].as_f64().unwrap() > 0.0 && live["baseline"].as_f64().unwrap() > 0.0, "{scored}");
        assert_eq!(metric(&server, &format!("roomcast_live_level_log_loss{{level=\"{level}\"}}")), live["log_loss"]);
    }
    // A restart forgets nothing.
    drop(server);
    let server = serve();
    wait("the scores", || levels(&server)[0]["live"].is_object());
}

#[test]
fn forecasts_are_scored_when_their_hour_has_closed() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let live = |server: &Server, device: &str| server.get(&format!("/devices/{device}")).json()["live"].clone();
    // A past that is played: the last reading is the clock.
    let past = now() - 60 * 24 * HOUR;
    fill_until(&server, &["hall", "loft"], "attic", past);
    // The forecasts of this hour are kept.
    let file = models.path().join("live-scores");
    wait("forecasts that are kept", || file.exists());
    assert_eq!(live(&server, "hall"), Value::Null);
    assert!(metric(&server, "roomcast_live_skill").is_nan());
    let hour = past.div_euclid(HOUR) * HOUR;
    // The hour is over, but may still get some.
    let send = |time| post(&server, "application/x-ndjson", &[], row("loft", time).as_bytes());
    send(hour + HOUR + 300);
    wait("the reading", || metric(&server, "roomcast_data_until_seconds") == (hour + HOUR + 300) as f64);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(live(&server, "hall"), Value::Null);
    send(hour + HOUR + 900);
    wait("a score", || live(&server, "hall") != Value::Null);
    let scored = live(&server, "hall");
    // The list says the same, though it was asked for before and no reading has come since.
    let listed = || server.get("/devices").json()["devices"][1]["live"].clone();
    wait("the list", || listed() == scored);
    assert!(scored["hours"].as_u64().unwrap() >= 1, "{scored}");
    for number in ["log_loss", "baseline", "brier", "day_ahead"] {
        assert!(scored[number].as_f64().unwrap() > 0.0, "{scored}");
    }
    assert!(metric(&server, "roomcast_live_hours") >= 2.0);
    assert!(metric(&server, "roomcast_live_calibration_gap") >= 0.0);
    // Every hour that was scored is in the bins of the last days.
    let answer = server.get("/models").json();
    let bins = answer["live_reliability"].as_array().unwrap();
    let counted: u64 = bins.iter().map(|bin| bin["forecasts"].as_u64().unwrap()).sum();
    assert_eq!((counted as f64, bins.len()), (metric(&server, "roomcast_live_hours"), 10));
    assert_eq!(answer["live_reliability_days"], 7);
    assert!(answer["live_reliability_until"].is_string(), "{answer}");
    let all = server.get("/devices").json();
    // Nobody knows whether the attic is empty or its sensor dead.
    assert_eq!((&all["devices"][0]["device"], &all["devices"][0]["live"]), (&json!("attic"), &Value::Null));
    wait("an alert", || alert(&server, "silent_sensors")["examples"] == json!(["attic"]));
    assert_eq!(metric(&server, "roomcast_alert{kind=\"silent_sensors\"}"), 1.0);
    assert_eq!(alert(&server, "model_old")["count"], 1);
    // Readings arrive, if those of another time.
    assert_eq!(alert(&server, "data_late"), Value::Null);
    assert_eq!(server.ask("GET", "/alerts", &[], b"").status, 401);
    // A restart forgets nothing.
    drop(server);
    let server = serve(&place.url, &models, &[]);
    wait("the same score", || live(&server, "hall") == scored);
}

#[test]
fn schedules_are_stored_before_their_hours_and_counted_after_their_day() {
    let (models, place) = (registry(), Place::sqlite());
    let options = ["--timetable", "mon-sun 06:00-19:00", "--preheat", "30m"];
    let server = serve(&place.url, &models, &options);
    // A past that is played: the last reading is the clock.
    let midnight = (now() - 60 * 24 * HOUR).div_euclid(24 * HOUR) * 24 * HOUR;
    fill_until(&server, &["hall", "loft"], "attic", midnight + 60);
    let file = models.path().join("live-ledger");
    wait("a schedule that is stored", || file.exists());
    let stored = std::fs::read(&file).unwrap();
    let empty = server.get("/ledger").json();
    assert_eq!(
        (&empty["days"], &empty["timetable"], &empty["policies"]),
        (&json!(0), &json!("mon-sun 06:00-19:00"), &json!([]))
    );
    // What happens on the day does not change what was stored before it.
    let send = |device: &str, time| post(&server, "application/x-ndjson", &[], row(device, time).as_bytes());
    for hour in [3, 9, 14, 22] {
        send("hall", midnight + hour * HOUR + 60);
    }
    wait("the readings", || metric(&server, "roomcast_data_until_seconds") == (midnight + 22 * HOUR + 60) as f64);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(std::fs::read(&file).unwrap(), stored);
    send("loft", midnight + 24 * HOUR + 900);
    wait("the day", || server.get("/ledger").json()["days"] == 1);
    let answer = server.get("/ledger?days=7").json();
    assert_eq!(answer["by_day"][0]["policies"], answer["policies"]);
    let policies = answer["policies"].as_array().unwrap();
    let names: Vec<&str> = policies.iter().map(|policy| policy["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["timetable", "reactive", "schedule", "hindsight"]);
    let of = |policy: usize, name: &str| policies[policy][name].as_f64().unwrap();
    assert_eq!((of(0, "hours"), of(0, "hours_on")), (48.0, 26.0));
    // Three, nine, fourteen and twenty-two in the hall, and the first minute of both rooms.
    assert_eq!((of(0, "occupied_hours"), of(3, "missed_hours")), (6.0, 0.0));
    assert!(of(2, "hours_on") > 8.0 && of(2, "hours_on") < 48.0, "{answer}");
    assert!(of(2, "missed_hours") >= 3.0, "nobody could know of three o'clock: {answer}");
    assert_eq!(metric(&server, "roomcast_ledger_hours_on{policy=\"timetable\"}"), 26.0);
    let csv = server.get("/ledger?format=csv").text();
    assert_eq!(
        (csv.lines().count(), csv.lines().next()),
        (5, Some("date,policy,hours,occupied_hours,hours_on,empty_hours_on,missed_hours,starts"))
    );
    assert_eq!(server.get("/ledger?days=0").code(), "invalid_parameter");
    drop(server);
    let whole = std::fs::read(&file).unwrap();
    let server = serve(&place.url, &models, &options);
    wait("the same day", || server.get("/ledger?days=7").json()["policies"] == answer["policies"]);
    drop(server);
    // A file of another version, or a damaged one, is kept aside, and said.
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let server = serve(&place.url, &models, &options);
    wait("the message", || server.log().contains("it begins anew, the file is kept"));
    assert_eq!(server.get("/ledger").json()["days"], 0);
    let beside = std::fs::read_dir(models.path()).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let kept: Vec<_> = beside.filter(|path| path.to_string_lossy().contains("live-ledger.unreadable-")).collect();
    assert_eq!(kept.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>(), [damaged]);
}

/// A server that was paused saves its ledger after another has stored two days more: none is lost.
#[test]
fn servers_that_share_models_keep_the_days_of_each_other() {
    let (models, place) = (registry(), Place::sqlite());
    let options = ["--timetable", "mon-sun 06:00-19:00"];
    let midnight = (now() - 60 * 24 * HOUR).div_euclid(24 * HOUR) * 24 * HOUR;
    let days = |server: &Server| server.get("/ledger?days=30").json()["days"].as_u64();
    let (first, second) = (serve(&place.url, &models, &options), serve(&place.url, &models, &options));
    fill_until(&first, &["hall", "loft"], "attic", midnight + 60);
    wait("a schedule that is stored", || models.path().join("live-ledger").exists());
    let send = |server: &Server, time| post(server, "application/x-ndjson", &[], row("hall", time).as_bytes());
    send(&first, midnight + 24 * HOUR + 900);
    wait("a day", || days(&first) == Some(1) && days(&second) == Some(1));
    second.signal("STOP");
    for day in 2..4 {
        send(&first, midnight + day * 24 * HOUR + 900);
        wait("a day more", || days(&first) == Some(day as u64));
    }
    second.signal("CONT");
    send(&first, midnight + 4 * 24 * HOUR + 900);
    wait("all days of both", || days(&first) == Some(4) && days(&second) == Some(4));
    drop((first, second));
    let server = serve(&place.url, &models, &options);
    wait("all days after a restart", || days(&server) == Some(4));
}
