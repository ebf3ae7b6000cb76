//! Floors and buildings: series of their own, and in agreement with what they hold.

use std::sync::Arc;

use super::grid::Grid;
use super::loaded::Loaded;
use super::snapshot::{History, Snapshot};
use crate::metrics::Metrics;
use crate::problem::Problem;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::forecast::{DeviceForecast, coherent};
use roomcast_forecast::rooms::{Level, Rooms};

impl History {
    /// Checks that a level can be forecast.
    ///
    /// # Errors
    /// Returns a `Problem` of the parameter `level` for a level that the table of rooms does not have.
    pub(crate) fn check_level(&self, level: Level) -> Result<(), Problem> {
        let rooms: &Rooms = &self.rooms;
        if level == Level::Room || rooms.levels().contains(&level) {
            return Ok(());
        }
        let what = if rooms.is_empty() { "there is no table of rooms" } else { "the table of rooms has no floors" };
        let hint =
            "send a table with the columns sensor, room, floor and building to PUT /rooms, or start with --rooms";
        Err(Problem::parameter("level", what).hint(hint))
    }
}

impl Snapshot {
    /// Returns data and models of a level that the table of rooms has. Must be called off the async threads: the series
    /// of a level above the rooms are made at the first call.
    pub fn at(self: &Arc<Self>, level: Level, calendar: &Calendar) -> Arc<Snapshot> {
        let above = match level {
            Level::Room => return self.clone(),
            Level::Floor => &self.above[0],
            Level::Building => &self.above[1],
        };
        let make = || {
            let history = self.history.at(level, calendar);
            let loaded = Loaded::of_level(&self.loaded, level, &history.readings, calendar, self.older.rule());
            Arc::new(Snapshot::new(Arc::new(history), Arc::new(loaded), self.older.of_level(level).into()))
        };
        above.get_or_init(make).clone()
    }

    /// Returns the forecasts of a level, of the series at these positions or of all without any, and their grid. A floor
    /// is at least as likely to be occupied as each of its rooms, and a building as each of its floors. Must be called off
    /// the async threads.
    ///
    /// # Errors
    /// As [`Snapshot::forecasts`].
    pub fn of_level(
        self: &Arc<Self>,
        level: Level,
        (origin, days): (Timestamp, usize),
        series: &[u32],
        calendar: &Calendar,
        metrics: &Metrics,
    ) -> Result<(Arc<Grid>, Vec<DeviceForecast>), Problem> {
        let forecasts = |level, series: &[u32]| self.at(level, calendar).days(origin, days, series, calendar, metrics);
        if level == Level::Room {
            return forecasts(level, series);
        }
        let table = &self.history.rooms;
        let (_, rooms) = forecasts(Level::Room, &[])?;
        let (grid, mut wanted) = forecasts(level, &[])?;
        let threshold = grid.loaded.models.threshold;
        if level == Level::Floor {
            coherent(table, &rooms, &mut wanted, &mut [], (threshold, threshold));
        } else if table.has_floors() {
            let (below, mut floors) = forecasts(Level::Floor, &[])?;
            let thresholds = (below.loaded.models.threshold, threshold);
            coherent(table, &rooms, &mut floors, &mut wanted, thresholds);
        } else {
            coherent(table, &rooms, &mut [], &mut wanted, (threshold, threshold));
        }
        if !series.is_empty() {
            let all = self.at(level, calendar);
            let named = |name: &str| series.iter().any(|&at| all.history.readings.devices[at as usize].device == name);
            wanted.retain(|forecast| named(&forecast.device));
        }
        Ok((grid, wanted))
    }
}
