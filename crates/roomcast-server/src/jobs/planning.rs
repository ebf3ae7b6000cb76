//! The plan of the present: when each room is on by the server's own rule, for targets that switch something.
//!
//! A forecast begins with the first whole hour at or after its origin. The running hour, and those before it after which a
//! room may still be on, are therefore kept as they were forecast at their beginning. They do not change any more.

use std::collections::BTreeMap;

use super::forecasts;
use crate::problem::Problem;
use crate::publish::RoomPlan;
use crate::state::grid::{BATCH_SIZE, Forecasts};
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Hour, Timestamp};
use roomcast_forecast::decisions::blocks::{Block, blocks};
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::hourly::{DeviceHours, State};
use roomcast_forecast::rooms::Level;

/// Seconds before the end of an hour from which forecasts are of the next one.
const LAST_STEP: i64 = 60;

/// The hours that have begun: of each device the probability that it was given at its beginning.
#[derive(Default)]
pub struct Begun(BTreeMap<Hour, BTreeMap<String, f64>>);

impl Begun {
    /// Keeps the hours from which a room may still be on before `origin`, and forgets others.
    fn update(&mut self, site: &Site, snapshot: &Snapshot, origin: Timestamp) -> Result<(), Problem> {
        let (calendar, rule) = (&site.calendar, &site.settings.blocks);
        let first = calendar.hour(origin - LAST_STEP - rule.setback.max(rule.min_run));
        self.0 = self.0.split_off(&first);
        for hour in first..calendar.next_hour(origin) {
            if self.0.contains_key(&hour) {
                continue;
            }
            let made = forecasts::of_all(site, snapshot, calendar.start(hour))?;
            let chance =
                |forecast: &DeviceForecast| Some((forecast.device.clone(), forecast.hours.first()?.probability));
            self.0.insert(hour, made.cells.iter().filter_map(|cell| chance(&cell.forecast)).collect());
        }
        Ok(())
    }

    /// Returns the plan of each room of a forecast.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn plans(&mut self, site: &Site, snapshot: &Snapshot, made: &Forecasts) -> Result<Vec<RoomPlan>, Problem> {
        let (grid, calendar) = (&made.grid, &site.calendar);
        self.update(site, snapshot, grid.hourly.origin)?;
        let names = made.cells.iter().map(|cell| cell.forecast.device.as_str());
        let thresholds = site.thresholds(site.settings.method, Level::Room, grid, names);
        let plan = |forecast: &DeviceForecast| {
            let before = self.0.iter().filter_map(|(&hour, known)| Some((hour, *known.get(&forecast.device)?)));
            let hours = before.chain(forecast.hours.iter().map(|hour| (hour.hour, hour.probability)));
            blocks(hours, thresholds.of(&forecast.device), &site.settings.blocks, Timestamp::MIN, calendar)
        };
        let mut plans: Vec<Vec<Block>> = made.cells.iter().map(|cell| plan(&cell.forecast)).collect();
        // Rooms that are off for a day, such as before a weekend, are looked at for a week.
        let is_off = |at: &usize| plans[*at].iter().all(|block| block.occupied.0 <= grid.hourly.origin);
        let off: Vec<usize> = (0..plans.len()).filter(is_off).collect();
        let reaching = grid.reaching(calendar);
        for batch in off.chunks(BATCH_SIZE) {
            for (&at, week) in batch.iter().zip(snapshot.weeks(grid, batch, &reaching)?) {
                plans[at] = plan(&week);
            }
        }
        let rooms = plans.into_iter().zip(&made.cells).zip(&grid.hourly.devices).map(|((blocks, cell), known)| {
            let hours_today = self.hours_today(&cell.forecast, known, site, grid.hourly.origin);
            RoomPlan { blocks, hours_today }
        });
        Ok(rooms.collect())
    }

    /// Returns the hours in use of the local day of an origin: those that were, and those that are expected.
    fn hours_today(&self, forecast: &DeviceForecast, known: &DeviceHours, site: &Site, origin: Timestamp) -> f64 {
        let calendar = &site.calendar;
        let running = calendar.hour(origin - 1);
        let today = calendar.local(running).day;
        let is_today = |hour: Hour| calendar.local(hour).day == today;
        let first = (running - 25..=running).find(|&hour| is_today(hour)).unwrap_or(running);
        let state = |hour: Hour| usize::try_from(hour - known.first).ok().and_then(|at| known.states.get(at));
        let before = (first..running).filter(|&hour| state(hour) == Some(&State::Occupied)).count() as f64;
        let has_moved = known.times.last().is_some_and(|time| time >= calendar.start(running));
        let chance = self.0.get(&running).and_then(|known| known.get(&forecast.device)).copied().unwrap_or(0.0);
        let rest = forecast.hours.iter().filter(|hour| hour.hour > running && is_today(hour.hour));
        before + if has_moved { 1.0 } else { chance } + rest.map(|hour| hour.probability).sum::<f64>()
    }
}
