//! Rooms of several sensors, floors and buildings on a server: the table, forecasts of every level, live readings.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::client::{Answer, Server, registry, roomcast, sample, wait};
use crate::store::place::{Place, on_both};
use crate::stream::bench::{block_on, post, serve, time};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Two sensors in one room, one in another on the same floor, and one on the floor above.
const TABLE: &str = "sensor,room,floor\na 1,Attic,1\na 2,Attic,1\nb,Bath,1\nc,Cave,2\n";

fn put(server: &Server, media: &str, body: &str) -> Answer {
    let media = format!("Content-Type: {media}");
    server.ask("PUT", "/rooms", &["Authorization: Bearer w-token", &media], body.as_bytes())
}

/// Motion of the sensors in the office hours of workdays, as CSV; `a 2` dies after some days.
fn readings(days: std::ops::Range<i64>, last_of_a2: i64) -> String {
    let mut rows = String::from("time,device,device_activated\n");
    for (day, hour) in days.filter(|day| day % 7 < 5).flat_map(|day| (0..9).map(move |hour| (day, hour))) {
        for (n, sensor) in ["a 1", "a 2", "b", "c"].into_iter().enumerate() {
            let is_dead = sensor == "a 2" && day >= last_of_a2;
            if !is_dead && (day * 7 + hour * 5 + 3 * n as i64) % 10 < 6 {
                rows += &format!("{},{sensor},1\n", time(day * DAY + hour * HOUR + 60 * n as i64));
            }
        }
    }
    rows
}

