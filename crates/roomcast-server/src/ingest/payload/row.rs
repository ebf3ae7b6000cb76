//! One row in JSON: a reading with its time and device.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::words;
use roomcast_forecast::readings::names::closest;

/// Names of the field that says whether there was motion, in JSON and in the header of a CSV. A row may have `state` for
/// something else if it also has another of them.
pub(crate) const STATE_NAMES: [&str; 3] = ["device_activated", "activated", "state"];

/// Names under which other programs send it. They are not taken for it, because a row may have them for other things.
const LIKELY_STATE_NAMES: [&str; 6] = ["value", "occupied", "occupancy", "presence", "motion", "active"];

/// Lengths of names of which a similar one is taken for a misspelt one. Many short names are similar, and to compare long ones
/// would take time and find nothing.
const MISSPELT_BYTES: std::ops::RangeInclusive<usize> = 8..=32;

/// One row in JSON. Fields of other names are ignored, as columns of a CSV are, unless one of them may be the state and
/// there is no other: without a state a row says that there was motion.
#[derive(Debug)]
pub(crate) struct JsonRow<'a> {
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
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "time" => set(&mut time, map.next_value::<Text<'de>>()?.0, "time")?,
                "device" => set(&mut device, map.next_value::<Text<'de>>()?.0, "device")?,
                "device_activated" | "activated" => {
                    set(&mut activated, map.next_value::<Motion>()?.0, "device_activated")?;
                }
                "state" => set(&mut state, map.next_value::<Value>()?, "state")?,
                "id" => set(&mut id, map.next_value::<Option<String>>()?, "id")?,
                key => {
                    map.next_value::<IgnoredAny>()?;
                    if is_likely_state(key) {
                        likely = Some(key.to_owned());
                    }
                }
            }
        }
        let motion = match (activated, state, likely) {
            (Some(motion), ..) => motion,
            (None, Some(state), _) => Motion::deserialize(state).map_err(de::Error::custom)?.0,
            (None, None, None) => true,
            (None, None, Some(key)) => {
                let why = format!("unknown field `{key}`: if it is the state, name it `state`");
                return Err(de::Error::custom(why));
            }
        };
        Ok(JsonRow {
            time: time.ok_or_else(|| de::Error::missing_field("time"))?,
            device: device.ok_or_else(|| de::Error::missing_field("device"))?,
            motion,
            id: id.flatten(),
        })
    }
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
