//! A record for the promise of a server that has none yet: the forecasts of the last 28 days, made again from the readings
//! before each, as `roomcast schedule` does.

use std::time::Duration;

use crate::state::site::{Phase, Replayed, Site};
use roomcast_forecast::backtest::outcomes;
use roomcast_forecast::decisions::plan;

/// Interval at which it is checked whether a day has begun.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Replays the last days once for each day, until the server has scored forecasts of its own or stops.
pub fn run(site: &Site) {
    // One thread: requests come first.
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else {
        tracing::warn!("no thread for a replay: thresholds of schedules come from training until forecasts are scored");
        return;
    };
    let mut replayed = None;
    while !site.serving.is_draining() {
        std::thread::sleep(POLL_INTERVAL);
        let Ok(snapshot) = site.snapshot() else { continue };
        let origin = snapshot.history.present(&site.calendar);
        let day = plan::today(origin, &site.calendar);
        if replayed == Some(day) || site.serving.phase() != Phase::Ready || site.has_record(day) {
            continue;
        }
        let readings = &snapshot.history.readings;
        match pool.install(|| outcomes::of_last_days(readings, &site.calendar, origin, false, &|_, _| ())) {
            Ok(outcomes) => site.set_replayed(Replayed { day, outcomes }),
            Err(error) => tracing::warn!(%error, "the last days cannot be replayed"),
        }
        replayed = Some(day);
    }
}
