//! Compares what was sent with what was acknowledged and stored.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};
use roomcast_forecast::readings::Readings;
use roomcast_storage::readings::{HourCount, Kind, QuarantineSize, Quarantined};

/// An event at a sensor. A sender may send it many times.
#[derive(Debug, Clone)]
pub struct Happening {
    /// Its position in the plan.
    pub number: usize,
    /// The sensor.
    pub device: String,
    /// Motion, its end, or a sign of life.
    pub kind: Kind,
    /// The sender's id.
    pub id: Option<String>,
    /// The first second it may have.
    pub time: Timestamp,
    /// True when it gets another second each time it is sent, as a row without a time does.
    pub is_restamped: bool,
}

/// Content of a message, as it was sent at one time.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// Happenings and the second each was given.
    pub events: Vec<(Happening, Timestamp)>,
    /// Rows that are no events.
    pub refused: Vec<String>,
}

/// Everything that is in a store.
pub struct Content {
    /// All readings.
    pub readings: Readings,
    /// Motions by device and hour, as the store counts them.
    pub hours: Vec<HourCount>,
    /// The quarantine's rows.
    pub quarantined: Vec<Quarantined>,
    /// The quarantine's size, as the store counts it.
    pub size: QuarantineSize,
    /// The time each device was last heard.
    pub heard: Vec<(String, Timestamp)>,
    /// Rows of the tables of readings, with those in packed days.
    pub rows: i64,
    /// The answer of SQLite's own check.
    pub integrity: String,
}

/// Knows what was sent and acknowledged. It sees everything and changes nothing.
#[derive(Default)]
pub struct Oracle(RefCell<State>);

#[derive(Default)]
struct State {
    /// The happening of each second of a device's motions or ends that was ever sent.
    sent: HashMap<(String, Timestamp, bool), usize>,
    happenings: BTreeMap<usize, Happening>,
    acknowledged: BTreeSet<usize>,
    refused_sent: BTreeSet<String>,
    refused_acknowledged: BTreeSet<String>,
    dropped_before: Timestamp,
    lease_taken: Vec<(u32, u64)>,
    wrong: Option<String>,
}

impl Oracle {
    /// Records that a message is sent.
    pub fn sends(&self, attempt: &Attempt) {
        let mut state = self.0.borrow_mut();
        for (happening, time) in &attempt.events {
            state.happenings.entry(happening.number).or_insert_with(|| happening.clone());
            if happening.kind != Kind::Rest {
                let key = (happening.device.clone(), *time, happening.kind == Kind::Motion);
                state.sent.insert(key, happening.number);
            }
        }
        state.refused_sent.extend(attempt.refused.iter().cloned());
    }

    /// Records that a message is acknowledged: the acknowledgement leaves the server now.
    pub fn acknowledges(&self, attempt: &Attempt) {
        let mut state = self.0.borrow_mut();
        state.acknowledged.extend(attempt.events.iter().map(|(happening, _)| happening.number));
        state.refused_acknowledged.extend(attempt.refused.iter().cloned());
    }

    /// Records that days before an instant may be dropped from now on.
    pub fn drops(&self, before: Timestamp) {
        let mut state = self.0.borrow_mut();
        state.dropped_before = before.max(state.dropped_before);
    }

    /// Returns the instant before which days may have been dropped.
    pub fn dropped_before(&self) -> Timestamp {
        self.0.borrow().dropped_before
    }

    /// Records that a process has got the lease.
    pub fn takes_lease(&self, process: u32, now: u64) {
        self.0.borrow_mut().lease_taken.push((process, now));
    }

    /// Records that a process does what only the holder of the lease may do. It took the lease at `taken_at`.
    pub fn works(&self, process: u32, taken_at: u64) {
        let taken = |&&(other, at): &&(u32, u64)| other != process && at >= taken_at;
        let other = self.0.borrow().lease_taken.iter().rev().find(taken).copied();
        if let Some((other, at)) = other {
            self.finds(format!(
                "process {process} works under the lease of {:.3} s, which process {other} took at {:.3} s",
                taken_at as f64 / 1e9,
                at as f64 / 1e9
            ));
        }
    }

    /// Records that something is wrong.
    pub fn finds(&self, wrong: String) {
        self.0.borrow_mut().wrong.get_or_insert(wrong);
    }

