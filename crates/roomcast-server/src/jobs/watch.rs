//! Watching the input: changed files, readings and rooms stored since, and readings that the store has dropped.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;

use super::load::{heard, history, serve, warm};
use super::rooms;
use crate::state::site::Site;
use crate::state::snapshot::History;
use roomcast_forecast::readings;
use roomcast_storage::inputs::Inputs;

/// Interval at which the input is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Size and modification time of each input file; `None` for a missing one.
pub type FileStamps = Vec<Option<(u64, SystemTime)>>;

/// Returns the present stamps of the input.
pub(crate) fn stamps(site: &Site) -> FileStamps {
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.len(), meta.modified().ok()?))
    };
    let Inputs { paths, site: given } = &site.settings.input;
    // A directory stands for its files: a row that is added to one of them does not change the directory.
    readings::files(paths).as_ref().unwrap_or(paths).iter().chain(&given.rooms).map(stamp).collect()
}

/// Watches the input until the server stops, and serves new data. `stamps` are from before the first load, so no change
/// between the two is missed.
pub fn run(site: &Site, mut stamps: FileStamps) {
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        let now = self::stamps(site);
        if now != stamps {
            stamps = now;
            read_again(site);
        }
        drop_expired(site);
        read_changes(site);
        rooms::follow(site);
    }
}

/// Reads all input again and serves it.
fn read_again(site: &Site) {
    let _lock = site.serving.lock_loading();
    match history(site).context("the old readings stay in use") {
        Ok(history) => {
            site.metrics.reading_reloads.add(1);
            site.serving.set_trouble(|trouble| trouble.readings = None);
            tracing::info!(readings = history.count, "the readings were reloaded");
            if let Ok(old) = site.snapshot() {
                if !Arc::ptr_eq(&old.history.rooms, &history.rooms) {
                    return serve(site, history);
                }
                site.serving.replace(old.with_history(history));
                warm(site);
                site.events.readings(std::iter::empty());
            }
        }
        Err(error) => {
            site.metrics.reading_reload_failures.add(1);
            tracing::error!(error = format!("{error:#}"), "the readings changed but cannot be read");
            site.serving.set_trouble(|trouble| trouble.readings = Some(format!("{error:#}")));
        }
    }
}

/// Stops serving readings as soon as the store has dropped them.
fn drop_expired(site: &Site) {
    let Some(live) = &site.live else { return };
    let mut drops_before = live.drops_before.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(before), Ok(old)) = (*drops_before, site.snapshot()) else { return };
    if old.history.sensors.span().is_none_or(|(first, _)| first >= before) {
        *drops_before = None;
        return;
    }
    // Another server may not have dropped them yet. An unavailable store is queried again later.
    if !live.has_dropped(before).unwrap_or(false) {
        return;
    }
    *drops_before = None;
    drop(drops_before);
    // Readings of files are served whatever their age. Without files nothing has to be read.
    if !site.settings.input.paths.is_empty() {
        return read_again(site);
    }
    let _lock = site.serving.lock_loading();
    let Ok(old) = site.snapshot() else { return };
    let history = History::new(old.history.all().since(before), old.history.rooms.clone(), &site.calendar, heard(site));
    tracing::info!(readings = history.count, "old readings were dropped");
    site.serving.replace(old.with_history(history));
    warm(site);
    site.events.readings(std::iter::empty());
}

/// Serves the readings stored since the last time, by this process or another.
fn read_changes(site: &Site) {
    let Some(live) = site.live.as_ref().filter(|live| live.is_due()) else { return };
    let _lock = site.serving.lock_loading();
    match live.changes() {
        Ok(changes) => {
            if live.is_unavailable.swap(false, SeqCst) {
                site.serving.set_trouble(|trouble| trouble.store = None);
            }
            if let Ok(old) = site.snapshot()
                && !changes.devices.is_empty()
            {
                let extended = old.extended(&changes.devices, &site.calendar);
                // Readings that this or another query has already returned are no news.
                if extended.history.edge_count() > old.history.edge_count() {
                    site.serving.replace(extended);
                    warm(site);
                    let rooms = old.history.changed(&changes.devices);
                    site.events.readings(rooms.iter().map(|(room, _)| room.as_str()));
                }
            }
        }
        Err(error) => {
            if !live.is_unavailable.swap(true, SeqCst) {
                tracing::error!(%error, "the store cannot be read, the old readings stay in use");
            }
            site.serving.set_trouble(|trouble| trouble.store = Some(error.to_string()));
        }
    }
}
