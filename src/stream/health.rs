//! Which sensors their gateway says are gone.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Sensors that an availability topic said are offline, and nothing was heard of since.
#[derive(Debug, Default)]
pub struct Health {
    offline: Mutex<BTreeSet<String>>,
}

impl Health {
    /// Takes note that a sensor is there, or is not.
    pub fn set(&self, device: &str, online: bool) {
        let mut offline = self.offline.lock().unwrap_or_else(PoisonError::into_inner);
        if online {
            offline.remove(device);
        } else if !offline.contains(device) {
            offline.insert(device.to_owned());
        }
    }

    /// The sensors that are gone, in order of name.
    pub fn offline(&self) -> Vec<String> {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
