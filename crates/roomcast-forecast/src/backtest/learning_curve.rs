//! The learning curve: scores of the same hours forecast with less history.

use std::collections::HashMap;

use super::groups::Group;
use super::{BacktestError, BacktestPlan, ScoredHour, run};
use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::readings::Readings;

/// Points of the curve, weeks of history; the last point, all history, is added.
pub const WEEKS: [i64; 8] = [1, 2, 3, 4, 6, 8, 12, 26];

const WEEK: i64 = 7 * 24 * HOUR;

/// Returns the entries of [`WEEKS`] that are less than the history before the last origin.
pub fn weeks(readings: &Readings, plan: &BacktestPlan) -> Vec<i64> {
    let history = readings.span().map_or(0, |(first, _)| plan.to - first);
    WEEKS.into_iter().filter(|weeks| weeks * WEEK < history).collect()
}

/// Replays a plan once per entry of [`weeks`] with only the last weeks of readings before every origin, and scores
/// each run beside `full`, the hours with all history. All groups have the same hours: those that every run could
/// forecast (the shortest run does not know a room without a reading in the last week). `progress` gets the weeks, and
/// the number of steps of that run done and in all.
///
/// # Errors
/// [`BacktestError`] when [`run`] fails.
pub fn scores(
    readings: &Readings,
    calendar: &Calendar,
    plan: &BacktestPlan,
    full: &[ScoredHour],
    progress: &(dyn Fn(i64, usize, usize) + Sync),
) -> Result<Vec<Group>, BacktestError> {
    let mut runs = Vec::new();
    for weeks in weeks(readings, plan) {
        let short = BacktestPlan { history: Some(weeks * WEEK), days: 1, ..*plan };
        let hours = run(readings, calendar, &short, &|done, total| progress(weeks, done, total))?;
        let label = if weeks == 1 { "1 week".to_owned() } else { format!("{weeks} weeks") };
        runs.push((label, hours));
    }
    let mut times: HashMap<(u32, Timestamp, Hour), usize> = full.iter().map(|scored| (key(scored), 0)).collect();
    for scored in runs.iter().flat_map(|(_, hours)| hours) {
        times.entry(key(scored)).and_modify(|n| *n += 1);
    }
    let everywhere = |scored: &&ScoredHour| times.get(&key(scored)) == Some(&runs.len());
    let groups = runs.iter().map(|(label, hours)| (label.as_str(), hours.as_slice())).chain([("all", full)]);
    Ok(groups.filter_map(|(label, hours)| Group::new(label, hours.iter().filter(everywhere))).collect())
}

fn key(scored: &ScoredHour) -> (u32, Timestamp, Hour) {
    (scored.device, scored.origin, scored.hour)
}
