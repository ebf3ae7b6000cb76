//! Profile of readings, to check them before training.

use chrono::{DateTime, NaiveDate};
use rayon::prelude::*;
use serde::Serialize;

use super::{DeviceReadings, Presence, Readings};
use crate::calendar::{Calendar, Hour, LocalHour, Timestamp};

/// A device chatters when it fires more than this many times as often in an occupied hour as the site's median device.
const CHATTER_RATIO: f64 = 20.0;

/// Number of overlong intervals from which a device counts as stuck.
const STUCK_INTERVALS: usize = 3;

/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// Statistics of a site's readings.
///
/// A device's time runs from the whole hour of its first reading to that of the site's last. Its state before is
/// unknown. After its last reading it may be dead, or its room empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Profile {
    /// First reading, RFC 3339; local wall time without offset where the site has no zone.
    pub first: Option<String>,
    /// Last reading, in the same form.
    pub last: Option<String>,
    /// Local days from the first reading's to the last's, both included.
    pub days: usize,
    /// Number of readings.
    pub readings: usize,
    /// Occupied hours among all hours of all devices, 0 to 1.
    pub occupied_share: f64,
    /// The same by hour of the local day, on workdays.
    pub workday_hours: [f64; 24],
    /// The same on days off: weekends, holidays, closures.
    pub day_off_hours: [f64; 24],
    /// Workdays on which no device has a reading: likely holidays missing in the calendar.
    pub silent_workdays: Vec<NaiveDate>,
    /// Median over devices of readings per occupied hour.
    pub median_readings_per_occupied_hour: f64,
    /// One entry per device, in order of name.
    pub devices: Vec<DeviceProfile>,
}

/// Statistics of one device's readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DeviceProfile {
    /// The device's name.
    pub device: String,
    /// First reading, as in [`Profile::first`].
    pub first: String,
    /// Last reading, as in [`Profile::first`].
    pub last: String,
    /// Number of readings.
    pub readings: usize,
    /// Hours with at least one reading.
    pub occupied_hours: usize,
    /// Occupied hours among the hours of its time, 0 to 1.
    pub occupied_share: f64,
    /// Occupied hours on workdays, per workday of its time.
    pub occupied_hours_per_workday: f64,
    /// Longest time without a reading, up to the end of the data, in days.
    pub longest_silence_days: f64,
    /// Whole workdays without a reading while another device had some. The first and the last day are not
    /// whole.
    pub silent_workdays: usize,
    /// Readings per occupied hour.
    pub readings_per_occupied_hour: f64,
    /// True when that is more than 20 times the median device's: a sensor that fires by itself.
    pub chattering: bool,
    /// True when the sensor says `off`, so that its room is occupied from `on` to `off`; else each `on` is a pulse.
    pub says_off: bool,
    /// Number of times that the sensor was on for longer than an interval may last.
    pub overlong: usize,
    /// True when that happened at least three times: the sensor is stuck, or its `off` is lost.
    pub stuck: bool,
    /// The third last time that it was on for too long, if it was so often.
    #[serde(skip)]
    pub stuck_since: Option<Timestamp>,
}

/// A device with motion, and what its edges say.
struct Known<'a> {
    readings: &'a DeviceReadings,
    presence: Presence,
}

/// Hours and days of the span, looked up once for all devices.
struct Span<'a> {
    calendar: &'a Calendar,
    start: Hour,
    end: Timestamp,
    hours: Vec<LocalHour>,
    /// The local day of the first hour.
    day: i32,
    /// True for workdays, by day of the span.
    workday: Vec<bool>,
}

/// Sums over occupied hours, of one device or many.
#[derive(Clone)]
struct Tally {
    /// True for days with a reading, by day of the span.
    active: Vec<bool>,
    /// Occupied hours by hour of the local day, workdays first, then days off.
    hours: [[u64; 24]; 2],
}

