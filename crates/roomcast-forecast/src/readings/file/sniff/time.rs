//! The forms in which times are written, and which of them a file uses.

use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::calendar::Timestamp;
use crate::readings::file::field::{Clock, Problem, ZONE_HINT, trim};

/// The form of the times of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// `YYYY-MM-DD HH:MM:SS`, with a space or `T`, and perhaps a fraction, `Z` or an offset.
    Iso,
    /// Year, month, day in this order, however they are separated.
    YearFirst,
    /// `DD.MM.YYYY HH:MM:SS`, also with `/` or `-`; with dots also `DD.MM.YY`.
    DayFirst,
    /// `MM/DD/YYYY HH:MM:SS`, perhaps with AM or PM.
    MonthFirst,
    /// Units since 1970-01-01 UTC, this many a second.
    Epoch(i64),
    /// A pattern of [`chrono::format::strftime`].
    Pattern(String),
}

impl FromStr for TimeForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "iso" => TimeForm::Iso,
            "day-first" => TimeForm::DayFirst,
            "month-first" => TimeForm::MonthFirst,
            "seconds" => TimeForm::Epoch(1),
            "milliseconds" => TimeForm::Epoch(1000),
            "microseconds" => TimeForm::Epoch(1_000_000),
            _ if text.contains('%') && !StrftimeItems::new(text).any(|item| item == Item::Error) => {
                TimeForm::Pattern(text.to_owned())
            }
            _ => {
                return Err("expected iso, day-first, month-first, seconds, milliseconds or a pattern such as \
                            '%d/%m/%Y %H:%M'"
                    .to_owned());
            }
        })
    }
}

impl TimeForm {
    /// Returns the form of a number that is a time since 1970; `None` for another text.
    pub fn of_number(cell: &[u8]) -> Option<TimeForm> {
        let number = epoch(std::str::from_utf8(trim(cell)).ok()?)?;
        unit(number).map(|at| TimeForm::Epoch(UNITS[at]))
    }

    /// Reads a cell.
    ///
    /// # Errors
    /// Returns the problem of a cell in another form.
    pub fn read(&self, cell: &[u8], clock: &mut Clock<'_>) -> Result<Timestamp, Problem> {
        if *self == TimeForm::Iso {
            return clock.text(cell);
        }
        let refused = |expected: String| Problem { expected: expected.into(), ..Problem::new(0, "", trim(cell)) };
        let text = std::str::from_utf8(trim(cell)).map_err(|_| refused("a time in UTF-8".into()))?;
        let time = match self {
            TimeForm::Epoch(per_second) => epoch(text).map(|units| Time::Instant(units.div_euclid(*per_second))),
            TimeForm::Pattern(pattern) => pattern_time(text, pattern),
            _ => Parts::of(text).and_then(|parts| parts.wall(self)).map(Time::Wall),
        };
        match time {
            None => Err(refused(self.expected())),
            Some(Time::Instant(_)) if !clock.is_zoned() => {
                let expected = "a local time, or the site's time zone (--timezone), because these times are UTC";
                Err(Problem { hint: Some(ZONE_HINT), ..refused(expected.into()) })
            }
            Some(Time::Instant(instant)) => clock.instant(instant).ok_or_else(|| refused(RANGE.into())),
            Some(Time::Wall(wall)) => clock.wall(wall).ok_or_else(|| refused(RANGE.into())),
        }
    }

    fn expected(&self) -> String {
        match self {
            TimeForm::Iso => "a time as YYYY-MM-DD HH:MM:SS".into(),
            TimeForm::YearFirst => "a time as YYYY/MM/DD HH:MM:SS".into(),
            TimeForm::DayFirst => "a time as DD.MM.YYYY HH:MM:SS".into(),
            TimeForm::MonthFirst => "a time as MM/DD/YYYY HH:MM:SS, perhaps with AM or PM".into(),
            TimeForm::Epoch(1) => "seconds since 1970".into(),
            TimeForm::Epoch(1000) => "milliseconds since 1970".into(),
            TimeForm::Epoch(_) => "a number since 1970".into(),
            TimeForm::Pattern(pattern) => format!("a time as {pattern}"),
        }
    }
}

const RANGE: &str = "a year from 1971 to 2200";

