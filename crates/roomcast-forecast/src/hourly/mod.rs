//! The dense hourly occupancy grid of each device: occupied, vacant or unobserved.
//!
//! A grid is made as of one origin from readings before it, so nothing later can be in it. Intervals become instants of
//! motion first ([`DeviceReadings::presence`]). Every state depends only on readings up to the end of its own hour. The grid of a longer history therefore begins with the grid of a shorter
//! one, so training rows from the past are the rows that a forecast at that time would have seen.

mod days;
mod states;
mod stuck;

pub use days::SiteDays;
pub use states::{State, States};

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, HOUR, Hour, LocalHour, Timestamp};
use crate::readings::{DeviceReadings, Readings, Times};

/// Number of hours from the origin that a forecast covers, unless it is to reach further.
pub const HORIZON: usize = 24;

/// Largest number of days that a forecast can reach.
pub const MAX_DAYS: usize = 7;

/// Seconds left of an hour below which it counts as observed: origins are often written as one second before the hour.
const NEARLY_OVER_SECONDS: i64 = 60;

/// Days without motion of a device after which it counts as silent if the site has moved since: also where the whole site
/// paused for most of them, so that no other device shows that this one does not speak.
const UNHEARD_DAYS: i32 = 365;

/// The status of a device at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Seen recently.
    Live,
    /// No motion for far longer than usual, or for over a year, while other sensors see motion. The room is empty, or the
    /// sensor dead.
    Silent,
    /// First seen less than a week ago.
    New,
}

/// The hours of one device.
#[derive(Debug, Clone)]
pub struct DeviceHours {
    /// The device's name.
    pub device: String,
    /// The hour of its first reading; nothing before it is an observation.
    pub first: Hour,
    /// One state per hour from `first` up to [`Hourly::end`].
    pub states: States,
    /// Days without motion, while other devices moved, before each local day from that of `first` to that of the first
    /// hour to forecast.
    pub silence: Vec<u16>,
    /// Instants of motion before the origin (seconds): [`Presence::times`](crate::readings::Presence::times).
    pub times: Times,
    /// The device's status at the origin.
    pub status: Status,
}

impl DeviceHours {
    /// Returns the number of hours with motion.
    pub fn hours_with_motion(&self, calendar: &Calendar) -> usize {
        self.times.hours(calendar).count()
    }

    /// Returns whether the sensor is stuck on at the origin. The last hour may not be over.
    pub fn is_stuck(&self) -> bool {
        self.states.iter().rev().take(2).any(|state| *state == State::Stuck)
    }
}

/// The grid of all devices of a site as of an origin.
#[derive(Debug, Clone)]
pub struct Hourly {
    /// The instant of the forecast; the grid holds only readings before it.
    pub origin: Timestamp,
    /// The earliest hour of any device.
    pub first: Hour,
    /// The instant at which `first` begins.
    pub start: Timestamp,
    /// The first hour to forecast; the grid ends before it.
    pub end: Hour,
    /// Devices in ascending order of name.
    pub devices: Vec<Arc<DeviceHours>>,
    /// Local date and time of each hour from `first` to the end of the hours to forecast.
    pub locals: Vec<LocalHour>,
    /// The last reading of the site, if the state of the hours after it is unknown: see [`Hourly::unless_stale`].
    pub stale: Option<Timestamp>,
}

