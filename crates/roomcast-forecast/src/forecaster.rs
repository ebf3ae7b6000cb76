//! The crate in three calls: calendar in, models fitted, forecasts out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::PolarsResult;

use crate::calendar::{Calendar, Hour, Timestamp};
use crate::features::SiteRates;
use crate::forecast::{DeviceForecast, Explanation, explain, forecast_all};
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::{TrainError, train};
use crate::readings::Readings;

/// A forecaster of one site, before it has learned anything.
#[derive(Debug, Clone)]
pub struct Forecaster {
    calendar: Calendar,
    heard: Option<Timestamp>,
}

/// A forecaster with models, and with the readings that it forecasts from.
///
/// A program that has stored models makes it directly, from [`decode`](crate::model::codec::decode)d models.
#[derive(Debug, Clone)]
pub struct FittedForecaster {
    /// The site's calendar.
    pub calendar: Calendar,
    /// The readings to forecast from. Newer ones may take their place; the models stay.
    pub readings: Readings,
    /// The last sign of life of any sensor, motion or none, where it is known. It tells an empty site from dead sensors.
    pub heard: Option<Timestamp>,
    /// The models, which [`encode`](crate::model::codec::encode) turns into bytes. Clones share them.
    pub models: Arc<Models>,
}

impl Forecaster {
    /// Returns a forecaster for a site with this calendar.
    pub fn new(calendar: Calendar) -> Forecaster {
        Forecaster { calendar, heard: None }
    }

    /// Returns the forecaster with the last sign of life of any sensor
    /// ([`ReadSummary::heard`](crate::readings::ReadSummary::heard)).
    pub fn with_heard(mut self, heard: Option<Timestamp>) -> Forecaster {
        self.heard = heard;
        self
    }

    /// Fits models on the readings before `origin`. With less than ten days of history the models are empty, and
    /// forecasts are the decayed rate of the hour of the week.
    ///
    /// # Errors
    /// Returns [`TrainError`] when LightGBM or Polars fails.
    pub fn fit(self, readings: &Readings, origin: Timestamp) -> Result<FittedForecaster, TrainError> {
        self.fit_with(readings, origin, &|_, _| ())
    }

    /// Fits models as [`Forecaster::fit`] does. `progress` gets the number of devices done and in all, from any thread.
    ///
    /// # Errors
    /// As [`Forecaster::fit`].
    pub fn fit_with(
        self,
        readings: &Readings,
        origin: Timestamp,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<FittedForecaster, TrainError> {
        let Forecaster { calendar, heard } = self;
        let mut hourly = Hourly::unless_stale(readings, &calendar, origin, heard);
        if hourly.stale.is_some() {
            // Models learn from the silence of a site as from any other time. Only forecasts from it are refused.
            hourly = Hourly::new(readings, &calendar, origin);
        }
        let (done, total) = (AtomicUsize::new(0), hourly.devices.len());
        let tick = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        let models = train(&hourly, &SiteRates::new(&hourly), &tick)?;
        Ok(FittedForecaster { calendar, readings: readings.clone(), heard, models: models.into() })
    }
}

impl FittedForecaster {
    /// Forecasts the 24 hours from the first whole hour at or after `origin`, for every device with a reading before
    /// it, in order of name. Readings at or after `origin` change nothing. When the whole site has been silent for
    /// longer than its habits explain, the forecast is the decayed rate of the hour of the week.
    ///
    /// # Errors
    /// Returns [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
    pub fn forecast(&self, origin: Timestamp) -> PolarsResult<Vec<DeviceForecast>> {
        let hourly = self.hourly(origin);
        forecast_all(&hourly, &SiteRates::new(&hourly), &self.models)
    }

    /// Explains the forecast of one hour that [`FittedForecaster::forecast`] makes for a device. Returns `None` for a
    /// device without a reading before `origin`.
    ///
    /// # Errors
    /// Returns [`PolarsError`](polars::error::PolarsError) when the hour is not among the 24 of the forecast, or the
    /// features cannot be built.
    pub fn explain(&self, device: &str, hour: Hour, origin: Timestamp) -> PolarsResult<Option<Explanation>> {
        let hourly = self.hourly(origin);
        let Some(device) = hourly.position(device) else { return Ok(None) };
        explain(&hourly, &SiteRates::new(&hourly), device, &self.models, hour).map(Some)
    }

    /// Returns the grid of which a forecast at `origin` is made.
    pub fn hourly(&self, origin: Timestamp) -> Hourly {
        Hourly::unless_stale(&self.readings, &self.calendar, origin, self.heard)
    }
}
