//! The table of rooms, followed in the store.

use std::sync::Arc;

use super::load;
use crate::state::site::Site;

/// Reads the table again and serves its rooms.
///
/// # Errors
/// As [`Site::read_rooms`]; the old table stays in use.
pub(crate) fn read_again(site: &Site) -> anyhow::Result<()> {
    let _lock = site.serving.lock_loading();
    let rooms = site.read_rooms()?;
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
