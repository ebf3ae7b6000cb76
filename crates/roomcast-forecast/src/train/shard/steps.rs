//! The steps, each of which reads an input and writes an output.

use std::io::{Read, Write};
use std::ops::Range;

use polars::prelude::*;

use super::ShardError;
use super::row::{Row, Scores, pack};
use super::site::ShardSite;
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::model::fit::{self, Sample, TrainError};
use crate::model::{Source, checksum, codec};
use crate::readings::{DeviceReadings, Readings, field};
use crate::train::shard::arrow::{Input, Output};
use crate::train::shard::device::{self, DeviceFitter, SiteContext};

/// Number of devices whose readings a worker holds at a time.
const CHUNK_DEVICES: usize = 256;

/// The years 1971 to 2200, as in files of readings.
const VALID_TIMES: Range<Timestamp> = 31_536_000..7_289_654_400;

/// Returns the columns of readings: a device and the start of an hour (seconds), ascending by device, then hour; the
/// seconds of the hour with motion, 0 to 3599 ascending, and those at which the sensor said `off`.
fn readings() -> [(&'static str, DataType); 4] {
    let seconds = || DataType::List(Box::new(DataType::Int32));
    [("device", DataType::String), ("hour", DataType::Int64), ("seconds", seconds()), ("offs", seconds())]
}

/// Columns of samples: a device, the number of rows of its sample, and the rows.
const SAMPLE: [(&str, DataType); 3] =
    [("device", DataType::String), ("rows", DataType::Int64), ("sample", DataType::Binary)];

/// Column of a site.
const SITE: [(&str, DataType); 1] = [("site", DataType::Binary)];

/// Columns of a device's model and the results of its fit; [`super::run`] reads these again.
pub(super) const MODELS: [(&str, DataType); 19] = [
    ("device", DataType::String),
    ("model", DataType::Binary),
    ("sha256", DataType::String),
    ("site_sha256", DataType::String),
    ("source", DataType::String),
    ("rows", DataType::Int64),
    ("prior_loss", DataType::Float64),
    ("building_loss", DataType::Float64),
    ("device_loss", DataType::Float64),
    ("judged", DataType::Binary),
    ("reason", DataType::String),
    ("cutoff", DataType::Int64),
    ("hours", DataType::Int64),
    ("readings", DataType::Int64),
    ("first_reading", DataType::Int64),
    ("last_reading", DataType::Int64),
    ("readings_sha256", DataType::String),
    ("fit_seconds", DataType::Float64),
    ("roomcast", DataType::String),
];

/// Makes the site, without layers, from readings of all its devices. Of devices that never say `off` one second of each
/// hour with motion is enough. Hours from `until` on are set aside. Without `until` the hour of the last reading is the
/// last that is learned from, except hours of clocks that are wrong.
///
/// # Errors
/// [`ShardError`] when the input is invalid, there are no readings, `until` is in the future or the output fails.
pub fn building(
    input: impl Read,
    output: impl Write,
    calendar: &Calendar,
    until: Option<Timestamp>,
) -> Result<(), ShardError> {
    let mut input = Input::open(input, &readings())?;
    let mut devices = Devices::new(calendar, until.unwrap_or(Timestamp::MAX), Timestamp::MIN);
    while let Some((frame, before)) = input.next_rows()? {
        devices.take(&frame, before)?;
    }
    devices.log_set_aside();
    one_site(&device::build_site(&Readings { devices: devices.drain(0) }, calendar, until)?, output)
}

/// Writes, from readings of some devices, those of their rows that the site's layers are fitted on.
///
/// # Errors
/// [`ShardError`] when the input is invalid, the features cannot be built or the output fails.
pub fn sample(input: impl Read, output: impl Write, site: &ShardSite) -> Result<(), ShardError> {
    let mut output = Output::start(output, &SAMPLE)?;
    let context = SiteContext::new(site.clone());
    for_each_chunk(input, &context, |devices| {
        let parts = context.samples(devices)?;
        let bytes = parts.iter().map(|(_, sample)| pack(sample)).collect::<Result<Vec<_>, _>>()?;
        output.write(vec![
            Column::new("device".into(), parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()),
            Column::new("rows".into(), parts.iter().map(|(_, sample)| sample.rows() as i64).collect::<Vec<_>>()),
            Column::new("sample".into(), bytes.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        ])
    })?;
    output.finish().map(drop)
}

/// Fits the site's layers on the samples of all devices, ascending by device, and writes the site with them.
///
/// # Errors
/// [`ShardError`] when the input is invalid, fitting fails or the output fails.
pub fn layers(input: impl Read, output: impl Write, site: &ShardSite) -> Result<(), ShardError> {
    let mut input = Input::open(input, &SAMPLE)?;
    let mut parts: Vec<Sample> = Vec::new();
    let mut last = String::new();
    while let Some((frame, before)) = input.next_rows()? {
        let (devices, rows, samples) =
            (frame.column("device")?.str()?, frame.column("rows")?.i64()?, frame.column("sample")?.binary()?);
        for (row, device) in (before + 1..).zip(0..frame.height()) {
            let refuse = |what: &str| ShardError::Row { row, what: what.into() };
            let name = devices.get(device).ok_or_else(|| refuse("there is no device"))?;
            if name <= last.as_str() {
                return Err(refuse("the devices are not in ascending order, each once"));
            }
            let sample = samples.get(device).ok_or_else(|| refuse("there is no sample"))?;
            let sample: Sample = codec::decode_value(sample).map_err(|what| refuse(&format!("the sample: {what}")))?;
            if !sample.is_whole() || Some(sample.rows() as i64) != rows.get(device) {
                return Err(refuse("the sample has another number of rows than announced"));
            }
            parts.push(sample);
            last = name.to_owned();
        }
    }
    one_site(&site.clone().with_layers(fit::train_site(&parts)?), output)
}

/// Fits some devices on their readings, on top of the site's layers, and writes their models.
///
/// # Errors
/// [`ShardError`] when the site has no layers, the input is invalid, fitting fails or the output fails.
pub fn devices(input: impl Read, output: impl Write, site: &ShardSite) -> Result<(), ShardError> {
    let fitting = DeviceFitter::new(site.clone(), checksum::sha256(&site.encode()?))?;
    let mut output = Output::start(output, &MODELS)?;
    for_each_chunk(input, fitting.context(), |devices| output.write(columns(&fitting.fit(devices)?)?))?;
    output.finish().map(drop)
}

/// Returns the columns of [`MODELS`].
fn columns(rows: &[Row]) -> Result<Vec<Column>, ShardError> {
    let text = |name: &str, of: fn(&Row) -> String| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
    let bytes = |name: &str, of: fn(&Row) -> &[u8]| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
    let number = |name: &str, of: fn(&Row) -> i64| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
    let loss = |name: &str, of: fn(Scores) -> f64| {
        Column::new(name.into(), rows.iter().map(|row| row.scores.map(of)).collect::<Vec<_>>())
    };
    let sources = rows.iter().map(|row| {
        let model = codec::decode_device(&row.device, &row.model).map_err(ShardError::Site)?;
        Ok(match model.source() {
            Source::Model => "model",
            Source::Building => "building",
            Source::Baseline => "baseline",
        })
    });
    Ok(vec![
        text("device", |row| row.device.clone()),
        bytes("model", |row| &row.model),
        text("sha256", |row| row.sha256.clone()),
        text("site_sha256", |row| row.site_sha256.clone()),
        Column::new("source".into(), sources.collect::<Result<Vec<_>, ShardError>>()?),
        Column::new("rows".into(), rows.iter().map(|row| row.scores.map(|scores| scores.0)).collect::<Vec<_>>()),
        loss("prior_loss", |scores| scores.1),
        loss("building_loss", |scores| scores.2),
        loss("device_loss", |scores| scores.3),
        bytes("judged", |row| &row.judged),
        Column::new("reason".into(), rows.iter().map(|row| row.reason.clone()).collect::<Vec<_>>()),
        number("cutoff", |row| row.cutoff),
        number("hours", |row| row.hours),
        number("readings", |row| row.readings),
        number("first_reading", |row| row.first_reading),
        number("last_reading", |row| row.last_reading),
        text("readings_sha256", |row| row.readings_sha256.clone()),
        Column::new("fit_seconds".into(), rows.iter().map(|row| row.fit_seconds).collect::<Vec<_>>()),
        text("roomcast", |_| env!("CARGO_PKG_VERSION").to_owned()),
    ])
}

fn one_site(site: &ShardSite, output: impl Write) -> Result<(), ShardError> {
    let mut output = Output::start(output, &SITE)?;
    output.write(vec![Column::new("site".into(), vec![site.encode()?.as_slice()])])?;
    output.finish().map(drop)
}

/// Passes the devices of an input to `each`, some at a time.
fn for_each_chunk(
    input: impl Read,
    context: &SiteContext,
    mut each: impl FnMut(Vec<DeviceReadings>) -> Result<(), ShardError>,
) -> Result<(), ShardError> {
    let mut input = Input::open(input, &readings())?;
    let mut devices = Devices::new(context.calendar(), context.site().until, context.beginning());
    while let Some((frame, before)) = input.next_rows()? {
        devices.take(&frame, before)?;
        while devices.complete() >= CHUNK_DEVICES {
            each(devices.drain(1))?;
        }
    }
    devices.log_set_aside();
    each(devices.drain(0))
}

/// Devices collected from rows as they arrive.
struct Devices<'a> {
    calendar: &'a Calendar,
    /// The instant from which hours are set aside.
    until: Timestamp,
    /// The instant before which hours are set aside, because they are of wrong clocks, or too old to learn from.
    from: Timestamp,
    /// Number of hours that were set aside, and the first of them.
    set_aside: (u64, Option<(String, Timestamp)>),
    /// The devices so far; the last one may still grow.
    devices: Vec<DeviceReadings>,
    /// The name and hour of the last row.
    last: Option<(String, Timestamp)>,
}

impl<'a> Devices<'a> {
    fn new(calendar: &'a Calendar, until: Timestamp, from: Timestamp) -> Devices<'a> {
        Devices { calendar, until, from, set_aside: (0, None), devices: Vec::new(), last: None }
    }

    /// Logs the number of hours that were set aside, if any.
    fn log_set_aside(&self) {
        if let (hours, Some((device, hour))) = &self.set_aside {
            let first = format!("{} of {device}", self.calendar.format(*hour));
            tracing::warn!(hours, first, "hours outside the training period were set aside");
        }
    }

    /// Returns the number of devices whose rows are complete.
    fn complete(&self) -> usize {
        self.devices.len().saturating_sub(1)
    }

    /// Removes and returns the devices with motion, except for the last `keep`.
    fn drain(&mut self, keep: usize) -> Vec<DeviceReadings> {
        let complete = self.devices.drain(..self.devices.len().saturating_sub(keep));
        complete.filter(|device| !device.times.is_empty()).collect()
    }

    /// Adds rows; `before` is the number of earlier rows.
    fn take(&mut self, frame: &DataFrame, before: u64) -> Result<(), ShardError> {
        let (names, hours) = (frame.column("device")?.str()?, frame.column("hour")?.i64()?);
        let (seconds, offs) = (frame.column("seconds")?.list()?, frame.column("offs")?.list()?);
        for (row, at) in (before + 1..).zip(0..frame.height()) {
            let refuse = |what: String| ShardError::Row { row, what };
            let (name, hour) = match (names.get(at), hours.get(at)) {
                (Some(name), Some(hour)) => (name, hour),
                _ => return Err(refuse("there is no device, or no hour".into())),
            };
            let list = |lists: &ListChunked| -> Result<Vec<i32>, ShardError> {
                let list = lists.get_as_series(at).ok_or_else(|| refuse("there are no seconds".into()))?;
                Ok(list.i32()?.iter().map(|second| second.unwrap_or(-1)).collect())
            };
            self.add(name, hour, &list(seconds)?, &list(offs)?).map_err(refuse)?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, hour: Timestamp, seconds: &[i32], offs: &[i32]) -> Result<(), String> {
        let in_order = self.last.as_ref().is_none_or(|(device, last)| (device.as_str(), *last) < (name, hour));
        if !in_order {
            return Err("rows are not in ascending order of device and hour, each once".into());
        }
        if self.last.as_ref().is_none_or(|(device, _)| device != name) {
            field::name(name.as_bytes()).map_err(|problem| format!("expected {}", problem.expected))?;
        }
        self.last = Some((name.to_owned(), hour));
        if !VALID_TIMES.contains(&hour) || self.calendar.start(self.calendar.hour(hour)) != hour {
            return Err(format!("{hour} is not the beginning of an hour of the site"));
        }
        let is_valid =
            |list: &[i32]| list.is_sorted_by(|a, b| a < b) && list.iter().all(|s| (0..HOUR as i32).contains(s));
        if (seconds.is_empty() && offs.is_empty()) || !is_valid(seconds) || !is_valid(offs) {
            return Err("the seconds are not some of 0 to 3599 in ascending order".into());
        }
        let known = |list: &[i32]| -> Vec<Timestamp> {
            let times = list.iter().map(|&second| hour + i64::from(second));
            times.take_while(|&time| time < self.until).collect()
        };
        let (times, offs) = (known(seconds), known(offs));
        if hour < self.from || (times.is_empty() && offs.is_empty()) {
            self.set_aside.0 += 1;
            self.set_aside.1.get_or_insert_with(|| (name.to_owned(), hour));
            return Ok(());
        }
        if self.devices.last().is_none_or(|device| device.device != name) {
            self.devices.push(DeviceReadings { device: name.to_owned(), ..DeviceReadings::default() });
        }
        if let Some(device) = self.devices.last_mut() {
            device.times.extend(times);
            device.offs.extend(offs);
        }
        Ok(())
    }
}

impl From<PolarsError> for ShardError {
    fn from(error: PolarsError) -> Self {
        ShardError::Train(TrainError::Features(error))
    }
}
