use chrono::NaiveDate;
use proptest::prelude::*;

use super::{MONDAY, calendar, office};
use crate::backtest::baselines::{COUNT, NAMES, RuleForecast, rule_forecasts};
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::hourly::Hourly;
use crate::readings::{DeviceReadings, Readings};

const DAY: i64 = 24 * HOUR;

fn one_room(hours: impl IntoIterator<Item = (i64, i64)>) -> Readings {
    let mut times: Vec<Timestamp> =
        hours.into_iter().map(|(day, hour)| MONDAY + day * DAY + hour * HOUR + 30).collect();
    times.sort_unstable();
    Readings { devices: vec![DeviceReadings { device: "a".into(), times: times.into(), ..DeviceReadings::default() }] }
}

fn at(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> Vec<Vec<RuleForecast>> {
    rule_forecasts(&Hourly::new(readings, calendar, origin))
}

#[test]
fn each_rule_looks_where_it_says() {
    // Every Monday at 9; Friday of the second week at 10; Sunday of the second week at 11.
    let readings = one_room([(0, 9), (7, 9), (11, 10), (13, 11), (0, 0)]);
    let monday = at(&readings, &calendar(), MONDAY + 14 * DAY);
    let says = |hour: usize| -> Vec<&str> {
        (0..COUNT).filter(|&rule| monday[0][hour].states[rule]).map(|rule| NAMES[rule]).collect()
    };
    assert_eq!(says(9), ["same hour last week"]);
    assert_eq!(says(10), ["last day of the same type"]);
    assert_eq!(says(11), ["same hour yesterday"]);
    assert!(says(12).is_empty());
    let rate = |hour: usize| monday[0][hour].probabilities[COUNT - 1];
    assert!(rate(9) > 2.0 * rate(10) && rate(10) > 1.2 * rate(12), "{} {} {}", rate(9), rate(10), rate(12));
}

#[test]
fn an_hour_that_is_not_over_is_not_used() {
    let readings = one_room([(0, 9), (1, 9), (2, 8), (2, 9)]);
    // At 9:30 on Wednesday the hour from 9 is not over, so the rule for Thursday at 9 reads Tuesday.
    let with = at(&readings, &calendar(), MONDAY + 2 * DAY + 9 * HOUR + 1800);
    let without = at(&one_room([(0, 9), (1, 9), (2, 8)]), &calendar(), MONDAY + 2 * DAY + 9 * HOUR + 1800);
    assert_eq!(with, without);
    assert!(with[0][23].states[1]);
}

#[test]
fn days_of_23_and_25_hours_stay_on_the_clock() {
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    for (year, month, day) in [(2024, 3, 31), (2024, 10, 27)] {
        let date = NaiveDate::from_ymd_opt(year, month, day).expect("a date");
        let wall = |back: i64, hour: u32| {
            let date = date - chrono::TimeDelta::days(back);
            berlin.instant(date.and_hms_opt(hour, 5, 0).expect("a time"))
        };
        let mut times: Vec<_> = (1..20).rev().map(|back| wall(back, 9)).collect();
        times.insert(0, wall(20, 0));
        let readings = Readings {
            devices: vec![DeviceReadings { device: "a".into(), times: times.into(), ..DeviceReadings::default() }],
        };
        let origin = wall(0, 0) - 300;
        let hourly = Hourly::new(&readings, &berlin, origin);
        for (lead, guess) in rule_forecasts(&hourly)[0].iter().enumerate() {
            let nine = berlin.local(hourly.end + lead as i32).hour == 9;
            assert_eq!(guess.states[1..], [nine; COUNT - 1], "{date}, lead {lead}");
        }
    }
}

#[test]
fn a_rule_that_is_never_right_is_not_believed() {
    // Occupied every other day: yesterday's answer is always wrong.
    let readings = one_room((0..60).step_by(2).flat_map(|day| (8..18).map(move |hour| (day, hour))));
    let calendar = calendar().with_weekend([false; 7]);
    // Day 60 follows a vacant day, after which the room was always occupied.
    let guess = &at(&readings, &calendar, MONDAY + 60 * DAY)[0][9];
    assert!(!guess.states[1] && guess.probabilities[1] > 0.1);
    let rival = &at(&readings, &calendar, MONDAY + 59 * DAY)[0][9];
    assert!(rival.states[1] && rival.probabilities[1] < guess.probabilities[1], "{rival:?} {guess:?}");
}

#[test]
fn a_room_seen_just_now_has_answers() {
    let guess = at(&one_room([(0, 9)]), &calendar(), MONDAY + 9 * HOUR + 1800);
    for guess in &guess[0] {
        assert!(guess.probabilities.iter().all(|p| (0.05..0.3).contains(p)), "{guess:?}");
        assert_eq!(guess.states, [false; COUNT]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_at_or_after_the_origin_matters(
        minutes in 0i64..30 * 24 * 60,
        later in prop::collection::vec((0usize..5, 0i64..20 * DAY), 0..200),
    ) {
        let readings = office(5, 30);
        let origin = MONDAY + minutes * 60;
        let mut scrambled = readings.clone();
        for (at, device) in scrambled.devices.iter_mut().enumerate() {
            device.times.retain(|&t| t < origin);
            let mut more: Vec<_> = later.iter().filter(|l| l.0 == at).map(|l| origin + l.1).collect();
            more.sort_unstable();
            more.dedup();
            device.times.extend(more);
        }
        let bits = |readings: &Readings| -> Vec<(Vec<u32>, [bool; COUNT])> {
            let all = at(readings, &calendar(), origin);
            all.iter().flatten().map(|g| (g.probabilities.iter().map(|p| p.to_bits()).collect(), g.states)).collect()
        };
        prop_assert_eq!(bits(&readings), bits(&scrambled));
    }

    #[test]
    fn probabilities_are_probabilities(minutes in 0i64..40 * 24 * 60) {
        for guess in at(&office(3, 20), &calendar(), MONDAY + minutes * 60).iter().flatten() {
            prop_assert!(guess.probabilities.iter().all(|&p| p > 0.0 && p < 1.0));
        }
    }
}
