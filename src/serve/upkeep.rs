//! Keeping the store small: closed days are packed, what is older than wanted is forgotten.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::Context;

use super::lease::{Lease, RENEW};
use super::live::Live;
use super::site::Site;
use crate::calendar::Instant;
use crate::retrain::schedule::Schedule;

/// When and how to tidy the store.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// When.
    pub schedule: Schedule,
    /// Age from which days are packed; none to leave them as they are.
    pub pack: Option<Duration>,
    /// Age from which readings are forgotten; none to keep all.
    pub retain: Option<Duration>,
    /// Taken by the server that does it.
    pub lease: Option<Lease>,
}

/// Packs and forgets what is due. What goes wrong is shown until it has worked again.
pub fn run(site: &Site, upkeep: &Upkeep, live: &Live) {
    let watch = Stopwatch::now();
    let done = attempt(site, upkeep, live);
    match &done {
        Ok(None) => {
            tracing::info!("no upkeep: another server does it");
            // What that one forgets is forgotten here too.
            live.stale.store(upkeep.retain.is_some(), SeqCst);
        }
        Ok(Some((packed, dropped))) => {
            site.metrics.packed.add(*packed);
            site.metrics.dropped.add(*dropped);
            site.metrics.kept_up_at.set(crate::calendar::Calendar::utc_now().max(0) as u64);
            tracing::info!(packed, dropped, seconds = watch.elapsed().as_secs_f64(), "the store was tidied");
            if *dropped > 0 {
                // What is served must not hold what is forgotten.
                live.stale.store(true, SeqCst);
            }
        }
        Err(error) => tracing::error!(error = format!("{error:#}"), "the store could not be tidied"),
    }
    let trouble = done.err().map(|error| format!("the store could not be tidied: {error:#}"));
    site.set_trouble(|known| known.upkeep = trouble);
}

/// How many readings were packed and dropped; none when another server does it.
fn attempt(site: &Site, upkeep: &Upkeep, live: &Live) -> anyhow::Result<Option<(u64, u64)>> {
    let may = || upkeep.lease.as_ref().map_or(Ok(true), |lease| (lease.0)()).context("cannot take the lease");
    if !may()? {
        return Ok(None);
    }
    let Some(now) = reference(site) else { return Ok(Some((0, 0))) };
    let ago = |age: Option<Duration>| age.map(|age| now - age.as_secs() as Instant);
    let renew = || {
        if let Err(error) = may() {
            tracing::warn!(error = format!("{error:#}"), "the lease could not be renewed");
        }
    };
    // What is forgotten need not be packed.
    let dropped =
        ago(upkeep.retain).map(|from| live.wait(|store| async move { store.retain(from).await }, RENEW, renew));
    let dropped = dropped.transpose().context("cannot drop readings")?.unwrap_or(0);
    let packed =
        ago(upkeep.pack).map(|before| live.wait(|store| async move { store.pack(before).await }, RENEW, renew));
    Ok(Some((packed.transpose().context("cannot pack days")?.unwrap_or(0), dropped)))
}

/// The instant that ages are counted from: the present, or the last reading where that is earlier. A clock that runs years
/// ahead, or sensors that fell silent, must not empty the store.
fn reference(site: &Site) -> Option<Instant> {
    let (_, last) = site.snapshot().ok()?.history.span?;
    Some(last.min(site.calendar.now()))
}
