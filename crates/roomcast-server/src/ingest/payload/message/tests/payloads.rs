//! Payloads as makers document them: where each is described, what arrives, and what it says.

use super::*;

const ON: Statement = Statement::Motion(true);
const OFF: Statement = Statement::Motion(false);
const OTHER: Statement = Statement::Other;
const ONLINE: Statement = Statement::Available(true);
const OFFLINE: Statement = Statement::Available(false);

/// A topic filter or template, and a JSON pointer where one is needed.
type Options = (&'static str, Option<&'static str>);

const Z2M: Options = ("zigbee2mqtt/+", None);
const TASMOTA: Options = ("+/+/+", None);
const STATESTREAM: Options = ("homeassistant/binary_sensor/+/state", None);
const ESPHOME: Options = ("{device}/binary_sensor/occupancy/state", None);
const SHELLY: Options = ("shellies/{device}/status", None);
const SHELLY_RPC: Options = ("{device}/events/rpc", None);
const CHIRPSTACK: Options = ("application/+/device/{device}/event/up", None);
const THINGS: Options = ("v3/+/devices/{device}/up", None);
const MILESIGHT: Options = ("milesight/{device}/uplink", None);

/// Source, options, topic, payload, device, statement.
type Payload = (&'static str, Options, &'static str, &'static str, &'static str, Statement);

