//! Data and models of one moment, and everything computed from them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rayon::prelude::*;

use super::answer::{self, Cell};
use super::cache::Answers;
use super::metrics::Metrics;
use super::problem::{Code, Problem};
use crate::calendar::{Calendar, HOUR, Instant};
use crate::commands::predict::closest;
use crate::features::Building;
use crate::forecast;
use crate::hourly::Hourly;
use crate::model::registry::Manifest;
use crate::model::{DeviceModel, Models, Source};
use crate::readings::{DeviceReadings, Profile, Readings, profile};

/// How far past the last reading a forecast may begin: beyond, the data are history and "now" means their end.
const REACH: i64 = 48 * HOUR;

/// Forecasts at the present begin at a multiple of this, so that they are computed once for all who ask.
const STEP: i64 = 300;

/// Origins whose grids are kept; a grid holds a copy of the readings before its origin.
const GRIDS: usize = 2;

/// The readings, and what follows from them alone.
pub struct History {
    /// All readings.
    pub readings: Readings,
    /// How many they are.
    pub count: usize,
    /// First and last.
    pub span: Option<(Instant, Instant)>,
    profile: OnceLock<Profile>,
}

impl History {
    /// The history made of readings.
    pub fn new(readings: Readings) -> History {
        History { count: readings.len(), span: readings.span(), profile: OnceLock::new(), readings }
    }

    /// The instant a forecast is made at when none is named: the present, rounded down to five minutes, while readings
    /// come in (the last is less than 48 hours old), else the end of the hour of the last reading.
    pub fn present(&self, calendar: &Calendar) -> Instant {
        let now = calendar.now();
        let Some((_, last)) = self.span else { return now - now.rem_euclid(STEP) };
        if now > last && now - last <= REACH {
            (now - now.rem_euclid(STEP)).max(last + 1)
        } else {
            calendar.start(calendar.hour(last) + 1)
        }
    }

    /// Checks that a forecast can be made at an instant.
    ///
    /// # Errors
    /// [`Code::OutOfRange`] before the first reading or far after the last.
    pub fn reaches(&self, origin: Instant, calendar: &Calendar) -> Result<(), Problem> {
        let problem = |why: String| Problem::new(Code::OutOfRange, why);
        let Some((first, last)) = self.span else { return Ok(()) };
        let latest = calendar.start(calendar.hour(last) + 1).max(self.present(calendar)) + REACH;
        if origin <= first {
            let why = format!("{} is before the first reading, {}", calendar.format(origin), calendar.format(first));
            Err(problem(why).hint("ask for a later instant"))
        } else if origin > latest {
            let why = format!("{} is long after the last reading, {}", calendar.format(origin), calendar.format(last));
            Err(problem(why).hint(format!("the latest instant is {}", calendar.format(latest))))
        } else {
            Ok(())
        }
    }

    /// What the readings say about themselves.
    pub fn profile(&self, calendar: &Calendar) -> &Profile {
        self.profile.get_or_init(|| profile(&self.readings, calendar))
    }

    /// Position and readings of a device.
    ///
    /// # Errors
    /// [`Code::UnknownDevice`], with the closest name that is known.
    pub fn device(&self, name: &str) -> Result<(usize, &DeviceReadings), Problem> {
        let devices = &self.readings.devices;
        match devices.binary_search_by(|d| d.device.as_str().cmp(name)) {
            Ok(at) => Ok((at, &devices[at])),
            Err(_) => Err(unknown(name, devices.iter().map(|d| d.device.as_str()))),
        }
    }
}

/// The problem of a device that is not known.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(Code::UnknownDevice, format!("there are no readings of device {name:?}"));
    // Names are at most 256 bytes; comparing longer ones with all that are known would be for nothing.
    match (name.len() <= 256).then(|| closest(name, known)).flatten() {
        Some(near) => problem.hint(format!("did you mean {near:?}?")),
        None => problem.hint("GET /devices lists all"),
    }
}

/// Models in use.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The models.
    pub models: Models,
    /// The registry's name for them, or `baseline` or `unsaved`.
    pub version: String,
    /// What the registry says of them, if they come from there.
    pub manifest: Option<Manifest>,
}

