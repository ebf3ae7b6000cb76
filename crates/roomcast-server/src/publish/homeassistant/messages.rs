//! Topics and payloads of Home Assistant's MQTT discovery.
//!
//! Every room, floor and building is a device with two entities: a sensor (probability in percent of the hour that begins at or next after
//! the present) and a binary sensor (the state forecast for that hour). The 24 hours are the sensor's attributes.

use serde_json::{Value, json};

use crate::publish::site_forecast::Rendered;
use crate::publish::slug;
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

    fn config(&self, component: &str, slug: &str) -> String {
        format!("{}/{component}/{}/{slug}/config", self.prefix, self.node)
    }

    /// Returns the discovery messages of a device's two entities.
    pub fn discovery(&self, level: Level, device: &str, slug: &str) -> [Message; 2] {
        let id = format!("{}_{slug}", self.node);
        let shown: String = device.chars().take(MAX_NAME_CHARS).collect();
        let model = match level {
            Level::Room => "Occupancy forecast",
            Level::Floor => "Occupancy forecast of a floor",
            Level::Building => "Occupancy forecast of a building",
        };
        let common = |name: &str, what: &str| {
            json!({
                "name": name,
                "unique_id": format!("{id}_{what}"),
                "state_topic": self.state(slug),
                "value_template": format!("{{{{ value_json.{what} }}}}"),
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
            })
        };
        let mut sensor = common("Occupancy probability", "probability");
        for (key, value) in [
            ("unit_of_measurement", "%".into()),
            ("state_class", "measurement".into()),
            ("icon", "mdi:crystal-ball".into()),
            ("suggested_display_precision", 0.into()),
            ("json_attributes_topic", Value::from(self.curve(slug))),
        ] {
            sensor[key] = value;
        }
        let mut binary = common("Occupancy expected", "occupied");
        for (key, value) in [("device_class", "occupancy"), ("payload_on", "ON"), ("payload_off", "OFF")] {
            binary[key] = value.into();
        }
        [(self.config("sensor", slug), sensor.to_string()), (self.config("binary_sensor", slug), binary.to_string())]
    }

    /// Returns a device's state and its 24 hours. Probabilities are rounded, so that noise makes no new payload.
    pub fn states(
        &self,
        forecast: &DeviceForecast,
        slug: &str,
        version: &str,
        rendered: &Rendered<'_>,
    ) -> [Message; 2] {
        let tenths = |probability: f64, digits: f64| (probability * digits).round() / digits;
        let Some(next) = forecast.hours.first() else {
            return [self.state(slug), self.curve(slug)].map(|t| (t, "".into()));
        };
        let state = json!({
            "probability": tenths(next.probability * 100.0, 10.0),
            "occupied": if next.occupied { "ON" } else { "OFF" },
        });
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
    pub fn removal_messages(&self, slug: &str) -> [Message; 4] {
        let topics =
            [self.config("sensor", slug), self.config("binary_sensor", slug), self.state(slug), self.curve(slug)];
        topics.map(|topic| (topic, String::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::tests::site_forecast;
    use roomcast_forecast::calendar::Calendar;

    #[test]
    fn a_room_is_a_device_with_two_entities() {
        let topics = Topics::new("homeassistant", "roomcast-forecast");
        let slug = slug::unique("floor 3/ä");
        let [(sensor_topic, sensor), (binary_topic, binary)] = topics.discovery(Level::Room, "floor 3/ä", &slug);
        assert_eq!(sensor_topic, format!("homeassistant/sensor/roomcast_forecast/{slug}/config"));
        assert_eq!(binary_topic, format!("homeassistant/binary_sensor/roomcast_forecast/{slug}/config"));
        let (sensor, binary): (Value, Value) =
            (serde_json::from_str(&sensor).unwrap(), serde_json::from_str(&binary).unwrap());
        assert_eq!(sensor["device"], binary["device"]);
        assert_eq!(sensor["device"]["name"], "floor 3/ä");
        assert_eq!(sensor["unique_id"], format!("roomcast_forecast_{slug}_probability"));
        assert_eq!(binary["unique_id"], format!("roomcast_forecast_{slug}_occupied"));
        assert_eq!(sensor["value_template"], "{{ value_json.probability }}");
        assert_eq!((&binary["device_class"], &binary["payload_on"]), (&"occupancy".into(), &"ON".into()));
        assert_eq!(sensor["availability_topic"], "roomcast_forecast/status");
        assert_eq!((&sensor["unit_of_measurement"], &sensor["expire_after"]), (&"%".into(), &7200.into()));
    }

    #[test]
    fn payloads_are_small_and_tell_all() {
        let topics = Topics::new("homeassistant", "x");
        let name = "ü".repeat(128);
        let mut forecast = site_forecast(&[&name], 100);
        forecast.forecasts[0].hours[0].probability = 0.123_456;
        let rendered = forecast.render(&Calendar::default());
        let slug = slug::unique(&name);
        let [(state_topic, state), (curve_topic, curve)] =
            topics.states(&forecast.forecasts[0], &slug, "v1", &rendered);
        assert_eq!(state, "{\"occupied\":\"OFF\",\"probability\":12.3}");
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
        topics.retain(|topic| ![&state_topic, &curve_topic, &discovery[0].0, &discovery[1].0].contains(topic));
        assert_eq!(topics, [""; 0]);
    }
}
