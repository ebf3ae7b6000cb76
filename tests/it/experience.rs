//! What the program is shipped with: learned again byte for byte, and of use where a site has little history.

use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{DeviceForecast, forecast_all, forecast_in_parts};
use roomcast_forecast::hourly::{Hourly, State};
use roomcast_forecast::measures::loss::log_odds_loss;
use roomcast_forecast::model::mix::shipped::BYTES;
use roomcast_forecast::model::{Models, Source, fit};
use roomcast_forecast::readings::{DeviceReadings, Readings, Times};
use roomcast_simulate::Kind;

const DAY: i64 = 24 * HOUR;

#[test]
fn the_shipped_layers_are_learned_again_byte_for_byte() {
    let learned = roomcast_simulate::experience().unwrap().encode().unwrap();
    assert!(learned == BYTES, "run `make experience`: the simulator, the stack or the lesson has changed");
}

/// Sums of the log loss of the mix and of the stack alone, over the days after a fit of a site with so many days.
fn losses(seed: u64, days: i64) -> (f64, f64) {
    let kind = Kind::LIFELIKE[seed as usize % Kind::LIFELIKE.len()];
    let site = roomcast_simulate::site(kind, seed, 6, days as u32 + 14);
    let (readings, calendar) = (site.readings, site.calendar);
    let first = readings.span().unwrap().0;
    let origin = first - first.rem_euclid(DAY) + days * DAY;
    let grid = |origin: Timestamp| {
        let hourly = Hourly::new(&readings, &calendar, origin);
        let site_rates = SiteRates::new(&hourly);
        (hourly, site_rates)
    };
    let truth = grid(origin + 7 * DAY).0;
    let (hourly, site_rates) = grid(origin);
    let models = fit::train(&hourly, &site_rates, &|| ()).unwrap();
    let mut sums = (0.0, 0.0);
    for day in 0..7 {
        let (hourly, site_rates) = grid(origin + day * DAY);
        for (at, known) in hourly.devices.iter().enumerate() {
            let real = &truth.devices[truth.position(&known.device).unwrap()];
            let (forecast, parts) = forecast_in_parts(&hourly, &site_rates, at, models.layers(&known.device)).unwrap();
            for (hour, parts) in forecast.hours.iter().zip(parts) {
                let state = real.states[(hour.hour - real.first) as usize];
                if state != State::Unobserved {
                    sums.0 += log_odds_loss(parts.mixed, state == State::Occupied);
                    sums.1 += log_odds_loss(parts.stack, state == State::Occupied);
                }
            }
        }
    }
    sums
}

#[test]
fn the_mix_is_better_than_the_stack_and_most_where_history_is_short() {
    // None of these seeds is among the sites that the layers were learned from.
    let gain = |days: i64| {
        let sums = (0..12).map(|seed| losses(900 + seed, days)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        1.0 - sums.0 / sums.1
    };
    let (young, old) = (gain(14), gain(100));
    println!("gain over the stack: {young:.4} with 14 days, {old:.4} with 100");
    assert!(young > 0.01 && old > 0.0 && young > old, "{young} {old}");
}

/// A room that is used from 9 to 17 on workdays, from `start` on.
fn office(name: &str, start: Timestamp, days: i64) -> DeviceReadings {
    let used = |hour: &i64| hour / 24 % 7 < 5 && (9..17).contains(&(hour % 24));
    DeviceReadings {
        device: name.into(),
        times: (0..days * 24).filter(used).map(|hour| start + hour * HOUR + 60).collect(),
        offs: Times::default(),
    }
}

fn forecasts(mut devices: Vec<DeviceReadings>, origin: Timestamp) -> (Models, Vec<DeviceForecast>) {
    devices.sort_by(|a, b| a.device.cmp(&b.device));
    let hourly = Hourly::new(&Readings { devices }, &Calendar::default(), origin);
    let site_rates = SiteRates::new(&hourly);
    let models = fit::train(&hourly, &site_rates, &|| ()).unwrap();
    let forecasts = forecast_all(&hourly, &site_rates, &models).unwrap();
    for hour in forecasts.iter().flat_map(|forecast| &forecast.hours) {
        assert!(hour.probability > 0.0 && hour.probability < 1.0);
        assert_eq!(hour.occupied, hour.probability >= 0.5);
    }
    (models, forecasts)
}

#[test]
fn new_stuck_and_still_devices_get_sensible_forecasts() {
    let monday = Calendar::default().parse("2024-02-05 00:00:00").unwrap();
    let days = 63;
    let origin = monday + days * DAY;
    let mut devices: Vec<_> = ["a", "b", "c", "d"].map(|name| office(name, monday, days)).to_vec();
    devices.push(office("new", origin - 7 * DAY, 5));
    let stuck = (0..days * 24).map(|hour| monday + hour * HOUR + 5).collect();
    devices.push(DeviceReadings { device: "stuck".into(), times: stuck, offs: Times::default() });
    devices.push(DeviceReadings {
        device: "still".into(),
        times: vec![monday + 10 * HOUR].into(),
        offs: Times::default(),
    });
    let (models, forecasts) = forecasts(devices, origin);
    let of = |name: &str| forecasts.iter().find(|forecast| forecast.device == name).unwrap();
    let at = |name: &str, hour: usize| of(name).hours[hour].probability;
    assert!(at("a", 12) > 0.9 && at("a", 3) < 0.05, "{:?}", of("a"));
    assert!(at("new", 12) > 0.7 && at("new", 3) < 0.1, "{:?}", of("new"));
    assert!((0..24).all(|hour| at("stuck", hour) > 0.9), "{:?}", of("stuck"));
    assert!((0..24).all(|hour| at("still", hour) < 0.1), "{:?}", of("still"));
    // One class teaches an expert nothing.
    assert!(["stuck", "still"].iter().all(|name| models.devices[*name].expert.is_empty()));
}

#[test]
fn a_site_of_one_device_and_one_of_a_week_get_sensible_forecasts() {
    let monday = Calendar::default().parse("2024-02-05 00:00:00").unwrap();
    for days in [3, 7, 56] {
        let (_, forecasts) = forecasts(vec![office("only", monday, days)], monday + days * DAY);
        let hours = &forecasts[0].hours;
        assert!(hours[12].probability > 0.6 && hours[3].probability < 0.15, "{days} days: {hours:?}");
        // Before ten days nothing is fitted at a site, and the shipped layers work all the same.
        assert_eq!(forecasts[0].source, if days < 10 { Source::Building } else { Source::Model });
    }
}
