//! The dense hourly occupancy grid of each device: occupied, vacant or unobserved.
//!
//! A grid is made as of one origin from readings before it, so nothing later can be in it. Every
//! state depends only on readings up to the end of its own hour: the grid of a longer history
//! begins with the grid of a shorter one, which is what lets training rows from the past be
//! the rows a forecast at that time would have seen.

mod days;

pub use days::SiteDays;

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, HOUR, Hour, Instant, LocalHour};
use crate::readings::{DeviceReadings, Readings, Times};

/// Hours from the origin that a forecast covers.
pub const HORIZON: usize = 24;

/// An hour of which less than this many seconds are still to come counts as observed: origins are
/// often written as one second before the hour.
const NEARLY_OVER: i64 = 60;

/// What is known of one device in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No motion while the sensor was believed alive.
    Vacant = 0,
    /// At least one motion.
    Occupied = 1,
    /// Not over yet, or the sensor has been silent for long: nothing can be said.
    Unobserved = 2,
}

impl State {
    /// 1 or 0, or nothing when unobserved.
    pub fn value(self) -> Option<f32> {
        match self {
            State::Vacant => Some(0.0),
            State::Occupied => Some(1.0),
            State::Unobserved => None,
        }
    }
}

/// How a device stands at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Seen recently.
    Live,
    /// No motion for far longer than usual while the building lives: empty for long, or dead.
    Silent,
    /// First seen less than a week ago.
    New,
}

/// One device's hours.
#[derive(Debug, Clone)]
pub struct DeviceHours {
    /// The device's name.
    pub device: String,
    /// The hour of its first reading; nothing before it is an observation.
    pub first: Hour,
    /// One state per hour from `first` up to [`Hourly::end`].
    pub states: Vec<State>,
    /// Days without motion, while the building lived, before the day of each hour; one entry more than
    /// `states`, the last for the first hour to forecast.
    pub silence: Vec<u16>,
    /// Instants of motion before the origin, ascending (seconds).
    pub times: Times,
    /// How the device stands at the origin.
    pub status: Status,
}

/// The grid of all devices of a site as of an origin.
#[derive(Debug, Clone)]
pub struct Hourly {
    /// Only readings before this instant are in the grid.
    pub origin: Instant,
    /// The earliest hour of any device.
    pub first: Hour,
    /// The instant at which `first` begins.
    pub start: Instant,
    /// The first hour to forecast; the grid ends before it.
    pub end: Hour,
    /// Devices in ascending order of name.
    pub devices: Vec<Arc<DeviceHours>>,
    /// Local date and time of each hour from `first` to `end + HORIZON`.
    pub locals: Vec<LocalHour>,
    /// The last reading of the site, where the silence since says nothing: see [`Hourly::unless_stale`].
    pub stale: Option<Instant>,
}

impl Hourly {
    /// Lays readings before `origin` on the hourly grid, which begins where the site lived: see [`Readings::lived`].
    /// Devices without a reading on it are left out.
    pub fn new(readings: &Readings, calendar: &Calendar, origin: Instant) -> Hourly {
        Hourly::with_days(readings, calendar, origin).0
    }

    /// The same, but that nothing is known after the last reading where the site has been silent for longer than its nights,
    /// days off and habits explain: see [`SiteDays::stale_since`]. `heard` is the last sign of life of any sensor.
    pub fn unless_stale(readings: &Readings, calendar: &Calendar, origin: Instant, heard: Option<Instant>) -> Hourly {
        let (hourly, days) = Hourly::with_days(readings, calendar, origin);
        match days.stale_since(&hourly, heard) {
            Some(since) => hourly.unobserved_since(since),
            None => hourly,
        }
    }

    /// The same, with what the site as a whole says of its days: with it [`Hourly::part`] lays some of the devices.
    pub fn with_days(readings: &Readings, calendar: &Calendar, origin: Instant) -> (Hourly, SiteDays) {
        let known = readings.before(origin);
        let lived = known.lived(origin);
        let first = lived.map_or(calendar.next_hour(origin), |(first, _)| calendar.hour(first));
        let known = lived.map_or_else(Readings::default, |(first, _)| known.since(first));
        let mut hourly = Hourly::empty(calendar, origin, first);
        let motion: Vec<Vec<i32>> = known.devices.par_iter().map(|device| hourly.motion(device, calendar)).collect();
        let days = SiteDays::new(&motion, &hourly);
        hourly.fill(known, motion, calendar, &days);
        (hourly, days)
    }

    /// Lays readings of some of a site's devices on the site's grid: each is laid as among all of them. Readings before the
    /// grid, and devices without any on it, are left out.
    pub fn part(readings: &Readings, calendar: &Calendar, origin: Instant, days: &SiteDays) -> Hourly {
        let mut hourly = Hourly::empty(calendar, origin, days.first_hour);
        let known = readings.before(origin).since(hourly.start);
        let motion = known.devices.par_iter().map(|device| hourly.motion(device, calendar)).collect();
        hourly.fill(known, motion, calendar, days);
        hourly
    }

    /// The grid without devices.
    fn empty(calendar: &Calendar, origin: Instant, first: Hour) -> Hourly {
        let end = calendar.next_hour(origin);
        let locals = (first..end + HORIZON as Hour).map(|hour| calendar.local(hour)).collect();
        Hourly { origin, first, start: calendar.start(first), end, devices: Vec::new(), locals, stale: None }
    }

