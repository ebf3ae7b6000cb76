//! The savings ledger of a running site: schedules stored before their hours, and what came of them.
//!
//! A schedule is stored when it is made, with the rule of its blocks, and never computed again. It counts for the whole hours
//! that begin after its making, up to the end of its local day. A day closes some minutes after its end. Its policies are then
//! held against the hours of which it is known whether they were occupied, and only their sums are kept.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::blocks::BlockRule;
use super::plan::RoomPlan;
use super::policies::{KnownHour, Span, Sums, Times};
use super::timetable::{Timetable, Timetables};
use crate::calendar::{Calendar, HOUR, Hour, Timestamp};
use crate::hourly::{DeviceHours, Hourly, State};

/// Number of days whose sums are kept.
pub const MAX_DAYS: i32 = 366;

/// Seconds after the end of a day at which it closes, for late readings.
const WATERMARK: i64 = 600;

/// Largest number of days that wait to close.
const MAX_PENDING: usize = 3;

/// The beginning of the file; the number is the version of its format.
const HEADER: &[u8] = b"roomcast ledger 2\n";

/// The policies, in the order of [`DaySums::policies`].
pub const POLICIES: [&str; 4] = ["timetable", "reactive", "schedule", "hindsight"];

/// The schedules of one local day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct DaySchedules {
    /// The first hour that they count for.
    first: Hour,
    /// The hour after the last that they were made for: a day of 25 hours has one more.
    until: Hour,
    /// Seconds of preheat, setback and shortest run of their rule.
    rule: (i64, i64, i64),
    /// The times on of each room.
    rooms: BTreeMap<String, Vec<Span>>,
}

/// The sums of one local day, over all rooms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DaySums {
    /// The policies in the order of [`POLICIES`]; the first is `None` without a timetable.
    pub policies: [Option<Sums>; 4],
}

impl DaySums {
    /// Returns the sums over some days.
    pub fn total<'a>(days: impl IntoIterator<Item = &'a DaySums>) -> DaySums {
        days.into_iter().fold(DaySums::default(), |mut all, day| {
            for (all, day) in all.policies.iter_mut().zip(day.policies) {
                if let Some(day) = day {
                    *all.get_or_insert_default() += day;
                }
            }
            all
        })
    }
}

/// Schedules whose days have not closed, and the sums of those that have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveLedger {
    pending: BTreeMap<i32, DaySchedules>,
    days: BTreeMap<i32, DaySums>,
}

/// The bytes are of another version or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version cannot read this ledger")]
pub struct LedgerError;

impl LiveLedger {
    /// Returns whether the schedules of a local day are still to be stored.
    pub fn is_wanted(&self, day: i32) -> bool {
        !self.pending.contains_key(&day) && !self.days.contains_key(&day)
    }

    /// Stores the schedules of a local day, which count for these hours. Those that are stored already stay.
    pub fn store(&mut self, day: i32, hours: Range<Hour>, rule: &BlockRule, rooms: &[RoomPlan<'_>]) {
        if !self.is_wanted(day) {
            return;
        }
        let spans = |room: &RoomPlan<'_>| {
            (room.device.to_owned(), room.blocks.iter().map(|block| (block.start, block.end)).collect())
        };
        let rule = (rule.preheat, rule.setback, rule.min_run);
        let rooms = rooms.iter().map(spans).collect();
        self.pending.insert(day, DaySchedules { first: hours.start, until: hours.end, rule, rooms });
        self.forget();
    }

    /// Returns whether a day has closed by `now`.
    pub fn is_due(&self, now: Timestamp, calendar: &Calendar) -> bool {
        self.pending.keys().next().is_some_and(|&day| day < closed_before(now, calendar))
    }

