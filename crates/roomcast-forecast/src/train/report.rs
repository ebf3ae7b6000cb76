//! The report of a retraining, which is stored with the models it made: actions and reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::Options;
use super::judge::Judged;
use crate::calendar::Calendar;
use crate::model::{DeviceModel, Models};
use crate::rooms::Level;

/// Most devices listed in the text.
const MAX_LISTED: usize = 20;

/// The reason to challenge models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There are no models yet.
    NoModel,
    /// Their forecasts do worse than the prior on the latest days.
    SkillGone,
    /// The models are older than allowed.
    OverAge,
    /// A challenger was fitted elsewhere.
    Asked,
}

impl Reason {
    /// Returns the reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Reason::NoModel => "no model yet",
            Reason::SkillGone => "worse than the prior",
            Reason::OverAge => "over age",
            Reason::Asked => "asked for",
        }
    }
}

/// The reason for a challenge, the judgement and the decision. Times are RFC 3339, without an offset at a site without
/// a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Time of the report, UTC.
    pub made_at: String,
    /// The retraining knew only readings before this time.
    pub until: String,
    /// Seconds after which models were over age.
    pub max_age: i64,
    /// Challengers learned only from readings before this time. `None` if nothing was judged.
    pub judged_from: Option<String>,
    /// Version of the models that were in use before, if there were any.
    pub champion: Option<String>,
    /// The reason why these could not be used at all.
    pub refused: Option<String>,
    /// True for a dry run, which changes nothing.
    pub dry_run: bool,
    /// The reason why no models could be trained or judged.
    pub note: Option<String>,
    /// The identifier of the run that fitted the models, if they were fitted elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Number of devices with readings.
    pub known: usize,
    /// The result for the site's layers. `None` where the models in use were not challenged.
    pub site: Option<SiteTrial>,
    /// The results of devices by name, where the site's layers are renewed.
    pub devices: BTreeMap<String, DeviceTrial>,
    /// The results of the levels above the rooms, where those of rooms took over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<Level, LevelTrial>,
}

/// The results for a level above the rooms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelTrial {
    /// The result for the layers of the level. `None` where its models in use were not challenged.
    pub site: Option<SiteTrial>,
    /// The results of floors or buildings by name, where these layers are renewed.
    pub series: BTreeMap<String, DeviceTrial>,
}

/// The result for the site's layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteTrial {
    /// The reason for the challenge.
    pub reason: Reason,
    /// True when the new layers took over.
    pub promoted: bool,
    /// The judgement. `None` where there were too few days that neither had seen.
    pub judged: Option<Judged>,
}

/// The result for a device once the site's layers were renewed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceTrial {
    /// The layer that the device gets.
    pub gets: Layer,
    /// The judgement on its challenger. `None` where there were too few days that neither had seen.
    pub judged: Option<Judged>,
}

/// The layer that a device gets from new models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The layer that was fitted for it.
    Challenger,
    /// The site's layers alone, because the device's challenger is worse than its model in use.
    Site,
    /// The prior alone, because everything fitted does worse than the prior.
    Prior,
}

/// Returns the figures of a challenger in words, if it was judged.
fn figures(judged: Option<Judged>) -> String {
    judged.map_or(String::new(), |judged| {
        format!(
            "; log loss {:.4} against {:.4} over {} days ({:+.1} standard errors)",
            judged.challenger, judged.champion, judged.days, judged.gain
        )
    })
}

impl SiteTrial {
    fn words(&self) -> String {
        let what = match (self.promoted, self.judged) {
            (true, Some(_)) => "promoted",
            (true, None) if self.reason == Reason::NoModel => "promoted, there was nothing to judge it against",
            (true, None) => "promoted, not judged: too few days that neither had seen",
            (false, Some(_)) => "kept, the new one is worse",
            (false, None) => "kept, not judged: too few days that neither had seen",
        };
        format!("{}: {what}{}", self.reason.words(), figures(self.judged))
    }
}

impl DeviceTrial {
    /// The result of a device that could not be judged.
    pub(super) const UNJUDGED: DeviceTrial = DeviceTrial { gets: Layer::Challenger, judged: None };

    fn words(&self) -> String {
        let what = match (self.gets, self.judged) {
            (Layer::Challenger, Some(_)) => "promoted",
            (Layer::Challenger, None) => "promoted, not judged",
            (Layer::Site, _) => "gets the site's layers alone, its new model is worse",
            (Layer::Prior, _) => "gets the prior, which does better than any model",
        };
        format!("{what}{}", figures(self.judged))
    }
}

