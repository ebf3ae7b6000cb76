//! What a store says about itself, whatever its database: the version of its tables and its site's zone.

use super::StoreError;
use crate::calendar::Calendar;

/// What stands in the table `meta`.
pub(super) struct Meta {
    /// How many steps made the tables.
    pub version: i64,
    /// The site's zone.
    pub zone: String,
}

/// The name of a calendar's zone, `none` without one.
pub(super) fn zone(calendar: &Calendar) -> &'static str {
    calendar.zone().map_or("none", |zone| zone.name())
}

/// How many of the `known` steps the tables have behind them: none without tables.
///
/// # Errors
/// When they have more, or are another zone's.
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