fn send(server: &Server, rows: &str) {
    let answer = post(server, "text/csv", &[], rows.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn names(answer: &Value) -> Vec<&str> {
    answer["devices"].as_array().unwrap().iter().map(|device| device["device"].as_str().unwrap()).collect()
}

/// The probabilities of a device of an answer.
fn hours(answer: &Value, device: &str) -> Vec<f64> {
    let found = answer["devices"].as_array().unwrap().iter().find(|found| found["device"] == device).unwrap();
    found["hours"].as_array().unwrap().iter().map(|hour| hour["probability"].as_f64().unwrap()).collect()
}

#[test]
fn the_table_of_rooms_is_replaced_as_a_whole_or_not_at_all() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    send(&server, &readings(0..3, 99));
    wait("the readings", || names(&server.get("/devices").json()) == ["a 1", "a 2", "b", "c"]);
    assert_eq!(server.get("/rooms").json(), json!({ "rooms": [], "unassigned": [], "without_readings": [] }));
    assert_eq!(server.get("/predict?level=floor").code(), "invalid_parameter");

    let answer = put(&server, "text/csv", "sensor,room,floor\na 1,Attic,1\na 2,Attic,1\nx,Cave,2\n").json();
    let row = |sensor: &str, room: &str, floor: &str| json!({ "sensor": sensor, "room": room, "floor": floor });
    let rows = json!([row("a 1", "Attic", "1"), row("a 2", "Attic", "1"), row("x", "Cave", "2")]);
    assert_eq!(answer, json!({ "rooms": rows, "unassigned": ["b", "c"], "without_readings": ["x"] }));
    assert_eq!((server.get("/rooms").json(), names(&server.get("/devices").json())), (answer, vec!["Attic", "b", "c"]));

    // What is wrong is named by line and column, and changes nothing.
    for (media, body, expected) in [
        ("text/csv", "sensor,room\na 1,Attic\na 1,Bath\n", "lines 2 and 3: sensor \"a 1\" is assigned twice"),
        ("text/csv", "sensor,room,from\na 1,Attic,soon\n", "line 2, column from: expected a date"),
        ("text/csv", "sensor,where\na 1,Attic\n", "line 1"),
        ("text/csv", "", "line 1"),
        ("application/json", "{\"rooms\":[{\"sensor\":\"a\",\"room\":\"A\",\"to\":\"soon\"}]}", "rooms[0].to: "),
        ("application/json", "{\"rooms\":[{\"sensor\":\"a\",\"roam\":\"A\"}]}", "unknown field `roam`"),
        (
            "application/json",
            "{\"rooms\":[{\"sensor\":\"a\",\"room\":\"A\"},{\"sensor\":\"a\",\"room\":\"B\"}]}",
            "rooms[0] and rooms[1]: sensor \"a\" is assigned twice",
        ),
        ("application/json", "{\"rooms\":[{\"sensor\":\"a\",\"room\":\" \"}]}", "rooms[0].room: expected a name"),
        ("application/json", "[]", "invalid length"),
    ] {
        let refused = put(&server, media, body);
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_body"), "{body}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(expected), "{body}: {detail}");
    }
    let large = "x".repeat((8 << 20) + 1);
    assert_eq!(put(&server, "text/csv", &large).code(), "body_too_large");
    assert_eq!(put(&server, "text/plain", TABLE).code(), "unsupported_media_type");
    let reader = ["Authorization: Bearer r-token", "Content-Type: text/csv"];
    assert_eq!(server.ask("PUT", "/rooms", &reader, TABLE.as_bytes()).code(), "forbidden");
    assert_eq!(names(&server.get("/devices").json()), ["Attic", "b", "c"]);

    // As JSON, with a sensor that was moved; and as CSV, which is read back as it was written.
    let moved = json!({ "rooms": [
        { "sensor": "b", "room": "Bath", "to": "2024-03-05" },
        { "sensor": "b", "room": "Cave", "building": "North", "from": "2024-03-05 00:00:00" },
    ] });
    assert_eq!(put(&server, "application/json", &moved.to_string()).status, 200);
    assert_eq!(names(&server.get("/devices").json()), ["Bath", "Cave", "a 1", "a 2", "c"]);
    let csv = server.get("/rooms?format=csv").text();
    assert_eq!(
        csv,
        "sensor,room,floor,building,from,to\nb,Bath,,,,2024-03-05 00:00:00\nb,Cave,,North,2024-03-05 00:00:00,\n"
    );
    assert_eq!(server.get("/devices/b").json()["hint"], "it is a sensor of the room \"Bath\"");
    assert_eq!(put(&server, "text/csv", &csv).status, 200);
    assert_eq!(server.get("/rooms?format=csv").text(), csv);

    // Without rows each sensor is a room again.
    assert_eq!(put(&server, "text/csv", "sensor,room\n").json()["rooms"], json!([]));
    assert_eq!(names(&server.get("/devices").json()), ["a 1", "a 2", "b", "c"]);
    let files = Server::start(models.path(), &[]);
    assert_eq!(put(&files, "text/csv", TABLE).code(), "no_store");
}

#[test]
fn a_table_comes_in_the_encodings_of_files_and_compressed() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let send = |more: &[&str], body: &[u8]| {
        let headers = [&["Authorization: Bearer w-token", "Content-Type: text/csv"], more].concat();
        server.ask("PUT", "/rooms", &headers, body)
    };
    let table = "Sensor;Raum;Stockwerk\npir;Küche;Erdgeschoß\n";
    let expected = json!([{ "sensor": "pir", "room": "Küche", "floor": "Erdgeschoß" }]);
    let wide: Vec<u8> = [0xfeff].into_iter().chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    // Letters of German have the same numbers in Windows-1252 as in Unicode.
    let windows: Vec<u8> = table.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&windows).unwrap();
    let (gzip, zstd) = (encoder.finish().unwrap(), zstd::encode_all(table.as_bytes(), 3).unwrap());
    for (more, body) in [
        (&[][..], table.as_bytes()),
        (&[], &wide),
        (&[], &windows),
        (&["Content-Encoding: gzip"], &gzip),
        (&["Content-Encoding: zstd"], &zstd),
    ] {
        assert_eq!(send(&[], b"sensor,room\n").status, 200);
        let answer = send(more, body);
        assert_eq!((answer.status, answer.json()["rooms"].clone()), (200, expected.clone()), "{more:?}");
    }
    for (more, body, detail, hint) in [
        (&[][..], &gzip[..], "the body is gzip and not CSV", "Content-Encoding: gzip"),
        (&[], &zstd, "the body is zstd and not CSV", "Content-Encoding: zstd"),
        (&["Content-Encoding: br"], &gzip, "the content encoding \"br\" is not supported", "gzip or zstd"),
        (&[], b"PK\x03\x04", "the body is a workbook or an archive", "as CSV"),
        (&[], b"{\"rooms\":[]}", "the body is JSON and not CSV", "application/json"),
    ] {
        let refused = send(more, body);
        assert_eq!((refused.status, refused.code().as_str()), (415, "unsupported_media_type"), "{detail}");
        let told = refused.json();
        let is_told = |field: &str, text: &str| told[field].as_str().is_some_and(|told| told.contains(text));
        assert!(is_told("detail", detail) && is_told("hint", hint), "{told}");
    }
    assert_eq!(send(&["Content-Encoding: gzip"], table.as_bytes()).code(), "invalid_body");
    assert_eq!(server.get("/rooms").json()["rooms"], expected);
}