impl Report {
    pub(super) fn new(calendar: &Calendar, options: &Options, known: usize) -> Report {
        let now = DateTime::from_timestamp(Calendar::utc_now(), 0).unwrap_or_default();
        Report {
            made_at: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            until: calendar.rfc3339(options.until),
            max_age: options.max_age,
            judged_from: None,
            champion: None,
            refused: None,
            dry_run: options.dry_run,
            note: None,
            run: None,
            known,
            site: None,
            devices: BTreeMap::new(),
            levels: BTreeMap::new(),
        }
    }

    /// Records that no models could be trained.
    pub(super) fn give_up(&mut self) {
        (self.site, self.judged_from) = (None, None);
        self.devices.clear();
        self.note = Some("too little history to learn from".into());
    }

    /// Promotes models of these devices at a site without models in use.
    pub(super) fn promote_all<'a>(&mut self, devices: impl Iterator<Item = &'a String>) {
        self.site = Some(SiteTrial { reason: Reason::NoModel, promoted: true, judged: None });
        self.devices = devices.map(|name| (name.clone(), DeviceTrial::UNJUDGED)).collect();
    }

    /// Returns the models with the layer that each device gets.
    pub(super) fn applied_to(&self, mut models: Models) -> Models {
        for (name, device) in &mut models.devices {
            let alone = |follows_site| DeviceModel { follows_site, ..DeviceModel::default() };
            match self.devices.get(name).map(|trial| trial.gets) {
                Some(Layer::Site) => *device = alone(true),
                Some(Layer::Prior) => *device = alone(false),
                Some(Layer::Challenger) | None => {}
            }
        }
        models
    }

    /// Returns whether new models take over.
    pub fn is_promoted(&self) -> bool {
        self.site.as_ref().is_some_and(|site| site.promoted)
    }

    /// Returns the number of devices whose challenger takes over.
    pub fn promoted(&self) -> usize {
        self.devices.values().filter(|trial| trial.gets == Layer::Challenger).count()
    }

    /// Returns the number of devices whose challenger lost, and that get the site's new layers or the prior.
    pub fn fell_back(&self) -> usize {
        self.devices.len() - self.promoted()
    }

    /// Returns the number of challenged devices that keep their models.
    pub fn kept(&self) -> usize {
        if self.site.as_ref().is_some_and(|site| !site.promoted) { self.known } else { 0 }
    }

    /// Returns lines for people. Each has a name and a value.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let plain = |time: &str| time.replacen('T', " ", 1);
        let mut lines = vec![("champion", self.champion.clone().unwrap_or_else(|| "none".into()))];
        lines.extend(
            self.refused.iter().map(|why| ("", format!("refused: {}", why.lines().next().unwrap_or_default()))),
        );
        lines.push(("known until", plain(&self.until)));
        lines.extend(self.note.iter().map(|note| ("", note.clone())));
        let Some(site) = &self.site else {
            lines.extend(self.note.is_none().then(|| ("", "nothing new to learn from: the models stay".into())));
            return lines;
        };
        lines.extend(self.judged_from.iter().map(|from| ("judged from", plain(from))));
        lines.push(("site", site.words()));
        let counts = [("promoted", self.promoted()), ("fell back", self.fell_back()), ("kept", self.kept())];
        lines.extend(counts.map(|(name, count)| (name, count.to_string())));
        lines.extend(self.levels.iter().map(|(&level, trial)| {
            let words =
                trial.site.as_ref().map_or("nothing new to learn from: the models stay".into(), SiteTrial::words);
            (if level == Level::Floor { "floors" } else { "buildings" }, words)
        }));
        lines
    }

    /// Returns [`Report::lines`], aligned, and the first devices. Devices whose challenger lost come before the others.
    pub fn text(&self) -> String {
        let mut text: String = self.lines().iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
        let (won, lost): (Vec<_>, Vec<_>) = self.devices.iter().partition(|(_, trial)| trial.gets == Layer::Challenger);
        for (device, trial) in lost.into_iter().chain(won).take(MAX_LISTED) {
            let _ = writeln!(text, "  {device}: {}", trial.words());
        }
        if self.devices.len() > MAX_LISTED {
            let _ = writeln!(text, "  … and {} more", self.devices.len() - MAX_LISTED);
        }
        text
    }
}
