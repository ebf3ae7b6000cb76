//! The days of the whole building: days off, seasons, busy and quiet days.

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::chance::{Purpose, between, chance, dice, mood};

/// Public holidays, the same dates each year, as (month, day). The whole building is silent.
const HOLIDAYS: [(u32, u32); 7] = [(1, 1), (5, 1), (8, 15), (10, 3), (11, 1), (12, 25), (12, 26)];

/// Relative levels of the weekdays, Monday to Friday.
const WEEKDAYS: [f64; 5] = [0.88, 1.06, 1.13, 1.09, 0.62];

/// Number of rooms on one floor. Floors share a mood of their own and, in large buildings, a name.
pub(crate) const FLOOR_ROOMS: usize = 50;

/// Returns whether a date is a public holiday of the simulated building.
pub(crate) fn is_holiday(date: NaiveDate) -> bool {
    HOLIDAYS.contains(&(date.month(), date.day()))
}

/// The kind of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayKind {
    /// An ordinary working day.
    Work,
    /// A working day between a holiday and a weekend, or around the turn of the year.
    Bridge,
    /// Saturday or Sunday.
    Weekend,
    /// A holiday or a closure, without people.
    Silent,
}

/// One day of the building.
#[derive(Debug, Clone)]
pub(crate) struct SiteDay {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Monday 0 to Sunday 6.
    pub weekday: usize,
    pub kind: DayKind,
    /// Level of activity, relative to an average working day (1), before the floor's own mood.
    pub level: f64,
    /// Hours of the day at which the doors open and close.
    pub open: (f64, f64),
    /// Hour at which everybody leaves early; 24 on nearly all days.
    pub leave: f64,
    /// This month and the one before. An absence today began in one of them.
    pub months: [Month; 2],
}

/// A calendar month.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Month {
    /// Months since year 0.
    pub index: i64,
    /// January 0 to December 11.
    pub of_year: usize,
    /// The first day of the month, in days since 1970-01-01.
    pub first: i32,
}

fn month(date: NaiveDate) -> Month {
    Month {
        index: i64::from(date.year()) * 12 + i64::from(date.month0()),
        of_year: date.month0() as usize,
        first: day_number(date) - date.day0() as i32,
    }
}

/// Returns the number of days since 1970-01-01.
pub(crate) fn day_number(date: NaiveDate) -> i32 {
    date.to_epoch_days()
}

/// Returns the building's state on a date.
pub(crate) fn site_day(seed: u64, date: NaiveDate) -> SiteDay {
    let day = day_number(date);
    let weekday = date.weekday().num_days_from_monday() as usize;
    let mut own = dice(seed, Purpose::Site, 0, 0);
    let open = (between(&mut own, 6.2, 7.4), between(&mut own, 18.5, 20.5));
    let swing = (between(&mut own, 150.0, 320.0), between(&mut own, 0.0, 1.0));

    let mut today = dice(seed, Purpose::Closure, 0, i64::from(day));
    let closed = chance(&mut today, 1.0 / 280.0);
    let leave = if chance(&mut today, 1.0 / 160.0) { between(&mut today, 12.0, 14.0) } else { 24.0 };

    let kind = if closed || is_holiday(date) {
        DayKind::Silent
    } else if weekday >= 5 {
        DayKind::Weekend
    } else if is_bridge(date) {
        DayKind::Bridge
    } else {
        DayKind::Work
    };
    let of_kind = match kind {
        DayKind::Work => WEEKDAYS[weekday],
        DayKind::Bridge => 0.35,
        DayKind::Weekend => 0.3,
        DayKind::Silent => 0.0,
    };
    let drift = 1.0 + 0.06 * wave(f64::from(day) / swing.0 + swing.1);
    let noise = (0.22 * mood(seed, Purpose::SiteMood, 0, i64::from(day), 0.6)).exp();
    let level = of_kind * season(date) * drift * noise;
    let last_month = date.with_day(1).and_then(|first| first.pred_opt()).unwrap_or(date);
    SiteDay { day, weekday, kind, level, open, leave, months: [month(date), month(last_month)] }
}

/// Returns the level of one floor on a day, mean near 1: the busy and quiet periods of a department.
pub(crate) fn floor_level(seed: u64, floor: usize, site: &SiteDay) -> f64 {
    site.level * (0.14 * mood(seed, Purpose::FloorMood, floor as u64, i64::from(site.day), 0.75)).exp()
}

/// Returns the season's factor on the level: lower around summer holidays and the turn of the year.
fn season(date: NaiveDate) -> f64 {
    let of_year = f64::from(date.ordinal0());
    let dip = |centre: f64, width: f64| {
        let gap = (of_year - centre).abs();
        let gap = gap.min(365.0 - gap) / width;
        1.0 / (1.0 + gap * gap * gap * gap)
    };
    1.08 - 0.22 * dip(218.0, 26.0) - 0.35 * dip(361.0, 9.0)
}

/// Returns a wave of period 1 and height 1 made of parabolas: the last bit of a sine may differ by platform.
fn wave(turns: f64) -> f64 {
    let x = turns.rem_euclid(1.0) * 2.0;
    if x < 1.0 { 4.0 * x * (1.0 - x) } else { -4.0 * (x - 1.0) * (2.0 - x) }
}

/// Returns whether a working day lies between a holiday and a weekend, or from 24 December to 2 January.
fn is_bridge(date: NaiveDate) -> bool {
    let after = |days| date.checked_add_days(Days::new(days)).is_some_and(is_holiday);
    let before = |days| date.checked_sub_days(Days::new(days)).is_some_and(is_holiday);
    match date.weekday() {
        Weekday::Mon if after(1) => true,
        Weekday::Fri if before(1) => true,
        _ => date.month() == 12 && date.day() >= 24 || date.month() == 1 && date.day() == 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(year: i32, month: u32, day: u32) -> SiteDay {
        site_day(1, NaiveDate::from_ymd_opt(year, month, day).unwrap())
    }

    #[test]
    fn days_have_their_kind() {
        assert_eq!(on(2016, 8, 15).kind, DayKind::Silent);
        assert_eq!(on(2016, 8, 15).level, 0.0);
        assert_eq!(on(2016, 8, 13).kind, DayKind::Weekend);
        assert_eq!(on(2017, 10, 2).kind, DayKind::Bridge, "the Monday before Tuesday, 3 October");
        assert_eq!(on(2016, 12, 29).kind, DayKind::Bridge);
    }

    #[test]
    fn summer_and_fridays_are_quieter() {
        let mean = |month, weekday| {
            let days: Vec<f64> = (1990..2060)
                .flat_map(|year| (1..=28).map(move |day| on(year, month, day)))
                .filter(|day| day.kind == DayKind::Work && day.weekday == weekday)
                .map(|day| day.level)
                .collect();
            days.iter().sum::<f64>() / days.len() as f64
        };
        assert!(mean(8, 1) < 0.9 * mean(6, 1));
        assert!(mean(6, 4) < 0.85 * mean(6, 1));
    }

    #[test]
    fn closures_are_rare() {
        let closed = (2000..2100)
            .flat_map(|year| (1..=28).map(move |day| on(year, 3, day)))
            .filter(|day| day.kind == DayKind::Silent)
            .count();
        assert!((1..40).contains(&closed), "{closed} of 2800");
    }
}
