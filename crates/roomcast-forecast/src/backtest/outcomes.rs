//! Out-of-sample outcomes from a replay, which decisions are set on.

use chrono::{Days, NaiveTime};

use super::{BacktestError, BacktestPlan, ScoredHour, run};
use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::decisions::outcomes::Outcomes;
use crate::decisions::promise::WINDOW_DAYS;
use crate::readings::Readings;

const DAY: i64 = 24 * HOUR;

/// Seconds between two fits of the replay.
const REFIT: i64 = 7 * DAY;

/// Largest number of rooms that are replayed. A threshold of the site needs no more.
pub const MAX_ROOMS: usize = 500;

/// Plans one forecast at each midnight of the last [`WINDOW_DAYS`] local days before that of `origin`, with weekly fits.
pub fn plan(origin: Timestamp, calendar: &Calendar) -> BacktestPlan {
    let today = calendar.wall(origin).date();
    let midnight = |days: u64| calendar.instant((today - Days::new(days)).and_time(NaiveTime::MIN));
    BacktestPlan {
        from: midnight(WINDOW_DAYS as u64),
        to: midnight(1),
        every: DAY,
        refit: REFIT,
        history: None,
        days: 1,
    }
}

/// Replays the last days before `origin` and returns what came of their forecasts; nothing where there are too few
/// readings. `all` replays every room; else at most [`MAX_ROOMS`] of them, evenly chosen, which bounds the work.
///
/// # Errors
/// [`BacktestError`] when a fit or a forecast fails.
pub fn of_last_days(
    readings: &Readings,
    calendar: &Calendar,
    origin: Timestamp,
    all: bool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Outcomes, BacktestError> {
    let known = readings.before(origin);
    let step = if all { 1 } else { known.devices.len().div_ceil(MAX_ROOMS).max(1) };
    let known = Readings { devices: known.devices.into_iter().step_by(step).collect() };
    match run(&known, calendar, &plan(origin, calendar), progress) {
        Ok(hours) => {
            let mut outcomes = Outcomes::default();
            add(&mut outcomes, &known, &hours);
            Ok(outcomes)
        }
        Err(BacktestError::NoReadings | BacktestError::NoOrigins { .. } | BacktestError::NothingToScore { .. }) => {
            Ok(Outcomes::default())
        }
        Err(error) => Err(error),
    }
}

/// Counts hours of a replay whose outcome is known. Each hour of a room comes once, ascending by day.
pub fn add<'a>(outcomes: &mut Outcomes, readings: &Readings, hours: impl IntoIterator<Item = &'a ScoredHour>) {
    for scored in hours.into_iter().filter(|scored| !scored.silent) {
        let room = &readings.devices[scored.device as usize].device;
        outcomes.add(room, scored.day, scored.probability.into(), scored.actual);
    }
}

/// Returns the hours of a replay as a schedule follows them: each hour by the last origin at or before its beginning.
/// They stay in the order of origin, device and hour.
pub fn followed<'a>(hours: &'a [ScoredHour], calendar: &Calendar) -> Vec<&'a ScoredHour> {
    let mut origins: Vec<Timestamp> = hours.iter().map(|scored| scored.origin).collect();
    origins.dedup();
    let last = |hour: Hour| {
        origins.partition_point(|&origin| origin <= calendar.start(hour)).checked_sub(1).map(|at| origins[at])
    };
    hours.iter().filter(|scored| last(scored.hour) == Some(scored.origin)).collect()
}
