//! The use of rooms over weeks: share of working hours used, peak, trend, rooms that are never used.
//!
//! Floors and buildings have the sums of their rooms. Only hours count of which it is known whether they were occupied. Working hours are those of a timetable.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rayon::prelude::*;
use serde::Serialize;

use crate::calendar::{Calendar, HOUR, Hour};
use crate::decisions::timetable::Timetable;
use crate::hourly::{DeviceHours, Hourly};
use crate::rooms::{Level, Rooms};

/// The working hours of a site that names none.
pub const DEFAULT_WORK_HOURS: &str = "mon-fri 08:00-18:00";

/// Fewest weeks that give a trend.
const MIN_TREND_WEEKS: usize = 4;

/// Fewest hours known of a week that counts in a trend.
const MIN_WEEK_HOURS: u32 = 10;

/// Half the width of a 95 % interval, standard errors.
const INTERVAL_ERRORS: f64 = 1.96;

/// The use of one room, or of all rooms of a floor or building together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Utilisation {
    /// The name of the device, room, floor or building.
    pub device: String,
    /// Number of working hours of which it is known whether they were occupied.
    pub work_hours: u32,
    /// Number of these that were occupied.
    pub used_work_hours: u32,
    /// Share of the working hours that were occupied; `None` if none is known.
    pub used_share: Option<f64>,
    /// Number of occupied hours, at any time.
    pub used_hours: u32,
    /// Share of all hours of which it is not known whether they were occupied, those before the first reading among them.
    pub unknown_share: f64,
    /// Local hour of day that was occupied on most days, 0 to 23; `None` without an occupied hour.
    pub peak_hour: Option<u8>,
    /// Share of this hour's days on which it was occupied, over working days.
    pub peak_share: Option<f64>,
    /// Weekday with most hours in use for each such day, Monday 0; `None` without an occupied hour.
    pub peak_weekday: Option<u8>,
    /// Change of the used share of working hours by week, least squares; `None` with less than four weeks.
    pub trend: Option<f64>,
    /// Half the width of the trend's 95 % interval. A trend within it is no more than chance explains.
    pub trend_noise: Option<f64>,
    /// True if no hour was occupied, although some are known.
    pub is_never_used: bool,
}

/// The use of all rooms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// First local date.
    pub from: NaiveDate,
    /// Last local date.
    pub to: NaiveDate,
    /// The working hours.
    pub work_hours: String,
    /// All rooms together.
    pub site: Utilisation,
    /// The rooms, floors or buildings, in order of name.
    pub rooms: Vec<Utilisation>,
}

/// Occupied and known hours.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    used: u32,
    known: u32,
}

impl Count {
    fn add(&mut self, used: bool) {
        self.used += u32::from(used);
        self.known += 1;
    }

    fn merge(&mut self, other: Count) {
        self.used += other.used;
        self.known += other.known;
    }

    fn share(self) -> Option<f64> {
        (self.known > 0).then(|| f64::from(self.used) / f64::from(self.known))
    }
}

/// Counts of one or more rooms.
#[derive(Debug, Clone, Default)]
struct Counts {
    all: Count,
    hours: u32,
    /// Working hours by week.
    weeks: Vec<Count>,
    /// Hours of working days by hour of day.
    by_hour: [Count; 24],
    /// Hours by weekday.
    by_weekday: [Count; 7],
}

impl Counts {
    fn merge(mut self, other: &Counts) -> Counts {
        self.all.merge(other.all);
        self.hours += other.hours;
        self.weeks.resize(self.weeks.len().max(other.weeks.len()), Count::default());
        let pairs = self.weeks.iter_mut().zip(&other.weeks);
        let pairs = pairs.chain(self.by_hour.iter_mut().zip(&other.by_hour));
        for (sum, &count) in pairs.chain(self.by_weekday.iter_mut().zip(&other.by_weekday)) {
            sum.merge(count);
        }
        self
    }

    fn utilisation(&self, device: &str) -> Utilisation {
        let mut work = Count::default();
        self.weeks.iter().for_each(|&week| work.merge(week));
        let peak = |counts: &[Count]| {
            let shares = counts.iter().enumerate().filter_map(|(at, count)| Some((at as u8, count.share()?)));
            shares.filter(|&(_, share)| share > 0.0).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        };
        let (peak_hour, trend) = (peak(&self.by_hour), trend(&self.weeks));
        Utilisation {
            device: device.to_owned(),
            work_hours: work.known,
            used_work_hours: work.used,
            used_share: work.share(),
            used_hours: self.all.used,
            unknown_share: if self.hours > 0 { 1.0 - f64::from(self.all.known) / f64::from(self.hours) } else { 1.0 },
            peak_hour: peak_hour.map(|(hour, _)| hour),
            peak_share: peak_hour.map(|(_, share)| share),
            peak_weekday: peak(&self.by_weekday).map(|(day, _)| day),
            trend: trend.map(|(slope, _)| slope),
            trend_noise: trend.map(|(_, noise)| noise),
            is_never_used: self.all.used == 0 && self.all.known > 0,
        }
    }
}

