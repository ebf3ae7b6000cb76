//! The server from outside: the real binary on a free port, asked as curl would ask.

pub mod client;
mod clocks;
mod connections;
mod faults;
mod jobs;
mod privacy;
mod reload;
mod rooms;
mod sign_in;

use std::time::{Duration, Instant};

use client::{Server, registry, roomcast, sample};
use serde_json::{Value, json};

#[test]
fn forecasts_are_those_of_the_command_line_to_the_last_bit() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let input = sample();
    for at in ["2016-08-24 23:59:59", "2016-08-30 10:40:00", "2016-08-31 19:00:00"] {
        let dir = models.path().to_str().unwrap();
        let args = ["predict", at, input.to_str().unwrap(), "-", "--models", dir, "--probabilities", "--format"];
        let cli: Value = serde_json::from_slice(&roomcast(&[&args[..], &["json"]].concat()).stdout).unwrap();
        let target = format!("/predict?at={}", at.replace(' ', "+"));
        let http = server.get(&target).json();
        let devices = http["devices"].as_array().unwrap();
        assert_eq!(devices.len(), 7);
        for (cli, http) in cli["devices"].as_array().unwrap().iter().zip(devices) {
            assert_eq!(
                (&cli["device"], &cli["status"], &cli["source"]),
                (&http["device"], &http["status"], &http["source"])
            );
            let (cli, http) = (cli["hours"].as_array().unwrap(), http["hours"].as_array().unwrap());
            assert_eq!((cli.len(), http.len()), (24, 24));
            for (cli, http) in cli.iter().zip(http) {
                assert_eq!(cli["start"], http["start"]);
                assert_eq!(cli["state"], http["state"]);
                let bits = |value: &Value| value["probability"].as_f64().unwrap().to_bits();
                assert_eq!(bits(cli), bits(http), "{at} {http}");
            }
        }
        let csv = roomcast(&[&args[..], &["csv"]].concat()).stdout;
        let auth = "Authorization: Bearer r-token";
        assert_eq!(server.ask("GET", &target, &[auth, "Accept: text/csv"], b"").body, csv);
        assert_eq!(server.get(&format!("{target}&format=csv")).body, csv);
    }
}

#[test]
fn an_answer_says_when_it_was_made_and_of_what() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let version = std::fs::read_to_string(models.path().join("current")).unwrap();
    let answer = server.get("/predict?device=device_3&device=device_2&device=device_3").json();
    assert_eq!(answer["origin"], "2016-08-31T19:00:00");
    assert_eq!(answer["data_until"], "2016-08-31T18:25:57");
    let model = json!({ "version": version.trim(), "cutoff": "2016-08-24T23:59:59", "in_sample": false });
    assert_eq!(answer["model"], model);
    let names: Vec<_> = answer["devices"].as_array().unwrap().iter().map(|d| d["device"].clone()).collect();
    assert_eq!(names, ["device_2", "device_3"]);
    assert_eq!(answer["devices"][0]["data_until"], "2016-08-31T15:29:43");
    assert_eq!(answer["devices"][0]["hours"][0]["start"], "2016-08-31T19:00:00");
    assert!(answer["made_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_day_that_the_models_have_learned_from_is_forecast_by_older_ones() {
    let models = registry();
    let current = std::fs::read_to_string(models.path().join("current")).unwrap().trim().to_owned();
    client::train(models.path(), "2016-08-17 23:59:59");
    let newest = std::fs::read_to_string(models.path().join("current")).unwrap().trim().to_owned();
    assert_ne!(current, newest);
    let ok = std::process::Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .args(["models", "activate", "--models", models.path().to_str().unwrap(), &current])
        .status();
    assert!(ok.unwrap().success());
    let server = Server::start(models.path(), &[]);
    // An older version for days that it has not seen, else the habit's rate.
    for (at, version) in [
        ("2016-08-24T23:59:59", current.as_str()),
        ("2016-08-25T12:00:00", &current),
        ("2016-08-24T12:00:00", &newest),
        ("2016-08-18T00:00:00", &newest),
        ("2016-08-10T12:00:00", "baseline"),
    ] {
        for target in ["predict", "schedule"] {
            let model = server.get(&format!("/{target}?at={at}")).json()["model"].clone();
            assert_eq!((&model["version"], &model["in_sample"]), (&json!(version), &json!(false)), "{target} {at}");
        }
    }
    let habit = server.get("/predict?at=2016-08-10T12:00:00").json();
    assert_eq!(habit["devices"][0]["source"], "baseline");
    // A history in the body is forecast by the models in use, which says so.
    let csv = std::fs::read(sample()).unwrap();
    let headers = ["Authorization: Bearer r-token", "Content-Type: text/csv"];
    let sent = server.ask("POST", "/predict?at=2016-08-24T12:00:00", &headers, &csv).json();
    assert_eq!((&sent["model"]["version"], &sent["model"]["in_sample"]), (&json!(current), &json!(true)));
}

#[test]
fn a_history_in_the_body_is_forecast_like_a_file() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let at = "2016-08-24 23:59:59";
    let expected = server.get("/predict?at=2016-08-24T23:59:59").json();
    let csv = std::fs::read(sample()).unwrap();
    let headers = ["Authorization: Bearer r-token", "Content-Type: text/csv"];
    let of_csv = server.ask("POST", "/predict?at=2016-08-24T23:59:59", &headers, &csv);
    assert_eq!((of_csv.status, &of_csv.json()["devices"]), (200, &expected["devices"]));
    let rows = String::from_utf8(csv).unwrap();
    let reading = |row: &str| {
        let mut cells = row.split(',').map(str::to_owned);
        json!({ "time": cells.next().unwrap(), "device": cells.next().unwrap() })
    };
    let readings: Vec<Value> = rows.lines().skip(1).map(reading).collect();
    let body = json!({ "at": at, "readings": readings }).to_string();
    let headers = ["Authorization: Bearer r-token", "Content-Type: application/json; charset=utf-8"];
    let of_json = server.ask("POST", "/predict", &headers, body.as_bytes());
    assert_eq!((of_json.status, &of_json.json()["devices"]), (200, &expected["devices"]));
    // Nothing of it stayed.
    assert_eq!(server.get("/predict?at=2016-08-24T23:59:59").json(), expected);
}

