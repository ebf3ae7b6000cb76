use chrono::NaiveDate;

use super::*;

/// Returns readings of rooms given, for each day from Monday 2 January 2023, as the hours occupied.
fn readings(rooms: &[Vec<Vec<i64>>]) -> Readings {
    let monday = i64::from(NaiveDate::from_ymd_opt(2023, 1, 2).unwrap().to_epoch_days()) * 86_400;
    let devices = rooms.iter().enumerate().map(|(room, days)| {
        let days = days.iter().zip(0..);
        let times = days.flat_map(|(hours, day)| hours.iter().map(move |hour| monday + day * 86_400 + hour * 3600 + 7));
        DeviceReadings { device: format!("room_{room}"), times: times.collect(), offs: Default::default() }
    });
    Readings { devices: devices.collect() }
}

/// Returns the statistics of one room whose hours on each of `days` days are given.
fn one(days: i64, hours: impl Fn(i64) -> Vec<i64>) -> Statistics {
    Statistics::of(&readings(&[(0..days).map(hours).collect()]), &Calendar::default())
}

fn is_near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-9)
}

fn is_below(value: Option<f64>, limit: f64) -> bool {
    value.is_some_and(|value| value < limit)
}

#[test]
fn shares_of_days_and_hours_are_counted() {
    // Six hours on workdays from 5:00 on, three on Saturdays, none on Sundays.
    let regular = one(140, |day| match day % 7 {
        6 => vec![],
        5 => vec![10, 11, 12],
        _ => (5..11).collect(),
    });
    assert!(is_near(regular.used_days, 1.0));
    assert!(is_near(regular.silent_days, 0.0));
    assert!(is_near(regular.empty_days, 0.0));
    assert!(is_near(regular.night, 100.0 / 660.0));
    assert!(is_near(regular.first_hour, 0.0));
    assert!(is_near(regular.weekdays, 0.0));
    assert!(is_near(regular.stuck_days, 0.0));
    // The last day known is the last Saturday: 20 Saturdays and 19 Sundays.
    assert!(is_near(regular.weekend, 60.0 / 39.0 / 6.0));
    assert!(is_below(regular.unpredictability, 0.2), "{:?}", regular.unpredictability);
    assert_eq!(regular.used_autocorrelation, None, "used every workday");
    assert!(is_near(regular.drift, 0.0));
}

#[test]
fn silences_and_stuck_days_are_found() {
    let hours = |day: i64| match day {
        10..20 | 30..35 => vec![],
        40..42 => (0..24).collect(),
        _ => vec![9],
    };
    let statistics = one(50, hours);
    assert!(is_near(statistics.silent_days, 10.0 / 50.0));
    assert!(is_near(statistics.stuck_days, 2.0 / 50.0));
}

#[test]
fn what_lasts_correlates_with_the_next_workday() {
    let lasting = one(280, |day| if day / 28 % 2 == 0 { vec![9, 10] } else { vec![] });
    assert!(lasting.used_autocorrelation > Some(0.85), "{:?}", lasting.used_autocorrelation);
    assert!(lasting.hours_autocorrelation > Some(0.85));
    let alternating = one(280, |day| if day % 2 == 0 { vec![9, 10] } else { vec![] });
    assert!(is_below(alternating.used_autocorrelation, -0.5), "{:?}", alternating.used_autocorrelation);
}

#[test]
fn a_level_that_moves_is_drift_and_shuffled_days_are_not() {
    let rising = one(280, |day| (6..7 + day / 28).collect());
    assert!(rising.drift > Some(0.4), "{:?}", rising.drift);
    let steady = one(280, |day| (6..7 + day * 7919 % 10).collect());
    assert!(is_below(steady.drift, 0.1), "{:?}", steady.drift);
}

#[test]
fn rooms_that_move_together_correlate() {
    let length = |day: i64, room: i64| (8..9 + (day * 7919 + day / 7 * room * 31) % 9).collect::<Vec<i64>>();
    let room = |room| (0..140).map(|day| length(day, room)).collect::<Vec<_>>();
    let same = Statistics::of(&readings(&[room(0), room(0)]), &Calendar::default());
    assert!(is_near(same.between_rooms, 1.0), "{:?}", same.between_rooms);
    let other = Statistics::of(&readings(&[room(0), room(1)]), &Calendar::default());
    assert!(is_below(other.between_rooms, 0.5), "{:?}", other.between_rooms);
    assert_eq!(Statistics::of(&readings(&[room(0)]), &Calendar::default()).between_rooms, None);
}

#[test]
fn chance_is_as_unpredictable_as_its_base_rate() {
    let random = |day: i64, hour: i64| {
        let mut dice = dice(1, Purpose::Plan, day as u64, hour);
        below(&mut dice, 5) == 0
    };
    let statistics = one(400, |day| (0..24).filter(|&hour| random(day, hour)).collect());
    let loss = statistics.unpredictability.unwrap();
    assert!((0.98..1.1).contains(&loss), "{loss}");
}

#[test]
fn days_off_are_no_workdays() {
    let holiday = NaiveDate::from_ymd_opt(2023, 2, 1).unwrap();
    let used = |calendar: &Calendar| {
        let days = (0..60).map(|day| if day == 30 { vec![] } else { vec![9] }).collect();
        Statistics::of(&readings(&[days]), calendar).used_days
    };
    assert!(is_below(used(&Calendar::default()), 1.0));
    assert!(is_near(used(&Calendar::default().with_days_off([holiday])), 1.0));
}

#[test]
fn without_readings_there_are_no_statistics() {
    assert_eq!(Statistics::of(&Readings::default(), &Calendar::default()), Statistics::default());
}
