//! Fitted models, and forecasts from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use pyo3::prelude::*;
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::model::codec;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::{FittedForecaster, Forecaster};

use crate::errors::{ModelFileError, ReadingsError, RoomcastError, SettingError, other, unknown};
use crate::progress::Progress;
use crate::site::{Readings, Site};
use crate::table::Columns;

/// Models of a site, with the readings that they forecast from.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub struct Model(pub FittedForecaster);

/// Threshold, cost of a miss, cost of waste, highest share of missed hours: at most one rule of these.
pub type RuleArguments = (Option<f64>, Option<f64>, Option<f64>, Option<f64>);

#[pymethods]
impl Model {
    /// Fits models on readings before `until`; without it, up to the end of the hour of the last reading.
    #[staticmethod]
    #[pyo3(signature = (site, readings, until, rule, progress))]
    fn fit(
        py: Python<'_>,
        site: &Site,
        readings: &Readings,
        until: Option<Timestamp>,
        rule: RuleArguments,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Model> {
        let (calendar, rule) = (&site.calendar, decision_rule(rule)?);
        let Some((_, last)) = readings.readings.active_period(until.unwrap_or_else(|| calendar.latest())) else {
            return Err(ReadingsError::new_err("there are no readings to learn from"));
        };
        let origin = until.unwrap_or_else(|| calendar.start(calendar.hour(last) + 1));
        let progress = Progress::new(progress);
        let fitted = py.detach(|| {
            let forecaster = Forecaster::new(calendar.clone()).with_heard(readings.summary.heard);
            forecaster.fit_with(&readings.readings, origin, &|done, total| progress.tell(done, total))
        });
        progress.finish()?;
        Ok(Model(fitted.map_err(other)?).ruled(rule))
    }

    /// Returns models from the bytes of [`Model::encode`].
    #[staticmethod]
    fn decode(py: Python<'_>, site: &Site, readings: &Readings, bytes: &[u8], rule: RuleArguments) -> PyResult<Model> {
        let rule = decision_rule(rule)?;
        let models = py.detach(|| codec::decode(bytes)).map_err(ModelFileError::new_err)?;
        let (readings, heard) = (readings.readings.clone(), readings.summary.heard);
        Ok(Model(FittedForecaster { calendar: site.calendar.clone(), readings, heard, models: Arc::new(models) })
            .ruled(rule))
    }

    /// Returns the bytes of the models.
    fn encode(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        py.detach(|| codec::encode(&self.0.models)).map_err(RoomcastError::new_err)
    }

    /// Returns the same models with other readings to forecast from.
    fn with_readings(&self, readings: &Readings) -> Model {
        let (readings, heard) = (readings.readings.clone(), readings.summary.heard);
        Model(FittedForecaster { readings, heard, ..self.0.clone() })
    }

    /// The models learned only from readings before this instant.
    #[getter]
    fn cutoff(&self) -> Timestamp {
        self.0.models.cutoff
    }

    /// Forecasts some devices or all. Returns the table, and since when the whole site has been silent if that makes the
    /// data stale.
    #[pyo3(signature = (origin, devices, probabilities))]
    fn forecast(
        &self,
        py: Python<'_>,
        origin: Timestamp,
        devices: Option<BTreeSet<String>>,
        probabilities: bool,
    ) -> PyResult<(Columns, Option<String>)> {
        let (forecasts, stale) = self.forecasts(py, origin, devices)?;
        Ok((self.table(&forecasts, probabilities), stale.map(|since| self.0.calendar.format(since))))
    }

    /// Explains the hour that begins at `start` of a forecast at `origin`, as JSON.
    fn explain(&self, py: Python<'_>, device: &str, start: Timestamp, origin: Timestamp) -> PyResult<String> {
        let calendar = &self.0.calendar;
        let (hour, first) = (calendar.hour(start), calendar.next_hour(origin));
        if !(first..first + 24).contains(&hour) {
            let (start, origin) = (calendar.format(start), calendar.format(origin));
            return Err(SettingError::new_err(format!("{start} is not among the 24 hours after {origin}")));
        }
        let explanation = py.detach(|| self.0.explain(device, hour, origin)).map_err(other)?;
        let known = || self.0.readings.devices.iter().map(|known| known.device.as_str());
        let explanation = explanation.ok_or_else(|| unknown(device, known()))?;
        serde_json::to_string(&explanation).map_err(other)
    }
}

impl Model {
    fn ruled(mut self, rule: Rule) -> Model {
        let models = Arc::make_mut(&mut self.0.models);
        models.threshold = rule.threshold(&models.site.out_of_sample);
        self
    }