#[test]
fn devices_and_their_past_are_shown() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let all = server.get("/devices").json();
    let device = all["devices"][1].clone();
    assert_eq!(all["devices"].as_array().unwrap().len(), 7);
    assert_eq!(
        (&device["device"], &device["status"], &device["readings"]),
        (&json!("device_2"), &json!("live"), &json!(3831))
    );
    assert!(device["scores"]["rows"].as_u64().unwrap() > 100, "{device}");
    let one = server.get("/devices/device%5f2").json();
    assert_eq!(one["last_reading"], device["last_reading"]);
    let week = one["typical_week"].as_array().unwrap();
    assert_eq!((week.len(), week[0].as_array().unwrap().len()), (7, 24));
    let past = server.get("/devices/device_6/history?from=2016-08-31+17:00:00&to=2016-09-05+00:00:00").json();
    assert_eq!(
        past["hours"],
        json!([
            { "start": "2016-08-31T17:00:00", "state": "vacant" },
            { "start": "2016-08-31T18:00:00", "state": "occupied" },
        ])
    );
    assert_eq!(server.get("/devices/device_2/history").json()["hours"].as_array().unwrap().len(), 14 * 24);
}

#[test]
fn device_names_may_hold_slashes_and_more() {
    let models = registry();
    let input = tempfile::tempdir().unwrap();
    let file = input.path().join("in.csv");
    let names = ["floor_03/room_0127", "a b%20c", "küche", "x/history"];
    let mut text = String::from("time,device,device_activated\n");
    for day in 1..=9 {
        names.iter().for_each(|name| text += &format!("2016-08-0{day} 09:30:00,{name},1\n"));
    }
    std::fs::write(&file, text).unwrap();
    let server = Server::with(
        &["--input", file.to_str().unwrap(), "--models", models.path().to_str().unwrap()],
        &["--timezone", "Europe/Berlin"],
    );
    for (path, name) in [
        ("floor_03/room_0127", names[0]),
        ("floor_03%2Froom_0127", names[0]),
        ("floor_03%2froom%5F0127", names[0]),
        ("a%20b%2520c", names[1]),
        ("k%C3%BCche", names[2]),
        ("x%2Fhistory", names[3]),
    ] {
        assert_eq!(server.get(&format!("/devices/{path}")).json()["device"], *name, "{path}");
        assert_eq!(server.get(&format!("/devices/{path}/history")).json()["device"], *name, "{path}");
    }
    assert_eq!(server.get("/devices/floor_03/room_0128").json()["hint"], "did you mean \"floor_03/room_0127\"?");
    let answer = server.get("/predict?device=floor_03/room_0127&at=2016-08-09T12:00:00%2B02:00").json();
    assert_eq!(answer["devices"][0]["hours"][0]["start"], "2016-08-09T12:00:00+02:00");
    let calendar = server.get("/schedule?format=ics&device=k%C3%BCche&cost_miss=1000&cost_waste=1").text();
    assert!(calendar.contains("DTSTART:201608") && calendar.contains("Z\r\n"), "{calendar}");
}

