//! Parsing of one cell of the input: a time, a device's name, a motion.

use chrono::{DateTime, NaiveDate};

use super::source::encoding;
use super::words;
use crate::calendar::{Calendar, HOUR, TimeError, Timestamp};

pub use super::error::{COLUMNS, Problem, excerpt};

/// Longest device name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// The advice for a time in UTC.
pub const ZONE_HINT: &str = "name the site's time zone, such as --timezone Europe/Berlin";

/// The advice for a number where a state was expected: a count, a level such as CO₂, and one of no people.
const THRESHOLD_HINT: &str = "counts and levels need the value above which a room is occupied: --occupied-above 0";
const LARGE_HINT: &str =
    "levels need the value above which a room is occupied, such as --occupied-above 800 for CO2 in ppm";
const FRACTION_HINT: &str = "a level such as a temperature says nothing about people: leave such rows out with --skip-bad-rows, or \
                             give the value above which a room is occupied, --occupied-above VALUE";

/// Smallest number that is a large level and not a count of people.
const MIN_LARGE: f64 = 200.0;

/// Returns a cell without the spaces around it. Line breaks stay, because they reveal an unclosed quote.
pub fn trim(mut cell: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = cell {
        cell = rest;
    }
    cell
}

/// Reads a cell as motion (`1`, `1.0`, `true`, `on`) or none (`0`, `0.0`, `false`, `off`).
#[inline]
pub fn motion(cell: &[u8]) -> Result<bool, Problem> {
    match cell {
        b"1" => Ok(true),
        b"0" => Ok(false),
        _ => words::motion(trim(cell)).ok_or_else(|| no_state(trim(cell))),
    }
}

/// Reads a cell of a file as motion or none, in any of the words that files have: also `occupied` and `vacant`, `detected`
/// and `clear`, `open` and `closed`, German and French ones.
#[inline]
pub fn state(cell: &[u8]) -> Result<bool, Problem> {
    match cell {
        b"1" => Ok(true),
        b"0" => Ok(false),
        _ => words::state(trim(cell)).ok_or_else(|| no_state(trim(cell))),
    }
}

fn no_state(cell: &[u8]) -> Problem {
    let hint = number(cell).map(|number| match number {
        _ if number < 0.0 || number.fract() != 0.0 => FRACTION_HINT,
        _ if number >= MIN_LARGE => LARGE_HINT,
        _ => THRESHOLD_HINT,
    });
    Problem { hint, ..Problem::new(2, "1 (motion) or 0 (no motion)", cell) }
}

/// Reads a cell as a number with a decimal point or comma.
pub fn number(cell: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(trim(cell)).ok()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.,eE".contains(&byte));
    let number = if text.contains(',') { text.replacen(',', ".", 1).parse() } else { text.parse() };
    number.ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// Checks a device's name: printable UTF-8 of 1 to 256 bytes.
pub fn name(cell: &[u8]) -> Result<&str, Problem> {
    let refused = |expected| Err(Problem::new(1, expected, cell));
    match std::str::from_utf8(cell) {
        _ if cell.is_empty() => refused("a device name"),
        _ if cell.len() > MAX_NAME_BYTES => refused("a device name of at most 256 bytes"),
        _ if cell.contains(&0) => refused("a device name without NUL bytes"),
        Err(_) => Err(Problem { hint: Some(encoding::HINT), ..Problem::new(1, "a device name in UTF-8", cell) }),
        Ok(text) if text.chars().any(char::is_control) => refused("a device name without control characters"),
        Ok(text) => Ok(text),
    }
}

/// Reads times of one calendar. Caches the parts that successive rows share.
pub struct Clock<'a> {
    calendar: &'a Calendar,
    /// The last date read in the fixed form, and the seconds at which it begins.
    date: [u8; 10],
    midnight: i64,
    /// The last wall hour, and the seconds from a wall time in it to its instant; `None` if the offset changes within
    /// the hour.
    hour: i64,
    shift: Option<i64>,
    /// The first second of 1971 and of 2201.
    range: (i64, i64),
}

impl<'a> Clock<'a> {
    pub fn new(calendar: &'a Calendar) -> Self {
        let year = |y| NaiveDate::from_yo_opt(y, 1).unwrap_or_default().and_time(Default::default()).and_utc();
        let range = (year(1971).timestamp(), year(2201).timestamp());
        Self { calendar, date: [0; 10], midnight: 0, hour: i64::MIN, shift: None, range }
    }

