//! What a broker hears, as Home Assistant would.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};

use super::{fill, now, predicted, row};
use crate::serve::client::{registry, wait};
use crate::store::place::Place;
use crate::stream::bench::{BROKER, fresh, has, post, publish, serve};

pub struct Heard {
    pub topic: String,
    pub retained: bool,
    pub payload: String,
}

/// Listens to topics until the test ends.
pub struct Listener {
    pub heard: Arc<Mutex<Vec<Heard>>>,
    client: Client,
}

impl Listener {
    pub fn start(filters: &[String]) -> Listener {
        let (client, mut connection) =
            Client::builder(MqttOptions::new(fresh("listener"), ("127.0.0.1", BROKER))).capacity(10).build();
        for filter in filters {
            client.subscribe(filter, QoS::AtLeastOnce).unwrap();
        }
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let all = heard.clone();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::Publish(message))) => all.lock().unwrap().push(Heard {
                        retained: message.retain,
                        payload: String::from_utf8(message.payload.to_vec()).unwrap(),
                        topic: String::from_utf8(message.topic.to_vec()).unwrap(),
                    }),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        });
        Listener { heard, client }
    }

    /// How often something that ends so was heard.
    fn count(&self, end: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| heard.topic.ends_with(end)).count()
    }

    /// The last payload of a topic.
    pub fn last(&self, topic: &str) -> Option<String> {
        self.heard.lock().unwrap().iter().rev().find(|heard| heard.topic == topic).map(|heard| heard.payload.clone())
    }

    fn json(&self, topic: &str) -> Value {
        self.last(topic).and_then(|payload| serde_json::from_str(&payload).ok()).unwrap_or_default()
    }

    /// Takes back whatever is retained of what was heard, so that nothing stays behind at the broker.
    pub fn erase(&self) {
        let topics: std::collections::BTreeSet<String> =
            self.heard.lock().unwrap().iter().map(|heard| heard.topic.clone()).collect();
        let empty: Vec<_> = topics.into_iter().map(|topic| (topic, String::new())).collect();
        publish(BROKER, &empty, true, Duration::ZERO);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.client.disconnect();
    }
}

