//! One row in JSON: a reading with its time and device.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::words;
use roomcast_forecast::readings::field;
use roomcast_forecast::readings::names::{closest, is_quantity};

/// Names of the field that says whether there was motion, in JSON and in the header of a CSV. A row may have `state` for
/// something else if it also has another of them.
pub(crate) const STATE_NAMES: [&str; 3] = ["device_activated", "activated", "state"];

/// Names under which other programs send it. They are not taken for it, because a row may have them for other things.
const LIKELY_STATE_NAMES: [&str; 8] =
    ["value", "val", "occupied", "is_occupied", "occupancy", "presence", "motion", "active"];

/// Names of the kind of a sensor or event. `"type": "motion"` is no state.
const KIND_NAMES: [&str; 5] = ["type", "kind", "class", "device_class", "event_type"];

/// Lengths of names of which a similar one is taken for a misspelt one. Many short names are similar, and to compare long ones
/// would take time and find nothing.
const MISSPELT_BYTES: std::ops::RangeInclusive<usize> = 8..=32;

/// Names under which other programs send the time and the device.
const LIKELY_TIME_NAMES: [&str; 6] = ["timestamp", "last_changed", "last_updated", "last_seen", "datetime", "ts"];
const LIKELY_DEVICE_NAMES: [&str; 7] = ["device_id", "device_name", "entity_id", "sensor", "sensor_id", "room", "name"];

/// One row in JSON. Fields of other names are ignored, as columns of a CSV are, unless there is no state and one of them may
/// be it, by its name or its value, or is a count or a level: a row without such a field says that there was motion.
#[derive(Debug)]
pub(crate) struct JsonRow<'a> {
    /// A time, or a number of seconds or milliseconds since 1970.
    pub time: Cow<'a, str>,
    pub device: Cow<'a, str>,
    /// True for motion, false for none.
    pub motion: bool,
    pub id: Option<String>,
}

/// A text that is copied only where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonRow<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = JsonRow<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with time, device and state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonRow<'de>, A::Error> {
        let (mut time, mut device, mut activated, mut id) = (None, None, None, None);
        let (mut state, mut likely) = (None, None);
        let (mut likely_time, mut likely_device) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "time" => set(&mut time, of_field("time", map.next_value::<Time<'de>>())?.0, "time")?,
                "device" => set(&mut device, of_field("device", map.next_value::<Text<'de>>())?.0, "device")?,
                "device_activated" | "activated" => {
                    set(
                        &mut activated,
                        of_field("device_activated", map.next_value::<Motion>())?.0,
                        "device_activated",
                    )?;
                }
                "state" => set(&mut state, map.next_value::<Value>()?, "state")?,
                "id" => set(&mut id, of_field("id", map.next_value::<Option<String>>())?, "id")?,
                key if time.is_none() && is_among(key, &LIKELY_TIME_NAMES) => {
                    map.next_value::<IgnoredAny>()?;
                    likely_time = Some(key.to_owned());
                }
                key if device.is_none() && is_among(key, &LIKELY_DEVICE_NAMES) => {
                    map.next_value::<IgnoredAny>()?;
                    likely_device = Some(key.to_owned());
                }
                key if activated.is_none() && may_be_state(key, map.next_value::<Brief>()?) => {
                    likely = Some(key.to_owned());
                }
                _ if activated.is_none() => {}
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let motion = match (activated, state, likely) {
            (Some(motion), ..) => motion,
            (None, Some(state), _) => {
                of_field("state", Motion::deserialize(state).map_err(<A::Error as de::Error>::custom))?.0
            }
            (None, None, None) => true,
            (None, None, Some(key)) => {
                let why = format!(
                    "unknown field `{key}`, and no state: if it is the state, name it `state`; expected `state` of 1 (motion) or \
                     0 (no motion)"
                );
                return Err(de::Error::custom(why));
            }
        };
        Ok(JsonRow {
            time: time.ok_or_else(|| missing("time", likely_time))?,
            device: device.ok_or_else(|| missing("device", likely_device))?,
            motion,
            id: id.flatten(),
        })
    }
}

/// Adds the name of its field to an error.
fn of_field<T, E: de::Error>(name: &str, value: Result<T, E>) -> Result<T, E> {
    value.map_err(|error| E::custom(format!("{name}: {error}")))
}

/// Returns the error of a field that is not there, with the field that may be it.
fn missing<E: de::Error>(name: &'static str, likely: Option<String>) -> E {
    match likely {
        None => E::missing_field(name),
        Some(key) => E::custom(format!("missing field `{name}`: if `{key}` is the {name}, name it `{name}`")),
    }
}

/// Returns whether a field may be the state of a row that has none: a boolean, a state word, any value under a name of states,
/// and a number under a name of counts and levels.
fn may_be_state(key: &str, value: Brief) -> bool {
    match value {
        Brief::Bool => true,
        Brief::Word(is_motion) => !is_motion || !is_among(key, &KIND_NAMES),
        Brief::Number => is_quantity(key) || is_likely_state(key),
        Brief::Other => is_likely_state(key),
    }
}

/// The kind of a value. It is not kept, because it may be large.
#[derive(Debug, Clone, Copy)]
enum Brief {
    Bool,
    /// A number, also one in quotes.
    Number,
    /// A word for motion (true) or none.
    Word(bool),
    Other,
}

impl<'de> Deserialize<'de> for Brief {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BriefVisitor)
    }
}

