//! The table of rooms: read from the file of `--rooms`, else from the store, and followed there.

use std::sync::Arc;

use anyhow::Context;

use super::load;
use crate::state::site::Site;
use roomcast_forecast::rooms::{Level, Rooms};

/// Reads the table; the one in use if it is the same.
///
/// # Errors
/// Returns an error when file or store cannot be read.
pub(super) fn read(site: &Site) -> anyhow::Result<Arc<Rooms>> {
    let given = &site.settings.input.site;
    let rooms = match &site.live {
        _ if site.settings.level != Level::Room => Rooms::default(),
        Some(live) if given.rooms.is_none() => live.rooms().context("cannot read the rooms")?,
        _ => given.rooms(&site.calendar)?,
    };
    let in_use = site.snapshot().ok().map(|snapshot| snapshot.history.rooms.clone());
    Ok(in_use.filter(|known| **known == rooms).unwrap_or_else(|| Arc::new(rooms)))
}

/// Reads the table again and serves its rooms.
///
/// # Errors
/// As [`read`]; the old table stays in use.
pub(crate) fn read_again(site: &Site) -> anyhow::Result<()> {
    let _lock = site.serving.lock_loading();
    let rooms = read(site)?;
    if let Ok(old) = site.snapshot()
        && !Arc::ptr_eq(&old.history.rooms, &rooms)
    {
        tracing::info!(rooms = rooms.rooms().count(), "another table of rooms is in use");
        let history = old.history.with_rooms(rooms, &site.calendar);
        load::serve(site, history);
    }
    Ok(())
}

/// Follows the table of the store, if another server or process has replaced it.
pub(super) fn follow(site: &Site) {
    let Some(live) = &site.live else { return };
    if site.settings.input.site.rooms.is_some() || !live.has_other_rooms() {
        return;
    }
    if let Err(error) = read_again(site) {
        tracing::error!(error = format!("{error:#}"), "the table of rooms cannot be read: the old one stays in use");
    }
}
