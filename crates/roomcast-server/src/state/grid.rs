//! The grid of one origin: every hour of every room before it, and the forecasts made from these.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::answer::{self, Cell, ModelRef};
use super::loaded::Loaded;
use crate::metrics::Metrics;
use crate::problem::Problem;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{self, DeviceForecast, write};
use roomcast_forecast::hourly::{Hourly, MAX_DAYS};
use roomcast_forecast::readings::Readings;

/// Number of devices that are forecast before waiting requests are served.
pub const BATCH_SIZE: usize = 64;

/// The grid of one origin and the forecasts made from it so far.
pub struct Grid {
    /// The grid.
    pub hourly: Hourly,
    /// The aggregates of all devices.
    pub rates: Arc<SiteRates>,
    /// The models used for forecasts on this grid. They have not learned from anything after the origin.
    pub loaded: Arc<Loaded>,
    /// Digest of the inputs that forecasts of all devices share, besides the models: see [`SiteRates::digest`].
    pub basis: u64,
    /// The time at which the grid was made.
    pub made_at: Timestamp,
    pub(super) cells: Vec<OnceLock<Arc<Cell>>>,
    /// Forecasts of [`MAX_DAYS`] days.
    weeks: Vec<OnceLock<Arc<DeviceForecast>>>,
}

impl Grid {
    /// Builds the grid of an origin from readings, the site's own or others. `heard` is the last sign of life of any
    /// sensor.
    pub fn new(
        readings: &Readings,
        calendar: &Calendar,
        origin: Timestamp,
        heard: Option<Timestamp>,
        loaded: Arc<Loaded>,
    ) -> Grid {
        let hourly = Hourly::unless_stale(readings, calendar, origin, heard);
        let rates = SiteRates::new(&hourly);
        let cells = hourly.devices.iter().map(|_| OnceLock::new()).collect();
        let weeks = hourly.devices.iter().map(|_| OnceLock::new()).collect();
        let basis = rates.digest();
        Grid { rates: Arc::new(rates), loaded, basis, made_at: calendar.now(), cells, weeks, hourly }
    }

    /// Returns this grid for a history that has grown, and keeps forecasts of devices that are not among those changed,
    /// each with its first new reading. Returns `None` when more has changed than the running hour of some devices.
    pub fn extended(&self, readings: &Readings, changed: &[(String, Timestamp)], calendar: &Calendar) -> Option<Grid> {
        // The end of a silence of the whole site changes every room.
        if self.hourly.stale.is_some() {
            return None;
        }
        let begins = readings.active_period(self.hourly.origin).map(|(first, _)| calendar.hour(first));
        if begins != Some(self.hourly.first) {
            return None;
        }
        let (mut hourly, mut cells, mut weeks) = (self.hourly.clone(), self.cells.clone(), self.weeks.clone());
        for (name, _) in changed.iter().filter(|(_, first)| *first < self.hourly.origin) {
            // A device that never fired is on no grid.
            let Ok(known) = readings.devices.binary_search_by(|d| d.device.cmp(name)) else { continue };
            let at = hourly.position(name)?;
            let grown = hourly.with_readings(at, &readings.devices[known], calendar)?;
            // Stores may repeat readings they gave before, and not every `off` is news.
            if grown.devices[at].times != hourly.devices[at].times {
                (cells[at], weeks[at]) = (OnceLock::new(), OnceLock::new());
            }
            hourly = grown;
        }
        let (rates, loaded, basis) = (self.rates.clone(), self.loaded.clone(), self.basis);
        Some(Grid { rates, loaded, basis, made_at: calendar.now(), cells, weeks, hourly })
    }

    /// Returns the models used for forecasts on this grid: the baseline when the data are stale.
    pub fn model(&self, calendar: &Calendar) -> ModelRef {
        match self.hourly.stale {
            Some(_) => ModelRef::habit(self.hourly.origin, calendar),
            None => ModelRef::new(&self.loaded, self.hourly.origin, calendar),
        }
    }

