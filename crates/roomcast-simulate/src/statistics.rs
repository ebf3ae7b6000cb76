//! Statistics of the use of a site. They tell whether simulated sites are like real ones.
//!
//! A day of a device is known from its first to its last reading. A workday is a day that the calendar does not have
//! off; hours are those with at least one reading.

use std::collections::BTreeMap;

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{DeviceReadings, Readings};

use crate::chance::{Dice, Purpose, below, dice};

/// Length of a silence, days.
const SILENT_DAYS: usize = 7;

/// Length of a block of the level drift, workdays.
const BLOCK_DAYS: usize = 20;

/// Number of times that days are shuffled to find the drift of chance.
const SHUFFLES: usize = 20;

/// Share of the median workday's hours below which a building is nearly empty.
const EMPTY_SHARE: f64 = 0.3;

/// The first hour of the day that is no longer night.
const MORNING: u32 = 6;

/// Hours of a day from which a sensor counts as stuck on.
const STUCK_HOURS: u32 = 23;

/// Half-life of the kernel rate, and days before its first forecast.
const HALF_LIFE_DAYS: f64 = 21.0;
const WARM_UP_DAYS: usize = 28;

/// Hours of the device's share on days of the same type in the kernel rate, and bounds of the rate.
const SHRINK_HOURS: f64 = 1.0;
const FLOOR: f64 = 0.005;

/// Fewest pairs of days of a correlation.
const MIN_PAIRS: usize = 15;

/// Number of [`Statistics`].
pub const COUNT: usize = 13;

/// The names of [`Statistics::values`], with units.
pub const NAMES: [&str; COUNT] = [
    "a workday used or not: correlation with the next workday",
    "hours a day less the weekday's mean: correlation with the next workday",
    "level drift: SD of log means of 20 workdays beyond chance",
    "share of days inside silences of 7 days and more",
    "share of workdays with any use",
    "share of workdays on which the building is under 30 % of its median",
    "hours a weekend day / hours a workday",
    "share of occupied hours before 6:00",
    "SD of the first occupied hour of a workday, hours",
    "SD of the means of Monday to Friday / their mean",
    "log loss of the kernel rate / entropy of the base rate",
    "correlation between rooms of hours a day less the weekday's mean",
    "share of days of 23 hours and more",
];

/// Statistics of one site; none where the readings are too few.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Correlation of a room's workday used (1) or not (0) with its next workday, pooled over rooms.
    pub used_autocorrelation: Option<f64>,
    /// The same of the hours a workday, less the room's mean of that weekday.
    pub hours_autocorrelation: Option<f64>,
    /// Standard deviation of the logarithms of a room's mean hours in blocks of 20 workdays, beyond that of the same days
    /// shuffled (the root of the difference of variances), mean over rooms of at least three blocks with use.
    pub drift: Option<f64>,
    /// Share of a room's days inside of at least seven days in a row without a reading, mean over rooms.
    pub silent_days: Option<f64>,
    /// Share of a room's workdays with a reading, mean over rooms.
    pub used_days: Option<f64>,
    /// Share of the site's workdays on which all rooms together have less than 30 % of the hours of the median workday.
    pub empty_days: Option<f64>,
    /// Mean hours of a Saturday or Sunday as a share of those of a workday, all rooms together.
    pub weekend: Option<f64>,
    /// Share of occupied hours that begin from 0:00 to 5:00.
    pub night: Option<f64>,
    /// Standard deviation of the first occupied hour of a room's workdays, hours, mean over rooms.
    pub first_hour: Option<f64>,
    /// Standard deviation of the site's mean hours of Monday to Friday, as a share of their mean.
    pub weekdays: Option<f64>,
    /// Log loss of a room's decayed share of occupied hours at this hour on days of the same type, made from the days
    /// before, as a share of the entropy of the room's base rate. Pooled over rooms and days after four weeks.
    pub unpredictability: Option<f64>,
    /// Correlation between two rooms of the hours a workday, less the mean of that weekday, mean over pairs.
    pub between_rooms: Option<f64>,
    /// Share of a room's days with 23 and more occupied hours, pooled over rooms.
    pub stuck_days: Option<f64>,
}

