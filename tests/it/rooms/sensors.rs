//! What a second sensor in a room is worth, on simulated sites whose true occupancy is known.

use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{DeviceForecast, forecast_all};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::measures::loss::log_loss;
use roomcast_forecast::model::fit;
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::Level;
use roomcast_simulate::Building;

const DAY: i64 = 24 * HOUR;

/// Number of days that are forecast, the last of each site.
const JUDGED_DAYS: i64 = 28;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// A simulated site, its sensors' readings, and when each room was occupied.
struct Site {
    building: Building,
    sensors: Readings,
    /// Instants at which occupied hours begin, ascending, by room.
    truth: Vec<Vec<Timestamp>>,
    end: Timestamp,
}

impl Site {
    fn new(seed: u64) -> Site {
        let dates = ["2016-05-02", "2016-07-03"].map(|text| text.parse().unwrap());
        let building = Building { sensors_per_room: 2, faults: 0.0, ..Building::new(seed, 8, dates[0], dates[1]) };
        let mut truth = vec![Vec::new(); building.devices];
        let mut end = 0;
        for day in building.days() {
            end = day.midnight() + DAY;
            for (room, hours) in day.occupied.iter().enumerate() {
                truth[room]
                    .extend((0..24).filter(|hour| hours >> hour & 1 == 1).map(|hour| day.midnight() + hour * HOUR));
            }
        }
        Site { sensors: building.readings(), building, truth, end }
    }

    /// Returns the readings of rooms with both sensors, or with the sensor of this number alone.
    fn rooms(&self, alone: Option<usize>) -> Readings {
        let is_there = |name: &str| alone.is_none_or(|number| name.ends_with(&format!("sensor_{number}")));
        let kept = self.sensors.devices.iter().filter(|sensor| is_there(&sensor.device)).cloned().collect();
        let rooms = self.building.rooms().unwrap();
        rooms.readings(&Readings { devices: kept }, Level::Room, &Calendar::default(), Timestamp::MAX)
    }

    /// Returns the forecasts of the last days, each from its midnight, by models fitted before the first of them.
    fn forecasts(&self, alone: Option<usize>) -> Vec<Vec<DeviceForecast>> {
        let (readings, calendar) = (self.rooms(alone), Calendar::default());
        let first = self.end - JUDGED_DAYS * DAY;
        let hourly = Hourly::new(&readings, &calendar, first);
        let models = fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).unwrap();
        let day = |day: i64| {
            let hourly = Hourly::new(&readings, &calendar, first + day * DAY);
            forecast_all(&hourly, &SiteRates::new(&hourly), &models).unwrap()
        };
        (0..JUDGED_DAYS).map(day).collect()
    }

    /// Returns the mean log loss of each day against the true occupancy.
    fn losses(&self, forecasts: &[Vec<DeviceForecast>]) -> Vec<f64> {
        let calendar = Calendar::default();
        let names = self.building.room_names();
        let loss = |forecast: &DeviceForecast| {
            let room = names.iter().position(|name| *name == forecast.device).unwrap();
            let of = |hour: i32| self.truth[room].binary_search(&calendar.start(hour)).is_ok();
            forecast.hours.iter().map(|hour| log_loss(hour.probability, of(hour.hour))).sum::<f64>()
        };
        forecasts.iter().map(|day| day.iter().map(loss).sum::<f64>() / (24 * day.len()) as f64).collect()
    }
}

/// Returns the mean, and the end nearer to zero of its 95 % interval by the normal distribution.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, mean - 1.96 * (variance / n).sqrt())
}

#[test]
fn two_sensors_beat_the_better_one_alone_and_one_may_go() {
    let (mut gains, mut moved) = (Vec::new(), Vec::new());
    for site in SEEDS.map(Site::new) {
        let both = site.forecasts(None);
        let losses = site.losses(&both);
        let alone = [1, 2].map(|number| site.forecasts(Some(number)));
        let better = alone.iter().map(|forecasts| site.losses(forecasts));
        let sum = |losses: &Vec<f64>| losses.iter().sum::<f64>();
        let better = better.min_by(|a, b| sum(a).total_cmp(&sum(b))).unwrap();
        gains.extend(better.iter().zip(&losses).map(|(one, two)| one - two));
        for one in &alone {
            for (before, after) in both.iter().flatten().zip(one.iter().flatten()) {
                assert_eq!(before.device, after.device);
                let hours = before.hours.iter().zip(&after.hours);
                moved.extend(hours.map(|(before, after)| (before.probability - after.probability).abs()));
            }
        }
    }
    let (gain, lowest) = interval(&gains);
    let moved = moved.iter().sum::<f64>() / moved.len() as f64;
    println!(
        "two sensors save {gain:.5} of the log loss of the better one, at least {lowest:.5}; one less moves {moved:.4}"
    );
    assert!(lowest > 0.0, "{gain} from {lowest}");
    assert!(moved <= 0.02, "{moved}");
}
