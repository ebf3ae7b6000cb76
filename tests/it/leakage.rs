//! Nothing at or after the origin may reach a forecast, not through a feature, a threshold, a weight or a stop.

use proptest::prelude::*;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::features::{SiteRates, Table};
use roomcast_forecast::forecast::{DeviceForecast, forecast_all, forecast_in_parts};
use roomcast_forecast::hourly::{Hourly, MAX_DAYS};
use roomcast_forecast::model::mix::Parts;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::model::{Models, fit, rows};
use roomcast_forecast::readings::{DeviceReadings, Readings};

use crate::presence::with_offs;

/// A building with faults: late, silent, dying and chattering sensors among them. Half of the sensors say off.
fn building(seed: u64, devices: usize, days: u64) -> Readings {
    let from = chrono::NaiveDate::from_ymd_opt(2016, 7, 25).unwrap();
    let mut building = roomcast_simulate::Building::new(seed, devices, from, from + chrono::Days::new(days - 1));
    building.faults = 0.4;
    with_offs(building.readings(), seed)
}

/// Replaces all that happens at or after `origin`: moves it about, drops some of it, adds motion at night, other offs
/// and devices that nobody had seen.
fn scramble(readings: &Readings, origin: Timestamp, seed: u64) -> Readings {
    let mut out = readings.clone();
    for (at, device) in out.devices.iter_mut().enumerate() {
        let number = device.times.since(origin).len();
        let dice = |n: usize| rows::hash(seed ^ rows::hash((at * 100_003 + n) as u64));
        let mut later: Vec<Timestamp> = (0..number).map(|n| origin + (dice(n) % (20 * 24 * 3600)) as i64).collect();
        later.truncate(dice(7) as usize % (later.len() + 1));
        later.extend((0..dice(8) % 300).map(|n| origin + n as i64 * 977));
        device.times = device.times.before(origin);
        device.times.extend(later);
        device.offs = device.offs.before(origin);
        device.offs.extend((0..dice(9) % 90).map(|n| origin + n as i64 * 5407));
    }
    out.devices.retain(|d| !d.times.is_empty());
    out.devices.push(DeviceReadings {
        device: "zz_new".into(),
        times: vec![origin, origin + 60, origin + 7200].into(),
        ..DeviceReadings::default()
    });
    out
}

/// The models, the forecasts of seven days and the parts that these are a mix of.
fn ask(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> (Models, Vec<DeviceForecast>, Vec<Vec<Parts>>) {
    let hourly = Hourly::new(readings, calendar, origin);
    let site_rates = SiteRates::new(&hourly);
    let mut models = fit::train(&hourly, &site_rates, &|| ()).unwrap();
    models.threshold = Rule::MostMissed(0.05).threshold(&models.site.out_of_sample);
    let week = hourly.reaching(MAX_DAYS, calendar);
    let site_rates = site_rates.reaching(&week);
    let forecasts = forecast_all(&week, &site_rates, &models).unwrap();
    let layers = |device: usize| models.layers(&week.devices[device].device);
    let parts = |device| forecast_in_parts(&week, &site_rates, device, layers(device)).unwrap().1;
    let parts = (0..week.devices.len()).map(parts).collect();
    (models, forecasts, parts)
}

/// Everything a forecast says, with its probabilities to the last bit.
fn bits(forecasts: &[DeviceForecast]) -> Vec<String> {
    let line = |f: &DeviceForecast| {
        let hours: Vec<_> = f.hours.iter().map(|h| (h.hour, h.probability.to_bits(), h.occupied)).collect();
        format!("{} {:?} {:?} {hours:?}", f.device, f.status, f.source)
    };
    forecasts.iter().map(line).collect()
}

fn check(readings: &Readings, calendar: &Calendar, origin: Timestamp, seed: u64) {
    let (models, forecasts, parts) = ask(readings, calendar, origin);
    let (same_models, same_forecasts, same_parts) = ask(&scramble(readings, origin, seed), calendar, origin);
    assert_eq!(bits(&forecasts), bits(&same_forecasts));
    assert_eq!(models, same_models);
    assert_eq!(parts, same_parts);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn scrambling_the_future_changes_no_bit(seed in 0_u64..1_000, hours in 6_i64..30 * 24, minutes in 0_i64..60, zone in any::<bool>()) {
        let calendar = Calendar::new(zone.then_some(chrono_tz::Europe::Berlin));
        let readings = building(seed, 5, 32);
        let start = readings.span().unwrap().0;
        check(&readings, &calendar, start + hours * HOUR + minutes * 60, seed);
    }

    #[test]
    fn rows_learned_from_are_the_rows_a_forecast_would_have_seen(seed in 0_u64..1_000, device in 0_usize..4, pick in 0_usize..10_000) {
        let calendar = Calendar::default();
        let readings = building(seed, 4, 24);
        let whole = Hourly::new(&readings, &calendar, readings.span().unwrap().1 + 1);
        let device = device % whole.devices.len();
        let rows = rows::rows(&whole, device);
        prop_assume!(!rows.is_empty());
        let row = rows[pick % rows.len()].row;
        let then = Hourly::new(&readings, &calendar, row.origin);
        let position = then.position(&whole.devices[device].device).unwrap();
        let row_of = |hourly: &Hourly, device| {
            let matrix = Table::new(hourly, &SiteRates::new(hourly), device).matrix(&[row]).unwrap();
            matrix.data.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        let (now, before) = (row_of(&whole, device), row_of(&then, position));
        for (at, name) in roomcast_forecast::features::columns().iter().enumerate() {
            prop_assert_eq!(now[at], before[at], "column {} of {:?}", name, row);
        }
        prop_assert!(then.end <= row.hour && row.hour < then.end + 24 && row.hour - then.end + 1 == i32::from(row.lead));
    }
}

#[test]
fn the_experts_of_devices_know_nothing_of_the_future() {
    let (calendar, readings) = (Calendar::default(), building(3, 5, 40));
    let origin = readings.span().unwrap().0 + 35 * 24 * HOUR;
    let (models, _, _) = ask(&readings, &calendar, origin);
    assert!(models.devices.values().filter(|model| !model.expert.is_empty()).count() > 1);
    check(&readings, &calendar, origin, 3);
}

#[test]
fn the_forecast_of_real_rooms_ignores_their_future() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/device_activations.csv");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return;
    }
    let calendar = Calendar::default();
    let (readings, _) = roomcast_forecast::readings::read(&[path], &Default::default(), &calendar).unwrap();
    for origin in ["2016-08-04 00:00:00", "2016-08-10 10:40:00"] {
        check(&readings, &calendar, calendar.parse(origin).unwrap(), 7);
    }
}
