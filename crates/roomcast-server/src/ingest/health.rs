//! Sensors that their gateway reports as offline.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Sensors that an availability topic reported as offline and that have not reported since.
#[derive(Debug, Default)]
pub struct Health {
    offline: Mutex<BTreeSet<String>>,
}

impl Health {
    /// Records that a sensor is online or offline.
    pub fn set(&self, device: &str, online: bool) {
        let mut offline = self.offline.lock().unwrap_or_else(PoisonError::into_inner);
        if online {
            offline.remove(device);
        } else if !offline.contains(device) {
            offline.insert(device.to_owned());
        }
    }

    /// Returns the offline sensors, in order of name.
    pub fn offline(&self) -> Vec<String> {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the number of offline sensors.
    pub fn count(&self) -> usize {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
