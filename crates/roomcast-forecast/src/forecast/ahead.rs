//! Forecasts of a time that is yet to come: as far as the models reach from the present, and the usual rate after that.

use polars::prelude::PolarsResult;

use super::{DeviceForecast, HourForecast};
use crate::calendar::{Calendar, Timestamp};
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::Models;
use crate::readings::Readings;

/// Forecasts every device for some days from an `origin` after the end of what is known, `present`: the rate of the hour of the week.
/// The hours in between are unknown, which is not the same as vacant.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast_all(
    readings: &Readings,
    calendar: &Calendar,
    origin: Timestamp,
    days: usize,
    present: &Hourly,
    models: &Models,
) -> PolarsResult<Vec<DeviceForecast>> {
    let since = present.stale.unwrap_or(present.origin);
    let hourly = Hourly::unknown_since(readings, calendar, origin, since).reaching(days, calendar);
    super::forecast_all(&hourly, &SiteRates::new(&hourly), models)
}

/// Returns the forecasts of a later origin with the hours that those of an earlier one reach, their sources and their
/// statuses.
pub fn joined(earlier: &[DeviceForecast], mut later: Vec<DeviceForecast>) -> Vec<DeviceForecast> {
    for forecast in &mut later {
        let Ok(at) = earlier.binary_search_by(|near| near.device.cmp(&forecast.device)) else { continue };
        let near = &earlier[at];
        forecast.status = near.status;
        for hour in &mut forecast.hours {
            let reached: Option<&HourForecast> = near.hours.iter().find(|near| near.hour == hour.hour);
            if let Some(reached) = reached {
                *hour = *reached;
                forecast.source = near.source;
            }
        }
    }
    later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{HOUR, Hour};
    use crate::hourly::Status;
    use crate::model::Source;
    use crate::readings::{DeviceReadings, Times};

    #[test]
    fn hours_that_the_present_reaches_are_its_own_and_keep_their_source() {
        let forecast = |device: &str, from: Hour, probability: f64, source| DeviceForecast {
            device: device.into(),
            status: Status::Live,
            source,
            hours: (from..from + 24).map(|hour| HourForecast { hour, probability, occupied: false }).collect(),
        };
        let near = [forecast("a", 100, 0.75, Source::Model), forecast("b", 100, 0.5, Source::Building)];
        let later =
            |from| vec![forecast("a", from, 0.25, Source::Baseline), forecast("c", from, 0.25, Source::Baseline)];
        let of = |from| {
            let joined = joined(&near, later(from));
            let reached = joined[0].hours.iter().filter(|hour| hour.probability == 0.75).count();
            (reached, joined[0].source, joined[0].hours[0].hour, joined[1].clone())
        };
        assert_eq!(of(105), (19, Source::Model, 105, later(105)[1].clone()));
        assert_eq!(of(200), (0, Source::Baseline, 200, later(200)[1].clone()));
    }

    /// An office used from 9 to 17 on every day, and a Tuesday that is forecast on Monday at 10.
    #[test]
    fn the_hours_until_a_time_to_come_are_not_taken_for_vacant() {
        let calendar = Calendar::default();
        let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
        let present = monday + 28 * 24 * HOUR + 10 * HOUR;
        let hours = (0..29 * 24).filter(|hour| (9..17).contains(&(hour % 24)));
        let times = hours.map(|hour| monday + hour * HOUR).filter(|&time| time < present).collect();
        let readings =
            Readings { devices: vec![DeviceReadings { device: "office".into(), times, offs: Times::default() }] };
        let hourly = Hourly::unless_stale(&readings, &calendar, present, None);
        let origin = monday + 29 * 24 * HOUR;
        let later = forecast_all(&readings, &calendar, origin, 1, &hourly, &Models::default()).unwrap();
        let at_noon = later[0].hours[12].probability;
        assert!(at_noon > 0.8, "{at_noon}");
        // To take the afternoon for vacant lowers what is expected at the same hour of the next days.
        let vacant = Hourly::new(&readings, &calendar, origin);
        let vacant = crate::forecast::forecast_all(&vacant, &SiteRates::new(&vacant), &Models::default()).unwrap();
        assert!(vacant[0].hours[12].probability < at_noon, "{} {at_noon}", vacant[0].hours[12].probability);
    }
}