/// Returns the slope by week of the shares of whole weeks, and half the width of its 95 % interval.
fn trend(weeks: &[Count]) -> Option<(f64, f64)> {
    let known = weeks.iter().enumerate().filter(|(_, week)| week.known >= MIN_WEEK_HOURS);
    let points: Vec<(f64, f64)> = known.filter_map(|(at, week)| Some((at as f64, week.share()?))).collect();
    if points.len() < MIN_TREND_WEEKS {
        return None;
    }
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    Some((slope, INTERVAL_ERRORS * (rest / (n - 2.0) / spread).sqrt()))
}

/// Returns the use of each room of a grid in the whole weeks before the local day of its end, or the sums of the rooms of each
/// floor or building. A room that is on no floor counts in the sum of the site alone.
pub fn report(
    hourly: &Hourly,
    (table, level): (&Rooms, Level),
    weeks: u32,
    work: &Timetable,
    calendar: &Calendar,
) -> Report {
    let today = calendar.wall(calendar.start(hourly.end)).date();
    let from = today - chrono::Days::new(7 * u64::from(weeks.max(1)));
    let midnight = |date: NaiveDate| calendar.hour(calendar.instant(date.into()));
    let (first, end) = (midnight(from), midnight(today).min(hourly.end));
    let work_hours: Vec<Hour> = {
        let spans = work.times(calendar.start(first) - 24 * HOUR, calendar.start(end), calendar);
        // An hour counts as a working hour if the timetable begins no later and ends no earlier.
        let hours = spans.iter().flat_map(|&(from, until)| calendar.next_hour(from)..calendar.hour(until));
        let mut hours: Vec<Hour> = hours.filter(|hour| (first..end).contains(hour)).collect();
        hours.sort_unstable();
        hours.dedup();
        hours
    };
    let first_day = from.to_epoch_days();
    let count = |device: &DeviceHours| {
        let mut counts = Counts { weeks: vec![Count::default(); weeks.max(1) as usize], ..Counts::default() };
        // Of the hours before its first reading nothing is known.
        counts.hours = (end - first).max(0) as u32;
        for hour in first.max(device.first)..end {
            let Some(value) = device.states[(hour - device.first) as usize].value() else { continue };
            let (local, used) = (hourly.local(hour), value > 0.5);
            counts.all.add(used);
            counts.by_weekday[usize::from(local.weekday)].add(used);
            if !local.off {
                counts.by_hour[usize::from(local.hour)].add(used);
            }
            if work_hours.binary_search(&hour).is_ok() {
                counts.weeks[((local.day - first_day) / 7) as usize].add(used);
            }
        }
        counts
    };
    let counts: Vec<Counts> = hourly.devices.par_iter().map(|device| count(device)).collect();
    let site = counts.iter().fold(Counts::default(), Counts::merge).utilisation("");
    let mut sums: BTreeMap<&str, Counts> = BTreeMap::new();
    for (device, counts) in hourly.devices.iter().zip(&counts) {
        if let Some(name) = table.name_at(&device.device, level) {
            let sum = sums.remove(name).unwrap_or_default();
            sums.insert(name, sum.merge(counts));
        }
    }
    let rooms = sums.iter().map(|(name, counts)| counts.utilisation(name)).collect();
    Report { from, to: today - chrono::Days::new(1), work_hours: work.to_string(), site, rooms }
}

