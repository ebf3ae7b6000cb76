//! The period in which a site was in use, without rows whose clock was never set or ran ahead.

use super::{DeviceReadings, Readings, Times};
use crate::calendar::{HOUR, Timestamp};

const DAY: i64 = 24 * HOUR;

/// Longest cluster of readings that can be a clock's error.
const MAX_CLUSTER: i64 = 7 * DAY;

/// Silence of the whole site that separates such a cluster from the other readings.
const CLUSTER_GAP: i64 = 365 * DAY;

/// Length of the history that forecasts use. Older readings no longer change a rate, but would lengthen every device's
/// grid.
const MAX_HISTORY: i64 = 5 * 365 * DAY;

/// Maximum number of hours of all devices together that forecasts use. Each hour takes some bytes of memory, and every
/// hour is visited.
const MAX_HOURS: i64 = 100_000_000;

/// Length of the history that is used however many hours that are.
const MIN_HISTORY: i64 = 60 * DAY;

/// Maximum number of readings of a last cluster that can be a clock's error. After more readings the site is in use
/// again.
const MAX_LAST_CLUSTER_READINGS: usize = 10;

/// Age up to which a last cluster is the site coming back to life instead of an error.
const MAX_REVIVAL_AGE: i64 = 48 * HOUR;

impl Readings {
    /// Returns the first motion and the last reading, motion or `off`, of the period in which the site was in use. Only readings before `now`
    /// count.
    ///
    /// Outside it are readings at or after `now`, clusters of at most a week that a year without any reading separates
    /// from the rest (a clock that was never set shows 1971 or 2000; a last cluster has at most ten readings), and
    /// readings older than five years, counted from the last reading that has more than ten in the five years up to it.
    /// A site whose devices have more than 100 million hours in these years is looked at for a shorter time, at least
    /// 60 days. Without any reading before `now` the building is simulated or this clock is wrong; then none counts as
    /// too late. Returns none without readings.
    pub fn active_period(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = self.bulk(now)?;
        // Whole days keep the window from moving with each reading.
        let window = |end: Timestamp| (end - MAX_HISTORY).div_euclid(DAY) * DAY;
        let mut end = last;
        while self.between(window(end), end) <= MAX_LAST_CLUSTER_READINGS
            && let Some(earlier) = self.last_before(window(end)).filter(|&earlier| earlier >= first)
        {
            end = earlier;
        }
        let mut begins = first.max(window(end));
        // Devices are counted one by one only where they can be too many.
        let most = self.devices.len() as i64 * ((last - begins) / HOUR);
        if most > MAX_HOURS && self.hours(begins, last) > MAX_HOURS {
            let days: Vec<Timestamp> = (begins / DAY + 1..(last - MIN_HISTORY) / DAY + 1).collect();
            let day = days.partition_point(|&day| self.hours(day * DAY, last) > MAX_HOURS);
            begins = days.get(day).or(days.last()).map_or(begins, |day| day * DAY);
        }
        Some((self.first_from(begins)?, last))
    }

    /// Returns the hours of all devices from their first readings at or after `from` up to `to`.
    fn hours(&self, from: Timestamp, to: Timestamp) -> i64 {
        let first = |device: &DeviceReadings| device.times.iter_from(from).next();
        self.devices.iter().filter_map(first).map(|first| (to - first).max(0) / HOUR).sum()
    }

    /// Returns the number of readings from `from` to `to`, both included.
    fn between(&self, from: Timestamp, to: Timestamp) -> usize {
        let count = |times: &Times| times.count_before(to.saturating_add(1)) - times.count_before(from);
        self.devices.iter().map(|device| count(&device.times)).sum()
    }

    /// Returns the first reading at or after an instant.
    fn first_from(&self, from: Timestamp) -> Option<Timestamp> {
        let first = |device: &DeviceReadings| device.times.iter_from(from).next();
        self.devices.iter().filter_map(first).min()
    }

    /// Returns the last reading, motion or `off`, before an instant.
    fn last_before(&self, limit: Timestamp) -> Option<Timestamp> {
        let last = |device: &DeviceReadings| device.times.last_before(limit).max(device.offs.last_before(limit));
        self.devices.iter().filter_map(last).max()
    }

