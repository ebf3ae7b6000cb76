//! The results of a backtest: scores overall and by group, the verdict, the worst days.

use serde::Serialize;

use super::days_ahead::DayAhead;
use super::groups::{self, Group, Room};
use super::ledger::Ledger;
use super::levels::Independence;
use super::parts::{self, PartScores};
use super::skill::{self, Skill};
use super::verdict::Verdict;
use super::worst_days::{self, WorstDay, WorstRoomDay};
use super::{BacktestPlan, ScoredHour, baselines, name, scores};
use crate::calendar::Calendar;
use crate::measures::calibration::Bin;
use crate::readings::Readings;

/// The results of a backtest, as `--json` prints them.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of Roomcast.
    pub version: &'static str,
    /// The comparison of the model with the simple rules.
    pub verdict: Verdict,
    /// The origins and hours that were replayed.
    pub setup: Setup,
    /// All hours.
    pub overall: Group,
    /// Hours in which the sensor was alive; `None` when they are all hours.
    pub live: Option<Group>,
    /// Hours after a long silence of the sensor: vacant room or dead sensor. The overall scores include them.
    pub silent: Option<Group>,
    /// Skill of the model against each simple rule, over all hours.
    pub skill: Vec<Skill>,
    /// Scores of each part of the model's forecast.
    pub parts: Vec<PartScores>,
    /// Scores by position of the hour after the origin.
    pub by_lead: Vec<Group>,
    /// Scores by day of lead, if forecasts of more than one were requested; all other scores are of the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_day_ahead: Vec<DayAhead>,
    /// Scores by local hour of day.
    pub by_hour: Vec<Group>,
    /// Scores by whole weeks of the device's history before the origin.
    pub by_weeks: Vec<Group>,
    /// Scores by the source of the model's forecast.
    pub by_source: Vec<Group>,
    /// Scores by device, in order of name.
    pub by_device: Vec<Room>,
    /// Reliability diagrams of the model and of the best simple rule.
    pub reliability: Vec<Reliability>,
    /// Days with the worst forecasts of the whole site, worst first.
    pub worst_days: Vec<WorstDay>,
    /// Days of single rooms with the worst forecasts, worst first; days without motion in any room are left out.
    pub worst_room_days: Vec<WorstRoomDay>,
    /// Scores of the same hours forecast with less history, if requested; the last entry has all of it.
    pub learning_curve: Vec<Group>,
    /// The comparison of ways to decide when rooms are on, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// The comparison of floors or buildings with the product over their rooms, if these are the rooms of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub independence: Option<Independence>,
}

/// The origins and hours that were replayed.
#[derive(Debug, Clone, Serialize)]
pub struct Setup {
    /// First origin, local wall time.
    pub from: String,
    /// Last origin, local wall time.
    pub to: String,
    /// Seconds between origins.
    pub every: i64,
    /// Seconds between fits.
    pub refit: i64,
    /// The site's time zone, if one was given.
    pub timezone: Option<String>,
    /// Origins with at least one scored hour.
    pub origins: usize,
    /// True when all origins are at the same hour of the day, so that a lead is also an hour of day.
    pub one_hour_of_day: bool,
    /// Number of rooms scored.
    pub rooms: usize,
    /// Number of local days with a target hour.
    pub days: usize,
    /// Number of hours scored: one per room, origin and target hour.
    pub hours: usize,
    /// Share of hours after a long silence of the sensor.
    pub silent_share: f64,
}

/// A reliability diagram.
#[derive(Debug, Clone, Serialize)]
pub struct Reliability {
    /// The forecaster's name.
    pub forecaster: &'static str,
    /// The bins of equal width that hold hours.
    pub bins: Vec<Bin>,
}

impl Report {
    /// Scores hours of [`super::run`] on these readings; returns `None` when there are none.
    pub fn new(readings: &Readings, calendar: &Calendar, plan: &BacktestPlan, hours: &[ScoredHour]) -> Option<Report> {
        let overall = Group::new("all hours", hours.iter())?;
        let best = overall.best_baseline();
        let rules: Vec<usize> = (0..baselines::COUNT).collect();
        let skill = skill::skills(hours, &rules);
        let by_device = groups::rooms(readings, hours, best);
        let silent = Group::new("silent", hours.iter().filter(|c| c.silent));
        let live = silent.as_ref().and_then(|_| Group::new("live", hours.iter().filter(|c| !c.silent)));
        let reliability = [0, 1 + best].map(|forecaster| Reliability {
            forecaster: name(forecaster),
            bins: scores::reliability(&groups::outcomes(hours.iter(), forecaster)),
        });
        let (worst_days, worst_room_days) =
            worst_days::find(hours, |device| readings.devices[device as usize].device.clone());
        let setup = Setup::new(calendar, plan, hours, by_device.len());
        Some(Report {
            version: env!("CARGO_PKG_VERSION"),
            verdict: Verdict::new(&overall, &skill, &by_device, setup.days)?,
            setup,
            live,
            silent,
            skill,
            parts: parts::scores(hours),
            by_lead: groups::by_lead(hours),
            by_day_ahead: Vec::new(),
            by_hour: groups::by_hour(hours),
            by_weeks: groups::by_weeks(hours),
            by_source: groups::by_source(hours),
            by_device,
            reliability: reliability.to_vec(),
            worst_days,
            worst_room_days,
            learning_curve: Vec::new(),
            ledger: None,
            independence: None,
            overall,
        })
    }

    /// Returns the simple rule with the lowest log loss over all hours, by its position in [`baselines::NAMES`].
    pub(crate) fn best_baseline(&self) -> usize {
        self.overall.best_baseline()
    }
}

impl Setup {
    fn new(calendar: &Calendar, plan: &BacktestPlan, hours: &[ScoredHour], rooms: usize) -> Setup {
        let distinct = |of: &dyn Fn(&ScoredHour) -> i64| {
            let mut values: Vec<i64> = hours.iter().map(of).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let origins = distinct(&|c| c.origin);
        let mut times_of_day: Vec<String> =
            origins.iter().map(|&o| calendar.wall(o).format("%H:%M").to_string()).collect();
        times_of_day.sort_unstable();
        times_of_day.dedup();
        Setup {
            from: calendar.format(plan.from),
            to: origins.last().map_or_else(|| calendar.format(plan.to), |&last| calendar.format(last)),
            every: plan.every,
            refit: plan.refit,
            timezone: calendar.zone().map(|zone| zone.name().to_owned()),
            origins: origins.len(),
            one_hour_of_day: times_of_day.len() == 1,
            rooms,
            days: distinct(&|c| c.day.into()).len(),
            hours: hours.len(),
            silent_share: hours.iter().filter(|c| c.silent).count() as f64 / hours.len().max(1) as f64,
        }
    }
}