/// Returns one line per room, floor or building.
pub fn csv(report: &Report) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail. An error here would show as a missing line in the tests.
    for room in &report.rooms {
        let _ = out.serialize(room);
    }
    out.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::{DeviceReadings, Readings};
    use crate::rooms::Assignment;

    /// Eight weeks up to a Monday: an office used from 9 to 13 on its working days, every week an hour longer on Fridays,
    /// and a store that somebody entered once before them.
    fn report_of(growth: i64) -> Report {
        report_at(growth, &Rooms::default(), Level::Room)
    }

    fn report_at(growth: i64, rooms: &Rooms, level: Level) -> Report {
        let calendar = Calendar::default();
        let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
        let used = |hour: &i64| {
            let (week, day, hour) = (hour / 168, hour / 24 % 7, hour % 24);
            day < 5 && (9..13 + if day == 4 { growth * week } else { 0 }).contains(&hour)
        };
        // Both rooms are known from the hour before the first week on.
        let hours = std::iter::once(-1).chain((0..56 * 24).filter(used));
        let office: Vec<i64> = hours.map(|hour| monday + hour * HOUR).collect();
        let device = |device: &str, times: Vec<i64>| DeviceReadings {
            device: device.into(),
            times: times.into(),
            ..DeviceReadings::default()
        };
        let readings = Readings { devices: vec![device("office", office), device("store", vec![monday - HOUR])] };
        let hourly = Hourly::new(&readings, &calendar, monday + 56 * 24 * HOUR);
        report(&hourly, (rooms, level), 8, &"mon-fri 08:00-18:00".parse().unwrap(), &calendar)
    }

    #[test]
    fn use_is_counted_by_hand() {
        let report = report_of(0);
        assert_eq!((report.from.to_string(), report.to.to_string()), ("2024-02-05".into(), "2024-03-31".into()));
        let [office, store] = &report.rooms[..] else { panic!() };
        assert_eq!((office.work_hours, office.used_work_hours, office.used_share), (400, 160, Some(0.4)));
        assert_eq!((office.peak_hour, office.peak_share, office.peak_weekday), (Some(9), Some(1.0), Some(0)));
        let (trend, noise) = (office.trend.unwrap(), office.trend_noise.unwrap());
        assert!(trend.abs() < 1e-12 && noise < 1e-9 && !office.is_never_used);
        assert!(store.is_never_used && store.used_hours == 0 && store.peak_hour.is_none());
        assert!(store.unknown_share > 0.5, "{store:?}");
        let lines = String::from_utf8(csv(&report)).unwrap();
        assert!(lines.starts_with("device,work_hours,used_work_hours,used_share,"), "{lines}");
        assert_eq!(lines.lines().count(), 3);
    }

    #[test]
    fn a_floor_has_the_sums_of_its_rooms() {
        let row = |room: &str, floor: Option<&str>| Assignment {
            sensor: room.into(),
            room: room.into(),
            floor: floor.map(str::to_owned),
            ..Assignment::default()
        };
        let table = Rooms::new(vec![row("office", Some("1")), row("store", Some("1"))]).unwrap();
        let report = report_at(0, &table, Level::Floor);
        let [floor] = &report.rooms[..] else { panic!("{:?}", report.rooms) };
        let rooms = report_of(0).rooms;
        let sum = |of: fn(&Utilisation) -> u32| rooms.iter().map(of).sum::<u32>();
        assert_eq!((floor.device.as_str(), floor.work_hours), ("1", sum(|room| room.work_hours)));
        assert_eq!((floor.used_work_hours, floor.used_hours), (160, sum(|room| room.used_hours)));
        assert!(floor.used_share.unwrap() < 0.4 && !floor.is_never_used, "{floor:?}");
        assert_eq!(Utilisation { device: String::new(), ..floor.clone() }, report.site);
        assert_eq!(report_at(0, &table, Level::Building).rooms[0].device, "building");
        // A room on no floor is in the sum of the site alone.
        let table = Rooms::new(vec![row("office", Some("1")), row("store", None)]).unwrap();
        let report = report_at(0, &table, Level::Floor);
        assert_eq!((report.rooms.len(), report.rooms[0].used_share), (1, Some(0.4)));
        assert!(report.site.work_hours > report.rooms[0].work_hours);
    }

    #[test]
    fn hours_before_the_first_reading_are_not_known() {
        let calendar = Calendar::default();
        let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
        // Read in every hour of the last seven of 28 days.
        let times: Vec<i64> = (21 * 24..28 * 24).map(|hour| monday + hour * HOUR).collect();
        let office = DeviceReadings { device: "office".into(), times: times.into(), ..DeviceReadings::default() };
        let hourly = Hourly::new(&Readings { devices: vec![office] }, &calendar, monday + 28 * 24 * HOUR);
        let report =
            report(&hourly, (&Rooms::default(), Level::Room), 4, &DEFAULT_WORK_HOURS.parse().unwrap(), &calendar);
        let of = |room: &Utilisation| (room.used_hours, room.work_hours, room.unknown_share);
        assert_eq!((of(&report.rooms[0]), of(&report.site)), ((168, 50, 0.75), (168, 50, 0.75)));
    }

    #[test]
    fn a_trend_is_that_of_the_weeks() {
        // An hour of fifty more every week, up to five of them within the working hours.
        let office = &report_of(1).rooms[0];
        let shares: Vec<f64> = (0..8).map(|week| (20.0 + f64::min(f64::from(week), 5.0)) / 50.0).collect();
        let expected: f64 = shares.iter().zip(0..).map(|(y, x)| (f64::from(x) - 3.5) * y).sum::<f64>() / 42.0;
        assert!((office.trend.unwrap() - expected).abs() < 1e-12);
        assert!(office.trend_noise.unwrap() < expected);
    }
}
