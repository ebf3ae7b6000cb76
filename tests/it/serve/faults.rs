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
    // What it is called is; and that it is short.
    assert!(
        log.contains("user.name=\"ROOMCAST_TOKENS, entry 3 (admin)\"") && log.contains("client.ip=127.0.0.1"),
        "{log}"
    );
    assert_eq!(log.matches("tokens of fewer than 16 characters").count(), 1, "{log}");
}

#[test]
fn a_token_for_the_calendar_opens_nothing_else() {
    let models = registry();
    let tokens = [("ROOMCAST_TOKENS", "read:r-token,calendar:c-token")];
    let input = sample();
    let args = ["--input", input.to_str().unwrap(), "--models", models.path().to_str().unwrap()];
    let server = Server::in_environment(&tokens, &args, &[]);
    let status = |target: &str| server.ask("GET", target, &["Authorization: Bearer c-token"], b"").status;
    assert_eq!(
        (status("/schedule?format=ics"), status("/schedule?format=ics&device=device_2&preheat=45m")),
        (200, 200)
    );
    for target in
        ["/schedule", "/schedule?format=json", "/predict", "/devices", "/events", "/metrics", "/models", "/alerts"]
    {
        assert_eq!(status(target), 403, "{target}");
    }
    assert_eq!(server.get("/schedule?format=ics").status, 200);
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
        ("/predict?device=device_4&at=2016-07-01+07:21:41", 422, "out_of_range"),
        ("/predict?at=2016-06", 400, "invalid_parameter"),
        ("/predict?at=2016-06-01", 422, "out_of_range"),
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
    // Pages that are not logged in guess nothing.
    assert!((0..100).all(|_| server.ask("GET", "/predict", &[], b"").status == 401));
    // Wrong tokens are counted even where requests are not.
    let wrong = || server.ask("GET", "/predict?token=guess", &[], b"");
    let answers: Vec<_> = (0..40).map(|_| wrong()).collect();
    assert!(answers.iter().take(30).all(|answer| answer.status == 401));
    let last = answers.last().unwrap();
    assert_eq!((last.status, last.code().as_str()), (429, "rate_limited"));
    // The right one is answered no more than the wrong ones, or it could be found.
    let right = server.get("/predict");
    assert_eq!((right.status, right.code().as_str()), (429, "rate_limited"));
    assert!((1..=60).contains(&right.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!((server.get("/healthz").status, server.get("/readyz").status), (200, 200));
    assert_eq!(server.log().matches("too many wrong tokens: this address is locked out").count(), 1);
}

#[test]
fn a_client_behind_a_proxy_is_locked_out_alone() {
    let models = registry();
    let server = Server::start(models.path(), &["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.9.0.1"]);
    let ask = |token: &str, forwarded: &str| {
        let headers = [format!("Authorization: Bearer {token}"), forwarded.to_owned()];
        server.ask("GET", "/devices", &[&headers[0], &headers[1]], b"").status
    };
    for guess in 0..31 {
        // Whatever a client writes in front: the address that the proxy saw counts.
        let forwarded = format!("X-Forwarded-For: 203.0.113.{guess}, 198.51.100.7, 10.9.0.1");
        assert_eq!(ask(&format!("guess-{guess}"), &forwarded), if guess < 30 { 401 } else { 429 });
    }
    assert_eq!(ask("r-token", "X-Forwarded-For: 198.51.100.7"), 429);
    assert_eq!(ask("r-token", "Forwarded: for=\"198.51.100.7:4711\";proto=https"), 429);
    assert_eq!((ask("r-token", "X-Forwarded-For: 198.51.100.8"), server.get("/devices").status), (200, 200));
    assert!(server.log().contains("client.ip=198.51.100.8"));
    // Who is no such proxy is not believed.
    let server = Server::start(models.path(), &["--trusted-proxy", "10.9.0.1"]);
    let forged = |n| format!("X-Forwarded-For: 198.51.100.{n}");
    let guess = |n| server.ask("GET", "/devices", &["Authorization: Bearer guess", &forged(n)], b"").status;
    assert_eq!((0..31).map(guess).filter(|&status| status == 429).count(), 1);
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let models = registry();
    let server = Server::start(models.path(), &["--cors-origin", "https://dash.example"]);
    let reload = |headers: &[&str]| {
        let answer = server.ask("POST", "/models/reload?token=a-token", headers, b"");
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    };
    let (allowed, refused) = ((200, String::new()), (403, "cross_site".to_owned()));
    assert_eq!(reload(&[]), allowed);
    assert_eq!(reload(&["Origin: http://localhost"]), allowed);
    assert_eq!(reload(&["Origin: https://dash.example", "Sec-Fetch-Site: cross-site"]), allowed);
    for headers in [&["Origin: https://evil.example"][..], &["Origin: null"], &["Sec-Fetch-Site: cross-site"]] {
        assert_eq!(reload(headers), refused, "{headers:?}");
        let body = server.ask("POST", "/predict", &[headers, &["Authorization: Bearer r-token"]].concat(), b"{}");
        assert_eq!((body.status, body.code().as_str()), (403, "cross_site"));
        assert_eq!(
            server.ask("GET", "/devices", &[headers, &["Authorization: Bearer r-token"]].concat(), b"").status,
            200
        );
    }
    // An image on such a page has the token in its address: wrong ones do not lock out the visitor. A link may have it.
    let image = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"];
    for _ in 0..40 {
        let wrong = server.ask("GET", "/devices?token=guess", &image, b"");
        assert_eq!((wrong.status, wrong.code().as_str()), (403, "cross_site"));
    }
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: document"];
    assert_eq!(server.ask("GET", "/devices?token=r-token", &link, b"").status, 200);
}

#[test]
fn without_tokens_only_loopback_hosts_are_answered() {
    let models = registry();
    let input = sample();
    let args = ["--input", input.to_str().unwrap(), "--models", models.path().to_str().unwrap(), "--no-auth"];
    let server = Server::in_environment(&[("ROOMCAST_TOKENS", "")], &args, &[]);
    let ask = |method: &str, target: &str, headers: &str| {
        server.raw(format!("{method} {target} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n").as_bytes())
    };
    let own = server.port;
    for host in [
        "localhost".into(),
        format!("localhost:{own}"),
        format!("127.0.0.1:{own}"),
        "127.3.2.1".into(),
        format!("[::1]:{own}"),
    ] {
        assert_eq!(ask("GET", "/devices", &format!("Host: {host}")).status, 200, "{host}");
        let page = format!("Host: {host}\r\nOrigin: http://{host}");
        assert_eq!(ask("POST", "/models/reload", &page).status, 200, "{host}");
    }
    for host in [
        "evil.example".into(),
        format!("127.0.0.1.evil.example:{own}"),
        format!("localhost.evil.example:{own}"),
        "192.0.2.1".into(),
    ] {
        let answer = ask("GET", "/devices", &format!("Host: {host}"));
        assert_eq!((answer.status, answer.code().as_str()), (421, "misdirected_request"), "{host}");
        assert!(answer.json()["hint"].as_str().unwrap().contains("localhost"));
        assert_eq!(ask("GET", &format!("http://{host}/devices"), "Host: localhost").status, 421, "{host}");
    }
    let form = ask("POST", "/models/reload", "Host: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0");
    assert_eq!((form.status, form.code().as_str()), (403, "cross_site"));
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
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("GET, HEAD, POST, PUT")));
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
