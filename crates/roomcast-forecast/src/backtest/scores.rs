//! Scores of probabilities and states against outcomes.
//!
//! A score that is not defined (precision without a positive, areas with one class only) is `None`.

use serde::Serialize;

use crate::measures::calibration::{BINS, Bin, LIKELY_PROBABILITY};
use crate::measures::loss::{CLIP, log_loss, squared_error};

/// One forecaster's answer for one hour, and the outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Probability that the hour is occupied, 0 to 1.
    pub probability: f32,
    /// State that was forecast: true is occupied.
    pub occupied: bool,
    /// True when the hour was occupied.
    pub actual: bool,
}

/// All scores of one forecaster over a set of hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Number of hours scored.
    pub hours: usize,
    /// Share of these hours that were occupied.
    pub occupied_share: f64,
    /// Mean probability.
    pub mean_probability: f64,
    /// Mean negative log likelihood, in nats: lower is better.
    pub log_loss: f64,
    /// Mean squared error of the probability (Brier 1950): lower is better.
    pub brier: f64,
    /// `1 - brier / reference`; the reference forecasts the true share of occupied hours for every hour.
    pub brier_skill: Option<f64>,
    /// Share of correct states.
    pub accuracy: f64,
    /// Mean of the recall of occupied hours and of vacant hours.
    pub balanced_accuracy: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Share of hours forecast as occupied that were occupied.
    pub precision: Option<f64>,
    /// Share of occupied hours that were forecast as occupied.
    pub recall: Option<f64>,
    /// Matthews correlation coefficient of states, -1 to 1.
    pub mcc: Option<f64>,
    /// Average precision: precision at each probability, weighted by the recall it adds; ties count as one step.
    pub pr_auc: Option<f64>,
    /// Probability that an occupied hour was given a higher probability than a vacant one (ties count half).
    pub roc_auc: Option<f64>,
    /// Mean gap between probability and share of occupied hours, over 10 bins of equally many hours.
    pub calibration_error: f64,
    /// The calibration error over the hours to which this forecaster gave at least 10 %.
    pub likely_calibration_error: Option<f64>,
    /// Slope of a logistic regression of the outcome on the log-odds of the probability: below 1 the probabilities are
    /// too bold, above 1 too timid.
    pub calibration_slope: Option<f64>,
    /// Intercept of that regression: above 0 the probabilities are too low.
    pub calibration_intercept: Option<f64>,
}

/// Returns one of the scores.
pub type Score = fn(&Scores) -> Option<f64>;

/// A score as a column of a table.
pub struct Column {
    /// The name of the score.
    pub name: &'static str,
    /// A name for narrow tables.
    pub short_name: &'static str,
    /// True when lower is better.
    pub lower_is_better: bool,
    /// Returns the score.
    pub of: Score,
}

const fn column(name: &'static str, short_name: &'static str, lower_is_better: bool, of: Score) -> Column {
    Column { name, short_name, lower_is_better, of }
}

/// The scores that tables show.
pub const COLUMNS: [Column; 12] = [
    column("log loss", "log loss", true, |s| Some(s.log_loss)),
    column("Brier", "Brier", true, |s| Some(s.brier)),
    column("accuracy", "accuracy", false, |s| Some(s.accuracy)),
    column("balanced accuracy", "balanced", false, |s| s.balanced_accuracy),
    column("F1", "F1", false, |s| s.f1),
    column("precision", "precision", false, |s| s.precision),
    column("recall", "recall", false, |s| s.recall),
    column("MCC", "MCC", false, |s| s.mcc),
    column("PR-AUC", "PR-AUC", false, |s| s.pr_auc),
    column("ROC-AUC", "ROC-AUC", false, |s| s.roc_auc),
    column("calibration error", "cal. error", true, |s| Some(s.calibration_error)),
    column("error from 10 %", "from 10 %", true, |s| s.likely_calibration_error),
];

