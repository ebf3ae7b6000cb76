//! Readings of sensors that become readings of their floors or buildings before they are stored, so that nothing below is kept.
//!
//! A sensor's edges are resolved to instants of motion by [`DeviceReadings::presence`], as those of rooms are. Only the instants
//! are stored, under the name of the floor; a floor gives pulses then. The edges of each sensor are in memory alone, those of the
//! last days, and are forgotten with the process. Names, ids and refused rows are stored nowhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;

use super::writer::Sink;
use roomcast_forecast::calendar::{Calendar, HOUR, Hour, Timestamp};
use roomcast_forecast::readings::DeviceReadings;
use roomcast_forecast::rooms::{Level, Rooms};
use roomcast_storage::readings::{Batch, Event, Kind, Receipt, Store, StoreError, Verdict};

/// Edges of a sensor from which those older than [`MEMORY`] are forgotten.
const MAX_EDGES: usize = 512;

/// Time for which edges are remembered: two of the longest intervals.
const MEMORY: i64 = 48 * HOUR;

/// Merges the readings of sensors by a table of rooms.
#[derive(Debug)]
pub struct Merger {
    rooms: Rooms,
    level: Level,
    calendar: Calendar,
    sensors: HashMap<String, DeviceReadings>,
    /// The hour up to which intervals without an end were extended last.
    extended: Option<Hour>,
    has_warned: bool,
}

/// A batch for the store, and where the verdict of each event of the original is found.
#[derive(Debug, PartialEq, Eq)]
struct Merge {
    batch: Batch,
    verdicts: Vec<Result<usize, Verdict>>,
}

impl Merger {
    /// Returns a merger to this level of the table.
    pub fn new(rooms: Rooms, level: Level, calendar: Calendar) -> Merger {
        Merger { rooms, level, calendar, sensors: HashMap::new(), extended: None, has_warned: false }
    }

    /// Checks that a store holds nothing below the level.
    ///
    /// # Errors
    /// Returns an error for a store that cannot be read, and one with readings of other names, rows in quarantine or a table of
    /// rooms.
    pub async fn check(&self, store: &Store) -> anyhow::Result<()> {
        let series: BTreeSet<&str> = self.rooms.series(self.level).collect();
        let others = store.heard().await?.iter().filter(|(name, _)| !series.contains(name.as_str())).count();
        let has_table = !store.rooms().await?.0.is_empty();
        let found = match (others, has_table, store.quarantined(0, 1).await?.is_empty()) {
            (0, false, true) => return Ok(()),
            (0, true, _) => "a table of rooms".to_owned(),
            (0, false, false) => "rows in quarantine".to_owned(),
            (others, ..) => format!("readings of {others} names that are no {}s", self.level),
        };
        bail!("the store holds {found}, and with --level {} nothing below is kept\nhint: name a new store", self.level)
    }

    /// Merges a batch. Merging it again, after it could not be stored, gives the same.
    fn merge(&mut self, batch: &Batch, now: Timestamp) -> Merge {
        let mut by_sensor: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for event in &batch.events {
            by_sensor.entry(&event.device).or_default().push(event);
        }
        let mut heard: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut instants: BTreeMap<(String, Timestamp), usize> = BTreeMap::new();
        for (sensor, events) in by_sensor {
            for event in &events {
                match self.rooms.series_at(sensor, self.level, event.time) {
                    Some(name) => {
                        let last = heard.entry(name.to_owned()).or_insert(event.time);
                        *last = event.time.max(*last);
                    }
                    None if !self.has_warned => {
                        self.has_warned = true;
                        let level = self.level;
                        tracing::warn!(
                            "readings of a sensor that is on no {level} of --rooms are left out, as all such readings are"
                        );
                    }
                    None => {}
                }
            }
            for time in self.take(sensor, &events) {
                self.add(&mut instants, sensor, time);
            }
        }
        let hour = self.calendar.hour(now);
        if self.extended.replace(hour) != Some(hour) {
            for (sensor, time) in self.extend(now) {
                self.add(&mut instants, &sensor, time);
            }
        }
        let event = |device: &str, time, kind| Event { device: device.to_owned(), time, kind, id: None };
        instants.values_mut().zip(0..).for_each(|(at, position)| *at = position);
        let motion = instants.keys().map(|(name, time)| event(name, *time, Kind::Motion));
        let rest = heard.iter().map(|(name, time)| event(name, *time, Kind::Rest));
        let events = motion.chain(rest).collect();
        let mut counted = vec![false; instants.len()];
        let verdict = |event: &Event| {
            let name = self.rooms.series_at(&event.device, self.level, event.time);
            let found = name.filter(|_| event.kind == Kind::Motion);
            match found.and_then(|name| instants.get(&(name.to_owned(), event.time))) {
                None => Err(Verdict::NoMotion),
                Some(&at) if std::mem::replace(&mut counted[at], true) => Err(Verdict::Duplicate),
                Some(&at) => Ok(at),
            }
        };
        let verdicts = batch.events.iter().map(verdict).collect();
        Merge { batch: Batch { events, refused: Vec::new() }, verdicts }
    }

