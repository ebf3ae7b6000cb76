//! The site, and readings from files, data frames and lists.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::NaiveDate;
use polars_arrow::array::{StructArray, Utf8Array};
use polars_arrow::datatypes::{ArrowDataType, Field};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use roomcast_forecast::calendar::{Calendar, Timestamp, days_off, public_holidays};
use roomcast_forecast::readings::names::closest;
use roomcast_forecast::readings::{self, Layout, ReadOptions, ReadSummary, write_parquet};

use crate::errors::{SettingError, other, reading, setting};
use crate::table::Stream;

/// A site's calendar, and how its readings are read.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub struct Site {
    pub calendar: Calendar,
    /// Days that were given as closed: no room is to be on.
    pub closures: BTreeSet<NaiveDate>,
    skip_bad_rows: bool,
}

/// The readings of a site.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub struct Readings {
    pub readings: readings::Readings,
    pub summary: ReadSummary,
    /// True when the times are instants of a site with a zone.
    zoned: bool,
}

/// A column of texts: its name and cells.
type TextColumn = (String, Vec<Option<String>>);

#[pymethods]
impl Site {
    #[new]
    #[pyo3(signature = (*, timezone, country, region, holidays, holidays_file, closed, open, weekend, skip_bad_rows))]
    #[allow(clippy::too_many_arguments, reason = "the keywords of a Python call")]
    fn new(
        timezone: Option<&str>,
        country: Option<&str>,
        region: Option<&str>,
        holidays: Vec<String>,
        holidays_file: Option<PathBuf>,
        closed: Vec<String>,
        open: Vec<String>,
        weekend: Vec<String>,
        skip_bad_rows: bool,
    ) -> PyResult<Site> {
        let zone = timezone.map(zone).transpose()?;
        let mut days = [false; 7];
        for day in &weekend {
            let weekday = day.parse::<chrono::Weekday>();
            let weekday = weekday.map_err(|_| refused("weekend", "weekdays such as 'sat'", day))?;
            days[weekday.num_days_from_monday() as usize] = true;
        }
        let (closed, open) = (dates("closed", &closed)?, dates("open", &open)?);
        let closures = closed.iter().filter(|day| !open.contains(day)).copied().collect();
        let mut calendar = Calendar::new(zone).with_weekend(days).with_days_off(closed);
        if let Some(country) = country {
            calendar = calendar.with_public_holidays(public_holidays::days(country, region).map_err(setting)?);
        } else if region.is_some() {
            return Err(SettingError::new_err("a region needs its country"));
        }
        calendar = calendar.with_days_off(dates("holidays", &holidays)?);
        if let Some(path) = &holidays_file {
            calendar = calendar.with_days_off(days_off::read(path).map_err(setting)?);
        }
        Ok(Site { calendar: calendar.with_working_days(open), closures, skip_bad_rows })
    }

    /// Returns the instant of a local time, or of the midnight that begins a date.
    fn parse(&self, time: &str) -> PyResult<Timestamp> {
        let time = time.trim();
        let midnight = time.parse::<NaiveDate>().is_ok().then(|| format!("{time} 00:00:00"));
        self.calendar.parse(midnight.as_deref().unwrap_or(time)).map_err(setting)
    }

    /// Returns the site's present instant.
    fn now(&self) -> Timestamp {
        self.calendar.now()
    }

    /// Returns the instant at which the hour of an instant begins, and the midnight before it.
    fn hour_and_midnight(&self, instant: Timestamp) -> (Timestamp, Timestamp) {
        let hour = self.calendar.hour(instant);
        (self.calendar.start(hour), self.calendar.start(hour - i32::from(self.calendar.local(hour).hour)))
    }

    /// Reads the readings of a file before `until`.
    #[pyo3(signature = (path, until))]
    fn read_file(&self, py: Python<'_>, path: PathBuf, until: Option<Timestamp>) -> PyResult<Readings> {
        let read = py.detach(|| readings::read(&[path], &self.options(until), &self.calendar));
        Ok(self.readings(read.map_err(reading)?))
    }

