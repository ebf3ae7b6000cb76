//! The metadata of a store in any database: the version of its tables and its site's zone.

use super::StoreError;
use crate::calendar::Calendar;

/// The content of the table `meta`.
pub(super) struct Meta {
    /// Number of steps that made the tables.
    pub version: i64,
    /// The site's zone.
    pub zone: String,
}

/// Returns the name of a calendar's zone, `none` without one.
pub(super) fn zone(calendar: &Calendar) -> &'static str {
    calendar.zone().map_or("none", |zone| zone.name())
}

/// Returns how many of the `known` steps the tables already have; 0 without tables.
///
/// # Errors
/// [`StoreError::Newer`] when the tables have more steps, [`StoreError::Zone`] when they are for another zone, and
/// [`StoreError::Damaged`] when the version is negative.
pub(super) fn check(name: &str, meta: Option<&Meta>, known: usize, calendar: &Calendar) -> Result<usize, StoreError> {
    let Some(meta) = meta else { return Ok(0) };
    let (found, given) = (meta.version, zone(calendar));
    if found > known as i64 {
        return Err(StoreError::Newer { store: name.to_owned(), found, known: known as i64 });
    }
    if meta.zone != given {
        return Err(StoreError::Zone { store: name.to_owned(), recorded: meta.zone.clone(), given: given.to_owned() });
    }
    usize::try_from(found).map_err(|_| StoreError::damaged(name, format!("its version is {found}")))
}
