//! The site's clock: time zone, whole hours, days off.
//!
//! An instant is a number of seconds since 1970-01-01 00:00:00 UTC. A site without a zone keeps the local wall time of
//! its readings: the arithmetic is the same, and the wall clock is taken as if it were UTC. Only this module asks the
//! operating system for the time.

pub mod days_off;
pub mod public_holidays;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Once;

use chrono::{
    DateTime, Datelike, Days, Local, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;

use public_holidays::PublicHolidays;

/// Seconds since 1970-01-01 00:00:00 on the site's time line (UTC, or the wall clock without a zone).
pub type Timestamp = i64;

/// A whole hour of the site: hour `h` is the 3,600 seconds that begin at [`Calendar::start`]`(h)`.
pub type Hour = i32;

/// 2001-01-01, the earliest instant that an arriving event may have. A clock that shows an earlier time was never set;
/// many begin at 2000-01-01.
pub const EARLIEST_EVENT: Timestamp = 978_307_200;

/// Hours after a sensor's last `on` for which it counts as occupied when its `off` does not come, unless the site says
/// another number.
pub const MAX_PRESENCE_HOURS: i64 = 12;

/// Seconds in an hour.
pub const HOUR: i64 = 3600;

/// Reasons a text is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is in none of the accepted forms.
    #[error("expected a time as YYYY-MM-DD HH:MM:SS, found {0:?}")]
    Form(String),
    /// The text carries an offset, but the site's zone is not known.
    #[error("{0:?} carries a UTC offset, which needs the site's time zone (--timezone)")]
    OffsetWithoutZone(String),
    /// The year is outside 1971 to 2200, where hours and days fit their types.
    #[error("expected a year from 1971 to 2200, found {0:?}")]
    Range(String),
}

/// A whole hour in the site's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalHour {
    /// Local date, in days since 1970-01-01.
    pub day: i32,
    /// Hour of the local day, 0 to 23.
    pub hour: u8,
    /// Weekday of the local date, Monday 0 to Sunday 6.
    pub weekday: u8,
    /// True when the local date is a day off: weekend, holiday or closure.
    pub off: bool,
    /// True when it is a day off by its date (holiday or closure) and not by its weekday.
    pub special: bool,
    /// True when the day before is a day off.
    pub off_before: bool,
    /// True when the day after is a day off.
    pub off_after: bool,
}

/// Zone, weekend, holidays and closures of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    zone: Option<Tz>,
    /// Seconds by which the zone's whole hours lie after UTC's (1800 in India, 0 nearly everywhere).
    phase: i64,
    /// Holidays and closures.
    days_off: BTreeSet<NaiveDate>,
    /// Years of which the public holidays are known; none where only dates were given.
    known_years: Option<RangeInclusive<i32>>,
    /// Weekdays that are days off, Monday first.
    weekend: [bool; 7],
    /// Seconds that a sensor counts as occupied after its last `on` without an `off`.
    max_presence: i64,
}

impl Default for Calendar {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Calendar {
    /// Makes a calendar with Saturday and Sunday off. Without a zone, instants are local wall time.
    pub fn new(zone: Option<Tz>) -> Self {
        let phase = zone.map_or(0, |tz| {
            // Offsets that are not whole hours (India, Nepal) shift the grid, so that forecasts start on the full hour
            // of the wall clock there.
            let recent = (DateTime::UNIX_EPOCH + Days::new(20_000)).naive_utc();
            let offset = tz.offset_from_utc_datetime(&recent).fix();
            (-i64::from(offset.local_minus_utc())).rem_euclid(HOUR)
        });
        let weekend = [false, false, false, false, false, true, true];
        Self {
            zone,
            phase,
            days_off: BTreeSet::new(),
            known_years: None,
            weekend,
            max_presence: MAX_PRESENCE_HOURS * HOUR,
        }
    }

    /// Returns the calendar with these weekdays off (Monday first).
    pub fn with_weekend(mut self, weekend: [bool; 7]) -> Self {
        self.weekend = weekend;
        self
    }

