//! Numbers as the report shows them.

use super::skill::Interval;

/// Replaces hyphens by typographic minus signs.
pub fn minus(number: String) -> String {
    number.replace('-', "−")
}

pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| minus(format!("{value:.3}")))
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Formats a share in percent with its interval: `+8.2 [+3.1, +12.9]`.
pub fn interval(interval: Interval) -> String {
    let signed = |share: f64| minus(format!("{:+.1}", 100.0 * share));
    let value = signed(interval.value);
    interval.interval.map_or(value.clone(), |(low, high)| format!("{value} [{}, {}]", signed(low), signed(high)))
}
