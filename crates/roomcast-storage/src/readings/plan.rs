//! A batch in the order in which it is written, and its receipt.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::packed::day;
use super::{Batch, Event, Kind, Receipt, Verdict, quarantine};
use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};

/// Longest payload and reason kept in quarantine, in bytes. A payload of [`roomcast_server::ingest::payload::KEPT`] bytes fits.
const PAYLOAD_LIMIT: usize = 16 * 1024;
const REASON_LIMIT: usize = 1024;

/// An event id: its day, and 64 bits of the SHA-256 of device and id.
pub(super) type Id = (i64, i64);

/// A reading: its second, and the number of its device. Rows are written in this order by every writer, which rules out
/// deadlocks.
pub(super) type Reading = (Timestamp, i64);

/// A batch in the order in which it is written.
pub(super) struct Plan<'a> {
    /// Devices in order of first appearance, each once, with the time of its latest event.
    pub devices: Vec<(&'a str, Timestamp)>,
    /// Rows for the quarantine in order of arrival, each once.
    pub refused: Vec<Reject<'a>>,
    /// Number of rows that do not fit into the quarantine.
    pub dropped: u64,
    events: Vec<Entry>,
}

struct Entry {
    /// Position in `devices`.
    device: usize,
    time: Timestamp,
    motion: bool,
    id: Option<Id>,
}

/// A row for the quarantine.
pub(super) struct Reject<'a> {
    /// 64 bits of the SHA-256 of source, payload and reason. Repetitions have the same key and become one row.
    pub key: i64,
    /// Number of times the row is in the batch.
    pub seen: i64,
    pub source: &'a str,
    pub payload: String,
    pub reason: String,
}

impl Reject<'_> {
    /// Returns the bytes that count against the quarantine's limit.
    pub fn bytes(&self) -> i64 {
        (self.payload.len() + self.reason.len()) as i64
    }
}

impl<'a> Plan<'a> {
    pub fn new(batch: &'a Batch) -> Self {
        let mut devices: Vec<(&str, Timestamp)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let entry = |event: &'a Event| {
            let device = match places.entry(&event.device) {
                Place::Occupied(place) => {
                    let latest = &mut devices[*place.get()].1;
                    *latest = event.time.max(*latest);
                    *place.get()
                }
                Place::Vacant(place) => {
                    devices.push((&event.device, event.time));
                    *place.insert(devices.len() - 1)
                }
            };
            let id = event.id.as_ref().map(|id| (day(event.time), hash([event.device.as_str(), id.as_str()])));
            Entry { device, time: event.time, motion: event.kind == Kind::Motion, id }
        };
        let events = batch.events.iter().map(entry).collect();
        let mut refused = rejects(batch);
        let dropped = quarantine::shorten(&mut refused);
        Self { events, refused, dropped, devices }
    }

    /// Returns the ids of motion events, in order, each once.
    pub fn ids(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.events.iter().filter(|event| event.motion).filter_map(|event| event.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns the reading of each event: none for an event without motion, and for an id that is repeated in the batch
    /// or already `known`. `numbers` are those of `devices`.
    pub fn readings(&self, numbers: &[i64], mut known: HashSet<Id>) -> Vec<Option<Reading>> {
        let reading = |event: &Entry| {
            let repeated = event.id.is_some_and(|id| event.motion && !known.insert(id));
            (event.motion && !repeated).then(|| (event.time, numbers[event.device]))
        };
        self.events.iter().map(reading).collect()
    }

    /// Returns the receipt. `readings` are those of the events, `stored` the new ones among them, and `dropped` counts
    /// rows of the quarantine.
    pub fn receipt(&self, readings: &[Option<Reading>], stored: &[Reading], dropped: u64) -> Receipt {
        // Usually all are new and each comes once. Then there is nothing to look up.
        let all = stored.len() == readings.iter().flatten().count();
        let mut new: HashSet<Reading> = if all { HashSet::new() } else { stored.iter().copied().collect() };
        let verdict = |(event, reading): (&Entry, &Option<Reading>)| match reading {
            _ if !event.motion => Verdict::NoMotion,
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

/// Returns the number of readings per hour and device, in order.
pub(super) fn by_hour(readings: &[Reading], calendar: &Calendar) -> Vec<((Hour, i64), i64)> {
    let mut keys: Vec<(Hour, i64)> = readings.iter().map(|&(time, device)| (calendar.hour(time), device)).collect();
    keys.sort_unstable();
    keys.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as i64)).collect()
}

fn rejects(batch: &Batch) -> Vec<Reject<'_>> {
    let mut rejects: Vec<Reject<'_>> = Vec::new();
    let mut places = HashMap::new();
    for refused in &batch.refused {
        let (payload, reason) = (clean(&refused.payload, PAYLOAD_LIMIT), clean(&refused.reason, REASON_LIMIT));
        let key = hash([refused.source.as_str(), &payload, &reason]);
        let place = *places.entry(key).or_insert(rejects.len());
        match rejects.get_mut(place) {
            Some(reject) => reject.seen += 1,
            None => rejects.push(Reject { key, seen: 1, source: &refused.source, payload, reason }),
        }
    }
    rejects
}

/// Returns the beginning of a text, without NUL, which PostgreSQL cannot store.
fn clean(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or_default()].replace('\0', "\u{fffd}")
}

/// Returns 64 bits of the SHA-256 of texts, each followed by a NUL.
fn hash<const N: usize>(texts: [&str; N]) -> i64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hash.finalize()[..8]);
    i64::from_le_bytes(head)
}
