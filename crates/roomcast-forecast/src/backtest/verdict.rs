//! The verdict: the model compared with the simple rules, as probabilities and as plain states.
//!
//! Probabilities are judged by log loss and Brier score, plain states (occupied from 50 % on) by accuracy and F1, each
//! against the simple rule that is best by that measure. A model may be ahead in one and behind in the other.

use std::fmt;

use serde::Serialize;

use super::baselines;
use super::groups::{Group, Room};
use super::numbers::minus;
use super::scores::Scores;
use super::skill::{Interval, Skill};
use crate::table::count;

/// Fewest days that give an advice on use: a whole week, with its days off.
const MIN_ADVICE_DAYS: usize = 7;

/// The standing of the model compared with the best simple rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Better, and the whole interval is above zero.
    Better,
    /// Better, but within the noise.
    BetterWithinNoise,
    /// Better by one measure and worse by another, or the same.
    Mixed,
    /// Worse, but within the noise.
    WorseWithinNoise,
    /// Worse, and the whole interval is below zero.
    Worse,
}

impl Standing {
    fn of(gain: &Interval) -> Standing {
        match gain.value {
            value if value > 0.0 && gain.surely_above() => Standing::Better,
            value if value > 0.0 => Standing::BetterWithinNoise,
            value if value < 0.0 && gain.surely_below() => Standing::Worse,
            value if value < 0.0 => Standing::WorseWithinNoise,
            _ => Standing::Mixed,
        }
    }

    /// Combines the standings by two measures. The result is ahead or behind only if both are. It is surely ahead if
    /// both are sure, and surely behind if one is sure, so that no warning is missed.
    fn and(self, other: Standing) -> Standing {
        match (self, other) {
            (Standing::Better, Standing::Better) => Standing::Better,
            (one, other) if one.is_ahead() && other.is_ahead() => Standing::BetterWithinNoise,
            (Standing::WorseWithinNoise, Standing::WorseWithinNoise) => Standing::WorseWithinNoise,
            (one, other) if one.is_behind() && other.is_behind() => Standing::Worse,
            _ => Standing::Mixed,
        }
    }

    /// Returns whether the model is better, possibly within the noise.
    pub fn is_ahead(self) -> bool {
        matches!(self, Standing::Better | Standing::BetterWithinNoise)
    }

    /// Returns whether a simple rule is better, possibly within the noise.
    pub(crate) fn is_behind(self) -> bool {
        matches!(self, Standing::Worse | Standing::WorseWithinNoise)
    }
}

/// The comparison of the model with the best simple rules.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The standing of chances, by log loss and Brier score over all hours.
    pub chances: Standing,
    /// The standing of plain states, by accuracy and F1 over all hours.
    pub states: Standing,
    /// The standing in both, and the advice on use.
    pub headline: String,
    /// The headline as three lines: chances, states, and use.
    #[serde(skip)]
    pub lines: [String; 3],
    /// A sentence on the difference in log loss.
    pub log_loss: String,
    /// A sentence on the standing of the rooms.
    pub rooms: String,
    /// The simple rule with the lowest log loss.
    pub best_baseline: &'static str,
    /// The skill of the model against this rule.
    pub skill: Skill,
    /// Number of rooms in which the model has the lower log loss.
    pub rooms_better: usize,
    /// Rooms in which the model is worse and the whole interval is below zero.
    pub rooms_surely_worse: Vec<String>,
}

/// A measure, and the best simple rule by this measure.
struct Measure {
    name: &'static str,
    of: fn(&Scores) -> f64,
    rule: usize,
    gain: Interval,
}

impl Measure {
    fn standing(&self) -> Standing {
        Standing::of(&self.gain)
    }

    /// Returns text such as `Brier score 0.081 against 0.090`.
    fn words(&self, overall: &Group) -> String {
        let (ours, theirs) = ((self.of)(overall.model()), (self.of)(overall.baseline(self.rule)));
        format!("{} {ours:.3} against {theirs:.3}", self.name)
    }
}

impl Verdict {
    /// Returns the verdict on a replay. `skills` are those against each simple rule, in the order of
    /// [`baselines::NAMES`]. Returns `None` without any.
    pub(super) fn new(overall: &Group, skills: &[Skill], rooms: &[Room], days: usize) -> Option<Verdict> {
        // More is better once the `sign` is applied.
        let measure = |name, sign: f64, of: fn(&Scores) -> f64, gain: fn(&Skill) -> Interval| {
            let score = |rule: usize| sign * of(overall.baseline(rule));
            let rule = (0..baselines::COUNT).max_by(|&a, &b| score(a).total_cmp(&score(b)))?;
            Some(Measure { name, of, rule, gain: gain(skills.get(rule)?) })
        };
        let loss = measure("log loss", -1.0, |s| s.log_loss, |s| s.log_loss)?;
        let brier = measure("Brier score", -1.0, |s| s.brier, |s| s.brier)?;
        let accuracy = measure("accuracy", 1.0, |s| s.accuracy, |s| s.accuracy)?;
        let f1 = measure("F1", 1.0, |s| s.f1.unwrap_or(0.0), |s| s.f1)?;
        let chances = loss.standing().and(brier.standing());
        let states = accuracy.standing().and(f1.standing());
        let scored = days;
        let days = Days { count: count(scored, "day"), are: if scored == 1 { "is" } else { "are" } };
        let rule = |one: &Measure, other: &Measure| match one.gain.value <= other.gain.value {
            true => baselines::NAMES[one.rule],
            false => baselines::NAMES[other.rule],
        };
        let lines = [
            side_text("Chances", chances, [&brier, &loss], overall, &days),
            side_text("Plain 1/0 states", states, [&f1, &accuracy], overall, &days),
            match scored {
                ..MIN_ADVICE_DAYS => format!("{days} too few to recommend a use. More days will tell."),
                _ => advice(chances, states, rule(&brier, &loss), rule(&f1, &accuracy)),
            },
        ];
        let skill = skills.get(loss.rule)?;
        let ahead = |room: &&Room| room.skill.log_loss.value > 0.0;
        let behind = rooms.iter().filter(|room| room.skill.log_loss.surely_below());
        let surely_worse: Vec<String> = behind.map(|room| room.group.label.clone()).collect();
        let better = rooms.iter().filter(ahead).count();
        Some(Verdict {
            chances,
            states,
            headline: lines.join(" "),
            lines,
            log_loss: log_loss(skill.baseline, &loss.gain, &days),
            rooms: rooms_sentence(rooms.len(), better, &surely_worse, loss.gain.interval.is_some()),
            best_baseline: skill.baseline,
            skill: skill.clone(),
            rooms_better: better,
            rooms_surely_worse: surely_worse,
        })
    }
}

