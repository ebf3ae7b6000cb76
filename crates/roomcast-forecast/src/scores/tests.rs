use super::*;
use crate::forecast::HourForecast;
use crate::hourly::Status;
use crate::model::Source;
use crate::model::rule::OutOfSample;
use crate::readings::{DeviceReadings, Readings};

/// A midnight, and the hour that begins with it.
const MIDNIGHT: Hour = 24 * 17_000;

fn forecast(device: &str, origin: Hour, probability: f64) -> DeviceForecast {
    let hour = |hour| HourForecast { hour, probability, occupied: probability >= 0.5 };
    let hours = (origin..origin + 24).map(hour).collect();
    DeviceForecast { device: device.into(), status: Status::Live, source: Source::Model, hours }
}

/// Returns the grid of a device that moved once in each of these hours, as of an instant.
fn grid(device: &str, hours: &[Hour], origin: Timestamp) -> Hourly {
    let times: Vec<Timestamp> = hours.iter().map(|&hour| i64::from(hour) * HOUR + 60).collect();
    let readings = Readings {
        devices: vec![DeviceReadings { device: device.into(), times: times.into(), ..DeviceReadings::default() }],
    };
    Hourly::new(&readings, &Calendar::default(), origin)
}

#[test]
fn an_hour_is_scored_once_it_has_closed() {
    let calendar = Calendar::default();
    let hour = MIDNIGHT + 9;
    let mut scores = Scores::default();
    assert_eq!(scores.wanted(hour, MIDNIGHT), [hour, MIDNIGHT]);
    scores.record(hour, hour, MIDNIGHT, &[forecast("a", hour, 0.8)], &[forecast("a", hour, 0.5)]);
    scores.record(MIDNIGHT, hour, MIDNIGHT, &[forecast("a", MIDNIGHT, 0.6)], &[forecast("a", MIDNIGHT, 0.4)]);
    assert_eq!(scores.wanted(hour, MIDNIGHT), [0; 0]);
    assert_eq!(scores.wanted(hour + 1, MIDNIGHT), [hour + 1]);
    let end = calendar.start(hour + 1);
    assert!(!scores.is_due(end + WATERMARK - 1, &calendar));
    scores.close(&grid("a", &[hour - 1, hour], end + WATERMARK - 1), end + WATERMARK - 1, &calendar);
    assert_eq!(scores.device("a"), None);
    assert!(scores.is_due(end + WATERMARK, &calendar));
    scores.close(&grid("a", &[hour - 1, hour], end + WATERMARK), end + WATERMARK, &calendar);
    let live = scores.device("a").unwrap();
    assert_eq!(live.hours, 1);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    near(live.log_loss, -(0.8_f64.ln()));
    near(live.baseline, -(0.5_f64.ln()));
    near(live.skill, 1.0 - 0.8_f64.ln() / 0.5_f64.ln());
    near(live.brier, 0.04);
    near(live.day_ahead.unwrap(), -(0.6_f64.ln()));
    assert_eq!(scores.site(), Some(live));
    // It is scored once, and the next is not due yet.
    assert!(!scores.is_due(end + WATERMARK, &calendar));
    scores.close(&grid("a", &[hour - 1, hour], end + WATERMARK), end + WATERMARK, &calendar);
    assert_eq!(scores.device("a"), Some(live));
}

#[test]
fn hours_of_which_nothing_is_known_are_not_scored() {
    let calendar = Calendar::default();
    let mut scores = Scores::default();
    scores.record(MIDNIGHT, MIDNIGHT, MIDNIGHT, &[forecast("a", MIDNIGHT, 0.8)], &[forecast("a", MIDNIGHT, 0.5)]);
    // The device was first seen ten hours later; nothing is known of the hours before.
    let now = calendar.start(MIDNIGHT + 12) + WATERMARK;
    scores.close(&grid("a", &[MIDNIGHT + 10, MIDNIGHT + 11], now), now, &calendar);
    assert_eq!(scores.devices["a"].days.sum().day_hours, 2);
    assert_eq!((scores.device("a"), scores.devices["a"].pending.len()), (None, 12));
    // Nothing is known of a device that is gone.
    let now = now + 48 * HOUR;
    scores.close(&grid("b", &[MIDNIGHT], now), now, &calendar);
    assert!(scores.devices["a"].pending.is_empty());
    scores.close(&grid("b", &[MIDNIGHT], now), now + 30 * 24 * HOUR, &calendar);
    assert!(scores.devices.is_empty());
}

