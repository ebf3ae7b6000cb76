//! Brokers and JetStream as sources, and the simulator as the sensors.

use std::process::Command;
use std::time::Duration;

use async_nats::jetstream;
use serde_json::json;

use super::bench::{
    BROKER, Mosquitto, NATS, block_on, forget, fresh, has, metric, post, publish, serve, start, stored, subscribed,
    time,
};
use crate::serve::client::{registry, roomcast, wait};
use crate::store::commands::ok;
use crate::store::place::{Place, START, batch, motion};
use crate::store::refusal::tamper;

#[test]
fn messages_of_a_broker_become_readings() {
    if !has(BROKER, "broker") {
        return;
    }
    let (models, place, site) = (registry(), Place::sqlite(), fresh("site"));
    let (broker, filter) = (format!("mqtt://127.0.0.1/?client_id={site}"), format!("{site}/+"));
    let message = |device: &str, payload: String| (format!("{site}/{device}"), payload);
    let seen = |occupied: bool, at: i64| json!({ "occupancy": occupied, "last_seen": time(at) }).to_string();
    // A retained state says nothing about now.
    let old = [message("lounge", "{\"occupancy\":true}".into())];
    publish(BROKER, &old, true, Duration::ZERO);
    let server = serve(&place.url, &models, &["--mqtt", &broker, "--mqtt-topic", &filter]);
    subscribed(&server, 1);
    let messages = [
        message("hall", seen(true, 0)),
        message("hall", seen(true, 30)),
        message("hall", json!({ "temperature": 21.5, "contact": false, "last_seen": time(40) }).to_string()),
        message("hall", seen(false, 90)),
        message("hall", seen(true, 100)),
        message("hall", seen(true, 3800)),
        message("door", json!({ "contact": true }).to_string()),
        message("loft", "ON".into()),
        message("attic", "{\"occupancy\":".into()),
        message("loft/availability", "offline".into()),
    ];
    publish(BROKER, &messages, false, Duration::ZERO);
    let counted = |name: &str| metric(&server, &format!("roomcast_ingest_{name}{{source=\"mqtt\"}}"));
    wait("all messages", || counted("received_total") == 11.0 && metric(&server, "roomcast_ingest_queue_rows") == 0.0);
    wait("all verdicts", || counted("stored_total") == 4.0 && counted("refused_total") == 1.0);
    assert_eq!((counted("no_motion_total"), metric(&server, "roomcast_ingest_sensors_offline")), (3.0, 1.0));
    let readings = stored(&place.url);
    let hall = readings.devices.iter().find(|device| device.device == "hall").unwrap();
    assert_eq!(hall.times, vec![start(), start() + 100, start() + 3800].into());
    assert_eq!(hall.offs, vec![start() + 90].into());
    assert_eq!(readings.devices.iter().map(|device| device.device.as_str()).collect::<Vec<_>>(), ["hall", "loft"]);
    // A sensor that was in motion when the server stopped, and says so again, does not fire again.
    drop(server);
    let server = serve(&place.url, &models, &["--mqtt", &broker, "--mqtt-topic", &filter]);
    publish(BROKER, &[message("hall", seen(true, 3900))], false, Duration::ZERO);
    wait("a sign of life", || metric(&server, "roomcast_ingest_no_motion_total{source=\"mqtt\"}") >= 1.0);
    assert_eq!(stored(&place.url), readings);
    drop(server);
    publish(BROKER, &[message("lounge", String::new())], true, Duration::ZERO);
    forget(BROKER, &site);
}

#[test]
fn a_restarted_broker_is_subscribed_to_again_and_nothing_counts_twice() {
    let Some(mut broker) = Mosquitto::start() else { return };
    let (models, place) = (registry(), Place::sqlite());
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let server = serve(&place.url, &models, &["--mqtt", &url]);
    subscribed(&server, 1);
    let messages: Vec<_> = (0..40)
        .map(|n| {
            let payload = json!({ "occupancy": n % 2 == 0, "last_seen": time(n * 10) });
            ("zigbee2mqtt/hall".to_owned(), payload.to_string())
        })
        .collect();
    publish(broker.port, &messages[..20], false, Duration::ZERO);
    let counted = |name: &str| metric(&server, &format!("roomcast_ingest_{name}{{source=\"mqtt\"}}"));
    wait("the first half", || counted("stored_total") == 10.0);
    broker.restart();
    subscribed(&server, 2);
    publish(broker.port, &messages, false, Duration::ZERO);
    wait("all", || counted("stored_total") + counted("duplicates_total") == 30.0);
    assert_eq!((counted("stored_total"), counted("reconnects_total"), counted("connected")), (20.0, 1.0, 1.0));
    assert_eq!(stored(&place.url).len(), 20);
}

