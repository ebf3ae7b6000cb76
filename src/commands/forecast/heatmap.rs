//! A forecast as a heat map for the terminal: one row per device, one column per hour.

use std::fmt::Write;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::forecast::DeviceForecast;
use roomcast_forecast::hourly::HORIZON;
use roomcast_forecast::rooms::Level;

/// The shades from empty to certain. The share of ink carries the meaning, not colour.
const SHADES: [&str; 5] = ["··", "░░", "▒▒", "▓▓", "██"];
/// Largest number of characters of a device name. Longer names are cut.
const MAX_NAME_CHARS: usize = 24;
/// Largest number of devices, so that they fit a screen.
const MAX_DEVICES: usize = 40;

/// Draws a heat map of each 24 hours, a legend, and the number of hours each device is expected to be occupied.
pub fn draw(forecasts: &[DeviceForecast], level: Level, calendar: &Calendar) -> String {
    let hours = forecasts.first().map_or(0, |forecast| forecast.hours.len());
    let day = |from: usize| {
        let of = |forecast: &DeviceForecast| DeviceForecast {
            hours: forecast.hours.iter().skip(from).take(HORIZON).copied().collect(),
            ..forecast.clone()
        };
        draw_day(&forecasts.iter().map(of).collect::<Vec<_>>(), level, calendar)
    };
    let days: String = (0..hours).step_by(HORIZON).map(day).collect();
    if days.is_empty() {
        return days;
    }
    days + "\n  ·· under 20 %  ░░ under 40 %  ▒▒ under 60 %  ▓▓ under 80 %  ██ 80 % and more\n\n"
}

/// Draws the heat map of at most a day.
fn draw_day(forecasts: &[DeviceForecast], level: Level, calendar: &Calendar) -> String {
    let mut out = String::new();
    let Some(first) = forecasts.first().and_then(|f| f.hours.first()) else { return out };
    let shown = &forecasts[..forecasts.len().min(MAX_DEVICES)];
    let width = shown.iter().map(|f| f.device.chars().count()).max().unwrap_or(0).clamp(6, MAX_NAME_CHARS);
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
    for forecast in shown {
        let name: String = forecast.device.chars().take(MAX_NAME_CHARS).collect();
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
