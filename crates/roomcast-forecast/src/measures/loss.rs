//! Losses of forecasts, and whether a difference of losses is more than noise.

/// Smallest distance of a probability from 0 and 1 in the log loss, which keeps it finite.
pub(crate) const CLIP: f64 = 1e-6;

/// Returns the log loss of a probability, in nats.
pub fn log_loss(probability: f64, occupied: bool) -> f64 {
    let p = probability.clamp(CLIP, 1.0 - CLIP);
    -(if occupied { p } else { 1.0 - p }).ln()
}

/// Returns the log loss of log-odds, in nats.
pub fn log_odds_loss(log_odds: f64, occupied: bool) -> f64 {
    let against = if occupied { -log_odds } else { log_odds };
    against.max(0.0) + (1.0 + (-against.abs()).exp()).ln()
}

/// Returns the squared error of a probability: its mean is the Brier score.
pub(crate) fn squared_error(probability: f64, occupied: bool) -> f64 {
    (probability - f64::from(u8::from(occupied))).powi(2)
}

/// Returns the share of a baseline's loss that a forecaster saves. It is negative if the forecaster loses more, and 0
/// if the baseline loses nothing.
pub fn skill(loss: f64, baseline: f64) -> f64 {
    if baseline > 0.0 { 1.0 - loss / baseline } else { 0.0 }
}

/// The mean of one number a day, with its standard error.
///
/// A day is one block because its hours are correlated: the standard error of hours counted one by one would be too
/// small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DailyMean {
    mean: f64,
    /// The standard error of the mean; not a number for fewer than two days.
    error: f64,
}

impl DailyMean {
    /// Returns the mean of the numbers of several days.
    pub fn new(days: impl Iterator<Item = f64> + Clone) -> DailyMean {
        let n = days.clone().count() as f64;
        let mean = days.clone().sum::<f64>() / n;
        let variance = days.map(|day| (day - mean).powi(2)).sum::<f64>() / (n - 1.0);
        DailyMean { mean, error: (variance / n).sqrt() }
    }

    /// Returns the mean in units of its standard error; 0 without a positive standard error.
    pub fn standard_errors(self) -> f64 {
        if self.error > 0.0 { self.mean / self.error } else { 0.0 }
    }

    /// Returns whether the mean is positive and more than `standard_errors` standard errors above zero. Equal numbers
    /// on all days have a standard error of 0, which any positive mean exceeds.
    pub(crate) fn exceeds(self, standard_errors: f64) -> bool {
        self.mean > 0.0 && self.mean > standard_errors * self.error
    }
}