#[test]
fn messages_of_a_stream_become_readings() {
    if !has(NATS, "NATS server") {
        return;
    }
    let (models, place, name) = (registry(), Place::sqlite(), fresh("stream"));
    let subject = format!("{name}.>");
    let options = ["--nats", "nats://127.0.0.1:4222", "--nats-stream", &name, "--nats-subject", &subject];
    let server = serve(&place.url, &models, &options);
    wait("the consumer", || server.log().contains("receiving from JetStream"));
    let counted = |name: &str| metric(&server, &format!("roomcast_ingest_{name}{{source=\"nats\"}}"));
    block_on(async {
        let jetstream = jetstream::new(async_nats::connect("127.0.0.1:4222").await.unwrap());
        for n in 0..300 {
            let device = format!("room_{}", n % 7);
            let row = json!({ "time": time(n), "device": device });
            let payload = if n % 3 == 0 { json!([row, { "device": device }]) } else { row };
            let subject = format!("{name}.{}", n % 7 % 4);
            jetstream.publish(subject, payload.to_string().into()).await.unwrap().await.unwrap();
        }
        wait("all messages", || counted("stored_total") == 300.0 && counted("refused_total") == 100.0);
        let mut stream = jetstream.get_stream(&name).await.unwrap();
        let mut consumer: jetstream::consumer::PullConsumer = stream.get_consumer("roomcast").await.unwrap();
        for _ in 0..100 {
            if consumer.info().await.unwrap().num_ack_pending == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let info = consumer.info().await.unwrap();
        assert_eq!((info.num_ack_pending, info.num_pending), (0, 0));
        assert_eq!(stream.info().await.unwrap().state.messages, 300);
        // A consumer that somebody deletes is made again; what it brings once more counts once.
        stream.delete_consumer("roomcast").await.unwrap();
        let row = json!({ "time": time(300), "device": "room_0" });
        jetstream.publish(format!("{name}.0"), row.to_string().into()).await.unwrap().await.unwrap();
        wait("the message after it", || counted("stored_total") == 301.0 && counted("duplicates_total") == 300.0);
        jetstream.delete_stream(&name).await.unwrap();
    });
    assert_eq!(stored(&place.url).len(), 301);
}

#[test]
fn a_message_that_is_never_stored_goes_to_quarantine_and_requests_are_answered() {
    if !has(NATS, "NATS server") {
        return;
    }
    let Some(place) = block_on(Place::postgres()) else { return };
    let (models, name) = (registry(), fresh("stream"));
    block_on(async {
        let store = place.open().await;
        store.ingest(&batch([motion("a", START), motion("b", START)])).await.unwrap();
        store.pack(START + 86_400).await.unwrap();
    });
    let subject = format!("{name}.>");
    let options = ["--nats", "nats://127.0.0.1:4222", "--nats-stream", &name, "--nats-subject", &subject];
    let server = serve(&place.url, &models, &options);
    wait("the consumer", || server.log().contains("receiving from JetStream"));
    let counted = |name: &str| metric(&server, &format!("roomcast_ingest_{name}{{source=\"nats\"}}"));
    let send = |seconds: i64| {
        let row = json!({ "time": time(seconds), "device": "a" });
        let answer = post(&server, "application/json", &[], row.to_string().as_bytes());
        assert_eq!((answer.status, answer.json()["stored"].clone()), (200, 1.into()), "{}", answer.text());
    };
    block_on(async {
        let jetstream = jetstream::new(async_nats::connect("127.0.0.1:4222").await.unwrap());
        let days: Vec<_> = (1..=1200).map(|day| json!({ "time": time(-day * 86_400), "device": "c" })).collect();
        let days = json!(days).to_string();
        jetstream.publish(format!("{name}.0"), days.into()).await.unwrap().await.unwrap();
        wait("a message of many days", || counted("stored_total") == 1200.0);
        send(1);
        // A late reading of a day that is damaged, beside one of a day that is not.
        tamper(&place, "UPDATE packed SET times = '\\x1234' WHERE device = 1").await;
        let late = |device: &str| json!({ "time": "2016-07-01 12:00:00", "device": device });
        let late = json!([late("a"), late("b")]).to_string();
        jetstream.publish(format!("{name}.0"), late.into()).await.unwrap().await.unwrap();
        wait("the quarantine", || counted("refused_total") == 1.0 && counted("stored_total") == 1201.0);
        send(2);
        jetstream.delete_stream(&name).await.unwrap();
        let kept = place.open().await.quarantined(0, 9).await.unwrap();
        let row = r#"{"device":"a","device_activated":1,"time":"2016-07-01T12:00:00"}"#;
        assert_eq!(kept.iter().map(|kept| kept.payload.as_str()).collect::<Vec<_>>(), [row]);
        assert!(kept[0].reason.contains("day 16983 are damaged"), "{}", kept[0].reason);
        // Once the day is repaired it can be read again.
        tamper(&place, "DELETE FROM packed WHERE device = 1").await;
    });
    drop(server);
    let replayed = ok(&["store", "quarantine", "replay", "--store", &place.url]);
    assert_eq!(replayed, "1 rows are readings now, 1 of them new; 0 stay in quarantine\n");
}

#[test]
fn a_simulated_building_arrives_as_it_would_stand_in_a_file() {
    let building = ["simulate", "--devices", "6", "--from", "2016-07-04", "--to", "2016-07-05"];
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("building.csv");
    assert!(roomcast(&[&building[..], &["--output", file.to_str().unwrap()]].concat()).status.success());
    let options = roomcast_forecast::readings::ReadOptions::default();
    let expected =
        roomcast_forecast::readings::read(&[file], &options, &roomcast_forecast::calendar::Calendar::default())
            .unwrap()
            .0;
    let play = |url: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_roomcast"))
            .env("ROOMCAST_TOKEN", "w-token")
            .args(building)
            .args(["--live", url, "--speed", "100000"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("6 devices"));
    };
    let models = registry();
    let place = Place::sqlite();
    let server = serve(&place.url, &models, &[]);
    play(&format!("http://127.0.0.1:{}", server.port));
    assert_eq!(stored(&place.url), expected);
    let Some(broker) = Mosquitto::start() else { return };
    let (place, url) = (Place::sqlite(), format!("mqtt://127.0.0.1:{}", broker.port));
    let server = serve(&place.url, &models, &["--mqtt", &url]);
    subscribed(&server, 1);
    play(&url);
    wait("all readings", || metric(&server, "roomcast_ingest_stored_total{source=\"mqtt\"}") == expected.len() as f64);
    // A sensor also says when it no longer sees anybody.
    let mut arrived = stored(&place.url);
    assert!(arrived.devices.iter_mut().all(|device| !std::mem::take(&mut device.offs).is_empty()));
    assert_eq!(arrived, expected);
}
