//! The metadata of a store in any database: the version of its tables and its site's zone.

use super::error::StoreError;
use roomcast_forecast::calendar::Calendar;

/// The oldest version of the tables, in either database, that is brought up to date.
pub(super) const OLDEST_VERSION: i64 = 4;

/// The contents of the table `meta`.
pub(super) struct Meta {
    /// The version of the tables.
    pub version: i64,
    /// The site's zone.
    pub zone: String,
}

/// Returns the name of a calendar's zone, `none` without one.
pub(super) fn zone(calendar: &Calendar) -> &'static str {
    calendar.zone().map_or("none", |zone| zone.name())
}

/// Returns the number of steps after version [`OLDEST_VERSION`] that were applied to the tables; `None` without tables.
///
/// # Errors
/// Returns an error when the tables are older than [`OLDEST_VERSION`], had more than the `known` steps, or are another
/// zone's.
pub(super) fn check(
    name: &str,
    meta: Option<&Meta>,
    known: usize,
    calendar: &Calendar,
) -> Result<Option<usize>, StoreError> {
    let Some(meta) = meta else { return Ok(None) };
    let (found, given) = (meta.version, zone(calendar));
    let latest = OLDEST_VERSION + known as i64;
    if found > latest {
        return Err(StoreError::Newer { store: name.to_owned(), found, known: latest });
    }
    let Ok(done) = usize::try_from(found - OLDEST_VERSION) else {
        let message = format!(
            "made by an early build of roomcast: its schema has version {found}, known are {OLDEST_VERSION} to {latest}\n\
             hint: write its readings to files with that build's roomcast export, and import them into a new store"
        );
        return Err(StoreError::refused(name, message));
    };
    if meta.zone != given {
        return Err(StoreError::Zone { store: name.to_owned(), recorded: meta.zone.clone(), given: given.to_owned() });
    }
    Ok(Some(done))
}