    /// Remembers a sensor's edges, and returns the instants of motion that they show.
    fn take(&mut self, sensor: &str, events: &[&Event]) -> Vec<Timestamp> {
        let edges = events.iter().filter(|event| event.kind != Kind::Rest);
        let Some(first) = edges.clone().map(|event| event.time).min() else { return Vec::new() };
        let new = || DeviceReadings { device: sensor.to_owned(), ..DeviceReadings::default() };
        let known = self.sensors.entry(sensor.to_owned()).or_insert_with(new);
        for event in edges {
            let list = if event.kind == Kind::Motion { &mut known.times } else { &mut known.offs };
            list.extend([event.time]);
        }
        // What an edge says reaches back to the one before it.
        let from = known.before(first).last().unwrap_or(first);
        let end = known.last().map_or(first, |last| last + 1);
        let times = known.presence(&self.calendar, end).times.iter_from(from).collect();
        if known.edge_count() > MAX_EDGES {
            let oldest = end - MEMORY;
            // The last `off` before them shows that the sensor says `off`.
            known.times = known.times.since(oldest);
            known.offs = known.offs.since(known.offs.last_before(oldest).unwrap_or(oldest));
        }
        times
    }

    /// Returns instants of motion of sensors that are on at an instant: an hour counts while somebody is still there.
    fn extend(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let is_on = |known: &&DeviceReadings| {
            let (on, off) = (known.times.last(), known.offs.last());
            on.zip(off).is_some_and(|(on, off)| on > off && (on..=on + self.calendar.max_presence()).contains(&now))
        };
        let instants = |known: &DeviceReadings| {
            let from = known.last().unwrap_or(now);
            known.presence(&self.calendar, now).times.iter_from(from).collect::<Vec<_>>()
        };
        let on = self.sensors.values().filter(is_on);
        on.flat_map(|known| instants(known).into_iter().map(|time| (known.device.clone(), time))).collect()
    }

    fn add(&self, instants: &mut BTreeMap<(String, Timestamp), usize>, sensor: &str, time: Timestamp) {
        if let Some(name) = self.rooms.series_at(sensor, self.level, time) {
            instants.insert((name.to_owned(), time), 0);
        }
    }
}

/// A store that gets merged readings.
pub struct MergedStore<S> {
    store: Arc<S>,
    merger: Mutex<Merger>,
}

impl<S> MergedStore<S> {
    /// Stores what `merger` makes of the readings.
    pub fn new(store: Arc<S>, merger: Merger) -> MergedStore<S> {
        MergedStore { store, merger: Mutex::new(merger) }
    }

    fn merge(&self, batch: &Batch) -> Merge {
        let mut merger = self.merger.lock().unwrap_or_else(PoisonError::into_inner);
        let now = merger.calendar.now();
        merger.merge(batch, now)
    }
}

impl<S: Sink> Sink for MergedStore<S> {
    async fn ingest(&self, batch: &Batch) -> Result<Receipt, StoreError> {
        let Merge { batch, verdicts } = self.merge(batch);
        let receipt = self.store.ingest(&batch).await?;
        let verdict = |found: &Result<usize, Verdict>| match *found {
            Ok(at) => receipt.verdicts.get(at).copied().unwrap_or(Verdict::NoMotion),
            Err(verdict) => verdict,
        };
        Ok(Receipt { verdicts: verdicts.iter().map(verdict).collect(), dropped: receipt.dropped })
    }
}

#[cfg(test)]
mod tests;
