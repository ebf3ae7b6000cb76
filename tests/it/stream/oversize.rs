//! Messages that are too large to be read, and brokers that want TLS and a password.

use std::process::Command;
use std::time::Duration;

use rumqttc::{AckMode, Client, Event, MqttOptions, Packet};
use serde_json::json;

use super::bench::{Mosquitto, fresh, metric, publish, serve, start, stored, subscribed, time};
use crate::serve::client::{Server, registry, roomcast, wait};
use crate::store::place::Place;

/// More than is read.
const LARGE: usize = 17 << 20;

fn motion(device: &str, seconds: i64) -> (String, String) {
    let payload = json!({ "occupancy": true, "last_seen": time(seconds) });
    (format!("zigbee2mqtt/{device}"), payload.to_string())
}

fn large(device: &str) -> (String, String) {
    (format!("zigbee2mqtt/{device}"), "x".repeat(LARGE))
}

fn counted(server: &Server, name: &str) -> f64 {
    metric(server, &format!("roomcast_ingest_{name}{{source=\"mqtt\"}}"))
}

/// How many messages the broker still keeps for a session: those that were sent and not acknowledged, or not sent yet.
fn kept(broker: &Mosquitto, session: &str) -> usize {
    let mut options = MqttOptions::new(session, ("127.0.0.1", broker.port));
    options.set_clean_session(false).set_max_packet_size(32 << 20, 1 << 10).set_ack_mode(AckMode::Manual);
    let (_client, mut connection) = Client::builder(options).capacity(10).build();
    let mut count = 0;
    while let Ok(event) = connection.recv_timeout(Duration::from_secs(1)) {
        count += usize::from(matches!(event, Ok(Event::Incoming(Packet::Publish(_)))));
    }
    count
}

#[test]
fn a_message_over_16_mib_is_skipped() {
    let Some(broker) = Mosquitto::start() else { return };
    let (models, place) = (registry(), Place::sqlite());
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let start_server = || {
        let server = serve(&place.url, &models, &["--mqtt", &url]);
        subscribed(&server, 1);
        server
    };
    let server = start_server();
    let messages = [motion("hall", 0), large("camera"), motion("loft", 10), large("bridge"), motion("attic", 20)];
    publish(broker.port, &messages, false, Duration::ZERO);
    wait("what came before and after", || counted(&server, "stored_total") == 3.0);
    wait("the skipped", || counted(&server, "refused_total") == 1.0);
    assert_eq!((counted(&server, "too_large_total"), counted(&server, "reconnects_total")), (2.0, 0.0));
    let alert = || {
        let alerts = server.get("/alerts").json();
        alerts["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == "messages_too_large").cloned()
    };
    wait("an alert", || alert().is_some());
    let alert = alert().unwrap();
    assert_eq!(alert["examples"], json!(["zigbee2mqtt/bridge (17 MiB)", "zigbee2mqtt/camera (17 MiB)"]));
    assert_eq!(server.log().matches("a message is too large: skipped").count(), 2);
    drop(server);
    let listed = roomcast(&["store", "quarantine", "list", "--store", &place.url]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("the message has 17 MiB, at most 16 are read"), "{listed}");

    // What waits at the broker for a server that is away is not sent again and again either.
    let messages = [motion("hall", 7200), large("camera"), motion("loft", 7200)];
    publish(broker.port, &messages, false, Duration::ZERO);
    let server = start_server();
    wait("what came meanwhile", || counted(&server, "stored_total") == 2.0);
    wait("its acknowledgement", || {
        counted(&server, "too_large_total") == 1.0 && counted(&server, "refused_total") == 1.0
    });
    publish(broker.port, &[motion("cellar", 7300)], false, Duration::ZERO);
    wait("what comes then", || counted(&server, "stored_total") == 3.0);
    assert_eq!(counted(&server, "reconnects_total"), 0.0);
    // Acknowledgements follow the commit.
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    let readings = stored(&place.url);
    let times: Vec<_> = readings
        .devices
        .iter()
        .map(|device| (device.device.as_str(), device.times.iter().collect::<Vec<_>>()))
        .collect();
    let at = |seconds: &[i64]| seconds.iter().map(|seconds| start() + seconds).collect::<Vec<_>>();
    let (both, one) = (at(&[0, 7200]), at(&[20]));
    assert_eq!(times, [("attic", one), ("cellar", at(&[7300])), ("hall", both), ("loft", at(&[10, 7200]))]);
    assert_eq!(kept(&broker, "roomcast"), 0);
}

#[test]
fn a_broker_is_reached_with_tls_and_a_password() {
    let place = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &str| {
        Command::new(program)
            .args(args.split_whitespace())
            .current_dir(&place)
            .output()
            .map(|output| output.status.success())
    };
    let made = [
        run(
            "openssl",
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem",
        ),
        run("mosquitto_passwd", "-b -c passwords sensor wave-7"),
    ];
    if made.iter().any(Result::is_err) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no openssl or mosquitto_passwd");
        println!("skipped: no openssl or mosquitto_passwd");
        return;
    }
    assert!(made.into_iter().all(|made| made.unwrap()));
    let file = |name: &str| place.path().join(name).display().to_string();
    let (certificate, password) = (file("cert.pem"), file("password"));
    std::fs::write(&password, "wave-7\n").unwrap();
    let config = format!(
        "allow_anonymous false\npassword_file {}\ncertfile {certificate}\nkeyfile {}\nuser root\n",
        file("passwords"),
        file("key.pem")
    );
    let Some(broker) = Mosquitto::with(place, &config) else { return };
    let models = registry();
    let play = |password: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_roomcast"))
            .args(["simulate", "--devices", "2", "--from", "2016-07-04", "--to", "2016-07-05", "--speed", "100000"])
            .args(["--live", &format!("mqtts://sensor@localhost:{}/?client_id={}", broker.port, fresh("play"))])
            .args(["--live-ca", &certificate])
            .env("ROOMCAST_MQTT_PASSWORD", password)
            .output()
            .unwrap()
    };
    let store = Place::sqlite();
    let url = format!("mqtts://sensor@localhost:{}", broker.port);
    let options = ["--mqtt", &url, "--mqtt-ca", &certificate, "--mqtt-password-file", &password];
    let server = serve(&store.url, &models, &options);
    subscribed(&server, 1);
    let output = play("wave-7");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait("readings", || counted(&server, "stored_total") > 10.0);
    drop(server);
    // Neither another password nor another name than the certificate's will do.
    std::fs::write(&password, "wave-8\n").unwrap();
    let elsewhere = url.replace("localhost", "127.0.0.1");
    for (url, reason) in [(&url, "the broker refuses the connection"), (&elsewhere, "certificate")] {
        let server =
            serve(&store.url, &models, &["--mqtt", url, "--mqtt-ca", &certificate, "--mqtt-password-file", &password]);
        wait("a refusal", || server.log().lines().any(|line| line.contains("reconnecting") && line.contains(reason)));
        assert!(!server.log().contains("wave-8"));
    }
}