    /// Returns the first and the last reading without clusters that can be a clock's error, and without readings at or
    /// after `now`.
    pub fn bulk(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let mut first = self.first_from(Timestamp::MIN)?;
        // An `off` before the first motion says nothing about when the site was in use.
        let last_before = |limit| self.last_before(limit).filter(|&last| last >= first);
        let (limit, mut last) = match last_before(now) {
            Some(last) => (now, last),
            None => (Timestamp::MAX, last_before(Timestamp::MAX)?),
        };
        while limit.saturating_sub(last) > MAX_REVIVAL_AGE
            && let Some(earlier) = last_before(last - MAX_CLUSTER)
            && last - MAX_CLUSTER - earlier > CLUSTER_GAP
            && self.between(last - MAX_CLUSTER, last) <= MAX_LAST_CLUSTER_READINGS
        {
            last = earlier;
        }
        // Most histories are too short for such a gap, and need no look at each device.
        while last.saturating_sub(first) > MAX_CLUSTER + CLUSTER_GAP
            && let Some(later) = self.first_from(first + MAX_CLUSTER).filter(|&later| later <= last)
            && later - (first + MAX_CLUSTER) > CLUSTER_GAP
        {
            first = later;
        }
        Some((first, last))
    }

    /// Returns the readings outside the bulk as of `now`, with their devices.
    pub fn strays(&self, now: Timestamp) -> Vec<DeviceReadings> {
        let Some((first, last)) = self.bulk(now) else { return Vec::new() };
        let outside = |device: &DeviceReadings| {
            let mut strays = device.times.before(first);
            strays.add(&device.times.since(last + 1));
            let stray = DeviceReadings { device: device.device.clone(), times: strays, offs: Times::default() };
            (!stray.times.is_empty()).then_some(stray)
        };
        self.devices.iter().filter_map(outside).collect()
    }

