//! Work the server does by itself, every second: it publishes forecasts, keeps them until their hours are over and then
//! scores them, and looks for problems that its operator should know.

use std::sync::Arc;
use std::time::Duration;

use super::publishing::Publishing;
use super::scoring::Scoring;
use crate::api::alerts;
use crate::problem::Problem;
use crate::state::site::{Phase, Site};
use crate::state::snapshot::{Grid, Snapshot};
use roomcast_forecast::calendar::Timestamp;
use roomcast_forecast::forecast::DeviceForecast;

/// Interval between rounds.
const LOOK: Duration = Duration::from_secs(1);

/// Number of devices that are forecast before waiting requests get their turn.
pub const AT_ONCE: usize = 64;

/// Runs rounds until the server stops.
pub fn run(site: &Site) {
    let mut scoring = Scoring::default();
    let mut publishing = Publishing::default();
    let mut watching = alerts::Watching::default();
    let mut failing = [false; 2];
    while site.phase() != Phase::Draining {
        std::thread::sleep(LOOK);
        let Ok(snapshot) = site.snapshot() else { continue };
        let rounds = [
            ("forecasts cannot be published", publishing.round(site, &snapshot)),
            ("forecasts cannot be scored", scoring.round(site, &snapshot)),
        ];
        for ((what, round), failing) in rounds.into_iter().zip(&mut failing) {
            // Logged once, not every second.
            if let Err(problem) = &round
                && !*failing
            {
                tracing::error!(error = problem.detail, "{what}");
            }
            *failing = round.is_err();
        }
        watching.round(site, &snapshot);
    }
}

/// The forecasts of all devices from one origin.
pub struct All {
    /// The grid they are made on.
    pub grid: Arc<Grid>,
    /// The forecasts, in order of name.
    pub forecasts: Vec<DeviceForecast>,
}

/// Returns the forecasts of all devices from an origin. They are shared with clients that ask over HTTP.
///
/// # Errors
/// Returns a `Problem` when Polars fails.
pub fn forecasts(site: &Site, snapshot: &Snapshot, origin: Timestamp) -> Result<All, Problem> {
    let grid = grid(site, snapshot, origin);
    let all: Vec<usize> = (0..grid.hourly.devices.len()).collect();
    let mut forecasts = Vec::with_capacity(all.len());
    for some in all.chunks(AT_ONCE) {
        let _turn = snapshot.turn();
        let cells = grid.cells(some, &site.calendar, &site.metrics)?;
        forecasts.extend(cells.into_iter().map(|cell| cell.forecast.clone()));
    }
    Ok(All { grid, forecasts })
}

/// Returns the grid of an origin.
pub fn grid(site: &Site, snapshot: &Snapshot, origin: Timestamp) -> Arc<Grid> {
    let _turn = snapshot.turn();
    snapshot.grid(origin, &site.calendar)
}