    /// Returns whether the site's zone is known.
    pub fn is_zoned(&self) -> bool {
        self.calendar.zone().is_some()
    }

    /// Reads a cell in any form that [`Calendar::parse`] reads.
    pub fn text(&mut self, cell: &[u8]) -> Result<Timestamp, Problem> {
        if let Some(wall) = self.fixed_form(cell)
            && let Some(instant) = self.wall(wall)
        {
            return Ok(instant);
        }
        let cell = trim(cell);
        let parsed = match std::str::from_utf8(cell) {
            Ok(text) => self.calendar.parse(text),
            Err(_) => return Err(Problem::new(0, "a time in UTF-8", cell)),
        };
        parsed.map_err(|error| {
            let needs_zone = matches!(error, TimeError::OffsetWithoutZone(_));
            let expected = match error {
                TimeError::Form(_) if cell.contains(&0) => "a time without NUL bytes",
                TimeError::Form(_) => "a time as YYYY-MM-DD HH:MM:SS",
                TimeError::Range(_) => "a year from 1971 to 2200",
                TimeError::OffsetWithoutZone(_) => {
                    "a local time without UTC offset, or the site's time zone (--timezone)"
                }
            };
            Problem { hint: needs_zone.then_some(ZONE_HINT), ..Problem::new(0, expected, cell) }
        })
    }

    /// Reads `YYYY-MM-DD HH:MM:SS` and nothing else, as seconds since 1970 on the wall clock.
    fn fixed_form(&mut self, cell: &[u8]) -> Option<i64> {
        let cell: &[u8; 19] = cell.try_into().ok()?;
        let two = |at: usize| {
            let (tens, ones) = (cell[at].wrapping_sub(b'0'), cell[at + 1].wrapping_sub(b'0'));
            (tens < 10 && ones < 10).then_some(u32::from(tens) * 10 + u32::from(ones))
        };
        if cell[..10] != self.date {
            let year = i32::try_from(two(0)? * 100 + two(2)?).ok()?;
            let date = NaiveDate::from_ymd_opt(year, two(5)?, two(8)?)?;
            if cell[4] != b'-' || cell[7] != b'-' {
                return None;
            }
            self.midnight = i64::from(date.to_epoch_days()) * 86_400;
            self.date.copy_from_slice(&cell[..10]);
        }
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        let fits = cell[10] == b' ' && cell[13] == b':' && cell[16] == b':' && hour < 24 && minute < 60 && second < 60;
        fits.then(|| self.midnight + i64::from(hour * 3600 + minute * 60 + second))
    }

    /// Converts a wall time in seconds since 1970 to its instant; `None` outside 1971 to 2200.
    pub fn wall(&mut self, wall: i64) -> Option<Timestamp> {
        let wall = self.instant(wall)?;
        if self.calendar.zone().is_none() {
            return Some(wall);
        }
        // chrono-tz searches its table for every answer. The offset is the same within an hour of the wall clock,
        // except in the few hours in which it changes.
        let hour = wall.div_euclid(HOUR);
        if hour != self.hour {
            let shift = |wall| Some(self.convert(wall)? - wall);
            let (first, last) = (shift(hour * HOUR)?, shift(hour * HOUR + HOUR - 1)?);
            self.shift = (first == last).then_some(first);
            self.hour = hour;
        }
        match self.shift {
            Some(shift) => Some(wall + shift),
            None => self.convert(wall),
        }
    }

    /// Returns the instant, if it is in 1971 to 2200.
    pub fn instant(&self, instant: i64) -> Option<Timestamp> {
        (self.range.0 <= instant && instant < self.range.1).then_some(instant)
    }

