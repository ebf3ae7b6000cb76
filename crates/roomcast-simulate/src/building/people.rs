//! People with a desk: their daily hours, breaks and days of absence.

use super::site::{DayKind, SiteDay};
use crate::chance::{Dice, Purpose, between, chance, dice, exponential, normal, poisson};
use crate::sensor::Presence;

/// Probability that a holiday of one to three weeks begins in a month, January first.
const VACATIONS: [f64; 12] = [0.08, 0.12, 0.10, 0.15, 0.14, 0.14, 0.28, 0.34, 0.15, 0.15, 0.06, 0.22];

/// One person's habits. Times are hours of the day.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Identifies the person within the building.
    id: u64,
    arrives: f64,
    /// Hours from arrival to departure, lunch included.
    stays: f64,
    /// Start of lunch and its length in hours.
    lunch: (f64, f64),
    /// Probability of coming at all, Monday to Friday.
    comes: [f64; 5],
    /// Probability of coming on a weekend day.
    weekend: f64,
    /// Mean number of times a day that the person leaves the room for a meeting or a talk.
    outings: f64,
    /// Movements an hour at the desk.
    restless: f64,
}

impl Person {
    /// Draws a person; `late` people come towards noon and stay into the evening.
    pub fn draw(dice: &mut Dice, id: u64, late: bool) -> Self {
        let part_time = chance(dice, 0.18);
        let mut comes = [0.96; 5];
        for probability in &mut comes {
            if chance(dice, if part_time { 0.25 } else { 0.15 }) {
                // A day at home, kept more or less strictly.
                *probability = between(dice, 0.02, 0.25);
            }
        }
        let (arrives, stays) = if late {
            (9.7 + 0.9 * normal(dice), 8.9 + 0.8 * normal(dice))
        } else {
            (7.7 + 0.8 * normal(dice), 8.6 + 0.5 * normal(dice))
        };
        Self {
            id,
            arrives,
            stays: if part_time { between(dice, 4.0, 6.5) } else { stays },
            lunch: (between(dice, 11.5, 13.2), between(dice, 0.4, 1.0)),
            comes,
            weekend: if late { between(dice, 0.0, 0.12) } else { between(dice, 0.0, 0.02) },
            outings: between(dice, 0.3, 2.2),
            restless: between(dice, 3.0, 7.0),
        }
    }

    /// Appends the stretches that the person spends in the room on a day of the given level.
    pub fn spend_day(&self, seed: u64, site: &SiteDay, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let weekend = site.kind == DayKind::Weekend;
        let comes = if weekend { self.weekend } else { self.comes[site.weekday.min(4)] * level.sqrt().min(1.02) };
        if !chance(dice, comes) || self.is_away(seed, site) {
            return;
        }
        let late = if chance(dice, 0.06) { between(dice, 1.0, 4.0) } else { 0.0 };
        let from = (self.arrives + 0.3 * normal(dice) + late).max(site.open.0);
        let stays = if weekend { between(dice, 1.0, 4.5) } else { self.stays - late * 0.7 + 0.5 * normal(dice) };
        let to = (from + stays).min(site.leave);

        let mut gaps = [(24.0, 24.0); 6];
        let mut n = 0;
        if !weekend && chance(dice, 0.88) {
            let start = self.lunch.0 + 0.2 * normal(dice);
            gaps[n] = (start, start + self.lunch.1 * between(dice, 0.7, 1.4));
            n += 1;
        }
        for _ in 0..poisson(dice, self.outings).min(gaps.len() - n) {
            let start = between(dice, from, to.max(from));
            gaps[n] = (start, start + 0.15 + exponential(dice, 0.8));
            n += 1;
        }
        gaps[..n].sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut at = from;
        for &(start, end) in &gaps[..n] {
            out.extend(Presence::hours(at, start.min(to), self.restless));
            at = at.max(end);
        }
        out.extend(Presence::hours(at, to, self.restless));
    }

    /// Returns whether a holiday, an illness or a journey that began this month or the last covers the day.
    fn is_away(&self, seed: u64, site: &SiteDay) -> bool {
        site.months.iter().any(|month| {
            let dice = &mut dice(seed, Purpose::Absence, self.id, month.index);
            let mut covers = |probability: f64, shortest: f64, longest: f64| {
                let begins = chance(dice, probability);
                let start = month.first + between(dice, 0.0, 30.0) as i32;
                let length = between(dice, shortest, longest) as i32;
                begins && (start..start + length).contains(&site.day)
            };
            let vacation = covers(VACATIONS[month.of_year], 6.0, 23.0);
            let illness = covers(0.12, 1.0, 9.0);
            let journey = covers(0.15, 1.0, 4.0);
            vacation || illness || journey
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};

    use super::*;
    use crate::building::site::site_day;

    /// Returns the hours in the room on each of the 364 days from Monday, 4 January 2016.
    fn year(id: u64, late: bool) -> Vec<(usize, f64)> {
        let person = Person::draw(&mut dice(3, Purpose::Habit, id, 0), id, late);
        let first = NaiveDate::from_ymd_opt(2016, 1, 4).unwrap();
        let hours = |n| {
            let site = site_day(3, first + Days::new(n));
            let mut out = Vec::new();
            if site.kind != DayKind::Silent {
                person.spend_day(3, &site, site.level, &mut dice(3, Purpose::Day, id, n as i64), &mut out);
            }
            (site.weekday, out.iter().map(|p| f64::from(p.to - p.from) / 3600.0).sum())
        };
        (0..364).map(hours).collect()
    }

    #[test]
    fn people_work_most_weekdays_and_are_away_for_weeks() {
        let mut longest = 0;
        for id in 0..20 {
            let year = year(id, false);
            let worked: Vec<f64> = year.iter().filter(|d| d.0 < 5).map(|d| d.1).filter(|&h| h > 0.0).collect();
            assert!((80..250).contains(&worked.len()), "person {id}: {} days", worked.len());
            let mean = worked.iter().sum::<f64>() / worked.len() as f64;
            assert!((2.5..9.0).contains(&mean), "person {id}: {mean} hours a day");
            let silent = year.split(|d| d.1 > 0.0).map(<[_]>::len).max().unwrap_or(0);
            longest = longest.max(silent);
        }
        assert!(longest >= 14, "nobody took two weeks off: {longest}");
    }

    #[test]
    fn weekends_are_for_the_few() {
        let on_weekends = |late| {
            let days = (0..20).flat_map(|id| year(id, late)).filter(|d| d.0 >= 5);
            days.filter(|d| d.1 > 0.0).count() as f64 / (20.0 * 104.0)
        };
        assert!(on_weekends(false) < 0.03);
        assert!((0.01..0.15).contains(&on_weekends(true)));
    }
}
