//! Topics and payloads of Home Assistant's MQTT discovery.
//!
//! Every room is a device with five entities, every floor and building one with the first two. Two are about the hour that
//! begins at or next after the present: a sensor (its probability in percent; the 24 hours are its attributes) and a binary
//! sensor (its state). Three follow from the server's plan: whether the room is on now, when it is next expected in use, and
//! for how many hours today.

use serde_json::{Value, json};

use crate::publish::site_forecast::{Rendered, RoomPlan};
use crate::publish::slug;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::rooms::Level;

/// Seconds after which a state that was not repeated expires; states are repeated every hour.
const EXPIRY_SECONDS: u32 = 2 * 3600;

/// Largest number of characters of a device's name that are shown.
const MAX_NAME_CHARS: usize = 100;

/// The payload of Home Assistant's birth message and of our availability.
pub const ONLINE: &str = "online";
/// The payload of our last will.
pub const OFFLINE: &str = "offline";

const SENSOR: &str = "sensor";
const BINARY_SENSOR: &str = "binary_sensor";

/// An entity of a room.
#[derive(Debug)]
struct Entity {
    component: &'static str,
    /// The key of its value in the state, and the end of its id.
    key: &'static str,
    name: &'static str,
    /// The end of its object id.
    suffix: &'static str,
    /// Options besides those that all entities have.
    options: &'static [(&'static str, &'static str)],
}

/// Number of the first entities that follow from no plan.
const UNPLANNED: usize = 2;

/// The entities of a room.
static ENTITIES: [Entity; 5] = [
    Entity {
        component: SENSOR,
        key: "probability",
        name: "Occupancy probability",
        suffix: "",
        options: &[("unit_of_measurement", "%"), ("state_class", "measurement"), ("icon", "mdi:crystal-ball")],
    },
    Entity {
        component: BINARY_SENSOR,
        key: "occupied",
        name: "Occupancy expected",
        suffix: "",
        options: &[("device_class", "occupancy")],
    },
    Entity {
        component: BINARY_SENSOR,
        key: "heat",
        name: "Heat",
        suffix: "_heat",
        options: &[("icon", "mdi:radiator")],
    },
    Entity {
        component: SENSOR,
        key: "next_occupied",
        name: "Next occupied",
        suffix: "_next_occupied",
        options: &[
            ("device_class", "timestamp"),
            // A site without a zone tells wall time, which Home Assistant takes for its own. Nothing expected is unknown.
            (
                "value_template",
                "{% set next = value_json.next_occupied %}{{ (next | as_datetime | as_local).isoformat() if next else None }}",
            ),
        ],
    },
    Entity {
        component: SENSOR,
        key: "expected_hours_today",
        name: "Expected hours today",
        suffix: "_expected_hours_today",
        options: &[
            ("unit_of_measurement", "h"),
            ("device_class", "duration"),
            ("state_class", "measurement"),
            ("icon", "mdi:calendar-clock"),
        ],
    },
];

/// Names of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Prefix of all discovery topics, without a slash at its end.
    prefix: String,
    /// Prefix of all our own topics and ids.
    node: String,
}

/// A message to send: topic and payload. An empty payload removes the retained message.
pub type Message = (String, String);

impl Topics {
    /// Names topics under a discovery prefix, for the client of this id.
    pub fn new(prefix: &str, client_id: &str) -> Topics {
        let node = Some(slug::readable(client_id)).filter(|node| !node.is_empty());
        Topics { prefix: prefix.to_owned(), node: node.unwrap_or_else(|| slug::unique(client_id)) }
    }

    /// Returns the topic of Home Assistant's birth message.
    pub fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Returns the topic of our availability.
    pub fn availability(&self) -> String {
        format!("{}/status", self.node)
    }

    /// Returns the topic of a device's state.
    fn state(&self, slug: &str) -> String {
        format!("{}/{slug}/state", self.node)
    }

    /// Returns the topic of a device's 24 hours.
    fn curve(&self, slug: &str) -> String {
        format!("{}/{slug}/forecast", self.node)
    }

    /// Returns the topic of an entity's discovery message.
    fn config(&self, entity: &Entity, slug: &str) -> String {
        format!("{}/{}/{}/{slug}{}/config", self.prefix, entity.component, self.node, entity.suffix)
    }

    /// Returns the discovery messages of a device's entities.
    pub fn discovery(&self, level: Level, device: &str, slug: &str) -> Vec<Message> {
        let entities = if level == Level::Room { &ENTITIES[..] } else { &ENTITIES[..UNPLANNED] };
        let message = |entity| (self.config(entity, slug), self.entity(entity, level, device, slug).to_string());
        entities.iter().map(message).collect()
    }

