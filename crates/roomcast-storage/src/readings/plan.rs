//! A batch in the order in which it is written, and its receipt.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::batch::{Batch, Event, Kind, Receipt, Verdict};
use super::day_codec::day;
use super::hash::hash;
use super::quarantine::{self, Reject};
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};

/// An event id: its day, and 64 bits of the SHA-256 of device and id.
pub(super) type Id = (i64, i64);

/// A reading: its second, and the number of its stream. Rows are written in this order by every writer, which rules out
/// deadlocks.
pub(super) type Reading = (Timestamp, i64);

/// Returns the number of a device's motions, which is the device's, or of its `off`s, which is the same below zero. Both
/// are rows of one table, so that packing, following and dropping know no difference.
pub(super) fn stream(device: i64, is_motion: bool) -> i64 {
    if is_motion { device } else { -device }
}

/// A batch in the order in which it is written.
pub(super) struct Plan<'a> {
    /// Devices in order of first appearance, each once, with the time of its latest event.
    pub devices: Vec<(&'a str, Timestamp)>,
    /// Rows for the quarantine in order of arrival, each once.
    pub refused: Vec<Reject<'a>>,
    /// Number of rows that do not fit into the quarantine.
    pub dropped: u64,
    events: Vec<Planned>,
}

struct Planned {
    /// Position in `devices`.
    device: usize,
    time: Timestamp,
    kind: Kind,
    id: Option<Id>,
}

impl Planned {
    fn is_reading(&self) -> bool {
        self.kind != Kind::Rest
    }
}

impl<'a> Plan<'a> {
    pub fn new(batch: &'a Batch) -> Self {
        let mut devices: Vec<(&str, Timestamp)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let entry = |event: &'a Event| {
            let device = match places.entry(&event.device) {
                Entry::Occupied(place) => {
                    let latest = &mut devices[*place.get()].1;
                    *latest = event.time.max(*latest);
                    *place.get()
                }
                Entry::Vacant(place) => {
                    devices.push((&event.device, event.time));
                    *place.insert(devices.len() - 1)
                }
            };
            // A sender may give the end of a motion the id of its beginning.
            let key = |id: &str| match event.kind {
                Kind::Off => hash([event.device.as_str(), id, "off"]),
                _ => hash([event.device.as_str(), id]),
            };
            let id = event.id.as_deref().map(|id| (day(event.time), key(id)));
            Planned { device, time: event.time, kind: event.kind, id }
        };
        let events = batch.events.iter().map(entry).collect();
        let (refused, dropped) = quarantine::rows(batch);
        Self { events, refused, dropped, devices }
    }

    /// Returns the ids of readings, in order, each once.
    pub fn ids(&self) -> Vec<Id> {
        let mut ids: Vec<Id> =
            self.events.iter().filter(|event| event.is_reading()).filter_map(|event| event.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns the reading of each event: `None` for a sign of life, and for an id that is repeated in the batch or
    /// already `known`. `numbers` are those of `devices`.
    pub fn readings(&self, numbers: &[i64], mut known: HashSet<Id>) -> Vec<Option<Reading>> {
        let reading = |event: &Planned| {
            let repeated = event.id.is_some_and(|id| event.is_reading() && !known.insert(id));
            let stream = || stream(numbers[event.device], event.kind == Kind::Motion);
            (event.is_reading() && !repeated).then(|| (event.time, stream()))
        };
        self.events.iter().map(reading).collect()
    }

    /// Returns the receipt. `readings` are those of the events, `stored` the new ones among them, and `dropped` counts
    /// rows of the quarantine.
    pub fn receipt(&self, readings: &[Option<Reading>], stored: &[Reading], dropped: u64) -> Receipt {
        // Usually all are new and each comes once. Then there is nothing to look up.
        let all = stored.len() == readings.iter().flatten().count();
        let mut new: HashSet<Reading> = if all { HashSet::new() } else { stored.iter().copied().collect() };
        let verdict = |(event, reading): (&Planned, &Option<Reading>)| match reading {
            _ if event.kind != Kind::Motion => Verdict::NoMotion,
            Some(reading) if all || new.remove(reading) => Verdict::Stored,
            _ => Verdict::Duplicate,
        };
        Receipt { verdicts: self.events.iter().zip(readings).map(verdict).collect(), dropped }
    }
}

/// Device numbers that a handle has met. A number never changes once it is committed.
#[derive(Default)]
pub(super) struct Numbers(Mutex<HashMap<String, i64>>);

impl Numbers {
    /// Returns the known numbers of a plan's devices.
    pub fn of(&self, plan: &Plan<'_>) -> Vec<Option<i64>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plan.devices.iter().map(|&(name, _)| known.get(name).copied()).collect()
    }

    /// Remembers committed numbers of a plan's devices.
    pub fn learn(&self, plan: &Plan<'_>, known: &[Option<i64>], numbers: &[i64]) {
        let new = plan.devices.iter().zip(known).zip(numbers).filter(|((_, known), _)| known.is_none());
        let new = new.map(|((&(name, _), _), &number)| (name.to_owned(), number));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
    }
}

/// Returns the readings in order, each once.
pub(super) fn distinct(readings: &[Option<Reading>]) -> Vec<Reading> {
    let mut distinct: Vec<Reading> = readings.iter().flatten().copied().collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// Returns the number of motions per hour and device, in order.
pub(super) fn by_hour(readings: &[Reading], calendar: &Calendar) -> Vec<((Hour, i64), i64)> {
    let motions = readings.iter().filter(|&&(_, stream)| stream > 0);
    let mut keys: Vec<(Hour, i64)> = motions.map(|&(time, device)| (calendar.hour(time), device)).collect();
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as i64)).collect()
}
