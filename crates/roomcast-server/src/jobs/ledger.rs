//! The savings ledger: stores the schedules of each day before its hours, and counts the days that are over.

use super::beside::Beside;
use super::forecasts;
use crate::problem::Problem;
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Hour, Timestamp};
use roomcast_forecast::decisions::live::{self, LiveLedger};
use roomcast_forecast::decisions::plan;
use roomcast_forecast::hourly::HORIZON;
use roomcast_forecast::rooms::Level;

/// The name of the file of the ledger beside the models.
const FILE: &str = "live-ledger";

/// The state of the ledger's file.
pub struct LedgerKeeper(Beside);

impl Default for LedgerKeeper {
    fn default() -> LedgerKeeper {
        LedgerKeeper(Beside::new(FILE))
    }
}

impl LedgerKeeper {
    /// Stores the schedules of the local day that began with the hour `midnight`, while `hour` is under way, and counts
    /// the days that are over by `now`.
    ///
    /// # Errors
    /// Returns a `Problem` when Polars fails.
    pub fn update(
        &mut self,
        site: &Site,
        snapshot: &Snapshot,
        now: Timestamp,
        (hour, midnight): (Hour, Hour),
    ) -> Result<(), Problem> {
        if !self.0.is_resumed() {
            if let Some(ledger) = self.0.resume(&site.registry, LiveLedger::parse) {
                *site.ledger() = ledger;
            }
            if !self.0.is_resumed() {
                return Ok(());
            }
        }
        let calendar = &site.calendar;
        let (today, start) = (calendar.local(hour).day, calendar.start(midnight));
        let mut changed = false;
        // Models that have seen the day do not plan it.
        if site.ledger().is_wanted(today) && snapshot.loaded.models.cutoff <= start {
            let made = forecasts::of_all(site, snapshot, start)?;
            let rooms = made.cells.iter().map(|cell| cell.forecast.device.as_str());
            let thresholds = site.thresholds(site.settings.method, Level::Room, &made.grid, rooms);
            let forecasts = made.cells.iter().map(|cell| &cell.forecast);
            let plans = plan::plan(forecasts, &thresholds, &site.settings.blocks, start, calendar);
            // A schedule made later than at midnight counts for the hours that have not begun.
            let first = if hour == midnight { hour } else { hour + 1 };
            let until = midnight + HORIZON as Hour;
            site.ledger().store(today, first..until, &site.settings.blocks, &plans);
            changed = true;
        }
        if site.ledger().is_due(now, calendar) {
            let grid = snapshot.present_grid(calendar);
            let lost = site.ledger().close(&grid.hourly, site.settings.timetables.as_ref(), now, calendar);
            for day in lost {
                let date = live::date(day);
                tracing::warn!(date, "no room of its schedules has this name any more: the ledger leaves the day out");
            }
            changed = true;
        }
        if changed {
            self.save(site);
        }
        Ok(())
    }

    /// Saves the ledger. Days that another server has stored meanwhile are taken over.
    fn save(&mut self, site: &Site) {
        self.0.save(&site.registry, LiveLedger::parse, |found| {
            let mut ledger = site.ledger();
            found.iter().for_each(|found| ledger.merge(found));
            ledger.bytes()
        });
    }
}