    /// Returns the forecasts of the devices at these positions, ascending. Computes missing ones on all processors.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn cells(&self, devices: &[usize], calendar: &Calendar, metrics: &Metrics) -> Result<Vec<Arc<Cell>>, Problem> {
        let watch = std::time::Instant::now();
        let missing: Vec<usize> = devices.iter().copied().filter(|&at| self.cells[at].get().is_none()).collect();
        let version = self.model(calendar).version;
        missing.par_iter().try_for_each(|&at| self.fill(at, &version, calendar))?;
        metrics.forecasts.add(missing.len() as u64);
        metrics.forecast_nanoseconds.add(watch.elapsed().as_nanos() as u64);
        Ok(devices.iter().filter_map(|&at| self.cells[at].get().cloned()).collect())
    }

    /// Returns the grid and the aggregates for forecasts of [`MAX_DAYS`] days.
    pub fn reaching(&self, calendar: &Calendar) -> (Hourly, SiteRates) {
        let hourly = self.hourly.clone().reaching(MAX_DAYS, calendar);
        let rates = self.rates.reaching(&hourly);
        (hourly, rates)
    }

    /// Returns forecasts of the devices at these positions, made on [`Grid::reaching`]. Computes missing ones on all
    /// processors.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn weeks(
        &self,
        devices: &[usize],
        (hourly, rates): &(Hourly, SiteRates),
    ) -> Result<Vec<Arc<DeviceForecast>>, Problem> {
        let missing: Vec<usize> = devices.iter().copied().filter(|&at| self.weeks[at].get().is_none()).collect();
        missing.par_iter().try_for_each(|&at| {
            let layers = self.loaded.models.layers(&hourly.devices[at].device);
            let made = forecast::forecast_with(hourly, rates, at, layers).map_err(Problem::internal)?;
            self.weeks[at].get_or_init(|| Arc::new(made));
            Ok::<_, Problem>(())
        })?;
        Ok(devices.iter().filter_map(|&at| self.weeks[at].get().cloned()).collect())
    }

    /// Returns forecasts made on this grid as JSON.
    ///
    /// # Errors
    /// Returns a `Problem` when a value cannot be written as JSON; in practice all can.
    pub fn render(&self, forecasts: &[DeviceForecast], calendar: &Calendar) -> Result<Vec<u8>, Problem> {
        let (hourly, model) = (&self.hourly, self.model(calendar));
        let json = |forecast: &DeviceForecast| {
            let last = hourly.position(&forecast.device).and_then(|at| hourly.devices[at].times.last());
            answer::device(forecast, last, &model.version, calendar)
        };
        let devices = forecasts.par_iter().map(json).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
        let devices: Vec<&[u8]> = devices.iter().map(Vec::as_slice).collect();
        answer::render(hourly, self.made_at, model, &devices, calendar).map_err(Problem::internal)
    }

    /// Forecasts one device.
    fn fill(&self, at: usize, version: &str, calendar: &Calendar) -> Result<(), Problem> {
        let device = &self.hourly.devices[at];
        let layers = self.loaded.models.layers(&device.device);
        let made = forecast::forecast_with(&self.hourly, &self.rates, at, layers).map_err(Problem::internal)?;
        let last = device.times.last();
        let json = answer::device(&made, last, version, calendar).map_err(Problem::internal)?;
        self.cells[at].get_or_init(|| Arc::new(Cell { forecast: made, json }));
        Ok(())
    }
}

/// Forecasts of devices from one origin, and the grid they were made on.
pub struct Forecasts {
    /// The grid.
    pub grid: Arc<Grid>,
    /// The forecasts, in order of name.
    pub cells: Vec<Arc<Cell>>,
}

impl Forecasts {
    /// Returns the forecasts without their bytes.
    pub fn devices(&self) -> Vec<DeviceForecast> {
        self.cells.iter().map(|cell| cell.forecast.clone()).collect()
    }

    /// Returns the forecasts as the contract's CSV with probabilities, or as JSON.
    ///
    /// # Errors
    /// Returns a `Problem` when a value cannot be written as JSON; in practice all can.
    pub(crate) fn render(&self, as_csv: bool, calendar: &Calendar) -> Result<Vec<u8>, Problem> {
        if as_csv {
            return Ok(write::csv(&self.devices(), calendar, true));
        }
        let (grid, model) = (&self.grid, self.grid.model(calendar));
        let devices: Vec<&[u8]> = self.cells.iter().map(|cell| cell.json.as_slice()).collect();
        answer::render(&grid.hourly, grid.made_at, model, &devices, calendar).map_err(Problem::internal)
    }
}
