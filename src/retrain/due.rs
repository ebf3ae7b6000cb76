//! What is to be renewed, and why.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Run;
use super::judge::Window;
use crate::model::fit::TrainError;
use crate::model::{DeviceModel, Models};

/// Why something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has no model yet.
    NoModel,
    /// What was learned is older than allowed.
    OverAge,
    /// It was kept on older site layers when the site's were renewed.
    OlderSite,
    /// Its forecasts do worse than the prior on the latest days.
    SkillGone,
    /// Everything was asked for.
    Asked,
}

impl Reason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Reason::NoModel => "no model yet",
            Reason::OverAge => "over age",
            Reason::OlderSite => "on older site layers",
            Reason::SkillGone => "worse than the prior",
            Reason::Asked => "asked for",
        }
    }
}

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dues {
    /// The site's layers.
    pub site: Option<Reason>,
    /// Devices, by name. When the site's layers are due, all are.
    pub devices: BTreeMap<String, Reason>,
}

impl Dues {
    /// What of the champion is due.
    ///
    /// # Errors
    /// Whatever Polars reports.
    pub fn find(run: &Run, champion: &Models) -> Result<Dues, TrainError> {
        let site = match champion.site.cutoff {
            0 => Some(Reason::NoModel),
            cutoff if run.over_age(cutoff) => Some(Reason::OverAge),
            _ => run.options.all.then_some(Reason::Asked),
        };
        let of = |at: usize| -> Result<Option<(String, Reason)>, TrainError> {
            let name = &run.hourly.devices[at].device;
            let Some(device) = champion.devices.get(name) else {
                return Ok(Some((name.clone(), Reason::NoModel)));
            };
            let reason = match site {
                _ if device.sits_on > 0 => Some(Reason::OlderSite),
                _ if skill_gone(run, champion, at, device)? => Some(Reason::SkillGone),
                site => site,
            };
            Ok(reason.map(|reason| (name.clone(), reason)))
        };
        let found: Vec<Option<(String, Reason)>> =
            (0..run.hourly.devices.len()).into_par_iter().map(of).collect::<Result<_, _>>()?;
        Ok(Dues { site, devices: found.into_iter().flatten().collect() })
    }

    /// The site's layers stay: devices that were due only with them are no longer.
    pub fn keep_site(&mut self) {
        self.site = None;
        self.devices.retain(|_, reason| !matches!(reason, Reason::OverAge | Reason::Asked));
    }
}

/// Whether the champion's forecasts of a device do worse than its prior on the latest days it has not learned from.
fn skill_gone(run: &Run, champion: &Models, at: usize, device: &DeviceModel) -> Result<bool, TrainError> {
    let from = run.calendar.next_hour(run.latest.max(champion.learned_until(device)));
    let Some(window) = Window::new(&run.hourly, &run.building, at, from)? else { return Ok(false) };
    let scores = device.scores(champion.site_of(device), &window.matrix);
    let scored = window.score(&scores, &scores);
    Ok(scored.days() >= run.fewest_days() && scored.skill_gone())
}
