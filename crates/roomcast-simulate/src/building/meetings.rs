//! Meetings: series that recur and end, meetings of the day, workshops that fill a room for days.

use super::site::{DayKind, SiteDay};
use crate::chance::{Dice, Purpose, between, chance, dice, exponential, mood, normal, poisson, weighted};
use crate::sensor::Presence;

/// Number of days in a term, the stretch of time for which a room's new series are drawn together.
const TERM_DAYS: i32 = 91;

/// Largest number of terms of a series, including the one in which it begins.
const MAX_TERMS: i32 = 4;

/// Weights of the hours from 7 to 18 as the start of a meeting of the day.
const START_WEIGHTS: [f64; 12] = [0.4, 0.9, 1.2, 1.1, 0.9, 0.6, 1.2, 1.3, 1.2, 0.7, 0.2, 0.03];

/// The bookings of a room.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bookings {
    /// Mean number of series that begin in a term.
    pub series: f64,
    /// Mean number of groups of meetings of the day on an average working day.
    pub ad_hoc: f64,
    /// Mean length of a meeting, hours.
    pub length: f64,
    /// Mean number of people at a meeting.
    pub people: f64,
    /// Probability that a workshop begins in a week.
    pub workshops: f64,
}

/// A meeting that recurs.
struct Series {
    /// First and last day, in days since 1970-01-01.
    first: i32,
    last: i32,
    cadence: Cadence,
    /// Start (hour of the day) and length in hours.
    start: f64,
    length: f64,
    /// Probability that the meeting is called off on an average day.
    cancelled: f64,
    people: f64,
}

enum Cadence {
    Daily,
    Weekly(usize),
    /// The weekday, and the parity of the week.
    Biweekly(usize, i32),
}

impl Series {
    fn draw(dice: &mut Dice, bookings: &Bookings, term_start: i32) -> Self {
        let first = term_start + between(dice, 0.0, f64::from(TERM_DAYS)) as i32;
        let weeks = (3.0 + exponential(dice, 15.0)).min(f64::from((MAX_TERMS - 1) * TERM_DAYS) / 7.0);
        let weekday = weighted(dice, &[1.0, 1.2, 1.2, 1.1, 0.6]);
        let cadence = match weighted(dice, &[0.12, 0.6, 0.28]) {
            0 => Cadence::Daily,
            1 => Cadence::Weekly(weekday),
            _ => Cadence::Biweekly(weekday, i32::from(chance(dice, 0.5))),
        };
        let half_hour = if chance(dice, 0.4) { 0.5 } else { 0.0 };
        let (start, length) = match cadence {
            Cadence::Daily => (8.5 + 0.5 * weighted(dice, &[1.0, 2.0, 2.0, 1.0]) as f64, 0.5),
            _ => {
                let lengths = [0.5, 1.0, 1.5, 2.0, 3.0];
                (
                    7.0 + weighted(dice, &START_WEIGHTS) as f64 + half_hour,
                    lengths[weighted(dice, &[1.0, 4.0, 2.0, 2.0, 1.0])],
                )
            }
        };
        Self {
            first,
            last: first + (weeks * 7.0) as i32,
            cadence,
            start,
            length,
            cancelled: between(dice, 0.04, 0.35),
            people: 2.0 + exponential(dice, (bookings.people - 2.0).max(0.5)),
        }
    }

    fn is_due(&self, site: &SiteDay) -> bool {
        // Day 0 was a Thursday; the shift makes weeks begin on Mondays.
        let week = (site.day + 3).div_euclid(7);
        (self.first..=self.last).contains(&site.day)
            && match self.cadence {
                Cadence::Daily => site.weekday < 5,
                Cadence::Weekly(weekday) => site.weekday == weekday,
                Cadence::Biweekly(weekday, parity) => site.weekday == weekday && week.rem_euclid(2) == parity,
            }
    }
}

/// Returns the movements an hour in a meeting of `people` people.
fn liveliness(people: f64) -> f64 {
    3.5 + 0.9 * people.min(20.0)
}

/// A room to book: the device and its present habit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub device: u64,
    /// Number of the habit; its series end with it.
    pub regime: i64,
}

impl Bookings {
    /// Appends the meetings in the room on a day of the given level.
    pub fn spend_day(
        &self,
        seed: u64,
        slot: Slot,
        site: &SiteDay,
        level: f64,
        dice: &mut Dice,
        out: &mut Vec<Presence>,
    ) {
        match site.kind {
            DayKind::Silent => return,
            DayKind::Weekend => {
                if chance(dice, 0.006 * self.ad_hoc.min(2.0)) {
                    let start = between(dice, 9.0, 15.0);
                    out.extend(Presence::hours(start, start + between(dice, 1.0, 5.0), liveliness(3.0)));
                }
                return;
            }
            DayKind::Work | DayKind::Bridge => {}
        }
        let week = i64::from((site.day + 3).div_euclid(7));
        // Projects come and go, so each room has its own busy and quiet weeks and days.
        let room = (0.45 * mood(seed, Purpose::RoomMood, slot.device, week, 0.6) + 0.35 * normal(dice)).exp();
        self.series(seed, slot, site, level, dice, out);
        self.meetings_of_the_day(level * room, site, dice, out);
        self.workshop(seed, slot, week, site, level, out);
    }