/// Returns the profile of the readings of the period in which the site was in use.
pub fn profile(readings: &Readings, calendar: &Calendar) -> Profile {
    let readings = &readings.alive(calendar.latest());
    let Some(span) = Span::new(readings, calendar) else { return Profile::default() };
    let known = readings.devices.par_iter().filter(|d| !d.times.is_empty());
    let known: Vec<Known<'_>> = known.map(|device| span.known(device)).collect();
    let (mut devices, site) = known
        .par_iter()
        .fold(
            || (Vec::new(), span.tally()),
            |(mut devices, mut site), device| {
                let (profile, tally) = span.device(device);
                devices.push((profile, tally.active.iter().zip(&span.workday).filter(|(a, w)| **a && **w).count()));
                site.add(&tally);
                (devices, site)
            },
        )
        .reduce(
            || (Vec::new(), span.tally()),
            |(mut devices, mut site), (more, tally)| {
                devices.extend(more);
                site.add(&tally);
                (devices, site)
            },
        );

    let rates = devices.iter().map(|(device, _)| device.readings_per_occupied_hour);
    let median = median(rates.collect());
    // Number of the site's active workdays at or after each day of the span.
    let mut active_from = vec![0; span.workday.len() + 1];
    for day in (0..span.workday.len()).rev() {
        active_from[day] = active_from[day + 1] + usize::from(site.active[day] && span.workday[day]);
    }
    for ((profile, active), device) in devices.iter_mut().zip(&known) {
        profile.chattering = profile.readings_per_occupied_hour > CHATTER_RATIO * median;
        let times = &device.presence.times;
        let installed = times.first().map_or(0, |first| span.day_of(first));
        // The last day counts as active, because it may be cut short.
        let (last, own_last) = (span.workday.len() - 1, times.last().map_or(0, |last| span.day_of(last)));
        let cut = usize::from(span.workday[last] && own_last < last);
        profile.silent_workdays = active_from[installed].saturating_sub(*active + cut);
    }

    let observed = span.observed(&known);
    let share = |day_type: usize| {
        std::array::from_fn(|hour| ratio(site.hours[day_type][hour] as f64, observed[day_type][hour] as f64))
    };
    let silent = (0..span.workday.len()).filter(|&day| span.workday[day] && !site.active[day]);
    let total = |sums: &[[u64; 24]; 2]| sums.iter().flatten().sum::<u64>() as f64;
    let (first, last) = readings.span().unwrap_or_default();
    Profile {
        first: Some(calendar.rfc3339(first)),
        last: Some(calendar.rfc3339(last)),
        days: span.workday.len(),
        readings: readings.len(),
        occupied_share: ratio(total(&site.hours), total(&observed)),
        workday_hours: share(0),
        day_off_hours: share(1),
        silent_workdays: silent.map(|day| date(span.day + day as i32)).collect(),
        median_readings_per_occupied_hour: median,
        devices: devices.into_iter().map(|(device, _)| device).collect(),
    }
}

impl<'a> Span<'a> {
    fn new(readings: &Readings, calendar: &'a Calendar) -> Option<Self> {
        let (first, end) = readings.span()?;
        let start = calendar.hour(first);
        let hours: Vec<LocalHour> = (start..=calendar.hour(end)).map(|hour| calendar.local(hour)).collect();
        let (day, last) = (hours.first()?.day, hours.last()?.day);
        let workday = (day..=last).map(|day| !calendar.is_off(date(day))).collect();
        Some(Self { calendar, start, end, hours, day, workday })
    }

    fn tally(&self) -> Tally {
        Tally { active: vec![false; self.workday.len()], hours: [[0; 24]; 2] }
    }

    /// Returns the hour of the span that contains an instant.
    fn hour_of(&self, instant: Timestamp) -> usize {
        (self.calendar.hour(instant) - self.start) as usize
    }

    /// Returns the day of the span that contains an instant.
    fn day_of(&self, instant: Timestamp) -> usize {
        (self.hours[self.hour_of(instant)].day - self.day) as usize
    }

