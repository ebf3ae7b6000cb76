//! Floors and buildings of a backtest: their forecasts agree with those of the rooms, and are compared with the product
//! `1 − ∏(1 − p)` over the rooms, which would be right if people came and went independently of each other.

use std::collections::HashMap;

use serde::Serialize;

use super::ScoredHour;
use super::scores::{Outcome, score};
use super::skill::{Interval, saved};
use crate::calendar::{Hour, Timestamp};
use crate::measures::loss::log_loss;
use crate::readings::Readings;
use crate::rooms::{Level, Rooms};

/// Scored hours of one level, and the series that they index.
#[derive(Debug, Clone, Copy)]
pub struct Replayed<'a> {
    /// The series of the level.
    pub readings: &'a Readings,
    /// Its hours.
    pub hours: &'a [ScoredHour],
}

/// The forecast of an hour by the series below one series.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// The highest probability of them.
    highest: f32,
    /// True when one of them is forecast as occupied.
    occupied: bool,
    /// Probability that all rooms are vacant, if they are independent.
    vacant: f64,
}

/// The forecasts of rooms, and of floors below a building, for the hours of the series of a level.
#[derive(Debug, Clone)]
pub struct Below(HashMap<(u32, Timestamp, Hour), Held>);

/// The forecast of a level beside the product of the forecasts of its rooms, over the same hours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Independence {
    /// The level.
    pub level: Level,
    /// Number of hours compared.
    pub hours: usize,
    /// Mean log loss of the level's own forecast.
    pub log_loss: f64,
    /// Mean log loss of the product.
    pub product_log_loss: f64,
    /// Share of the product's log loss that the level's own forecast saves.
    pub saved: Interval,
    /// Difference of the mean probability from the share of occupied hours.
    pub calibration_gap: f64,
    /// The same of the product.
    pub product_calibration_gap: f64,
    /// Mean gap between probability and share of occupied hours, over 10 bins of equally many hours.
    pub calibration_error: f64,
    /// The same of the product.
    pub product_calibration_error: f64,
}

impl Below {
    /// Gathers what the rooms say of each series of `level` in `above`, and what the floors say of a building. The floors'
    /// own hours agree with the rooms already.
    pub fn new(
        table: &Rooms,
        level: Level,
        above: &Readings,
        rooms: Replayed<'_>,
        floors: Option<Replayed<'_>>,
    ) -> Below {
        let mut below = Below(HashMap::new());
        below.add(above, rooms, |room| table.name_at(room, level), true);
        if let Some(floors) = floors {
            below.add(above, floors, |floor| table.building_of_floor(floor), false);
        }
        below
    }

    fn add<'a>(
        &mut self,
        above: &Readings,
        below: Replayed<'a>,
        parent: impl Fn(&'a str) -> Option<&'a str>,
        are_rooms: bool,
    ) {
        let position = |name: &str| above.devices.binary_search_by(|d| d.device.as_str().cmp(name)).ok();
        let series = below.readings.devices.iter().map(|device| parent(&device.device).and_then(position));
        let series: Vec<Option<usize>> = series.collect();
        for hour in below.hours {
            let Some(at) = series[hour.device as usize] else { continue };
            let none = Held { highest: 0.0, occupied: false, vacant: 1.0 };
            let held = self.0.entry((at as u32, hour.origin, hour.hour)).or_insert(none);
            held.highest = held.highest.max(hour.probability);
            held.occupied |= hour.occupied;
            if are_rooms {
                held.vacant *= 1.0 - f64::from(hour.probability);
            }
        }
    }

    /// Raises hours of the level to the highest of what is below.
    pub fn raise(&self, hours: &mut [ScoredHour]) {
        for hour in hours {
            if let Some(held) = self.0.get(&(hour.device, hour.origin, hour.hour)) {
                hour.probability = hour.probability.max(held.highest);
                hour.occupied |= held.occupied;
            }
        }
    }

    /// Compares hours of the level with the product over its rooms; `None` without an hour.
    pub fn compare(&self, level: Level, hours: &[ScoredHour]) -> Option<Independence> {
        let held = |hour: &&ScoredHour| self.0.contains_key(&(hour.device, hour.origin, hour.hour));
        let hours: Vec<&ScoredHour> = hours.iter().filter(held).collect();
        let product = |hour: &ScoredHour| (1.0 - self.0[&(hour.device, hour.origin, hour.hour)].vacant) as f32;
        let outcome = |hour: &ScoredHour, probability: f32| Outcome {
            probability,
            occupied: probability >= 0.5,
            actual: hour.actual,
        };
        let own = score(&hours.iter().map(|hour| outcome(hour, hour.probability)).collect::<Vec<_>>())?;
        let other = score(&hours.iter().map(|hour| outcome(hour, product(hour))).collect::<Vec<_>>())?;
        let loss = |probability: f32, hour: &ScoredHour| log_loss(probability.into(), hour.actual);
        let losses = hours.iter().map(|hour| (hour.day, loss(hour.probability, hour), loss(product(hour), hour)));
        Some(Independence {
            level,
            hours: hours.len(),
            log_loss: own.log_loss,
            product_log_loss: other.log_loss,
            saved: saved(losses),
            calibration_gap: (own.mean_probability - own.occupied_share).abs(),
            product_calibration_gap: (other.mean_probability - other.occupied_share).abs(),
            calibration_error: own.calibration_error,
            product_calibration_error: other.calibration_error,
        })
    }
}