    /// Returns the readings of the period in which the site was in use as of `now`.
    pub fn alive(&self, now: Timestamp) -> Readings {
        match self.active_period(now) {
            Some((first, last)) => self.before(last + 1).since(first),
            None => Readings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(devices: &[&[Timestamp]]) -> Readings {
        let device = |(at, times): (usize, &&[Timestamp])| {
            let times = times.iter().map(|day| day * DAY).collect();
            DeviceReadings { device: format!("device_{at}"), times, ..DeviceReadings::default() }
        };
        Readings { devices: devices.iter().enumerate().map(device).collect() }
    }

    #[test]
    fn one_row_of_2100_or_of_a_clock_never_set_is_set_aside() {
        let bulk: Vec<Timestamp> = (17_000..17_060).collect();
        let now = 17_061 * DAY;
        for stray in [365, 10_957, 47_482] {
            let site = readings(&[&bulk, &[stray]]);
            assert_eq!(site.active_period(now), Some((17_000 * DAY, 17_059 * DAY)), "{stray}");
            let strays = site.strays(now);
            assert_eq!((strays.len(), strays[0].device.as_str()), (1, "device_1"), "{stray}");
            assert_eq!(site.alive(now).devices.len(), 1);
        }
        // Several strays of one device that also lives.
        let site = readings(&[&[365, 366, 10_957, 17_000, 17_030, 17_061, 47_482]]);
        assert_eq!(site.active_period(now), Some((17_000 * DAY, 17_030 * DAY)));
        assert_eq!(site.strays(now)[0].times.len(), 5);
        assert!(readings(&[&bulk]).strays(now).is_empty());
        assert_eq!(Readings::default().active_period(now), None);
    }

    #[test]
    fn long_closures_and_days_back_in_life_are_no_strays() {
        let bulk: Vec<Timestamp> = (16_000..16_060).chain(17_000..17_060).collect();
        assert_eq!(readings(&[&bulk]).active_period(17_061 * DAY), Some((16_000 * DAY, 17_059 * DAY)));
        // A single row does not begin a window. A week of a site that came back is no stray.
        let returned: Vec<Timestamp> = (15_000..15_060).chain([17_000]).collect();
        assert_eq!(readings(&[&returned]).active_period(17_001 * DAY), Some((15_000 * DAY, 17_000 * DAY)));
        assert!(readings(&[&returned]).strays(17_001 * DAY).is_empty());
        let week: Vec<Timestamp> = (16_000..16_060).chain(17_000..17_005).collect();
        let back = readings(&[&week, &week, &week]);
        assert_eq!(back.active_period(17_010 * DAY), Some((16_000 * DAY, 17_004 * DAY)));
        assert!(back.strays(17_010 * DAY).is_empty());
        // Readings older than five years are not used, but none of them is a stray.
        let old: Vec<Timestamp> = (15_000..15_060).chain(17_000..17_060).collect();
        assert_eq!(readings(&[&old]).active_period(17_061 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
        assert!(readings(&[&old]).strays(17_061 * DAY).is_empty());
        // A row far after the bulk is an error, unless it has just come.
        let late: Vec<Timestamp> = (16_000..16_060).chain([17_000]).collect();
        assert_eq!(readings(&[&late]).active_period(17_100 * DAY).unwrap().1, 16_059 * DAY);
        assert_eq!(readings(&[&late]).active_period(17_001 * DAY).unwrap().1, 17_000 * DAY);
    }

    #[test]
    fn rows_of_long_ago_lengthen_the_grid_to_five_years_at_most() {
        // Readings are 300 days apart for decades: no gap is long enough to separate them from the rest.
        let chain: Vec<Timestamp> = (0..56).map(|step| 300 * step).collect();
        let bulk: Vec<Timestamp> = (17_000..17_060).collect();
        let (first, last) = readings(&[&chain, &bulk]).active_period(17_061 * DAY).unwrap();
        assert_eq!(last, 17_059 * DAY);
        assert!(last - first <= MAX_HISTORY, "{} days", (last - first) / DAY);
        assert!(readings(&[&chain, &bulk]).strays(17_061 * DAY).is_empty());
    }

    #[test]
    fn a_building_simulated_ahead_of_the_clock_lives() {
        let bulk: Vec<Timestamp> = (17_000..17_060).collect();
        assert_eq!(readings(&[&bulk]).active_period(16_990 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
        assert_eq!(readings(&[&bulk]).active_period(17_050 * DAY), Some((17_000 * DAY, 17_049 * DAY)));
        // However many readings and devices are ahead, the others' present stays.
        let ahead: Vec<Timestamp> = (17_100..17_900).collect();
        let site = readings(&[&bulk, &ahead, &ahead, &ahead]);
        assert_eq!(site.active_period(17_061 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
        assert_eq!(site.strays(17_061 * DAY).len(), 3);
    }

    #[test]
    fn the_history_of_very_many_devices_is_cut_to_a_bounded_number_of_hours() {
        let (recent, old): (Vec<Timestamp>, Vec<Timestamp>) =
            ((17_000..17_060).collect(), vec![15_400, 15_700, 16_000, 16_300]);
        let late: Vec<Timestamp> = [16_600, 16_900].into_iter().chain(17_000..17_060).collect();
        // 4,000 devices that fired a few times, long ago: 160 million hours.
        let mut devices: Vec<&[Timestamp]> = vec![&old; 4000];
        devices.push(&late);
        let site = readings(&devices);
        assert!(site.hours(15_400 * DAY, 17_059 * DAY) > MAX_HOURS);
        let (first, last) = site.active_period(17_061 * DAY).unwrap();
        assert!(site.hours(first, last) <= MAX_HOURS && last == 17_059 * DAY, "{}", first / DAY);
        assert_eq!(first, 16_300 * DAY);
        // A site that is large in its last 60 days keeps them.
        let large = readings(&vec![&recent[..]; 100_000]);
        assert_eq!(large.active_period(17_061 * DAY), Some((17_000 * DAY, 17_059 * DAY)));
    }

    #[test]
    fn readings_at_or_after_the_instant_change_nothing() {
        let bulk: Vec<Timestamp> = (17_000..17_060).collect();
        let more: Vec<Timestamp> = (17_000..17_090).chain([47_482]).collect();
        let now = 17_060 * DAY;
        assert_eq!(readings(&[&bulk]).active_period(now), readings(&[&more]).active_period(now));
    }
}