    /// Returns a device with its presence up to the end of the data.
    fn known<'b>(&self, readings: &'b DeviceReadings) -> Known<'b> {
        Known { readings, presence: readings.presence_in_hindsight(self.calendar, self.end + 1) }
    }

    /// Returns the statistics of one device, and its part of the site's sums.
    fn device(&self, Known { readings, presence }: &Known<'_>) -> (DeviceProfile, Tally) {
        let (times, fired) = (&presence.times, readings.times.len());
        let (first, last) = (times.first().unwrap_or(self.end), times.last().unwrap_or(self.end));
        let mut tally = self.tally();
        let mut previous = None;
        for time in times {
            let hour = self.hour_of(time);
            if previous.replace(hour) != Some(hour) {
                let local = self.hours[hour];
                tally.active[(local.day - self.day) as usize] = true;
                tally.hours[usize::from(local.off)][usize::from(local.hour)] += 1;
            }
        }
        let [on_workdays, on_days_off] = tally.hours.map(|hours| hours.iter().sum::<u64>() as usize);
        let occupied = on_workdays + on_days_off;
        let hours = self.hours.len() - self.hour_of(first);
        let workdays = self.workday[self.day_of(first)..].iter().filter(|&&workday| workday).count();
        let silence =
            times.iter().zip(times.iter().skip(1)).map(|(a, b)| b - a).chain([self.end - last]).max().unwrap_or(0);
        let stuck_since = presence.overlong.iter().nth_back(STUCK_INTERVALS - 1).copied();
        let profile = DeviceProfile {
            device: readings.device.clone(),
            first: self.calendar.rfc3339(first),
            // The room may stay in use after it.
            last: self.calendar.rfc3339(readings.last().unwrap_or(last)),
            readings: fired,
            says_off: presence.says_off,
            overlong: presence.overlong.len(),
            stuck: stuck_since.is_some(),
            stuck_since,
            occupied_hours: occupied,
            occupied_share: ratio(occupied as f64, hours as f64),
            occupied_hours_per_workday: ratio(on_workdays as f64, workdays as f64),
            longest_silence_days: silence as f64 / DAY,
            readings_per_occupied_hour: ratio(fired as f64, occupied as f64),
            ..DeviceProfile::default()
        };
        (profile, tally)
    }

    /// Returns the hours of all devices by hour of the local day, workdays first, then days off.
    fn observed(&self, devices: &[Known<'_>]) -> [[u64; 24]; 2] {
        let mut starting = vec![0_u64; self.hours.len()];
        for first in devices.iter().filter_map(|device| device.presence.times.first()) {
            starting[self.hour_of(first)] += 1;
        }
        let (mut observed, mut running) = ([[0; 24]; 2], 0);
        for (local, starting) in self.hours.iter().zip(starting) {
            running += starting;
            observed[usize::from(local.off)][usize::from(local.hour)] += running;
        }
        observed
    }
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.active.iter_mut().zip(&other.active).for_each(|(here, there)| *here |= there);
        let pairs = self.hours.iter_mut().flatten().zip(other.hours.iter().flatten());
        pairs.for_each(|(here, there)| *here += there);
    }
}