#[test]
fn a_week_begins_with_the_bytes_of_its_day() {
    let models = registry();
    let server = Server::start(models.path(), &["--preheat", "20m"]);
    let at = "at=2016-08-24+23:59:59";
    let csv = |days: &str| server.get(&format!("/predict?{at}&format=csv{days}")).text();
    let (day, week) = (csv(""), csv("&days=7"));
    assert_eq!((day.lines().count(), week.lines().count()), (1 + 24 * 7, 1 + 168 * 7));
    assert!(week.starts_with(&day));
    let hours = |days: &str| {
        let json = server.get(&format!("/predict?{at}&device=device_2{days}")).json();
        json["devices"][0]["hours"].as_array().unwrap().clone()
    };
    assert_eq!(hours("&days=3").len(), 72);
    assert_eq!(hours("&days=7")[..24], hours("")[..]);
    let blocks = |days: &str| server.get(&format!("/schedule?{at}&threshold=0.3{days}")).json();
    let (day, week) = (blocks(""), blocks("&days=7"));
    // The times of blocks are those of the server, unless a request names others.
    assert_eq!(day["rule"]["preheat_seconds"], 1200);
    assert_eq!(blocks("&preheat=5m")["rule"]["preheat_seconds"], 300);
    assert!(week["hours_on"].as_f64() > day["hours_on"].as_f64());
    for wrong in ["0", "8", "x"] {
        assert_eq!(server.get(&format!("/predict?days={wrong}")).code(), "invalid_parameter");
    }
}

#[test]
fn the_use_of_rooms_is_counted() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let report = server.get("/utilisation?weeks=4").json();
    let rooms = report["rooms"].as_array().unwrap();
    assert_eq!((rooms.len(), &report["work_hours"]), (7, &json!("mon-fri 08:00-18:00")));
    let used: u64 = rooms.iter().map(|room| room["used_work_hours"].as_u64().unwrap()).sum();
    assert_eq!(report["site"]["used_work_hours"].as_u64(), Some(used));
    assert!(used > 100 && rooms.iter().all(|room| room["is_never_used"] == false), "{report}");
    let input = sample();
    let command = roomcast(&["utilisation", "--input", input.to_str().unwrap(), "--weeks", "4", "--format", "csv"]);
    assert_eq!(String::from_utf8(command.stdout).unwrap(), server.get("/utilisation?weeks=4&format=csv").text());
    let text = roomcast(&["utilisation", "--input", input.to_str().unwrap(), "--weeks", "4"]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("work hours used"));
    assert_eq!(server.get("/utilisation?weeks=105").code(), "invalid_parameter");
    assert_eq!(server.get("/utilisation?weeks=%2B3").code(), "invalid_parameter");
    assert_eq!(server.get("/ledger?days=%2B3").code(), "invalid_parameter");
    assert_eq!(server.get("/utilisation?level=floor").code(), "invalid_parameter");
    assert_eq!(server.get("/utilisation?work_hours=mon").code(), "invalid_parameter");
}

