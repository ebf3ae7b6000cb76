//! Models and readings that change under a running server, and how it stops.

use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::client::{Server, receive, registry, roomcast, sample, train, wait};

fn version(server: &Server) -> String {
    server.get("/predict?device=device_1").json()["model"]["version"].as_str().unwrap().to_owned()
}

#[test]
fn new_models_are_taken_whole_while_everybody_asks() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let old = version(&server);
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let new = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = BufReader::new(server.connect());
                while !stop.load(SeqCst) {
                    let request = b"GET /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer r-token\r\n\r\n";
                    stream.get_mut().write_all(request).unwrap();
                    let answer = receive(&mut stream);
                    assert_eq!(answer.status, 200);
                    let json = answer.json();
                    let version = &json["model"]["version"];
                    let devices = json["devices"].as_array().unwrap();
                    assert!(devices.len() == 7 && devices.iter().all(|device| device["model_version"] == *version));
                    asked.fetch_add(1, SeqCst);
                }
            });
        }
        let new = train(models.path(), "2016-08-28 23:59:59");
        wait("the new models", || version(&server) == new);
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, SeqCst);
        new
    });
    assert!(new != old && asked.load(SeqCst) > 20);
    let list = server.get("/models").json();
    assert_eq!((&list["current"], &list["error"]), (&new.as_str().into(), &serde_json::Value::Null));
    assert_eq!(list["versions"].as_array().unwrap().len(), 2);
    let counted: u64 =
        list["reliability"].as_array().unwrap().iter().map(|bin| bin["forecasts"].as_u64().unwrap()).sum();
    assert!(counted > 100 && list["reliability"].as_array().unwrap().len() == 10);
}

#[test]
fn damaged_models_never_replace_good_ones() {
    let models = registry();
    let server = Server::start(models.path(), &[]);
    let (old, expected) = (version(&server), server.get("/predict").body);
    let new = train(models.path(), "2016-08-28 23:59:59");
    wait("the new models", || version(&server) == new);
    let activate = |version: &str| std::fs::write(models.path().join("current"), format!("{version}\n")).unwrap();
    activate(&old);
    wait("the old models", || version(&server) == old);
    let devices = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["devices"].clone();
    let file = models.path().join(&new).join("models.bin");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        activate(&new);
        let refused = server.ask("POST", "/models/reload", &["Authorization: Bearer a-token"], b"");
        assert_eq!((refused.status, refused.code().as_str()), (409, "reload_failed"));
        assert_eq!(devices(&server.get("/predict").body), devices(&expected), "{length}");
        assert!(server.get("/models").json()["error"].as_str().unwrap().contains("models.bin"));
    }
    let metrics = server.get("/metrics").text();
    assert!(!metrics.contains("roomcast_model_reload_failures_total 0"), "{metrics}");
    std::fs::write(models.path().join("current"), b"../../etc\n").unwrap();
    wait("the error", || server.get("/models").json()["error"].as_str().is_some_and(|error| error.contains("current")));
    std::fs::write(&file, &whole).unwrap();
    activate(&new);
    wait("the whole models", || version(&server) == new);
    assert!(server.get("/models").json()["error"].is_null());
}

#[test]
fn a_damaged_registry_does_not_keep_the_server_from_starting() {
    let models = registry();
    let good = std::fs::read_to_string(models.path().join("current")).unwrap();
    let bad = train(models.path(), "2016-08-28 23:59:59");
    std::fs::write(models.path().join(&bad).join("models.bin"), b"").unwrap();
    let server = Server::start(models.path(), &[]);
    assert_eq!(version(&server), good.trim());
    assert!(server.get("/models").json()["error"].as_str().unwrap().contains(&bad));
}

#[test]
fn without_models_some_are_trained_and_saved() {
    let models = tempfile::tempdir().unwrap();
    let server = Server::start(&models.path().join("models"), &[]);
    wait("models", || version(&server) != "baseline");
    let current = std::fs::read_to_string(models.path().join("models/current")).unwrap();
    assert_eq!(version(&server), current.trim());
    assert!(current.starts_with("20160831T190000-"));
}

