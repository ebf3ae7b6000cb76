//! What is to be renewed, and why.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::contest::Run;
use super::judge::{Scored, Window};
use crate::model::fit::TrainError;
use crate::model::{DeviceModel, Models};

/// Why something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has no model yet.
    NoModel,
    /// It was kept on older site layers when the site's were renewed.
    OlderSite,
    /// Its forecasts do worse than the prior on the latest days.
    SkillGone,
    /// What was learned is older than allowed.
    OverAge,
    /// Everything was asked for.
    Asked,
}

impl Reason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Reason::NoModel => "no model yet",
            Reason::OlderSite => "on older site layers",
            Reason::SkillGone => "worse than the prior",
            Reason::OverAge => "over age",
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
        let of = |at: usize| -> Result<(Scored, Option<Reason>), TrainError> {
            let Some(device) = champion.devices.get(&run.hourly.devices[at].device) else {
                return Ok((Scored::default(), Some(Reason::NoModel)));
            };
            let (of_site, own) = latest(run, champion, at, device)?;
            let gone = own.days() >= run.fewest_days() && own.skill_gone();
            let own = (device.sits_on > 0).then_some(Reason::OlderSite).or(gone.then_some(Reason::SkillGone));
            Ok((of_site, own))
        };
        let found: Vec<_> = (0..run.hourly.devices.len()).into_par_iter().map(of).collect::<Result<_, _>>()?;
        let mut devices = BTreeMap::new();
        let mut of_site = Scored::default();
        for (device, (scored, reason)) in run.hourly.devices.iter().zip(found) {
            devices.insert(device.device.clone(), reason);
            of_site = of_site.merge(scored);
        }
        let site = match champion.site.cutoff {
            0 => Some(Reason::NoModel),
            cutoff if run.over_age(cutoff) => Some(Reason::OverAge),
            _ if of_site.days() >= run.fewest_days() && of_site.skill_gone() => Some(Reason::SkillGone),
            _ => run.options.all.then_some(Reason::Asked),
        };
        let due = |(name, own): (String, Option<Reason>)| Some((name, own.or(site.map(Reason::of_all))?));
        Ok(Dues { site, devices: devices.into_iter().filter_map(due).collect() })
    }

    /// The site's layers stay: devices that were due only with them are no longer.
    pub fn keep_site(&mut self) {
        self.site = None;
        self.devices.retain(|_, reason| !matches!(reason, Reason::OverAge | Reason::Asked));
    }
}

impl Reason {
    /// Why devices are due with the site's layers.
    pub(super) fn of_all(self) -> Reason {
        match self {
            Reason::Asked => Reason::Asked,
            // Their layers go where those go that they sit on.
            _ => Reason::OverAge,
        }
    }
}

/// How the site's layers by themselves, and the whole stack of a device, do on the latest days that each has not learned from.
fn latest(run: &Run, champion: &Models, at: usize, device: &DeviceModel) -> Result<(Scored, Scored), TrainError> {
    let after = |learned| run.calendar.next_hour(run.latest.max(learned));
    let (of_site, own) = (after(champion.site.cutoff), after(champion.learned_until(device)));
    let Some(window) = Window::new(&run.hourly, &run.building, at, of_site.min(own))? else {
        return Ok(Default::default());
    };
    let score = |scores: &[f64], from| window.score(scores, scores, from);
    let of_site = score(&champion.site.scores(&window.matrix), of_site);
    Ok((of_site, score(&device.scores(champion.site_of(device), &window.matrix), own)))
}
