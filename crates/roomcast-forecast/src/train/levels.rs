//! Models of floors and buildings: each level is a site of its own, fitted as the rooms are.

use std::collections::BTreeMap;

use crate::calendar::{Calendar, Timestamp};
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::Models;
use crate::model::fit::{self, TrainError};
use crate::readings::Readings;
use crate::rooms::{Level, Rooms};

/// Fits the models of the levels above the rooms that a table has, on readings of sensors before `until`; none without a
/// table. Calls `done` once per fit of a floor or building.
///
/// # Errors
/// Returns [`TrainError`] when LightGBM or Polars fails.
pub fn levels(
    rooms: &Rooms,
    sensors: &Readings,
    calendar: &Calendar,
    until: Timestamp,
    done: &(dyn Fn() + Sync),
) -> Result<BTreeMap<Level, Models>, TrainError> {
    let fit = |level| {
        let hourly = Hourly::new(&rooms.readings(sensors, level, calendar, until), calendar, until);
        Ok((level, fit::train(&hourly, &SiteRates::new(&hourly), done)?))
    };
    rooms.levels().into_iter().map(fit).collect()
}
