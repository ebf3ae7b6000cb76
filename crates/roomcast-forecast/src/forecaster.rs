//! The crate in three calls: calendar in, models fitted, forecasts out.

use polars::prelude::PolarsResult;

use crate::calendar::{Calendar, Timestamp};
use crate::features::SiteRates;
use crate::forecast::{DeviceForecast, forecast_all};
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::{TrainError, train};
use crate::readings::Readings;

/// A forecaster of one site, before it has learned anything.
#[derive(Debug, Clone)]
pub struct Forecaster {
    calendar: Calendar,
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
    /// The models, which [`encode`](crate::model::codec::encode) turns into bytes.
    pub models: Models,
}

impl Forecaster {
    /// Returns a forecaster for a site with this calendar.
    pub fn new(calendar: Calendar) -> Forecaster {
        Forecaster { calendar }
    }

    /// Fits models on the readings before `origin`. With less than ten days of history the models are empty, and
    /// forecasts are the decayed rate of the hour of the week.
    ///
    /// # Errors
    /// Returns [`TrainError`] when LightGBM or Polars fails.
    pub fn fit(self, readings: &Readings, origin: Timestamp) -> Result<FittedForecaster, TrainError> {
        let hourly = Hourly::new(readings, &self.calendar, origin);
        let models = train(&hourly, &SiteRates::new(&hourly), &|| ())?;
        Ok(FittedForecaster { calendar: self.calendar, readings: readings.clone(), models })
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
        let hourly = Hourly::unless_stale(&self.readings, &self.calendar, origin, None);
        forecast_all(&hourly, &SiteRates::new(&hourly), &self.models)
    }
}
