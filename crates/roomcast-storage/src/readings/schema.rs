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

/// Query for whether nothing in a store depends on its zone, and no server uses it; `$1` is the present.
pub(super) const IS_UNUSED: &str = "SELECT NOT EXISTS (SELECT 1 FROM devices) AND NOT EXISTS (SELECT 1 FROM rooms) \
     AND NOT EXISTS (SELECT 1 FROM leases WHERE until > $1)";

/// Query that records the zone `$1`.
pub(super) const SET_ZONE: &str = "UPDATE meta SET zone = $1";

impl Meta {
    /// Returns whether a store without a zone may take the calendar's, if it is unused: it has one, and the tables are those
    /// of this program.
    pub(super) fn may_take_zone(&self, known: usize, calendar: &Calendar) -> bool {
        self.zone == NO_ZONE && calendar.zone().is_some() && self.version == OLDEST_VERSION + known as i64
    }
}

/// The zone of a store without one.
const NO_ZONE: &str = "none";

/// Returns the name of a calendar's zone, `none` without one.
pub(super) fn zone(calendar: &Calendar) -> &'static str {
    calendar.zone().map_or(NO_ZONE, |zone| zone.name())
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