#[test]
fn two_weeks_count_and_memory_is_bounded() {
    let calendar = Calendar::default();
    let mut scores = Scores::default();
    let occupied: Vec<Hour> = (MIDNIGHT..MIDNIGHT + 24 * 40).collect();
    let now = |hour: Hour| calendar.start(hour) + WATERMARK;
    for hour in MIDNIGHT..MIDNIGHT + 24 * 30 {
        // The model is worse than the baseline from the tenth day on; from the 23rd on the window holds only such days.
        let probability = if hour < MIDNIGHT + 24 * 10 { 0.9 } else { 0.4 };
        let midnight = hour - hour % 24;
        scores.record(hour, hour, midnight, &[forecast("a", hour, probability)], &[forecast("a", hour, 0.5)]);
        scores.close(&grid("a", &occupied, now(hour)), now(hour), &calendar);
        assert!(scores.devices["a"].pending.len() <= 26);
        assert_eq!(scores.worse().count(), usize::from(hour >= MIDNIGHT + 24 * 23), "{hour}");
    }
    let live = scores.device("a").unwrap();
    // The last hour has not closed.
    assert_eq!(live.hours, 14 * 24 - 1);
    assert!(live.skill < 0.0, "{live:?}");
}

#[test]
fn scores_outlive_the_process() {
    let mut scores = Scores::default();
    scores.record(MIDNIGHT, MIDNIGHT, MIDNIGHT, &[forecast("a", MIDNIGHT, 0.8)], &[forecast("a", MIDNIGHT, 0.5)]);
    let now = MIDNIGHT + 12;
    let now = Calendar::default().start(now) + WATERMARK;
    scores.close(&grid("a", &[MIDNIGHT, MIDNIGHT + 11], now), now, &Calendar::default());
    let bytes = scores.bytes().unwrap();
    assert_eq!(Scores::parse(&bytes), Ok(scores));
    assert_eq!(Scores::parse(&bytes[..bytes.len() - 3]), Err(ScoresError));
    assert_eq!(Scores::parse(b"something else"), Err(ScoresError));
}

#[test]
fn scores_of_the_version_before_are_read_without_outcomes() {
    let mut scores = Scores { kept: (Some(MIDNIGHT + 3), Some(MIDNIGHT)), ..Scores::default() };
    scores.calibration.add(3, 0.5, true);
    let body = postcard::to_allocvec(&(&scores.devices, &scores.calibration, &scores.kept)).unwrap();
    assert_eq!(Scores::parse(&[b"roomcast scores 1\n", body.as_slice()].concat()), Ok(scores));
}

fn calibration_gap(week: &Week, judged: &OutOfSample) -> Option<f64> {
    calibration::gap(&week.reliability(), &judged.reliability(BINS))
}

#[test]
fn the_gap_is_the_mean_distance_of_shares_weighted_by_count() {
    let mut judged = OutOfSample::default();
    // No hour of the lowest bin was occupied, every hour of the highest was.
    (0..10).for_each(|_| judged.add(0.05, false));
    (0..10).for_each(|_| judged.add(0.95, true));
    let mut week = Week::default();
    assert_eq!(calibration_gap(&week, &judged), None);
    (0..6).for_each(|_| week.add(1, 0.02, false));
    assert_eq!(calibration_gap(&week, &judged), Some(0.0));
    (0..2).for_each(|n| week.add(2, 1.0, n == 0));
    assert_eq!(calibration_gap(&week, &judged), Some(0.125));
    // A bin without judged forecasts does not count.
    week.add(2, 0.5, true);
    assert_eq!(calibration_gap(&week, &judged), Some(0.125));
    assert_eq!(calibration_gap(&week, &OutOfSample::default()), None);
    // A week later only the new day counts.
    week.add(9, 0.01, true);
    assert_eq!(calibration_gap(&week, &judged), Some(1.0));
}

#[test]
fn many_empty_nights_do_not_hide_a_gap_of_likely_hours() {
    let mut judged = OutOfSample::default();
    (0..10).for_each(|_| judged.add(0.05, false));
    (0..10).for_each(|n| judged.add(0.75, n < 7));
    let mut scores = Scores::default();
    (0..90).for_each(|_| scores.calibration.add(1, 0.01, false));
    (0..10).for_each(|n| scores.calibration.add(1, 0.75, n < 2));
    let close = |gap: Option<f64>, to: f64| gap.is_some_and(|gap| (gap - to).abs() < 1e-9);
    let (all, likely) = (scores.calibration_gap(&judged), scores.likely_calibration_gap(&judged));
    assert!(close(all, 0.05) && close(likely, 0.5), "{all:?} {likely:?}");
    let bins = scores.reliability().0.map(|bin| (bin.occupied, bin.hours));
    assert_eq!((bins[0], bins[7]), ((0, 90), (2, 10)));
}

#[test]
fn reliability_counts_every_forecast_once() {
    let mut judged = OutOfSample::default();
    for n in 0..100 {
        judged.add(f64::from(n) / 100.0 + 0.001, n % 2 == 0);
    }
    let bins = judged.reliability(BINS);
    assert!(bins.iter().all(|bin| (bin.hours, bin.occupied) == (10, 5)), "{bins:?}");
    // 0.401, 0.411 … 0.491, each counted in the middle of a part that is half a hundredth wide.
    assert!(bins[4].mean_probability.is_some_and(|mean| (mean - 0.4475).abs() < 1e-9), "{bins:?}");
    assert!(OutOfSample::default().reliability(BINS).iter().all(|bin| bin.hours == 0));
}
