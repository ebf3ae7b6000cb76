//! Jobs that run every second: publish forecasts, score them once their hours are over, and check for problems that the
//! operator should know.

use std::time::Duration;

use super::publishing::Publishing;
use super::scoring::Scoring;
use super::watch::AlertMonitor;
use crate::state::site::Site;

/// Interval at which all of it is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes, scores and checks for alerts until the server stops.
pub fn run(site: &Site) {
    let mut scoring = Scoring::default();
    let mut publishing = Publishing::default();
    let mut monitor = AlertMonitor::default();
    let mut failing = [false; 2];
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        let Ok(snapshot) = site.snapshot() else { continue };
        let results = [
            ("forecasts cannot be published", publishing.update(site, &snapshot)),
            ("forecasts cannot be scored", scoring.update(site, &snapshot)),
        ];
        for ((what, result), failing) in results.into_iter().zip(&mut failing) {
            // Logged once, not every second.
            if let Err(problem) = &result
                && !*failing
            {
                tracing::error!(error = problem.detail, "{what}");
            }
            *failing = result.is_err();
        }
        monitor.update(site, &snapshot);
    }
}
