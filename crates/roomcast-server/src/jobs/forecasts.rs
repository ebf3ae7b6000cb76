//! Forecasts of all devices, for publishing and for scoring.

use crate::problem::Problem;
use crate::state::grid::{BATCH_SIZE, Forecasts};
use crate::state::site::Site;
use crate::state::snapshot::Snapshot;
use roomcast_forecast::calendar::Timestamp;

/// Returns the forecasts of all devices from an origin. They are shared with clients that ask over HTTP.
///
/// # Errors
/// Returns a `Problem` when Polars fails.
pub fn of_all(site: &Site, snapshot: &Snapshot, origin: Timestamp) -> Result<Forecasts, Problem> {
    let grid = snapshot.grid(origin, &site.calendar);
    let all: Vec<usize> = (0..grid.hourly.devices.len()).collect();
    let mut cells = Vec::with_capacity(all.len());
    for batch in all.chunks(BATCH_SIZE) {
        cells.extend(snapshot.cells(&grid, batch, &site.calendar, &site.metrics)?);
    }
    Ok(Forecasts { grid, cells })
}
