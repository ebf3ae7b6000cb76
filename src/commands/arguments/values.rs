//! Values of arguments: durations, numbers within bounds, times.

use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;

use roomcast_forecast::calendar::{Calendar, TimeError, Timestamp};
use roomcast_forecast::hourly::MAX_DAYS;
use roomcast_forecast::readings::names::closest;

/// Seconds of the shortest duration.
const MIN_SECONDS: u64 = 60;

/// Seconds of the longest duration, a thousand years. Computations with it cannot overflow.
const MAX_SECONDS: u64 = 365_250 * 86_400;

/// Parses a duration of at least a minute: `90m`, `6h`, `1d 12h`, `2w`.
///
/// # Errors
/// Returns a message that names the expected form.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let valid = parsed.filter(|duration| (MIN_SECONDS..=MAX_SECONDS).contains(&duration.as_secs()));
    valid.ok_or_else(|| format!("expected a duration from a minute to a thousand years, such as 6h; found {text:?}"))
}

/// Parses a time of a block, of at most half a day; 0 is none.
///
/// # Errors
/// Returns a message that names the expected form.
pub fn block_time(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let valid = parsed.filter(|duration| duration.as_secs() <= 12 * 3600);
    valid.ok_or_else(|| format!("expected a duration of at most 12h, such as 45m; found {text:?}"))
}

/// Parses the number of days that a forecast reaches.
///
/// # Errors
/// Returns a message that names the bounds.
pub fn days(text: &str) -> Result<usize, String> {
    let days = text.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days));
    days.ok_or_else(|| format!("expected a number of days from 1 to {MAX_DAYS}, found {text:?}"))
}

/// Parses a share: 0.05, or 5%.
///
/// # Errors
/// Returns a message that names the bounds.
pub fn share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => within(percent.trim_end(), 100.0).map(|percent| percent / 100.0),
        None => within(text, 1.0),
    };
    share.ok_or_else(|| "expected a share from 0 to 1, such as 0.05 or 5%".into())
}

/// Parses a cost.
///
/// # Errors
/// Returns a message that names the bounds.
pub fn cost(text: &str) -> Result<f64, String> {
    within(text, f64::MAX).filter(|&cost| cost > 0.0).ok_or_else(|| "expected a number above 0".into())
}

/// Parses a number from 0 to `most`.
pub fn within(text: &str, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (0.0..=most).contains(number))
}

/// Parses the local time of an option, if it was given.
///
/// # Errors
/// Returns an error that names the option.
pub fn time(option: &'static str, text: Option<&str>, calendar: &Calendar) -> anyhow::Result<Option<Timestamp>> {
    text.map(|text| moment(text, calendar)).transpose().with_context(|| format!("cannot read {option}"))
}

/// Parses a local time, a date for its midnight, or `now`, `today` or `tomorrow`.
///
/// # Errors
/// Returns an error that names the accepted forms.
pub fn moment(text: &str, calendar: &Calendar) -> anyhow::Result<Timestamp> {
    let midnight = |date: NaiveDate| calendar.instant(date.and_time(NaiveTime::MIN));
    let today = || calendar.wall(calendar.now()).date();
    let text = text.trim();
    match text {
        "now" => Ok(calendar.now()),
        "today" => Ok(midnight(today())),
        "tomorrow" => Ok(midnight(today() + Days::new(1))),
        _ => {
            let whole = if text.parse::<NaiveDate>().is_ok() { format!("{text} 00:00:00") } else { text.to_owned() };
            calendar.parse(&whole).map_err(|error| match error {
                TimeError::Form(_) => {
                    anyhow!("expected a time as YYYY-MM-DD HH:MM:SS, a date, now, today or tomorrow; found {text:?}")
                }
                other => other.into(),
            })
        }
    }
}

/// Parses an IANA time zone.
///
/// # Errors
/// Returns a message with an example for a text that names none.
pub fn timezone(text: &str) -> Result<Tz, String> {
    let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    text.parse().map_err(|_| {
        let ending = format!("/{}", text.to_lowercase());
        let near = known.clone().find(|name| name.to_lowercase().ends_with(&ending)).or_else(|| closest(text, known));
        format!("there is no such time zone; did you mean {}?", near.unwrap_or("Europe/Berlin"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_names_its_time_zone() {
        assert_eq!(timezone("Europe/Berlin"), Ok(Tz::Europe__Berlin));
        assert_eq!(timezone("berlin").unwrap_err(), "there is no such time zone; did you mean Europe/Berlin?");
        assert_eq!(timezone("Europe/Berlni").unwrap_err(), "there is no such time zone; did you mean Europe/Berlin?");
    }

    #[test]
    fn a_date_is_its_midnight_and_days_have_names() {
        let calendar = Calendar::new(Some(Tz::Europe__Berlin));
        let parse = |text: &str| moment(text, &calendar).map_err(|error| error.to_string());
        let plain = |text: &str| calendar.parse(text).map_err(|error| error.to_string());
        assert_eq!(parse(" 2016-08-04 "), plain("2016-08-04 00:00:00"));
        assert_eq!(parse("2016-08-04 23:59:59"), plain("2016-08-04 23:59:59"));
        let (now, today, tomorrow) = (parse("now").unwrap(), parse("today").unwrap(), parse("tomorrow").unwrap());
        assert!(today <= now && now < tomorrow, "{today} {now} {tomorrow}");
        assert!(calendar.format(today).ends_with(" 00:00:00") && calendar.format(tomorrow).ends_with(" 00:00:00"));
        assert!(parse("4 August").unwrap_err().contains("a date, now, today or tomorrow"));
        assert!(parse("1910-01-01").unwrap_err().contains("1971"));
    }

    #[test]
    fn shares_are_numbers_or_percent_and_block_times_end_at_half_a_day() {
        assert_eq!((share("0.05"), share("5%"), share("5 %"), share("100%")), (Ok(0.05), Ok(0.05), Ok(0.05), Ok(1.0)));
        assert!(["5", "101%", "%", "-1%", "five"].iter().all(|wrong| share(wrong).is_err()));
        assert_eq!((block_time("45m"), block_time("0s")), (Ok(Duration::from_secs(2700)), Ok(Duration::ZERO)));
        assert!(["13h", "45", "-1m"].iter().all(|wrong| block_time(wrong).is_err()));
    }

    #[test]
    fn durations_are_numbers_with_units() {
        let seconds = |text| duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("90m"), Ok(5400));
        assert_eq!(seconds("6h"), Ok(21_600));
        assert_eq!(seconds("6 hours"), Ok(21_600));
        assert_eq!(seconds("1d 12h"), seconds("36h"));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for wrong in ["", "h", "6", "0", "-1h", "0h", "59s", "10ms", "6ü", "1001y", "99999999999d", "1d;2h"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }
}
