//! Days off from a file: iCalendar, or CSV with a date first on each line.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;

/// Reasons a holidays file could not be used.
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
        /// The text found there.
        found: String,
    },
    /// An event recurs or has a DURATION. Ignoring it would forecast a day off as a working day.
    #[error("{}, line {line}: expected an event with DTSTART and DTEND, one for each day off, found {found:?}", path.display())]
    Recurrence {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The line as found.
        found: String,
    },
    /// The file is no iCalendar file.
    #[error("{} is not an iCalendar file: {message}", path.display())]
    ICalendar {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        message: String,
    },
}

/// Most days taken of one event. The rest of a longer one, such as an exhibition, is ignored.
const LONGEST_EVENT: usize = 366;

/// Properties of an event that repeat or lengthen it. Alarms within an event have their own DURATION, and zones an
/// RRULE.
const RECURRENCE: [&str; 5] = ["RRULE", "RDATE", "EXDATE", "EXRULE", "DURATION"];

/// Reads the dates of a holidays file: `.ics` as iCalendar (`DTEND` is exclusive unless it has a time after midnight), anything else
/// as CSV (`YYYY-MM-DD` first, more columns ignored, a header and `#` lines skipped). Recurring events (`RRULE`,
/// `RDATE`, `EXDATE`, `EXRULE`) and events with a `DURATION` are refused, not ignored.
///
/// # Errors
/// [`DaysOffError`] with the file when it cannot be read, and with the line when it is invalid.
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

/// Reads the events of a calendar line by line. A parser that recurses into every part would overflow the stack on a
/// damaged file with very many nested parts.
fn from_icalendar(text: &str, path: &Path) -> Result<Vec<NaiveDate>, DaysOffError> {
    let fail = |message: String| DaysOffError::ICalendar { path: path.into(), message };
    if !text.contains("BEGIN:VCALENDAR") {
        return Err(fail("expected BEGIN:VCALENDAR".into()));
    }
    let mut dates = Vec::new();
    // The parts around the line, outermost first.
    let mut inside: Vec<String> = Vec::new();
    let (mut start, mut end) = (None, None);
    for (at, line) in unfold(text) {
        let Some((name, value)) = property(&line) else { continue };
        let line_fails = |message: String| fail(format!("line {}: {message}", at + 1));
        let date = || day(value).ok_or_else(|| line_fails(format!("expected a date as YYYYMMDD, found {value:?}")));
        let is_event = inside.last().is_some_and(|part| part == "VEVENT");
        match name.to_ascii_uppercase().as_str() {
            "BEGIN" => inside.push(value.to_ascii_uppercase()),
            "END" => {
                if inside.pop().is_none_or(|part| !part.eq_ignore_ascii_case(value)) {
                    return Err(line_fails(format!("END:{value} without its BEGIN")));
                }
                if is_event && let Some((first, _)) = start {
                    dates.extend(days(first, end));
                }
                if is_event {
                    (start, end) = (None, None);
                }
            }
            "DTSTART" if is_event => start = Some(date()?),
            "DTEND" if is_event => end = Some(date()?),
            name if is_event && RECURRENCE.contains(&name) => {
                let found = text.lines().nth(at).unwrap_or_default().into();
                return Err(DaysOffError::Recurrence { path: path.into(), line: at + 1, found });
            }
            _ => {}
        }
    }
    match inside.last() {
        Some(part) => Err(fail(format!("it ends within {part}"))),
        None => Ok(dates),
    }
}

/// Returns the lines of a calendar with their numbers (from 0). A line that begins with a space continues the line
/// before (RFC 5545, 3.1).
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some((_, line))) => line.push_str(more),
            _ => lines.push((at, line.to_owned())),
        }
    }
    lines
}

/// Returns the name and the value of a line. Between them there may be parameters with colons in quotes.
fn property(line: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let colon = line.find(|c: char| {
        is_quoted ^= c == '"';
        c == ':' && !is_quoted
    })?;
    let name = line[..colon].split(';').next()?;
    Some((name.trim(), line[colon + 1..].trim()))
}

/// Returns the date of `YYYYMMDD` or of a time `YYYYMMDDT…`, and whether it is a time after midnight.
fn day(value: &str) -> Option<(NaiveDate, bool)> {
    let (digits, time) = value.split_at_checked(8)?;
    let is_date = digits.bytes().all(|byte| byte.is_ascii_digit()) && (time.is_empty() || time.starts_with('T'));
    Some((NaiveDate::parse_from_str(digits, "%Y%m%d").ok().filter(|_| is_date)?, !time.is_empty() && time != "T000000"))
}

/// Returns the days of an event. The end is not one of them, unless it is a time after its midnight.
fn days(first: NaiveDate, end: Option<(NaiveDate, bool)>) -> impl Iterator<Item = NaiveDate> {
    let is_within = move |date: NaiveDate| match end {
        Some((end, is_time)) => date < end || (is_time && date == end),
        None => false,
    };
    first.iter_days().take_while(move |&date| date == first || is_within(date)).take(LONGEST_EVENT)
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
    fn icalendar_reads_folded_lines_times_and_quoted_parameters() {
        let event = |start: &str, end: &str| format!("BEGIN:VEVENT\n{start}\n{end}\nEND:VEVENT\n");
        let read = |body: &str| {
            let text = format!("BEGIN:VCALENDAR\n{body}END:VCALENDAR\n");
            from_icalendar(&text, Path::new("h.ics")).map_err(|error| error.to_string())
        };
        let timed = event("DTSTART;TZID=\"a:b;c\":20161224T100000", "DTEND:2016\r\n 1225T110000Z");
        assert_eq!(read(&timed), Ok(vec![date("2016-12-24"), date("2016-12-25")]));
        // An event that ends at midnight does not touch the day that begins then.
        let evening = event("DTSTART:20161224T180000", "DTEND:20161225T000000");
        assert_eq!(read(&evening), Ok(vec![date("2016-12-24")]));
        // Dates end with the last year of four digits. An end before the start does not count.
        assert_eq!(read(&event("DTSTART:99991231", "DTEND:20161224")), Ok(vec![date("9999-12-31")]));
        for (body, line) in [
            (event("DTSTART:+2621421231", ""), "line 3: expected a date as YYYYMMDD, found \"+2621421231\""),
            (event("DTSTART:2016122", ""), "line 3: expected a date"),
            ("BEGIN:VEVENT\nEND:VTODO\n".into(), "line 3: END:VTODO without its BEGIN"),
            ("BEGIN:VEVENT\n".into(), "line 3: END:VCALENDAR without its BEGIN"),
        ] {
            let error = read(&body).expect_err("a damaged calendar");
            assert!(error.contains(line), "{error}");
        }
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