/// A time as it is written: on the wall clock, or an instant.
enum Time {
    Wall(i64),
    Instant(i64),
}

fn pattern_time(text: &str, pattern: &str) -> Option<Time> {
    if let Ok(time) = DateTime::parse_from_str(text, pattern) {
        return Some(Time::Instant(time.timestamp()));
    }
    Some(Time::Wall(NaiveDateTime::parse_from_str(text, pattern).ok()?.and_utc().timestamp()))
}

/// Reads units since 1970; a fraction is cut off.
fn epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number =
        fraction.bytes().all(|byte| byte.is_ascii_digit()) && whole.bytes().all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| is_number)
}

/// The numbers of a date and a time, in the order in which they are written.
struct Parts {
    date: [u32; 3],
    is_year_first: bool,
    separator: u8,
    /// Seconds since midnight.
    time: i64,
}

impl Parts {
    /// Reads `1.7.2016 4:23`, `1.7.16 4:23`, `07/01/2016 4:23:32 PM`, `2016/07/01 04:23:32.5` and the like. Only with dots may
    /// the year have two digits: they stand in dates that begin with the day.
    fn of(text: &str) -> Option<Parts> {
        let mut rest = text.as_bytes();
        let (first, length) = digits(&mut rest, 4)?;
        let (&separator, mut rest) = rest.split_first().filter(|(byte, _)| b"./-".contains(byte))?;
        let (second, _) = digits(&mut rest, 2)?;
        let mut rest = rest.strip_prefix(&[separator])?;
        let (mut third, last) = digits(&mut rest, 4)?;
        let is_year_first = length == 4;
        match last {
            1 | 2 if is_year_first => {}
            4 if !is_year_first => {}
            2 if separator == b'.' => third += 2000,
            _ => return None,
        }
        let between = rest.iter().take_while(|byte| b", T".contains(byte)).count();
        if between == 0 {
            return None;
        }
        let time = clock_time(&rest[between..])?;
        Some(Parts { date: [first, second, third], is_year_first, separator, time })
    }

    /// Returns seconds since 1970 on the wall clock.
    fn wall(&self, form: &TimeForm) -> Option<i64> {
        let [a, b, c] = self.date;
        let (year, month, day) = match form {
            TimeForm::DayFirst if !self.is_year_first => (c, b, a),
            TimeForm::MonthFirst if !self.is_year_first => (c, a, b),
            TimeForm::YearFirst if self.is_year_first => (a, b, c),
            _ => return None,
        };
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        Some(i64::from(date.to_epoch_days()) * 86_400 + self.time)
    }
}

/// Takes a number of at most so many digits off a text. Returns it with its length.
fn digits(rest: &mut &[u8], most: usize) -> Option<(u32, usize)> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > most {
        return None;
    }
    let number = rest[..length].iter().fold(0, |number, byte| number * 10 + u32::from(byte - b'0'));
    *rest = &rest[length..];
    Some((number, length))
}

/// Reads a time of day, `4:23`, `04:23:32.5` or `4:23:32 PM`, as seconds since midnight.
fn clock_time(text: &[u8]) -> Option<i64> {
    let mut rest = text;
    let (mut hour, _) = digits(&mut rest, 2)?;
    rest = rest.strip_prefix(b":")?;
    let (minute, _) = digits(&mut rest, 2)?;
    let mut second = 0;
    if let Some(after) = rest.strip_prefix(b":") {
        rest = after;
        (second, _) = digits(&mut rest, 2)?;
        if let Some(after) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
            rest = after.trim_ascii_start();
            digits(&mut rest, 9)?;
        }
    }
    let half: Vec<u8> = rest.iter().filter(|byte| !b" .".contains(byte)).map(u8::to_ascii_lowercase).collect();
    match half.as_slice() {
        b"" => {}
        b"am" | b"pm" if (1..=12).contains(&hour) => hour = hour % 12 + if half == b"pm" { 12 } else { 0 },
        _ => return None,
    }
    (hour < 24 && minute < 60 && second < 60).then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// The forms that the times of a file may have.
pub enum Forms {
    /// No known form.
    Unknown,
    One(TimeForm),
    /// Day first or month first: no row looked at tells them apart.
    Either,
    /// Some rows have a day above 12 first, others a month: there is no order that reads both.
    Mixed,
}

