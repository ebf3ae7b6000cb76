//! Faults of single devices: stuck on, chattering.

use chrono::NaiveDate;

use super::{Kind, Notice};
use crate::calendar::{Calendar, Hour, Timestamp};
use crate::readings::{DeviceReadings, Readings};

/// Fewest days in a row, all hours but one with a reading, after which a device counts as stuck.
const STUCK_DAYS: usize = 2;
/// An hour chatters when it has more than this many times the readings of the site's usual occupied hour,
const CHATTER_RATIO: f64 = 20.0;
/// and more than one every half minute.
const CHATTER_READINGS: f64 = 120.0;
/// Fewest such hours of one day that count.
const CHATTER_HOURS: usize = 3;

const STUCK_ADVICE: &str = "look at the sensor, and take these days out of the readings: until then they count as use. If \
                            the room really is never empty, do nothing";
const CHATTER_ADVICE: &str = "look at the sensor (sunlight, a fan, a weak battery), and take these days out of the readings: until then they count \
     as use";

/// The local days of the hours of a span.
pub(super) struct Grid {
    calendar: Calendar,
    /// The first hour.
    pub start: Hour,
    /// Local date and hour of day, and whether it is a day off, of each hour.
    pub hours: Vec<(i32, u8, bool)>,
}

/// The use of a device on a local day.
struct Day {
    day: i32,
    /// Hours with a reading.
    hours: usize,
    /// Hours with very many.
    chattering: usize,
}

impl Grid {
    /// Returns the hours from the first reading to the last.
    pub fn new(readings: &Readings, calendar: &Calendar) -> Option<Grid> {
        let (first, last) = readings.span()?;
        let start = calendar.hour(first);
        let local = |hour| {
            let local = calendar.local(hour);
            (local.day, local.hour, local.off)
        };
        Some(Grid { calendar: calendar.clone(), start, hours: (start..=calendar.hour(last)).map(local).collect() })
    }

    /// Returns the position of the hour of an instant.
    pub fn position(&self, instant: Timestamp) -> usize {
        (self.calendar.hour(instant) - self.start) as usize
    }

    /// Returns the first instant of a position.
    pub fn instant(&self, position: usize) -> Timestamp {
        self.calendar.start(self.start + position as Hour)
    }

    /// Returns the number of hours of the local day of a position.
    fn length(&self, position: usize) -> usize {
        let day = self.hours[position].0;
        // No day has more than 25 hours.
        let around = &self.hours[position.saturating_sub(25)..self.hours.len().min(position + 26)];
        around.iter().filter(|hour| hour.0 == day).count()
    }
}

pub(super) fn date(day: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(day).unwrap_or_default()
}

/// Returns the notices of one device. `usual` is the number of readings in a usual occupied hour of the site.
pub(super) fn of_device(device: &DeviceReadings, grid: &Grid, usual: f64) -> Vec<Notice> {
    let limit = CHATTER_READINGS.max(CHATTER_RATIO * usual);
    let mut days: Vec<Day> = Vec::new();
    let mut stuck: Vec<i32> = Vec::new();
    for (hour, readings) in device.times.hours(&grid.calendar) {
        let position = (hour - grid.start) as usize;
        let day = grid.hours[position].0;
        if days.last().is_none_or(|last| last.day != day) {
            days.push(Day { day, hours: 0, chattering: 0 });
        }
        let Some(today) = days.last_mut() else { continue };
        today.hours += 1;
        today.chattering += usize::from(readings as f64 > limit);
        if today.hours + 1 == grid.length(position).max(23) {
            stuck.push(day);
        }
    }
    let mut notices = Vec::new();
    let runs = stuck.chunk_by(|a, b| a + 1 == *b).filter(|run| run.len() >= STUCK_DAYS);
    let runs: Vec<(i32, i32)> = runs.map(|run| (run[0], run[run.len() - 1])).collect();
    let notice = |kind, runs: &[(i32, i32)], finding, advice| Notice {
        kind,
        devices: vec![device.device.clone()],
        from: date(runs[0].0),
        to: date(runs[runs.len() - 1].1),
        finding,
        advice,
    };
    if !runs.is_empty() {
        let count: i32 = runs.iter().map(|(from, to)| to - from + 1).sum();
        let finding = format!("has readings in every hour of {count} days{}", within(&runs));
        notices.push(notice(Kind::Stuck, &runs, finding, STUCK_ADVICE));
    }
    let chattering: Vec<i32> = days.iter().filter(|day| day.chattering >= CHATTER_HOURS).map(|day| day.day).collect();
    let runs: Vec<(i32, i32)> =
        chattering.chunk_by(|a, b| a + 1 == *b).map(|run| (run[0], run[run.len() - 1])).collect();
    if !runs.is_empty() {
        let days = if chattering.len() == 1 { "1 day".to_owned() } else { format!("{} days", chattering.len()) };
        let finding = format!("has more than {limit:.0} readings an hour in hours of {days}{}", within(&runs));
        notices.push(notice(Kind::Chattering, &runs, finding, CHATTER_ADVICE));
    }
    notices
}

/// Says how many spans there are, if more than one.
fn within(runs: &[(i32, i32)]) -> String {
    if runs.len() > 1 { format!(" in {} spans", runs.len()) } else { String::new() }
}
