//! Which public holidays explain the days on which a whole site was silent.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

use crate::calendar::Calendar;
use crate::calendar::public_holidays::Country;

/// Most workdays in a row without a reading that may be public holidays. A longer silence is a closure or an outage.
pub(super) const LONGEST_PAUSE: usize = 2;

/// The workdays of a site, by whether any room had a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdays {
    /// Days on which some room was in use.
    used: BTreeSet<NaiveDate>,
    /// Days of short silences, on weekdays that are usually used.
    silent: BTreeSet<NaiveDate>,
}

/// Public holidays of a country on which a site was silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The country's code.
    pub country: &'static str,
    /// The country's name.
    pub name: &'static str,
    /// The regions whose own holidays fit best; none where only those of the whole country fit.
    pub regions: Vec<&'static str>,
    /// The days, in order.
    pub days: Vec<Day>,
}

/// A public holiday on which a site was silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day.
    pub date: NaiveDate,
    /// The regions that have it; none for a day of the whole country.
    pub regions: Vec<&'static str>,
}

impl Workdays {
    /// Returns the workdays from the first to the last day of the readings, of which some were silent.
    pub fn new(silent: &[NaiveDate], first: NaiveDate, last: NaiveDate, calendar: &Calendar) -> Workdays {
        let silent: BTreeSet<NaiveDate> = silent.iter().copied().collect();
        let days: Vec<NaiveDate> =
            first.iter_days().take_while(|&day| day <= last).filter(|&day| !calendar.is_off(day)).collect();
        let runs = || days.chunk_by(|a, b| silent.contains(a) == silent.contains(b));
        let is_used = |run: &[NaiveDate]| run.first().is_some_and(|day| !silent.contains(day));
        let used: BTreeSet<NaiveDate> = runs().filter(|run| is_used(run)).flatten().copied().collect();
        let mut pauses: BTreeSet<NaiveDate> =
            runs().filter(|run| !is_used(run) && run.len() <= LONGEST_PAUSE).flatten().copied().collect();
        let on = |days: &BTreeSet<NaiveDate>, weekday| days.iter().filter(|day| day.weekday() == weekday).count();
        let all = pauses.clone();
        pauses.retain(|day| on(&all, day.weekday()) < on(&used, day.weekday()));
        Workdays { used, silent: pauses }
    }

    /// Returns the silent days that may be holidays, in order.
    pub fn silent(&self) -> impl Iterator<Item = NaiveDate> {
        self.silent.iter().copied()
    }

    /// Returns the public holidays of a country among the silent days; none where the rooms were used on most of its
    /// holidays. A region is proposed where three of four days that it has beyond the country's were silent, and they are a
    /// quarter of the silent days that are no holiday of the country: of many, some are a holiday somewhere by chance.
    pub fn explain(&self, country: &Country) -> Option<Proposal> {
        let count =
            |holidays: &BTreeSet<NaiveDate>| [&self.silent, &self.used].map(|days| days.intersection(holidays).count());
        let [nationwide, used] = count(&country.nationwide);
        if used > 2 * nationwide {
            return None;
        }
        let others = self.silent.len() - nationwide;
        let score = |holidays: &BTreeSet<NaiveDate>| {
            let [silent, used] = count(&(holidays - &country.nationwide));
            if silent >= 3 * used && 4 * silent >= others { silent - used } else { 0 }
        };
        let scores: Vec<(&'static str, usize)> =
            country.regions.iter().map(|(&code, holidays)| (code, score(holidays))).collect();
        let best = scores.iter().map(|&(_, score)| score).max().unwrap_or_default();
        let fitting = scores.iter().filter(|&&(_, score)| score > 0 && score == best);
        let regions: Vec<&'static str> = fitting.map(|&(code, _)| code).collect();
        let explained = |date: &NaiveDate| {
            if country.nationwide.contains(date) {
                return Some(Day { date: *date, regions: Vec::new() });
            }
            let having = country.regions.iter().filter(|(_, holidays)| holidays.contains(date)).map(|(&code, _)| code);
            let having: Vec<&'static str> = having.collect();
            let is_explained = regions.iter().any(|region| having.contains(region));
            is_explained.then_some(Day { date: *date, regions: having })
        };
        let days: Vec<Day> = self.silent.iter().filter_map(explained).collect();
        (!days.is_empty()).then_some(Proposal { country: country.code, name: country.name, regions, days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn workdays(silent: &[&str]) -> Workdays {
        let silent: Vec<NaiveDate> = silent.iter().map(|day| date(day)).collect();
        Workdays::new(&silent, date("2016-07-01"), date("2016-08-31"), &Calendar::default())
    }

    #[test]
    fn a_silent_holiday_names_the_regions_whose_other_days_were_used() {
        let germany = Country::with_code("DE").unwrap();
        let found = workdays(&["2016-08-15", "2016-08-18"]).explain(&germany).unwrap();
        // Augsburg has another holiday on Monday 8 August, a day on which the rooms were used.
        assert_eq!((found.country, found.name, found.regions), ("DE", "Germany", vec!["BY", "SL"]));
        assert_eq!(found.days.iter().map(|day| day.date).collect::<Vec<_>>(), [date("2016-08-15")]);
        let france = workdays(&["2016-07-14"]).explain(&Country::with_code("FR").unwrap()).unwrap();
        assert_eq!(france.regions, Vec::<&str>::new());
        assert_eq!(france.days, [Day { date: date("2016-07-14"), regions: Vec::new() }]);
        assert_eq!(workdays(&["2016-08-18"]).explain(&germany), None);
        // Of six silent days one is a holiday.
        let habit = ["2016-07-05", "2016-07-13", "2016-07-21", "2016-07-29", "2016-08-15", "2016-08-23"];
        assert_eq!(workdays(&habit).explain(&germany), None);
        // Pioneer Day in Utah. On the fourth of July, which all states have, the rooms were used.
        assert_eq!(workdays(&["2016-07-25"]).explain(&Country::with_code("US").unwrap()), None);
    }

    #[test]
    fn outages_and_weekdays_that_are_seldom_used_are_no_holidays() {
        let week = ["2016-08-15", "2016-08-16", "2016-08-17"];
        assert_eq!(workdays(&week[..2]).silent().count(), 2);
        assert_eq!(workdays(&week).silent().count(), 0);
        let fridays =
            ["2016-07-01", "2016-07-08", "2016-07-15", "2016-07-22", "2016-07-29", "2016-08-05", "2016-08-12"];
        assert_eq!(workdays(&fridays).silent().count(), 0);
        assert_eq!(workdays(&[&fridays[..2], &week[..1]].concat()).silent().count(), 3);
    }
}