    /// Returns the calendar with these dates off as well.
    pub fn with_days_off(mut self, dates: impl IntoIterator<Item = NaiveDate>) -> Self {
        self.days_off.extend(dates);
        self
    }

    /// Returns the calendar with public holidays off as well.
    pub fn with_public_holidays(mut self, holidays: PublicHolidays) -> Self {
        self.days_off.extend(holidays.days);
        self.known_years = Some(holidays.years);
        self
    }

    /// Returns the calendar without these holidays and closures. A weekend day stays off.
    pub fn with_working_days(mut self, dates: impl IntoIterator<Item = NaiveDate>) -> Self {
        for date in dates {
            self.days_off.remove(&date);
        }
        self
    }

    /// Returns the calendar with another number of hours after which a sensor that said `on` is no longer taken at its word.
    pub fn with_max_presence(mut self, hours: i64) -> Self {
        self.max_presence = hours * HOUR;
        self
    }

    /// Returns the seconds after its last `on` for which a sensor counts as occupied when its `off` does not come.
    pub fn max_presence(&self) -> i64 {
        self.max_presence
    }

    /// Returns the site's zone, if one was given.
    pub fn zone(&self) -> Option<Tz> {
        self.zone
    }

    /// Returns holidays and closures, in order.
    pub fn days_off(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.days_off.iter().copied()
    }

    /// Returns the weekdays that are off, Monday first.
    pub fn weekend(&self) -> [bool; 7] {
        self.weekend
    }

