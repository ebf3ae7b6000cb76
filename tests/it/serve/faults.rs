//! Tokens, limits, and everything a client can do wrong.

use std::io::{BufReader, Write};
use std::time::{Duration, Instant};

use super::client::{Server, receive, registry, roomcast, sample};

#[test]
fn tokens_and_scopes_decide() {
    let models = registry();
    let server = Server::start(models.path(), &["--metrics-public"]);
    let ask = |method: &str, target: &str, auth: &str| server.ask(method, target, &[auth], b"");
    let none = server.ask("GET", "/predict", &[], b"");
    assert_eq!((none.status, none.code().as_str()), (401, "unauthorized"));
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"roomcast\""));
    for wrong in ["Bearer nobody", "Basic r-token", "Bearer", "r-token", "Bearer r-token2"] {
        assert_eq!(ask("GET", "/predict", &format!("Authorization: {wrong}")).status, 401, "{wrong}");
    }
    for right in ["r-token", "w-token", "a-token"] {
        assert_eq!(ask("GET", "/devices", &format!("Authorization: bearer {right}")).status, 200);
        assert_eq!(server.ask("GET", &format!("/devices?token={right}"), &[], b"").status, 200);
    }
    for path in
        ["/devices", "/devices/device_1", "/devices/device_1/history", "/schedule", "/explain", "/models", "/%70redict"]
    {
        assert_eq!(server.ask("GET", path, &[], b"").status, 401, "{path}");
    }
    for open in ["/healthz", "/readyz", "/", "/docs", "/openapi.json", "/metrics"] {
        assert_eq!(server.ask("GET", open, &[], b"").status, 200, "{open}");
    }
    assert_eq!(ask("POST", "/models/reload", "Authorization: Bearer w-token").code(), "forbidden");
    assert_eq!(ask("POST", "/models/reload", "Authorization: Bearer a-token").status, 200);
    // Neither a right nor a wrong token is ever written down.
    server.ask("GET", "/predict?token=very-secret", &[], b"");
    let log = server.log();
    assert!(log.contains("url.path=\"/predict\"") && !log.contains("-token") && !log.contains("very-secret"), "{log}");
}

#[test]
fn it_does_not_start_unprotected() {
    let input = sample();
    let start = |more: &[&str]| {
        let output = roomcast(&[&["serve", "--input", input.to_str().unwrap()], more].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(start(&[]).contains("no token is set"));
    assert!(start(&["--no-auth", "--bind", "0.0.0.0:0"]).contains("needs a loopback address"));
    let missing = start(&["--no-auth", "--bind", "127.0.0.1:0", "--input", "missing.csv"]);
    assert!(missing.contains("no such file"), "{missing}");
}

#[test]
fn every_mistake_has_its_own_name() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    for (target, status, code) in [
        ("/nowhere", 404, "not_found"),
        ("/predict/", 404, "not_found"),
        ("/../etc/passwd", 404, "not_found"),
        ("/devices/../predict", 404, "unknown_device"),
        ("/devices/%00", 404, "unknown_device"),
        ("/devices/%ff", 404, "unknown_device"),
        ("/devices/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "unknown_device"),
        ("/predict?device=devise_2", 404, "unknown_device"),
        ("/predict?device=device_2&at=2016-07-01+05:35:00", 422, "out_of_range"),
        ("/predict?at=2016-06-01", 400, "invalid_parameter"),
        ("/predict?at=2016-06-01+00:00:00", 422, "out_of_range"),
        ("/predict?at=2199-01-01+00:00:00", 422, "out_of_range"),
        ("/predict?at=2016-08-25T00:00:00Z", 400, "invalid_parameter"),
        ("/predict?at=%f0%28", 400, "invalid_parameter"),
        ("/predict?at=1&at=2", 400, "invalid_parameter"),
        ("/predict?when=now", 400, "unknown_parameter"),
        ("/predict?format=xml", 400, "invalid_parameter"),
        ("/schedule?preheat=13h", 400, "invalid_parameter"),
        ("/schedule?preheat=45", 400, "invalid_parameter"),
        ("/schedule?cost_miss=-1&cost_waste=1", 400, "invalid_parameter"),
        ("/devices/device_1/history?from=2016-08-02+00:00:00&to=2016-08-01+00:00:00", 400, "invalid_parameter"),
        ("/explain", 400, "invalid_parameter"),
    ] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}: {}", answer.text());
    }
    assert_eq!(server.get("/predict?device=devise_2").json()["hint"], "did you mean \"device_2\"?");
    let put = server.ask("PUT", "/predict", &["Authorization: Bearer r-token"], b"");
    assert_eq!((put.code().as_str(), put.header("allow")), ("method_not_allowed", Some("GET, HEAD, POST")));
    let many = |count: usize| format!("/predict?{}", "device=device_1&".repeat(count));
    assert_eq!(server.get(&many(1000)).status, 200);
    assert_eq!(server.get(&many(1001)).code(), "invalid_parameter");
    // The server is none the worse for it.
    assert_eq!(server.get("/predict").status, 200);
}

