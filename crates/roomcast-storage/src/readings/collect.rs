//! Readings by device, collected from rows in any order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::{self, DeviceReadings, Times};

/// Readings by number of their [`stream`](super::plan::stream).
pub(super) struct Collector {
    names: HashMap<i64, String>,
    times: HashMap<i64, Vec<Timestamp>>,
}

impl Collector {
    /// Starts without readings, for devices with these names.
    pub fn new(names: HashMap<i64, String>) -> Self {
        Self { names, times: HashMap::new() }
    }

    /// Adds readings of a stream, in any order.
    ///
    /// # Errors
    /// [`sqlx::Error::Decode`] when no device has this number.
    pub fn add(&mut self, stream: i64, times: Vec<Timestamp>) -> Result<(), sqlx::Error> {
        if !self.names.contains_key(&stream.saturating_abs()) {
            return Err(sqlx::Error::Decode(format!("a reading of device {stream}, which has no name").into()));
        }
        match self.times.entry(stream) {
            Entry::Vacant(entry) => drop(entry.insert(times)),
            Entry::Occupied(mut entry) => entry.get_mut().extend(times),
        }
        Ok(())
    }

    /// Adds one reading for each of these streams, with the errors of [`Collector::add`].
    pub fn add_each(&mut self, streams: &[i64], times: &[Timestamp]) -> Result<(), sqlx::Error> {
        for (&stream, &time) in streams.iter().zip(times) {
            match self.times.get_mut(&stream) {
                Some(times) => times.push(time),
                None => self.add(stream, vec![time])?,
            }
        }
        Ok(())
    }

    /// Returns the readings by device in order of name, times ascending, each once.
    pub fn finish(mut self) -> Vec<DeviceReadings> {
        let devices = self.names.into_iter().filter_map(|(number, device)| {
            let mut times = |stream| Times::from(self.times.remove(&stream).unwrap_or_default());
            let device = DeviceReadings { device, times: times(number), offs: times(-number) };
            (device.edge_count() > 0).then_some(device)
        });
        readings::in_order(devices.collect()).0.devices
    }
}
