//! Places of a sensor's state in the JSON of makers, gateways and network servers.

use serde_json::{Map, Value};

use super::words::{self, expected};

/// Keys of Zigbee2MQTT, which has the same for sensors of all makers.
pub(super) const ZIGBEE2MQTT: &[&str] = &["occupancy", "presence"];

/// Keys of presence and motion; the first that is there counts. Those of doors and windows are not among them: a window
/// that is open all night says nothing about people.
const PRESENCE: &[&str] = &[
    // Zigbee2MQTT; Milesight WS203, VS330, VS340; deCONZ.
    "occupancy",
    "presence",
    // Tasmota as a Zigbee bridge.
    "Occupancy",
    // Shelly Motion, Shelly BLU Motion, Elsys, rtl_433.
    "motion",
    // Milesight WS202, AM102 to AM319.
    "pir",
    "pir_status",
    // Milesight VS370.
    "occupancy_status",
    // Pressac.
    "motionDetected",
    // People that were counted: Shelly Presence; Milesight VS121, VS321.
    "num_objects",
    "people_count_all",
    "people_total_counts",
];

/// Keys of objects that envelop the sensor's own.
const ENVELOPES: [&str; 12] = [
    // ChirpStack, The Things Stack, Helium.
    "object",
    "uplink_message",
    "decoded_payload",
    "decoded",
    "payload",
    // Shelly: status by RPC, and what its script for Bluetooth sends.
    "params",
    "service_data",
    "sensor",
    // Tasmota as a Zigbee bridge, and answers to its command Status 10.
    "ZbReceived",
    "StatusSNS",
    // deCONZ.
    "state",
    // Pressac.
    "d2cMessage",
];

/// Beginnings of keys of numbered parts: zones of Shelly Presence, devices of a Zigbee bridge.
const NUMBERED: [&str; 2] = ["presencezone:", "0x"];

/// Most envelopes around each other.
const MAX_DEPTH: usize = 4;

/// The end of a pointer to the state of a door in Zigbee2MQTT: true while it is closed.
const CLOSED_WHEN_TRUE: &str = "/contact";

/// Whether a room is in use; `None` where the sensor does not say so.
type State = Result<Option<bool>, String>;

/// Reads whether there is presence or motion, wherever the maker puts it.
pub(super) fn presence(map: &Map<String, Value>) -> State {
    find(map, 0).unwrap_or(Ok(None))
}

fn find(map: &Map<String, Value>, depth: usize) -> Option<State> {
    if let Some(state) = at_keys(map, PRESENCE) {
        return Some(state);
    }
    if depth == MAX_DEPTH {
        return None;
    }
    let is_envelope =
        |key: &str| ENVELOPES.contains(&key) || NUMBERED.iter().any(|beginning| key.starts_with(beginning));
    let inner = map.iter().filter(|(key, _)| is_envelope(key)).filter_map(|(_, value)| value.as_object());
    let mut found = inner.filter_map(|inner| find(inner, depth + 1));
    // A room is in use while one of its zones is.
    let first = found.next()?;
    if first != Ok(Some(false)) {
        return Some(first);
    }
    Some(found.find(|state| *state == Ok(Some(true))).unwrap_or(first))
}

/// Reads the state at the first of some keys; `None` if none of them is there.
pub(super) fn at_keys(map: &Map<String, Value>, keys: &[&str]) -> Option<State> {
    let mut found = keys.iter().filter_map(|key| Some((key, map.get(*key)?)));
    let (key, value) = found.find(|(_, value)| !value.is_object())?;
    Some(match truth(value).or_else(|| count(value)) {
        // A gateway sends null for a sensor it has not heard yet.
        None if value.is_null() => Ok(None),
        None => Err(format!("{key}: {}", expected(&value.to_string()))),
        state => Ok(state),
    })
}

/// Reads the state at a pointer, which may be that of a door.
pub(super) fn at_pointer(value: &Value, pointer: &str) -> State {
    let Some(found) = value.pointer(pointer).filter(|found| !found.is_null()) else { return Ok(None) };
    match truth(found) {
        Some(closed) if found.is_boolean() && pointer.ends_with(CLOSED_WHEN_TRUE) => Ok(Some(!closed)),
        None => Err(format!("{pointer}: {}", expected(&found.to_string()))),
        state => Ok(state),
    }
}

/// Reads a value as true or false; `None` for other values.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => words::read(&number.to_string()),
        Value::String(text) => words::read(text),
        _ => None,
    }
}

/// Reads a number of people or movements.
fn count(value: &Value) -> Option<bool> {
    value.as_f64().filter(|number| *number >= 0.0).map(|number| number > 0.0)
}
