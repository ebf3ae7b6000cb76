//! What a forecast must be whatever the data: bounded, defined from the first day on, right about the clock.

use roomcast_forecast::calendar::{Calendar, HOUR};
use roomcast_forecast::features::{SiteRates, full_columns};
use roomcast_forecast::forecast::{DeviceForecast, explain, forecast_all};
use roomcast_forecast::hourly::{Hourly, Status};
use roomcast_forecast::model::{Models, Source, fit};
use roomcast_forecast::readings::{DeviceReadings, Readings};

fn date(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

fn site(seed: u64, devices: usize, from: &str, to: &str) -> Readings {
    roomcast_simulate::Building::new(seed, devices, date(from), date(to)).readings()
}

fn ask(readings: &Readings, calendar: &Calendar, at: &str) -> (Hourly, SiteRates, Models, Vec<DeviceForecast>) {
    let hourly = Hourly::new(readings, calendar, calendar.parse(at).unwrap());
    let site_rates = SiteRates::new(&hourly);
    let models = fit::train(&hourly, &site_rates, &|| ()).unwrap();
    let forecasts = forecast_all(&hourly, &site_rates, &models).unwrap();
    (hourly, site_rates, models, forecasts)
}

/// One device that moves at these hours of every workday.
fn workdays(device: &str, days: i64, hours: &[i64]) -> DeviceReadings {
    let calendar = Calendar::default();
    let first = calendar.parse("2016-07-04 00:00:00").unwrap();
    let moved = (0..days)
        .filter(|day| day % 7 < 5)
        .flat_map(|day| hours.iter().map(move |h| first + day * 24 * HOUR + h * HOUR + 300));
    DeviceReadings { device: device.into(), times: moved.collect(), ..DeviceReadings::default() }
}

fn check(forecasts: &[DeviceForecast]) {
    for forecast in forecasts {
        assert_eq!(forecast.hours.len(), 24);
        for (first, next) in forecast.hours.iter().zip(&forecast.hours[1..]) {
            assert_eq!(first.hour + 1, next.hour);
        }
        assert!(forecast.hours.iter().all(|h| h.probability > 0.0 && h.probability < 1.0), "{forecast:?}");
    }
}

#[test]
fn cold_starts_are_forecast_from_the_first_hour_on() {
    let calendar = Calendar::default();
    let readings = site(3, 4, "2016-09-05", "2016-09-12");
    for at in ["2016-09-05 12:30:00", "2016-09-06 00:00:00", "2016-09-08 23:59:59", "2016-09-12 08:00:00"] {
        let (.., forecasts) = ask(&readings, &calendar, at);
        check(&forecasts);
        assert!(forecasts.iter().all(|f| f.status == Status::New && f.source != Source::Model), "{at}");
    }
}

#[test]
fn a_new_room_gets_the_buildings_forecast() {
    let mut readings =
        Readings { devices: (1..6).map(|n| workdays(&format!("room_{n}"), 39, &[9, 10, 11, 14])).collect() };
    let last = readings.devices[0].times.last().unwrap();
    readings.devices.push(DeviceReadings {
        device: "room_9".into(),
        times: vec![last - 4 * HOUR].into(),
        ..DeviceReadings::default()
    });
    // The next day is a Friday; the new room was seen once.
    let (.., forecasts) = ask(&readings, &Calendar::default(), "2016-08-11 23:59:59");
    let new = forecasts.iter().find(|f| f.device == "room_9").unwrap();
    assert_eq!(new.status, Status::New);
    assert!(new.hours[10].probability > 0.5 && new.hours[3].probability < 0.1, "{new:?}");
}

#[test]
fn a_device_that_never_rests_or_moves_once_is_no_obstacle() {
    let calendar = Calendar::default();
    let first = calendar.parse("2016-07-01 00:00:00").unwrap();
    let always = DeviceReadings {
        device: "always".into(),
        times: (0..40 * 24).map(|h| first + h * HOUR).collect(),
        ..DeviceReadings::default()
    };
    let once =
        DeviceReadings { device: "once".into(), times: vec![first + 10 * HOUR].into(), ..DeviceReadings::default() };
    let (.., forecasts) = ask(&Readings { devices: vec![always, once] }, &calendar, "2016-08-09 23:59:59");
    check(&forecasts);
    assert!(forecasts[0].hours.iter().all(|h| h.probability > 0.9));
    assert_eq!(forecasts[1].status, Status::Silent);
    assert!(forecasts[1].hours.iter().all(|h| h.probability < 0.3));
}

#[test]
fn silence_while_the_building_lives_is_not_vacancy() {
    let mut devices: Vec<_> = (1..5).map(|n| workdays(&format!("room_{n}"), 45, &[8, 9, 10, 13, 14])).collect();
    let cut = devices[0].times.first().unwrap() + 30 * 24 * HOUR;
    devices[0].times.retain(|&t| t < cut);
    let (hourly, .., forecasts) = ask(&Readings { devices }, &Calendar::default(), "2016-08-17 23:59:59");
    assert_eq!(forecasts[0].status, Status::Silent);
    assert!(forecasts[1..].iter().all(|f| f.status == Status::Live));
    let unobserved = hourly.devices[0].states.iter().filter(|s| s.value().is_none()).count();
    assert!(unobserved > 5 * 24, "only {unobserved} hours are unobserved");
}

#[test]
fn days_of_23_and_25_hours_keep_their_24_target_hours() {
    let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
    for (from, to, at, first, last) in [
        ("2016-02-15", "2016-03-29", "2016-03-26 23:59:59", "2016-03-27T00:00:00+01:00", "2016-03-28T00:00:00+02:00"),
        ("2016-09-15", "2016-11-01", "2016-10-29 23:59:59", "2016-10-30T00:00:00+02:00", "2016-10-30T22:00:00+01:00"),
    ] {
        // The simulator writes wall time; read it as the zone's.
        let wall = site(5, 4, from, to);
        let devices = wall.devices.into_iter().map(|d| {
            let times: std::collections::BTreeSet<i64> =
                d.times.iter().map(|t| calendar.instant(Calendar::default().wall(t))).collect();
            DeviceReadings { device: d.device, times: times.into_iter().collect(), ..DeviceReadings::default() }
        });
        let (.., forecasts) = ask(&Readings { devices: devices.collect() }, &calendar, at);
        check(&forecasts);
        let start = |n: usize| calendar.rfc3339(calendar.start(forecasts[0].hours[n].hour));
        assert_eq!((start(0).as_str(), start(23).as_str()), (first, last));
    }
}

#[test]
fn a_closure_ahead_empties_the_day() {
    let readings = site(11, 6, "2016-06-01", "2016-08-10");
    let open = Calendar::default();
    let closed = Calendar::default().with_days_off([date("2016-08-10")]);
    let busy = |calendar: &Calendar| {
        let (.., forecasts) = ask(&readings, calendar, "2016-08-09 23:59:59");
        forecasts.iter().flat_map(|f| &f.hours).map(|h| h.probability).sum::<f64>()
    };
    assert!(busy(&closed) < 0.5 * busy(&open), "{} {}", busy(&closed), busy(&open));
}

#[test]
fn more_occupied_history_never_lowers_the_day() {
    let calendar = Calendar::default();
    let quiet = Readings { devices: vec![workdays("a", 30, &[9, 14]), workdays("b", 30, &[9, 10, 11])] };
    let busy = Readings { devices: vec![workdays("a", 30, &[9, 10, 11, 12, 14, 15]), workdays("b", 30, &[9, 10, 11])] };
    let of = |readings: &Readings| ask(readings, &calendar, "2016-08-01 23:59:59").3.swap_remove(0).hours;
    for (less, more) in of(&quiet).iter().zip(of(&busy)) {
        assert!(more.probability >= less.probability - 0.02, "{less:?} {more:?}");
    }
}

#[test]
fn an_origin_inside_the_hour_uses_what_the_hour_has_shown() {
    let calendar = Calendar::default();
    let mut readings = site(21, 5, "2016-05-02", "2016-07-13");
    let at = calendar.parse("2016-07-13 10:40:00").unwrap();
    for device in &mut readings.devices {
        device.times.retain(|&t| t < at - 3 * HOUR);
    }
    let mean = |readings: &Readings| {
        let (hourly, .., forecasts) = ask(readings, &calendar, "2016-07-13 10:40:00");
        assert_eq!(calendar.format(calendar.start(hourly.end)), "2016-07-13 11:00:00");
        let lead = |n: usize| forecasts.iter().map(|f| f.hours[n].probability).sum::<f64>();
        (lead(0), lead(20))
    };
    let still = mean(&readings);
    for device in &mut readings.devices {
        device.times.extend([at - HOUR - 60, at - 1_900, at - 60]);
    }
    let moving = mean(&readings);
    assert!(moving.0 > still.0 * 1.2, "lead 1: {still:?} {moving:?}");
    assert!((moving.1 - still.1).abs() < 0.2 * still.1.max(0.5), "lead 21: {still:?} {moving:?}");
}

#[test]
fn explanations_add_up_to_the_score() {
    let readings = site(31, 6, "2016-05-02", "2016-07-30");
    let (hourly, site_rates, models, forecasts) = ask(&readings, &Calendar::default(), "2016-07-27 23:59:59");
    for (device, forecast) in forecasts.iter().enumerate() {
        for hour in [0, 9, 23] {
            let found = explain(&hourly, &site_rates, device, &models, forecast.hours[hour].hour).unwrap();
            let sum: f64 = found.base + found.contributions.iter().map(|c| c.contribution).sum::<f64>();
            assert!((sum - found.score).abs() < 1e-9, "{sum} {}", found.score);
            assert_eq!(found.probability, forecast.hours[hour].probability);
            assert_eq!(found.contributions.len(), full_columns().len());
        }
    }
}

#[test]
fn equal_histories_give_equal_models_whatever_the_number_of_threads() {
    let readings = site(41, 8, "2016-05-02", "2016-06-20");
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| ask(&readings, &Calendar::default(), "2016-06-18 23:59:59").2)
    };
    assert_eq!(run(1), run(3));
}
