//! Clients that send more, or more slowly, or at more connections than is good for others.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Server, receive, registry, sample, wait};
use crate::store::place::Place;
use crate::stream::bench::{post, serve};

/// Memory in MiB that the server has taken at most, or takes now.
fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() >> 10
}

/// Sends bytes until they are sent or nobody takes them.
fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let _ = stream.write_all(bytes);
}

#[test]
fn requests_sent_ahead_without_reading_take_bounded_memory() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    server.get("/predict");
    let before = memory(&server, "VmRSS");
    let mut clients = Vec::new();
    for target in ["/", "/nowhere", "/predict?token=r-token", "/healthz"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost:a\r\n\r\n");
        let requests = request.repeat((128 << 10) / request.len());
        for _ in 0..20 {
            let mut stream = server.connect();
            send(&mut stream, requests.as_bytes());
            clients.push(stream);
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(server.get("/predict").status, 200);
    let most = memory(&server, "VmHWM") - before;
    assert!(most < 100, "{most} MiB");
    // Whoever reads in the end gets every answer.
    let last = clients.last_mut().unwrap();
    let mut reader = BufReader::new(last);
    for _ in 0..100 {
        assert_eq!(receive(&mut reader).status, 200);
    }
    drop(clients);
    wait("the end of the connections", || memory(&server, "VmRSS") < before + 60);
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let body = "time,device,device_activated\n2016-07-01 05:35:00,device_1,1\n\n\n\n\r\n\r\n";
    let request = |n: usize| {
        let auth = format!("Host: a\r\nAuthorization: Bearer r-token\r\nX-Request-Id: {n}");
        match n % 4 {
            0 => format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: {n}\r\n\r\n"),
            1 => format!(
                "POST /predict HTTP/1.1\r\n{auth}\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            2 => format!("GET /devices HTTP/1.1\r\n{auth}\r\n\r\n"),
            _ => format!(
                "POST /predict HTTP/1.1\r\n{auth}\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
        }
    };
    let all: String = (0..200).map(request).collect();
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(all.as_bytes()).unwrap());
        let mut reader = BufReader::new(&mut stream);
        for n in 0..200 {
            let answer = receive(&mut reader);
            assert_eq!((answer.status, answer.header("x-request-id")), (200, Some(n.to_string().as_str())));
        }
    });
}

#[test]
fn an_address_with_too_many_connections_is_refused_until_one_ends() {
    let models = registry();
    let server = Server::start(models.path(), &["--connection-limit", "5", "--metrics-public"]);
    let ask = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        receive(&mut BufReader::new(stream))
    };
    // The last answer may have come before its connection ended.
    std::thread::sleep(Duration::from_millis(200));
    let mut clients: Vec<TcpStream> = (0..5).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(ask(client).status, 200));
    let mut refused = server.connect();
    assert_eq!(ask(&mut refused).status, 0);
    assert!(ask(&mut clients[0]).text().contains("roomcast_refused_connections_total 1\n"));
    clients.pop();
    wait("a place", || ask(&mut server.connect()).status == 200);
}