/// Counts of hours by forecast and actual state.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Confusion {
    /// Occupied hours forecast as occupied.
    pub hits: f64,
    /// Vacant hours forecast as occupied.
    pub false_alarms: f64,
    /// Occupied hours forecast as vacant.
    pub misses: f64,
    /// Vacant hours forecast as vacant.
    pub rejections: f64,
}

impl Confusion {
    /// Counts one hour.
    pub fn add(&mut self, occupied: bool, actual: bool) {
        *match (occupied, actual) {
            (true, true) => &mut self.hits,
            (true, false) => &mut self.false_alarms,
            (false, true) => &mut self.misses,
            (false, false) => &mut self.rejections,
        } += 1.0;
    }

    /// Adds the counts of other hours.
    pub fn merge(&mut self, other: &Confusion) {
        self.hits += other.hits;
        self.false_alarms += other.false_alarms;
        self.misses += other.misses;
        self.rejections += other.rejections;
    }

    /// Returns the share of correct states; 0 without an hour.
    pub fn accuracy(&self) -> f64 {
        let correct = self.hits + self.rejections;
        correct / (correct + self.false_alarms + self.misses).max(1.0)
    }

    /// Returns `2 hits / (2 hits + false alarms + misses)`.
    pub fn f1(&self) -> Option<f64> {
        ratio(2.0 * self.hits, 2.0 * self.hits + self.false_alarms + self.misses)
    }

    fn mcc(&self) -> Option<f64> {
        let Confusion { hits, false_alarms, misses, rejections } = *self;
        let sides = (hits + false_alarms) * (hits + misses) * (rejections + false_alarms) * (rejections + misses);
        ratio(hits * rejections - false_alarms * misses, sides.sqrt())
    }
}

/// Scores a set of hours; returns `None` when there are none.
pub fn score(outcomes: &[Outcome]) -> Option<Scores> {
    if outcomes.is_empty() {
        return None;
    }
    let mut confusion = Confusion::default();
    let (mut loss, mut square, mut sum) = (0.0, 0.0, 0.0);
    for o in outcomes {
        confusion.add(o.occupied, o.actual);
        loss += log_loss(o.probability.into(), o.actual);
        square += squared_error(o.probability.into(), o.actual);
        sum += f64::from(o.probability);
    }
    let n = outcomes.len() as f64;
    let Confusion { hits, false_alarms, misses, rejections } = confusion;
    let share = (hits + misses) / n;
    let recall = ratio(hits, hits + misses);
    let specificity = ratio(rejections, rejections + false_alarms);
    let steps = steps(outcomes);
    let likely = steps.partition_point(|step| step.probability >= f64::from(LIKELY_PROBABILITY));
    let (intercept, slope) = recalibration(outcomes).unzip();
    Some(Scores {
        hours: outcomes.len(),
        occupied_share: share,
        mean_probability: sum / n,
        log_loss: loss / n,
        brier: square / n,
        brier_skill: ratio(square / n, share * (1.0 - share)).map(|r| 1.0 - r),
        accuracy: confusion.accuracy(),
        balanced_accuracy: recall.zip(specificity).map(|(a, b)| (a + b) / 2.0),
        f1: confusion.f1(),
        precision: ratio(hits, hits + false_alarms),
        recall,
        mcc: confusion.mcc(),
        pr_auc: average_precision(&steps),
        roc_auc: roc_auc(&steps),
        calibration_error: calibration_error(&steps),
        likely_calibration_error: (likely > 0).then(|| calibration_error(&steps[..likely])),
        calibration_slope: slope,
        calibration_intercept: intercept,
    })
}

fn ratio(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}

/// Hours that were given the same probability.
#[derive(Debug, Clone, Copy)]
struct Step {
    probability: f64,
    occupied: f64,
    hours: f64,
}