/// Finds the form of times. The form that reads the most of them wins.
pub fn form<'a>(cells: impl Iterator<Item = &'a [u8]>, clock: &mut Clock<'_>) -> Forms {
    let (mut iso, mut years, mut dotted, mut slashed, mut numbers) = (0, 0, 0, 0, [0_usize; 4]);
    let (mut day_first, mut month_first) = (false, false);
    for cell in cells {
        let Ok(text) = std::str::from_utf8(trim(cell)) else { continue };
        if is_iso(text, clock) {
            iso += 1;
        } else if let Some(parts) = Parts::of(text) {
            if parts.is_year_first {
                years += 1;
            } else if parts.separator == b'.' {
                dotted += 1;
            } else {
                slashed += 1;
                day_first |= parts.date[0] > 12;
                month_first |= parts.date[1] > 12;
            }
        } else if let Some(at) = epoch(text).and_then(unit) {
            numbers[at] += 1;
        }
    }
    let slashes = match (day_first, month_first) {
        (true, true) => Forms::Mixed,
        (true, false) => Forms::One(TimeForm::DayFirst),
        (false, true) => Forms::One(TimeForm::MonthFirst),
        (false, false) => Forms::Either,
    };
    let mut all = vec![
        (iso, Forms::One(TimeForm::Iso)),
        (years, Forms::One(TimeForm::YearFirst)),
        (dotted, Forms::One(TimeForm::DayFirst)),
        (slashed, slashes),
    ];
    all.extend(numbers.into_iter().zip(UNITS).map(|(count, unit)| (count, Forms::One(TimeForm::Epoch(unit)))));
    // The sort is stable: of equals the first wins.
    all.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
    all.into_iter().find(|&(count, _)| count > 0).map_or(Forms::Unknown, |(_, form)| form)
}

/// Returns whether a text is a time in the form that files of this program have.
pub fn is_iso(text: &str, clock: &mut Clock<'_>) -> bool {
    // An offset without a zone, or a year out of range, is this form all the same.
    text.len() >= 16
        && clock.text(text.as_bytes()).map_or_else(|problem| !problem.expected.contains("HH:MM:SS"), |_| true)
        && !text.contains('\0')
}

/// Units a second of numbers since 1970.
const UNITS: [i64; 4] = [1, 1000, 1_000_000, 1_000_000_000];

/// Returns the unit in which a number is a time from 1971 to 2200: these ranges do not overlap.
fn unit(number: i64) -> Option<usize> {
    UNITS.iter().position(|unit| (31_536_000..7_289_654_400).contains(&number.div_euclid(*unit)))
}

/// Returns the units a second of a number since 1970; 1 for one that is no time in any of them.
pub fn units_per_second(number: i64) -> i64 {
    unit(number).map_or(1, |at| UNITS[at])
}

/// Returns whether a time is before an instant in every form in which it can be read, or in the form that is given.
pub fn is_before(cell: &[u8], form: Option<&TimeForm>, until: Timestamp, clock: &mut Clock<'_>) -> bool {
    let epochs = UNITS.map(TimeForm::Epoch);
    let known = [TimeForm::Iso, TimeForm::YearFirst, TimeForm::DayFirst, TimeForm::MonthFirst];
    let forms: Vec<&TimeForm> = form.map_or(known.iter().chain(&epochs).collect(), |form| vec![form]);
    let mut times = forms.into_iter().filter_map(|form| form.read(cell, clock).ok()).peekable();
    times.peek().is_some() && times.all(|time| time < until)
}