#[test]
fn encrypted_connections_speak_http_1_1_whatever_the_client_asks_for() {
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !there("openssl") || !there("curl") {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no openssl or curl to start");
        println!("skipped: no openssl or curl to start");
        return;
    }
    let (models, place) = (registry(), tempfile::tempdir().unwrap());
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| place.path().join(name).display().to_string());
    let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost";
    let made = Command::new("openssl").args(made.split(' ')).args(["-keyout", &key, "-out", &certificate]).output();
    assert!(made.unwrap().status.success());
    // The readiness is asked for without encryption, so this server is started by hand.
    let port_file = place.path().join("port");
    let mut child = Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .env_clear()
        .args([
            "serve",
            "--input",
            sample().to_str().unwrap(),
            "--models",
            models.path().to_str().unwrap(),
            "--no-auth",
        ])
        .args([
            "--bind",
            "127.0.0.1:0",
            "--rate-limit",
            "0",
            "--tls-cert",
            &certificate,
            "--tls-key",
            &key,
            "--port-file",
        ])
        .arg(&port_file)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait("a port", || std::fs::read_to_string(&port_file).is_ok_and(|text| text.ends_with('\n')));
    let port = std::fs::read_to_string(&port_file).unwrap();
    let ask = |version: &str, target: &str| {
        let url = format!("https://localhost:{}{target}", port.trim());
        let form = "\n%{http_version} %{http_code}";
        let output = Command::new("curl").args(["-sk", version, "-w", form, &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    wait("readiness", || ask("--http1.1", "/readyz").ends_with("1.1 200"));
    let answers = [("--http1.1", "1.1"), ("--http2", "1.1")].map(|(flag, version)| (ask(flag, "/devices"), version));
    let _ = (child.kill(), child.wait());
    for (answer, version) in &answers {
        assert!(answer.ends_with(&format!("\n{version} 200")) && answer.contains("device_1"), "{answer}");
    }
    assert_eq!(answers[0].0.split('\n').next(), answers[1].0.split('\n').next());
}

/// A history of 8 MiB: a month of 50 devices, most seconds of it several times.
fn history() -> String {
    let mut body = String::from("time,device,device_activated\n");
    let mut row = 0_u32;
    while body.len() < (8 << 20) - 64 {
        let (day, hour, minute) = (row % 28 + 1, row % 24, row / 7 % 60);
        body += &format!("2016-07-{day:02} {hour:02}:{minute:02}:{:02},device_{},1\n", row / 11 % 60, row % 50);
        row += 1;
    }
    body
}

#[test]
fn many_histories_at_once_take_bounded_memory() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let body = history();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer r-token\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let ask = || {
        let mut stream = server.connect();
        // A server that has heard enough answers before all is sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let answer = receive(&mut BufReader::new(stream));
        (answer.status, answer.header("retry-after").is_some())
    };
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..150).map(|_| scope.spawn(ask)).collect();
        answers.extend(asking.into_iter().map(|asking| asking.join().unwrap()));
    });
    let count = |status| answers.iter().filter(|answer| answer.0 == status).count();
    let (forecast, refused) = (count(200), answers.iter().filter(|answer| **answer == (429, true)).count());
    let most = memory(&server, "VmHWM");
    // A connection that is closed with bytes on their way may lose its answer.
    assert!(forecast >= 4 && refused > 50, "{forecast} {refused} {answers:?}");
    assert_eq!(forecast + refused + count(0), 150, "{answers:?}");
    assert!(most < 700, "{most} MiB");
    assert_eq!(ask().0, 200);
}

#[test]
fn bodies_that_come_slowly_do_not_shut_out_other_writers() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let head = "POST /readings HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer w-token\r\nContent-Type: text/csv\r\n\
                Content-Length: 8388608\r\n\r\ntime,device,device_activated\n";
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(head.as_bytes()).unwrap());
    wait("the slow ones", || server.get("/metrics").text().contains("roomcast_http_requests_in_flight 21"));
    let row = "time,device,device_activated\n2024-03-04 08:00:00,hall,1\n";
    let answer = post(&server, "text/csv", &[], row.as_bytes());
    assert_eq!((answer.status, start.elapsed() < Duration::from_secs(8)), (200, true), "{}", answer.text());
    // One that goes on, but hardly, is given up too.
    let mut drip = slow.pop().unwrap();
    let mut reader = drip.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while start.elapsed() < Duration::from_secs(14) && drip.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let answer = receive(&mut BufReader::new(&slow[0]));
        assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"), "{}", answer.text());
        let mut text = [0; 12];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"HTTP/1.1 408");
    });
    assert!(start.elapsed() < Duration::from_secs(16), "{:?}", start.elapsed());
}