#[test]
fn a_server_without_a_record_plans_as_the_command_does() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let deadline = Instant::now() + Duration::from_secs(120);
    let json = loop {
        let json = server.get("/schedule?preheat=45m&setback_after=30m").json();
        if json["promise"]["source"] == "forecasts" {
            break json;
        }
        assert!(Instant::now() < deadline, "{json}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let (origin, dir) = (json["origin"].as_str().unwrap().replace('T', " "), models.path().to_str().unwrap());
    let input = sample();
    let args = ["schedule", &origin[..19], "--input", input.to_str().unwrap(), "--models", dir, "--format", "json"];
    let command = roomcast(&[&args[..], &["--preheat", "45m", "--setback-after", "30m"]].concat());
    let command: Value = serde_json::from_slice(&command.stdout).unwrap();
    let part = |json: &Value| [&json["rule"]["threshold"], &json["promise"], &json["devices"]].map(Value::clone);
    assert_eq!(part(&json), part(&command));
}

#[test]
fn schedules_come_as_json_and_as_a_calendar() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let target = "/schedule?device=device_2&at=2016-08-24+23:59:59&preheat=45m&setback_after=30m";
    let json = server.get(target).json();
    let seconds =
        ["preheat_seconds", "setback_after_seconds", "min_run_seconds"].map(|name| json["rule"][name].as_i64());
    assert_eq!(seconds, [Some(2700), Some(1800), Some(0)]);
    // The default is a promise. Nothing is stored about forecasts of that day, and the answer says so.
    let promise = &json["promise"];
    assert_eq!((&promise["max_missed"], &promise["scope"]), (&json!(0.05), &json!("site")));
    assert_eq!((&promise["source"], &promise["kept"]), (&json!("training"), &json!("unproven")));
    assert!(json["rule"]["threshold"].as_f64().unwrap() < 0.5);
    assert_eq!(json["hours_on"], json["devices"][0]["hours_on"]);
    let strict = server.get(&format!("{target}&max_missed=0.01")).json();
    assert!(strict["hours_on"].as_f64() > json["hours_on"].as_f64(), "{strict}");
    let fixed = server.get(&format!("{target}&threshold=0.5")).json();
    assert_eq!((&fixed["rule"]["threshold"], &fixed["promise"]), (&json!(0.5), &json!(null)));
    for wrong in ["max_missed=2", "promise=floor", "threshold=0.5&max_missed=0.1", "min_run=13h"] {
        assert_eq!(server.get(&format!("{target}&{wrong}")).code(), "invalid_parameter", "{wrong}");
    }
    let blocks = json["devices"][0]["blocks"].as_array().unwrap();
    assert!(!blocks.is_empty());
    let auth = "Authorization: Bearer r-token";
    let calendar = server.ask("GET", target, &[auth, "Accept: text/calendar"], b"");
    assert_eq!(calendar.header("content-type"), Some("text/calendar; charset=utf-8"));
    let calendar = calendar.text();
    let parsed: icalendar::Calendar = calendar.parse().unwrap();
    assert_eq!(parsed.events().count(), blocks.len());
    let plain: String = blocks[0]["start"].as_str().unwrap().chars().filter(|c| !"-:".contains(*c)).collect();
    assert!(calendar.contains(&format!("DTSTART:{plain}\r\n")), "{calendar}");
    // Who fears cold rooms ten times more than wasted heat heats at least as long.
    let bold = server.get(&format!("{target}&cost_miss=10&cost_waste=1")).json();
    assert!(bold["rule"]["threshold"].as_f64().unwrap() < 0.5);
    assert_eq!(server.get(&format!("{target}&cost_miss=10")).code(), "invalid_parameter");
}

#[test]
fn an_hour_can_be_explained() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let explained = server.get("/explain?device=device_2&at=2016-08-24+23:59:59&hour=2016-08-25+10:00:00").json();
    let forecast = server.get("/predict?device=device_2&at=2016-08-24+23:59:59").json();
    assert_eq!(explained["probability"], forecast["devices"][0]["hours"][10]["probability"]);
    let parts: f64 =
        explained["contributions"].as_array().unwrap().iter().map(|part| part["contribution"].as_f64().unwrap()).sum();
    assert!((explained["base"].as_f64().unwrap() + parts - explained["score"].as_f64().unwrap()).abs() < 1e-6);
    let late = server.get("/explain?device=device_2&at=2016-08-24+23:59:59&hour=2016-08-26+10:00:00");
    assert_eq!((late.status, late.code().as_str()), (422, "out_of_range"));
}

#[test]
fn the_description_of_the_api_is_the_one_on_record() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let document = server.ask("GET", "/openapi.json", &[], b"");
    assert_eq!(document.json()["openapi"], "3.1.0");
    insta::assert_snapshot!("openapi", document.text());
}