impl Loaded {
    /// The baseline for all devices of a history: nothing is learned.
    pub fn baseline(history: &History, calendar: &Calendar) -> Loaded {
        let names = history.readings.devices.iter().map(|d| d.device.clone());
        let cutoff = history.span.map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
        let devices = names.map(|name| (name, DeviceModel::default())).collect();
        let models = Models { devices, cutoff, ..Models::default() };
        Loaded { models, version: "baseline".into(), manifest: None }
    }

    /// What forecasts of a device come from.
    pub fn source(&self, device: &str) -> Source {
        self.models.devices.get(device).map_or(Source::Building, DeviceModel::source)
    }
}

/// The grid of one origin and the forecasts made from it so far.
pub struct Grid {
    /// The grid.
    pub hourly: Hourly,
    /// What all devices say together.
    pub building: Building,
    /// When it was made.
    pub made_at: Instant,
    cells: Vec<OnceLock<Cell>>,
}

impl Grid {
    fn new(readings: &Readings, calendar: &Calendar, origin: Instant) -> Grid {
        let hourly = Hourly::new(readings, calendar, origin);
        let building = Building::new(&hourly);
        let cells = hourly.devices.iter().map(|_| OnceLock::new()).collect();
        Grid { building, made_at: calendar.now(), cells, hourly }
    }

    /// Forecasts of the devices at these positions, ascending, those that are missing computed by all processors.
    ///
    /// # Errors
    /// Whatever Polars reports.
    pub fn cells(
        &self,
        devices: &[usize],
        loaded: &Loaded,
        calendar: &Calendar,
        metrics: &Metrics,
    ) -> Result<Vec<&Cell>, Problem> {
        let watch = std::time::Instant::now();
        let missing: Vec<usize> = devices.iter().copied().filter(|&at| self.cells[at].get().is_none()).collect();
        missing.par_iter().try_for_each(|&at| {
            let made =
                forecast::forecast(&self.hourly, &self.building, at, &loaded.models).map_err(Problem::internal)?;
            let last = self.hourly.devices[at].times.last().copied();
            let json = answer::device(&made, last, &loaded.version, calendar).map_err(Problem::internal)?;
            self.cells[at].get_or_init(|| Cell { forecast: made, json });
            Ok::<(), Problem>(())
        })?;
        metrics.forecasts.add(missing.len() as u64);
        metrics.forecast_nanoseconds.add(watch.elapsed().as_nanos() as u64);
        Ok(devices.iter().filter_map(|&at| self.cells[at].get()).collect())
    }
}

/// Data and models of one moment.
pub struct Snapshot {
    /// The readings.
    pub history: Arc<History>,
    /// The models.
    pub loaded: Arc<Loaded>,
    /// Rendered answers.
    pub answers: Answers,
    grids: Mutex<VecDeque<Arc<Grid>>>,
    computing: Mutex<()>,
}

impl Snapshot {
    /// Data and models together, with nothing computed yet.
    pub fn new(history: Arc<History>, loaded: Arc<Loaded>) -> Snapshot {
        Snapshot { history, loaded, answers: Answers::default(), grids: Mutex::default(), computing: Mutex::default() }
    }

    /// Waits until nobody else computes, so that two who ask for the same compute it once.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.computing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The grid of an origin. Call it off the async threads, and with [`Snapshot::turn`] held.
    pub fn grid(&self, origin: Instant, calendar: &Calendar) -> Arc<Grid> {
        let lock = || self.grids.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lock().iter().find(|grid| grid.hourly.origin == origin).cloned();
        found.unwrap_or_else(|| {
            // Make room first: two grids and the new one would be three.
            lock().truncate(GRIDS - 1);
            let grid = Arc::new(Grid::new(&self.history.readings, calendar, origin));
            lock().push_front(grid.clone());
            grid
        })
    }
}

/// A grid and its forecasts for readings that are not the site's own.
pub fn visit(readings: &Readings, calendar: &Calendar, origin: Instant) -> Grid {
    Grid::new(readings, calendar, origin)
}