struct BriefVisitor;

impl<'de> Visitor<'de> for BriefVisitor {
    type Value = Brief;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Brief, E> {
        Ok(Brief::Bool)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Brief, E> {
        Ok(Brief::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Brief, E> {
        Ok(Brief::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Brief, E> {
        Ok(Brief::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Brief, E> {
        Ok(match field::number(text.as_bytes()) {
            Some(_) => Brief::Number,
            None => words::read(text).map_or(Brief::Other, Brief::Word),
        })
    }

    fn visit_unit<E>(self) -> Result<Brief, E> {
        Ok(Brief::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Brief, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Brief::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Brief, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Brief::Other)
    }
}

/// A time as text. A number of seconds or milliseconds since 1970 becomes its digits.
struct Time<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Time<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Time<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2016-07-01 05:35:00, or seconds or milliseconds since 1970")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Time<'de>, E> {
        Ok(Time(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Time<'de>, E> {
        Ok(Time(text.to_owned().into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Time<'de>, E> {
        Ok(Time(number.to_string().into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Time<'de>, E> {
        Ok(Time(number.to_string().into()))
    }
}

fn is_among(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(key))
}

fn is_likely_state(key: &str) -> bool {
    let is = |known: &&str| known.eq_ignore_ascii_case(key);
    STATE_NAMES.iter().chain(&LIKELY_STATE_NAMES).any(is)
        || MISSPELT_BYTES.contains(&key.len()) && closest(key, STATE_NAMES.into_iter()).is_some()
}

fn set<T, E: de::Error>(field: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// Motion or none, as a number, a boolean or a word.
struct Motion(bool);

impl<'de> Deserialize<'de> for Motion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MotionVisitor)
    }
}

struct MotionVisitor;

impl Visitor<'_> for MotionVisitor {
    type Value = Motion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1 (motion) or 0 (no motion)")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Motion, E> {
        Ok(Motion(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Motion, E> {
        match value {
            0 | 1 => Ok(Motion(value == 1)),
            _ => Err(E::invalid_value(de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Motion, E> {
        Err(E::invalid_value(de::Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Motion, E> {
        match value {
            1.0 => Ok(Motion(true)),
            0.0 => Ok(Motion(false)),
            _ => Err(E::invalid_value(de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Motion, E> {
        words::read(value).map(Motion).ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
    }
}