    /// The local days on which a device moved, ascending.
    fn motion(&self, device: &DeviceReadings, calendar: &Calendar) -> Vec<i32> {
        let mut days: Vec<i32> = device.times.iter().map(|&time| self.local(calendar.hour(time)).day).collect();
        days.dedup();
        days
    }

    /// Lays devices, of which `motion` holds the days with motion.
    fn fill(&mut self, readings: Readings, motion: Vec<Vec<i32>>, calendar: &Calendar, days: &SiteDays) {
        let lay = |(device, motion)| Arc::new(lay(device, motion, calendar, self, days));
        self.devices = readings.devices.into_par_iter().zip(motion).map(lay).collect();
    }

    /// Local date and time of an hour of the grid or its horizon.
    pub fn local(&self, hour: Hour) -> LocalHour {
        self.locals[(hour - self.first) as usize]
    }

    /// The hour in which an instant lies, as a position on the grid, and the share of it (0 to 1) that has
    /// passed. The last minute of an hour counts as the start of the next, as in the grid itself.
    pub fn place(&self, instant: Instant) -> (usize, f32) {
        let since = instant - self.start;
        let (hour, passed) = (since.div_euclid(HOUR) as usize, since.rem_euclid(HOUR));
        if HOUR - passed < NEARLY_OVER { (hour + 1, 0.0) } else { (hour, passed as f32 / HOUR as f32) }
    }

    /// The same grid with what one device, at position `device`, has shown since in the hour that the origin cuts: equal
    /// to the grid made anew from all its `times`, and the other devices are shared. None where more than that
    /// device would change: for times before that hour or in the last hour of a local day, which decides who is silent
    /// on the next.
    pub fn with_times(&self, device: usize, times: &Times) -> Option<Hourly> {
        let old = self.devices.get(device)?;
        let times = times.before(self.origin).since(self.start);
        let (at, passed) = self.place(self.origin);
        let running = self.start + at as i64 * HOUR;
        let known = old.times.partition_point(|&time| time < running);
        let same_day = self.locals.get(at)?.day == self.local(self.end).day;
        if passed == 0.0 || !same_day || times.get(..known) != old.times.get(..known) || times.get(known)? < &running {
            return None;
        }
        let mut new = self.clone();
        new.devices[device] = Arc::new(DeviceHours { times, ..DeviceHours::clone(old) });
        Some(new)
    }

    /// Forgets what silence seemed to say of the devices after the last reading of a site that is stale.
    fn unobserved_since(mut self, since: Instant) -> Hourly {
        let from = self.place(since).0 as Hour + 1 + self.first;
        for device in &mut self.devices {
            let device = Arc::make_mut(device);
            let known = (from - device.first).clamp(0, device.states.len() as Hour) as usize;
            device.states[known..].fill(State::Unobserved);
            // A silence that all sensors share says nothing of one.
            if device.status == Status::Silent && device.times.last().is_some_and(|&time| since - time < 7 * 24 * HOUR)
            {
                device.status = Status::Live;
            }
        }
        self.stale = Some(since);
        self
    }

    /// Returns the last local day of which anything can be known: a habit does not fade while nobody is heard.
    pub fn last_known_day(&self) -> i32 {
        let last = |since| self.locals.get(self.place(since).0).map_or(i32::MAX, |local| local.day);
        self.stale.map_or(i32::MAX, last)
    }

    /// The position of a device by name.
    pub fn position(&self, device: &str) -> Option<usize> {
        self.devices.binary_search_by(|d| d.device.as_str().cmp(device)).ok()
    }
}

/// The hours of one device, which moved on the days `motion`, on a grid.
fn lay(device: DeviceReadings, motion: Vec<i32>, calendar: &Calendar, grid: &Hourly, days: &SiteDays) -> DeviceHours {
    let (origin, end) = (grid.origin, grid.end);
    let first = calendar.hour(device.times[0]);
    let mut states = vec![State::Vacant; (end - first) as usize];
    for &time in &device.times {
        states[(calendar.hour(time) - first) as usize] = State::Occupied;
    }
    let silence = days.silence(&motion);
    let local = |hour: Hour| grid.local(hour);
    let first_day = local(first).day;
    let mut silent_days = Vec::with_capacity(states.len() + 1);
    for (offset, state) in states.iter_mut().enumerate() {
        let (still, silent) = silence[(local(first + offset as Hour).day - first_day) as usize];
        silent_days.push(still.min(u32::from(u16::MAX)) as u16);
        if silent && *state == State::Vacant {
            *state = State::Unobserved;
        }
    }
    let (still, silent_now) = silence[(local(end).day - first_day) as usize];
    silent_days.push(still.min(u32::from(u16::MAX)) as u16);
    // The hour that the origin cuts is not over: to count it where motion was seen, and not where none was yet,
    // would make such hours look busier than they are. What it has shown is in `times`.
    if end > first && calendar.start(end) - origin >= NEARLY_OVER {
        let last = states.len() - 1;
        states[last] = State::Unobserved;
    }
    let status = if silent_now {
        Status::Silent
    } else if origin - device.times[0] < 7 * 24 * HOUR {
        Status::New
    } else {
        Status::Live
    };
    DeviceHours { device: device.device, first, states, silence: silent_days, times: device.times, status }
}
