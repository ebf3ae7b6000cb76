use chrono::{Datelike, Days, NaiveDate};

use super::building::site::is_holiday;
use super::*;

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn summer(devices: usize) -> Building {
    Building::new(1, devices, date(2016, 7, 1), date(2016, 8, 31))
}

/// Returns the readings of every device on every day, without faults.
fn sound(devices: usize, from: NaiveDate, to: NaiveDate) -> Vec<Day> {
    Building { faults: 0.0, duplicates: 0.0, ..Building::new(1, devices, from, to) }.days().collect()
}

fn share(days: &[Day], hours: impl Fn(&Day) -> &[u32]) -> f64 {
    let set: u32 = days.iter().flat_map(&hours).map(|hours| hours.count_ones()).sum();
    let all: usize = days.iter().map(|day| hours(day).len() * 24).sum();
    f64::from(set) / all as f64
}

#[test]
fn rooms_are_used_about_as_much_as_real_ones() {
    let days = sound(400, date(2016, 7, 1), date(2016, 8, 17));
    let observed = share(&days, |day| &day.observed);
    assert!((0.15..0.22).contains(&observed), "share of hours with a reading: {observed}");
    let occupied = share(&days, |day| &day.occupied);
    assert!((observed..0.26).contains(&occupied), "share of hours with somebody: {occupied}");
    let readings = days.iter().map(|day| day.rows().len()).sum::<usize>() as f64 / (400.0 * 48.0);
    assert!((15.0..27.0).contains(&readings), "readings per device and day: {readings}");
}

#[test]
fn density_sets_how_much_rooms_are_used() {
    let readings = |density| Building { density, ..summer(100) }.readings().len();
    let usual = readings(1.0);
    assert!(readings(0.3) < usual * 2 / 3);
    assert!(readings(2.0) > usual * 4 / 3);
}

#[test]
fn weekends_are_nearly_empty_and_holidays_silent() {
    let days = sound(400, date(2016, 1, 1), date(2016, 12, 31));
    let (weekend, week): (Vec<Day>, Vec<Day>) =
        days.into_iter().partition(|day| day.date.weekday().num_days_from_monday() >= 5);
    let observed = |days: &[Day]| share(days, |day| &day.observed);
    assert!(observed(&weekend) < 0.02 * observed(&week) + 0.006, "{}", observed(&weekend));
    assert!(observed(&weekend) > 0.0);
    let mut holidays = 0;
    for day in week.iter().chain(&weekend).filter(|day| is_holiday(day.date)) {
        assert_eq!(day.rows().len(), 0, "{}", day.date);
        holidays += 1;
    }
    assert_eq!(holidays, 7);
}

#[test]
fn rooms_differ() {
    let days = sound(200, date(2016, 7, 1), date(2016, 8, 31));
    let hours = |device: usize| days.iter().map(|day| day.observed[device].count_ones()).sum::<u32>();
    let mut hours: Vec<u32> = (0..200).map(hours).collect();
    hours.sort_unstable();
    assert!(hours[10] * 4 < hours[100], "rarely used rooms: {hours:?}");
    assert!(hours[190] * 5 > hours[100] * 8, "busy rooms: {hours:?}");
}

#[test]
fn last_week_tells_something_but_not_everything() {
    let days = sound(200, date(2016, 9, 5), date(2016, 10, 30));
    // Counts of the working hours (8 to 17) of Mondays to Thursdays: [vacant or occupied a week before][now].
    let mut counts = [[0_u32; 2]; 2];
    for (before, now) in days.iter().zip(&days[7..]).filter(|(_, now)| now.date.weekday().num_days_from_monday() < 4) {
        for (before, now) in before.observed.iter().zip(&now.observed) {
            for hour in 8..18 {
                counts[(before >> hour & 1) as usize][(now >> hour & 1) as usize] += 1;
            }
        }
    }
    let rate = |row: [u32; 2]| f64::from(row[1]) / f64::from(row[0] + row[1]);
    let (after_vacant, after_occupied) = (rate(counts[0]), rate(counts[1]));
    assert!((0.15..0.45).contains(&after_vacant), "{after_vacant}");
    assert!((0.55..0.85).contains(&after_occupied), "{after_occupied}");
}

