//! Models of floors and buildings: each level is a site of its own, fitted as the rooms are.

use std::collections::BTreeMap;

use super::report::LevelTrial;
use super::{Options, Outcome, run};
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

/// The models of each level, and what was decided about them.
pub type Renewed = (BTreeMap<Level, Models>, BTreeMap<Level, LevelTrial>);

/// Fits the models of the levels above the rooms again, and judges those of each level against the ones in `champion` as
/// [`run`] judges rooms: a level whose new layers lose keeps the models that it has. Returns the models of each level, and
/// what was decided. On a dry run no models are returned.
///
/// # Errors
/// Returns [`TrainError`] when LightGBM or Polars fails.
pub fn renew_levels(
    rooms: &Rooms,
    sensors: &Readings,
    calendar: &Calendar,
    champion: Option<&Models>,
    options: &Options,
    done: &(dyn Fn() + Sync),
) -> Result<Renewed, TrainError> {
    let (mut renewed, mut trials) = (BTreeMap::new(), BTreeMap::new());
    for level in rooms.levels() {
        let readings = rooms.readings(sensors, level, calendar, options.until);
        let in_use = champion.and_then(|models| models.levels.get(&level));
        let Outcome { report, models } = run(&readings, calendar, in_use, options, done)?;
        let models = match (models, in_use) {
            _ if options.dry_run => None,
            (Some(models), _) => Some(models),
            (None, Some(in_use)) if !in_use.devices.is_empty() => Some(in_use.clone()),
            (None, _) => {
                let hourly = Hourly::new(&readings, calendar, options.until);
                Some(fit::train(&hourly, &SiteRates::new(&hourly), done)?)
            }
        };
        renewed.extend(models.map(|models| (level, models)));
        trials.insert(level, LevelTrial { site: report.site, series: report.devices });
    }
    Ok((renewed, trials))
}