#[test]
fn home_assistant_finds_every_room_and_hears_when_the_server_is_gone() {
    if !has(BROKER, "broker") {
        return;
    }
    let (models, place, prefix, node) = (registry(), Place::sqlite(), fresh("ha"), fresh("site").replace('-', "_"));
    let url = format!("mqtt://127.0.0.1:{BROKER}/?client_id={node}");
    let filters = [format!("{prefix}/#"), format!("{node}/#")];
    let listener = Listener::start(&filters);
    let server = serve(&place.url, &models, &["--publish-mqtt", &url, "--publish-prefix", &prefix]);
    let availability = format!("{node}/status");
    wait("an answer", || listener.last(&availability).as_deref() == Some("offline"));
    let devices = ["floor 3/hall", "küche"];
    fill(&server, &devices, "attic");
    wait("that it is there", || listener.last(&availability).as_deref() == Some("online"));
    assert!(listener.count("/config") >= 15, "{}", listener.count("/config"));
    // Who comes later finds all of it.
    let late = Listener::start(&filters);
    wait("what is retained", || {
        late.count("/config") == 15 && late.count("/state") == 3 && late.count("/forecast") == 3
    });
    assert!(late.heard.lock().unwrap().iter().all(|heard| heard.retained || !heard.topic.ends_with("/config")));
    let configs: Vec<Value> = {
        let heard = late.heard.lock().unwrap();
        let configs = heard.iter().filter(|heard| heard.topic.ends_with("/config"));
        configs.map(|heard| serde_json::from_str(&heard.payload).unwrap()).collect()
    };
    for device in devices {
        let of_device: Vec<&Value> = configs.iter().filter(|config| config["device"]["name"] == device).collect();
        assert_eq!(of_device.len(), 5);
        let sensor = of_device.iter().find(|config| config["unit_of_measurement"] == "%").unwrap();
        let binary = of_device.iter().find(|config| config["device_class"] == "occupancy").unwrap();
        assert_eq!(sensor["device"]["identifiers"], binary["device"]["identifiers"]);
        assert_eq!(
            (&sensor["availability_topic"], &sensor["state_topic"]),
            (&json!(availability), &binary["state_topic"])
        );
        let heat = of_device.iter().find(|config| config["name"] == "Heat").unwrap();
        assert_eq!((&heat["state_topic"], &heat["payload_on"]), (&sensor["state_topic"], &json!("ON")));
        // The schedule that HTTP answers with says when the room is next in use.
        wait("the same plan", || {
            let state = listener.json(sensor["state_topic"].as_str().unwrap());
            let name = device.replace('ü', "%C3%BC").replace(' ', "%20");
            let plan = server.get(&format!("/schedule?days=7&device={name}")).json();
            let Some(blocks) = plan["devices"][0]["blocks"].as_array() else { return false };
            let next = state["next_occupied"].as_str();
            let known = next.is_none_or(|next| blocks.iter().any(|block| block["occupied_from"] == next));
            known && state["heat"].is_string() && state["expected_hours_today"].as_f64().is_some_and(|h| h <= 25.0)
        });
        // The state is that of the first hour HTTP answers with.
        wait("the same forecast", || {
            let curve = listener.json(sensor["json_attributes_topic"].as_str().unwrap());
            let state = listener.json(sensor["state_topic"].as_str().unwrap());
            let hours = predicted(&server, device)["devices"][0]["hours"].clone();
            let Some(hours) = hours.as_array() else { return false };
            let near = |a: &Value, b: f64, distance: f64| (a.as_f64().unwrap_or(-1.0) - b).abs() <= distance;
            hours.iter().enumerate().all(|(at, hour)| {
                curve["starts"][at] == hour["start"]
                    && curve["states"][at] == hour["state"]
                    && near(&curve["probabilities"][at], hour["probability"].as_f64().unwrap(), 0.000_51)
            }) && near(&state["probability"], hours[0]["probability"].as_f64().unwrap() * 100.0, 0.051)
                && state["occupied"] == if hours[0]["state"] == 1 { "ON" } else { "OFF" }
        });
    }
    // Home Assistant starts again.
    let before = listener.count("/config");
    publish(BROKER, &[(format!("{prefix}/status"), "online".into())], false, Duration::ZERO);
    wait("all of it again", || listener.count("/config") == before + 15);
    // A new reading changes what is expected, and nothing is announced anew.
    let states = listener.count("/forecast");
    post(&server, "application/x-ndjson", &[], row("küche", now() - 1).as_bytes());
    post(&server, "application/x-ndjson", &[], row("loft", now() - 1).as_bytes());
    wait("a new room", || listener.count("/config") == before + 20 && listener.count("/forecast") > states);
    // With a table of rooms each floor and the building are devices too, and what became a part of a room is gone.
    let table = "sensor,room,floor\nküche,küche,3\nfloor 3/hall,hall,3\nattic,hall,3\n";
    let headers = ["Authorization: Bearer w-token", "Content-Type: text/csv"];
    assert_eq!(server.ask("PUT", "/rooms", &headers, table.as_bytes()).status, 200);
    let shown = || {
        let heard = listener.heard.lock().unwrap();
        let mut configs: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
        configs.extend(
            heard
                .iter()
                .filter(|heard| heard.topic.ends_with("/config"))
                .map(|heard| (heard.topic.as_str(), heard.payload.as_str())),
        );
        let device =
            |payload: &&str| serde_json::from_str::<Value>(payload).ok().map(|config| config["device"].clone());
        let found = configs.values().filter_map(device);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found.map(|device| (text(&device["name"]), text(&device["model"]))).collect::<std::collections::BTreeSet<_>>()
    };
    let [room, floor, building] = ["", " of a floor", " of a building"].map(|of| format!("Occupancy forecast{of}"));
    let expected = [("3", &floor), ("building", &building), ("hall", &room), ("küche", &room), ("loft", &room)];
    let expected = expected.map(|(name, model)| (name.to_owned(), model.clone())).into();
    wait("floors and building", || shown() == expected);
    drop(server);
    wait("that it is gone", || listener.last(&availability).as_deref() == Some("offline"));
    listener.erase();
}