/// The number of days as the subject of a sentence: `3 days are`.
struct Days {
    count: String,
    are: &'static str,
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.are)
    }
}

/// Returns a sentence on chances or states, with the numbers of both of their measures.
fn side_text(what: &str, standing: Standing, measures: [&Measure; 2], overall: &Group, days: &Days) -> String {
    let luck = format!(", but {days} too few to rule out luck");
    let says = match standing {
        Standing::Better => "the model is better than every simple rule".to_owned(),
        Standing::BetterWithinNoise => format!("the model is ahead of every simple rule{luck}"),
        Standing::Mixed => match measures.iter().find(|measure| measure.standing().is_ahead()) {
            Some(ahead) => format!("the model is ahead by {} alone", ahead.name),
            None => "the model is no better than the best simple rule".to_owned(),
        },
        Standing::WorseWithinNoise => format!("a simple rule is ahead of the model{luck}"),
        Standing::Worse => "a simple rule is better than the model".to_owned(),
    };
    format!("{what}: {says} ({}).", numbers(measures, overall))
}

/// Returns the numbers of two measures. A rule that is best by both is named once.
fn numbers(measures: [&Measure; 2], overall: &Group) -> String {
    let [first, second] = measures.map(|measure| measure.words(overall));
    match measures.map(|measure| baselines::NAMES[measure.rule]) {
        [one, other] if one == other => format!("{first}, {second}, both of “{one}”"),
        [one, other] => format!("{first} of “{one}”, {second} of “{other}”"),
    }
}

/// Returns the advice on the use of the model, given the simple rules that come nearest to it or are ahead of it.
fn advice(chances: Standing, states: Standing, chance_rule: &str, state_rule: &str) -> String {
    let sure = [chances, states].into_iter().all(|standing| matches!(standing, Standing::Better | Standing::Worse));
    let is_luck_possible = [chances, states]
        .into_iter()
        .any(|standing| matches!(standing, Standing::BetterWithinNoise | Standing::WorseWithinNoise));
    // A sentence before this one has said that the days are too few.
    let more = match (sure, is_luck_possible) {
        (true, _) => "",
        (false, true) => " More days will tell.",
        (false, false) => " More days will show whether this is luck.",
    };
    let says = match (chances.is_ahead(), states.is_ahead()) {
        (true, true) if is_luck_possible => "As far as these days show, use the model for both.".to_owned(),
        (true, true) => "Use the model for both.".to_owned(),
        (true, false) => format!(
            "Use the model where its chances are weighed by costs (--cost-miss, --cost-waste). Where only a 1 or 0 at \
             50 % counts, “{state_rule}” is as good or better."
        ),
        (false, true) => format!(
            "Use the model for plain states. Its chances are no better than those of “{chance_rule}”; more history may \
             improve them."
        ),
        (false, false) => format!(
            "Do not rely on the model yet. The chances of “{chance_rule}” and the states of “{state_rule}” are as good \
             or better. More history may change this (--learning-curve)."
        ),
    };
    says + more
}

fn log_loss(rule: &str, gain: &Interval, days: &Days) -> String {
    let percent = |share: f64| minus(format!("{:.1}", 100.0 * share));
    let (lead, behind) = (percent(gain.value.abs()), gain.value < 0.0);
    let than = format!(
        "The model’s log loss is {lead} % {} than that of the best simple rule ({rule})",
        if behind { "higher" } else { "lower" }
    );
    // The interval belongs to the number in the sentence, so its signs are reversed when the model is behind.
    match gain.interval.map(|(low, high)| if behind { (-high, -low) } else { (low, high) }) {
        Some((low, high)) => format!("{than}; 95 % interval {} to {} %, {}.", percent(low), percent(high), days.count),
        None => format!("{than}, but {days} too few to rule out luck."),
    }
}

fn rooms_sentence(rooms: usize, better: usize, surely_worse: &[String], intervals: bool) -> String {
    let ahead = match (better, rooms) {
        (1, 1) => "The model is better than this rule in the only room".to_owned(),
        (0, 1) => "The model is no better than this rule in the only room".to_owned(),
        _ => format!("The model is better than this rule in {better} of {rooms} rooms"),
    };
    // With many rooms some look worse by luck: the lower tail of a 95 % interval is 2.5 %.
    let chance = match rooms {
        ..20 => String::new(),
        rooms => format!(" (luck alone would give about {:.0})", 0.025 * rooms as f64),
    };
    match surely_worse {
        _ if !intervals => format!("{ahead}."),
        [] => format!("{ahead}. It is worse by more than noise in none."),
        more if more.len() <= 5 => format!("{ahead}. It is worse by more than noise in {}{chance}.", more.join(", ")),
        more => format!("{ahead}. It is worse by more than noise in {} rooms{chance}.", more.len()),
    }
}
