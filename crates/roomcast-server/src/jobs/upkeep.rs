//! Upkeep of the store: closed days are packed, readings older than wanted are dropped.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::state::live::{JOBS, Live, RENEW_INTERVAL};
use crate::state::settings::Upkeep;
use crate::state::site::Site;
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};

/// Packs and drops the readings that are due. A failure is shown until a later run has succeeded.
pub fn run(site: &Site, upkeep: &Upkeep, live: &Live) {
    let watch = Instant::now();
    let retain_from = cutoff(site, upkeep.retain);
    let done = attempt(site, upkeep, live, retain_from);
    match &done {
        Ok(None) => tracing::info!("no upkeep: another server has the lease"),
        Ok(Some((packed, dropped))) => {
            site.metrics.packed.add(*packed);
            site.metrics.dropped.add(*dropped);
            site.metrics.kept_up_at.set(Calendar::utc_now().max(0) as u64);
            tracing::info!(packed, dropped, seconds = watch.elapsed().as_secs_f64(), "the store was tidied");
        }
        Err(error) => tracing::error!(error = format!("{error:#}"), "the store could not be tidied"),
    }
    // Readings that this server or another has dropped must no longer be served.
    if done.is_ok()
        && let Some(from) = retain_from
    {
        *live.drops_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(from - from.rem_euclid(24 * HOUR));
    }
    let trouble = done.err().map(|error| format!("the store could not be tidied: {error:#}"));
    site.serving.set_trouble(|known| known.upkeep = trouble);
}

/// Returns the number of readings packed and dropped, the latter all before `retain_from`; `None` when another server
/// holds the lease.
fn attempt(
    site: &Site,
    upkeep: &Upkeep,
    live: &Live,
    retain_from: Option<Timestamp>,
) -> anyhow::Result<Option<(u64, u64)>> {
    let lease = live.lease(JOBS);
    if !lease().context("cannot take the lease")? {
        return Ok(None);
    }
    let renew = || {
        if let Err(error) = lease() {
            tracing::warn!(error = format!("{error:#}"), "the lease could not be renewed");
        }
    };
    // Readings that are dropped need not be packed.
    let dropped =
        retain_from.map(|from| live.wait(|store| async move { store.retain(from).await }, RENEW_INTERVAL, renew));
    let dropped = dropped.transpose().context("cannot drop readings")?.unwrap_or(0);
    let packed = cutoff(site, upkeep.pack)
        .map(|before| live.wait(|store| async move { store.pack(before).await }, RENEW_INTERVAL, renew));
    Ok(Some((packed.transpose().context("cannot pack days")?.unwrap_or(0), dropped)))
}

/// Returns the instant `age` before the reference; `None` without an age or without readings. Ages count from the
/// present, or from the last reading if that is earlier. Neither a clock that is years ahead nor sensors that fell
/// silent may empty the store.
fn cutoff(site: &Site, age: Option<Duration>) -> Option<Timestamp> {
    let (_, last) = site.snapshot().ok()?.history.span?;
    Some(last.min(site.calendar.now()) - age?.as_secs() as Timestamp)
}