#[test]
fn bad_bodies_are_refused() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let post = |media: &str, body: &[u8]| {
        let media = format!("Content-Type: {media}");
        let answer = server.ask("POST", "/predict", &["Authorization: Bearer r-token", &media], body);
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    };
    let refused = |status, code: &str| (status, code.to_owned());
    let json = "application/json";
    assert_eq!(post("application/xml", b"<a/>"), refused(415, "unsupported_media_type"));
    for body in [&b"{"[..], b"[]", b"{\"readings\":[{}]}", b"\xff\xfe", b"{\"readings\":[],\"more\":1}"] {
        assert_eq!(post(json, body), refused(400, "invalid_body"));
    }
    assert_eq!(post(json, "[".repeat(100_000).as_bytes()), refused(400, "invalid_body"));
    assert_eq!(post(json, b"{\"readings\":[]}"), refused(422, "out_of_range"));
    let csv = |rows: &str| post("text/csv", format!("time,device,device_activated\n{rows}").as_bytes());
    assert_eq!(post("text/csv", b"time,device\n"), refused(400, "invalid_body"));
    assert_eq!(csv("2016-08-01 09:00:00,a,2\n"), refused(400, "invalid_body"));
    assert_eq!(csv("yesterday,a,1\n"), refused(400, "invalid_body"));
    assert_eq!(csv("2016-08-01 09:00:00,a\n"), refused(400, "invalid_body"));
    // A reading a year can ask for a lot of work; two that are a century apart cannot.
    let yearly: String = (1971..2026).map(|year| format!("{year}-01-01 00:00:00,a,1\n")).collect();
    assert_eq!(csv(&yearly), refused(422, "history_too_large"));
    assert_eq!(csv("1971-01-01 00:00:00,a,1\n2200-01-01 00:00:00,b,1\n").0, 200);
    let many: String = (0..3000).map(|n| format!("2016-0{}-01 00:00:00,d{n},1\n", n % 9 + 1)).collect();
    assert_eq!(csv(&many), refused(422, "history_too_large"));
    assert_eq!(post("text/csv", &vec![b'a'; (8 << 20) + 1]), refused(413, "body_too_large"));
}

#[test]
fn slow_clients_do_not_hold_up_others() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let mut slow: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /predict HTTP/1.1\r\nHost: lo").unwrap();
    }
    let start = Instant::now();
    assert_eq!(server.get("/predict").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2));
    let given_up = receive(&mut BufReader::new(&slow[0]));
    assert!(given_up.status == 408 || given_up.status == 0, "{}", given_up.status);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let models = registry();
    let input = sample();
    let server = Server::with(&["--input", input.to_str().unwrap(), "--models", models.path().to_str().unwrap()], &[]);
    // Wrong tokens are counted even where requests are not.
    let wrong = || server.ask("GET", "/predict?token=guess", &[], b"");
    let answers: Vec<_> = (0..40).map(|_| wrong()).collect();
    let last = answers.last().unwrap();
    assert_eq!((last.status, last.code().as_str()), (429, "rate_limited"));
    assert!(last.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(server.get("/predict").status, 200);
}

#[test]
fn ids_traces_and_origins_are_passed_on() {
    let models = registry();
    let server = Server::start(models.path(), &["--cors-origin", "https://dash.example", "--log-format", "json"]);
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = ["Authorization: Bearer r-token", "X-Request-Id: mine-1", trace, "Origin: https://dash.example"];
    let answer = server.ask("GET", "/devices", &headers, b"");
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://dash.example"));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("mine-1")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&line["url.path"], &line["http.response.status_code"]), (&"/devices".into(), &200.into()));
    let preflight = ["Origin: https://dash.example", "Access-Control-Request-Method: GET"];
    let answer = server.ask("OPTIONS", "/predict", &preflight, b"");
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("GET, HEAD, POST")));
    let stranger = server.ask("GET", "/healthz", &["Origin: https://evil.example"], b"");
    assert_eq!(stranger.header("access-control-allow-origin"), None);
    assert_eq!(stranger.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(stranger.header("cache-control"), Some("no-store"));
}

#[test]
fn the_healthcheck_says_whether_a_server_lives() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let port = server.port.to_string();
    assert!(roomcast(&["healthcheck", "--port", &port]).status.success());
    drop(server);
    assert_eq!(roomcast(&["healthcheck", "--port", &port]).status.code(), Some(1));
}
