//! Keeps the forecasts of each hour and each day, and scores them when their hours have closed.

use std::convert::Infallible;
use std::sync::Arc;

use polars::prelude::PolarsResult;
use rayon::prelude::*;

use super::beside::Beside;
use super::forecasts;
use super::ledger::LedgerKeeper;
use crate::problem::Problem;
use crate::state::grid::{BATCH_SIZE, Grid};
use crate::state::loaded::Loaded;
use crate::state::site::Site;
use crate::state::snapshot::{History, Snapshot};
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::scores::Scores;

/// The state of scoring: the file of each level's scores, and of the ledger.
pub struct Scoring {
    levels: [Beside; Level::ALL.len()],
    ledger: LedgerKeeper,
}

impl Default for Scoring {
    fn default() -> Scoring {
        Scoring { levels: Level::ALL.map(|level| Beside::new(file(level))), ledger: LedgerKeeper::default() }
    }
}

impl Scoring {
    /// Records and scores the forecasts that are due, of rooms and of the levels above them, while readings arrive.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn update(&mut self, site: &Site, snapshot: &Arc<Snapshot>) -> Result<(), Problem> {
        let mut changed = false;
        let above = snapshot.history.rooms.levels();
        for level in [Level::Room].into_iter().chain(above) {
            let file = &mut self.levels[level as usize];
            if !file.is_resumed() {
                if let Some(scores) = file.resume(&site.registry, Scores::parse) {
                    *site.scores.of(level) = scores;
                }
                if !file.is_resumed() {
                    break;
                }
            }
            let Some(now) = clock(site, &snapshot.history) else { break };
            let hour = site.calendar.hour(now);
            let midnight = midnight(hour, &site.calendar);
            if level == Level::Room {
                self.ledger.update(site, snapshot, now, (hour, midnight))?;
            }
            if update(site, snapshot, level, now, (hour, midnight))? {
                let bytes = site.scores.of(level).bytes().map_err(Problem::internal)?;
                // Servers that share models write the same scores.
                file.save(&site.registry, |_| Ok::<_, Infallible>(()), |_| bytes.clone());
                changed = true;
            }
        }
        if changed {
            site.scores.count_change();
        }
        Ok(())
    }
}

/// Returns the name of the file of a level's scores beside the models.
fn file(level: Level) -> &'static str {
    match level {
        Level::Room => "live-scores",
        Level::Floor => "live-scores-floor",
        Level::Building => "live-scores-building",
    }
}

/// Records and scores the forecasts of a level that are due at `now`, while `hour` is under way on the day that began
/// with the hour `midnight`. Returns whether something has changed.
fn update(
    site: &Site,
    snapshot: &Arc<Snapshot>,
    level: Level,
    now: Timestamp,
    (hour, midnight): (Hour, Hour),
) -> Result<bool, Problem> {
    let calendar = &site.calendar;
    let mut changed = false;
    // Bound first: in the head of the loop the lock would be held all through it.
    let wanted = site.scores.of(level).wanted(hour, midnight);
    for origin in wanted {
        let (start, own) = (calendar.start(origin), snapshot.at(level, calendar));
        // Models that have seen the hour do not forecast it.
        if own.loaded.models.cutoff <= start {
            let (grid, forecasts) = match level {
                Level::Room => {
                    let made = forecasts::of_all(site, snapshot, start)?;
                    (made.grid.clone(), made.devices())
                }
                _ => snapshot.of_level(level, (start, 1), &[], calendar, &site.metrics)?,
            };
            let base = baseline(&grid, &own.history, calendar).map_err(Problem::internal)?;
            site.scores.of(level).record(origin, hour, midnight, &forecasts, &base);
            changed = true;
        }
    }
    if site.scores.of(level).is_due(now, calendar) {
        let grid = snapshot.at(level, calendar).present_grid(calendar);
        site.scores.of(level).close(&grid.hourly, now, calendar);
        changed = true;
    }
    Ok(changed)
}

/// Returns the instant up to which readings have arrived: now, or just after the last when readings are ahead of the
/// clock. If they are of the past, a store may still be receiving them, and its last reading is the clock; files are
/// then history.
fn clock(site: &Site, history: &History) -> Option<Timestamp> {
    let (_, last) = history.span?;
    let now = site.calendar.now();
    if history.present(&site.calendar) + HOUR >= now {
        Some(now.max(last + 1))
    } else {
        site.live.as_ref().map(|_| last + 1)
    }
}

/// Returns the first hour of the local day of an hour.
fn midnight(hour: Hour, calendar: &Calendar) -> Hour {
    let day = calendar.local(hour).day;
    // The longest day has 25 hours.
    (hour - 25..=hour).find(|&earlier| calendar.local(earlier).day == day).unwrap_or(hour)
}

/// Returns the baseline's forecasts for all devices of a grid.
fn baseline(grid: &Grid, history: &History, calendar: &Calendar) -> PolarsResult<Vec<DeviceForecast>> {
    let models = Loaded::baseline(&history.readings, calendar, Rule::Fixed(0.5)).models;
    let all: Vec<usize> = (0..grid.hourly.devices.len()).collect();
    let mut forecasts = Vec::with_capacity(all.len());
    for batch in all.chunks(BATCH_SIZE) {
        let made = batch.par_iter().map(|&at| forecast::forecast(&grid.hourly, &grid.rates, at, &models));
        forecasts.extend(made.collect::<PolarsResult<Vec<_>>>()?);
    }
    Ok(forecasts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_local_midnight_however_long_they_are() {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let hour = |text: &str| calendar.hour(calendar.parse(text).unwrap());
        for day in ["2016-03-27", "2016-10-30", "2016-07-01"] {
            let first = hour(&format!("{day} 00:00:00"));
            assert_eq!(midnight(hour(&format!("{day} 23:00:00")), &calendar), first);
            assert_eq!(midnight(first, &calendar), first);
        }
    }
}