    /// Reads `YYYY-MM-DD HH:MM:SS` (also with `T`, without seconds, with a fraction, with an offset).
    ///
    /// # Errors
    /// [`TimeError`] when the text is in none of these forms, lies outside 1971 to 2200, or carries an offset while the
    /// site has no zone.
    pub fn parse(&self, text: &str) -> Result<Timestamp, TimeError> {
        let text = text.trim();
        let in_range = |time: NaiveDateTime| (1971..=2200).contains(&time.year());
        if let Some(time) = plain(text) {
            return if in_range(time) { Ok(self.instant(time)) } else { Err(TimeError::Range(text.into())) };
        }
        // chrono also accepts signs, single digits and missing separators.
        let fixed = text.bytes().take(11).enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ' || byte == b'T',
            _ => byte.is_ascii_digit(),
        });
        if !fixed || text.len() < 16 {
            return Err(TimeError::Form(text.into()));
        }
        for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
                return if in_range(time) { Ok(self.instant(time)) } else { Err(TimeError::Range(text.into())) };
            }
        }
        for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
            if let Ok(time) = DateTime::parse_from_str(&text.replace(['Z', 'z'], "+00:00"), form) {
                return match (self.zone, in_range(time.naive_utc())) {
                    (None, _) => Err(TimeError::OffsetWithoutZone(text.into())),
                    (_, false) => Err(TimeError::Range(text.into())),
                    _ => Ok(time.timestamp()),
                };
            }
        }
        Err(TimeError::Form(text.into()))
    }

    /// Returns the instant of a local wall time. When clocks go back, it is the first of the two. A time that clocks
    /// skip becomes the instant at which the gap ends.
    pub fn instant(&self, wall: NaiveDateTime) -> Timestamp {
        let Some(zone) = self.zone else { return wall.and_utc().timestamp() };
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.timestamp(),
            LocalResult::None => {
                // Gaps are at most a day, so the search for the first existing wall time is short.
                let minute = |n| wall.with_second(0).unwrap_or(wall) + TimeDelta::minutes(n);
                (1..=1500)
                    .find_map(|n| zone.from_local_datetime(&minute(n)).earliest())
                    .map_or_else(|| wall.and_utc().timestamp(), |time| time.timestamp())
            }
        }
    }

    /// Returns the whole hour that contains an instant.
    pub fn hour(&self, instant: Timestamp) -> Hour {
        (instant - self.phase).div_euclid(HOUR) as Hour
    }

    /// Returns the first whole hour that begins at or after an instant.
    pub fn next_hour(&self, instant: Timestamp) -> Hour {
        self.hour(instant + HOUR - 1)
    }

    /// Returns the instant at which an hour begins.
    pub fn start(&self, hour: Hour) -> Timestamp {
        i64::from(hour) * HOUR + self.phase
    }

    /// Returns the local wall time of an instant.
    pub fn wall(&self, instant: Timestamp) -> NaiveDateTime {
        let utc = DateTime::from_timestamp(instant, 0).unwrap_or(DateTime::UNIX_EPOCH).naive_utc();
        self.zone.map_or(utc, |zone| zone.from_utc_datetime(&utc).naive_local())
    }

    /// Returns date, hour of day, weekday and day type of an hour.
    pub fn local(&self, hour: Hour) -> LocalHour {
        let wall = self.wall(self.start(hour));
        let date = wall.date();
        LocalHour {
            day: date.to_epoch_days(),
            hour: wall.hour() as u8,
            weekday: date.weekday().num_days_from_monday() as u8,
            off: self.is_off(date),
            special: self.is_off(date) && !self.weekend[date.weekday().num_days_from_monday() as usize],
            off_before: self.is_off(date - Days::new(1)),
            off_after: self.is_off(date + Days::new(1)),
        }
    }

    /// Returns whether a local date is a weekend day, a holiday or a closure.
    /// Warns once where the public holidays of its year are not known.
    pub fn is_off(&self, date: NaiveDate) -> bool {
        static WARNED: Once = Once::new();
        if let Some(years) = &self.known_years
            && !years.contains(&date.year())
        {
            let (first, last) = (years.start(), years.end());
            WARNED.call_once(|| tracing::warn!("no public holidays are known for {date}, only for {first} to {last}"));
        }
        self.weekend[date.weekday().num_days_from_monday() as usize] || self.days_off.contains(&date)
    }

    /// Formats an instant as local wall time, `YYYY-MM-DD HH:MM:SS`.
    pub fn format(&self, instant: Timestamp) -> String {
        self.wall(instant).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Formats an instant as RFC 3339 with the zone's offset; without a zone, as local wall time without an offset.
    pub fn rfc3339(&self, instant: Timestamp) -> String {
        let utc = DateTime::from_timestamp(instant, 0).unwrap_or(DateTime::UNIX_EPOCH);
        match self.zone {
            Some(zone) => utc.with_timezone(&zone).to_rfc3339(),
            None => utc.naive_utc().format("%Y-%m-%dT%H:%M:%S").to_string(),
        }
    }

    /// Converts a UTC instant to the site's. Without a zone the result is the machine's local wall time, as for
    /// [`Calendar::now`].
    pub fn at(&self, utc: Timestamp) -> Timestamp {
        let local = || Some(Local.timestamp_opt(utc, 0).single()?.naive_local().and_utc().timestamp());
        match self.zone {
            Some(_) => utc,
            None => local().unwrap_or(utc),
        }
    }

    /// Returns the present instant in UTC.
    #[allow(clippy::disallowed_methods, reason = "calendar is the only clock")]
    pub fn utc_now() -> Timestamp {
        Utc::now().timestamp()
    }

    /// Returns the site's present instant. Without a zone it is the machine's local wall time, as the readings are.
    pub fn now(&self) -> Timestamp {
        self.at(Self::utc_now())
    }

    /// Returns the latest instant that a clock at the site can show now: an hour ahead of this one. Without a zone it
    /// is 26 hours, since this machine may keep the wall time of another part of the world.
    pub fn latest(&self) -> Timestamp {
        self.now() + if self.zone.is_some() { HOUR } else { 26 * HOUR }
    }

    /// Returns the latest instant that an arriving event may have: a day ahead of the site's clock. A later one shows a
    /// wrong clock, and would move the present of every forecast into the future.
    pub fn latest_event(&self) -> Timestamp {
        self.now() + 24 * HOUR
    }
}

