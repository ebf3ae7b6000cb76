//! What a retraining did and why, as it is kept with the models it made.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::Options;
use super::due::Reason;
use super::judge::{Judged, Scored};
use crate::calendar::Calendar;

/// Most devices listed in the text.
const LISTED: usize = 20;

/// What was due, how it was judged, what was decided. Times are RFC 3339, without an offset at a site without a zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made, UTC.
    pub made_at: String,
    /// Only readings before this were known.
    pub until: String,
    /// Seconds after which what was learned was over age.
    pub max_age: i64,
    /// Challengers knew nothing from here on; none where nothing was judged.
    pub judged_from: Option<String>,
    /// Version of the models in use before, if there were any.
    pub champion: Option<String>,
    /// Why these could not be used at all.
    pub refused: Option<String>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Why nothing could be done.
    pub note: Option<String>,
    /// What identifies the run that fitted the models, if they were fitted elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Devices with readings.
    pub known: usize,
    /// The site's layers, if they were due.
    pub site: Option<Trial>,
    /// Devices that were due, by name.
    pub devices: BTreeMap<String, Trial>,
}

/// A challenger and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Why there was one.
    pub reason: Reason,
    /// Whether it took over.
    pub promoted: bool,
    /// Whether it took over because the champion's site layers are too old to be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
    /// Whether the challenger is the prior alone, because what was fitted did worse than that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// How it did; none where there were too few days that neither had seen.
    pub judged: Option<Judged>,
}

impl Trial {
    /// One that was judged: promoted unless it is worse.
    pub(super) fn judged(reason: Reason, scored: &Scored) -> Trial {
        Trial { reason, promoted: !scored.worse(), moved: false, baseline: false, judged: Some(scored.judged()) }
    }

    /// One that could not be judged.
    pub(super) fn unjudged(reason: Reason, promoted: bool) -> Trial {
        Trial { reason, promoted, moved: false, baseline: false, judged: None }
    }

    fn words(&self) -> String {
        let what = match (self.promoted, self.judged) {
            (true, _) if self.moved => "promoted, the site layers it sat on are too old",
            (true, Some(_)) if self.baseline => "promoted to the baseline, which does better than any model",
            (true, Some(_)) => "promoted",
            (true, None) if self.reason == Reason::NoModel => "promoted, there was nothing to judge it against",
            (true, None) => "promoted, not judged: too few days that neither had seen",
            (false, Some(_)) => "kept, the new one is worse",
            (false, None) => "kept, not judged: too few days that neither had seen",
        };
        let figures = self.judged.map_or(String::new(), |judged| {
            format!(
                "; log loss {:.4} against {:.4} over {} days ({:+.1} standard errors)",
                judged.challenger, judged.champion, judged.days, judged.gain
            )
        });
        format!("{what}{figures}")
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
        }
    }

    /// Number of devices whose challenger took over.
    pub fn promoted(&self) -> usize {
        self.devices.values().filter(|trial| trial.promoted).count()
    }

    /// Number of devices that were due and keep what they had.
    pub fn kept(&self) -> usize {
        self.devices.len() - self.promoted()
    }

    /// Lines for people, each a name and a value.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let plain = |time: &str| time.replacen('T', " ", 1);
        let mut lines = vec![("champion", self.champion.clone().unwrap_or_else(|| "none".into()))];
        lines.extend(
            self.refused.iter().map(|why| ("", format!("refused: {}", why.lines().next().unwrap_or_default()))),
        );
        lines.push(("known until", plain(&self.until)));
        lines.extend(self.note.iter().map(|note| ("", note.clone())));
        if self.site.is_none() && self.devices.is_empty() {
            lines.extend(self.note.is_none().then(|| ("due", format!("nothing, of {} devices", self.known))));
            return lines;
        }
        lines.extend(self.judged_from.iter().map(|from| ("judged from", plain(from))));
        let due = format!("{} of {} devices", self.devices.len(), self.known);
        lines.push(("due", if self.site.is_some() { format!("the site's layers, {due}") } else { due }));
        if let Some(site) = &self.site {
            lines.push(("site", format!("{}: {}", site.reason.words(), site.words())));
        }
        lines.extend([("promoted", self.promoted().to_string()), ("kept", self.kept().to_string())]);
        lines
    }

    /// [`Report::lines`] aligned, and the first devices, those that were kept before the others.
    pub fn text(&self) -> String {
        let mut text: String = self.lines().iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
        let kept = self.devices.iter().filter(|(_, trial)| !trial.promoted);
        let promoted = self.devices.iter().filter(|(_, trial)| trial.promoted);
        for (device, trial) in kept.chain(promoted).take(LISTED) {
            let _ = writeln!(text, "  {device}, {}: {}", trial.reason.words(), trial.words());
        }
        if self.devices.len() > LISTED {
            let _ = writeln!(text, "  … and {} more", self.devices.len() - LISTED);
        }
        text
    }
}
