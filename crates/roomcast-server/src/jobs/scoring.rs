//! Keeps the forecasts of each hour and each day, and scores them when their hours have closed.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{MutexGuard, PoisonError};

use polars::prelude::PolarsResult;
use rayon::prelude::*;

use crate::jobs::hourly::{self, AT_ONCE, All};
use crate::problem::Problem;
use crate::state::loaded::Loaded;
use crate::state::site::Site;
use crate::state::snapshot::{Grid, History, Snapshot};
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::scores::Scores;

/// The name beside the models under which scores outlive the process.
const FILE: &str = "live-scores";

/// The state of scoring: whether earlier scores were read, and whether reading or saving them fails.
#[derive(Default)]
pub struct Scoring {
    taken_up: bool,
    failing: bool,
}

impl Scoring {
    /// Reads the scores of an earlier process. While the registry is away it does not begin anew, or they would be
    /// lost.
    fn take_up(&mut self, site: &Site) {
        let kept = match site.registry.read_beside(FILE) {
            Err(error) if error.is_temporary() => {
                if !self.failing {
                    tracing::warn!(%error, "earlier scores cannot be read now: scoring waits for them");
                }
                self.failing = true;
                return;
            }
            kept => kept.map_err(anyhow::Error::from),
        };
        let scores = kept.and_then(|kept| kept.map_or(Ok(Scores::default()), |bytes| Ok(Scores::parse(&bytes)?)));
        match scores {
            Ok(scores) => *lock(site) = scores,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(file = FILE, error, "earlier scores cannot be read, they begin anew");
            }
        }
        *self = Scoring { taken_up: true, failing: false };
    }

    /// Keeps and scores the forecasts that are due, while readings come in.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn round(&mut self, site: &Site, snapshot: &Snapshot) -> Result<(), Problem> {
        if !self.taken_up {
            self.take_up(site);
        }
        if !self.taken_up {
            return Ok(());
        }
        let calendar = &site.calendar;
        let Some(now) = clock(site, &snapshot.history) else { return Ok(()) };
        let hour = calendar.hour(now);
        let midnight = midnight(hour, calendar);
        let mut changed = false;
        // Bound first: in the head of the loop the lock would be held all through it.
        let wanted = lock(site).wanted(hour, midnight);
        for origin in wanted {
            let start = calendar.start(origin);
            // Models that have seen the hour do not forecast it.
            if snapshot.loaded.models.cutoff <= start {
                let All { grid, forecasts: made, .. } = hourly::forecasts(site, snapshot, start)?;
                let base = baseline(&grid, &made, &snapshot.history, calendar).map_err(Problem::internal)?;
                lock(site).keep(origin, hour, midnight, &made, &base);
                changed = true;
            }
        }
        if lock(site).is_due(now, calendar) {
            let grid = hourly::grid(site, snapshot, snapshot.history.present(calendar));
            lock(site).close(&grid.hourly, now, calendar);
            changed = true;
        }
        if changed {
            site.scored.fetch_add(1, SeqCst);
            self.save(site);
        }
        Ok(())
    }

    fn save(&mut self, site: &Site) {
        let bytes = lock(site).bytes();
        let bytes = bytes.map_err(anyhow::Error::from);
        let saved = bytes.and_then(|bytes| Ok(site.registry.write_beside(FILE, &bytes)?));
        if let Err(error) = &saved
            && !self.failing
        {
            tracing::warn!(error = format!("{error:#}"), "scores are not saved: a restart will forget them");
        }
        self.failing = saved.is_err();
    }
}

/// Returns the scores of the site, locked.
pub fn lock(site: &Site) -> MutexGuard<'_, Scores> {
    site.scores.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the instant up to which readings have come: now, or just after the last when readings run ahead of the
/// clock. If they are of the past, a store may still be playing it, and its last reading is the clock; files are then
/// history.
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

/// Returns the baseline's forecasts for the devices of these forecasts.
fn baseline(
    grid: &Grid,
    made: &[DeviceForecast],
    history: &History,
    calendar: &Calendar,
) -> PolarsResult<Vec<DeviceForecast>> {
    let models = Loaded::baseline(&history.readings, calendar, Rule::Fixed(0.5)).models;
    let those: Vec<usize> = made.iter().filter_map(|made| grid.hourly.position(&made.device)).collect();
    let mut forecasts = Vec::with_capacity(those.len());
    for some in those.chunks(AT_ONCE) {
        let made = some.par_iter().map(|&at| forecast::forecast(&grid.hourly, &grid.building, at, &models));
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