/// One day of one device.
#[derive(Debug, Clone, Copy)]
struct Day {
    weekday: usize,
    off: bool,
    /// Hours with a reading, a bit set.
    hours: u32,
}

/// The days of one device from its first to its last reading.
struct Device {
    first: i32,
    days: Vec<Day>,
}

impl Statistics {
    /// Computes the statistics of a site.
    pub fn of(readings: &Readings, calendar: &Calendar) -> Self {
        let devices: Vec<Device> = readings.devices.iter().map(|device| Device::of(device, calendar)).collect();
        let residuals: Vec<BTreeMap<i32, f64>> = devices.iter().map(Device::residuals).collect();
        let all = || devices.iter().flat_map(|device| &device.days);
        let used = devices.iter().map(|device| device.workdays(|day| f64::from(u8::from(day.hours != 0))));
        let less_mean = devices.iter().zip(&residuals).map(|(device, own)| device.on_workdays(own));
        let hours: u32 = all().map(|day| day.hours.count_ones()).sum();
        let night: u32 = all().map(|day| (day.hours & ((1 << MORNING) - 1)).count_ones()).sum();
        let stuck = all().filter(|day| day.hours.count_ones() >= STUCK_HOURS).count();
        let dice = &mut dice(0, Purpose::Plan, 2, 0);
        let site = site_days(&devices);
        Self {
            used_autocorrelation: autocorrelation(used),
            hours_autocorrelation: autocorrelation(less_mean),
            drift: mean(devices.iter().filter_map(|device| device.drift(dice))),
            silent_days: mean(devices.iter().filter_map(Device::silent_days)),
            used_days: mean(
                devices.iter().filter_map(|device| mean(device.workdays(|day| f64::from(u8::from(day.hours != 0))))),
            ),
            empty_days: empty_days(&site),
            weekend: weekend(&site),
            night: (hours > 0).then(|| f64::from(night) / f64::from(hours)),
            first_hour: mean(devices.iter().filter_map(Device::first_hour)),
            weekdays: weekdays(&site),
            unpredictability: unpredictability(&devices),
            between_rooms: between_rooms(&residuals),
            stuck_days: (all().count() > 0).then(|| stuck as f64 / all().count() as f64),
        }
    }

    /// Returns the statistics in the order of [`NAMES`].
    pub fn values(&self) -> [Option<f64>; COUNT] {
        [
            self.used_autocorrelation,
            self.hours_autocorrelation,
            self.drift,
            self.silent_days,
            self.used_days,
            self.empty_days,
            self.weekend,
            self.night,
            self.first_hour,
            self.weekdays,
            self.unpredictability,
            self.between_rooms,
            self.stuck_days,
        ]
    }
}

impl Device {
    fn of(device: &DeviceReadings, calendar: &Calendar) -> Self {
        let mut first = 0;
        let mut days: Vec<Day> = Vec::new();
        let mut hours: Vec<_> = device.times.iter().map(|time| calendar.hour(time)).collect();
        hours.dedup();
        for hour in hours {
            let local = calendar.local(hour);
            if days.is_empty() {
                first = local.day;
            }
            while days.len() <= (local.day - first) as usize {
                let date = chrono::NaiveDate::default() + chrono::Days::new((first + days.len() as i32) as u64);
                let weekday = chrono::Datelike::weekday(&date).num_days_from_monday() as usize;
                days.push(Day { weekday, off: calendar.is_off(date), hours: 0 });
            }
            days[(local.day - first) as usize].hours |= 1 << local.hour;
        }
        Self { first, days }
    }

    /// Returns a value of each workday.
    fn workdays(&self, value: impl Fn(&Day) -> f64) -> Vec<f64> {
        self.days.iter().filter(|day| !day.off).map(value).collect()
    }