impl Hourly {
    /// Builds the grid from readings before `origin`. It begins with the period of [`Readings::active_period`], and has
    /// no devices without a reading on it.
    pub fn new(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> Hourly {
        Hourly::with_days(readings, calendar, origin).0
    }

    /// Builds the same grid, unknown after the last reading if the site has been silent for longer than its nights,
    /// days off and usual pauses explain ([`SiteDays::stale_since`]). `heard` is the last sign of life of any sensor.
    pub fn unless_stale(
        readings: &Readings,
        calendar: &Calendar,
        origin: Timestamp,
        heard: Option<Timestamp>,
    ) -> Hourly {
        let (hourly, days) = Hourly::build(readings, calendar, origin, days::is_alive(origin, heard));
        match days.stale_since(&hourly, heard) {
            Some(since) => hourly.unobserved_since(since),
            None => hourly,
        }
    }

    /// Builds the grid as of an `origin` that is yet to come, unknown after the hour of `since`.
    pub fn unknown_since(readings: &Readings, calendar: &Calendar, origin: Timestamp, since: Timestamp) -> Hourly {
        Hourly::new(readings, calendar, origin).unobserved_since(since)
    }

    /// Returns the same grid for forecasts of 1 to [`MAX_DAYS`] times 24 hours. The first 24 hours of a forecast stay the
    /// same to the last bit.
    pub fn reaching(mut self, days: usize, calendar: &Calendar) -> Hourly {
        let reached = self.first + self.locals.len() as Hour;
        let end = self.end + (HORIZON * days.clamp(1, MAX_DAYS)) as Hour;
        self.locals.extend((reached..end).map(|hour| calendar.local(hour)));
        self
    }

    /// Returns the number of hours that a forecast on this grid covers.
    pub fn horizon(&self) -> usize {
        self.locals.len() - (self.end - self.first) as usize
    }

    /// Builds the same grid and returns the [`SiteDays`] with which [`Hourly::part`] builds some of the devices.
    pub(crate) fn with_days(readings: &Readings, calendar: &Calendar, origin: Timestamp) -> (Hourly, SiteDays) {
        Hourly::build(readings, calendar, origin, false)
    }

    /// Builds the grid; `is_alive` is true when the sensors are known to live at the origin.
    fn build(readings: &Readings, calendar: &Calendar, origin: Timestamp, is_alive: bool) -> (Hourly, SiteDays) {
        let known = readings.before(origin);
        let period = known.active_period(origin);
        let first = period.map_or(calendar.next_hour(origin), |(first, _)| calendar.hour(first));
        let known = period.map_or_else(Readings::default, |_| known);
        let mut hourly = Hourly::empty(calendar, origin, first);
        let known = hourly.motion(&known, calendar);
        let motion: Vec<Vec<i32>> = known.par_iter().map(|device| hourly.days_with_motion(device, calendar)).collect();
        let days = SiteDays::new(&motion, &hourly);
        hourly.fill(known, motion, calendar, &days, is_alive);
        (hourly, days)
    }

    /// Builds the grid of some of a site's devices, each as if all were there. It leaves out readings before the site's
    /// grid, and devices without a reading on it.
    pub fn part(readings: &Readings, calendar: &Calendar, origin: Timestamp, days: &SiteDays) -> Hourly {
        let mut hourly = Hourly::empty(calendar, origin, days.first_hour);
        let known = hourly.motion(readings, calendar);
        let motion = known.par_iter().map(|device| hourly.days_with_motion(device, calendar)).collect();
        hourly.fill(known, motion, calendar, days, false);
        hourly
    }

    /// Returns the grid without devices.
    fn empty(calendar: &Calendar, origin: Timestamp, first: Hour) -> Hourly {
        let end = calendar.next_hour(origin);
        let locals = (first..end + HORIZON as Hour).map(|hour| calendar.local(hour)).collect();
        Hourly { origin, first, start: calendar.start(first), end, devices: Vec::new(), locals, stale: None }
    }

    /// Returns the devices' instants of motion on the grid. Leaves out devices without any.
    fn motion(&self, readings: &Readings, calendar: &Calendar) -> Vec<Motion> {
        let motion = |device: &DeviceReadings| {
            let times = self.times(device, calendar);
            (!times.is_empty()).then(|| Motion { device: device.device.clone(), times })
        };
        readings.devices.par_iter().filter_map(motion).collect()
    }

    /// Returns a device's instants of motion on the grid.
    fn times(&self, device: &DeviceReadings, calendar: &Calendar) -> Times {
        device.since(self.start).presence(calendar, self.origin).times
    }

    /// Returns the local days with motion of a device, ascending.
    fn days_with_motion(&self, device: &Motion, calendar: &Calendar) -> Vec<i32> {
        let mut days: Vec<i32> = device.times.hours(calendar).map(|(hour, _)| self.local(hour).day).collect();
        days.dedup();
        days
    }

    /// Adds devices; `motion` holds the days with motion of each.
    fn fill(
        &mut self,
        devices: Vec<Motion>,
        motion: Vec<Vec<i32>>,
        calendar: &Calendar,
        days: &SiteDays,
        is_alive: bool,
    ) {
        let site_silence = days.site_silence(self, is_alive);
        let hours = |(device, motion)| Arc::new(device_hours(device, motion, calendar, self, days, &site_silence));
        self.devices = devices.into_par_iter().zip(motion).map(hours).collect();
    }

    /// Returns the local date and time of an hour of the grid or its horizon.
    pub fn local(&self, hour: Hour) -> LocalHour {
        self.locals[(hour - self.first) as usize]
    }

    /// Returns the hour of an instant, as a position on the grid, and the share of it (0 to 1) that has passed. The
    /// last minute of an hour counts as the start of the next, as in the grid itself.
    pub fn position_at(&self, instant: Timestamp) -> (usize, f32) {
        let since = instant - self.start;
        let (hour, passed) = (since.div_euclid(HOUR) as usize, since.rem_euclid(HOUR));
        if HOUR - passed < NEARLY_OVER_SECONDS { (hour + 1, 0.0) } else { (hour, passed as f32 / HOUR as f32) }
    }

    /// Returns the same grid with the new readings of one device, at position `device`, in the running hour. It equals
    /// a grid built from all the device's `readings`; the other devices are shared. `None` when more than that device
    /// would change: for motion before the running hour, or in the last hour of a local day, which decides which devices
    /// are silent on the next.
    pub fn with_readings(&self, device: usize, readings: &DeviceReadings, calendar: &Calendar) -> Option<Hourly> {
        let old = self.devices.get(device)?;
        let times = self.times(readings, calendar);
        if times == old.times {
            return Some(self.clone());
        }
        // Motion after so long may change the status of this device and of others.
        if old.times.last().is_none_or(|last| self.origin - last >= i64::from(UNHEARD_DAYS - 1) * 24 * HOUR) {
            return None;
        }
        let (at, passed) = self.position_at(self.origin);
        let running = self.start + at as i64 * HOUR;
        let same_day = self.locals.get(at)?.day == self.local(self.end).day;
        if passed == 0.0 || !same_day || times.before(running) != old.times.before(running) || times.last()? < running {
            return None;
        }
        let mut new = self.clone();
        new.devices[device] = Arc::new(DeviceHours { times, ..DeviceHours::clone(old) });
        Some(new)
    }

    /// Sets the hours after the last reading of a stale site to unobserved.
    fn unobserved_since(mut self, since: Timestamp) -> Hourly {
        let from = self.position_at(since).0 as Hour + 1 + self.first;
        for device in &mut self.devices {
            let device = Arc::make_mut(device);
            let known = (from - device.first).clamp(0, device.states.len() as Hour) as usize;
            let mut states: Vec<State> = device.states.iter().copied().collect();
            states[known..].fill(State::Unobserved);
            device.states = States::from(&states[..]);
            // A silence that all sensors share is no evidence about one of them.
            if device.status == Status::Silent && device.times.last().is_some_and(|time| since - time < 7 * 24 * HOUR) {
                device.status = Status::Live;
            }
        }
        self.stale = Some(since);
        self
    }

    /// Returns the last local day that can be known; habits do not fade after it.
    pub(crate) fn last_known_day(&self) -> i32 {
        let last = |since| self.locals.get(self.position_at(since).0).map_or(i32::MAX, |local| local.day);
        self.stale.map_or(i32::MAX, last)
    }

    /// Returns the position of a device by name.
    pub fn position(&self, device: &str) -> Option<usize> {
        self.devices.binary_search_by(|d| d.device.as_str().cmp(device)).ok()
    }
}

/// A device and its instants of motion on a grid; at least one.
struct Motion {
    device: String,
    times: Times,
}

/// Returns the hours of one device on a grid; `motion` holds its days with motion, `site_silence` the
/// grid's days of [`SiteDays::site_silence`].
fn device_hours(
    device: Motion,
    motion: Vec<i32>,
    calendar: &Calendar,
    grid: &Hourly,
    days: &SiteDays,
    site_silence: &[bool],
) -> DeviceHours {
    let (origin, end) = (grid.origin, grid.end);
    // A device on a grid has an instant.
    let first_time = device.times.first().unwrap_or(grid.start);
    let first = calendar.hour(first_time);
    let mut states = vec![State::Vacant; (end - first) as usize];
    for (hour, _) in device.times.hours(calendar) {
        states[(hour - first) as usize] = State::Occupied;
    }
    let silence = days.silence(&motion);
    let local = |hour: Hour| grid.local(hour);
    let first_day = local(first).day;
    for (offset, state) in states.iter_mut().enumerate() {
        let day = local(first + offset as Hour).day;
        let (_, silent) = silence[(day - first_day) as usize];
        if (silent || site_silence[(day - grid.locals[0].day) as usize]) && *state == State::Vacant {
            *state = State::Unobserved;
        }
    }
    let today = (local(end).day - first_day) as usize;
    let (_, silent_now) = silence[today];
    let silent_days = silence[..=today].iter().map(|(still, _)| (*still).min(u32::from(u16::MAX)) as u16).collect();
    stuck::mark(&mut states);
    // The running hour is not over. To count it only once motion was seen would make such hours look busier than they
    // are. Its readings are in `times`.
    if end > first && calendar.start(end) - origin >= NEARLY_OVER_SECONDS {
        let last = states.len() - 1;
        states[last] = State::Unobserved;
    }
    let is_unheard = motion.last().zip(days.last_active()).is_some_and(|(own, site)| site - own > UNHEARD_DAYS);
    let status = if silent_now || is_unheard {
        Status::Silent
    } else if origin - first_time < 7 * 24 * HOUR {
        Status::New
    } else {
        Status::Live
    };
    DeviceHours {
        device: device.device,
        first,
        states: States::from(&states[..]),
        silence: silent_days,
        times: device.times,
        status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rooms of 2016, of which one speaks again in 2026, on the day of the origin.
    #[test]
    fn a_sensor_unheard_for_years_is_silent_once_another_speaks_again() {
        let calendar = Calendar::default();
        let at = |text: &str| calendar.parse(text).unwrap();
        let old: Vec<Timestamp> = (0..30).map(|day| at("2016-08-01 09:30:00") + day * 24 * HOUR).collect();
        let device = |name: &str, more: &[Timestamp]| DeviceReadings {
            device: name.into(),
            times: old.iter().chain(more).copied().collect(),
            ..DeviceReadings::default()
        };
        let now = at("2026-11-29 12:00:00");
        let status = |devices: Vec<DeviceReadings>, origin| {
            let hourly = Hourly::new(&Readings { devices }, &calendar, origin);
            hourly.devices.iter().map(|device| device.status).collect::<Vec<_>>()
        };
        let spoken = [now - HOUR, now - HOUR + 60];
        let rooms = || vec![device("a", &spoken), device("b", &[])];
        assert_eq!(status(rooms(), now), [Status::Live, Status::Silent]);
        // Before it speaks, the silence is one of the site.
        assert_eq!(status(rooms(), now - 2 * HOUR)[0], status(rooms(), now - 2 * HOUR)[1]);
        let before =
            Hourly::new(&Readings { devices: vec![device("a", &[]), device("b", &[])] }, &calendar, now - 1800);
        assert!(before.with_readings(0, &device("a", &spoken[..1]), &calendar).is_none());
    }

    /// An office used from 9 to 17 on workdays, then nothing for two weeks.
    #[test]
    fn a_lasting_silence_is_unknown_unless_the_sensors_are_known_to_live() {
        let calendar = Calendar::default();
        let monday = calendar.parse("2024-02-05 00:00:00").unwrap();
        let hours = (0..28 * 24).filter(|hour| hour / 24 % 7 < 5 && (9..17).contains(&(hour % 24)));
        let times = hours.map(|hour| monday + hour * HOUR).collect();
        let readings =
            Readings { devices: vec![DeviceReadings { device: "office".into(), times, ..DeviceReadings::default() }] };
        let origin = monday + 42 * 24 * HOUR;
        let state = |heard, day: usize| {
            let hourly = Hourly::unless_stale(&readings, &calendar, origin, heard);
            hourly.devices[0].states[day * 24 + 1]
        };
        let alive = Some(origin - HOUR);
        // Monday and Tuesday of the fifth week are still usual; the grid begins at 9 o'clock.
        let silent = Hourly::new(&readings, &calendar, origin);
        let of = |day: usize| silent.devices[0].states[day * 24 + 1];
        assert_eq!(
            [of(28), of(29), of(30), of(37)],
            [State::Vacant, State::Vacant, State::Unobserved, State::Unobserved]
        );
        assert_eq!([state(alive, 30), state(alive, 37)], [State::Vacant, State::Vacant]);
    }
}
