//! The days with the worst forecasts, and a likely reason for each.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::ScoredHour;
use crate::measures::loss::log_loss;

/// Largest number of days of the site that are listed.
const MAX_DAYS: usize = 8;
/// Largest number of days of single rooms that are listed.
const MAX_ROOM_DAYS: usize = 12;
/// Multiple of the log loss of all days of its type from which a day of the site is listed.
const UNUSUAL_RATIO: f64 = 1.25;
/// Standard deviations beyond the loss that the forecasts themselves expected, from which a day is listed. Hours of a day
/// go wrong together, so fewer are noise.
const MIN_SURPRISE: f64 = 3.0;
/// Fewest rooms that can show that a whole building was empty.
const MIN_ROOMS: usize = 3;
/// Fewest hours that count as a day.
const MIN_HOURS: usize = 12;

/// A bad day of the whole site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstDay {
    /// Local date and weekday.
    pub date: String,
    /// `workday` or `day off`.
    pub kind: &'static str,
    /// The model's log loss over the day's hours.
    pub log_loss: f64,
    /// The log loss as a multiple of that over all days of the same type.
    pub times_usual: f64,
    /// Room-hours that were expected to be occupied.
    pub predicted_hours: f64,
    /// Room-hours that were occupied.
    pub actual_hours: f64,
    /// The likely reason.
    pub why: &'static str,
}

/// A bad day of one room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstRoomDay {
    /// Local date and weekday.
    pub date: String,
    /// `workday` or `day off`.
    pub kind: &'static str,
    /// The device's name.
    pub device: String,
    /// The model's log loss over the day's hours.
    pub log_loss: f64,
    /// Probability by local hour of day, the mean over all origins; `None` where no hour was scored.
    pub predicted: [Option<f64>; 24],
    /// State by local hour of day, true when occupied; `None` where no hour was scored.
    pub actual: [Option<bool>; 24],
    /// The likely reason.
    pub why: &'static str,
}

impl WorstRoomDay {
    /// Returns the number of hours that were expected to be occupied.
    pub(crate) fn predicted_hours(&self) -> f64 {
        self.predicted.iter().flatten().sum()
    }

    /// Returns the number of hours that were occupied.
    pub(crate) fn actual_hours(&self) -> usize {
        self.actual.iter().flatten().filter(|&&occupied| occupied).count()
    }
}

/// One room on one local day.
#[derive(Clone, Default)]
struct RoomDay {
    off: bool,
    loss: f64,
    /// The log loss that the forecasts expected, and its variance were they independent.
    expected: f64,
    variance: f64,
    forecasts: f64,
    silent: f64,
    weeks: u16,
    /// Sum and number of the probabilities by hour of day.
    probabilities: [(f64, f64); 24],
    actual: [Option<bool>; 24],
}

impl RoomDay {
    fn is_whole(&self) -> bool {
        self.actual.iter().flatten().count() >= MIN_HOURS
    }

    fn log_loss(&self) -> f64 {
        self.loss / self.forecasts
    }

    /// Returns the variance of the log loss of all forecasts. Those of one hour share its outcome.
    fn variance(&self) -> f64 {
        let hours = self.actual.iter().flatten().count() as f64;
        self.variance * self.forecasts / hours.max(1.0)
    }

    fn predicted(&self) -> f64 {
        self.probabilities.iter().filter(|(_, n)| *n > 0.0).map(|(sum, n)| sum / n).sum()
    }

    fn occupied(&self) -> f64 {
        self.actual.iter().flatten().filter(|&&occupied| occupied).count() as f64
    }
}

/// The rooms of each local day, by device.
struct Days(BTreeMap<i32, BTreeMap<u32, RoomDay>>);

impl Days {
    fn new(hours: &[ScoredHour]) -> Days {
        let mut days = Days(BTreeMap::new());
        for scored in hours {
            let day = days.0.entry(scored.day).or_default().entry(scored.device).or_default();
            let hour = usize::from(scored.hour_of_day);
            day.off = scored.off;
            let p = f64::from(scored.probability);
            let [if_used, if_not] = [true, false].map(|actual| log_loss(p, actual));
            day.loss += if scored.actual { if_used } else { if_not };
            day.expected += p * if_used + (1.0 - p) * if_not;
            day.variance += p * (1.0 - p) * (if_used - if_not).powi(2);
            day.forecasts += 1.0;
            day.silent += f64::from(u8::from(scored.silent));
            day.weeks = day.weeks.max(scored.weeks);
            day.probabilities[hour].0 += f64::from(scored.probability);
            day.probabilities[hour].1 += 1.0;
            // An hour that comes twice when the clocks go back was occupied if either was.
            day.actual[hour] = Some(scored.actual || day.actual[hour] == Some(true));
        }
        days
    }

