//! Forecasts of a level, in agreement with the levels below it.

use std::path::Path;

use anyhow::{Context, bail};

use super::models;
use crate::commands::arguments::check_level;
use crate::commands::output::remark;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{self, DeviceForecast, ahead, coherent};
use roomcast_forecast::hourly::{HORIZON, Hourly, MAX_DAYS};
use roomcast_forecast::model::Models;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::Level;
use roomcast_storage::inputs::SiteReadings;

/// The inputs of forecasts.
pub struct Plan<'a> {
    pub site: &'a SiteReadings,
    pub calendar: &'a Calendar,
    /// The registry of saved models; without it, models are fitted.
    pub models: Option<&'a Path>,
    pub rule: Rule,
    pub origin: Timestamp,
    /// Days of 24 hours that the forecasts reach.
    pub days: usize,
    /// The end of what is known: the origin, unless that is yet to come.
    pub known_until: Timestamp,
}

/// The forecasts of one level.
pub struct Series {
    pub forecasts: Vec<DeviceForecast>,
    pub readings: Readings,
    pub hourly: Hourly,
    pub models: Models,
}

impl Plan<'_> {
    /// Forecasts a level. Floors and buildings are at least as likely to be occupied as what they hold.
    ///
    /// # Errors
    /// Returns an error for a level that the table of rooms does not have, and those of models and features.
    pub fn forecast(&self, level: Level) -> anyhow::Result<Series> {
        check_level(level, &self.site.rooms)?;
        if level == Level::Floor {
            self.say_left_out();
        }
        let mut wanted = self.of_level(level)?;
        let (end, reached) = (
            self.calendar.next_hour(self.origin) + (HORIZON * self.days) as i32,
            wanted.hourly.end + (HORIZON * MAX_DAYS) as i32,
        );
        if end > reached && wanted.hourly.stale.is_none() {
            let reach = self.calendar.format(self.calendar.start(reached));
            remark(&format!(
                "from {reach} on, which is more than {MAX_DAYS} days ahead, it is each {level}'s usual rate"
            ));
        }
        if wanted.forecasts.is_empty() {
            bail!("no {level} has a reading before {}", self.calendar.format(self.origin));
        }
        if level == Level::Room {
            return Ok(wanted);
        }
        let table = &self.site.rooms;
        let rooms = self.of_level(Level::Room)?.forecasts;
        let threshold = wanted.models.threshold;
        if level == Level::Floor {
            coherent(table, &rooms, &mut wanted.forecasts, &mut [], (threshold, threshold));
        } else if table.has_floors() {
            let mut floors = self.of_level(Level::Floor)?;
            let thresholds = (floors.models.threshold, threshold);
            coherent(table, &rooms, &mut floors.forecasts, &mut wanted.forecasts, thresholds);
        } else {
            coherent(table, &rooms, &mut [], &mut wanted.forecasts, (threshold, threshold));
        }
        Ok(wanted)
    }

    /// Says how many rooms are on no floor, and so count in none.
    fn say_left_out(&self) {
        let rooms = self.site.at(Level::Room, self.calendar);
        let names = rooms.devices.iter().map(|room| room.device.as_str());
        let alone: Vec<&str> = names.filter(|room| self.site.rooms.floor_of(room).is_none()).collect();
        match alone[..] {
            [] => {}
            [one] => remark(&format!("1 room is on no floor and counts in none: {one}")),
            [first, ..] => remark(&format!("{} rooms are on no floor and count in none, such as {first}", alone.len())),
        }
    }

    /// Forecasts the series of a level by themselves.
    fn of_level(&self, level: Level) -> anyhow::Result<Series> {
        let Plan { calendar, origin, days, .. } = *self;
        let readings = self.site.at(level, calendar);
        let hourly = Hourly::unless_stale(&readings, calendar, self.known_until, self.site.summary.heard);
        let rates = SiteRates::new(&hourly);
        let mut models = match hourly.stale {
            Some(_) => Models::default(),
            None => models(self.models, &self.site.rooms, level, (&hourly, &rates), calendar)?,
        };
        models.threshold = self.rule.threshold(&models.site.out_of_sample);
        let is_ahead = calendar.next_hour(origin) > hourly.end;
        let hourly = hourly.reaching(if is_ahead { MAX_DAYS } else { days }, calendar);
        let rates = rates.reaching(&hourly);
        let mut forecasts = forecast::forecast_all(&hourly, &rates, &models).context("cannot build the features")?;
        if is_ahead {
            let later = ahead::forecast_all(&readings, calendar, origin, days, &hourly, &models);
            forecasts = ahead::joined(&forecasts, later.context("cannot build the features")?);
        }
        Ok(Series { forecasts, readings, hourly, models })
    }
}

/// Returns the end of what is known of a time: the time itself, or the present if it is yet to come.
pub fn known_until(sensors: &Readings, calendar: &Calendar, origin: Timestamp) -> Timestamp {
    // Of hours that are yet to begin nothing is known. In the running hour the origin stands, as on a server, which rounds it
    // up. A file may be from a place whose clocks are ahead of this machine's.
    let last = sensors.active_period(origin).map_or(Timestamp::MIN, |(_, last)| last);
    let present = calendar.now().max(last.saturating_add(1));
    let is_ahead = calendar.next_hour(origin) > calendar.next_hour(present);
    if is_ahead { present } else { origin }
}
