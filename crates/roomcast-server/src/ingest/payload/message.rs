//! MQTT messages of sensors and their gateways.

use serde_json::Value;

use super::form::{self, Form, Statement};
use super::topic::Pattern;
use roomcast_forecast::calendar::{Calendar, EARLIEST_EVENT, Timestamp};
use roomcast_forecast::readings::field;

/// Numbers from here on are milliseconds since 1970, smaller ones seconds.
const MIN_MILLISECONDS: f64 = 1e11;

/// Places of a message's time: of most gateways, of The Things Stack, of Shelly's RPC, of Home Assistant.
const TIME_POINTERS: [&str; 8] =
    ["/last_seen", "/timestamp", "/time", "/Time", "/received_at", "/params/ts", "/ts", "/last_changed"];

/// Last levels of a topic that name the kind of message. They are not part of the device's name.
const MESSAGE_KINDS: [&str; 7] = ["availability", "LWT", "SENSOR", "STATE", "RESULT", "STATUS", "state"];

/// Reads messages of one broker.
#[derive(Debug, Clone)]
pub struct Reader {
    form: Form,
    template: Option<Pattern>,
    pointer: Option<String>,
    filters: Vec<Pattern>,
}

/// A sensor's statement and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sensor's name.
    pub device: String,
    /// The sensor's statement.
    pub statement: Statement,
    /// The message's own time, if it has a plausible one.
    pub time: Option<Timestamp>,
}

impl Reader {
    /// Makes a reader for these topic filters. The device is the text that their wildcards match, or that `{device}`
    /// matches in the template. The pointer (RFC 6901) gives the place of the value in JSON.
    ///
    /// # Errors
    /// Returns a message that names the invalid filter, template or pointer.
    pub fn new(
        filters: &[String],
        form: Form,
        template: Option<&str>,
        pointer: Option<&str>,
    ) -> Result<Reader, String> {
        let template = template.map(Pattern::parse).transpose()?;
        if template.as_ref().is_some_and(|template| !template.names_device()) {
            return Err("the template has no {device}".into());
        }
        if form == Form::Json && pointer.is_none() {
            return Err("the form json needs a pointer to the value".into());
        }
        if pointer.is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Err("a JSON pointer begins with /".into());
        }
        let mut patterns = filters.iter().map(|filter| Pattern::parse(filter)).collect::<Result<Vec<_>, _>>()?;
        patterns.extend(template.clone());
        // Zigbee2MQTT reports a device's availability beside its topic.
        if template.is_none() && matches!(form, Form::Auto | Form::Zigbee2mqtt) {
            for filter in filters.iter().filter(|filter| filter.ends_with("/+")) {
                patterns.push(Pattern::parse(&format!("{filter}/availability"))?);
            }
        }
        Ok(Reader { form, template, pointer: pointer.map(str::to_owned), filters: patterns })
    }

    /// Returns the filters to subscribe to.
    pub fn filters(&self) -> Vec<String> {
        let mut filters: Vec<String> = self.filters.iter().map(Pattern::filter).collect();
        filters.sort();
        filters.dedup();
        filters
    }

    /// Reads a message; `None` for one that is about no sensor.
    ///
    /// # Errors
    /// Returns the reason why the payload of a sensor's topic cannot be read.
    pub fn read(&self, topic: &str, payload: &[u8], calendar: &Calendar) -> Result<Option<Message>, String> {
        let Some((device, kind)) = self.device(topic) else { return Ok(None) };
        let name = field::name(field::trim(device.as_bytes()));
        let device = name.map_err(|problem| format!("the topic's {problem}"))?.to_owned();
        let text = std::str::from_utf8(payload).map_err(|_| "expected a payload in UTF-8".to_owned())?.trim();
        if text.is_empty() {
            // The payload is empty because a retained message was deleted.
            return Ok(None);
        }
        if matches!(kind, Some("availability" | "LWT")) {
            let statement = Statement::Available(form::available(text)?);
            return Ok(Some(Message { device, statement, time: None }));
        }
        let (statement, object) = form::statement(self.form, self.pointer.as_deref(), text)?;
        let time = object.map_or(Ok(None), |object| time(&object, calendar))?;
        Ok(Some(Message { device, statement, time }))
    }

    /// Returns whether messages of a topic are about a sensor.
    pub(crate) fn is_of_sensor(&self, topic: &str) -> bool {
        self.device(topic).is_some()
    }

    /// Returns the device that a topic names, and the level that names the kind of message.
    fn device<'a>(&self, topic: &'a str) -> Option<(String, Option<&'static str>)> {
        let last: &'a str = topic.rsplit('/').next().unwrap_or_default();
        let kind = MESSAGE_KINDS.into_iter().find(|kind| *kind == last);
        if let Some(template) = &self.template {
            let without = || template.device(topic.strip_suffix(last)?.strip_suffix('/')?);
            return Some((template.device(topic).or_else(|| kind.and_then(|_| without()))?, kind));
        }
        let device = self.filters.iter().find_map(|filter| filter.device(topic))?;
        // These are Zigbee2MQTT's messages about itself, and the commands to it.
        if device == "bridge" || device.starts_with("bridge/") || matches!(last, "set" | "get") {
            return None;
        }
        let own = kind.and_then(|kind| device.strip_suffix(kind)?.strip_suffix('/'));
        Some((own.unwrap_or(&device).to_owned(), kind))
    }
}

/// Returns the time in a message; `None` without one, or if it shows a clock that was never set.
///
/// # Errors
/// Returns a message for a time far ahead of the site's clock. One of the clocks is wrong, so the time of arrival may
/// be too.
fn time(object: &Value, calendar: &Calendar) -> Result<Option<Timestamp>, String> {
    let Some(instant) = reported_time(object, calendar) else { return Ok(None) };
    if instant > calendar.latest_event() {
        let found = calendar.format(instant);
        return Err(format!("time: expected no more than a day ahead of the site's clock, found {found}"));
    }
    Ok((instant >= EARLIEST_EVENT).then_some(instant))
}

/// Returns the time that a message shows, if there is one that can be read.
fn reported_time(object: &Value, calendar: &Calendar) -> Option<Timestamp> {
    // The `timestamp` of a Shelly Motion is that of the last motion, also once there is none.
    if object.get("vibration").is_some() && object.get("motion") == Some(&Value::Bool(false)) {
        return None;
    }
    let value = TIME_POINTERS.iter().find_map(|pointer| object.pointer(pointer))?;
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            Some(calendar.at((if number >= MIN_MILLISECONDS { number / 1000.0 } else { number }) as i64))
        }
        Value::String(text) => match calendar.parse(text) {
            Ok(instant) => Some(instant),
            // An offset at a site without a zone becomes the machine's wall time, as for arrivals.
            Err(_) => Some(calendar.at(Calendar::new(Some(chrono_tz::UTC)).parse(text).ok()?)),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
