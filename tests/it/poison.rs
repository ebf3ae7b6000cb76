//! A faulty device must not spoil the forecasts of the others, and must be forgotten soon after it is mended.

use std::collections::BTreeMap;

use roomcast_forecast::backtest::{BacktestPlan, ScoredHour, run};
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::measures::loss::log_loss;
use roomcast_forecast::readings::{DeviceReadings, Readings, Times};

const DAY: i64 = 24 * HOUR;
/// Days before the first origin, and days forecast.
const KNOWN: i64 = 56;
const SCORED: i64 = 14;
const ROOMS: usize = 8;
const SEEDS: [u64; 2] = [5, 11];

fn building(seed: u64) -> (Readings, Timestamp) {
    let from = chrono::NaiveDate::from_ymd_opt(2016, 5, 2).unwrap();
    let to = from + chrono::Days::new((KNOWN + SCORED) as u64);
    let mut building = roomcast_simulate::Building::new(seed, ROOMS, from, to);
    building.faults = 0.0;
    (building.readings(), Calendar::default().parse("2016-05-02 00:00:00").unwrap())
}

/// Replays two weeks with weekly fits. Returns the hours by device name, origin and target.
fn replay(readings: &Readings, monday: Timestamp) -> BTreeMap<(String, Timestamp, i32), ScoredHour> {
    let [from, to] = [KNOWN, KNOWN + SCORED - 1].map(|day| monday + day * DAY);
    let plan = BacktestPlan { from, to, every: DAY, refit: 7 * DAY, history: None, days: 1 };
    let hours = run(readings, &Calendar::default(), &plan, &|_, _| ()).unwrap();
    let name = |hour: &ScoredHour| readings.devices[hour.device as usize].device.clone();
    hours.into_iter().map(|hour| ((name(&hour), hour.origin, hour.hour), hour)).collect()
}

/// The device at a position fires in every hour of some days.
fn stick(readings: &mut Readings, device: usize, monday: Timestamp, days: std::ops::Range<i64>) {
    let times = &mut readings.devices[device].times;
    times.extend((days.start * 24..days.end * 24).map(|hour| monday + hour * HOUR + 77));
}

/// Mean change of the probability, and of the log loss, of the hours that a device passes.
fn change(
    sound: &BTreeMap<(String, Timestamp, i32), ScoredHour>,
    faulty: &BTreeMap<(String, Timestamp, i32), ScoredHour>,
    counts: impl Fn(&str, Timestamp) -> bool,
) -> (f64, f64) {
    let mut sums = (0.0, 0.0, 0.0);
    for (key, before) in sound.iter().filter(|(key, _)| counts(&key.0, key.1)) {
        let after = &faulty[key];
        // The truth is that of the sound building.
        let loss = |hour: &ScoredHour| log_loss(hour.probability.into(), before.actual);
        sums.0 += f64::from((after.probability - before.probability).abs());
        sums.1 += loss(after) - loss(before);
        sums.2 += 1.0;
    }
    (sums.0 / sums.2, sums.1 / sums.2)
}

#[test]
fn a_stuck_device_changes_the_others_forecasts_little() {
    for seed in SEEDS {
        let (sound, monday) = building(seed);
        let mut faulty = sound.clone();
        stick(&mut faulty, 2, monday, 40..KNOWN + SCORED);
        let stuck = sound.devices[2].device.clone();
        let (moved, lost) = change(&replay(&sound, monday), &replay(&faulty, monday), |device, _| device != stuck);
        println!("seed {seed}: stuck for 16 days and more: probability of others {moved:.4}, log loss {lost:+.4}");
        assert!(moved < 0.01 && lost < 0.004, "seed {seed}: {moved} {lost}");
    }
}

#[test]
fn a_twin_changes_the_others_forecasts_little() {
    for seed in SEEDS {
        let (sound, monday) = building(seed);
        let mut faulty = sound.clone();
        let times = faulty.devices[3].times.iter().map(|time| time + 3).collect();
        faulty.devices.push(DeviceReadings { device: "twin".into(), times, offs: Times::default() });
        let (moved, lost) = change(&replay(&sound, monday), &replay(&faulty, monday), |_, _| true);
        println!("seed {seed}: twin: probability of others {moved:.4}, log loss {lost:+.4}");
        assert!(moved < 0.02 && lost < 0.004, "seed {seed}: {moved} {lost}");
    }
}

#[test]
fn a_stuck_device_is_forgotten_the_day_after_it_is_mended() {
    for seed in SEEDS {
        let (sound, monday) = building(seed);
        for length in [4, 14] {
            let mut faulty = sound.clone();
            stick(&mut faulty, 2, monday, KNOWN - length..KNOWN);
            let (before, after) = (replay(&sound, monday), replay(&faulty, monday));
            let stuck = sound.devices[2].device.clone();
            // On the first day nobody knows that it is mended.
            let (moved, lost) =
                change(&before, &after, |device, origin| device == stuck && (origin - monday) / DAY - KNOWN >= 1);
            println!(
                "seed {seed}: stuck for {length} days, from the second day after: {moved:.3}, log loss {lost:+.3}"
            );
            assert!(moved < 0.05 && lost < 0.03, "seed {seed}, {length} days: {moved} {lost}");
        }
    }
}
