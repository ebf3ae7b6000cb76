//! Days off from a file: iCalendar, or CSV with a date first on each line.

use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate};
use icalendar::{Calendar as ICalendar, CalendarComponent, Component, DatePerhapsTime};

/// Why a holidays file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DaysOffError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A line does not begin with a date.
    #[error("{}, line {line}: expected a date as YYYY-MM-DD, found {found:?}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// An event recurs or has a DURATION. Ignoring it would forecast a day off as a working day.
    #[error("{}, line {line}: expected an event with DTSTART and DTEND, one for each day off, found {found:?}", path.display())]
    Recurrence {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The line as it stands.
        found: String,
    },
    /// The file is no iCalendar file.
    #[error("{} is not an iCalendar file: {message}", path.display())]
    ICalendar {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
}

/// The longest event taken for days off: a longer one is an exhibition, not a holiday.
const LONGEST_EVENT: u64 = 366;

/// Reads the dates of a holidays file: `.ics` as iCalendar (all-day events, `DTEND` exclusive),
/// anything else as CSV (`YYYY-MM-DD` first, more columns ignored, a header and `#` lines skipped).
/// Recurring events (`RRULE`, `RDATE`, `EXDATE`) and events with a `DURATION` are refused, not ignored.
///
/// # Errors
/// [`DaysOffError`] with file and line.
pub fn read(path: &Path) -> Result<Vec<NaiveDate>, DaysOffError> {
    let text = std::fs::read_to_string(path).map_err(|source| DaysOffError::Io { path: path.into(), source })?;
    let is_calendar = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("ics"));
    if is_calendar { from_icalendar(&text, path) } else { from_csv(&text, path) }
}

fn from_csv(text: &str, path: &Path) -> Result<Vec<NaiveDate>, DaysOffError> {
    let mut dates = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let first = line.split([',', ';', '\t']).next().unwrap_or("").trim().trim_matches('"');
        match NaiveDate::parse_from_str(first, "%Y-%m-%d") {
            Ok(date) => dates.push(date),
            Err(_) if first.is_empty() || first.starts_with('#') => {}
            Err(_) if at == 0 && !first.starts_with(|c: char| c.is_ascii_digit()) => {}
            Err(_) => return Err(DaysOffError::Line { path: path.into(), line: at + 1, found: first.into() }),
        }
    }
    Ok(dates)
}

fn from_icalendar(text: &str, path: &Path) -> Result<Vec<NaiveDate>, DaysOffError> {
    let fail = |message: String| DaysOffError::ICalendar { path: path.into(), message };
    if !text.contains("BEGIN:VCALENDAR") {
        return Err(fail("expected BEGIN:VCALENDAR".into()));
    }
    if let Some((at, found)) = recurrence(text) {
        return Err(DaysOffError::Recurrence { path: path.into(), line: at + 1, found: found.into() });
    }
    let calendar: ICalendar = text.parse().map_err(fail)?;
    let mut dates = Vec::new();
    for component in &calendar.components {
        let CalendarComponent::Event(event) = component else { continue };
        let Some(first) = event.get_start().map(|start| start.date_naive()) else { continue };
        let end = match event.get_end() {
            Some(DatePerhapsTime::Date(end)) => end,
            // An event with a time of day ends on its last day.
            Some(timed) => timed.date_naive() + Days::new(1),
            None => first + Days::new(1),
        };
        dates.extend(first.iter_days().take_while(|&date| date < end || date == first).take(LONGEST_EVENT as usize));
    }
    Ok(dates)
}

/// Returns the first line (from 0) of an event with a property that repeats or lengthens it.
fn recurrence(text: &str) -> Option<(usize, &str)> {
    const PROPERTIES: [&str; 5] = ["RRULE", "RDATE", "EXDATE", "EXRULE", "DURATION"];
    // An event's parts (alarms) have a DURATION of their own, and zones an RRULE: only the event's own lines count.
    let mut inside: Vec<&str> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // A line that begins with a space continues the one before it (RFC 5545, 3.1).
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let end = line.find([':', ';']).unwrap_or(line.len());
        let (name, value) = (&line[..end], line[end..].trim_start_matches(':').trim());
        if name.eq_ignore_ascii_case("BEGIN") {
            inside.push(value);
        } else if name.eq_ignore_ascii_case("END") {
            inside.pop();
        } else if inside.last().is_some_and(|part| part.eq_ignore_ascii_case("VEVENT"))
            && PROPERTIES.iter().any(|property| name.eq_ignore_ascii_case(property))
        {
            return Some((at, line));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn csv_skips_header_and_comments_and_names_the_bad_line() {
        let path = Path::new("holidays.csv");
        let dates = from_csv("date,name\n2016-08-15,Assumption\n\n# bridge\n2016-10-03;Unity\n", path).unwrap();
        assert_eq!(dates, [date("2016-08-15"), date("2016-10-03")]);
        let error = from_csv("2016-08-15\n15.08.2016\n", path).unwrap_err().to_string();
        assert_eq!(error, "holidays.csv, line 2: expected a date as YYYY-MM-DD, found \"15.08.2016\"");
    }

    #[test]
    fn icalendar_end_dates_are_exclusive() {
        let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20161224\r\n\
                    DTEND;VALUE=DATE:20161227\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\n\
                    DTSTART;VALUE=DATE:20170101\r\nSUMMARY:New Year\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let dates = from_icalendar(text, Path::new("h.ics")).unwrap();
        assert_eq!(dates, ["2016-12-24", "2016-12-25", "2016-12-26", "2017-01-01"].map(date));
        assert!(from_icalendar("hello", Path::new("h.ics")).is_err());
    }

    #[test]
    fn icalendar_refuses_recurring_events_with_their_line() {
        let event = |own: &str| {
            format!(
                "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nRRULE:FREQ=YEARLY\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:1\r\n\
                 DTSTART;VALUE=DATE:20160815\r\n{own}END:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        };
        let read = |own: &str| from_icalendar(&event(own), Path::new("h.ics")).map_err(|error| error.to_string());
        for own in ["RRULE:FREQ=YEARLY", "DURATION:P3D", "rdate;VALUE=DATE:20170815"] {
            let expected = "h.ics, line 8: expected an event with DTSTART and DTEND, one for each day off, found";
            assert_eq!(read(&format!("{own}\r\n")), Err(format!("{expected} {own:?}")));
        }
        let alarm = "SUMMARY:a\r\n RRULE:no\r\nBEGIN:VALARM\r\nDURATION:PT15M\r\nEND:VALARM\r\n";
        assert_eq!(read(alarm), Ok(vec![date("2016-08-15")]));
    }
}