#[test]
fn a_device_does_not_change_with_the_building_or_the_span() {
    let few = sound(7, date(2016, 7, 10), date(2016, 7, 20));
    let many = sound(130, date(2016, 7, 1), date(2016, 8, 31));
    for day in &few {
        let same = many.iter().find(|other| other.date == day.date).unwrap();
        let of_few: Vec<Row> = same.rows().filter(|row| row.device < 7).collect();
        assert_eq!(day.rows().collect::<Vec<_>>(), of_few);
        assert_eq!(day.occupied, same.occupied[..7]);
    }
}

#[test]
fn threads_change_nothing() {
    let building = summer(120);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| building.days().collect::<Vec<Day>>())
    };
    assert_eq!(on(1), on(5));
}

#[test]
fn another_seed_is_another_building() {
    assert_ne!(summer(7).readings(), Building { seed: 2, ..summer(7) }.readings());
}

#[test]
fn rows_are_ordered_by_time_then_device_unless_told_otherwise() {
    let late = |disorder| {
        let mut late = 0;
        let mut all = 0;
        for day in (Building { disorder, ..summer(60) }).days() {
            let rows: Vec<(u32, u32)> = day.rows().map(|row| (row.second, row.device)).collect();
            late += rows.windows(2).filter(|pair| pair[0] > pair[1]).count();
            all += rows.len();
        }
        late as f64 / all as f64
    };
    assert_eq!(late(0.0), 0.0);
    assert!((0.02..0.06).contains(&late(0.05)), "{}", late(0.05));
}

#[test]
fn duplicates_and_disorder_leave_the_readings_as_they_are() {
    let tidy = Building { duplicates: 0.0, ..summer(30) };
    let untidy = Building { duplicates: 0.2, disorder: 0.2, ..summer(30) };
    assert_eq!(tidy.readings(), untidy.readings());
    let rows = |building: &Building| building.days().map(|day| day.rows().len()).sum::<usize>() as f64;
    assert!((1.18..1.22).contains(&(rows(&untidy) / rows(&tidy))));
}

#[test]
fn readings_keep_their_contract() {
    let readings = summer(120).readings();
    assert!(readings.devices.windows(2).all(|pair| pair[0].device < pair[1].device));
    for device in &readings.devices {
        assert!(!device.times.is_empty());
        assert!(device.times.iter().is_sorted_by(|a, b| a < b), "{}", device.device);
    }
}

#[test]
fn faults_show() {
    let faulty = Building { faults: 1.0, ..summer(200) };
    let readings = faulty.readings();
    let (first, last) = readings.span().unwrap();
    let weeks = |n: i64| n * 7 * i64::from(DAY);
    let count = |test: &dyn Fn(&DeviceReadings) -> bool| readings.devices.iter().filter(|device| test(device)).count();
    assert!(count(&|device| device.times.first().unwrap() > first + weeks(2)) > 20, "installed late");
    assert!(count(&|device| device.times.last().unwrap() < last - weeks(2)) > 20, "dead");
    assert!(
        count(&|device| Vec::from_iter(&device.times).windows(2).any(|pair| pair[1] - pair[0] > weeks(2))) > 20,
        "silent"
    );
    assert!(
        count(&|device| Vec::from_iter(&device.times).windows(500).any(|run| run[499] - run[0] < 4 * 3600)) > 20,
        "chattering"
    );
}

#[test]
fn names_ascend_and_tell_the_floor() {
    assert_eq!(summer(7).names()[5], "device_6");
    assert_eq!(summer(300).names()[126], "floor_03/room_0127");
    for devices in [9, 10, 100, 12_000] {
        let names = summer(devices).names();
        assert_eq!(names.len(), devices);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{devices}");
    }
}

#[test]
fn an_empty_span_or_building_has_no_readings() {
    assert!(summer(0).readings().is_empty());
    let backwards = Building::new(1, 3, date(2016, 7, 2), date(2016, 7, 1));
    assert_eq!(backwards.days().count(), 0);
    assert!(backwards.readings().is_empty());
}

#[test]
fn years_apart_are_one_day_at_a_time() {
    let far = Building::new(1, 2, date(1971, 1, 1), date(1971, 1, 1) + Days::new(20));
    assert!(far.days().map(|day| day.rows().len()).sum::<usize>() > 0);
    assert!(is_in_range(date(2200, 12, 31)) && !is_in_range(date(2201, 1, 1)));
}