/// Returns both readings of a time whose day and month cannot be told apart.
pub fn both(cell: &[u8]) -> Option<[String; 2]> {
    let parts = Parts::of(std::str::from_utf8(trim(cell)).ok()?)?;
    let format = |form| Some(DateTime::from_timestamp(parts.wall(&form)?, 0)?.format("%Y-%m-%d %H:%M:%S").to_string());
    Some([format(TimeForm::DayFirst)?, format(TimeForm::MonthFirst)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;

    fn read(form: TimeForm, text: &str) -> Option<String> {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let read = form.read(text.as_bytes(), &mut Clock::new(&calendar)).ok();
        read.map(|time| calendar.format(time))
    }

    #[test]
    fn times_are_read_in_each_form() {
        let expected = Some("2016-07-01 16:23:32".to_owned());
        for (form, text) in [
            (TimeForm::Iso, "2016-07-01T14:23:32Z"),
            (TimeForm::YearFirst, "2016/7/1 16:23:32"),
            (TimeForm::DayFirst, "01.07.2016 16:23:32"),
            (TimeForm::DayFirst, " 1.7.2016, 16:23:32.250 "),
            (TimeForm::DayFirst, "01.07.16 16:23:32"),
            (TimeForm::DayFirst, "01/07/2016 4:23:32 pm"),
            (TimeForm::MonthFirst, "7/1/2016 4:23:32 PM"),
            (TimeForm::MonthFirst, "07/01/2016, 4:23:32 p.m."),
            (TimeForm::Epoch(1), "1467383012"),
            (TimeForm::Epoch(1), "1467383012.75"),
            (TimeForm::Epoch(1000), "1467383012999"),
            (TimeForm::Pattern("%d/%b/%Y %H:%M:%S".into()), "01/Jul/2016 16:23:32"),
            (TimeForm::Pattern("%d/%b/%Y:%H:%M:%S %z".into()), "01/Jul/2016:14:23:32 +0000"),
        ] {
            assert_eq!(read(form.clone(), text), expected, "{form:?} {text}");
        }
        for (form, text) in [
            (TimeForm::DayFirst, "2016-07-01 16:23:32"),
            (TimeForm::DayFirst, "32.07.2016 16:23:32"),
            (TimeForm::MonthFirst, "13/01/2016 16:23:32"),
            (TimeForm::MonthFirst, "7/1/2016 14:23:32 PM"),
            (TimeForm::MonthFirst, "7/1/2016 0:23:32 AM"),
            (TimeForm::DayFirst, "1/7/16 16:23"),
            (TimeForm::DayFirst, "16.7.1 16:23"),
            (TimeForm::DayFirst, "1.7.2016"),
            (TimeForm::Epoch(1), "1467383012999"),
            (TimeForm::Epoch(1), "-1"),
            (TimeForm::Epoch(1), "1e9"),
        ] {
            assert_eq!(read(form.clone(), text), None, "{form:?} {text}");
        }
        assert_eq!(read(TimeForm::MonthFirst, "7/1/2016 12:05 AM"), Some("2016-07-01 00:05:00".into()));
        assert_eq!(read(TimeForm::MonthFirst, "7/1/2016 12:05 PM"), Some("2016-07-01 12:05:00".into()));
    }

    #[test]
    fn the_form_is_found_from_the_rows() {
        let calendar = Calendar::default();
        let found = |cells: &[&str]| match form(cells.iter().map(|cell| cell.as_bytes()), &mut Clock::new(&calendar)) {
            Forms::One(form) => format!("{form:?}"),
            Forms::Unknown => "unknown".into(),
            Forms::Either => "either".into(),
            Forms::Mixed => "mixed".into(),
        };
        assert_eq!(found(&["2016-07-01T14:23:32Z", "soon"]), "Iso");
        assert_eq!(found(&["01.07.2016 16:23:32"]), "DayFirst");
        assert_eq!(found(&["01.07.16 16:23"]), "DayFirst");
        assert_eq!(found(&["01/07/16 16:23"]), "unknown");
        assert_eq!(found(&["01/07/2016 16:23:32", "13/07/2016 16:23:32"]), "DayFirst");
        assert_eq!(found(&["7/1/2016 4:23 PM", "7/13/2016 4:23 PM"]), "MonthFirst");
        assert_eq!(found(&["7/1/2016 4:23 PM", "7/2/2016 4:23 PM"]), "either");
        assert_eq!(found(&["7/13/2016 4:23 PM", "13/7/2016 4:23 PM"]), "mixed");
        assert_eq!(found(&["1467383012"]), "Epoch(1)");
        assert_eq!(found(&["1467383012999"]), "Epoch(1000)");
        assert_eq!(found(&["7", "soon"]), "unknown");
        let both = both(b"7/1/2016 4:23 PM").unwrap();
        assert_eq!(both, ["2016-01-07 16:23:00", "2016-07-01 16:23:00"]);
    }
}
