//! The period in which a site lived, without rows whose clock was never set or ran ahead.

use super::{DeviceReadings, Readings, Times};
use crate::calendar::{HOUR, Instant};

const DAY: i64 = 24 * HOUR;

/// Longest cluster of readings that can be a clock's error, and the silence of the whole site that separates it.
const CLUSTER: i64 = 7 * DAY;
const APART: i64 = 365 * DAY;

/// Length of the history that forecasts use. Older readings no longer change a rate, but would lengthen every device's
/// grid.
const WINDOW: i64 = 5 * 365 * DAY;

/// Most readings of a last cluster that can be a clock's error. After more of them a site has come back to life.
const FEW: usize = 10;

/// Age up to which a last cluster is the site coming back to life instead of an error.
const FRESH: i64 = 48 * HOUR;

impl Readings {
    /// Returns the first and the last reading of the period in which the site lived. Only readings before `now` count.
    ///
    /// Outside it are readings at or after `now`, clusters of at most a week that a year without any reading separates
    /// from the rest (a clock that was never set shows 1971 or 2000; a last cluster has at most ten readings), and
    /// readings older than five years, counted from the last reading that has more than ten in the five years up to it.
    /// Where most devices have readings at or after `now` alone, the building is simulated or this clock is wrong; then
    /// none counts as too late. Returns none without readings.
    pub fn lived(&self, now: Instant) -> Option<(Instant, Instant)> {
        let (first, last) = self.bulk(now)?;
        // Whole days keep the window from moving with each reading.
        let window = |end: Instant| (end - WINDOW).div_euclid(DAY) * DAY;
        let mut end = last;
        while self.between(window(end), end) <= FEW
            && let Some(earlier) = self.last_before(window(end)).filter(|&earlier| earlier >= first)
        {
            end = earlier;
        }
        let begins = self.first_from(first.max(window(end)))?;
        Some((begins, last))
    }

    /// Returns the number of readings from `from` to `to`, both included.
    fn between(&self, from: Instant, to: Instant) -> usize {
        let times = |device: &DeviceReadings| before(&device.times, to.saturating_add(1)) - before(&device.times, from);
        self.devices.iter().map(times).sum()
    }

    /// Returns the first reading at or after an instant.
    fn first_from(&self, from: Instant) -> Option<Instant> {
        let first = |device: &DeviceReadings| device.times.get(before(&device.times, from)).copied();
        self.devices.iter().filter_map(first).min()
    }

    /// Returns the last reading before an instant.
    fn last_before(&self, limit: Instant) -> Option<Instant> {
        let last = |device: &DeviceReadings| device.times[..before(&device.times, limit)].last().copied();
        self.devices.iter().filter_map(last).max()
    }

    /// Returns the first and the last reading without clusters that can be a clock's error, and without readings at or
    /// after `now`.
    pub fn bulk(&self, now: Instant) -> Option<(Instant, Instant)> {
        let is_known = |device: &&DeviceReadings| device.times.first().is_some_and(|&first| first < now);
        let known = self.devices.iter().filter(is_known).count();
        let limit = if 2 * known < self.devices.len() { Instant::MAX } else { now };
        let mut last = self.last_before(limit)?;
        while limit.saturating_sub(last) > FRESH
            && let Some(earlier) = self.last_before(last - CLUSTER)
            && last - CLUSTER - earlier > APART
            && self.between(last - CLUSTER, last) <= FEW
        {
            last = earlier;
        }
        let mut first = self.first_from(Instant::MIN)?;
        while let Some(later) = self.first_from(first + CLUSTER).filter(|&later| later <= last)
            && later - (first + CLUSTER) > APART
        {
            first = later;
        }
        Some((first, last))
    }

    /// Returns the readings outside the bulk as of `now`, with their devices.
    pub fn strays(&self, now: Instant) -> Vec<DeviceReadings> {
        let Some((first, last)) = self.bulk(now) else { return Vec::new() };
        let outside = |device: &DeviceReadings| {
            let times = &device.times;
            let (from, to) = (before(times, first), before(times, last + 1));
            let strays: Times = times[..from].iter().chain(&times[to..]).copied().collect();
            (!strays.is_empty()).then(|| DeviceReadings { device: device.device.clone(), times: strays })
        };
        self.devices.iter().filter_map(outside).collect()
    }

    /// Returns the readings of the period in which the site lived as of `now`.
    pub fn alive(&self, now: Instant) -> Readings {
        match self.lived(now) {
            Some((first, last)) => self.before(last + 1).since(first),
            None => Readings::default(),
        }
    }
}

