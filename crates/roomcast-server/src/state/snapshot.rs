//! Data and models of one moment, and everything computed from them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::answer::Cell;
use super::cache::Answers;
use super::grid::{BATCH_SIZE, Forecasts, Grid};
use super::loaded::{Loaded, OlderVersions};
use super::settings::MAX_CLOCK_SKEW;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::hourly::{HORIZON, Hourly};
use roomcast_forecast::readings::names::closest;
use roomcast_forecast::readings::{DeviceReadings, Profile, Readings, profile};

/// Seconds past the last reading within which a forecast may begin. Beyond, the data of files are history, and the
/// present is their end.
const MAX_FILE_SILENCE: i64 = 48 * HOUR;

/// Seconds without any reading after which the data of a store are history. Unlike a file, a store can receive more
/// readings.
pub(crate) const MAX_STORE_SILENCE: i64 = 30 * 24 * HOUR;

/// Seconds of a step. Forecasts at the present are made for the end of a step, so that they are computed once for all
/// requests in it, and include all readings that have arrived.
const ORIGIN_STEP: i64 = 300;

/// Seconds before the end of an hour at which its last step ends. From then on the hour counts as over.
const LAST_STEP: i64 = 60;

/// Maximum number of cached grids. A grid holds a copy of the readings before its origin.
const MAX_CACHED_GRIDS: usize = 2;

/// The readings, and everything computed from the readings only.
pub struct History {
    /// All readings of devices that have fired.
    pub readings: Readings,
    /// What other devices said. It begins to count with their first motion.
    quiet: Readings,
    /// Number of motions.
    pub count: usize,
    /// First and last instant of the period in which the site was in use, as of the time of reading: see
    /// [`Readings::active_period`].
    pub span: Option<(Timestamp, Timestamp)>,
    /// The latest sign of life of any sensor, or 0; `None` when no more readings can arrive.
    heard: Option<Arc<AtomicI64>>,
    profile: OnceLock<Profile>,
}

impl History {
    /// Returns the history of these readings; `heard` holds the store's latest sign of life.
    pub fn new(mut readings: Readings, calendar: &Calendar, heard: Option<Arc<AtomicI64>>) -> History {
        let quiet = readings.take_quiet();
        let span = readings.active_period(calendar.now() + MAX_CLOCK_SKEW);
        History { count: readings.len(), span, heard, profile: OnceLock::new(), readings, quiet }
    }

    /// Returns the readings of all devices, also of those that have never fired.
    pub(crate) fn all(&self) -> Readings {
        self.readings.extended(&self.quiet.devices)
    }

    /// Returns the number of readings, motions and `off` together, of all devices.
    pub(crate) fn edge_count(&self) -> usize {
        self.readings.edge_count() + self.quiet.edge_count()
    }

    /// Returns the latest sign of life of any sensor, if the store has one.
    fn heard(&self) -> Option<Timestamp> {
        self.heard.as_ref().map(|heard| heard.load(SeqCst)).filter(|&heard| heard > 0)
    }

    /// Returns the default instant of a forecast. While readings arrive (the last is less than 48 hours old, in a store
    /// 30 days), that is the present, rounded up to five minutes but not into the next hour. Otherwise it is the end of
    /// the hour of the last reading.
    pub fn present(&self, calendar: &Calendar) -> Timestamp {
        let now = calendar.now();
        let ended = if self.heard.is_some() { MAX_STORE_SILENCE } else { MAX_FILE_SILENCE };
        match self.span {
            Some((_, last)) if now - last > ended || last - now > MAX_CLOCK_SKEW => {
                calendar.start(calendar.hour(last) + 1)
            }
            Some((_, last)) => step(now.max(last + 1), calendar),
            None => step(now, calendar),
        }
    }

    /// Returns this history with the readings that were read since.
    pub fn extended(&self, more: &[DeviceReadings], calendar: &Calendar) -> History {
        History::new(self.all().extended(more), calendar, self.heard.clone())
    }

    /// Checks that a forecast can be made at an instant.
    ///
    /// # Errors
    /// Returns [`Code::OutOfRange`] before the first reading or far after the last.
    pub(crate) fn check_origin(&self, origin: Timestamp, calendar: &Calendar) -> Result<(), Problem> {
        let problem = |why: String| Problem::new(Code::OutOfRange, why);
        let Some((first, last)) = self.span else { return Ok(()) };
        let latest = calendar.start(calendar.hour(last) + 1).max(self.present(calendar)) + MAX_FILE_SILENCE;
        if origin <= first {
            let why = format!("{} is before the first reading, {}", calendar.format(origin), calendar.format(first));
            Err(problem(why).hint("choose a later instant"))
        } else if origin > latest {
            let why = format!("{} is long after the last reading, {}", calendar.format(origin), calendar.format(last));
            Err(problem(why).hint(format!("the latest instant is {}", calendar.format(latest))))
        } else {
            Ok(())
        }
    }

