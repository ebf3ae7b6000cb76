//! Silences of the whole site.

use chrono::NaiveDate;

use super::faults::{Grid, date};
use super::{Kind, Notice};
use crate::calendar::Calendar;
use crate::readings::Profile;
use crate::readings::silent_days::LONGEST_PAUSE;

const ADVICE: &str = "if the site was closed, give the days to --closed or in a file to --holidays, and the \
                      forecasts learn them as days off; if readings were lost, import them again, or do nothing: the hours count \
                      as unknown";

/// Returns the silences of the whole site that are too long for public holidays.
pub(super) fn silences(profile: &Profile, calendar: &Calendar, grid: &Grid) -> Vec<Notice> {
    let (Some(first), Some(last)) = (grid.hours.first(), grid.hours.last()) else { return Vec::new() };
    let workdays: Vec<NaiveDate> = (first.0..=last.0).map(date).filter(|&day| !calendar.is_off(day)).collect();
    let is_silent = |day: &NaiveDate| profile.silent_workdays.binary_search(day).is_ok();
    let runs = workdays.chunk_by(|a, b| is_silent(a) == is_silent(b));
    let long = runs.filter(|run| is_silent(&run[0]) && run.len() > LONGEST_PAUSE);
    let notice = |run: &[NaiveDate]| Notice {
        kind: Kind::SilentSite,
        devices: Vec::new(),
        from: run[0],
        to: run[run.len() - 1],
        finding: format!("has no reading of any device on {} workdays", run.len()),
        advice: ADVICE,
    };
    long.map(notice).collect()
}
