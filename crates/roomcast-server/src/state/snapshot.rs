//! Data and models of one moment, and everything computed from them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::answer::Cell;
use super::cache::Answers;
use super::grid::{BATCH_SIZE, Forecasts, Grid};
pub(crate) use super::history::MAX_STORE_SILENCE;
pub use super::history::{History, unknown};
use super::loaded::{Loaded, OlderVersions};
use crate::metrics::Metrics;
use crate::problem::Problem;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::hourly::{HORIZON, Hourly};
use roomcast_forecast::readings::DeviceReadings;

/// Maximum number of cached grids. A grid holds a state of each device and hour, and the forecasts made from it.
const MAX_CACHED_GRIDS: usize = 2;

/// Data and models of one moment.
pub struct Snapshot {
    /// The readings.
    pub history: Arc<History>,
    /// The models.
    pub loaded: Arc<Loaded>,
    pub(super) older: Arc<OlderVersions>,
    /// Rendered answers.
    pub answers: Answers,
    grids: Mutex<VecDeque<Arc<Grid>>>,
    computing: Mutex<()>,
    /// The data and models of floors and of buildings, once they were asked for.
    pub(super) above: [OnceLock<Arc<Snapshot>>; 2],
}

impl Snapshot {
    /// Returns a snapshot of data and models, with nothing computed yet.
    pub fn new(history: Arc<History>, loaded: Arc<Loaded>, older: Arc<OlderVersions>) -> Snapshot {
        let (answers, grids, computing) = (Answers::default(), Mutex::default(), Mutex::default());
        Snapshot { history, loaded, older, answers, grids, computing, above: Default::default() }
    }

    /// Returns a snapshot with the same models and a history that has grown by readings of sensors. Keeps results of
    /// rooms that these cannot have changed.
    pub fn extended(&self, more: &[DeviceReadings], calendar: &Calendar) -> Snapshot {
        let history = Arc::new(self.history.extended(more, calendar));
        let changed = self.history.changed(more);
        let grids = self.grids.lock().unwrap_or_else(PoisonError::into_inner);
        let grids = grids.iter().filter_map(|grid| grid.extended(&history.readings, &changed, calendar)).map(Arc::new);
        let grids = Mutex::new(grids.collect());
        let loaded = self.loaded.extended(&history.readings, calendar);
        let (answers, older, computing) = (Answers::default(), self.older.clone(), Mutex::default());
        Snapshot { history, loaded, older, answers, grids, computing, above: Default::default() }
    }

    /// Returns a snapshot with other models and the same history.
    pub(crate) fn with_models(&self, loaded: Loaded) -> Snapshot {
        Snapshot::new(self.history.clone(), Arc::new(loaded), self.older.clone())
    }

    /// Returns a snapshot with another history and the same models.
    pub(crate) fn with_history(&self, history: History) -> Snapshot {
        Snapshot::new(Arc::new(history), self.loaded.clone(), self.older.clone())
    }

    /// Waits until no other thread computes, so that two requests for the same forecast compute it once.
    fn lock_computing(&self) -> MutexGuard<'_, ()> {
        self.computing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the latest sign of life, for the present only. The store does not record signs of life before a past
    /// origin, and later signs must not change a forecast.
    fn heard(&self, origin: Timestamp, calendar: &Calendar) -> Option<Timestamp> {
        self.history.heard().filter(|_| origin >= calendar.now())
    }

    /// Returns the hours of each sensor as of an origin. Must be called off the async threads.
    pub(crate) fn sensors(&self, origin: Timestamp, calendar: &Calendar) -> Hourly {
        Hourly::unless_stale(&self.history.sensors, calendar, origin, self.heard(origin, calendar))
    }

    /// Returns the grid of an origin. Must be called off the async threads.
    pub fn grid(&self, origin: Timestamp, calendar: &Calendar) -> Arc<Grid> {
        let _computing = self.lock_computing();
        self.find_or_build(origin, calendar)
    }

    /// Returns the grid of an origin, while [`Snapshot::lock_computing`] is held.
    fn find_or_build(&self, origin: Timestamp, calendar: &Calendar) -> Arc<Grid> {
        let lock = || self.grids.lock().unwrap_or_else(PoisonError::into_inner);
        let find = || {
            let mut grids = lock();
            let at = grids.iter().position(|grid| grid.hourly.origin == origin)?;
            // The one used last goes last: days of the past do not push out the present.
            let grid = grids.remove(at)?;
            grids.push_front(grid.clone());
            Some(grid)
        };
        find().unwrap_or_else(|| {
            // Room is made first, because the kept grids and the new one would be three.
            lock().truncate(MAX_CACHED_GRIDS - 1);
            let readings = &self.history.readings;
            let loaded = match self.loaded.has_learned_from(origin, calendar) {
                true => self.older.at(origin, readings, calendar),
                false => self.loaded.clone(),
            };
            let grid = Arc::new(Grid::new(readings, calendar, origin, self.heard(origin, calendar), loaded));
            lock().push_front(grid.clone());
            grid
        })
    }

