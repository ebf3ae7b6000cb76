//! Publishing: when data or models are new, when the origin moves on, and at once when an hour begins.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant as Stopwatch};

use super::problem::Problem;
use super::rounds::{self, All};
use super::site::Site;
use super::snapshot::Snapshot;
use crate::calendar::{Calendar, Hour, Instant};
use crate::publish::Edition;

/// Shortest time between two editions of the same hour. After a slow edition the pause is this many times as long as
/// its computation took.
const REST: Duration = Duration::from_secs(5);
const REST_FACTOR: u32 = 10;

/// The state of the last edition.
#[derive(Default)]
pub struct Publishing {
    snapshot: Weak<Snapshot>,
    origin: Instant,
    first: Option<Hour>,
    done: Option<Stopwatch>,
    took: Duration,
}

impl Publishing {
    /// Publishes, if there is something new and the publisher is active.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn round(&mut self, site: &Site, snapshot: &Arc<Snapshot>) -> Result<(), Problem> {
        let Some(publisher) = &site.publisher else { return Ok(()) };
        if !publisher.is_active() {
            // Once the publisher is active again, everything counts as new.
            *self = Publishing::default();
            return Ok(());
        }
        let origin = snapshot.history.present(&site.calendar);
        let first = Some(site.calendar.next_hour(origin));
        let is_new = origin != self.origin || !Weak::ptr_eq(&self.snapshot, &Arc::downgrade(snapshot));
        let rest = REST.max(self.took * REST_FACTOR);
        let rested = first != self.first || self.done.is_none_or(|done| done.elapsed() >= rest);
        if !is_new || !rested {
            return Ok(());
        }
        let watch = Stopwatch::now();
        let All { grid, forecasts } = rounds::forecasts(site, snapshot, origin)?;
        let (made_at, version) = (Calendar::utc_now(), grid.model(&site.calendar).version);
        publisher.publish(Edition { origin, made_at, version, forecasts });
        *self = Publishing {
            snapshot: Arc::downgrade(snapshot),
            origin,
            first,
            done: Some(Stopwatch::now()),
            took: watch.elapsed(),
        };
        Ok(())
    }
}
