//! The dense hourly occupancy grid of each device: occupied, vacant or unobserved.
//!
//! A grid is made as of one origin from readings before it, so nothing later can be in it. Every
//! state depends only on readings up to the end of its own hour: the grid of a longer history
//! begins with the grid of a shorter one, which is what lets training rows from the past be
//! the rows a forecast at that time would have seen.

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

/// Lively days without motion, at least, before a device counts as silent.
const SILENT_AFTER: u32 = 5;

/// Calendar days without motion before the only device of a site counts as silent.
const ALONE_SILENT_AFTER: i32 = 14;

/// Whole working days without a reading of any device, at least, before nothing is known of the site.
const STALE_AFTER: u32 = 2;

/// Seconds before the origin in which a sign of life of any sensor shows that a site without motion is empty.
const SIGN_OF_LIFE: i64 = 24 * HOUR;

/// How much longer than its usual gaps a device's stillness must be before it counts as silent.
const GAP_FACTOR: u32 = 2;

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
}

impl Hourly {
    /// Lays readings before `origin` on the hourly grid, which begins where the site lived: see [`Readings::lived`].
    /// Devices without a reading on it are left out.
    pub fn new(readings: &Readings, calendar: &Calendar, origin: Instant) -> Hourly {
        Hourly::with_days(readings, calendar, origin).0
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
        Hourly { origin, first, start: calendar.start(first), end, devices: Vec::new(), locals }
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

    /// Returns the last reading of the site when it is longer ago than its nights, days off and habits explain: two whole
    /// working days or more, and more than any pause before. Nothing is known of the site since then, unless one of its
    /// sensors was `heard` in the last day before the origin (a "no motion" is a sign of life): then it really is empty.
    pub fn stale_since(&self, heard: Option<Instant>) -> Option<Instant> {
        if heard.is_some_and(|heard| heard < self.origin && self.origin - heard < SIGN_OF_LIFE) {
            return None;
        }
        let last = self.devices.iter().filter_map(|device| device.times.last()).max().copied()?;
        // Soon told for a site that lives: what follows looks at every hour of every device.
        if self.origin - last < i64::from(STALE_AFTER) * 24 * HOUR {
            return None;
        }
        let (position, _) = self.place(self.origin);
        let today = self.locals.get(position)?.day;
        let mut days: Vec<(i32, bool)> = self.locals.iter().map(|hour| (hour.day, hour.off)).collect();
        days.dedup();
        days.retain(|&(day, _)| day < today);
        let mut active: Vec<i32> = self.devices.iter().flat_map(|device| self.days_with_motion(device)).collect();
        active.sort_unstable();
        active.dedup();
        let (mut still, mut longest) = (0, 0);
        for (day, off) in days {
            if active.binary_search(&day).is_ok() {
                longest = longest.max(still);
                still = 0;
            } else if !off {
                still += 1;
            }
        }
        let is_heard_today = active.last().is_some_and(|&day| day >= today);
        (!is_heard_today && still >= STALE_AFTER && still > longest).then_some(last)
    }

    /// Local days on which a device moved, ascending, with repetitions.
    fn days_with_motion<'a>(&'a self, device: &'a DeviceHours) -> impl Iterator<Item = i32> + 'a {
        let first = (device.first - self.first) as usize;
        let occupied = device.states.iter().enumerate().filter(|(_, state)| **state == State::Occupied);
        occupied.filter_map(move |(at, _)| self.locals.get(first + at)).map(|hour| hour.day)
    }

    /// The same grid with nothing known of any device from the hour after `since` on.
    pub fn unobserved_since(mut self, since: Instant) -> Hourly {
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
        self
    }

    /// The position of a device by name.
    pub fn position(&self, device: &str) -> Option<usize> {
        self.devices.binary_search_by(|d| d.device.as_str().cmp(device)).ok()
    }
}

/// How many devices of a site moved, and had been seen, on each local day: all that a device's hours take from the others'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDays {
    /// First hour of the site's grid.
    pub first_hour: Hour,
    /// First local day of the grid.
    first: i32,
    /// Per day, the number of devices with motion.
    active: Vec<u32>,
    /// Per day, the number of devices seen on or before it.
    seen: Vec<u32>,
}

impl SiteDays {
    /// Counts the days with motion of all devices of a grid.
    fn new(motion: &[Vec<i32>], hourly: &Hourly) -> SiteDays {
        let (first, last) = match (hourly.locals.first(), hourly.locals.last()) {
            (Some(a), Some(b)) => (a.day, b.day),
            _ => (0, 0),
        };
        let mut active = vec![0; (last - first + 1) as usize];
        let mut seen = active.clone();
        for days in motion {
            for &day in days {
                active[(day - first) as usize] += 1;
            }
            if let Some(&day) = days.first() {
                seen[(day - first) as usize] += 1;
            }
        }
        for day in 1..seen.len() {
            seen[day] += seen[day - 1];
        }
        SiteDays { first_hour: hourly.first, first, active, seen }
    }

    /// Whether enough devices other than one that was still that day show that the building lived.
    fn lively(&self, day: i32) -> bool {
        let at = (day - self.first) as usize;
        let others = self.seen[at].saturating_sub(1);
        self.active[at] >= 1.max(others.div_ceil(4))
    }

    /// Whether no other device had been seen before a day.
    fn alone(&self, day: i32) -> bool {
        self.seen[(day - 1 - self.first).max(0) as usize] <= 1
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
    let silence = silence(&motion, days);
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

/// For each day from a device's first: lively days without motion before it, and whether that is
/// more than the device's own habit explains. Day `d` looks only at days before `d`.
fn silence(motion: &[i32], days: &SiteDays) -> Vec<(u32, bool)> {
    let (Some(&first), last) = (motion.first(), days.first + days.active.len() as i32) else { return Vec::new() };
    let mut out = Vec::with_capacity((last - first) as usize);
    let (mut next, mut still, mut last_motion) = (0, 0_u32, first);
    // The second longest gap is a habit, the longest may be the one time the battery was empty.
    let mut longest = [0_u32; 2];
    for day in first..last {
        let limit = SILENT_AFTER.max(GAP_FACTOR * longest[1]);
        let silent = if days.alone(day) { day - last_motion > ALONE_SILENT_AFTER } else { still >= limit };
        out.push((still, silent));
        if motion.get(next) == Some(&day) {
            if still > longest[0] {
                longest = [still, longest[0]];
            } else {
                longest[1] = longest[1].max(still);
            }
            (next, still, last_motion) = (next + 1, 0, day);
        } else if days.lively(day) {
            still += 1;
        }
    }
    out
}
