//! The verdict in plain words: does the model beat the simple rules?

use serde::Serialize;

use super::baselines;
use super::report::{Group, Room};
use super::skill::{Interval, Skill};

/// How the model stands beside the best simple rule, by log loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Better, and the whole interval says so.
    Better,
    /// Better, but within the noise.
    BetterWithinNoise,
    /// Worse, but within the noise.
    WorseWithinNoise,
    /// Worse, and the whole interval says so.
    Worse,
}

/// Whether the model beats the best simple rule, and by how much.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// By log loss over all hours.
    pub standing: Standing,
    /// One sentence that says so.
    pub headline: String,
    /// One that says how often the states were right.
    pub states: String,
    /// One that says how the rooms stand.
    pub rooms: String,
    /// The simple rule with the lowest log loss.
    pub best_baseline: &'static str,
    /// The model beside it.
    pub skill: Skill,
    /// Rooms in which the model has the lower log loss.
    pub rooms_better: usize,
    /// Rooms in which the model is worse and the whole interval says so.
    pub rooms_surely_worse: Vec<String>,
}

impl Verdict {
    pub(super) fn new(overall: &Group, skill: &Skill, rooms: &[Room], days: usize) -> Verdict {
        let gain = skill.log_loss;
        let standing = match gain.value > 0.0 {
            true if gain.surely_above() => Standing::Better,
            true => Standing::BetterWithinNoise,
            false if gain.surely_below() => Standing::Worse,
            false => Standing::WorseWithinNoise,
        };
        let ahead = |room: &&Room| room.skill.log_loss.value > 0.0;
        let behind = rooms.iter().filter(|room| room.skill.log_loss.surely_below());
        let surely_worse: Vec<String> = behind.map(|room| room.group.label.clone()).collect();
        let better = rooms.iter().filter(ahead).count();
        Verdict {
            standing,
            headline: headline(standing, skill.baseline, &gain, days),
            states: states(overall),
            rooms: rooms_sentence(rooms.len(), better, &surely_worse, gain.interval.is_some()),
            best_baseline: skill.baseline,
            skill: skill.clone(),
            rooms_better: better,
            rooms_surely_worse: surely_worse,
        }
    }

    /// Whether a simple rule has the lower log loss.
    pub fn behind(&self) -> bool {
        matches!(self.standing, Standing::Worse | Standing::WorseWithinNoise)
    }
}

fn headline(standing: Standing, rule: &str, gain: &Interval, days: usize) -> String {
    let percent = |share: f64| format!("{:.1}", 100.0 * share).replace('-', "−");
    let lead = percent(gain.value.abs());
    let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    // The interval is that of the number in the sentence: turned round where the model is behind.
    let behind = matches!(standing, Standing::Worse | Standing::WorseWithinNoise);
    let interval = gain.interval.map(|(low, high)| if behind { (-high, -low) } else { (low, high) });
    let Some(interval) = interval.map(|(low, high)| format!("95 % interval {} to {} %", percent(low), percent(high)))
    else {
        return match behind {
            false => format!(
                "The model’s log loss is {lead} % lower than that of the best simple rule ({rule}), but {days} are \
                 too few to tell that from luck."
            ),
            true => format!(
                "A simple rule ({rule}) is ahead: the model’s log loss is {lead} % higher, but {days} are too few \
                 to tell that from luck."
            ),
        };
    };
    match standing {
        Standing::Better => format!(
            "The model beats every simple rule: its log loss is {lead} % lower than that of the best of them \
             ({rule}; {interval}, {days})."
        ),
        Standing::BetterWithinNoise => format!(
            "The model is ahead of the best simple rule ({rule}), but {days} cannot tell that from luck: its log loss \
             is {lead} % lower ({interval})."
        ),
        Standing::WorseWithinNoise => format!(
            "A simple rule ({rule}) is ahead of the model, though {days} cannot tell that from luck: the model’s log \
             loss is {lead} % higher ({interval})."
        ),
        Standing::Worse => format!(
            "A simple rule ({rule}) beats the model: the model’s log loss is {lead} % higher ({interval}, {days})."
        ),
    }
}

fn states(overall: &Group) -> String {
    let best = |of: &dyn Fn(usize) -> f64| (0..baselines::COUNT).max_by(|&a, &b| of(a).total_cmp(&of(b))).unwrap_or(0);
    let accuracy = |rule: usize| overall.baseline(rule).accuracy;
    let f1 = |rule: usize| overall.baseline(rule).f1.unwrap_or(0.0);
    let (a, f) = (best(&accuracy), best(&f1));
    let model = overall.model();
    let sides = match (model.accuracy >= accuracy(a), model.f1.unwrap_or(0.0) >= f1(f)) {
        (true, true) => "As plain states the model is ahead too",
        (false, false) => "As plain states simple rules are ahead",
        (true, false) => "As plain states the model is ahead by accuracy, a simple rule by F1",
        (false, true) => "As plain states a simple rule is ahead by accuracy, the model by F1",
    };
    format!(
        "{sides}: {:.1} % of its hours are right (best rule: {:.1} %, {}), F1 {:.3} ({:.3}, {}).",
        100.0 * model.accuracy,
        100.0 * accuracy(a),
        baselines::NAMES[a],
        model.f1.unwrap_or(0.0),
        f1(f),
        baselines::NAMES[f],
    )
}

fn rooms_sentence(rooms: usize, better: usize, surely_worse: &[String], intervals: bool) -> String {
    let ahead = match (better, rooms) {
        (1, 1) => "The only room is ahead of that rule".to_owned(),
        (0, 1) => "The only room is behind that rule".to_owned(),
        _ => format!("{better} of {rooms} rooms are ahead of that rule"),
    };
    // With many rooms some look worse by luck: the lower tail of a 95 % interval is 2.5 %.
    let chance = match rooms {
        ..20 => String::new(),
        rooms => format!(" (luck alone would make it {:.0})", 0.025 * rooms as f64),
    };
    match surely_worse {
        _ if !intervals => format!("{ahead}."),
        [] => format!("{ahead}; none is behind it by more than noise."),
        [one] => format!("{ahead}; {one} is behind it by more than noise{chance}."),
        more if more.len() <= 5 => format!("{ahead}; {} are behind it by more than noise{chance}.", more.join(", ")),
        more => format!("{ahead}; {} are behind it by more than noise{chance}.", more.len()),
    }
}
