//! Readings by device, collected from rows in any order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::readings::{self, DeviceReadings};

/// Readings by device number.
pub(super) struct Collector {
    names: HashMap<i64, String>,
    times: HashMap<i64, Vec<Timestamp>>,
}

impl Collector {
    /// Starts without readings, for devices with these names.
    pub fn new(names: HashMap<i64, String>) -> Self {
        Self { names, times: HashMap::new() }
    }

    /// Adds readings of a device, in any order.
    ///
    /// # Errors
    /// [`sqlx::Error::Decode`] when no device has this number.
    pub fn add(&mut self, device: i64, times: Vec<Timestamp>) -> Result<(), sqlx::Error> {
        if !self.names.contains_key(&device) {
            return Err(sqlx::Error::Decode(format!("a reading of device {device}, which has no name").into()));
        }
        match self.times.entry(device) {
            Entry::Vacant(entry) => drop(entry.insert(times)),
            Entry::Occupied(mut entry) => entry.get_mut().extend(times),
        }
        Ok(())
    }

    /// Adds one reading for each of these devices, with the errors of [`Collector::add`].
    pub fn add_each(&mut self, devices: &[i64], times: &[Timestamp]) -> Result<(), sqlx::Error> {
        for (&device, &time) in devices.iter().zip(times) {
            match self.times.get_mut(&device) {
                Some(times) => times.push(time),
                None => self.add(device, vec![time])?,
            }
        }
        Ok(())
    }

    /// Returns the readings by device in order of name, times ascending, each once.
    pub fn finish(mut self) -> Vec<DeviceReadings> {
        let times = self.times.into_iter().filter(|(_, times)| !times.is_empty());
        let devices = times.filter_map(|(device, times)| {
            Some(DeviceReadings { device: self.names.remove(&device)?, times: times.into() })
        });
        readings::in_order(devices.collect()).0.devices
    }
}
