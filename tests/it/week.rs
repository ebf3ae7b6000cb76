//! Forecasts that reach up to seven days: the first 24 hours, days off, days of 23 and 25 hours, the command line.

use assert_cmd::Command;
use predicates::prelude::*;
use proptest::prelude::*;
use roomcast_forecast::calendar::{Calendar, HOUR};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{DeviceForecast, forecast_all};
use roomcast_forecast::hourly::{Hourly, MAX_DAYS};
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::{DeviceReadings, Readings};
use serde_json::Value;

/// The shipped readings, July and August 2016.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/device_activations.csv");

fn bits(forecast: &DeviceForecast, hours: usize) -> Vec<(i32, u64, bool)> {
    forecast.hours[..hours].iter().map(|hour| (hour.hour, hour.probability.to_bits(), hour.occupied)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_first_day_of_a_week_is_the_forecast_of_a_day(seed in 0_u64..1_000, hours in 12 * 24_i64..70 * 24, minutes in 0_i64..60, at_midnight in any::<bool>(), days in 2_usize..=MAX_DAYS) {
        // Clocks go back on the 30th of October.
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let from = chrono::NaiveDate::from_ymd_opt(2016, 8, 29).unwrap();
        let readings = roomcast_simulate::Building::new(seed, 4, from, from + chrono::Days::new(70)).readings();
        let origin = calendar.instant(from.into()) + hours * HOUR + minutes * 60;
        // The day after may be of another type.
        let origin = if at_midnight { calendar.instant(calendar.wall(origin).date().into()) } else { origin };
        let day = Hourly::new(&readings, &calendar, origin);
        let rates = SiteRates::new(&day);
        let models = fit::train(&day, &rates, &|| ()).unwrap();
        let near = forecast_all(&day, &rates, &models).unwrap();
        let week = day.clone().reaching(days, &calendar);
        let far = forecast_all(&week, &rates.reaching(&week), &models).unwrap();
        // The aggregates may be extended or added up again.
        prop_assert_eq!(&far, &forecast_all(&week, &SiteRates::new(&week), &models).unwrap());
        for (near, far) in near.iter().zip(&far) {
            prop_assert_eq!(bits(near, 24), bits(far, 24));
            prop_assert_eq!(far.hours.len(), 24 * days);
            let in_order = far.hours.iter().zip(day.end..).all(|(hour, expected)| hour.hour == expected);
            prop_assert!(in_order && (&near.device, near.source) == (&far.device, far.source));
        }
    }
}

/// An office used from 9 to 17 on working days, over eight weeks up to a Monday.
fn office(calendar: &Calendar) -> (Readings, i64) {
    let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
    let used = |hour: &i64| {
        let local = calendar.local(calendar.hour(monday + hour * HOUR));
        !local.off && (9..17).contains(&local.hour)
    };
    let times = (0..56 * 24).filter(used).map(|hour| monday + hour * HOUR + 60).collect();
    let office = DeviceReadings { device: "office".into(), times, ..DeviceReadings::default() };
    (Readings { devices: vec![office] }, monday + 56 * 24 * HOUR)
}

#[test]
fn days_off_are_respected_on_all_seven_days() {
    for off in 0..7 {
        let date = chrono::NaiveDate::from_ymd_opt(2024, 4, 1 + off).unwrap();
        let calendar = Calendar::default().with_days_off([date]);
        let (readings, origin) = office(&calendar);
        let known = Hourly::new(&readings, &calendar, origin);
        let fitted = fit::train(&known, &SiteRates::new(&known), &|| ()).unwrap();
        let week = known.reaching(MAX_DAYS, &calendar);
        let rates = SiteRates::new(&week);
        for models in [Models::default(), fitted] {
            let forecast = &forecast_all(&week, &rates, &models).unwrap()[0];
            for (day, hours) in forecast.hours.chunks(24).enumerate() {
                let noon = hours[12].probability;
                let is_off = day as u32 == off || day >= 5;
                assert_eq!(noon < 0.3, is_off, "day {day} with {date} off: {noon}");
                assert!(noon > 0.7 || is_off, "day {day} with {date} off: {noon}");
            }
        }
    }
}

#[test]
fn hours_of_use_keep_to_the_clock_when_it_changes() {
    let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let monday = calendar.parse("2024-01-29 00:00:00").unwrap();
    let used = |hour: &i64| (9..17).contains(&calendar.local(calendar.hour(monday + hour * HOUR)).hour);
    let times = (0..60 * 24).filter(used).map(|hour| monday + hour * HOUR + 60).collect();
    let lobby = DeviceReadings { device: "lobby".into(), times, ..DeviceReadings::default() };
    let readings = Readings { devices: vec![lobby] };
    // Clocks go forward on Sunday the 31st: the week has a day of 23 hours.
    let origin = calendar.parse("2024-03-28 00:00:00").unwrap();
    let week = Hourly::new(&readings, &calendar, origin).reaching(MAX_DAYS, &calendar);
    let forecast = &forecast_all(&week, &SiteRates::new(&week), &Models::default()).unwrap()[0];
    let expected: Vec<(i32, u8)> = (0..7).flat_map(|day| (9..17).map(move |hour| (day, hour))).collect();
    let first = calendar.local(week.end).day;
    let likely = forecast.hours.iter().filter(|hour| hour.probability > 0.5).map(|hour| calendar.local(hour.hour));
    assert_eq!(likely.map(|local| (local.day - first, local.hour)).collect::<Vec<_>>(), expected);
}

fn roomcast(line: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("roomcast");
    command.args(line.split_whitespace()).args(["--input", DATA]);
    command
}

#[test]
fn a_week_on_the_command_line_begins_with_its_day() {
    let lines = |days: &str| {
        let output = roomcast(&format!("predict 2016-08-24T23:59:59 - {days} --probabilities")).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (day, week) = (lines(""), lines("--days 7"));
    assert_eq!((day.len(), week.len()), (1 + 24 * 7, 1 + 168 * 7));
    assert_eq!(day, week[..day.len()]);
    let json = roomcast("schedule 2016-08-24T23:59:59 --days 7 --threshold 0.3 --format json").assert().success();
    let json: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let ics = roomcast("schedule 2016-08-24T23:59:59 --days 7 --threshold 0.3 --format ics").assert().success();
    let ics: icalendar::Calendar = String::from_utf8(ics.get_output().stdout.clone()).unwrap().parse().unwrap();
    let blocks: Vec<&Value> =
        json["devices"].as_array().unwrap().iter().flat_map(|d| d["blocks"].as_array().unwrap()).collect();
    let days: std::collections::BTreeSet<&str> =
        blocks.iter().filter_map(|block| block["start"].as_str()?.get(..10)).collect();
    assert!(days.len() >= 5 && days.iter().all(|day| ("2016-08-25".."2016-09-01").contains(day)), "{days:?}");
    assert_eq!(ics.events().count(), blocks.len());
    for days in ["0", "8", "x"] {
        let message = format!("expected a number of days from 1 to 7, found \"{days}\"");
        roomcast(&format!("predict 2016-08-24 - --days {days}"))
            .assert()
            .failure()
            .stderr(predicate::str::contains(message));
    }
}