    /// Returns the whole days from the first reading to the last.
    pub fn days(&self, calendar: &Calendar) -> Hour {
        self.span.map_or(0, |(first, last)| (calendar.hour(last) + 1 - calendar.hour(first)) / 24)
    }

    /// Returns the profile of the readings.
    pub fn profile(&self, calendar: &Calendar) -> &Profile {
        self.profile.get_or_init(|| profile(&self.readings, calendar))
    }

    /// Returns the position and the readings of a device.
    ///
    /// # Errors
    /// Returns [`Code::UnknownDevice`] for an unknown device, with the closest known name.
    pub fn device(&self, name: &str) -> Result<(usize, &DeviceReadings), Problem> {
        let devices = &self.readings.devices;
        match devices.binary_search_by(|d| d.device.as_str().cmp(name)) {
            Ok(at) => Ok((at, &devices[at])),
            Err(_) => Err(unknown(name, devices.iter().map(|d| d.device.as_str()))),
        }
    }
}

/// Returns the end of the step that contains an instant.
fn step(instant: Timestamp, calendar: &Calendar) -> Timestamp {
    let start = calendar.start(calendar.hour(instant));
    let (passed, whole) = (instant - start, HOUR - LAST_STEP);
    let end = (passed + ORIGIN_STEP - 1) / ORIGIN_STEP * ORIGIN_STEP;
    start + if passed <= whole { end.min(whole) } else { HOUR }
}

/// Returns the problem of an unknown device.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(Code::UnknownDevice, format!("there are no readings of device {name:?}"));
    // Names are at most 256 bytes, so comparing a longer one with all known names would be useless.
    match (name.len() <= 256).then(|| closest(name, known)).flatten() {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None => problem.hint("GET /devices lists all"),
    }
}

/// Data and models of one moment.
pub struct Snapshot {
    /// The readings.
    pub history: Arc<History>,
    /// The models.
    pub loaded: Arc<Loaded>,
    older: Arc<OlderVersions>,
    /// Rendered answers.
    pub answers: Answers,
    grids: Mutex<VecDeque<Arc<Grid>>>,
    computing: Mutex<()>,
}

impl Snapshot {
    /// Returns a snapshot of data and models, with nothing computed yet.
    pub fn new(history: Arc<History>, loaded: Arc<Loaded>, older: Arc<OlderVersions>) -> Snapshot {
        let (answers, grids, computing) = (Answers::default(), Mutex::default(), Mutex::default());
        Snapshot { history, loaded, older, answers, grids, computing }
    }

    /// Returns a snapshot with the same models and a history that has grown by `changed`. Keeps results that this
    /// cannot have changed.
    pub fn extended(&self, changed: &[DeviceReadings], calendar: &Calendar) -> Snapshot {
        let history = Arc::new(self.history.extended(changed, calendar));
        let grids = self.grids.lock().unwrap_or_else(PoisonError::into_inner);
        let grids = grids.iter().filter_map(|grid| grid.extended(&history.readings, changed, calendar)).map(Arc::new);
        let grids = Mutex::new(grids.collect());
        let loaded = self.loaded.extended(&history.readings, calendar);
        let (answers, older, computing) = (Answers::default(), self.older.clone(), Mutex::default());
        Snapshot { history, loaded, older, answers, grids, computing }
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
    use roomcast_storage::registry::Registry;

    #[test]
    fn steps_end_every_five_minutes_but_not_in_the_next_hour() {
        let calendar = Calendar::default();
        let at = |text: &str| calendar.parse(text).unwrap();
        for (time, end) in [
            ("2024-03-05 10:00:00", "2024-03-05 10:00:00"),
            ("2024-03-05 10:00:01", "2024-03-05 10:05:00"),
            ("2024-03-05 10:55:00", "2024-03-05 10:55:00"),
            ("2024-03-05 10:55:01", "2024-03-05 10:59:00"),
            ("2024-03-05 10:59:00", "2024-03-05 10:59:00"),
            ("2024-03-05 10:59:01", "2024-03-05 11:00:00"),
        ] {
            assert_eq!(calendar.format(step(at(time), &calendar)), end);
        }
    }

    #[test]
    fn what_new_readings_cannot_have_changed_stays_computed() {
        let calendar = Calendar::default();
        let day = |text: &str| text.parse().unwrap();
        let readings = roomcast_simulate::Building::new(5, 4, day("2024-02-20"), day("2024-03-05")).readings();
        let running = calendar.parse("2024-03-05 10:00:00").unwrap();
        let history = Arc::new(History::new(readings.before(running), &calendar, None));
        let loaded = Arc::new(Loaded::baseline(&history.readings, &calendar, Rule::Fixed(0.5)));
        let older = Arc::new(OlderVersions::new(Registry::open("nowhere"), Rule::Fixed(0.5)));
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
}
