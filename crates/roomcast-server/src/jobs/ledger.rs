//! The savings ledger: stores the schedules of each day before its hours, and counts the days that are over.

use super::forecasts;
use crate::backoff::Outage;
use crate::problem::Problem;
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::{Hour, Timestamp};
use roomcast_forecast::decisions::live::LiveLedger;
use roomcast_forecast::decisions::plan;
use roomcast_forecast::rooms::Level;

/// The name of the file of the ledger beside the models.
const FILE: &str = "live-ledger";

/// The state of the ledger: whether an earlier one was read, and whether reading or saving it fails.
#[derive(Default)]
pub struct LedgerKeeper {
    is_resumed: bool,
    outage: Outage,
}

impl LedgerKeeper {
    /// Reads the ledger of an earlier process. While the registry is unreachable it does not start with an empty one,
    /// because it would replace that in the registry.
    fn resume(&mut self, site: &Site) {
        let kept = match site.registry.read_beside(FILE) {
            Err(error) if error.is_temporary() => {
                if self.outage.begin() {
                    tracing::warn!(%error, "the earlier ledger cannot be read yet: it waits");
                }
                return;
            }
            kept => kept.map_err(anyhow::Error::from),
        };
        match kept.and_then(|kept| kept.map_or(Ok(LiveLedger::default()), |bytes| Ok(LiveLedger::parse(&bytes)?))) {
            Ok(ledger) => *site.ledger() = ledger,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(file = FILE, error, "the earlier ledger cannot be read: it begins anew");
            }
        }
        *self = LedgerKeeper { is_resumed: true, outage: Outage::default() };
    }

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
        if !self.is_resumed {
            self.resume(site);
        }
        if !self.is_resumed {
            return Ok(());
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
            site.ledger().store(today, first, &site.settings.blocks, &plans);
            changed = true;
        }
        if site.ledger().is_due(now, calendar) {
            let grid = snapshot.present_grid(calendar);
            site.ledger().close(&grid.hourly, site.settings.timetables.as_ref(), now, calendar);
            changed = true;
        }
        if changed {
            self.save(site);
        }
        Ok(())
    }

    fn save(&mut self, site: &Site) {
        let bytes = site.ledger().bytes();
        let saved =
            bytes.map_err(anyhow::Error::from).and_then(|bytes| Ok(site.registry.write_beside(FILE, &bytes)?));
        match saved {
            Ok(()) => {
                self.outage.end();
            }
            Err(error) if self.outage.begin() => {
                tracing::warn!(error = format!("{error:#}"), "the ledger could not be saved: a restart will lose it");
            }
            Err(_) => {}
        }
    }
}
