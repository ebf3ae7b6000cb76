//! The forecasts of all devices that are published together, and their JSON.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::decisions::blocks::Block;
use roomcast_forecast::forecast::{DeviceForecast, write};
use roomcast_forecast::hourly::Status;
use roomcast_forecast::model::Source;
use roomcast_forecast::rooms::Level;

/// Longest validity of anything published, in seconds.
const MAX_VALIDITY: i64 = 2 * HOUR;

/// The forecasts of all devices as of one origin.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteForecast {
    /// The origin of the forecasts: only readings before it were used.
    pub origin: Timestamp,
    /// Time of the computation, UTC.
    pub made_at: Timestamp,
    /// The version of the models that made them.
    pub version: String,
    /// One forecast per device, in order of name. All are of the same hours.
    pub forecasts: Vec<DeviceForecast>,
    /// The plan of each of these devices.
    pub plans: Vec<RoomPlan>,
    /// Those of floors and buildings, where there is a table of rooms.
    pub above: Vec<(Level, Vec<DeviceForecast>)>,
}

/// The plan of a room around the present.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomPlan {
    /// The times on, in order; they do not touch.
    pub blocks: Vec<Block>,
    /// Hours in use of the local day: those that were, and those that are expected.
    pub hours_today: f64,
}

impl RoomPlan {
    /// Returns whether the room is on at an instant.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.blocks.iter().any(|block| (block.start..block.end).contains(&now))
    }

    /// Returns the beginning of the next hours in use after an instant.
    pub fn next_occupied(&self, now: Timestamp) -> Option<Timestamp> {
        self.blocks.iter().map(|block| block.occupied.0).find(|&from| from > now)
    }
}

/// The complete forecast of a device.
#[derive(Serialize)]
struct Prediction<'a> {
    device: &'a str,
    origin: &'a str,
    made_at: &'a str,
    model_version: &'a str,
    source: Source,
    status: Status,
    hours: Vec<Hourly<'a>>,
}

#[derive(Serialize)]
struct Hourly<'a> {
    start: &'a str,
    probability: f64,
    state: u8,
}

/// The part of the JSON that is the same for every device.
pub struct Rendered<'a> {
    forecast: &'a SiteForecast,
    origin: String,
    made_at: String,
    /// Start of each hour, RFC 3339.
    pub starts: Vec<String>,
}

impl SiteForecast {
    /// Returns the forecasts of all levels, rooms first.
    pub fn all(&self) -> impl Iterator<Item = (Level, &DeviceForecast)> {
        let above = self.above.iter().flat_map(|(level, made)| made.iter().map(|forecast| (*level, forecast)));
        self.forecasts.iter().map(|forecast| (Level::Room, forecast)).chain(above)
    }

    /// Returns the first hour that is forecast.
    pub fn first(&self) -> Option<Hour> {
        Some(self.forecasts.first()?.hours.first()?.hour)
    }

    /// Returns the seconds until the first hour is over, at most two hours. Returns `None` when it is over or there is
    /// no forecast: an hour of the past needs no forecast.
    pub fn seconds_left(&self, calendar: &Calendar, now: Timestamp) -> Option<u64> {
        let left = calendar.start(self.first()?) + HOUR - now;
        u64::try_from(left.min(MAX_VALIDITY)).ok().filter(|left| *left > 0)
    }

    /// Formats the times as text, once for all devices.
    pub fn render(&self, calendar: &Calendar) -> Rendered<'_> {
        let hours = self.forecasts.first().map_or(&[][..], |forecast| &forecast.hours);
        Rendered {
            forecast: self,
            origin: calendar.rfc3339(self.origin),
            made_at: DateTime::from_timestamp(self.made_at, 0)
                .unwrap_or_default()
                .to_rfc3339_opts(SecondsFormat::Secs, true),
            starts: hours.iter().map(|hour| calendar.rfc3339(calendar.start(hour.hour))).collect(),
        }
    }
}

impl Rendered<'_> {
    /// Returns a device's forecast as one JSON object. Each hour has the form of `GET /predict`.
    ///
    /// # Errors
    /// Returns no error in practice: every value can be written as JSON.
    pub fn prediction(&self, forecast: &DeviceForecast) -> serde_json::Result<Vec<u8>> {
        let hours = self.starts.iter().zip(&forecast.hours);
        serde_json::to_vec(&Prediction {
            device: &forecast.device,
            origin: &self.origin,
            made_at: &self.made_at,
            model_version: &self.forecast.version,
            source: forecast.source,
            status: forecast.status,
            hours: hours
                .map(|(start, hour)| {
                    let (probability, state) = (write::rounded(hour.probability), u8::from(hour.occupied));
                    Hourly { start, probability, state }
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::site_forecast;
    use super::*;

    #[test]
    fn nothing_outlives_its_first_hour() {
        let calendar = Calendar::default();
        let forecast = site_forecast(&["a"], 100);
        let start = 100 * HOUR;
        assert_eq!(forecast.seconds_left(&calendar, start - 3300), Some(6900));
        assert_eq!(forecast.seconds_left(&calendar, start + 3599), Some(1));
        assert_eq!(forecast.seconds_left(&calendar, start + 3600), None);
        assert_eq!(forecast.seconds_left(&calendar, 0), Some(7200));
        assert_eq!(SiteForecast { forecasts: Vec::new(), ..forecast }.seconds_left(&calendar, 0), None);
    }

    #[test]
    fn a_prediction_is_whole() {
        let forecast = site_forecast(&["a/ü"], 100);
        let json = forecast.render(&Calendar::default()).prediction(&forecast.forecasts[0]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["device"], &json["origin"]), (&"a/ü".into(), &"1970-01-05T04:00:00".into()));
        assert_eq!((&json["made_at"], &json["model_version"]), (&"1970-01-05T04:00:01Z".into(), &"v1".into()));
        assert_eq!((&json["source"], &json["status"]), (&"building".into(), &"live".into()));
        assert_eq!(json["hours"].as_array().unwrap().len(), 24);
        assert_eq!(
            json["hours"][1],
            serde_json::json!({ "start": "1970-01-05T05:00:00", "probability": 0.25, "state": 0 })
        );
    }
}
