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

/// Formats seconds in the largest unit that divides them: `6 hours`, `1 day`, `90 minutes`.
pub fn duration(seconds: i64) -> String {
    let (n, unit) = match seconds {
        s if s % 86_400 == 0 => (s / 86_400, "day"),
        s if s % 3600 == 0 => (s / 3600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") }
}

/// Formats a number with narrow blanks between thousands.
pub fn thousands(n: u64) -> String {
    match n / 1000 {
        0 => n.to_string(),
        above => format!("{}\u{202f}{:03}", thousands(above), n % 1000),
    }
}
