//! Publishing: when data or models are new, when the origin moves on, and at once when an hour begins.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::jobs::hourly::{self, All};
use crate::problem::Problem;
use crate::publish::SiteForecast;
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};

/// Shortest time between two editions of the same hour. After a slow edition the pause is this many times as long as
/// its computation took.
const REST: Duration = Duration::from_secs(5);
const REST_FACTOR: u32 = 10;

/// The state of the last edition.
#[derive(Default)]
pub struct Publishing {
    snapshot: Weak<Snapshot>,
    origin: Timestamp,
    first: Option<Hour>,
    done: Option<Instant>,
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
        let watch = Instant::now();
        let All { grid, forecasts } = hourly::forecasts(site, snapshot, origin)?;
        let (made_at, version) = (Calendar::utc_now(), grid.model(&site.calendar).version);
        publisher.publish(SiteForecast { origin, made_at, version, forecasts });
        *self = Publishing {
            snapshot: Arc::downgrade(snapshot),
            origin,
            first,
            done: Some(Instant::now()),
            took: watch.elapsed(),
        };
        Ok(())
    }
}