    fn entity(&self, entity: &Entity, level: Level, device: &str, slug: &str) -> Value {
        let model = match level {
            Level::Room => "Occupancy forecast",
            Level::Floor => "Occupancy forecast of a floor",
            Level::Building => "Occupancy forecast of a building",
        };
        let id = format!("{}_{slug}", self.node);
        let shown: String = device.chars().take(MAX_NAME_CHARS).collect();
        let Entity { key, name, .. } = entity;
        let mut payload = json!({
            "name": name,
            "unique_id": format!("{id}_{key}"),
            "state_topic": self.state(slug),
            "value_template": format!("{{{{ value_json.{key} }}}}"),
            "availability_topic": self.availability(),
            "payload_available": ONLINE,
            "payload_not_available": OFFLINE,
            "expire_after": EXPIRY_SECONDS,
            "qos": 1,
            "device": {
                "identifiers": [id],
                "name": shown,
                "manufacturer": "Roomcast",
                "model": model,
                "sw_version": env!("CARGO_PKG_VERSION"),
            },
            "origin": { "name": "Roomcast", "sw_version": env!("CARGO_PKG_VERSION") },
        });
        for (key, value) in entity.options {
            payload[key] = (*value).into();
        }
        if entity.component == BINARY_SENSOR {
            (payload["payload_on"], payload["payload_off"]) = ("ON".into(), "OFF".into());
        }
        if *key == "probability" {
            payload["suggested_display_precision"] = 0.into();
            payload["json_attributes_topic"] = self.curve(slug).into();
        }
        payload
    }

    /// Returns a device's state at an instant, and its 24 hours. Numbers are rounded, so that noise makes no new payload.
    pub fn states(
        &self,
        (forecast, plan): (&DeviceForecast, Option<&RoomPlan>),
        slug: &str,
        version: &str,
        rendered: &Rendered<'_>,
        (now, calendar): (Timestamp, &Calendar),
    ) -> [Message; 2] {
        let on_off = |is_on: bool| if is_on { "ON" } else { "OFF" };
        let tenths = |probability: f64, digits: f64| (probability * digits).round() / digits;
        let Some(next) = forecast.hours.first() else {
            return [self.state(slug), self.curve(slug)].map(|t| (t, "".into()));
        };
        let mut state = json!({
            "probability": tenths(next.probability * 100.0, 10.0),
            "occupied": on_off(next.occupied),
        });
        if let Some(plan) = plan {
            state["heat"] = on_off(plan.is_on(now)).into();
            state["next_occupied"] = plan.next_occupied(now).map(|instant| calendar.rfc3339(instant)).into();
            state["expected_hours_today"] = tenths(plan.hours_today, 10.0).into();
        }
        let curve = json!({
            "hour": rendered.starts.first(),
            "source": forecast.source,
            "status": forecast.status,
            "model_version": version,
            "starts": rendered.starts,
            "probabilities": forecast.hours.iter().map(|hour| tenths(hour.probability, 1000.0)).collect::<Vec<_>>(),
            "states": forecast.hours.iter().map(|hour| u8::from(hour.occupied)).collect::<Vec<_>>(),
        });
        [(self.state(slug), state.to_string()), (self.curve(slug), curve.to_string())]
    }

