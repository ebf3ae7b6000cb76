//! Probabilities and their log-odds.

/// Smallest distance of a probability from 0 and 1, which bounds the cost of one surprise.
pub const FLOOR: f32 = 1e-3;

/// Returns the log-odds of a probability, kept off the ends by [`FLOOR`].
pub fn logit(p: f32) -> f32 {
    let p = p.clamp(FLOOR, 1.0 - FLOOR);
    (p / (1.0 - p)).ln()
}

/// Returns the probability of log-odds.
pub fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}
