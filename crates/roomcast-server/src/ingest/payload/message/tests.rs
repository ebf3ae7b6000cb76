mod payloads;

use super::*;

fn reader(filter: &str, form: Form) -> Reader {
    Reader::new(&[filter.into()], form, None, None).unwrap()
}

fn statement(form: Form, payload: &str) -> Result<Statement, String> {
    let read = reader("zigbee2mqtt/+", form).read("zigbee2mqtt/hall", payload.as_bytes(), &Calendar::default());
    read.map(|message| message.map_or(Statement::Other, |message| message.statement))
}

#[test]
fn forms_say_what_they_mean() {
    use Form::{Auto, Homeassistant, Plain, Tasmota, Zigbee2mqtt};
    let (on, off, other) = (Ok(Statement::Motion(true)), Ok(Statement::Motion(false)), Ok(Statement::Other));
    for (forms, payload, expected) in [
        (&[Auto, Zigbee2mqtt][..], r#"{"occupancy":true,"battery":91,"linkquality":120}"#, &on),
        (&[Auto, Zigbee2mqtt], r#"{"battery":91,"occupancy":false}"#, &off),
        (&[Auto, Zigbee2mqtt], r#"{"presence":true}"#, &on),
        (&[Auto, Zigbee2mqtt], r#"{"occupancy":null}"#, &other),
        (&[Auto, Zigbee2mqtt], r#"{"contact":false,"temperature":21.5}"#, &other),
        (&[Auto, Zigbee2mqtt], r#"{"state":"ON","brightness":3}"#, &other),
        (&[Auto, Tasmota], r#"{"PIR1":"ON"}"#, &on),
        (&[Auto, Tasmota], r#"{"Time":"2016-07-01T05:35:00","Switch1":"OFF"}"#, &off),
        (&[Auto, Tasmota], r#"{"Switch1":{"Action":"ON"}}"#, &on),
        (&[Auto, Tasmota], r#"{"Switch1":{"Action":"TOGGLE"}}"#, &other),
        (&[Auto, Tasmota], r#"{"POWER":"ON"}"#, &on),
        (&[Auto, Tasmota], r#"{"POWER1":"OFF","POWER2":"ON"}"#, &on),
        (&[Auto, Tasmota], r#"{"SI7021":{"Temperature":20.1}}"#, &other),
        (&[Auto, Tasmota, Plain, Homeassistant], "ON", &on),
        (&[Auto, Plain, Homeassistant], "off", &off),
        (&[Auto, Plain], "1", &on),
        (&[Auto, Plain], "\"false\"", &off),
        (&[Auto, Plain], " True\n", &on),
        (&[Auto, Homeassistant], "unavailable", &Ok(Statement::Available(false))),
        (&[Auto, Homeassistant], "unknown", &other),
        (&[Auto, Zigbee2mqtt, Tasmota, Plain], "", &other),
    ] {
        for form in forms {
            assert_eq!(statement(*form, payload), *expected, "{form:?} {payload}");
        }
    }
    for (form, payload) in [
        (Zigbee2mqtt, "ON"),
        (Zigbee2mqtt, r#"{"occupancy":"maybe"}"#),
        (Auto, r#"{"occupancy":tru"#),
        (Auto, "[true]"),
        (Plain, "21.5"),
        (Plain, r#"{"occupancy":true}"#),
        (Homeassistant, "ajar"),
    ] {
        assert!(statement(form, payload).is_err(), "{form:?} {payload}");
    }
    let bytes = reader("a/+", Auto).read("a/b", b"\xff\xfe", &Calendar::default());
    assert_eq!(bytes, Err("expected a payload in UTF-8".into()));
}

#[test]
fn a_pointer_finds_the_value() {
    let reader = Reader::new(&[], Form::Auto, Some("site/{device}/motion"), Some("/motion/state")).unwrap();
    let statement = |payload: &str| {
        let read = reader.read("site/hall/motion", payload.as_bytes(), &Calendar::default());
        read.map(|message| message.map(|message| (message.device, message.statement)))
    };
    let is = |statement| Ok(Some(("hall".to_owned(), statement)));
    assert_eq!(statement(r#"{"motion":{"state":"on"}}"#), is(Statement::Motion(true)));
    assert_eq!(statement(r#"{"motion":{"state":0}}"#), is(Statement::Motion(false)));
    assert_eq!(statement(r#"{"occupancy":true}"#), is(Statement::Other));
    assert!(statement(r#"{"motion":{"state":"red"}}"#).unwrap_err().contains("/motion/state: expected on or off"));
    assert_eq!(reader.filters(), ["site/+/motion"]);
    assert_eq!(reader.read("site/hall/light", b"on", &Calendar::default()), Ok(None));
    for (template, form, pointer) in
        [(Some("site/+"), Form::Auto, None), (None, Form::Json, None), (None, Form::Auto, Some("motion"))]
    {
        assert!(Reader::new(&[], form, template, pointer).is_err(), "{template:?} {pointer:?}");
    }
}

#[test]
fn topics_name_devices_and_kinds() {
    let device = |filter: &str, topic: &str, payload: &str| {
        let read = reader(filter, Form::Auto).read(topic, payload.as_bytes(), &Calendar::default()).unwrap();
        read.map(|message| (message.device, message.statement))
    };
    let is = |device: &str, statement| Some((device.to_owned(), statement));
    let offline = is("hall", Statement::Available(false));
    assert_eq!(device("zigbee2mqtt/+", "zigbee2mqtt/hall/availability", "offline"), offline);
    assert_eq!(device("zigbee2mqtt/#", "zigbee2mqtt/hall/availability", r#"{"state":"offline"}"#), offline);
    assert_eq!(device("tele/+/LWT", "tele/hall/LWT", "Offline"), offline);
    assert_eq!(device("tele/#", "tele/hall/SENSOR", r#"{"Switch1":"ON"}"#), is("hall", Statement::Motion(true)));
    assert_eq!(
        device("homeassistant/binary_sensor/#", "homeassistant/binary_sensor/hall/state", "on"),
        is("hall", Statement::Motion(true))
    );
    assert_eq!(device("zigbee2mqtt/#", "zigbee2mqtt/a/b", r#"{"occupancy":true}"#), is("a/b", Statement::Motion(true)));
    for (filter, topic) in [
        ("zigbee2mqtt/#", "zigbee2mqtt/bridge/state"),
        ("zigbee2mqtt/#", "zigbee2mqtt/hall/set"),
        ("zigbee2mqtt/+", "other/hall"),
    ] {
        assert_eq!(device(filter, topic, "on"), None, "{topic}");
    }
    assert_eq!(reader("zigbee2mqtt/+", Form::Auto).filters(), ["zigbee2mqtt/+", "zigbee2mqtt/+/availability"]);
    assert_eq!(reader("tele/+/SENSOR", Form::Tasmota).filters(), ["tele/+/SENSOR"]);
    let long = format!("zigbee2mqtt/{}", "x".repeat(257));
    let refused = reader("zigbee2mqtt/+", Form::Auto).read(&long, b"on", &Calendar::default()).unwrap_err();
    assert!(refused.starts_with("the topic's device: expected a device name of at most 256 bytes"), "{refused}");
}

#[test]
fn a_time_counts_when_it_can_be_one() {
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let time = |calendar: &Calendar, value: &str| {
        let payload = format!("{{\"occupancy\":true,\"last_seen\":{value}}}");
        let read = reader("z/+", Form::Auto).read("z/a", payload.as_bytes(), calendar);
        read.unwrap().unwrap().time
    };
    let expected = Some(1_467_344_100);
    for value in ["\"2016-07-01T05:35:00+02:00\"", "\"2016-07-01T03:35:00.250Z\"", "1467344100000", "1467344100"] {
        assert_eq!(time(&berlin, value), expected, "{value}");
        assert_eq!(time(&Calendar::default(), value), Some(Calendar::default().at(1_467_344_100)), "{value}");
    }
    assert_eq!(
        time(&Calendar::default(), "\"2016-07-01 05:35:00\""),
        Calendar::default().parse("2016-07-01 05:35:00").ok()
    );
    for value in ["\"1970-01-01T00:00:05Z\"", "\"2000-01-01T00:01:00Z\"", "5", "\"soon\"", "null", "-1e300"] {
        assert_eq!(time(&berlin, value), None, "{value}");
    }
}

#[test]
fn a_time_far_ahead_is_not_taken_for_that_of_arrival() {
    let calendar = Calendar::default();
    for value in ["9000000000000", "1e300", "\"2100-01-01T00:00:00Z\""] {
        let payload = format!("{{\"occupancy\":true,\"last_seen\":{value}}}");
        let error = reader("z/+", Form::Auto).read("z/a", payload.as_bytes(), &calendar).unwrap_err();
        assert!(error.contains("no more than a day ahead"), "{error}");
    }
}
