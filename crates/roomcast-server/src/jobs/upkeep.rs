//! Upkeep of the store: closed days are packed, readings older than wanted are dropped.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::state::lease::{Lease, RENEW};
use crate::state::live::Live;
use crate::state::site::Site;
use roomcast_forecast::calendar::{HOUR, Timestamp};
use roomcast_forecast::train::schedule::Schedule;

/// The schedule and settings of the store's upkeep.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// The schedule.
    pub schedule: Schedule,
    /// Age from which days are packed; none to leave them as they are.
    pub pack: Option<Duration>,
    /// Age from which readings are dropped; none to keep all.
    pub retain: Option<Duration>,
    /// The lease of the server that does it.
    pub lease: Option<Lease>,
}

/// Packs and drops what is due. A failure is shown until a later run has succeeded.
pub fn run(site: &Site, upkeep: &Upkeep, live: &Live) {
    let watch = Instant::now();
    let keep = from(site, upkeep.retain);
    let done = attempt(site, upkeep, live, keep);
    match &done {
        Ok(None) => tracing::info!("no upkeep: another server does it"),
        Ok(Some((packed, dropped))) => {
            site.metrics.packed.add(*packed);
            site.metrics.dropped.add(*dropped);
            site.metrics.kept_up_at.set(roomcast_forecast::calendar::Calendar::utc_now().max(0) as u64);
            tracing::info!(packed, dropped, seconds = watch.elapsed().as_secs_f64(), "the store was tidied");
        }
        Err(error) => tracing::error!(error = format!("{error:#}"), "the store could not be tidied"),
    }
    // Readings that this server or another has dropped must no longer be served.
    if done.is_ok()
        && let Some(from) = keep
    {
        *live.forgets.lock().unwrap_or_else(PoisonError::into_inner) = Some(from - from.rem_euclid(24 * HOUR));
    }
    let trouble = done.err().map(|error| format!("the store could not be tidied: {error:#}"));
    site.set_trouble(|known| known.upkeep = trouble);
}

/// Returns the number of readings packed and dropped, the latter all before `keep`; none when another server does it.
fn attempt(site: &Site, upkeep: &Upkeep, live: &Live, keep: Option<Timestamp>) -> anyhow::Result<Option<(u64, u64)>> {
    let may = || upkeep.lease.as_ref().map_or(Ok(true), |lease| (lease.0)()).context("cannot take the lease");
    if !may()? {
        return Ok(None);
    }
    let renew = || {
        if let Err(error) = may() {
            tracing::warn!(error = format!("{error:#}"), "the lease could not be renewed");
        }
    };
    // Readings that are dropped need not be packed.
    let dropped = keep.map(|from| live.wait(|store| async move { store.retain(from).await }, RENEW, renew));
    let dropped = dropped.transpose().context("cannot drop readings")?.unwrap_or(0);
    let packed =
        from(site, upkeep.pack).map(|before| live.wait(|store| async move { store.pack(before).await }, RENEW, renew));
    Ok(Some((packed.transpose().context("cannot pack days")?.unwrap_or(0), dropped)))
}

/// Returns the instant that lies so far back; none without an age or without readings. Ages count from the present, or
/// from the last reading if that is earlier: neither a clock that runs years ahead nor sensors that fell silent may
/// empty the store.
fn from(site: &Site, age: Option<Duration>) -> Option<Timestamp> {
    let (_, last) = site.snapshot().ok()?.history.span?;
    Some(last.min(site.calendar.now()) - age?.as_secs() as Timestamp)
}