    /// Returns the worst days of the whole site by log loss, worst first; only days clearly worse than usual and than the
    /// forecasts expected.
    fn of_site(&self) -> Vec<WorstDay> {
        // Compared within the day type: weekends in offices are easy, so every workday would look bad.
        let usual = [false, true].map(|off| {
            let same = self.0.values().flat_map(BTreeMap::values).filter(|room| room.off == off);
            let (loss, n) = same.fold((0.0, 0.0), |(loss, n), room| (loss + room.loss, n + room.forecasts));
            loss / n
        });
        let day = |(&day, rooms): (&i32, &BTreeMap<u32, RoomDay>)| {
            let off = rooms.values().next().filter(|_| rooms.values().any(RoomDay::is_whole))?.off;
            let sum = |of: fn(&RoomDay) -> f64| rooms.values().map(of).sum::<f64>();
            if surprise(rooms.values()) < MIN_SURPRISE {
                return None;
            }
            let log_loss = sum(|room| room.loss) / sum(|room| room.forecasts);
            let (predicted, actual) = (sum(RoomDay::predicted), sum(RoomDay::occupied));
            Some(WorstDay {
                date: date(day),
                kind: kind(off),
                log_loss,
                times_usual: log_loss / usual[usize::from(off)],
                predicted_hours: predicted,
                actual_hours: actual,
                why: why_day(off, deserted(rooms), predicted, actual),
            })
        };
        let mut days: Vec<_> = self.0.iter().filter_map(day).filter(|day| day.times_usual >= UNUSUAL_RATIO).collect();
        days.sort_by(|a, b| b.log_loss.total_cmp(&a.log_loss));
        days.truncate(MAX_DAYS);
        days
    }

    /// Returns the worst days of single rooms by log loss, worst first. It leaves out parts of days, days on which no room
    /// saw motion, which [`Days::of_site`] lists. The hours of one room are too few to tell a bad day from noise.
    fn of_rooms(&self, name: impl Fn(u32) -> String) -> Vec<WorstRoomDay> {
        let days = self.0.iter().filter(|(_, rooms)| !deserted(rooms));
        let rooms = days.flat_map(|(&day, rooms)| rooms.iter().map(move |(&device, room)| (day, device, room)));
        let mut worst: Vec<_> = rooms.filter(|(.., room)| room.is_whole()).collect();
        worst.sort_by(|(.., a), (.., b)| b.log_loss().total_cmp(&a.log_loss()));
        worst.truncate(MAX_ROOM_DAYS);
        let entry = |(day, device, room): (i32, u32, &RoomDay)| WorstRoomDay {
            date: date(day),
            kind: kind(room.off),
            device: name(device),
            log_loss: room.log_loss(),
            predicted: room.probabilities.map(|(sum, n)| (n > 0.0).then(|| sum / n)),
            why: why_room(room),
            actual: room.actual,
        };
        worst.into_iter().map(entry).collect()
    }
}

/// Returns the worst days of the whole site and of single rooms, each worst first.
pub fn find(hours: &[ScoredHour], name: impl Fn(u32) -> String) -> (Vec<WorstDay>, Vec<WorstRoomDay>) {
    let days = Days::new(hours);
    (days.of_site(), days.of_rooms(name))
}

/// Returns the log loss of a day beyond what its forecasts expected, in standard deviations.
fn surprise<'a>(rooms: impl IntoIterator<Item = &'a RoomDay>) -> f64 {
    let sums = rooms
        .into_iter()
        .fold((0.0, 0.0), |(beyond, variance), room| (beyond + room.loss - room.expected, variance + room.variance()));
    if sums.1 > 0.0 { sums.0 / sums.1.sqrt() } else { 0.0 }
}

/// Returns whether no room saw motion; false when there are too few rooms to tell.
fn deserted(rooms: &BTreeMap<u32, RoomDay>) -> bool {
    rooms.len() >= MIN_ROOMS && rooms.values().all(|room| room.occupied() == 0.0)
}

fn why_day(off: bool, deserted: bool, predicted: f64, actual: f64) -> &'static str {
    if deserted && !off {
        "no motion in any room: perhaps a holiday or closure that is not in the calendar"
    } else if off && actual > 2.0 * predicted {
        "rooms were used on a day off"
    } else if actual < 0.6 * predicted {
        "far less use than expected"
    } else if actual > 1.5 * predicted {
        "far more use than expected"
    } else {
        "about as much use as expected, in other rooms or at other hours"
    }
}

fn why_room(room: &RoomDay) -> &'static str {
    let (predicted, actual) = (room.predicted(), room.occupied());
    if room.silent > room.forecasts / 2.0 {
        if actual == 0.0 {
            "no motion for days: the room is empty or the sensor is dead"
        } else if room.actual.iter().flatten().all(|&occupied| occupied) {
            "motion in every hour for days: the sensor may be stuck"
        } else {
            "used again after days without motion"
        }
    } else if actual == 0.0 {
        "stayed empty"
    } else if room.off && actual > 2.0 * predicted {
        "used on a day off"
    } else if room.weeks == 0 {
        "a new sensor: less than a week of history"
    } else if actual < 0.6 * predicted {
        "used far less than expected"
    } else if actual > 1.5 * predicted {
        "used far more than expected"
    } else {
        "used about as much as expected, at other hours"
    }
}

fn kind(off: bool) -> &'static str {
    if off { "day off" } else { "workday" }
}

fn date(day: i32) -> String {
    NaiveDate::from_epoch_days(day).map_or_else(String::new, |date| date.format("%Y-%m-%d %a").to_string())
}
