//! Spans as an OpenTelemetry collector receives them: OTLP over HTTP, protobuf.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use super::client::{Server, registry, sample};

/// A collector that takes everything; its address, and the request line and body of each request.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (send, received) = channel();
    spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) else { continue };
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            send.send((head.lines().next().unwrap_or_default().to_owned(), body)).unwrap();
        }
    });
    (address, received)
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// Ends a server as an orchestrator does; how long it took.
fn terminate(mut server: Server) -> Duration {
    let watch = Instant::now();
    server.signal("TERM");
    assert!(server.child.wait().unwrap().success(), "{}", server.log());
    watch.elapsed()
}

fn start(collector: &str) -> (tempfile::TempDir, Server) {
    let models = registry();
    let (input, dir) = (sample(), models.path().to_str().unwrap());
    let args = ["--input", input.to_str().unwrap(), "--models", dir, "--drain", "0"];
    let server = Server::in_environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector)], &args, &[]);
    (models, server)
}

#[test]
fn a_request_is_a_span_below_the_clients_own() {
    let (address, received) = collector();
    let (_models, server) = start(&address);
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = server.ask("GET", "/predict?device=device_1&token=r-token", &[parent], b"");
    assert_eq!(answer.status, 200);
    terminate(server);
    let all: Vec<_> = received.try_iter().collect();
    let span =
        all.iter().find(|(_, body)| contains(body, &0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()));
    let (line, body) = span.expect("a span of the client's trace");
    assert!(line.starts_with("post /v1/traces "), "{line}");
    assert!(contains(body, &0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()), "the client's span is its parent");
    for text in ["roomcast", "http.route", "/predict", "http.response.status_code", "http.request.method", "GET"] {
        assert!(contains(body, text.as_bytes()), "{text}");
    }
    assert!(!all.iter().any(|(_, body)| contains(body, b"r-token")), "a token left the server");
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_models, server) = start(&format!("http://{closed}"));
    let watch = Instant::now();
    for _ in 0..50 {
        assert_eq!(server.get("/predict").status, 200);
    }
    assert!(watch.elapsed() < Duration::from_secs(10));
    assert!(terminate(server) < Duration::from_secs(20));
}
