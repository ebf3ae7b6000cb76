//! Jobs that run every second: publish forecasts, score them once their hours are over, and check for problems that the
//! operator should know.

use std::time::Duration;

use super::alerts::AlertMonitor;
use super::publishing::Publishing;
use super::scoring::Scoring;
use crate::backoff::Outage;
use crate::state::site::Site;

/// Interval at which all of it is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes, scores and checks for alerts until the server stops.
pub fn run(site: &Site) {
    let mut scoring = Scoring::default();
    let mut publishing = Publishing::default();
    let mut monitor = AlertMonitor::default();
    let mut outages = [Outage::default(), Outage::default()];
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        let Ok(snapshot) = site.snapshot() else { continue };
        let results = [
            ("forecasts cannot be published", publishing.update(site, &snapshot)),
            ("forecasts cannot be scored", scoring.update(site, &snapshot)),
        ];
        for ((what, result), outage) in results.into_iter().zip(&mut outages) {
            match result {
                Ok(()) => {
                    outage.end();
                }
                Err(problem) if outage.begin() => tracing::error!(error = problem.detail, "{what}"),
                Err(_) => {}
            }
        }
        monitor.update(site, &snapshot);
    }
}