    /// Returns the grid of the present. Must be called off the async threads.
    pub(crate) fn present_grid(&self, calendar: &Calendar) -> Arc<Grid> {
        self.grid(self.history.present(calendar), calendar)
    }

    /// Returns the forecasts of the devices at these positions of a grid. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn cells(
        &self,
        grid: &Grid,
        devices: &[usize],
        calendar: &Calendar,
        metrics: &Metrics,
    ) -> Result<Vec<Arc<Cell>>, Problem> {
        let _computing = self.lock_computing();
        grid.cells(devices, calendar, metrics)
    }

    /// Returns the forecasts of devices given by their positions in the history, or of all devices on the grid without
    /// any.
    ///
    /// # Errors
    /// Returns a `Problem` for a device without a reading in the period that forecasts use, and when Polars fails.
    pub fn forecasts(
        &self,
        origin: Timestamp,
        devices: &[u32],
        calendar: &Calendar,
        metrics: &Metrics,
    ) -> Result<Forecasts, Problem> {
        // Held until the forecasts are there: waiting requests for other origins have no grid in memory yet.
        let _computing = self.lock_computing();
        let grid = self.find_or_build(origin, calendar);
        let cells = grid.cells(&self.positions(&grid, devices)?, calendar, metrics)?;
        Ok(Forecasts { grid, cells })
    }

    /// Returns forecasts of the same devices that reach some days, and their grid.
    ///
    /// # Errors
    /// As [`Snapshot::forecasts`].
    pub fn days(
        &self,
        origin: Timestamp,
        days: usize,
        devices: &[u32],
        calendar: &Calendar,
        metrics: &Metrics,
    ) -> Result<(Arc<Grid>, Vec<DeviceForecast>), Problem> {
        if days == 1 {
            let made = self.forecasts(origin, devices, calendar, metrics)?;
            return Ok((made.grid.clone(), made.devices()));
        }
        let grid = self.grid(origin, calendar);
        let (reaching, mut forecasts) = (grid.reaching(calendar), Vec::new());
        for batch in self.positions(&grid, devices)?.chunks(BATCH_SIZE) {
            let reached = |week: &Arc<DeviceForecast>| DeviceForecast {
                hours: week.hours.iter().take(HORIZON * days).copied().collect(),
                device: week.device.clone(),
                ..**week
            };
            forecasts.extend(self.weeks(&grid, batch, &reaching)?.iter().map(reached));
        }
        Ok((grid, forecasts))
    }

    /// Returns forecasts of [`MAX_DAYS`](roomcast_forecast::hourly::MAX_DAYS) days of the devices at these positions of a
    /// grid, made on [`Grid::reaching`]. Other requests wait for them: ask for some devices at a time.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn weeks(
        &self,
        grid: &Grid,
        devices: &[usize],
        reaching: &(Hourly, SiteRates),
    ) -> Result<Vec<Arc<DeviceForecast>>, Problem> {
        let _computing = self.lock_computing();
        grid.weeks(devices, reaching)
    }

    /// Returns the positions on a grid of devices given by their positions in the history, or of all devices on it
    /// without any.
    fn positions(&self, grid: &Grid, devices: &[u32]) -> Result<Vec<usize>, Problem> {
        // The grid leaves out devices without a reading before its origin, so its positions differ from the history's.
        let names = devices.iter().filter_map(|&at| self.history.readings.devices.get(at as usize));
        let position = |device: &DeviceReadings| {
            let known = grid.hourly.devices.iter().map(|device| device.device.as_str());
            grid.hourly.position(&device.device).ok_or_else(|| unknown(&device.device, known))
        };
        match devices {
            [] => Ok((0..grid.hourly.devices.len()).collect()),
            _ => names.map(position).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::model::rule::Rule;
    use roomcast_forecast::rooms::Rooms;
    use roomcast_storage::registry::Registry;

    #[test]
    fn what_new_readings_cannot_have_changed_stays_computed() {
        let calendar = Calendar::default();
        let day = |text: &str| text.parse().unwrap();
        let readings = roomcast_simulate::Building::new(5, 4, day("2024-02-20"), day("2024-03-05")).readings();
        let running = calendar.parse("2024-03-05 10:00:00").unwrap();
        let history = Arc::new(History::new(readings.before(running), Arc::default(), &calendar, None));
        let loaded = Arc::new(Loaded::baseline(&history.readings, &calendar, Rule::Fixed(0.5)));
        let older = Arc::new(OlderVersions::new(Registry::open("nowhere"), Rule::Fixed(0.5), Arc::default()));
        let old = Snapshot::new(history.clone(), loaded, older.clone());
        let (metrics, all) = (Metrics::default(), [0, 1, 2, 3]);
        let json = |grid: &Grid| -> Vec<Vec<u8>> {
            let cells = grid.cells(&all, &calendar, &metrics).unwrap();
            cells.iter().map(|cell| cell.json.clone()).collect()
        };
        let before = json(&old.grid(running + 1500, &calendar));
        let name = history.readings.devices[2].device.clone();
        let new = old.extended(
            &[DeviceReadings { device: name, times: vec![running + 600].into(), ..DeviceReadings::default() }],
            &calendar,
        );
        let grid = new.grid(running + 1500, &calendar);
        assert_eq!(grid.cells.iter().map(|cell| cell.get().is_some()).collect::<Vec<_>>(), [true, true, false, true]);
        let after = json(&grid);
        // Repeated readings, of whatever hour, change nothing.
        let again = new.extended(&history.readings.devices, &calendar).grid(running + 1500, &calendar);
        assert!(again.cells.iter().all(|cell| cell.get().is_some()));
        let cold = Snapshot::new(new.history.clone(), new.loaded.clone(), older);
        assert_eq!(after, json(&cold.grid(running + 1500, &calendar)));
        assert!(before[2] != after[2] && before[0] == after[0]);
    }

    #[test]
    fn a_reading_of_a_sensor_changes_its_room_and_no_other() {
        let calendar = Calendar::default();
        let day = |text: &str| text.parse().unwrap();
        let readings = roomcast_simulate::Building::new(5, 5, day("2024-02-20"), day("2024-03-05")).readings();
        let names: Vec<String> = readings.devices.iter().map(|sensor| sensor.device.clone()).collect();
        // Two sensors in a room; one that was moved into it, and one that is in no table.
        let table = format!(
            "sensor,room,floor,from,to\n{a},A,1,,\n{b},A,1,,\n{c},C,2,,2024-03-01\n{c},A,1,2024-03-01,\n{d},D,2,,\n",
            a = names[0],
            b = names[1],
            c = names[2],
            d = names[3],
        );
        let rooms = Arc::new(Rooms::parse(table.as_bytes(), "rooms.csv", &calendar).unwrap());
        let running = calendar.parse("2024-03-05 10:00:00").unwrap();
        let history = Arc::new(History::new(readings.before(running), rooms.clone(), &calendar, None));
        let loaded = Arc::new(Loaded::baseline(&history.readings, &calendar, Rule::Fixed(0.5)));
        let older = Arc::new(OlderVersions::new(Registry::open("nowhere"), Rule::Fixed(0.5), rooms.clone()));
        let old = Snapshot::new(history.clone(), loaded, older.clone());
        let (metrics, origin, all) = (Metrics::default(), running + 1500, [0, 1, 2, 3]);
        let json = |snapshot: &Snapshot| -> Vec<Vec<u8>> {
            let cells = snapshot.grid(origin, &calendar).cells(&all, &calendar, &metrics).unwrap();
            cells.iter().map(|cell| cell.json.clone()).collect()
        };
        let before = json(&old);
        for (sensor, kept) in
            [(1, [false, true, true, true]), (2, [false, true, true, true]), (4, [true, true, true, false])]
        {
            let more = DeviceReadings {
                device: names[sensor].clone(),
                times: vec![running + 600].into(),
                ..DeviceReadings::default()
            };
            let new = old.extended(std::slice::from_ref(&more), &calendar);
            let grid = new.grid(origin, &calendar);
            assert_eq!(
                grid.hourly.devices.iter().map(|room| room.device.as_str()).collect::<Vec<_>>(),
                ["A", "C", "D", names[4].as_str()]
            );
            assert_eq!(
                grid.cells.iter().map(|cell| cell.get().is_some()).collect::<Vec<_>>(),
                kept,
                "{}",
                names[sensor]
            );
            // As a server that starts now would make it.
            let again =
                History::new(history.all().extended(std::slice::from_ref(&more)), rooms.clone(), &calendar, None);
            assert_eq!(new.history.readings, again.readings);
            let cold = Snapshot::new(Arc::new(again), new.loaded.clone(), older.clone());
            let after = json(&new);
            assert_eq!(after, json(&cold));
            let changed: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
            assert_eq!(changed, kept);
        }
    }
}