/// Reads `YYYY-MM-DD HH:MM:SS`, with a space or a `T`, and nothing else. Most times have this form, and chrono's parser
/// takes ten times as long.
fn plain(text: &str) -> Option<NaiveDateTime> {
    let text: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let is_form = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|&(at, byte)| text[at] == byte);
    if !is_form || !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0, |number, byte| Some(number * 10 + char::from(*byte).to_digit(10)?))
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Calendar {
        Calendar::new(Some(chrono_tz::Europe::Berlin))
    }

    #[test]
    fn times_are_read_in_their_fixed_forms_only() {
        let calendar = Calendar::default();
        let expected = calendar.parse("2016-08-31 23:59:59").unwrap();
        assert_eq!(calendar.format(expected), "2016-08-31 23:59:59");
        assert_eq!(calendar.parse(" 2016-08-31T23:59:59.75 "), Ok(expected));
        assert_eq!(calendar.parse("2016-08-31 23:59"), Ok(expected - 59));
        for bad in
            ["", "2016-08-31", "2016-8-31 4:05:06", "+2016-08-31 04:05:06", "2016-08-3104:05:06", "2016-02-30 00:00:00"]
        {
            assert_eq!(calendar.parse(bad), Err(TimeError::Form(bad.into())), "{bad}");
        }
        assert!(matches!(calendar.parse("1910-01-01 00:00:00"), Err(TimeError::Range(_))));
        assert!(matches!(calendar.parse("2016-08-31T23:59:59Z"), Err(TimeError::OffsetWithoutZone(_))));
        assert_eq!(berlin().parse("2016-08-31T21:59:59Z"), berlin().parse("2016-08-31 23:59:59"));
        assert_eq!(berlin().parse("2016-08-31T21:59:59+00:00"), berlin().parse("2016-08-31T23:59:59+02:00"));
    }

    #[test]
    fn clocks_going_forward_and_back_keep_hours_whole() {
        let calendar = berlin();
        // 02:30 does not exist on that day. The gap ends at 03:00 summer time.
        assert_eq!(calendar.parse("2016-03-27 02:30:00"), calendar.parse("2016-03-27T01:00:00Z"));
        // 02:30 exists twice on that day. The first one is meant.
        assert_eq!(calendar.parse("2016-10-30 02:30:00"), calendar.parse("2016-10-30T00:30:00Z"));
        let hours = |day: &str, next: &str| {
            let hour = |text: &str| calendar.hour(calendar.parse(text).unwrap());
            hour(next) - hour(day)
        };
        assert_eq!(hours("2016-03-27 00:00:00", "2016-03-28 00:00:00"), 23);
        assert_eq!(hours("2016-10-30 00:00:00", "2016-10-31 00:00:00"), 25);
    }

    #[test]
    fn zones_off_by_minutes_keep_full_local_hours() {
        let calendar = Calendar::new(Some(chrono_tz::Asia::Kolkata));
        let hour = calendar.next_hour(calendar.parse("2016-08-10 10:10:00").unwrap());
        assert_eq!(calendar.format(calendar.start(hour)), "2016-08-10 11:00:00");
        assert_eq!(calendar.rfc3339(calendar.start(hour)), "2016-08-10T11:00:00+05:30");
    }

    #[test]
    fn days_off_come_from_weekdays_and_dates() {
        let holiday = NaiveDate::from_ymd_opt(2016, 8, 15).unwrap();
        let calendar = Calendar::default().with_days_off([holiday]);
        let at = |text: &str| calendar.local(calendar.hour(calendar.parse(text).unwrap()));
        let monday = at("2016-08-15 10:00:00");
        assert!(monday.off && monday.special && monday.off_before && !monday.off_after);
        let friday = at("2016-08-12 10:00:00");
        assert!(!friday.off && friday.off_after && friday.weekday == 4);
        assert!(at("2016-08-13 10:00:00").off && !at("2016-08-13 10:00:00").special);
    }
}
