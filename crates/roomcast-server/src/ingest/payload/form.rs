//! Forms of the payloads in which sensors report.

use serde_json::{Map, Value};

use super::shapes;
use super::words;
use roomcast_forecast::readings::field;

/// The form of a broker's payloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The form is detected from the content.
    #[default]
    Auto,
    /// JSON with `occupancy` or `presence`.
    Zigbee2mqtt,
    /// JSON with `PIR1`, `Switch1` or `POWER`, or plain ON and OFF.
    Tasmota,
    /// Plain `on` and `off`; `unavailable` for a sensor that is offline.
    Homeassistant,
    /// A plain word: ON, 1, true, occupied, detected, open, or their opposites.
    Plain,
    /// JSON with the value at a pointer.
    Json,
}

/// A message's statement about its sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// There is motion, or none.
    Motion(bool),
    /// The sensor is online, or offline.
    Available(bool),
    /// Another report: a sign of life.
    Other,
}

/// Reads a payload's statement. Returns it with the JSON value, if the payload is one.
pub(super) fn statement(
    form: Form,
    pointer: Option<&str>,
    payload: &str,
) -> Result<(Statement, Option<Value>), String> {
    let object = if payload.starts_with(['{', '[']) {
        let value: Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
        Some(value)
    } else {
        None
    };
    let statement = match (&object, form) {
        (Some(value), _) if pointer.is_some() && matches!(form, Form::Auto | Form::Json) => {
            said(shapes::at_pointer(value, pointer.unwrap_or_default())?)
        }
        (Some(Value::Object(map)), Form::Auto | Form::Tasmota) => match shapes::presence(map)? {
            None => tasmota(map),
            state => said(state),
        },
        (Some(Value::Object(map)), Form::Zigbee2mqtt) => {
            said(shapes::at_keys(map, shapes::ZIGBEE2MQTT).unwrap_or(Ok(None))?)
        }
        (Some(_), Form::Json) => return Err("there is no pointer to the value (--mqtt-pointer)".into()),
        (Some(_), Form::Homeassistant | Form::Plain) => return Err(words::expected(payload)),
        (Some(_), _) => return Err(expected("a JSON object", payload)),
        (None, Form::Zigbee2mqtt) => return Err(expected("a JSON object", payload)),
        (None, _) => word(payload)?,
    };
    Ok((statement, object))
}

/// Returns whether an availability topic's payload says that the sensor is online.
pub(super) fn available(payload: &str) -> Result<bool, String> {
    let state = match serde_json::from_str(payload) {
        Ok(Value::Object(map)) => map.get("state").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => payload.to_owned(),
    };
    match state.to_ascii_lowercase().as_str() {
        "online" => Ok(true),
        "offline" => Ok(false),
        _ => Err(expected("online or offline", payload)),
    }
}

fn expected(what: &str, found: &str) -> String {
    format!("expected {what}, found {:?}", field::excerpt(found.as_bytes()))
}

fn said(state: Option<bool>) -> Statement {
    state.map_or(Statement::Other, Statement::Motion)
}

fn word(payload: &str) -> Result<Statement, String> {
    let word = payload.trim_matches('"').to_ascii_lowercase();
    match word.as_str() {
        "unavailable" | "offline" => Ok(Statement::Available(false)),
        "online" => Ok(Statement::Available(true)),
        "unknown" | "null" | "none" => Ok(Statement::Other),
        _ => match words::read(&word) {
            Some(motion) => Ok(Statement::Motion(motion)),
            None => Err(words::expected(payload)),
        },
    }
}

/// Reads `{"PIR1":"ON"}`, `{"Switch1":"ON"}`, `{"Switch1":{"Action":"ON"}}` or `{"POWER":"ON"}`, with any number or
/// none. Other words (TOGGLE, HOLD) are about buttons.
fn tasmota(map: &Map<String, Value>) -> Statement {
    let mut statement = Statement::Other;
    for (key, value) in map {
        let key = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if !["PIR", "SWITCH", "POWER"].iter().any(|known| key.eq_ignore_ascii_case(known)) {
            continue;
        }
        match value.get("Action").unwrap_or(value).as_str().map(str::to_ascii_uppercase).as_deref() {
            Some("ON") => return Statement::Motion(true),
            Some("OFF") => statement = Statement::Motion(false),
            _ => {}
        }
    }
    statement
}