    fn series(&self, seed: u64, slot: Slot, site: &SiteDay, level: f64, dice: &mut Dice, out: &mut Vec<Presence>) {
        let phase = (slot.device as i32).wrapping_mul(37).rem_euclid(TERM_DAYS);
        let term = (site.day + phase).div_euclid(TERM_DAYS);
        for term in term + 1 - MAX_TERMS..=term {
            // The habit is part of the key, so that its series end when the habit does.
            let key = slot.device | (slot.regime as u64) << 32;
            let plan = &mut self::dice(seed, Purpose::Series, key, i64::from(term));
            for _ in 0..poisson(plan, self.series) {
                let series = Series::draw(plan, self, term * TERM_DAYS - phase);
                let holds = (1.0 - series.cancelled) * level.sqrt().min(1.1);
                if series.is_due(site) && chance(dice, holds) {
                    let start = series.start + 0.04 * normal(dice);
                    let end = (start + series.length * between(dice, 0.75, 1.2)).min(site.leave);
                    let people = series.people * between(dice, 0.6, 1.0);
                    out.extend(Presence::hours(start, end, liveliness(people)));
                }
            }
        }
    }

    fn meetings_of_the_day(&self, level: f64, site: &SiteDay, dice: &mut Dice, out: &mut Vec<Presence>) {
        for _ in 0..poisson(dice, self.ad_hoc * level).min(12) {
            let hour = 7.0 + weighted(dice, &START_WEIGHTS) as f64;
            // People meet on the full hour, on the half hour, or at any time.
            let mut start = match weighted(dice, &[0.4, 0.2, 0.4]) {
                0 => hour + 0.04 * normal(dice),
                1 => hour + 0.5 + 0.04 * normal(dice),
                _ => hour + between(dice, 0.0, 1.0),
            };
            loop {
                let length = (0.2 + exponential(dice, self.length - 0.2)).min(4.5);
                let people = 1.0 + exponential(dice, self.people - 1.0);
                let end = (start + length).min(site.leave).min(site.open.1 + 1.0);
                out.extend(Presence::hours(start.max(site.open.0), end, liveliness(people)));
                // One meeting may bring the next: the same people go on, or others were waiting.
                if !chance(dice, 0.3) || end > 17.5 {
                    break;
                }
                start = end + exponential(dice, 0.25);
            }
        }
    }

    fn workshop(&self, seed: u64, slot: Slot, week: i64, site: &SiteDay, level: f64, out: &mut Vec<Presence>) {
        let dice = &mut dice(seed, Purpose::Workshop, slot.device, week);
        let first = weighted(dice, &[1.0; 4]);
        let days = 1 + weighted(dice, &[3.0, 2.0, 1.0]);
        let (start, end) = (between(dice, 8.3, 9.5), between(dice, 15.5, 18.0));
        let lunch = between(dice, 11.8, 12.6);
        let people = between(dice, 5.0, 14.0);
        let today = (first..first + days).contains(&site.weekday);
        if today && level > 0.5 && chance(dice, self.workshops) {
            out.extend(Presence::hours(start, lunch.min(site.leave), liveliness(people)));
            out.extend(Presence::hours(lunch + 0.8, end.min(site.leave), liveliness(people)));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};

    use super::*;
    use crate::building::site::site_day;

    const BUSY: Bookings = Bookings { series: 8.0, ad_hoc: 0.0, length: 1.2, people: 5.0, workshops: 0.0 };

    /// Returns the starts of the meetings on each of `days` days from Monday, 4 January 2016.
    fn starts(bookings: &Bookings, slot: Slot, days: u64) -> Vec<(usize, Vec<u32>)> {
        let first = NaiveDate::from_ymd_opt(2016, 1, 4).unwrap();
        let day = |n| {
            let site = site_day(1, first + Days::new(n));
            let mut out = Vec::new();
            bookings.spend_day(1, slot, &site, 1.0, &mut dice(1, Purpose::Day, slot.device, n as i64), &mut out);
            (site.weekday, out.iter().map(|p| p.from).collect())
        };
        (0..days).map(day).collect()
    }

    #[test]
    fn series_come_back_a_week_later_at_the_same_time() {
        let (mut again, mut all) = (0, 0);
        for device in 0..10 {
            let days = starts(&BUSY, Slot { device, regime: 0 }, 364);
            for (n, (_, today)) in days.iter().enumerate().skip(14) {
                let before = |t: &u32| [7, 14].iter().any(|back| days[n - back].1.iter().any(|s| s.abs_diff(*t) < 900));
                again += today.iter().filter(|t| before(t)).count();
                all += today.len();
            }
        }
        assert!(all > 2000, "{all}");
        assert!(again as f64 / all as f64 > 0.75, "{again} of {all}");
    }

    #[test]
    fn another_habit_has_other_series() {
        let one = starts(&BUSY, Slot { device: 1, regime: 0 }, 28);
        assert_ne!(one, starts(&BUSY, Slot { device: 1, regime: 1 }, 28));
    }

    #[test]
    fn meetings_of_the_day_follow_the_rate() {
        let bookings = Bookings { series: 0.0, ad_hoc: 2.0, ..BUSY };
        let days: Vec<_> = (0..20).flat_map(|device| starts(&bookings, Slot { device, regime: 0 }, 364)).collect();
        let mean = |off: bool| {
            let of_kind: Vec<usize> = days.iter().filter(|d| (d.0 >= 5) == off).map(|d| d.1.len()).collect();
            of_kind.iter().sum::<usize>() as f64 / of_kind.len() as f64
        };
        assert!((2.2..4.2).contains(&mean(false)), "{}", mean(false));
        assert!(mean(true) < 0.05);
    }
}
