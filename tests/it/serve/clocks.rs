//! Data that ended, clocks that are wrong, and rows that were refused: what the server says of them.

use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use serde_json::{Value, json};

use crate::serve::client::{Server, registry, wait};
use crate::store::place::Place;
use crate::stream::bench::{post, serve};

const DAY: i64 = 24 * HOUR;

/// Hours from 8 to 17 of working days, of the `days` before an instant.
fn busy(until: Timestamp, days: i64) -> Vec<Timestamp> {
    let calendar = Calendar::default();
    let hours = (0..days * 24).map(|hour| calendar.start(calendar.hour(until)) - (days * 24 - hour) * HOUR);
    let is_busy = |&hour: &Timestamp| {
        let local = calendar.local(calendar.hour(hour));
        !local.off && (8..17).contains(&local.hour)
    };
    hours.filter(is_busy).collect()
}

/// Rows of two rooms, in use in the busy hours of the days before an instant.
fn office(until: Timestamp, days: i64) -> String {
    let calendar = Calendar::default();
    let row =
        |hour: Timestamp| ["a", "b"].map(|device| format!("{},{device},1\n", calendar.format(hour + 600))).concat();
    busy(until, days).into_iter().map(row).collect()
}

fn send(server: &Server, rows: &str) -> Value {
    let answer = post(server, "text/csv", &[], format!("time,device,device_activated\n{rows}").as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn alert(server: &Server, kind: &str) -> Value {
    let answer = server.get("/alerts").json();
    answer["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).cloned().unwrap_or_default()
}

fn expected(forecast: &Value) -> f64 {
    let devices = forecast["devices"].as_array().unwrap().iter();
    devices.flat_map(|d| d["hours"].as_array().unwrap()).map(|hour| hour["probability"].as_f64().unwrap()).sum()
}

#[test]
fn data_that_ended_days_ago_give_the_habits_forecast_of_today() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let now = calendar.now();
    send(&server, &office(now - 9 * DAY, 42));
    wait("a forecast", || server.get("/predict").json()["stale"] == true);
    let stale = server.get("/predict").json();
    let (origin, until) = (stale["origin"].as_str().unwrap(), stale["data_until"].as_str().unwrap());
    assert!(origin >= &calendar.rfc3339(now)[..], "{origin} is the end of the data, not the present");
    assert!(until < &calendar.rfc3339(now - 8 * DAY)[..], "{until}");
    assert!(stale["devices"][0]["source"] == "baseline" && stale["model"]["version"] == "baseline", "{stale}");
    // A week as the one that was last seen, if not of a day off.
    let week = calendar.format(now + 5 * DAY).replace(' ', "+");
    assert_eq!(server.get(&format!("/predict?at={week}")).status, 422, "so far ahead nobody knows");
    // The two rooms are forecast in use in most of the hours that are due.
    let due = 2.0 * busy(now + 25 * HOUR, 1).len() as f64;
    assert!(expected(&stale) > 0.6 * due, "{} of {due}", expected(&stale));
    // A sensor that says that it sees nobody shows that the building is empty.
    let row = format!("{},a,0\n", calendar.format(now));
    send(&server, &row);
    drop(server);
    let server = serve(&place.url, &models, &[]);
    let empty = server.get("/predict").json();
    assert_eq!(empty["stale"], false, "{empty}");
}

#[test]
fn no_motion_in_a_body_shows_that_the_building_is_empty() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let now = calendar.now();
    let target = format!("/predict?at={}", calendar.format(now).replace(' ', "T"));
    let ask = |media: &str, body: String| {
        let answer = server.ask(
            "POST",
            &target,
            &["Authorization: Bearer r-token", &format!("Content-Type: {media}")],
            body.as_bytes(),
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["stale"].as_bool().unwrap()
    };
    let csv =
        |more: &str| ask("text/csv", format!("time,device,device_activated\n{}{more}", office(now - 9 * DAY, 42)));
    let still = calendar.format(now - HOUR);
    assert_eq!((csv(""), csv(&format!("{still},a,0\n"))), (true, false));
    let motion =
        busy(now - 9 * DAY, 42).into_iter().map(|time| json!({ "time": calendar.format(time), "device": "a" }));
    let json = |more: Option<Value>| {
        let readings: Vec<Value> = motion.clone().chain(more).collect();
        ask("application/json", json!({ "readings": readings }).to_string())
    };
    let still = json!({ "time": still, "device": "a", "device_activated": 0 });
    assert_eq!((json(None), json(Some(still))), (true, false));
}

#[test]
fn a_clock_ahead_does_not_move_the_present_of_the_site() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let now = calendar.now();
    send(&server, &office(now - HOUR, 20));
    send(&server, &format!("{},gateway,1\n", calendar.format(now + 8 * HOUR)));
    wait("the alert", || alert(&server, "stray_readings")["count"] == 1);
    let example = alert(&server, "stray_readings")["examples"][0].as_str().unwrap().to_owned();
    assert!(example.starts_with("gateway: "), "{example}");
    let origin = server.get("/predict").json()["origin"].as_str().unwrap().to_owned();
    assert!(origin <= calendar.rfc3339(calendar.now() + 600), "{origin} is of the clock that is ahead");
    // Beyond a day, and from before any clock was set, nothing is stored.
    for time in [now + 2 * DAY, calendar.parse("2000-01-01 00:00:10").unwrap()] {
        let body = format!("time,device,device_activated\n{},gateway,1\n", calendar.format(time));
        let refused = post(&server, "text/csv", &[], body.as_bytes());
        let rows = refused.json()["refused"].as_array().map(Vec::len);
        assert_eq!((refused.status, rows), (422, Some(1)), "{}", refused.text());
    }
    wait("the alert", || alert(&server, "rows_refused")["count"] == 1);
    assert!(alert(&server, "rows_refused")["examples"][0].as_str().unwrap().contains("http: 2"));
}

#[test]
fn input_that_cannot_be_read_any_more_is_an_alert() {
    let (models, place) = (registry(), tempfile::tempdir().unwrap());
    let file = place.path().join("readings.csv");
    let rows = office(Calendar::default().now(), 20);
    std::fs::write(&file, format!("time,device,device_activated\n{rows}yesterday,a,1\n")).unwrap();
    let (input, models) = (file.to_str().unwrap(), models.path().to_str().unwrap().to_owned());
    let server = Server::with(&["--input", input, "--models", &models], &["--skip-bad-rows"]);
    wait("the alert", || {
        alert(&server, "rows_refused")["examples"][0].as_str().is_some_and(|text| text.contains("1 of"))
    });
    std::fs::write(&file, "no header\n").unwrap();
    wait("the alert", || alert(&server, "input_unreadable")["count"] == 1);
    assert_eq!(server.get("/predict").status, 200);
}