/// Returns how many of the ascending times are before an instant.
fn before(times: &[Instant], instant: Instant) -> usize {
    times.partition_point(|&time| time < instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(devices: &[&[Instant]]) -> Readings {
        let device = |(at, times): (usize, &&[Instant])| {
            let times = times.iter().map(|day| day * DAY).collect();
            DeviceReadings { device: format!("device_{at}"), times }
        };
        Readings { devices: devices.iter().enumerate().map(device).collect() }
    }

    #[test]
    fn one_row_of_2100_or_of_a_clock_never_set_is_set_aside() {
        let bulk: Vec<Instant> = (17_000..17_060).collect();
        let now = 17_061 * DAY;
        for stray in [365, 10_957, 47_482] {
            let site = readings(&[&bulk, &[stray]]);
            assert_eq!(site.lived(now), Some((17_000 * DAY, 17_059 * DAY)), "{stray}");
            let strays = site.strays(now);
            assert_eq!((strays.len(), strays[0].device.as_str()), (1, "device_1"), "{stray}");
            assert_eq!(site.alive(now).devices.len(), 1);
        }
        // Several strays of one device that also lives.
        let site = readings(&[&[365, 366, 10_957, 17_000, 17_030, 17_061, 47_482]]);
        assert_eq!(site.lived(now), Some((17_000 * DAY, 17_030 * DAY)));
        assert_eq!(site.strays(now)[0].times.len(), 5);
        assert!(readings(&[&bulk]).strays(now).is_empty());
        assert_eq!(Readings::default().lived(now), None);
    }

    #[test]
    fn long_closures_and_days_back_in_life_are_no_strays() {
        let bulk: Vec<Instant> = (16_000..16_060).chain(17_000..17_060).collect();
        assert_eq!(readings(&[&bulk]).lived(17_061 * DAY), Some((16_000 * DAY, 17_059 * DAY)));
        // A single row does not begin a window. A week of a site that came back is no stray.
        let returned: Vec<Instant> = (15_000..15_060).chain([17_000]).collect();
        assert_eq!(readings(&[&returned]).lived(17_001 * DAY), Some((15_000 * DAY, 17_000 * DAY)));
        assert!(readings(&[&returned]).strays(17_001 * DAY).is_empty());
        let week: Vec<Instant> = (16_000..16_060).chain(17_000..17_005).collect();
        let back = readings(&[&week, &week, &week]);
        assert_eq!(back.lived(17_010 * DAY), Some((16_000 * DAY, 17_004 * DAY)));
        assert!(back.strays(17_010 * DAY).is_empty());
        // Readings older than five years are not used, but none of them is a stray.
        let old: Vec<Instant> = (15_000..15_060).chain(17_000..17_060).collect();
        assert_eq!(readings(&[&old]).lived(17_061 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
        assert!(readings(&[&old]).strays(17_061 * DAY).is_empty());
        // A row far after the bulk is an error, unless it has just come.
        let late: Vec<Instant> = (16_000..16_060).chain([17_000]).collect();
        assert_eq!(readings(&[&late]).lived(17_100 * DAY).unwrap().1, 16_059 * DAY);
        assert_eq!(readings(&[&late]).lived(17_001 * DAY).unwrap().1, 17_000 * DAY);
    }

    #[test]
    fn rows_of_long_ago_lengthen_the_grid_to_five_years_at_most() {
        // Readings are 300 days apart for decades: no gap is long enough to separate them from the rest.
        let chain: Vec<Instant> = (0..56).map(|step| 300 * step).collect();
        let bulk: Vec<Instant> = (17_000..17_060).collect();
        let (first, last) = readings(&[&chain, &bulk]).lived(17_061 * DAY).unwrap();
        assert_eq!(last, 17_059 * DAY);
        assert!(last - first <= WINDOW, "{} days", (last - first) / DAY);
        assert!(readings(&[&chain, &bulk]).strays(17_061 * DAY).is_empty());
    }

    #[test]
    fn a_building_simulated_ahead_of_the_clock_lives() {
        let bulk: Vec<Instant> = (17_000..17_060).collect();
        assert_eq!(readings(&[&bulk]).lived(16_990 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
        assert_eq!(readings(&[&bulk]).lived(17_050 * DAY), Some((17_000 * DAY, 17_049 * DAY)));
        // The others' present stays, however many readings one device has ahead.
        let ahead: Vec<Instant> = (17_100..17_900).collect();
        assert_eq!(readings(&[&bulk, &ahead]).lived(17_061 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
    }

    #[test]
    fn readings_at_or_after_the_instant_change_nothing() {
        let bulk: Vec<Instant> = (17_000..17_060).collect();
        let more: Vec<Instant> = (17_000..17_090).chain([47_482]).collect();
        let now = 17_060 * DAY;
        assert_eq!(readings(&[&bulk]).lived(now), readings(&[&more]).lived(now));
    }
}
