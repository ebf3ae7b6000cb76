//! Readings as they arrive, by HTTP, from real brokers and JetStream, into real stores.

mod away;
pub mod bench;
mod kills;
mod oversize;
mod sources;

use std::io::Write;

use serde_json::json;

use crate::serve::client::{Server, registry, wait};
use crate::store::place::Place;
use bench::{metric, post, serve, stored, time};

const NDJSON: &str = "application/x-ndjson";

#[test]
fn rows_are_stored_before_they_are_acknowledged_and_served_at_once() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let body = format!(
        "{{\"time\":\"{}\",\"device\":\"hall\"}}\n{{\"time\":\"{}\",\"device\":\"hall\"}}\nno row\n\
        {{\"time\":\"{}\",\"device\":\"hall\",\"device_activated\":0}}\n",
        time(0),
        time(0),
        time(60)
    );
    let answer = post(&server, NDJSON, &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.json(),
        json!({ "stored": 1, "duplicates": 1, "no_motion": 1, "refused": [{ "row": 3, "reason": "expected ident" }] })
    );
    assert_eq!(stored(&place.url).len(), 1);
    let again = post(&server, NDJSON, &[], body.as_bytes()).json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(0), &json!(2)));
    let csv = format!("time,device,device_activated\n{},kitchen,1\n{},kitchen,0\n", time(3600), time(3700));
    let answer = post(&server, "text/csv; charset=utf-8", &[], csv.as_bytes()).json();
    assert_eq!((&answer["stored"], &answer["no_motion"]), (&json!(1), &json!(1)));
    let row = json!([{ "time": time(7200), "device": "loft", "activated": true, "id": "x-1" }]).to_string();
    assert_eq!(post(&server, "application/json", &[], row.as_bytes()).json()["stored"], 1);
    let moved = row.replace(&time(7200), &time(7201));
    assert_eq!(post(&server, "application/json", &[], moved.as_bytes()).json()["duplicates"], 1);
    wait("the devices", || server.get("/devices").json()["devices"].as_array().unwrap().len() == 3);
    assert_eq!(server.get("/predict?device=loft").json()["data_until"], "2024-03-04T10:00:00");
    let counted = |name: &str| metric(&server, &format!("roomcast_ingest_{name}{{source=\"http\"}}"));
    assert_eq!((counted("stored_total"), counted("duplicates_total"), counted("refused_total")), (3.0, 4.0, 2.0));
    assert_eq!(
        (metric(&server, "roomcast_ingest_queue_rows"), metric(&server, "roomcast_ingest_commits_total")),
        (0.0, 5.0)
    );
    // The same after a start.
    drop(server);
    let server = serve(&place.url, &models, &[]);
    assert_eq!(server.get("/devices").json()["devices"].as_array().unwrap().len(), 3);
}

#[test]
fn a_body_without_a_valid_row_is_refused_as_a_whole() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let bad = format!("{{\"time\":\"{}\",\"device\":\"lobby\",\"people\":0}}\n", time(0));
    let answer = post(&server, NDJSON, &[], (bad.clone() + "17\n").as_bytes());
    let problem = answer.json();
    let rows: Vec<u64> =
        problem["refused"].as_array().unwrap().iter().map(|row| row["row"].as_u64().unwrap()).collect();
    assert_eq!((answer.status, &problem["code"], rows), (422, &json!("rows_refused"), vec![1, 2]), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("unknown field `people`, and no state"), "{problem}");
    assert!(stored(&place.url).is_empty());
    // One valid row makes it 200. Sent again, what is stored counts as accepted.
    let body = format!("{bad}{{\"time\":\"{}\",\"device\":\"lobby\"}}\n", time(0));
    for (stored, duplicates) in [(1, 0), (0, 1)] {
        let answer = post(&server, NDJSON, &[], body.as_bytes());
        let counts = answer.json();
        assert_eq!(
            (answer.status, &counts["stored"], &counts["duplicates"]),
            (200, &json!(stored), &json!(duplicates))
        );
    }
    for nothing in ["", "\n"] {
        assert_eq!(post(&server, NDJSON, &[], nothing.as_bytes()).status, 200);
    }
}

