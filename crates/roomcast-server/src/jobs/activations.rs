//! Follows the registry: a version that becomes current there is served within seconds. The job has its own thread,
//! because an unreachable registry may take long to fail.

use std::time::{Duration, Instant};

use super::load;
use crate::state::site::Site;

/// Interval between checks whether the next query of the registry is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Time after which models that could not be loaded are tried again without any change of the registry.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Follows the registry until the server stops.
pub fn follow(site: &Site) {
    let mut tried = site.snapshot().ok().map(|snapshot| snapshot.loaded.version.clone());
    let (mut queried, mut loaded_at) = (Instant::now(), Instant::now());
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        if queried.elapsed() < site.registry.pace() {
            continue;
        }
        queried = Instant::now();
        let current = match site.registry.current() {
            Ok(Some(current)) => current,
            Ok(None) => continue,
            Err(error) => {
                site.serving.set_trouble(|trouble| trouble.models = Some(error.to_string()));
                continue;
            }
        };
        let in_use = site.snapshot().is_ok_and(|snapshot| snapshot.loaded.version == current);
        if in_use {
            // Trouble with another version no longer applies.
            site.serving.set_trouble(|trouble| trouble.models = None);
        } else if tried.as_ref() != Some(&current) || loaded_at.elapsed() >= RETRY_INTERVAL {
            // The error is logged and shown where it happens. An unreachable registry is tried again at the next query.
            let is_unavailable = load::reload(site).is_err_and(|error| error.is_temporary());
            loaded_at = Instant::now();
            if is_unavailable {
                tried = None;
                continue;
            }
        }
        tried = Some(current);
    }
}