/// Groups hours by probability, highest first.
fn steps(outcomes: &[Outcome]) -> Vec<Step> {
    let mut order: Vec<(f32, bool)> = outcomes.iter().map(|o| (o.probability, o.actual)).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let same = order.chunk_by(|a, b| a.0 == b.0);
    same.map(|hours| Step {
        probability: f64::from(hours[0].0),
        occupied: hours.iter().filter(|hour| hour.1).count() as f64,
        hours: hours.len() as f64,
    })
    .collect()
}

fn average_precision(steps: &[Step]) -> Option<f64> {
    let positives: f64 = steps.iter().map(|s| s.occupied).sum();
    let (mut occupied, mut hours, mut area) = (0.0, 0.0, 0.0);
    for step in steps {
        occupied += step.occupied;
        hours += step.hours;
        area += step.occupied * occupied / hours;
    }
    ratio(area, positives)
}

/// Returns the Mann-Whitney statistic over all pairs.
fn roc_auc(steps: &[Step]) -> Option<f64> {
    let positives: f64 = steps.iter().map(|s| s.occupied).sum();
    let negatives: f64 = steps.iter().map(|s| s.hours - s.occupied).sum();
    let (mut above, mut pairs) = (0.0, 0.0);
    for step in steps {
        pairs += (step.hours - step.occupied) * (above + step.occupied / 2.0);
        above += step.occupied;
    }
    ratio(pairs, positives * negatives)
}

/// Returns the expected calibration error with bins of equal mass. Equal probabilities stay in one bin.
fn calibration_error(steps: &[Step]) -> f64 {
    let n: f64 = steps.iter().map(|s| s.hours).sum();
    let (mut gap, mut seen) = (0.0, 0.0);
    let (mut expected, mut occupied, mut bin) = (0.0, 0.0, 1.0);
    for step in steps {
        expected += step.probability * step.hours;
        occupied += step.occupied;
        seen += step.hours;
        if seen >= bin * n / BINS as f64 {
            gap += f64::abs(expected - occupied);
            (expected, occupied) = (0.0, 0.0);
            bin = (seen * BINS as f64 / n).floor() + 1.0;
        }
    }
    (gap + f64::abs(expected - occupied)) / n
}

/// Fits intercept and slope of a logistic regression on the log-odds, by Newton's method (Cox 1958).
fn recalibration(outcomes: &[Outcome]) -> Option<(f64, f64)> {
    let log_odds = |p: f32| {
        let p = f64::from(p).clamp(CLIP, 1.0 - CLIP);
        (p / (1.0 - p)).ln()
    };
    let (mut a, mut b) = (0.0_f64, 1.0_f64);
    for _ in 0..50 {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for o in outcomes {
            let x = log_odds(o.probability);
            let p = 1.0 / (1.0 + (-(a + b * x)).exp());
            let (error, weight) = (f64::from(u8::from(o.actual)) - p, p * (1.0 - p));
            ga += error;
            gb += error * x;
            haa += weight;
            hab += weight * x;
            hbb += weight * x * x;
        }
        let determinant = haa * hbb - hab * hab;
        if determinant <= 1e-9 * haa * hbb {
            return None;
        }
        let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
        (a, b) = (a + da, b + db);
        // Perfectly separated hours have no finite solution.
        if !(a.abs() < 50.0 && b.abs() < 50.0) {
            return None;
        }
        if da.abs() + db.abs() < 1e-9 {
            return Some((a, b));
        }
    }
    None
}

/// Returns the reliability diagram: bins of equal width, without the empty ones.
pub fn reliability(outcomes: &[Outcome]) -> Vec<Bin> {
    let mut bins = [(0, 0, 0.0); BINS];
    for o in outcomes {
        let (hours, occupied, sum) = &mut bins[((o.probability * BINS as f32) as usize).min(BINS - 1)];
        *hours += 1;
        *occupied += u64::from(o.actual);
        *sum += f64::from(o.probability);
    }
    let filled = bins.into_iter().filter(|bin| bin.0 > 0);
    filled.map(|(hours, occupied, sum)| Bin::new(hours, occupied, Some(sum))).collect()
}