    /// Forecasts some devices or all; also returns since when the whole site has been silent, if that makes the data stale.
    pub fn forecasts(
        &self,
        py: Python<'_>,
        origin: Timestamp,
        devices: Option<BTreeSet<String>>,
    ) -> PyResult<(Vec<DeviceForecast>, Option<Timestamp>)> {
        let FittedForecaster { calendar, readings, models, .. } = &self.0;
        if readings.span().is_none_or(|(first, _)| first >= origin) {
            return Err(ReadingsError::new_err(format!("there is no reading before {}", calendar.format(origin))));
        }
        let (forecasts, stale) = py.detach(|| {
            let hourly = self.0.hourly(origin);
            (forecast::forecast_all(&hourly, &SiteRates::new(&hourly), models), hourly.stale)
        });
        let mut forecasts = forecasts.map_err(other)?;
        if let Some(devices) = devices {
            let is_known = |name: &str| forecasts.binary_search_by(|known| known.device.as_str().cmp(name)).is_ok();
            if let Some(missing) = devices.iter().find(|name| !is_known(name)) {
                return Err(unknown(missing, forecasts.iter().map(|known| known.device.as_str())));
            }
            forecasts.retain(|forecast| devices.contains(&forecast.device));
        }
        Ok((forecasts, stale))
    }

    /// Returns forecasts in the order of the command line's: by time, then device.
    fn table(&self, forecasts: &[DeviceForecast], probabilities: bool) -> Columns {
        let calendar = &self.0.calendar;
        let count = forecasts.first().map_or(0, |forecast| forecast.hours.len());
        let rows = || (0..count).flat_map(|at| forecasts.iter().map(move |forecast| (forecast, &forecast.hours[at])));
        let table = Columns::new(calendar)
            .times("time", rows().map(|(_, hour)| calendar.start(hour.hour)))
            .texts("device", rows().map(|(forecast, _)| forecast.device.as_str()));
        if probabilities {
            table.numbers("probability", rows().map(|(_, hour)| hour.probability))
        } else {
            table.small("activation_predicted", rows().map(|(_, hour)| i8::from(hour.occupied)))
        }
    }
}

/// Returns the rule of the arguments, and a threshold of 0.5 without any.
pub fn decision_rule((threshold, miss, waste, share): RuleArguments) -> PyResult<Rule> {
    let refuse = |text: &str| Err(SettingError::new_err(text.to_owned()));
    let is_share = |value: f64| (0.0..=1.0).contains(&value);
    match (threshold, miss, waste, share) {
        (None, None, None, None) => Ok(Rule::Fixed(0.5)),
        (Some(threshold), None, None, None) if is_share(threshold) => Ok(Rule::Fixed(threshold)),
        (Some(_), None, None, None) => refuse("threshold: expected a share from 0 to 1"),
        (None, Some(miss), Some(waste), None) if miss > 0.0 && waste > 0.0 && (miss + waste).is_finite() => {
            Ok(Rule::Cost { miss, waste })
        }
        (None, Some(_), Some(_), None) => refuse("cost_miss and cost_waste: expected numbers above 0"),
        (None, Some(_), None, None) | (None, None, Some(_), None) => refuse("cost_miss and cost_waste belong together"),
        (None, None, None, Some(share)) if is_share(share) => Ok(Rule::MostMissed(share)),
        (None, None, None, Some(_)) => refuse("max_missed: expected a share from 0 to 1"),
        _ => refuse("threshold, cost_miss with cost_waste, and max_missed exclude each other"),
    }
}
