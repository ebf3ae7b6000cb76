//! Publishing: when data or models are new, when the origin moves on, and at once when an hour begins.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::forecasts;
use super::planning::Begun;
use crate::backoff::next_run;
use crate::problem::Problem;
use crate::publish::SiteForecast;
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};

/// Multiple of the time that a publication took to compute after which the next one of the same hour is due.
const PAUSE_FACTOR: u32 = 10;

/// The state of the last publication.
#[derive(Default)]
pub struct Publishing {
    snapshot: Weak<Snapshot>,
    origin: Timestamp,
    first: Option<Hour>,
    /// The hours that have begun.
    begun: Begun,
    /// The earliest time of another publication of the same hour.
    next: Option<Instant>,
}

impl Publishing {
    /// Publishes, if there is something new and the publisher is active.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn update(&mut self, site: &Site, snapshot: &Arc<Snapshot>) -> Result<(), Problem> {
        let Some(publisher) = &site.publisher else { return Ok(()) };
        if !publisher.is_active() {
            // Once the publisher is active again, everything counts as new.
            *self = Publishing::default();
            return Ok(());
        }
        let origin = snapshot.history.present(&site.calendar);
        let first = Some(site.calendar.next_hour(origin));
        let is_new = origin != self.origin || !Weak::ptr_eq(&self.snapshot, &Arc::downgrade(snapshot));
        let is_pause_over = first != self.first || self.next.is_none_or(|next| Instant::now() >= next);
        if !is_new || !is_pause_over {
            return Ok(());
        }
        let watch = Instant::now();
        let forecasts = forecasts::of_all(site, snapshot, origin)?;
        let above = |level| {
            let (_, made) = snapshot.of_level(level, (origin, 1), &[], &site.calendar, &site.metrics)?;
            Ok::<_, Problem>((level, made))
        };
        let above = snapshot.history.rooms.levels().into_iter().map(above).collect::<Result<Vec<_>, _>>()?;
        let plans = self.begun.plans(site, snapshot, &forecasts)?;
        let (made_at, version) = (Calendar::utc_now(), forecasts.grid.model(&site.calendar).version);
        publisher.publish(SiteForecast { origin, made_at, version, forecasts: forecasts.devices(), plans, above });
        self.next = Some(next_run(watch, PAUSE_FACTOR));
        (self.snapshot, self.origin, self.first) = (Arc::downgrade(snapshot), origin, first);
        Ok(())
    }
}
