//! Backtests: forecasts of the past and their scores.

use pyo3::prelude::*;
use roomcast_forecast::backtest::report::Report;
use roomcast_forecast::backtest::{self, BacktestError, BacktestPlan, ScoredHour, baselines, html, text};
use roomcast_forecast::calendar::{Calendar, Timestamp};

use crate::errors::{ReadingsError, SettingError, other, unknown};
use crate::progress::Progress;
use crate::site::{Readings, Site};
use crate::table::Columns;

/// Seconds of the shortest and of the longest step: a minute and a thousand years.
const STEP_SECONDS: (u64, u64) = (60, 365_250 * 86_400);

/// Scores of forecasts of the past, and the forecasts.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub struct Backtest {
    report: Report,
    hours: Vec<ScoredHour>,
    devices: Vec<String>,
    calendar: Calendar,
}

#[pymethods]
impl Backtest {
    /// Replays the past of readings.
    #[staticmethod]
    #[pyo3(signature = (site, readings, *, start, stop, every, refit, devices, progress))]
    #[allow(clippy::too_many_arguments, reason = "the keywords of a Python call")]
    fn run(
        py: Python<'_>,
        site: &Site,
        readings: &Readings,
        start: Option<Timestamp>,
        stop: Option<Timestamp>,
        every: &str,
        refit: &str,
        devices: Option<Vec<String>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Backtest> {
        let step = |name, text| seconds(name, text, STEP_SECONDS, "from a minute to a thousand years, such as 6h");
        let steps = (step("every", every)?, step("refit", refit)?);
        let calendar = site.calendar.clone();
        // Replay and truth share one grid: that of the time in which the site was in use.
        let readings = readings.readings.alive(calendar.latest());
        let names = || readings.devices.iter().map(|device| device.device.as_str());
        if let Some(missing) = devices.iter().flatten().find(|wanted| !names().any(|name| name == *wanted)) {
            return Err(unknown(missing, names()));
        }
        let progress = Progress::new(progress);
        let result = py.detach(|| {
            let plan = BacktestPlan::new(&readings, &calendar, calendar.latest(), (start, stop), steps)?;
            let mut hours = backtest::run(&readings, &calendar, &plan, &|done, total| progress.tell(done, total))?;
            if let Some(devices) = &devices {
                hours.retain(|hour| devices.contains(&readings.devices[hour.device as usize].device));
            }
            Ok((Report::new(&readings, &calendar, &plan, &hours), hours))
        });
        progress.finish()?;
        let (report, hours) = result.map_err(failed)?;
        let nothing = "nothing to score: no hour of these devices between the origins and the last reading";
        let report = report.ok_or_else(|| ReadingsError::new_err(nothing))?;
        let devices = readings.devices.into_iter().map(|device| device.device).collect();
        Ok(Backtest { report, hours, devices, calendar })
    }

    /// Returns the report as JSON.
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.report).map_err(other)
    }

    /// Returns the report as tables of text.
    fn text(&self) -> PyResult<String> {
        let mut tables = Vec::new();
        text::write(&self.report, false, &mut tables).map_err(other)?;
        Ok(String::from_utf8_lossy(&tables).into_owned())
    }

    /// Returns the report as one page of HTML.
    fn html(&self) -> String {
        html::page(&self.report)
    }

    /// Returns one row for each device, origin and hour.
    fn hours(&self) -> Columns {
        let hours = || self.hours.iter();
        let mut table = Columns::new(&self.calendar)
            .times("origin", hours().map(|hour| hour.origin))
            .times("time", hours().map(|hour| self.calendar.start(hour.hour)))
            .texts("device", hours().map(|hour| self.devices[hour.device as usize].as_str()))
            .small("lead", hours().map(|hour| hour.lead as i8))
            .flags("occupied", hours().map(|hour| hour.actual))
            .flags("silent", hours().map(|hour| hour.silent))
            .numbers("probability", hours().map(|hour| f64::from(hour.probability)))
            .small("activation_predicted", hours().map(|hour| i8::from(hour.occupied)));
        for (at, name) in baselines::NAMES.iter().enumerate() {
            let column = name.replace([' ', '-'], "_");
            table = table.numbers(&column, hours().map(|hour| f64::from(hour.baselines[at])));
        }
        table
    }
}

pub fn failed(error: BacktestError) -> PyErr {
    match error {
        BacktestError::Train { .. } | BacktestError::Forecast { .. } => other(error),
        _ => ReadingsError::new_err(error.to_string()),
    }
}

/// Returns the seconds of an argument such as `6h`, if they are between the bounds.
pub fn seconds(argument: &str, text: &str, bounds: (u64, u64), expected: &str) -> PyResult<i64> {
    let duration = humantime::parse_duration(text).ok().map(|duration| duration.as_secs());
    let duration = duration.filter(|seconds| (bounds.0..=bounds.1).contains(seconds));
    let refused = || SettingError::new_err(format!("{argument}: expected a duration {expected}; found {text:?}"));
    duration.map(|seconds| seconds as i64).ok_or_else(refused)
}