#[test]
fn files_come_with_a_tag_and_a_strict_policy() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    for path in [
        "/",
        "/page.js",
        "/panel.js",
        "/style.css",
        "/words/en.json",
        "/words/de.json",
        "/words/fr.json",
        "/docs",
        "/docs.js",
        "/docs.css",
        "/swagger-ui.js",
        "/swagger-ui.css",
    ] {
        let file = server.ask("GET", path, &[], b"");
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self'"));
        let tag = format!("If-None-Match: {}", file.header("etag").unwrap());
        assert_eq!(server.ask("GET", path, &[&tag], b"").status, 304, "{path}");
        let packed = server.ask("GET", path, &["Accept-Encoding: gzip"], b"");
        assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")), "{path}");
        assert!(packed.body.len() < file.body.len(), "{path}: {} of {}", packed.body.len(), file.body.len());
    }
}

#[test]
fn a_compact_forecast_says_what_the_long_one_says() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    for at in ["", "at=2016-08-24+23:59:59", "at=2016-08-10+00:00:00&device=device_2&device=device_5"] {
        let (long, compact) =
            (server.get(&format!("/predict?{at}")).json(), server.get(&format!("/predict/compact?{at}")).json());
        for field in ["origin", "data_until", "stale", "model"] {
            assert_eq!(compact[field], long[field], "{field}");
        }
        let devices = compact["devices"].as_array().unwrap();
        assert_eq!(devices.len(), long["devices"].as_array().unwrap().len());
        for (at, long) in long["devices"].as_array().unwrap().iter().enumerate() {
            let short = ["devices", "sources", "statuses"].map(|field| &compact[field][at]);
            assert_eq!(short, [&long["device"], &long["source"], &long["status"]]);
            let name = long["device"].as_str().unwrap();
            let to = compact["starts"][23].as_str().unwrap().replace('T', "+");
            let past =
                server.get(&format!("/devices/{name}/history?from={}&to={to}", compact["starts"][0].as_str().unwrap()));
            let past: String = past.json()["hours"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hour| &hour["state"].as_str().unwrap()[..1])
                .collect();
            let actual = compact["actual"][at].as_str().unwrap_or_default();
            // The end of a history is excluded.
            assert_eq!(&actual[..actual.len().min(23)], past, "{name}");
            for (hour, long) in long["hours"].as_array().unwrap().iter().enumerate() {
                let (parts, chance) =
                    (compact["chances"][at][hour].as_f64().unwrap(), long["probability"].as_f64().unwrap());
                assert!((parts / 1e3..(parts + 1.0) / 1e3).contains(&chance), "{parts} {chance}");
                let is_occupied = compact["chances"][at][hour].as_u64() >= compact["threshold"].as_u64();
                assert_eq!(u64::from(is_occupied), long["state"].as_u64().unwrap());
                assert_eq!(compact["starts"][hour], long["start"]);
            }
        }
    }
}

#[test]
fn an_answer_that_has_not_changed_is_not_sent_again() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    for path in ["/predict/compact", "/predict?device=device_1", "/devices", "/models", "/alerts"] {
        let answer = server.get(path);
        let tag = format!("If-None-Match: {}", answer.header("etag").unwrap());
        let again = server.ask("GET", path, &["Authorization: Bearer r-token", &tag], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = ["Authorization: Bearer r-token", "If-None-Match: W/\"0\""];
        assert_eq!(server.ask("GET", path, &other, b"").status, 200, "{path}");
    }
}

/// As the container starts it: `roomcast serve` with the image's environment and a token, nothing else. Only the port is
/// another, since 5000 may be taken here.
#[test]
fn the_environment_alone_is_enough_to_start() {
    let models = registry();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .env_clear()
        .env("PRIVATE_TOKEN", "token")
        .env("ROOMCAST_INPUT", sample())
        .env("ROOMCAST_MODELS", models.path())
        .env("ROOMCAST_BIND", free.to_string())
        .arg("serve")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, port: free.port(), place: tempfile::tempdir().unwrap() };
    client::wait("the server", || std::net::TcpStream::connect(free).is_ok());
    client::wait("readiness", || server.ask("GET", "/readyz", &[], b"").status == 200);
    assert_eq!(server.ask("GET", "/predict?token=token", &[], b"").json()["devices"].as_array().unwrap().len(), 7);
    assert_eq!(server.ask("GET", "/predict?token=other", &[], b"").status, 401);
    assert_eq!(roomcast(&["healthcheck", "--ready", "--port", &free.port().to_string()]).status.code(), Some(0));
}