    /// Returns messages that remove all retained messages of a device.
    pub fn removal_messages(&self, slug: &str) -> Vec<Message> {
        let configs = ENTITIES.iter().map(|entity| self.config(entity, slug));
        configs.chain([self.state(slug), self.curve(slug)]).map(|topic| (topic, String::new())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::tests::site_forecast;
    use roomcast_forecast::calendar::HOUR;

    #[test]
    fn a_room_is_a_device_with_five_entities() {
        let topics = Topics::new("homeassistant", "roomcast-forecast");
        let slug = slug::unique("floor 3/ä");
        let all = topics.discovery(Level::Room, "floor 3/ä", &slug);
        let [(sensor_topic, sensor), (binary_topic, binary), (heat_topic, heat), (next_topic, next), (_, hours)] =
            &all[..]
        else {
            panic!("{all:?}")
        };
        // A floor has no plan.
        assert_eq!(topics.discovery(Level::Floor, "3", &slug).len(), UNPLANNED);
        assert_eq!(*sensor_topic, format!("homeassistant/sensor/roomcast_forecast/{slug}/config"));
        assert_eq!(*binary_topic, format!("homeassistant/binary_sensor/roomcast_forecast/{slug}/config"));
        assert_eq!(*heat_topic, format!("homeassistant/binary_sensor/roomcast_forecast/{slug}_heat/config"));
        assert_eq!(*next_topic, format!("homeassistant/sensor/roomcast_forecast/{slug}_next_occupied/config"));
        let [sensor, binary, heat, next, hours] =
            [sensor, binary, heat, next, hours].map(|payload| serde_json::from_str::<Value>(payload).unwrap());
        let ids: std::collections::BTreeSet<String> =
            [&sensor, &binary, &heat, &next, &hours].map(|entity| entity["unique_id"].to_string()).into();
        assert_eq!(ids.len(), 5);
        for entity in [&heat, &next, &hours] {
            for key in ["device", "availability_topic", "state_topic", "expire_after", "qos", "origin"] {
                assert_eq!(entity[key], sensor[key], "{key}");
            }
        }
        assert_eq!((&heat["payload_on"], &heat["value_template"]), (&"ON".into(), &"{{ value_json.heat }}".into()));
        assert_eq!((&next["device_class"], &next["unit_of_measurement"]), (&"timestamp".into(), &Value::Null));
        assert_eq!((&hours["device_class"], &hours["unit_of_measurement"]), (&"duration".into(), &"h".into()));
        assert_eq!(sensor["device"], binary["device"]);
        assert_eq!(sensor["device"]["name"], "floor 3/ä");
        assert_eq!(sensor["unique_id"], format!("roomcast_forecast_{slug}_probability"));
        assert_eq!(binary["unique_id"], format!("roomcast_forecast_{slug}_occupied"));
        assert_eq!(sensor["value_template"], "{{ value_json.probability }}");
        assert_eq!((&binary["device_class"], &binary["payload_on"]), (&"occupancy".into(), &"ON".into()));
        assert_eq!(sensor["availability_topic"], "roomcast_forecast/status");
        assert_eq!((&sensor["unit_of_measurement"], &sensor["expire_after"]), (&"%".into(), &7200.into()));
    }

    /// The messages that `scripts/homeassistant-test` validates by Home Assistant's own schemas. `UPDATE_DISCOVERY=1` writes them.
    #[test]
    fn the_messages_that_are_validated_are_those_that_are_sent() {
        let topics = Topics::new("homeassistant", "roomcast-forecast");
        let forecast = site_forecast(&["Büro 3"], 100);
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let rendered = forecast.render(&calendar);
        let (mut messages, mut states) = (Vec::new(), serde_json::Map::new());
        for level in Level::ALL {
            let slug = slug::unique(&format!("{level} 3/ä"));
            for (topic, payload) in topics.discovery(level, "Büro 3", &slug) {
                let payload: Value = serde_json::from_str(&payload).unwrap();
                messages.push(json!({ "level": level, "topic": topic, "payload": payload }));
            }
            // Before, in and after the hour in use.
            let state = |hour: i64| {
                let plan = (level == Level::Room).then_some(&forecast.plans[0]);
                let [(_, state), _] =
                    topics.states((&forecast.forecasts[0], plan), &slug, "v1", &rendered, (hour * HOUR, &calendar));
                state
            };
            states.insert(level.name().into(), json!([100, 102, 103].map(state)));
        }
        let text = serde_json::to_string_pretty(&json!({ "messages": messages, "states": states })).unwrap() + "\n";
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/homeassistant/discovery.json");
        if std::env::var_os("UPDATE_DISCOVERY").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
    }

    #[test]
    fn payloads_are_small_and_tell_all() {
        let topics = Topics::new("homeassistant", "x");
        let name = "ü".repeat(128);
        let mut forecast = site_forecast(&[&name], 100);
        forecast.forecasts[0].hours[0].probability = 0.123_456;
        let rendered = forecast.render(&Calendar::default());
        let slug = slug::unique(&name);
        let states = |now| {
            let room = (&forecast.forecasts[0], Some(&forecast.plans[0]));
            topics.states(room, &slug, "v1", &rendered, (now, &Calendar::default()))
        };
        let [(state_topic, state), (curve_topic, curve)] = states(100 * HOUR);
        let rest = "\"next_occupied\":\"1970-01-05T06:00:00\",\"occupied\":\"OFF\",\"probability\":12.3}";
        assert_eq!(state, format!("{{\"expected_hours_today\":1.3,\"heat\":\"OFF\",{rest}"));
        // On from half past five on; nothing follows the hour in use.
        let on = states(101 * HOUR + 1800);
        assert_eq!(on[0].1, format!("{{\"expected_hours_today\":1.3,\"heat\":\"ON\",{rest}"));
        assert!(states(103 * HOUR)[0].1.contains("\"heat\":\"OFF\",\"next_occupied\":null"));
        let discovery = topics.discovery(Level::Room, &name, &slug);
        assert!(discovery.iter().all(|(_, payload)| payload.len() < 2000));
        assert!(curve.len() < 2000, "{}", curve.len());
        let curve: Value = serde_json::from_str(&curve).unwrap();
        assert_eq!((&curve["hour"], &curve["source"]), (&"1970-01-05T04:00:00".into(), &"building".into()));
        for list in ["starts", "probabilities", "states"] {
            assert_eq!(curve[list].as_array().unwrap().len(), 24, "{list}");
        }
        assert_eq!(curve["probabilities"][0], 0.123);
        let gone = topics.removal_messages(&slug);
        assert!(gone.iter().all(|(_, payload)| payload.is_empty()));
        let mut topics: Vec<&String> = gone.iter().map(|(topic, _)| topic).collect();
        topics.retain(|topic| ![&state_topic, &curve_topic].contains(topic));
        topics.retain(|topic| discovery.iter().all(|(known, _)| known != *topic));
        assert_eq!(gone.len(), discovery.len() + 2);
        assert_eq!(topics, [""; 0]);
    }
}
