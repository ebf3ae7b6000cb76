//! Forecasts that follow what is stored are those of a cold start on the same data, to the last bit.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use roomcast_forecast::calendar::{Calendar, HOUR};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::forecast_all;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::{DeviceReadings, Readings};
use roomcast_forecast::rooms::Rooms;
use roomcast_server::metrics::Metrics;
use roomcast_server::state::loaded::{Loaded, OlderVersions};
use roomcast_server::state::snapshot::{History, Snapshot};
use roomcast_storage::registry::Registry;
use serde_json::Value;

use crate::presence::with_offs;
use crate::serve::client::{Server, registry, roomcast, wait};
use crate::store::place::Place;
use crate::stream::bench::{post, serve};

/// A month of a building, and models of it.
fn site() -> &'static (Readings, Models) {
    static SITE: OnceLock<(Readings, Models)> = OnceLock::new();
    SITE.get_or_init(|| {
        let day = |text: &str| text.parse().unwrap();
        let building = roomcast_simulate::Building::new(17, 6, day("2024-02-05"), day("2024-03-07"));
        let readings = with_offs(building.readings(), 17);
        let calendar = Calendar::default();
        let hourly = Hourly::new(&readings, &calendar, calendar.parse("2024-03-04 00:00:00").unwrap());
        let models = fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).unwrap();
        (readings, models)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_grid_that_grew_forecasts_what_a_new_one_does(
        hour in 0_i64..72,
        minute in 1_i64..60,
        device in 0_usize..6,
        edges in prop::collection::vec((1_i64..3600, any::<bool>()), 1..6),
    ) {
        let (readings, models) = site();
        let calendar = Calendar::default();
        let running = calendar.parse("2024-03-04 00:00:00").unwrap() + hour * HOUR;
        let origin = running + minute * 60;
        let before = readings.before(running);
        let device = device % before.devices.len();
        let of = |is_motion| -> Vec<i64> {
            let seconds = edges.iter().filter(|edge| edge.1 == is_motion).map(|edge| edge.0 % (minute * 60));
            let times: std::collections::BTreeSet<i64> = seconds.map(|second| running + second.max(1)).collect();
            times.into_iter().collect()
        };
        let name = before.devices[device].device.clone();
        let new = DeviceReadings { device: name, times: of(true).into(), offs: of(false).into() };
        let after = before.extended(std::slice::from_ref(&new));
        let cold = Hourly::new(&after, &calendar, origin);
        let old = Hourly::new(&before, &calendar, origin);
        let Some(grown) = old.with_readings(device, &after.devices[device], &calendar) else {
            // Only the hour that ends a day, or is as good as over, is made anew.
            prop_assert!(hour % 24 == 23 || minute == 60 || old.position_at(origin).1 == 0.0);
            return Ok(());
        };
        let forecasts = |hourly: &Hourly, site_rates: &SiteRates| format!("{:?}", forecast_all(hourly, site_rates, models).unwrap());
        prop_assert_eq!(format!("{:?}", grown.devices), format!("{:?}", cold.devices));
        prop_assert_eq!(forecasts(&grown, &SiteRates::new(&old)), forecasts(&cold, &SiteRates::new(&cold)));
    }
}

#[test]
fn what_does_not_fit_the_running_hour_asks_for_a_new_grid() {
    let (readings, _) = site();
    let calendar = Calendar::default();
    let at = |text: &str| calendar.parse(text).unwrap();
    let grid = |origin: &str| Hourly::new(&readings.before(at("2024-03-05 10:00:00")), &calendar, at(origin));
    let with = |time: &str| {
        let new = DeviceReadings {
            device: readings.devices[0].device.clone(),
            times: vec![at(time)].into(),
            ..DeviceReadings::default()
        };
        readings.before(at("2024-03-05 10:00:00")).extended(&[new]).devices[0].clone()
    };
    let grown = |origin: &str, time: &str| grid(origin).with_readings(0, &with(time), &calendar);
    assert!(grown("2024-03-05 10:35:00", "2024-03-05 10:20:00").is_some());
    assert!(grown("2024-03-05 10:35:00", "2024-03-05 09:20:00").is_none());
    assert!(grown("2024-03-05 11:00:00", "2024-03-05 10:20:00").is_none());
    assert!(grown("2024-03-05 23:35:00", "2024-03-05 23:20:00").is_none());
}