#[test]
fn new_readings_are_taken_and_damaged_ones_are_not() {
    let models = registry();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("in.csv");
    let text = std::fs::read_to_string(sample()).unwrap();
    std::fs::write(&file, &text).unwrap();
    let server = Server::with(&["--input", file.to_str().unwrap(), "--models", models.path().to_str().unwrap()], &[]);
    let until = |server: &Server| server.get("/predict").json()["data_until"].as_str().unwrap().to_owned();
    assert_eq!(until(&server), "2016-08-31T18:25:57");
    std::fs::write(&file, text.clone() + "2016-09-01 07:10:00,device_1,1\n").unwrap();
    wait("the new reading", || until(&server) == "2016-09-01T07:10:00");
    std::fs::write(&file, text + "2016-09-02 07:10:00,device_1\n").unwrap();
    wait("the error", || !server.get("/models").json()["error"].is_null());
    assert_eq!(until(&server), "2016-09-01T07:10:00");
}

#[test]
fn a_directory_is_read_again_when_one_of_its_files_changes() {
    let models = registry();
    let place = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(sample()).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    let (july, august): (Vec<&str>, Vec<&str>) = rows.lines().partition(|row| row.starts_with("2016-07"));
    let put = |name: &str, rows: &[&str]| {
        std::fs::write(place.path().join(name), format!("{head}\n{}\n", rows.join("\n"))).unwrap();
    };
    put("july.csv", &july);
    put("august.csv", &august);
    let directory = place.path().to_str().unwrap();
    let server = Server::with(&["--input", directory, "--models", models.path().to_str().unwrap()], &[]);
    let answer = || server.get("/predict").json();
    let until = || answer()["data_until"].as_str().unwrap().to_owned();
    let all = |answer: serde_json::Value| answer["devices"].as_array().unwrap().len();
    assert_eq!((until(), all(answer())), ("2016-08-31T18:25:57".to_owned(), 7));
    // A row more in a file, a file more, a file that cannot be read, and one that is gone.
    put("august.csv", &[&august[..], &["2016-09-01 07:10:00,device_1,1"]].concat());
    wait("the new row", || until() == "2016-09-01T07:10:00");
    put("september.csv", &["2016-09-01 08:10:00,device_1,1", "2016-09-01 08:15:00,device_9,1"]);
    wait("the new file", || until() == "2016-09-01T08:15:00");
    assert_eq!(all(answer()), 8);
    put("september.csv", &["2016-09-01 09:10:00,device_1"]);
    wait("the error", || server.get("/models").json()["error"].as_str().is_some_and(|it| it.contains("september.csv")));
    assert_eq!((until(), all(answer())), ("2016-09-01T08:15:00".to_owned(), 8));
    std::fs::remove_file(place.path().join("september.csv")).unwrap();
    wait("the rest", || until() == "2016-09-01T07:10:00");
    assert_eq!(all(answer()), 7);
}

#[test]
fn requests_under_way_are_finished_when_told_to_stop() {
    let models = registry();
    let mut server = Server::start(models.path(), &["--drain", "2"]);
    let body = std::fs::read(sample()).unwrap();
    let mut under_way = server.connect();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer r-token\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    under_way.write_all(head.as_bytes()).unwrap();
    under_way.write_all(&body[..1000]).unwrap();
    wait("the request", || server.get("/metrics").text().contains("roomcast_http_requests_in_flight 2"));
    server.signal("TERM");
    wait("unreadiness", || server.get("/readyz").status == 503);
    assert_eq!(server.get("/healthz").status, 200);
    // Past the two seconds of grace: connections are refused, this one is not.
    wait("refusal", || std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err());
    under_way.write_all(&body[1000..]).unwrap();
    let answer = receive(&mut BufReader::new(under_way));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_means_now() {
    let models = registry();
    let mut server = Server::start(models.path(), &["--drain", "600"]);
    let start = Instant::now();
    server.signal("TERM");
    wait("unreadiness", || server.get("/readyz").status == 503);
    server.signal("INT");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(roomcast(&["healthcheck", "--port", &server.port.to_string()]).status.code(), Some(1));
}
