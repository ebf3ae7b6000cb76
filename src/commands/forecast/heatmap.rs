//! A forecast as a heat map for the terminal: one row per device, one column per hour.

use std::collections::HashSet;
use std::fmt::Write;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::hourly::HORIZON;
use roomcast_forecast::rooms::Level;

/// The shades from empty to certain. The share of ink carries the meaning, not colour.
const SHADES: [&str; 5] = ["··", "░░", "▒▒", "▓▓", "██"];
/// Width of a line besides the names of devices: margins, 24 hours, and the hours expected.
const OTHER_CHARS: usize = 2 + 2 + 2 * HORIZON + 2 + 8;
/// Fewest characters of a name on a narrow terminal, and most where there is no terminal.
const NAME_CHARS: (usize, usize) = (16, 80);
/// Largest number of devices, so that they fit a screen.
const MAX_DEVICES: usize = 40;

/// Draws a heat map of each 24 hours, a legend, and the number of hours each device is expected to be occupied.
pub fn draw(forecasts: &[DeviceForecast], level: Level, calendar: &Calendar) -> String {
    let hours = forecasts.first().map_or(0, |forecast| forecast.hours.len());
    let most = room_for_names();
    let day = |from: usize| {
        let of = |forecast: &DeviceForecast| DeviceForecast {
            hours: forecast.hours.iter().skip(from).take(HORIZON).copied().collect(),
            ..forecast.clone()
        };
        draw_day(&forecasts.iter().map(of).collect::<Vec<_>>(), level, most, calendar)
    };
    let days: String = (0..hours).step_by(HORIZON).map(day).collect();
    if days.is_empty() {
        return days;
    }
    days + "\n  ·· under 20 %  ░░ under 40 %  ▒▒ under 60 %  ▓▓ under 80 %  ██ 80 % and more\n\n"
}

/// Returns the number of characters of a name for which the terminal has room.
fn room_for_names() -> usize {
    let columns = terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
    columns.map_or(NAME_CHARS.1, |columns| columns.saturating_sub(OTHER_CHARS).max(NAME_CHARS.0))
}

/// Shortens names in the middle to a number of characters, or as many more as they need to stay different.
fn names(names: &[&str], most: usize) -> Vec<String> {
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let known: HashSet<_> = names.iter().collect();
    let all = |most: usize| names.iter().map(|name| shortened(name, most)).collect::<Vec<_>>();
    let is_told_apart = |short: &Vec<String>| short.iter().collect::<HashSet<_>>().len() == known.len();
    (most..longest).map(all).find(is_told_apart).unwrap_or_else(|| all(longest))
}

/// Returns the beginning and the end of a name that is longer than `most` characters.
fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let end = most.saturating_sub(1) / 2;
    let begin = most.saturating_sub(1 + end);
    name.chars().take(begin).chain(['…']).chain(name.chars().skip(count - end)).collect()
}

/// Draws the heat map of at most a day, with names of about `most` characters.
fn draw_day(forecasts: &[DeviceForecast], level: Level, most: usize, calendar: &Calendar) -> String {
    let mut out = String::new();
    let Some(first) = forecasts.first().and_then(|f| f.hours.first()) else { return out };
    let shown = &forecasts[..forecasts.len().min(MAX_DEVICES)];
    let names = names(&shown.iter().map(|f| f.device.as_str()).collect::<Vec<_>>(), most);
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
    let hour_of = |at: usize| calendar.local(shown[0].hours[at].hour).hour;
    let _ = writeln!(
        out,
        "\nChance that each {level} is occupied, 24 hours from {}\n",
        calendar.format(calendar.start(first.hour))
    );
    let _ = write!(out, "  {:width$}  ", "");
    for at in (0..shown[0].hours.len()).step_by(2) {
        let _ = write!(out, "{:<4}", format!("{:02}", hour_of(at)));
    }
    let _ = writeln!(out, "  expected");
    for (forecast, name) in shown.iter().zip(&names) {
        let _ = write!(out, "  {name:width$}  ");
        for hour in &forecast.hours {
            let shade = ((hour.probability * SHADES.len() as f64) as usize).min(SHADES.len() - 1);
            out.push_str(SHADES[shade]);
        }
        let expected: f64 = forecast.hours.iter().map(|hour| hour.probability).sum();
        let _ = writeln!(out, "  {expected:4.1} h");
    }
    if forecasts.len() > MAX_DEVICES {
        let _ = writeln!(out, "  … and {} more {level}s", forecasts.len() - MAX_DEVICES);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_in_the_middle_and_stay_different() {
        let of = |long: &[&str], most: usize| names(long, most);
        let office = "binary_sensor.living_room_office_motion";
        assert_eq!(of(&[office], 80), [office]);
        assert_eq!(of(&[office], 16), ["binary_s…_motion"]);
        let kitchen = "binary_sensor.living_room_kitchen_motion";
        let short = of(&[office, kitchen, "hall"], 16);
        assert_eq!(short, ["binary_s…e_motion", "binary_s…n_motion", "hall"]);
        // The same name twice does not widen the others.
        assert_eq!(of(&[office, office], 16), ["binary_s…_motion", "binary_s…_motion"]);
        assert_eq!(shortened("küche", 4), "kü…e");
    }
}