    /// Reads the readings of an Arrow stream before `until`.
    #[pyo3(signature = (stream, until))]
    fn read_stream(
        &self,
        py: Python<'_>,
        stream: &Bound<'_, PyCapsule>,
        until: Option<Timestamp>,
    ) -> PyResult<Readings> {
        let mut stream = Stream::take(stream)?;
        let read = py.detach(|| {
            let fields = stream.fields()?;
            readings::read_arrow(&fields, &mut stream, &self.options(until), &self.calendar)
        });
        Ok(self.readings(read.map_err(reading)?))
    }

    /// Reads the readings of columns of texts before `until`.
    #[pyo3(signature = (columns, until))]
    fn read_texts(&self, py: Python<'_>, columns: Vec<TextColumn>, until: Option<Timestamp>) -> PyResult<Readings> {
        let length = columns.first().map_or(0, |(_, cells)| cells.len());
        if let Some((name, cells)) = columns.iter().find(|(_, cells)| cells.len() != length) {
            let text = format!("column {name:?} has {} rows where {length} are expected", cells.len());
            return Err(crate::errors::ReadingsError::new_err(text));
        }
        let field = |(name, _): &TextColumn| Field::new(name.as_str().into(), ArrowDataType::LargeUtf8, true);
        let fields: Vec<Field> = columns.iter().map(field).collect();
        let read = py.detach(|| {
            let arrays = columns.iter().map(|(_, cells)| Utf8Array::<i64>::from(cells).boxed()).collect();
            let batch = StructArray::new(ArrowDataType::Struct(fields.clone()), length, arrays, None);
            let mut batches = std::iter::once(Ok(batch.boxed()));
            readings::read_arrow(&fields, &mut batches, &self.options(until), &self.calendar)
        });
        Ok(self.readings(read.map_err(reading)?))
    }
}

impl Site {
    fn options(&self, until: Option<Timestamp>) -> ReadOptions {
        ReadOptions { skip_bad_rows: self.skip_bad_rows, until, layout: Layout::FOUND }
    }

    fn readings(&self, (readings, summary): (readings::Readings, ReadSummary)) -> Readings {
        Readings { readings, summary, zoned: self.calendar.zone().is_some() }
    }
}

#[pymethods]
impl Readings {
    fn __len__(&self) -> usize {
        self.readings.len()
    }

    /// What reading found, as JSON.
    #[getter]
    fn summary(&self) -> PyResult<String> {
        serde_json::to_string(&self.summary).map_err(other)
    }

    /// The last sign of life of any sensor.
    #[getter]
    fn heard(&self) -> Option<Timestamp> {
        self.summary.heard
    }

    /// Returns the readings as the bytes of a Parquet file.
    fn parquet(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::new();
        py.detach(|| write_parquet(&self.readings.devices, self.zoned, &mut bytes)).map_err(other)?;
        Ok(bytes)
    }

    /// Returns the same readings, heard at another instant.
    #[pyo3(signature = (heard))]
    fn heard_at(&self, heard: Option<Timestamp>) -> Readings {
        let summary = ReadSummary { heard, ..self.summary.clone() };
        Readings { readings: self.readings.clone(), summary, zoned: self.zoned }
    }
}

fn zone(name: &str) -> PyResult<chrono_tz::Tz> {
    name.parse().map_err(|_| {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let near = closest(name, known).unwrap_or("Europe/Berlin");
        SettingError::new_err(format!("there is no time zone {name:?}; did you mean {near}?"))
    })
}

fn dates(setting: &str, texts: &[String]) -> PyResult<Vec<NaiveDate>> {
    texts.iter().map(|text| text.parse().map_err(|_| refused(setting, "dates as YYYY-MM-DD", text))).collect()
}

fn refused(setting: &str, expected: &str, found: &str) -> PyErr {
    SettingError::new_err(format!("{setting}: expected {expected}, found {found:?}"))
}