fn date(day: i32) -> NaiveDate {
    DateTime::from_timestamp(i64::from(day) * 86_400, 0).unwrap_or_default().date_naive()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Returns the median of finite numbers, 0 without any.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => 0.0,
        n if n % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(devices: &[(&str, &[&str])]) -> Readings {
        let calendar = Calendar::default();
        let times = |texts: &[&str]| texts.iter().filter_map(|text| calendar.parse(text).ok()).collect();
        let device = |(name, texts): &(&str, &[&str])| DeviceReadings {
            device: (*name).into(),
            times: times(texts),
            ..DeviceReadings::default()
        };
        Readings { devices: devices.iter().map(device).collect() }
    }

    #[test]
    fn nothing_has_an_empty_profile() {
        assert_eq!(profile(&Readings::default(), &Calendar::default()), Profile::default());
        assert_eq!(profile(&readings(&[("a", &[])]), &Calendar::default()), Profile::default());
    }

    #[test]
    fn one_reading_is_one_occupied_hour() {
        let profile = profile(&readings(&[("a", &["2016-07-01 04:23:32"])]), &Calendar::default());
        assert_eq!((profile.days, profile.readings, profile.occupied_share), (1, 1, 1.0));
        assert_eq!(profile.devices[0].occupied_hours_per_workday, 1.0);
        assert_eq!(profile.devices[0].silent_workdays, 0);
        assert!(!profile.devices[0].chattering);
    }

    #[test]
    fn silence_is_counted_from_installation_to_the_end() {
        // Monday to the next Tuesday. Nobody has a reading on Thursday 7.
        let profile = profile(
            &readings(&[
                (
                    "a",
                    &[
                        "2016-07-04 09:00:00",
                        "2016-07-04 09:30:00",
                        "2016-07-05 09:00:00",
                        "2016-07-06 09:00:00",
                        "2016-07-08 09:00:00",
                        "2016-07-11 10:00:00",
                        "2016-07-12 08:59:59",
                    ],
                ),
                ("b", &["2016-07-05 09:00:00", "2016-07-09 11:00:00"]),
            ]),
            &Calendar::default(),
        );
        assert_eq!(profile.days, 9);
        assert_eq!(profile.silent_workdays, [date(16_989)]);
        assert_eq!(profile.silent_workdays[0].to_string(), "2016-07-07");
        let [a, b] = &profile.devices[..] else { panic!("two devices") };
        assert_eq!((a.occupied_hours, a.silent_workdays), (6, 0));
        assert_eq!(a.occupied_share, 6.0 / (8.0 * 24.0));
        assert_eq!(a.occupied_hours_per_workday, 6.0 / 7.0);
        // b is silent while a is active: Wednesday, Friday, Monday. The cut Tuesday does not count.
        assert_eq!(b.silent_workdays, 3);
        assert_eq!(b.longest_silence_days, 4.0 + 2.0 / 24.0);
        assert_eq!(b.occupied_hours_per_workday, 1.0 / 6.0);
        // At nine, a has five of seven workdays and b one of six. Tuesday's last hour is eight.
        assert_eq!(profile.workday_hours[9], 5.0 / 11.0);
        assert_eq!(profile.day_off_hours[11], 1.0 / 4.0);
    }

    #[test]
    fn the_last_reading_is_one_of_the_device_and_no_hour_in_use_after_it() {
        let calendar = Calendar::default();
        let at = |text: &str| calendar.parse(text).unwrap();
        // On at 9:05 for ever, while another sensor has its last reading at 12; off again at 10:00, which begins an hour.
        let device = |device: &str, ons: &[&str], offs: &[&str]| DeviceReadings {
            device: device.into(),
            times: ons.iter().map(|text| at(text)).collect(),
            offs: offs.iter().map(|text| at(text)).collect(),
        };
        let on = device("on", &["2016-07-04 07:00:00", "2016-07-04 09:05:00"], &["2016-07-04 07:30:00"]);
        let off = device("off", &["2016-07-04 09:05:00"], &["2016-07-04 10:00:00"]);
        let end = device("pulse", &["2016-07-04 12:00:00"], &[]);
        let profile = profile(&Readings { devices: vec![off, on, end] }, &calendar);
        let last: Vec<_> = profile.devices.iter().map(|device| (device.last.as_str(), device.occupied_hours)).collect();
        assert_eq!(last[..2], [("2016-07-04T10:00:00", 1), ("2016-07-04T09:05:00", 5)]);
    }

    #[test]
    fn a_device_far_above_the_median_chatters() {
        let calendar = Calendar::default();
        let base = calendar.parse("2016-07-04 09:00:00").unwrap_or_default();
        let device = |name: &str, n: i64| DeviceReadings {
            device: name.into(),
            times: (base..base + n).collect(),
            ..DeviceReadings::default()
        };
        let profile = profile(&Readings { devices: vec![device("a", 2), device("b", 41), device("c", 2)] }, &calendar);
        assert_eq!(profile.devices.iter().map(|d| d.chattering).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn days_of_23_and_25_hours_are_whole() {
        let calendar = Calendar::new(Some(chrono_tz::Tz::Europe__Berlin));
        for (from, to, hours) in
            [("2016-03-27 00:00:00", "2016-03-28 00:00:00", 24.0), ("2016-10-30 00:00:00", "2016-10-31 00:00:00", 26.0)]
        {
            let times = [from, to].iter().filter_map(|text| calendar.parse(text).ok()).collect();
            let profile = profile(
                &Readings { devices: vec![DeviceReadings { device: "a".into(), times, ..DeviceReadings::default() }] },
                &calendar,
            );
            assert_eq!(profile.devices[0].occupied_share, 2.0 / hours, "{from}");
            assert_eq!(profile.days, 2);
        }
    }
}
