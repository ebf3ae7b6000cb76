//! The schedule of retrainings: a cron expression on the site's clock.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::calendar::{Calendar, Timestamp};

/// A cron expression of five fields, or six with seconds first.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    text: String,
}

/// The reason why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The text cannot be read.
    #[error("expected a cron expression such as '0 2 * * *', found {text:?}: {why}")]
    Form {
        /// The text.
        text: String,
        /// The fault in the text.
        why: String,
    },
    /// The text is valid, but the time never occurs.
    #[error("{0:?} never occurs")]
    Never(String),
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Schedule, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser
            .parse(text)
            .map_err(|error| ScheduleError::Form { text: text.to_owned(), why: error.to_string().to_lowercase() })?;
        let schedule = Schedule { cron, text: text.to_owned() };
        match schedule.next(Calendar::utc_now(), &Calendar::default()) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(text.to_owned())),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Schedule {
    /// Returns the first scheduled time after an instant. A time that clocks skip becomes the instant at which the gap
    /// ends. If a time occurs twice when clocks go back, the first is used. Expressions that mean every hour or every
    /// few minutes use both.
    pub fn next(&self, after: Timestamp, calendar: &Calendar) -> Option<Timestamp> {
        let utc = DateTime::from_timestamp(after, 0)?;
        match calendar.zone() {
            Some(zone) => Some(self.cron.find_next_occurrence(&utc.with_timezone(&zone), false).ok()?.timestamp()),
            // Wall time is computed as if it were UTC.
            None => Some(self.cron.find_next_occurrence::<DateTime<Utc>>(&utc, false).ok()?.timestamp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(schedule: &str, from: &str, count: usize, calendar: &Calendar) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let mut at = calendar.parse(from).unwrap();
        let next = |_| {
            at = schedule.next(at, calendar).unwrap();
            calendar.rfc3339(at)
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn nights_are_those_of_the_site() {
        let plain = Calendar::default();
        assert_eq!(
            times("0 2 * * *", "2016-08-31 02:00:00", 2, &plain),
            ["2016-09-01T02:00:00", "2016-09-02T02:00:00"]
        );
        let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
        // Half past two does not exist on 27 March 2016, and comes twice on 30 October.
        assert_eq!(
            times("30 2 * * *", "2016-03-26 00:00:00", 3, &berlin),
            ["2016-03-26T02:30:00+01:00", "2016-03-27T03:00:00+02:00", "2016-03-28T02:30:00+02:00"]
        );
        assert_eq!(
            times("30 2 * * *", "2016-10-29 12:00:00", 2, &berlin),
            ["2016-10-30T02:30:00+02:00", "2016-10-31T02:30:00+01:00"]
        );
        assert_eq!(
            times("0 */6 * * SUN", "2016-10-30 00:00:00", 2, &berlin),
            ["2016-10-30T06:00:00+01:00", "2016-10-30T12:00:00+01:00"]
        );
        assert_eq!(times("*/20 0 2 * * *", "2016-08-31 01:00:00", 2, &plain)[1], "2016-08-31T02:00:20");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "2", "0 25 * * *", "0 2 * *", "every night", "61 * * * *"] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(matches!(error, ScheduleError::Form { .. }), "{text}: {error}");
        }
        assert_eq!("0 2 30 2 *".parse::<Schedule>().unwrap_err(), ScheduleError::Never("0 2 30 2 *".into()));
    }
}
