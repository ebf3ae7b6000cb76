//! Timetables: fixed hours by weekday, such as `mon-fri 06:00-19:00; sat 08:00-12:00`.
//!
//! A timetable pauses on holidays and closures that fall on a working day. A weekday that the site has off every week
//! is on if the timetable names it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveTime, TimeDelta, Weekday};

use crate::calendar::{Calendar, Timestamp};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A text is not a timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected days and hours such as \"mon-fri 06:00-19:00; sat 08:00-12:00\", found {0:?}")]
pub struct TimetableError(String);

/// Hours of some weekdays.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    /// Weekdays, Monday first.
    days: [bool; 7],
    /// First minute of the day.
    from: u16,
    /// Minute of the day at which it ends, later than `from`.
    until: u16,
}

/// Fixed hours by weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    spans: Vec<Span>,
    text: String,
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Timetable {
    type Err = TimetableError;

    fn from_str(text: &str) -> Result<Timetable, TimetableError> {
        let spans: Option<Vec<Span>> = text.split(';').map(span).collect();
        let spans = spans.ok_or_else(|| TimetableError(text.to_owned()))?;
        Ok(Timetable { spans, text: text.trim().to_owned() })
    }
}

/// Reads `mon-fri 06:00-19:00`, or `mon,wed 08:00-10:00`.
fn span(text: &str) -> Option<Span> {
    let (days, hours) = text.trim().split_once(char::is_whitespace)?;
    let mut on = [false; 7];
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (Weekday, Weekday) = (first.parse().ok()?, last.parse().ok()?);
        let mut day = first;
        on[day.num_days_from_monday() as usize] = true;
        while day != last {
            day = day.succ();
            on[day.num_days_from_monday() as usize] = true;
        }
    }
    let (from, until) = hours.trim().split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < until).then_some(Span { days: on, from, until })
}

/// Reads `06:00`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

impl Timetable {
    /// Returns the times on that begin on the local dates from that of `from` up to that of `to`, ascending.
    pub fn times(&self, from: Timestamp, to: Timestamp, calendar: &Calendar) -> Vec<(Timestamp, Timestamp)> {
        let (mut date, last) = (calendar.wall(from).date(), calendar.wall(to).date());
        let mut times = Vec::new();
        while date <= last {
            let weekday = date.weekday().num_days_from_monday() as usize;
            let is_pause = calendar.is_off(date) && !calendar.weekend()[weekday];
            let at = |minute: u16| {
                let midnight = date.and_time(NaiveTime::MIN);
                calendar.instant(midnight + TimeDelta::minutes(i64::from(minute)))
            };
            let on = self.spans.iter().filter(|span| span.days[weekday] && !is_pause);
            times.extend(on.map(|span| (at(span.from), at(span.until))));
            let Some(next) = date.checked_add_days(Days::new(1)) else { break };
            date = next;
        }
        times.sort_unstable();
        times
    }
}

/// The timetables of a site: one for all rooms, and others for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetables {
    /// That of rooms without one of their own.
    pub site: Timetable,
    /// Those of single rooms, by name.
    pub rooms: BTreeMap<String, Timetable>,
}

impl Timetables {
    /// Returns the timetable of a room.
    pub fn of(&self, room: &str) -> &Timetable {
        self.rooms.get(room).unwrap_or(&self.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_weekdays_and_pause_on_holidays() {
        let holiday = "2016-08-15".parse().unwrap();
        let calendar = Calendar::default().with_days_off([holiday]);
        let timetable: Timetable = "mon-fri 06:00-19:00; sat,sun 08:30-24:00".parse().unwrap();
        let at = |text: &str| calendar.parse(text).unwrap();
        let times = timetable.times(at("2016-08-12 23:00:00"), at("2016-08-16 00:00:00"), &calendar);
        let words: Vec<_> = times.iter().map(|&(from, to)| (calendar.format(from), calendar.format(to))).collect();
        let expected = [
            ("2016-08-12 06:00:00", "2016-08-12 19:00:00"),
            ("2016-08-13 08:30:00", "2016-08-14 00:00:00"),
            ("2016-08-14 08:30:00", "2016-08-15 00:00:00"),
            ("2016-08-16 06:00:00", "2016-08-16 19:00:00"),
        ];
        assert_eq!(words, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }

    #[test]
    fn hours_are_those_of_the_wall_clock() {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let timetable: Timetable = "sun-mon 00:00-06:00".parse().unwrap();
        let at = |text: &str| calendar.parse(text).unwrap();
        let times = timetable.times(at("2016-03-27 12:00:00"), at("2016-03-28 12:00:00"), &calendar);
        assert_eq!(times.iter().map(|(from, to)| (to - from) / 3600).collect::<Vec<_>>(), [5, 6]);
    }

    #[test]
    fn what_is_no_timetable_is_refused() {
        for wrong in [
            "",
            "mon",
            "mon 6-19",
            "mon 06:00",
            "mon 19:00-06:00",
            "mon 06:00-24:01",
            "day 06:00-07:00",
            "mon 06:00-07:00;",
        ] {
            assert!(wrong.parse::<Timetable>().is_err(), "{wrong:?}");
        }
    }
}