// One payload a line.
#[rustfmt::skip]
const PAYLOADS: [Payload; 44] = [
    // zigbee2mqtt.io/devices: each device's page lists what it exposes.
    ("IKEA E2134", Z2M, "zigbee2mqtt/hall", r#"{"battery":87,"illuminance":12,"linkquality":96,"occupancy":true,"voltage":2900}"#, "hall", ON),
    ("SONOFF SNZB-03P", Z2M, "zigbee2mqtt/hall", r#"{"battery":100,"illumination":"dim","motion_timeout":60,"occupancy":false,"voltage":3000}"#, "hall", OFF),
    ("Tuya ZG-204ZM", Z2M, "zigbee2mqtt/desk", r#"{"battery":71,"fading_time":30,"illuminance_lux":203,"motion_state":"static","presence":true,"static_detection_distance":6}"#, "desk", ON),
    ("Aqara RTCZCGQ11LM (FP1)", Z2M, "zigbee2mqtt/desk", r#"{"presence":false,"presence_event":"leave","monitoring_mode":"undirected","linkquality":180}"#, "desk", OFF),
    ("Philips 9290012607", Z2M, "zigbee2mqtt/hall", r#"{"battery":68.5,"illuminance":16848,"motion_sensitivity":"high","occupancy":true,"occupancy_timeout":0,"temperature":27.9,"update":{"state":"idle"}}"#, "hall", ON),
    ("Aqara MCCGQ11LM, a window", Z2M, "zigbee2mqtt/window", r#"{"battery":97,"contact":false,"linkquality":72,"temperature":24,"voltage":2995}"#, "window", OTHER),
    ("Aqara MCCGQ11LM, as a door that opens", ("zigbee2mqtt/+", Some("/contact")), "zigbee2mqtt/door", r#"{"battery":97,"contact":false,"linkquality":72}"#, "door", ON),
    ("Aqara MCCGQ11LM, as a door that closes", ("zigbee2mqtt/+", Some("/contact")), "zigbee2mqtt/door", r#"{"battery":97,"contact":true,"linkquality":72}"#, "door", OFF),
    ("Zigbee2MQTT availability", Z2M, "zigbee2mqtt/hall/availability", r#"{"state":"offline"}"#, "hall", OFFLINE),
    // home-assistant.io/integrations/mqtt_statestream
    ("Home Assistant statestream", STATESTREAM, "homeassistant/binary_sensor/hall_motion/state", "on", "hall_motion", ON),
    ("Home Assistant statestream", STATESTREAM, "homeassistant/binary_sensor/hall_motion/state", "off", "hall_motion", OFF),
    ("Home Assistant statestream", STATESTREAM, "homeassistant/binary_sensor/hall_motion/state", "unavailable", "hall_motion", OFFLINE),
    ("Home Assistant statestream", STATESTREAM, "homeassistant/binary_sensor/hall_motion/state", "unknown", "hall_motion", OTHER),
    // esphome.io/components/mqtt: binary sensors publish ON and OFF, the node online and offline.
    ("ESPHome", ESPHOME, "office-3/binary_sensor/occupancy/state", "ON", "office-3", ON),
    ("ESPHome", ESPHOME, "office-3/binary_sensor/occupancy/state", "OFF", "office-3", OFF),
    ("ESPHome", ("+/status", None), "office-3/status", "online", "office-3", ONLINE),
    // tasmota.github.io/docs: Buttons and switches, PIR motion sensors, Zigbee
    ("Tasmota SetOption114", ("stat/{device}/RESULT", None), "stat/hall/RESULT", r#"{"Switch1":{"Action":"ON"}}"#, "hall", ON),
    ("Tasmota telemetry", TASMOTA, "tele/hall/SENSOR", r#"{"Time":"2024-03-04T07:35:00","Switch1":"OFF","ANALOG":{"A0":61}}"#, "tele/hall", OFF),
    ("Tasmota PIR", TASMOTA, "stat/hall/PIR1", "ON", "stat/hall/PIR1", ON),
    ("Tasmota Zigbee bridge", ("tele/{device}/SENSOR", None), "tele/hall/SENSOR", r#"{"ZbReceived":{"0x057B":{"Device":"0x057B","Name":"hall","Occupancy":1,"Endpoint":1,"LinkQuality":194}}}"#, "hall", ON),
    ("Tasmota Zigbee bridge", ("tele/{device}/SENSOR", None), "tele/hall/SENSOR", r#"{"ZbReceived":{"0x057B":{"Device":"0x057B","Name":"hall","Occupancy":0,"Endpoint":1,"LinkQuality":204}}}"#, "hall", OFF),
    ("Tasmota last will", ("tele/+/LWT", None), "tele/hall/LWT", "Offline", "hall", OFFLINE),
    // shelly-api-docs.shelly.cloud
    ("Shelly Motion", SHELLY, "shellies/shellymotionsensor-60A4/status", r#"{"motion":true,"timestamp":1757604717,"active":true,"vibration":false,"lux":70,"bat":67}"#, "shellymotionsensor-60A4", ON),
    ("Shelly Motion 2", SHELLY, "shellies/shellymotion2-8CF6/status", r#"{"motion":false,"timestamp":1757604717,"active":true,"vibration":false,"lux":3,"bat":88,"tmp":{"value":21.5,"units":"C","is_valid":true}}"#, "shellymotion2-8CF6", OFF),
    ("Shelly Door/Window 2", ("shellies/{device}/sensor/state", None), "shellies/shellydw2-483F/sensor/state", "open", "shellydw2-483F", ON),
    ("Shelly Door/Window 2", ("shellies/{device}/sensor/state", None), "shellies/shellydw2-483F/sensor/state", "close", "shellydw2-483F", OFF),
    ("Shelly BLU Motion, by its script", ("shelly-blu/{device}", None), "shelly-blu/e8:e0", r#"{"encryption":false,"BTHome_version":2,"pid":105,"battery":98,"illuminance":174,"motion":1,"rssi":-70,"address":"e8:e0:7e:d0:f9:89"}"#, "e8:e0", ON),
    ("Shelly Presence, one zone", ("{device}/status/+", None), "shellypresence-a1/status/presencezone:201", r#"{"id":201,"state":true,"num_objects":3}"#, "shellypresence-a1", ON),
    ("Shelly Presence, all zones", SHELLY_RPC, "shellypresence-a1/events/rpc", r#"{"src":"shellypresence-a1","dst":"shellypresence-a1/events","method":"NotifyStatus","params":{"ts":1757604717.62,"presencezone:200":{"id":200,"state":false,"num_objects":0},"presencezone:201":{"id":201,"state":true,"num_objects":1}}}"#, "shellypresence-a1", ON),
    ("Shelly Plus, a sensor at an input", ("{device}/status/+", Some("/state")), "shellyplusi4-a8/status/input:0", r#"{"id":0,"state":true}"#, "shellyplusi4-a8", ON),
    // github.com/Milesight-IoT/SensorDecoders
    ("Milesight WS202", MILESIGHT, "milesight/ws202/uplink", r#"{"battery":16,"pir":"trigger","daylight":"dark"}"#, "ws202", ON),
    ("Milesight WS202", MILESIGHT, "milesight/ws202/uplink", r#"{"battery":16,"pir":"normal","daylight":"light"}"#, "ws202", OFF),
    ("Milesight AM307", MILESIGHT, "milesight/am307/uplink", r#"{"battery":92,"temperature":23.8,"humidity":62,"pir":"idle","light_level":2,"co2":936,"tvoc":37,"pressure":1008.6}"#, "am307", OFF),
    ("Milesight WS203", MILESIGHT, "milesight/ws203/uplink", r#"{"battery":100,"humidity":45,"occupancy":"occupied","temperature":29.1}"#, "ws203", ON),
    ("Milesight VS340", MILESIGHT, "milesight/vs340/uplink", r#"{"battery":100,"occupancy":"vacant"}"#, "vs340", OFF),
    ("Milesight VS321, people", MILESIGHT, "milesight/vs321/uplink", r#"{"battery":88,"people_total_counts":2,"illuminance_status":"bright"}"#, "vs321", ON),
    ("Milesight WS301, a door", ("milesight/{device}/uplink", Some("/magnet_status")), "milesight/ws301/uplink", r#"{"battery":100,"magnet_status":"open","tamper_status":"installed"}"#, "ws301", ON),
    ("Milesight WS301, a door", ("milesight/{device}/uplink", Some("/magnet_status")), "milesight/ws301/uplink", r#"{"battery":100,"magnet_status":"close","tamper_status":"installed"}"#, "ws301", OFF),
    // chirpstack.io/docs/chirpstack/integrations/events
    ("Milesight WS202 through ChirpStack", CHIRPSTACK, "application/17c8/device/24e124/event/up", r#"{"deduplicationId":"3ac7","time":"2024-03-04T09:34:15.775023242+00:00","deviceInfo":{"deviceName":"hall","devEui":"24e124"},"fCnt":7,"fPort":85,"data":"AXUQAwABBAAA","object":{"battery":16.0,"pir":"trigger","daylight":"dark"},"rxInfo":[{"rssi":-48}]}"#, "24e124", ON),
    // thethingsindustries.com/docs/integrations/data-formats
    ("Elsys ERS Eye through The Things Stack", THINGS, "v3/app@ttn/devices/eye-1/up", r#"{"end_device_ids":{"device_id":"eye-1"},"received_at":"2024-03-04T07:06:25.260676101Z","uplink_message":{"f_port":5,"f_cnt":92,"frm_payload":"BQMRAg==","decoded_payload":{"motion":3,"occupancy":2,"temperature":21.3,"vdd":3641}}}"#, "eye-1", ON),
    ("Elsys ERS through The Things Stack", THINGS, "v3/app@ttn/devices/ers-1/up", r#"{"end_device_ids":{"device_id":"ers-1"},"received_at":"2024-03-04T07:06:25Z","uplink_message":{"f_port":5,"decoded_payload":{"motion":0,"light":12}}}"#, "ers-1", OFF),
    // dresden-elektronik.github.io/deconz-rest-doc
    ("deCONZ ZHAPresence", ("deconz/{device}", None), "deconz/hall", r#"{"e":"changed","id":"5","r":"sensors","state":{"lastupdated":"2024-03-04T07:35:00.000","presence":true}}"#, "hall", ON),
    // zwave-js.github.io/zwave-js-ui: values with their time
    ("Z-Wave JS UI", ("zwave/{device}/binary_sensor/endpoint_0/Motion", Some("/value")), "zwave/hall/binary_sensor/endpoint_0/Motion", r#"{"time":1709537700000,"value":true}"#, "hall", ON),
    // pressac.com: smart gateway
    ("Pressac desk sensor", ("pressac/{device}", None), "pressac/desk01", r#"{"deviceid":"050B1EE8","devicename":"Desk01","dbm":"-53","devicetype":"Under-Desk-Sensor","motionDetected":"false","supplyVoltage":"3.26"}"#, "desk01", OFF),
];

fn read((_, (pattern, pointer), topic, payload, ..): &Payload) -> Result<Option<Message>, String> {
    let template = Some(*pattern).filter(|pattern| pattern.contains("{device}"));
    let filters = if template.is_none() { vec![(*pattern).to_owned()] } else { Vec::new() };
    let reader = Reader::new(&filters, Form::Auto, template, *pointer).unwrap();
    reader.read(topic, payload.as_bytes(), &Calendar::new(Some(chrono_tz::Europe::Berlin)))
}

#[test]
fn what_makers_send_is_understood_without_naming_its_form() {
    for payload in &PAYLOADS {
        let (source, _, _, text, device, statement) = payload;
        let read = read(payload).map(|message| message.map(|message| (message.device, message.statement)));
        assert_eq!(read, Ok(Some(((*device).to_owned(), *statement))), "{source}: {text}");
    }
}

#[test]
fn the_time_of_a_payload_is_found_where_its_maker_puts_it() {
    let of = |source: &str| {
        let payload = PAYLOADS.iter().find(|payload| payload.0 == source).unwrap();
        read(payload).unwrap().unwrap().time
    };
    for (source, time) in [
        ("Tasmota telemetry", Some(1_709_534_100)),
        ("Milesight WS202 through ChirpStack", Some(1_709_544_855)),
        ("Elsys ERS Eye through The Things Stack", Some(1_709_535_985)),
        ("Z-Wave JS UI", Some(1_709_537_700)),
        ("Shelly Presence, all zones", Some(1_757_604_717)),
        ("Shelly Motion", Some(1_757_604_717)),
        // Its time is still that of the last motion, which is over.
        ("Shelly Motion 2", None),
        ("Milesight WS202", None),
    ] {
        assert_eq!(of(source), time, "{source}");
    }
}
