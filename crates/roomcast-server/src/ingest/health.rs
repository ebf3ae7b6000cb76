//! Sensors that their gateway reports as offline.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// Sensors that an availability topic reported as offline and that have not reported since.
#[derive(Debug, Default)]
pub struct Health {
    offline: Mutex<BTreeSet<String>>,
    is_unnamed: AtomicBool,
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

    /// Names no sensors from then on, and only counts them.
    pub fn hide_names(&self) {
        self.is_unnamed.store(true, SeqCst);
    }

    /// Returns the offline sensors, in order of name, as far as they may be named.
    pub fn offline(&self) -> Vec<String> {
        if self.is_unnamed.load(SeqCst) {
            return Vec::new();
        }
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the number of offline sensors.
    pub fn count(&self) -> usize {
        self.offline.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
