//! Scores of each part of the model's forecast: alone, and to the mix of all.

use serde::Serialize;

use super::ScoredHour;
use super::skill::{self, Interval};
use crate::forecast::parts::{COUNT, NAMES};
use crate::measures::loss::log_loss;

/// The log losses of one part over the hours for which it had an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartScores {
    /// The part's name.
    pub part: &'static str,
    /// Number of hours for which the part had an answer.
    pub hours: usize,
    /// Log loss of the part alone over these hours.
    pub alone: f64,
    /// Log loss of the whole forecast over these hours.
    pub model: f64,
    /// The part in the mix; `None` where it is not mixed with others.
    pub mixed: Option<Mixed>,
}

/// The gain of a part in the mix of the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mixed {
    /// Number of hours for which the part is mixed with others.
    pub hours: usize,
    /// Log loss of the whole forecast over these hours.
    pub model: f64,
    /// Log loss of the mix without the part over these hours.
    pub without: f64,
    /// Share of that log loss that the part saves.
    pub saved: Interval,
}

/// Returns the scores of every part that had an answer, in the order of [`NAMES`].
pub fn scores(hours: &[ScoredHour]) -> Vec<PartScores> {
    (0..COUNT).filter_map(|part| part_scores(hours, part)).collect()
}

fn part_scores(hours: &[ScoredHour], part: usize) -> Option<PartScores> {
    let pairs = |of: fn(&ScoredHour, usize) -> f32| {
        let answered = hours.iter().filter(move |scored| !of(scored, part).is_nan());
        answered.map(move |scored| {
            let loss = |probability: f32| log_loss(probability.into(), scored.actual);
            (scored.day, loss(scored.probability), loss(of(scored, part)))
        })
    };
    let means = |pairs: &mut dyn Iterator<Item = (i32, f64, f64)>| {
        let sums = pairs.fold((0, 0.0, 0.0), |(n, model, other), (_, a, b)| (n + 1, model + a, other + b));
        (sums.0 > 0).then(|| (sums.0, sums.1 / sums.0 as f64, sums.2 / sums.0 as f64))
    };
    let (answered, model, alone) = means(&mut pairs(|scored, part| scored.parts.alone[part]))?;
    let without = || pairs(|scored, part| scored.parts.without[part]);
    let mixed = means(&mut without()).map(|(hours, model, lacking)| Mixed {
        hours,
        model,
        without: lacking,
        saved: skill::saved(without()),
    });
    Some(PartScores { part: NAMES[part], hours: answered, alone, model, mixed })
}