/// The running hour of the histories that grow, and the origin in it.
const RUNNING: &str = "2024-03-05 10:00:00";
const ORIGIN: i64 = 1500;

/// Two sensors in a room, one that was moved into it, one of a table that has said nothing yet; the others are in none.
fn rooms(readings: &Readings, calendar: &Calendar) -> Rooms {
    let names: Vec<&str> = readings.devices.iter().map(|device| device.device.as_str()).collect();
    let moved = "2024-03-01";
    let table = format!(
        "sensor,room,floor,from,to\n{},A,1,,\n{},A,1,,\n{},C,2,,{moved}\n{},A,1,{moved},\nnew,D,2,,\n",
        names[0], names[1], names[2], names[2],
    );
    Rooms::parse(table.as_bytes(), "rooms.csv", calendar).unwrap()
}

/// Edges of sensors, known and new, as they arrive: of the running hour, late by hours and weeks, and again and again.
fn arrivals() -> impl Strategy<Value = Vec<Vec<(usize, i64, bool)>>> {
    let second = prop_oneof![3 => -12_i64..5, 1 => -6000_i64..0].prop_map(|step| step * 300);
    prop::collection::vec(prop::collection::vec((0_usize..8, second, any::<bool>()), 1..10), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_in_any_order_is_served_as_by_a_cold_start(arrivals in arrivals(), has_table in any::<bool>()) {
        static MODELS: OnceLock<Arc<Loaded>> = OnceLock::new();
        let (readings, _) = site();
        let (calendar, metrics) = (Calendar::default(), Metrics::default());
        let rule = Rule::Fixed(0.5);
        let models = MODELS.get_or_init(|| {
            let place = registry();
            Arc::new(Loaded::read(&Registry::open(place.path().to_str().unwrap()), None, rule).unwrap())
        });
        let running = calendar.parse(RUNNING).unwrap();
        let mut all = readings.before(running - HOUR);
        let table = Arc::new(if has_table { rooms(&all, &calendar) } else { Rooms::default() });
        let older = Arc::new(OlderVersions::new(Registry::open("nowhere"), rule, table.clone()));
        let start = |readings| {
            let history = History::new(readings, table.clone(), &calendar, None);
            Snapshot::new(Arc::new(history), models.clone(), older.clone())
        };
        let forecasts = |snapshot: &Snapshot| snapshot.forecasts(running + ORIGIN, &[], &calendar, &metrics).unwrap();
        let mut live = start(all.clone());
        for arrived in arrivals {
            forecasts(&live);
            let name = |sensor: usize| match all.devices.get(sensor) {
                Some(device) if sensor < 6 => device.device.clone(),
                _ => ["new", "other"][sensor % 2].to_owned(),
            };
            let mut edges: BTreeMap<String, [Vec<i64>; 2]> = BTreeMap::new();
            for (sensor, second, is_motion) in arrived {
                edges.entry(name(sensor)).or_default()[usize::from(!is_motion)].push(running + second);
            }
            let device = |(device, [times, offs]): (String, [Vec<i64>; 2])| DeviceReadings {
                device,
                times: times.into(),
                offs: offs.into(),
            };
            let more: Vec<DeviceReadings> = edges.into_iter().map(device).collect();
            live = live.extended(&more, &calendar);
            all = all.merged(Readings { devices: more });
        }
        let cold = start(all);
        let (ours, theirs) = (&live.history, &cold.history);
        prop_assert_eq!((&ours.readings, &ours.sensors), (&theirs.readings, &theirs.sensors));
        prop_assert_eq!((ours.count, ours.span), (theirs.count, theirs.span));
        prop_assert_eq!(ours.profile(&calendar), theirs.profile(&calendar));
        let (live, cold) = (forecasts(&live), forecasts(&cold));
        prop_assert_eq!(format!("{:?}", live.grid.hourly), format!("{:?}", cold.grid.hourly));
        prop_assert!(live.cells.len() >= 4);
        for (live, cold) in live.cells.iter().zip(&cold.cells) {
            prop_assert_eq!(String::from_utf8_lossy(&live.json), String::from_utf8_lossy(&cold.json));
        }
    }
}

/// The devices of the server's forecast at an instant.
fn served(server: &Server, at: &str) -> Value {
    server.get(&format!("/predict?at={}", at.replace(' ', "+"))).json()["devices"].clone()
}

#[test]
fn forecasts_follow_readings_and_equal_those_of_a_cold_start() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let calendar = Calendar::default();
    let now = calendar.now();
    let mut stream = BufReader::new(server.connect());
    let request = b"GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer r-token\r\n\r\n";
    stream.get_mut().write_all(request).unwrap();
    let mut until = |wanted: &str| {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended before {wanted}");
        }
        line
    };
    until("listening");
    let rows: String = (0..9)
        .flat_map(|day| ["a", "b"].map(|device| (day, device)))
        .map(|(day, device)| format!("{},{device},1\n", calendar.format(now - day * 24 * HOUR - 7200)))
        .collect();
    let csv = |rows: &str| format!("time,device,device_activated\n{rows}");
    assert_eq!(post(&server, "text/csv", &[], csv(&rows).as_bytes()).status, 200);
    until("event: readings");
    assert!(until("data:").contains("\"count\":2"));
    wait("both devices", || served(&server, &calendar.format(calendar.now())).as_array().is_some_and(|d| d.len() == 2));
    // Now one moves; the forecast knows within seconds, and the other's stays.
    let before = server.get("/predict").json();
    assert_eq!(post(&server, "text/csv", &[], csv(&format!("{},a,1\n", calendar.format(now))).as_bytes()).status, 200);
    until("event: readings");
    assert!(until("data:").contains("[\"a\"]"));
    wait("the motion", || server.get("/predict").json()["data_until"] != before["data_until"]);
    let after = server.get("/predict").json();
    let past = server.get(&format!("/devices/a/history?from={}", calendar.format(now - HOUR).replace(' ', "+"))).json();
    let start = calendar.rfc3339(calendar.start(calendar.hour(now)));
    let running = past["hours"].as_array().unwrap().iter().find(|hour| hour["start"] == start.as_str());
    assert_eq!(running.map(|hour| &hour["state"]), Some(&"occupied".into()), "{past}");
    let dir = models.path().to_str().unwrap();
    let at = after["origin"].as_str().unwrap().replace('T', " ");
    let cold = roomcast(&["predict", &at, &place.url, "-", "--models", dir, "--format", "json"]);
    let cold: Value = serde_json::from_slice(&cold.stdout).unwrap();
    for (live, cold) in after["devices"].as_array().unwrap().iter().zip(cold["devices"].as_array().unwrap()) {
        assert_eq!((&live["device"], &live["status"]), (&cold["device"], &cold["status"]));
        let bits = |device: &Value| -> Vec<u64> {
            device["hours"].as_array().unwrap().iter().map(|h| h["probability"].as_f64().unwrap().to_bits()).collect()
        };
        assert_eq!(bits(live), bits(cold));
    }
    // A listener does not hold up a server that is told to stop.
    let mut server = server;
    server.signal("TERM");
    let stopped = std::time::Instant::now();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(stopped.elapsed().as_secs() < 15, "{:?}", stopped.elapsed());
}