    /// Returns the hours of each workday less the mean of its weekday, by day.
    fn residuals(&self) -> BTreeMap<i32, f64> {
        let of_weekday = |weekday| {
            let same = self.days.iter().filter(|day| !day.off && day.weekday == weekday);
            mean(same.map(|day| f64::from(day.hours.count_ones()))).unwrap_or(0.0)
        };
        let means: [f64; 7] = std::array::from_fn(of_weekday);
        let days = (self.first..).zip(&self.days).filter(|(_, day)| !day.off);
        days.map(|(at, day)| (at, f64::from(day.hours.count_ones()) - means[day.weekday])).collect()
    }

    fn on_workdays(&self, by_day: &BTreeMap<i32, f64>) -> Vec<f64> {
        by_day.values().copied().collect()
    }

    fn drift(&self, dice: &mut Dice) -> Option<f64> {
        let mut hours = self.workdays(|day| f64::from(day.hours.count_ones()));
        let spread = |hours: &[f64]| {
            let blocks = hours.chunks_exact(BLOCK_DAYS).filter_map(|block| mean(block.iter().copied()));
            let logs: Vec<f64> = blocks.filter(|&mean| mean > 0.0).map(f64::ln).collect();
            (logs.len() >= 3).then(|| deviation(&logs).powi(2))
        };
        let own = spread(&hours)?;
        let mut shuffled = Vec::new();
        for _ in 0..SHUFFLES {
            for i in (1..hours.len()).rev() {
                hours.swap(i, below(dice, i + 1));
            }
            shuffled.extend(spread(&hours));
        }
        Some((own - mean(shuffled)?).max(0.0).sqrt())
    }

    fn silent_days(&self) -> Option<f64> {
        let silences = self.days.split(|day| day.hours != 0).map(<[Day]>::len);
        let silent: usize = silences.filter(|&days| days >= SILENT_DAYS).sum();
        (!self.days.is_empty()).then(|| silent as f64 / self.days.len() as f64)
    }

    fn first_hour(&self) -> Option<f64> {
        let used = self.days.iter().filter(|day| !day.off && day.hours != 0);
        let first: Vec<f64> = used.map(|day| f64::from(day.hours.trailing_zeros())).collect();
        (first.len() >= MIN_PAIRS).then(|| deviation(&first))
    }
}

/// Returns the correlation of each value with the next, less its series' mean, pooled over series.
fn autocorrelation(series: impl Iterator<Item = Vec<f64>>) -> Option<f64> {
    let (mut covariance, mut variance, mut pairs) = (0.0, 0.0, 0);
    for values in series {
        let mean = mean(values.iter().copied()).unwrap_or(0.0);
        for pair in values.windows(2) {
            let (before, after) = (pair[0] - mean, pair[1] - mean);
            covariance += before * after;
            variance += (before * before + after * after) / 2.0;
            pairs += 1;
        }
    }
    (pairs >= MIN_PAIRS && variance > 0.0).then(|| covariance / variance)
}

/// A day of the whole site.
struct SiteDay {
    weekday: usize,
    off: bool,
    /// Occupied hours of the rooms known on the day, and their number.
    hours: f64,
    rooms: f64,
}

fn site_days(devices: &[Device]) -> Vec<SiteDay> {
    let mut days: BTreeMap<i32, SiteDay> = BTreeMap::new();
    for device in devices {
        for (at, day) in (device.first..).zip(&device.days) {
            let site = SiteDay { weekday: day.weekday, off: day.off, hours: 0.0, rooms: 0.0 };
            let site = days.entry(at).or_insert(site);
            site.hours += f64::from(day.hours.count_ones());
            site.rooms += 1.0;
        }
    }
    days.into_values().collect()
}