    fn convert(&self, wall: i64) -> Option<Timestamp> {
        Some(self.calendar.instant(DateTime::from_timestamp(wall, 0)?.naive_utc()))
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_words_for_one_and_zero() {
        for cell in ["1", "1.0", "true", "TRUE", "on", "On", " 1 "] {
            assert_eq!(motion(cell.as_bytes()), Ok(true), "{cell:?}");
            assert_eq!(state(cell.as_bytes()), Ok(true), "{cell:?}");
        }
        for cell in ["0", "0.0", "false", "False", "off", "0\t"] {
            assert_eq!(motion(cell.as_bytes()), Ok(false), "{cell:?}");
            assert_eq!(state(cell.as_bytes()), Ok(false), "{cell:?}");
        }
        for cell in ["", "2", "-1", "0.5", "yes", "1\n", "1\0", "NaN", "01"] {
            assert!(motion(cell.as_bytes()).is_err() && state(cell.as_bytes()).is_err(), "{cell:?}");
        }
        for (occupied, vacant) in
            [("occupied", "Vacant"), ("Detected", "clear"), ("open", "closed"), ("WAHR", "FALSCH"), ("OCCUPÉ", "Libre")]
        {
            assert_eq!((state(occupied.as_bytes()), state(vacant.as_bytes())), (Ok(true), Ok(false)));
            assert!(motion(occupied.as_bytes()).is_err() && motion(vacant.as_bytes()).is_err());
        }
    }

    #[test]
    fn names_are_printable_and_short() {
        assert_eq!(name("Küche, 2. Stock".as_bytes()), Ok("Küche, 2. Stock"));
        assert!(name(&[b'x'; 256]).is_ok());
        for (cell, expected) in [
            (&b""[..], "a device name"),
            (&[b'x'; 257], "a device name of at most 256 bytes"),
            (b"a\0b", "a device name without NUL bytes"),
            (b"a\nb", "a device name without control characters"),
            (b"a\x1b[31m", "a device name without control characters"),
            (b"caf\xe9", "a device name in UTF-8"),
        ] {
            assert_eq!(name(cell).map_err(|p| p.expected), Err(expected.into()), "{cell:?}");
        }
    }

    #[test]
    fn an_excerpt_is_short_whatever_the_bytes() {
        assert_eq!(excerpt(b"abc"), "abc");
        assert_eq!(excerpt(&[0xff; 5000]).chars().count(), 81);
        assert_eq!(excerpt("ä".repeat(80).as_bytes()), "ä".repeat(80));
    }

    #[test]
    fn times_outside_the_range_or_form_are_refused() {
        let calendar = Calendar::default();
        let mut clock = Clock::new(&calendar);
        for (cell, expected) in [
            ("1970-12-31 23:59:59", "a year from 1971 to 2200"),
            ("2201-01-01 00:00:00", "a year from 1971 to 2200"),
            ("2016-02-30 00:00:00", "a time as YYYY-MM-DD HH:MM:SS"),
            ("2016-07-01 24:00:00", "a time as YYYY-MM-DD HH:MM:SS"),
            ("01.07.2016 04:23:32", "a time as YYYY-MM-DD HH:MM:SS"),
            ("", "a time as YYYY-MM-DD HH:MM:SS"),
            ("2016-07-01 04:23:3\0", "a time without NUL bytes"),
        ] {
            assert_eq!(clock.text(cell.as_bytes()).map_err(|p| p.expected), Err(expected.into()), "{cell:?}");
        }
        assert!(clock.text(b"1971-01-01 00:00:00").is_ok());
        assert!(clock.text(b"2200-12-31 23:59:59").is_ok());
        assert!(clock.text(b"2016-07-01T04:23").is_ok());
        // Caches must not outlive a refused date.
        assert!(clock.text(b"2016-02-30 00:00:00").is_err());
        assert!(clock.wall(i64::MAX).is_none() && clock.wall(i64::MIN).is_none());
    }

    proptest! {
        #[test]
        fn the_fast_way_reads_what_the_calendar_reads(
            zone in prop::sample::select(vec![
                None,
                Some(Tz::Europe__Berlin),
                Some(Tz::Australia__Lord_Howe),
                Some(Tz::Asia__Kolkata),
                Some(Tz::Africa__Monrovia),
                Some(Tz::Pacific__Apia),
            ]),
            // Times near changes of the clocks, and any others.
            bases in prop::collection::vec(
                prop_oneof![
                    Just(1_459_044_000_i64), Just(1_477_791_000), Just(1_475_373_600), Just(63_590_400),
                    Just(1_325_203_200), 31_536_000_i64..7_289_654_400
                ],
                1..20,
            ),
            offsets in prop::collection::vec(-7200_i64..7200, 20),
        ) {
            let calendar = Calendar::new(zone);
            let mut clock = Clock::new(&calendar);
            for (base, offset) in bases.iter().zip(offsets) {
                let text = DateTime::from_timestamp(base + offset, 0).map(|t| t.format("%Y-%m-%d %H:%M:%S").to_string());
                let text = text.unwrap_or_default();
                let slow = calendar.parse(&text);
                prop_assert_eq!(clock.text(text.as_bytes()).ok(), slow.ok(), "{} in {:?}", text, zone);
            }
        }
    }
}