    /// Counts the days that have closed by `now`. The grid reaches as far. Returns the days of which no room is known any
    /// more, because all have other names: they are not counted.
    pub fn close(
        &mut self,
        hourly: &Hourly,
        timetables: Option<&Timetables>,
        now: Timestamp,
        calendar: &Calendar,
    ) -> Vec<i32> {
        let open = self.pending.split_off(&closed_before(now, calendar));
        let mut lost = Vec::new();
        for (day, schedules) in std::mem::replace(&mut self.pending, open) {
            if !schedules.rooms.is_empty() && schedules.rooms.keys().all(|room| hourly.position(room).is_none()) {
                lost.push(day);
                continue;
            }
            let mut sums = DaySums { policies: [timetables.map(|_| Sums::default()), None, None, None] };
            for (room, spans) in &schedules.rooms {
                let Some(at) = hourly.position(room) else { continue };
                let known = known_hours(&hourly.devices[at], hourly, day, schedules.first..schedules.until, calendar);
                let timetable = timetables.map(|timetables| timetables.of(room));
                for (sum, of_room) in sums.policies.iter_mut().zip(schedules.held(spans, &known, timetable, calendar)) {
                    if let Some(of_room) = of_room {
                        *sum.get_or_insert_default() += of_room;
                    }
                }
            }
            self.days.insert(day, sums);
        }
        self.forget();
        lost
    }

    /// Adds what another process has stored. What it stored stays: of a day that both have, its schedules and sums count.
    pub fn merge(&mut self, other: &LiveLedger) {
        self.days.extend(&other.days);
        self.pending.extend(other.pending.iter().map(|(&day, schedules)| (day, schedules.clone())));
        self.pending.retain(|day, _| !self.days.contains_key(day));
        self.forget();
    }

    /// Drops what is too old to be kept.
    fn forget(&mut self) {
        let last = self.days.keys().next_back().copied().unwrap_or(0);
        self.days = self.days.split_off(&(last - MAX_DAYS + 1));
        while self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
    }

    /// Returns the sums of the last `days` days up to the last that has closed, ascending.
    pub fn days(&self, days: i32) -> impl Iterator<Item = (i32, &DaySums)> {
        let last = self.days.keys().next_back().copied().unwrap_or(0);
        self.days.range(last.saturating_sub(days.max(0)) + 1..).map(|(&day, sums)| (day, sums))
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// [`LedgerError`] when the bytes are of another version or damaged.
    pub fn parse(bytes: &[u8]) -> Result<LiveLedger, LedgerError> {
        let (sum, body) = bytes.strip_prefix(HEADER).and_then(|rest| rest.split_first_chunk()).ok_or(LedgerError)?;
        if *sum != digest(body) {
            return Err(LedgerError);
        }
        postcard::from_bytes(body).map_err(|_| LedgerError)
    }

    /// Returns the bytes that [`LiveLedger::parse`] reads.
    pub fn bytes(&self) -> Vec<u8> {
        // Writing to memory cannot fail. An empty body would not be read, which the tests would show.
        let body = postcard::to_stdvec(self).unwrap_or_default();
        [HEADER, &digest(&body), &body].concat()
    }
}

/// Returns the SHA-256 of the body, which precedes it in the file.
fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

impl DaySchedules {
    /// Returns the sums of the policies of one room on its day.
    fn held(
        &self,
        spans: &[Span],
        known: &[KnownHour],
        timetable: Option<&Timetable>,
        calendar: &Calendar,
    ) -> [Option<Sums>; 4] {
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return [None; 4] };
        let (preheat, setback, min_run) = self.rule;
        let rule = BlockRule { preheat, setback, min_run, ..BlockRule::default() };
        let (from, to) = (calendar.start(first.hour), calendar.start(last.hour));
        // A night of the day before may reach into this one.
        let fixed = timetable.map(|timetable| timetable.times(from - 24 * HOUR, to, calendar));
        let times = [
            fixed.map(|fixed| Times::planned(fixed, preheat)),
            Some(Times::reactive(known, &rule, calendar)),
            Some(Times::planned(spans.iter().copied(), preheat)),
            Some(Times::hindsight(known, &rule, calendar)),
        ];
        let sum = |times: Times| {
            times.by_day(known, calendar).into_values().fold(Sums::default(), |mut all, day| {
                all += day;
                all
            })
        };
        times.map(|times| times.map(sum))
    }
}

