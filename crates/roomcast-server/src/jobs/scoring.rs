//! Keeps the forecasts of each hour and each day, and scores them when their hours have closed.

use polars::prelude::PolarsResult;
use rayon::prelude::*;

use super::forecasts;
use super::ledger::LedgerKeeper;
use crate::backoff::Outage;
use crate::problem::Problem;
use crate::state::grid::{BATCH_SIZE, Grid};
use crate::state::loaded::Loaded;
use crate::state::site::Site;
use crate::state::snapshot::{History, Snapshot};
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::forecast::{self, DeviceForecast};
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::scores::Scores;

/// The name of the file of scores beside the models.
const FILE: &str = "live-scores";

/// The state of scoring: whether earlier scores were read, and whether reading or saving them fails.
#[derive(Default)]
pub struct Scoring {
    is_resumed: bool,
    outage: Outage,
    ledger: LedgerKeeper,
}

impl Scoring {
    /// Reads the scores of an earlier process. While the registry is unreachable it does not start with empty scores,
    /// because they would replace those in the registry.
    fn resume(&mut self, site: &Site) {
        let kept = match site.registry.read_beside(FILE) {
            Err(error) if error.is_temporary() => {
                if self.outage.begin() {
                    tracing::warn!(%error, "earlier scores cannot be read yet: scoring waits for them");
                }
                return;
            }
            kept => kept.map_err(anyhow::Error::from),
        };
        let scores = kept.and_then(|kept| kept.map_or(Ok(Scores::default()), |bytes| Ok(Scores::parse(&bytes)?)));
        match scores {
            Ok(scores) => *site.scores.lock() = scores,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(file = FILE, error, "earlier scores cannot be read: scoring begins anew");
            }
        }
        (self.is_resumed, self.outage) = (true, Outage::default());
    }

    /// Records and scores the forecasts that are due, while readings arrive.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn update(&mut self, site: &Site, snapshot: &Snapshot) -> Result<(), Problem> {
        if !self.is_resumed {
            self.resume(site);
        }
        if !self.is_resumed {
            return Ok(());
        }
        let calendar = &site.calendar;
        let Some(now) = clock(site, &snapshot.history) else { return Ok(()) };
        let hour = calendar.hour(now);
        let midnight = midnight(hour, calendar);
        self.ledger.update(site, snapshot, now, (hour, midnight))?;
        let mut changed = false;
        // Bound first: in the head of the loop the lock would be held all through it.
        let wanted = site.scores.lock().wanted(hour, midnight);
        for origin in wanted {
            let start = calendar.start(origin);
            // Models that have seen the hour do not forecast it.
            if snapshot.loaded.models.cutoff <= start {
                let made = forecasts::of_all(site, snapshot, start)?;
                let base = baseline(&made.grid, &snapshot.history, calendar).map_err(Problem::internal)?;
                let forecasts = made.devices();
                site.scores.lock().record(origin, hour, midnight, &forecasts, &base);
                changed = true;
            }
        }
        if site.scores.lock().is_due(now, calendar) {
            let grid = snapshot.present_grid(calendar);
            site.scores.lock().close(&grid.hourly, now, calendar);
            changed = true;
        }
        if changed {
            site.scores.count_change();
            self.save(site);
        }
        Ok(())
    }

    fn save(&mut self, site: &Site) {
        let bytes = site.scores.lock().bytes();
        let bytes = bytes.map_err(anyhow::Error::from);
        let saved = bytes.and_then(|bytes| Ok(site.registry.write_beside(FILE, &bytes)?));
        match saved {
            Ok(()) => {
                self.outage.end();
            }
            Err(error) if self.outage.begin() => {
                tracing::warn!(error = format!("{error:#}"), "scores could not be saved: a restart will lose them");
            }
            Err(_) => {}
        }
    }
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
