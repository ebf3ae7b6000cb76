//! Readings by device, collected from rows in any order.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::day_codec::decode;
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::{self, DeviceReadings, Times};

/// Devices of which packed days are read at a time. What is read of some devices is in its final form before the next
/// are read, which bounds the memory used besides the answer.
const SPAN_DEVICES: i64 = 4096;

/// Readings by number of their [`stream`](super::plan::stream).
pub(super) struct Collector {
    names: HashMap<i64, String>,
    times: HashMap<i64, Times>,
}

impl Collector {
    /// Starts without readings, for devices with these names.
    pub fn new(names: HashMap<i64, String>) -> Self {
        Self { names, times: HashMap::new() }
    }

    /// Adds readings of a stream, in any order. It is fastest where they come after those that are there.
    ///
    /// # Errors
    /// [`sqlx::Error::Decode`] when no device has this number.
    pub fn add(&mut self, stream: i64, times: Vec<Timestamp>) -> Result<(), sqlx::Error> {
        if !self.names.contains_key(&stream.saturating_abs()) {
            return Err(sqlx::Error::Decode(format!("a reading of device {stream}, which has no name").into()));
        }
        self.times.entry(stream).or_default().extend(times);
        Ok(())
    }

    /// Adds packed days, as number of the stream and bytes.
    ///
    /// # Errors
    /// As [`Collector::add`], and for bytes that are no packed day.
    pub fn add_packed(&mut self, day: i64, streams: &[(i64, Vec<u8>)]) -> Result<(), sqlx::Error> {
        let times: Result<Vec<_>, _> = streams.par_iter().map(|(_, bytes)| decode(day, bytes)).collect();
        streams.iter().zip(times?).try_for_each(|((stream, _), times)| self.add(*stream, times))
    }

    /// Returns ranges that hold the streams of all devices.
    pub fn spans(&self) -> Vec<RangeInclusive<i64>> {
        let last = self.names.keys().max().copied().unwrap_or(0);
        // The last holds all other numbers, too: readings of a device without a name are found.
        let end = |from| if from + SPAN_DEVICES > last { i64::MAX } else { from + SPAN_DEVICES - 1 };
        let motions = (0..=last).step_by(SPAN_DEVICES as usize).map(|from| from..=end(from));
        motions.flat_map(|span| [-span.end()..=-span.start(), span]).collect()
    }

    /// Adds one reading for each of these streams, with the errors of [`Collector::add`].
    pub fn add_each(&mut self, streams: &[i64], times: &[Timestamp]) -> Result<(), sqlx::Error> {
        let mut together: HashMap<i64, Vec<Timestamp>> = HashMap::new();
        for (&stream, &time) in streams.iter().zip(times) {
            together.entry(stream).or_default().push(time);
        }
        together.into_iter().try_for_each(|(stream, times)| self.add(stream, times))
    }

    /// Returns the readings by device in order of name.
    pub fn finish(mut self) -> Vec<DeviceReadings> {
        let devices = self.names.into_iter().filter_map(|(number, device)| {
            let mut times = |stream| self.times.remove(&stream).unwrap_or_default();
            let device = DeviceReadings { device, times: times(number), offs: times(-number) };
            (device.edge_count() > 0).then_some(device)
        });
        readings::in_order(devices.collect()).devices
    }
}
