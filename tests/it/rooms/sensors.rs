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

    /// Returns the mean log loss of each day against the true occupancy, by room.
    fn losses(&self, forecasts: &[Vec<DeviceForecast>]) -> Vec<Vec<f64>> {
        let calendar = Calendar::default();
        let names = self.building.room_names();
        let loss = |forecast: &DeviceForecast, room: usize| {
            let of = |hour: i32| self.truth[room].binary_search(&calendar.start(hour)).is_ok();
            forecast.hours.iter().map(|hour| log_loss(hour.probability, of(hour.hour))).sum::<f64>() / 24.0
        };
        let of_room = |(room, name): (usize, &String)| {
            let found = forecasts.iter().filter_map(|day| day.iter().find(|forecast| forecast.device == *name));
            found.map(|forecast| loss(forecast, room)).collect()
        };
        names.iter().enumerate().map(of_room).collect()
    }
}

/// Returns the mean of each day over rooms.
fn daily(rooms: &[Vec<f64>]) -> Vec<f64> {
    let days = rooms.iter().map(Vec::len).min().unwrap_or(0);
    (0..days).map(|day| rooms.iter().map(|room| room[day]).sum::<f64>() / rooms.len() as f64).collect()
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
    let (mut gains, mut gains_by_room, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    let sum = |losses: &Vec<f64>| losses.iter().sum::<f64>();
    for site in SEEDS.map(Site::new) {
        let both = site.forecasts(None);
        let losses = daily(&site.losses(&both));
        let alone = [1, 2].map(|number| site.forecasts(Some(number)));
        let by_room = [&alone[0], &alone[1]].map(|forecasts| site.losses(forecasts));
        let gain = |one: &[f64]| one.iter().zip(&losses).map(|(one, two)| one - two).collect::<Vec<_>>();
        // The better sensor of the site, and that of each room, both chosen by the days that are compared.
        let better = by_room.iter().map(|rooms| daily(rooms)).min_by(|a, b| sum(a).total_cmp(&sum(b))).unwrap();
        gains.extend(gain(&better));
        let [first, second] = &by_room;
        let best =
            |(first, second): (&Vec<f64>, &Vec<f64>)| if sum(first) <= sum(second) { first } else { second }.clone();
        gains_by_room.extend(gain(&daily(&first.iter().zip(second).map(best).collect::<Vec<_>>())));
        for one in &alone {
            for (before, after) in both.iter().flatten().zip(one.iter().flatten()) {
                assert_eq!(before.device, after.device);
                let hours = before.hours.iter().zip(&after.hours);
                moved.extend(hours.map(|(before, after)| (before.probability - after.probability).abs()));
            }
        }
    }
    let (gain, lowest) = interval(&gains);
    let (room_gain, room_lowest) = interval(&gains_by_room);
    let moved = moved.iter().sum::<f64>() / moved.len() as f64;
    println!(
        "two sensors save {gain:.5} of the log loss of the better one, at least {lowest:.5}; one less moves {moved:.4}; \
        of the better one of each room {room_gain:.5}, at least {room_lowest:.5}"
    );
    assert!(lowest > 0.0, "{gain} from {lowest}");
    assert!(moved <= 0.02, "{moved}");
}