fn empty_days(site: &[SiteDay]) -> Option<f64> {
    let mut levels: Vec<f64> = site.iter().filter(|day| !day.off).map(|day| day.hours / day.rooms).collect();
    levels.sort_unstable_by(f64::total_cmp);
    let median = *levels.get(levels.len() / 2)?;
    Some(levels.iter().filter(|&&level| level < EMPTY_SHARE * median).count() as f64 / levels.len() as f64)
}

fn weekend(site: &[SiteDay]) -> Option<f64> {
    let level = |of: &dyn Fn(&&SiteDay) -> bool| mean(site.iter().filter(of).map(|day| day.hours / day.rooms));
    let workday = level(&|day| !day.off).filter(|&level| level > 0.0)?;
    Some(level(&|day| day.weekday >= 5)? / workday)
}

fn weekdays(site: &[SiteDay]) -> Option<f64> {
    let of_weekday =
        |weekday| mean(site.iter().filter(|day| !day.off && day.weekday == weekday).map(|day| day.hours / day.rooms));
    let means: Vec<f64> = (0..5).filter_map(of_weekday).collect();
    let level = mean(means.iter().copied()).filter(|&level| level > 0.0)?;
    Some(deviation(&means) / level)
}

fn unpredictability(devices: &[Device]) -> Option<f64> {
    let decay = 0.5_f64.powf(1.0 / HALF_LIFE_DAYS);
    let (mut loss, mut entropy) = (0.0, 0.0);
    for device in devices {
        // Sums of weights of occupied hours, by hour of day and day type, and of days.
        let mut occupied = [[0.0; 2]; 24];
        let mut weight = [0.0; 2];
        let (mut hours, mut scored) = (0.0, 0.0);
        for (n, day) in device.days.iter().enumerate() {
            let off = usize::from(day.off);
            let level = occupied.iter().map(|sums| sums[off]).sum::<f64>() / f64::max(24.0 * weight[off], 1.0);
            for (hour, sums) in occupied.iter_mut().enumerate() {
                let is = f64::from(day.hours >> hour & 1);
                if n >= WARM_UP_DAYS {
                    let rate = (sums[off] + SHRINK_HOURS * level) / (weight[off] + SHRINK_HOURS);
                    let rate = rate.clamp(FLOOR, 1.0 - FLOOR);
                    loss -= is * rate.ln() + (1.0 - is) * (1.0 - rate).ln();
                    hours += is;
                    scored += 1.0;
                }
                *sums = sums.map(|sum| sum * decay);
                sums[off] += is;
            }
            weight = weight.map(|weight| weight * decay);
            weight[off] += 1.0;
        }
        let share = hours / f64::max(scored, 1.0);
        if share > 0.0 && share < 1.0 {
            entropy -= scored * (share * f64::ln(share) + (1.0 - share) * f64::ln(1.0 - share));
        }
    }
    (entropy > 0.0).then(|| loss / entropy)
}

fn between_rooms(residuals: &[BTreeMap<i32, f64>]) -> Option<f64> {
    let mut correlations = Vec::new();
    for (n, one) in residuals.iter().enumerate() {
        for other in &residuals[..n] {
            let pairs: Vec<(f64, f64)> = one.iter().filter_map(|(day, &a)| Some((a, *other.get(day)?))).collect();
            let a: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
            let b: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
            let (spread, means) = (deviation(&a) * deviation(&b), (mean(a.iter().copied()), mean(b.iter().copied())));
            if let (true, (Some(a), Some(b))) = (pairs.len() >= MIN_PAIRS && spread > 0.0, means) {
                let covariance = mean(pairs.iter().map(|pair| (pair.0 - a) * (pair.1 - b))).unwrap_or(0.0);
                correlations.push(covariance / spread);
            }
        }
    }
    mean(correlations)
}

/// Returns the mean of some values, if there are any.
fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.into_iter().fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

/// Returns the standard deviation of some values around their mean.
fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values.iter().copied()).unwrap_or(0.0);
    mean(values.iter().map(|value| (value - centre) * (value - centre))).unwrap_or(0.0).sqrt()
}

#[cfg(test)]
mod tests;