#[test]
fn packed_bodies_are_unpacked_within_bounds() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let rows = |device: &str| {
        let row = |n: i64| format!("{{\"time\":\"{}\",\"device\":\"{device}\"}}\n", time(n * 60));
        (0..2000).map(row).collect::<String>()
    };
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let send = |encoding: &str, body: &[u8]| post(&server, NDJSON, &[&format!("Content-Encoding: {encoding}")], body);
    assert_eq!(send("gzip", &gzip(rows("a").as_bytes())).json()["stored"], 2000);
    assert_eq!(send("zstd", &zstd(rows("b").as_bytes())).json()["stored"], 2000);
    let bomb = vec![b'\n'; 40 << 20];
    for (encoding, body, status, code) in [
        ("gzip", gzip(&bomb), 413, "body_too_large"),
        ("zstd", zstd(&bomb), 413, "body_too_large"),
        ("gzip", b"{}".to_vec(), 400, "invalid_body"),
        ("br", b"{}".to_vec(), 415, "unsupported_media_type"),
    ] {
        let answer = send(encoding, &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{encoding}");
    }
    assert_eq!(stored(&place.url).len(), 4000);
}

#[test]
fn refused_rows_do_not_fill_the_disk() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    for letter in ["a", "b", "c", "d", "e", "f"] {
        let row = |n: u32| format!("{{\"{}{n}\":0}}\n", letter.repeat(300));
        let rows: String = (0..99_000).map(row).collect();
        let body = zstd::encode_all(rows.as_bytes(), 3).unwrap();
        let answer = post(&server, NDJSON, &["Content-Encoding: zstd"], &body);
        assert!(answer.status == 422 && body.len() < 300 << 10, "{} {}", answer.status, body.len());
    }
    assert!(metric(&server, "roomcast_ingest_quarantine_dropped_total") > 400_000.0);
    let bytes: u64 =
        std::fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 200 << 20, "{bytes}");
}

#[test]
fn requests_that_cannot_be_meant_are_refused_whole() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let as_json = "Content-Type: application/json";
    for (headers, status, code) in [
        (&["Authorization: Bearer r-token", as_json][..], 403, "forbidden"),
        (&[as_json], 401, "unauthorized"),
        (&["Authorization: Bearer w-token"], 415, "unsupported_media_type"),
        (&["Authorization: Bearer w-token", as_json], 400, "invalid_body"),
    ] {
        let answer = server.ask("POST", "/readings", headers, b"[{\"time\"");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}");
    }
    let many = post(&server, NDJSON, &[], "1\n".repeat(100_001).as_bytes());
    assert_eq!((many.status, many.code().as_str()), (413, "body_too_large"));
    let large = post(&server, NDJSON, &[], &vec![b' '; (8 << 20) + 1]);
    assert_eq!((large.status, large.code().as_str()), (413, "body_too_large"));
    let without = Server::start(models.path(), &[]);
    let answer = post(&without, NDJSON, &[], b"");
    assert_eq!((answer.status, answer.code().as_str()), (409, "no_store"));
    assert!(answer.json()["hint"].as_str().unwrap().contains("--store"));
    assert_eq!(stored(&place.url).len(), 0);
}

#[test]
fn two_servers_on_one_database_count_what_both_receive_once() {
    let Some(place) = bench::block_on(Place::postgres()) else { return };
    let models = registry();
    let servers = [serve(&place.url, &models, &[]), serve(&place.url, &models, &[])];
    let row = |n: i64| format!("{{\"time\":\"{}\",\"device\":\"room_{}\"}}\n", time(n * 40), n % 13);
    let batches: Vec<String> = (0..20).map(|batch| (batch * 150..batch * 150 + 200).map(row).collect()).collect();
    let new: u64 = std::thread::scope(|scope| {
        let batches = &batches;
        let send = |server, backwards| {
            scope.spawn(move || {
                let send = |body: &String| {
                    let answer = post(server, NDJSON, &[], body.as_bytes());
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answer.json()["stored"].as_u64().unwrap()
                };
                if backwards { batches.iter().rev().map(send).sum::<u64>() } else { batches.iter().map(send).sum() }
            })
        };
        let senders = [send(&servers[0], false), send(&servers[1], false), send(&servers[1], true)];
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    let expected = 19 * 150 + 200;
    assert_eq!((new, stored(&place.url).len()), (expected, expected as usize));
    for server in &servers {
        wait("what the other stored", || metric(server, "roomcast_readings") == expected as f64);
    }
}