/// The forecasts of a level by the command line, from the same store and models.
fn by_command(store: &str, models: &Path, level: &str, at: &str) -> Value {
    let models = models.to_str().unwrap();
    let args = ["predict", at, "--input", store, "--models", models, "--level", level, "--json"];
    let output = roomcast(&args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_level_is_forecast_alike_on_both_sides_and_the_levels_agree() {
    let (models, place) = (tempfile::tempdir().unwrap(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    send(&server, &readings(0..24, 99));
    let version = || server.get("/predict").json()["model"]["version"].as_str().unwrap().to_owned();
    wait("models of the sensors", || version() != "baseline");
    let of_sensors = version();
    assert_eq!(put(&server, "text/csv", TABLE).status, 200);
    // Models of other rooms are not used. New ones are fitted at once.
    wait("models of the rooms", || ![of_sensors.as_str(), "baseline"].contains(&version().as_str()));
    let levels = ["room", "floor", "building"].map(|level| server.get(&format!("/predict?level={level}")).json());
    assert_eq!(
        [0, 1, 2].map(|at| names(&levels[at])),
        [vec!["Attic", "Bath", "Cave"], vec!["1", "2"], vec!["building"]]
    );
    for level in &levels {
        assert_eq!(level["model"]["version"], version().as_str());
    }
    let at = levels[0]["origin"].as_str().unwrap().replace('T', " ");
    for (level, answer) in ["room", "floor", "building"].into_iter().zip(&levels) {
        let command = by_command(&place.url, models.path(), level, &at);
        for name in names(answer) {
            assert_eq!(hours(&command, name), hours(answer, name), "{level} {name}");
        }
    }
    let highest = |answer: &Value, names: &[&str], at: usize| {
        names.iter().map(|name| hours(answer, name)[at]).fold(0.0, f64::max)
    };
    for at in 0..24 {
        let [rooms, floors, building] = &levels;
        assert!(hours(floors, "1")[at] >= highest(rooms, &["Attic", "Bath"], at));
        assert!(hours(floors, "2")[at] >= hours(rooms, "Cave")[at]);
        assert!(hours(building, "building")[at] >= highest(floors, &["1", "2"], at));
    }
    let one = server.get("/predict?level=floor&device=2").json();
    assert_eq!((names(&one), hours(&one, "2")), (vec!["2"], hours(&levels[1], "2")));
    assert_eq!(server.get("/predict?level=floor&device=Attic").code(), "unknown_device");
    assert_eq!(server.get("/predict?level=storey").code(), "invalid_parameter");
    let csv = server.get("/predict?level=building&format=csv").text();
    assert!(csv.starts_with("time,device,activation_predicted,probability\n") && csv.contains(",building,"), "{csv}");
    let plan = server.get("/schedule?level=floor&threshold=0.2").json();
    assert_eq!(names(&plan), ["1", "2"]);
    assert!(plan["hours_on"].as_f64() > Some(1.0), "{plan}");

    // The same table from a file, on a server of its own.
    let file = place.dir.path().join("rooms.csv");
    std::fs::write(&file, TABLE).unwrap();
    let given = serve(&place.url, &models, &["--rooms", file.to_str().unwrap()]);
    assert_eq!(given.get("/predict?level=floor").json()["devices"], levels[1]["devices"]);
    assert_eq!(put(&given, "text/csv", TABLE).code(), "rooms_given");
    std::fs::write(&file, "sensor,room\nb,Bath\n").unwrap();
    wait("the other table", || names(&given.get("/devices").json()) == ["Bath", "a 1", "a 2", "c"]);
}

#[test]
fn a_new_reading_of_a_sensor_changes_its_room_on_every_server() {
    block_on(on_both(async |place: Place| {
        let models = tempfile::tempdir().unwrap();
        let (server, other) = (serve(&place.url, &models, &[]), serve(&place.url, &models, &[]));
        send(&server, &readings(0..8, 99));
        assert_eq!(put(&server, "text/csv", TABLE).status, 200);
        wait("the rooms on the other server", || names(&other.get("/devices").json()) == ["Attic", "Bath", "Cave"]);
        let until = |server: &Server, room: &str| {
            let answer = server.get(&format!("/predict?device={room}")).json();
            answer["devices"][0]["data_until"].as_str().unwrap_or_default().to_owned()
        };
        let before = until(&server, "Bath");
        let late = time(7 * DAY + 9 * HOUR + 600);
        send(&server, &format!("time,device,device_activated\n{late},a 2,1\n"));
        for server in [&server, &other] {
            wait("the room's new reading", || until(server, "Attic") == late.replace(' ', "T"));
            assert_eq!(until(server, "Bath"), before);
        }
        let cold = serve(&place.url, &models, &[]);
        for level in ["room", "floor", "building"] {
            let target = format!("/predict?level={level}");
            let devices = |server: &Server| server.get(&target).json()["devices"].clone();
            assert_eq!(devices(&server), devices(&cold), "{level}");
        }
    }));
}

#[test]
fn a_dead_sensor_is_named_with_its_room_which_lives_on() {
    let (models, place) = (tempfile::tempdir().unwrap(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    send(&server, &readings(0..40, 15));
    assert_eq!(put(&server, "text/csv", TABLE).status, 200);
    let alert = || {
        let alerts = server.get("/alerts").json();
        alerts["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == "silent_sensors").cloned()
    };
    wait("the alert", || alert().is_some_and(|alert| alert["rooms"].is_array()));
    let alert = alert().unwrap();
    assert_eq!((&alert["examples"], &alert["rooms"]), (&json!(["a 2"]), &json!(["Attic"])));
    let attic = server.get("/devices/Attic").json();
    assert_eq!(
        (&attic["status"], attic["last_reading"].as_str()),
        (&json!("live"), server.get("/predict?device=Attic").json()["devices"][0]["data_until"].as_str())
    );
    // Of a room with one sensor that is dead, nothing is known.
    assert_eq!(put(&server, "text/csv", "sensor,room\na 2,Attic\n").status, 200);
    assert_eq!(server.get("/devices/Attic").json()["status"], "silent");
}

#[test]
fn a_store_keeps_the_table_for_commands() {
    let (place, file) = (Place::sqlite(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(file.path(), TABLE).unwrap();
    let store = ["--store", &place.url];
    let run = |args: &[&str]| {
        let output = roomcast(&[&["store", "rooms"], &store[..], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["--set", file.path().to_str().unwrap()]), "3 rooms stored\n");
    assert!(run(&[]).starts_with("sensor,room,floor,building,from,to\na 1,Attic,1,,,\n"));
    let imported = roomcast(&["import", "--store", &place.url, sample().to_str().unwrap()]);
    assert!(imported.status.success());
}