    /// Returns what is wrong.
    pub fn wrong(&self) -> Option<String> {
        self.0.borrow().wrong.clone()
    }

    /// Returns the number of happenings acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.0.borrow().acknowledged.len()
    }

    /// Compares a store with what was sent and acknowledged.
    ///
    /// # Errors
    /// Returns what does not fit.
    pub fn judge(&self, content: &Content, calendar: &Calendar) -> Result<(), String> {
        let state = self.0.borrow();
        if content.integrity != "ok" {
            return Err(format!("the database is damaged: {}", content.integrity));
        }
        let mut stored: BTreeMap<usize, Vec<Timestamp>> = BTreeMap::new();
        for device in &content.readings.devices {
            let motions = device.times.iter().map(|time| (time, true));
            for (time, is_motion) in motions.chain(device.offs.iter().map(|time| (time, false))) {
                let key = (device.device.clone(), time, is_motion);
                let Some(&number) = state.sent.get(&key) else {
                    return Err(format!("a reading is stored that was never sent: {key:?}"));
                };
                stored.entry(number).or_default().push(time);
            }
        }
        if let Some((number, times)) = stored.iter().find(|(_, times)| times.len() > 1) {
            return Err(format!("{:?} is stored {} times: {times:?}", state.happenings[number], times.len()));
        }
        let rows = content.readings.edge_count() as i64;
        if content.rows != rows {
            return Err(format!("{} rows hold {rows} readings: some are stored twice", content.rows));
        }
        for number in &state.acknowledged {
            let happening = &state.happenings[number];
            let may_be_gone = happening.kind == Kind::Rest || happening.time < state.dropped_before;
            if !may_be_gone && !stored.contains_key(number) {
                return Err(format!("{happening:?} is acknowledged and not stored"));
            }
        }
        let counted = count(&content.readings, calendar);
        if content.hours != counted {
            let other = content.hours.iter().zip(&counted).find(|(found, expected)| found != expected);
            return Err(format!("the hourly counts are not those of the readings: {other:?}"));
        }
        state.judge_heard(&content.heard)?;
        state.judge_quarantine(content)
    }
}

impl State {
    fn judge_heard(&self, heard: &[(String, Timestamp)]) -> Result<(), String> {
        let mut least: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for number in &self.acknowledged {
            let Happening { device, time, .. } = &self.happenings[number];
            let latest = least.entry(device).or_insert(*time);
            *latest = (*time).max(*latest);
        }
        let heard: BTreeMap<&str, Timestamp> = heard.iter().map(|(device, time)| (device.as_str(), *time)).collect();
        match least.iter().find(|(device, time)| heard.get(*device).is_none_or(|heard| heard < time)) {
            Some((device, time)) => {
                Err(format!("{device} was heard at {time}, the store says {:?}", heard.get(device)))
            }
            None => Ok(()),
        }
    }

    fn judge_quarantine(&self, content: &Content) -> Result<(), String> {
        let held: BTreeSet<&str> = content.quarantined.iter().map(|row| row.payload.as_str()).collect();
        if let Some(row) = held.iter().find(|row| !self.refused_sent.contains(**row)) {
            return Err(format!("{row} is in quarantine and was never sent as refused"));
        }
        if let Some(row) = self.refused_acknowledged.iter().find(|row| !held.contains(row.as_str())) {
            return Err(format!("{row} is acknowledged and not in quarantine"));
        }
        let bytes: usize = content.quarantined.iter().map(|row| row.payload.len() + row.reason.len()).sum();
        let rows = content.quarantined.len();
        let QuarantineSize { rows: counted_rows, bytes: counted_bytes, .. } = content.size;
        if (counted_rows, counted_bytes) != (rows as u64, bytes as u64) {
            return Err(format!(
                "the quarantine holds {rows} rows of {bytes} bytes and counts {counted_rows} of {counted_bytes}"
            ));
        }
        Ok(())
    }
}

/// Counts motions by device and hour.
fn count(readings: &Readings, calendar: &Calendar) -> Vec<HourCount> {
    let mut counts: BTreeMap<(&str, Hour), i64> = BTreeMap::new();
    for device in &readings.devices {
        for time in device.times.iter() {
            *counts.entry((&device.device, calendar.hour(time))).or_default() += 1;
        }
    }
    counts.into_iter().map(|((device, hour), count)| HourCount { device: device.to_owned(), hour, count }).collect()
}