/// Returns the date of a local day, such as `2016-08-31`.
pub fn date(day: i32) -> String {
    NaiveDate::from_epoch_days(day).map_or_else(String::new, |date| date.to_string())
}

/// Returns one line per day and policy.
pub fn csv<'a>(days: impl IntoIterator<Item = (i32, &'a DaySums)>) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail. An error here would show as a missing line in the tests.
    let header = ["hours", "occupied_hours", "hours_on", "empty_hours_on", "missed_hours", "starts"];
    let _ = out.write_record(["date", "policy"].into_iter().chain(header));
    for (day, sums) in days {
        for (policy, sums) in POLICIES.iter().zip(sums.policies) {
            let Some(Sums { hours, occupied, on, empty_on, missed, starts }) = sums else { continue };
            let numbers = [hours, occupied, on, empty_on, missed, starts].map(|number| format!("{number:.3}"));
            let _ = out.write_record([date(day), (*policy).to_owned()].into_iter().chain(numbers));
        }
    }
    out.into_inner().unwrap_or_default()
}

/// Returns the first local day that has not closed by `now`.
fn closed_before(now: Timestamp, calendar: &Calendar) -> i32 {
    calendar.local(calendar.hour(now - WATERMARK)).day
}

/// Returns the hours of a device on a local day, as far as its schedule was made for them, of which it is known whether
/// they were occupied.
fn known_hours(
    device: &DeviceHours,
    hourly: &Hourly,
    day: i32,
    planned: Range<Hour>,
    calendar: &Calendar,
) -> Vec<KnownHour> {
    let from = planned.start.max(device.first);
    let states = device.states.iter().zip(device.first..).skip((from - device.first) as usize);
    let hours = states.skip_while(|&(_, hour)| hourly.local(hour).day < day);
    let hours = hours.take_while(|&(_, hour)| hour < planned.end && hourly.local(hour).day == day);
    let known = |(&state, hour): (&State, Hour)| {
        let start = calendar.start(hour);
        match state {
            State::Unobserved | State::Stuck => None,
            State::Vacant => Some(KnownHour { hour, day, motion: None }),
            State::Occupied => Some(KnownHour { hour, day, motion: device.times.iter_from(start).next() }),
        }
    };
    hours.filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::blocks::Block;
    use crate::readings::{DeviceReadings, Readings};

    /// 1970-01-05, a Monday.
    const DAY: i32 = 4;
    const MIDNIGHT: Timestamp = DAY as i64 * 24 * HOUR;

    /// One room with motion at half past of these hours of a Monday, after two days of use.
    fn grid(hours: &[i64], until: Timestamp) -> Hourly {
        let before = [-48, -24].map(|hour| MIDNIGHT + (hour + 9) * HOUR);
        let times = before.into_iter().chain(hours.iter().map(|hour| MIDNIGHT + hour * HOUR + 1800)).collect();
        let room = DeviceReadings { device: "room".into(), times, ..DeviceReadings::default() };
        Hourly::new(&Readings { devices: vec![room] }, &Calendar::default(), until)
    }

    fn plan(hours: &[(i64, i64)]) -> RoomPlan<'static> {
        let block = |&(from, until): &(i64, i64)| {
            let span = (MIDNIGHT + from * HOUR, MIDNIGHT + until * HOUR);
            Block { start: span.0, end: span.1, occupied: span, peak: 0.9 }
        };
        let blocks = hours.iter().map(block).collect();
        RoomPlan { device: "room", threshold: 0.5, blocks, hours_on: 0.0, hours_expected: 0.0, lately: None }
    }

    fn hours(sums: Option<Sums>) -> [f64; 5] {
        let Sums { hours, on, empty_on, missed, starts, .. } = sums.unwrap();
        [hours, on, empty_on, missed, starts]
    }

    #[test]
    fn a_day_is_counted_once_it_is_over() {
        let calendar = Calendar::default();
        let site = "mon-fri 06:00-19:00".parse().unwrap();
        let timetable = Timetables { site, rooms: BTreeMap::new() };
        let mut ledger = LiveLedger::default();
        ledger.store(DAY, DAY * 24..DAY * 24 + 24, &BlockRule::default(), &[plan(&[(8, 12)])]);
        let end = MIDNIGHT + 24 * HOUR;
        assert!(!ledger.is_wanted(DAY) && ledger.is_wanted(DAY + 1));
        assert!(!ledger.is_due(end + 599, &calendar) && ledger.is_due(end + 600, &calendar));
        ledger.close(&grid(&[9, 10, 14], end), Some(&timetable), end + 600, &calendar);
        let days: Vec<_> = ledger.days(30).collect();
        let [(day, sums)] = days[..] else { panic!("{days:?}") };
        assert_eq!(day, DAY);
        assert_eq!(
            sums.policies.map(hours),
            [
                [24.0, 13.0, 10.0, 0.0, 1.0],
                [24.0, 2.0, 0.0, 0.0, 2.0],
                [24.0, 4.0, 2.0, 1.0, 1.0],
                [24.0, 3.0, 0.0, 0.0, 2.0],
            ]
        );
        let same = LiveLedger::parse(&ledger.bytes()).unwrap();
        assert_eq!(same, ledger);
        // A damaged file, and one of another version, are none.
        let bytes = ledger.bytes();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(LiveLedger::parse(&bytes), Err(LedgerError), "{at}");
            assert_eq!(LiveLedger::parse(&bytes[..at]), Err(LedgerError), "{at}");
        }
    }

    #[test]
    fn a_stored_schedule_stays_and_counts_for_the_hours_after_its_making() {
        let calendar = Calendar::default();
        let mut ledger = LiveLedger::default();
        // Made at ten, so the hours from eleven on count.
        ledger.store(DAY, DAY * 24 + 11..DAY * 24 + 24, &BlockRule::default(), &[plan(&[(8, 12)])]);
        let stored = ledger.clone();
        ledger.store(
            DAY,
            DAY * 24..DAY * 24 + 24,
            &BlockRule { preheat: 1800, ..BlockRule::default() },
            &[plan(&[(0, 24)])],
        );
        assert_eq!(ledger, stored);
        let end = MIDNIGHT + 24 * HOUR;
        ledger.close(&grid(&[9, 10, 14], end), None, end + 600, &calendar);
        let sums = ledger.days(1).next().unwrap().1;
        assert_eq!((sums.policies[0], hours(sums.policies[2])), (None, [13.0, 1.0, 1.0, 1.0, 0.0]));
        // A day that has closed is not opened again.
        let closed = ledger.clone();
        ledger.store(DAY, DAY * 24..DAY * 24 + 24, &BlockRule::default(), &[plan(&[(0, 24)])]);
        assert_eq!(ledger, closed);
    }

    /// The clocks go back at 03:00 on Sunday 2024-10-27 in Berlin: the day has 25 hours, its schedule 24.
    #[test]
    fn of_a_day_of_25_hours_all_policies_count_those_that_were_planned() {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let midnight = calendar.parse("2024-10-27 00:00:00").unwrap();
        let times = (-48..25).map(|hour| midnight + hour * HOUR + 1800).collect();
        let room = DeviceReadings { device: "room".into(), times, ..DeviceReadings::default() };
        let hourly = Hourly::new(&Readings { devices: vec![room] }, &calendar, midnight + 25 * HOUR);
        let timetables = Timetables { site: "mon-sun 00:00-24:00".parse().unwrap(), rooms: BTreeMap::new() };
        let first = calendar.hour(midnight);
        let block = Block { start: midnight, end: midnight + 24 * HOUR, occupied: (midnight, midnight), peak: 0.9 };
        let plan = RoomPlan { blocks: vec![block], ..plan(&[]) };
        let (day, mut ledger) = (calendar.local(first).day, LiveLedger::default());
        ledger.store(day, first..first + 24, &BlockRule::default(), &[plan]);
        assert!(ledger.close(&hourly, Some(&timetables), midnight + 25 * HOUR + 600, &calendar).is_empty());
        let sums = ledger.days(1).next().unwrap().1;
        // At the first motion it was half past midnight.
        let on = [24.0, 23.5, 24.0, 24.0];
        assert_eq!(sums.policies.map(|sums| sums.map(|sums| (sums.hours, sums.on))), on.map(|on| Some((24.0, on))));
    }

    #[test]
    fn a_day_whose_rooms_all_have_other_names_is_lost_not_empty() {
        let mut ledger = LiveLedger::default();
        let known = plan(&[(8, 12)]);
        let gone = |device| RoomPlan { device, ..plan(&[(8, 12)]) };
        let end = MIDNIGHT + 24 * HOUR;
        ledger.store(DAY, DAY * 24..DAY * 24 + 24, &BlockRule::default(), &[gone("before"), gone("earlier")]);
        assert_eq!(ledger.close(&grid(&[9], end), None, end + 600, &Calendar::default()), [DAY]);
        assert_eq!(ledger.days(30).count(), 0);
        // Of a room that is still there it counts.
        ledger.store(DAY, DAY * 24..DAY * 24 + 24, &BlockRule::default(), &[gone("before"), known]);
        assert!(ledger.close(&grid(&[9], end), None, end + 600, &Calendar::default()).is_empty());
        assert_eq!(ledger.days(30).map(|(_, sums)| hours(sums.policies[2])[0]).collect::<Vec<_>>(), [24.0]);
    }

    #[test]
    fn what_two_processes_store_is_kept_and_the_first_of_a_day_counts() {
        let calendar = Calendar::default();
        let day = |day: i32, hours: &[(i64, i64)]| {
            let mut ledger = LiveLedger::default();
            ledger.store(day, day * 24..day * 24 + 24, &BlockRule::default(), &[plan(hours)]);
            ledger
        };
        let close = |mut ledger: LiveLedger, day: i32| {
            let now = i64::from(day + 1) * 24 * HOUR + 600;
            ledger.close(&grid(&[9], MIDNIGHT + 24 * HOUR), None, now, &calendar);
            ledger
        };
        let (stored, mut mine) = (close(day(DAY, &[(8, 12)]), DAY), close(day(DAY, &[(0, 24)]), DAY));
        mine.merge(&close(day(DAY - 1, &[]), DAY - 1));
        mine.merge(&day(DAY + 1, &[(8, 9)]));
        mine.merge(&stored);
        assert_eq!(mine.days(30).map(|(day, _)| day).collect::<Vec<_>>(), [DAY - 1, DAY]);
        assert_eq!(mine.days[&DAY], stored.days[&DAY]);
        assert_eq!(mine.pending.keys().collect::<Vec<_>>(), [&(DAY + 1)]);
        // What one has closed waits no more in the other.
        let mut waiting = day(DAY, &[(8, 12)]);
        waiting.merge(&stored);
        assert!(waiting.pending.is_empty() && waiting.days == stored.days);
    }

    #[test]
    fn the_file_stays_small() {
        let calendar = Calendar::default();
        let mut ledger = LiveLedger::default();
        for day in DAY..DAY + 500 {
            ledger.store(day, day * 24..day * 24 + 24, &BlockRule::default(), &[plan(&[(8, 12)])]);
            let now = i64::from(day + 1) * 24 * HOUR + 600;
            ledger.close(&grid(&[9], MIDNIGHT + 24 * HOUR), None, now, &calendar);
        }
        assert_eq!((ledger.days(1000).count(), ledger.pending.len()), (MAX_DAYS as usize, 0));
        assert!(ledger.bytes().len() < 100_000);
        for day in DAY + 500..DAY + 600 {
            ledger.store(day, day * 24..day * 24 + 24, &BlockRule::default(), &[plan(&[(8, 12)])]);
        }
        assert_eq!(ledger.pending.len(), MAX_PENDING);
    }
}
