//! The grid of what is known at the time of a forecast, which may be yet to come, and the forecast from it.

use anyhow::Context;

use crate::commands::output::remark;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{self, DeviceForecast, ahead};
use roomcast_forecast::hourly::{HORIZON, Hourly};
use roomcast_forecast::model::Models;
use roomcast_forecast::readings::Readings;

/// Returns the grid of what is known at `origin`; of a time that is yet to come, at present. `heard` is the last sign of
/// life of any sensor.
pub fn grid(readings: &Readings, calendar: &Calendar, origin: Timestamp, heard: Option<Timestamp>) -> Hourly {
    // Of hours that are yet to begin nothing is known. In the running hour the origin stands, as on a server, which rounds it
    // up. A file may be from a place whose clocks are ahead of this machine's.
    let last = readings.active_period(origin).map_or(Timestamp::MIN, |(_, last)| last);
    let present = calendar.now().max(last.saturating_add(1));
    let is_ahead = calendar.next_hour(origin) > calendar.next_hour(present);
    Hourly::unless_stale(readings, calendar, if is_ahead { present } else { origin }, heard)
}

/// Forecasts the 24 hours after `origin` from the grid: by the models as far as they reach, and by each room's usual rate
/// after that.
///
/// # Errors
/// Returns an error when the features cannot be built.
pub fn forecasts(
    readings: &Readings,
    calendar: &Calendar,
    origin: Timestamp,
    hourly: &Hourly,
    rates: &SiteRates,
    models: &Models,
) -> anyhow::Result<Vec<DeviceForecast>> {
    let near = forecast::forecast_all(hourly, rates, models).context("cannot build the features")?;
    if calendar.next_hour(origin) <= hourly.end {
        return Ok(near);
    }
    let later = ahead::forecast_all(readings, calendar, origin, hourly, models).context("cannot build the features")?;
    if hourly.stale.is_none() {
        let reach = calendar.format(calendar.start(hourly.end + HORIZON as i32));
        remark(&format!("from {reach} on, which is more than {HORIZON} hours ahead, it is each room's usual rate"));
    }
    Ok(ahead::joined(&near, later))
}
