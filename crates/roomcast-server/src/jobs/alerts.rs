//! The alert monitor: checks for problems that the operator of the site should know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::backoff::next_run;
use crate::ingest::Source;
use crate::ingest::counts::Counts;
use crate::state::alerts::{Alert, Kind, RoomOf};
use crate::state::answer::utc;
use crate::state::settings::MAX_CLOCK_SKEW;
use crate::state::site::Site;
use crate::state::snapshot::{MAX_STORE_SILENCE, Snapshot};
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::hourly::{Hourly, Status};
use roomcast_forecast::readings::Stray;

/// Multiple of the time that a check took after which the next one is due.
const PAUSE_FACTOR: u32 = 20;

/// Age of the last reading that models learned from, from which they count as old.
const MAX_MODEL_AGE: i64 = 30 * 24 * HOUR;

/// Hours of history that define the usual silence. A building is quiet at night and on weekends, so readings are late
/// only after a silence 1.5 times the longest of the last four weeks, and never before six hours.
const SILENCE_WINDOW_HOURS: usize = 28 * 24;
const MIN_USUAL_SILENCE: i64 = 6 * HOUR;

/// Time in which a sensor is on for too long again and again, so that it counts as stuck.
const STUCK_WINDOW: i64 = 28 * 24 * HOUR;

/// Time without motion after which forecasts query whether the sensors are alive.
const LIVENESS_QUERY_DELAY: i64 = 24 * HOUR;

/// Time after the last reading during which readings count as arriving.
const ARRIVAL_WINDOW: Duration = Duration::from_secs(600);

/// Time after the last refused row during which refused rows are an alert.
const REFUSAL_WINDOW: Duration = Duration::from_secs(3600);

/// Longest usual silence before the data cover a week, when weekends are not known yet.
const INITIAL_USUAL_SILENCE: i64 = 72 * HOUR;

/// Checks for problems repeatedly.
#[derive(Default)]
pub struct AlertMonitor {
    /// The earliest time of another check.
    next: Option<Instant>,
    findings: DataFindings,
    refusals: Refusals,
    arrivals: Arrivals,
}

/// Number of readings stored since the start, and the time it last grew.
#[derive(Default)]
struct Arrivals {
    stored: u64,
    at: Option<Instant>,
}

impl Arrivals {
    /// Returns whether readings arrived in the last minutes, whatever their timestamps.
    fn update(&mut self, counts: &Counts, now: Instant) -> bool {
        let stored = Source::ALL.into_iter().map(|source| counts.of(source).stored.get()).sum();
        if stored > self.stored {
            *self = Arrivals { stored, at: Some(now) };
        }
        self.at.is_some_and(|at| now.duration_since(at) < ARRIVAL_WINDOW)
    }
}

/// Number of rows each source had refused, and the time it last grew.
#[derive(Default)]
struct Refusals(BTreeMap<&'static str, (u64, Instant)>);

impl Refusals {
    /// Returns the sources that had rows refused in the last hour, with the number refused since the start.
    fn update(&mut self, counts: &Counts, now: Instant) -> Vec<String> {
        for source in Source::ALL {
            let refused = counts.of(source).refused.get();
            let known = self.0.entry(source.name()).or_insert((0, now));
            if refused > known.0 {
                *known = (refused, now);
            }
        }
        let recent =
            self.0.iter().filter(|(_, (refused, at))| *refused > 0 && now.duration_since(*at) < REFUSAL_WINDOW);
        recent.map(|(name, (refused, _))| format!("{name}: {refused} since the start, in quarantine")).collect()
    }
}

/// Findings that depend on data and models alone. They are computed again when these change or the present moves on.
#[derive(Default)]
struct DataFindings {
    snapshot: Weak<Snapshot>,
    present: Timestamp,
    silent: Vec<String>,
    stuck: Vec<String>,
    chattering: Vec<String>,
    strays: Vec<String>,
    /// See [`usual_silence`].
    usual_silence: i64,
}

impl DataFindings {
    fn of(site: &Site, snapshot: &Arc<Snapshot>, present: Timestamp) -> DataFindings {
        let hourly = &snapshot.grid(present, &site.calendar).hourly;
        // A room of several sensors lives and works when one of them does.
        let own = (!snapshot.history.rooms.is_empty()).then(|| snapshot.sensors(present, &site.calendar));
        let sensors = &own.as_ref().unwrap_or(hourly).devices;
        let silent = sensors.iter().filter(|sensor| sensor.status == Status::Silent);
        let devices = &snapshot.history.sensor_profile(&site.calendar).devices;
        let is_overlong = |at| present - at < STUCK_WINDOW;
        let overlong = devices.iter().filter(|device| device.stuck_since.is_some_and(is_overlong));
        let on_for_days = sensors.iter().filter(|sensor| sensor.is_stuck()).map(|sensor| &sensor.device);
        let stuck: BTreeSet<&String> = overlong.map(|device| &device.device).chain(on_for_days).collect();
        let chattering = devices.iter().filter(|device| device.chattering);
        let strays = snapshot.history.sensors.strays(site.calendar.now() + MAX_CLOCK_SKEW);
        let strays = Stray::of(&strays, &site.calendar);
        DataFindings {
            snapshot: Arc::downgrade(snapshot),
            present,
            silent: silent.map(|sensor| sensor.device.clone()).collect(),
            stuck: stuck.into_iter().cloned().collect(),
            strays: strays.map(|stray| stray.to_string()).collect(),
            chattering: chattering.map(|device| device.device.clone()).collect(),
            usual_silence: usual_silence(hourly, snapshot.history.span.map_or(0, |(first, last)| last - first)),
        }
    }
}

impl AlertMonitor {
    /// Checks for problems, when a check is due.
    pub fn update(&mut self, site: &Site, snapshot: &Arc<Snapshot>) {
        if self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let watch = Instant::now();
        let present = snapshot.history.present(&site.calendar);
        if self.findings.present != present || !Weak::ptr_eq(&self.findings.snapshot, &Arc::downgrade(snapshot)) {
            self.findings = DataFindings::of(site, snapshot, present);
        }
        let counts = site.live.as_ref().map(|live| &live.counts);
        let refused = counts.map_or_else(Vec::new, |counts| self.refusals.update(counts, watch));
        let arriving = counts.is_some_and(|counts| self.arrivals.update(counts, watch));
        let found = find_problems(site, snapshot, &self.findings, arriving, refused);
        let history = &snapshot.history;
        let room_of = |sensor: &str| history.room_of(sensor, present).map(str::to_owned);
        let room_of = (!history.rooms.is_empty()).then_some(&room_of as RoomOf<'_>);
        let (before, now) = (site.alerts.list(), Calendar::utc_now());
        if site.alerts.set(found, room_of, now) {
            site.events.alerts();
            if let Some(notifier) = &site.notifier {
                let message = Message::of(&before, site.alerts.list(), now);
                // Every message can be written as JSON.
                message
                    .and_then(|message| serde_json::to_vec(&message).ok())
                    .into_iter()
                    .for_each(|m| notifier.send(m));
            }
        }
        self.next = Some(next_run(watch, PAUSE_FACTOR));
    }
}

/// The message of a web hook.
#[derive(Debug, Serialize)]
struct Message {
    /// Time of the change, UTC.
    at: String,
    /// The change in words, in the form that chats read.
    text: String,
    /// Alerts that have begun.
    began: Vec<Alert>,
    /// Alerts that have ended.
    ended: Vec<Alert>,
    /// All current alerts.
    alerts: Vec<Alert>,
}

impl Message {
    /// Returns the message of a change between two lists of alerts; `None` where no kind has begun or ended.
    fn of(before: &[Alert], alerts: Vec<Alert>, now: Timestamp) -> Option<Message> {
        let missing = |from: &[Alert], of: &[Alert]| -> Vec<Alert> {
            of.iter().filter(|alert| from.iter().all(|other| other.kind != alert.kind)).cloned().collect()
        };
        let (began, ended) = (missing(before, &alerts), missing(&alerts, before));
        if began.is_empty() && ended.is_empty() {
            return None;
        }
        let words = |what: &str, alerts: &[Alert]| -> Vec<String> {
            alerts.iter().map(|alert| format!("{what}: {alert}")).collect()
        };
        let text = [words("Roomcast alert", &began), words("Roomcast alert over", &ended)].concat().join("\n");
        Some(Message { at: utc(now), text, began, ended, alerts })
    }
}

/// Returns the names of everything that has a problem, by kind.
fn find_problems(
    site: &Site,
    snapshot: &Snapshot,
    data: &DataFindings,
    arriving: bool,
    refused: Vec<String>,
) -> Vec<(Kind, Vec<String>)> {
    let mut silent = data.silent.clone();
    if let Some(live) = &site.live {
        silent.extend(live.health.offline());
        silent.sort();
        silent.dedup();
    }
    let too_large = site.live.as_ref().map_or_else(Vec::new, |live| live.counts.skipped.recent(Instant::now()));
    let worse = site.scores.lock().worse().map(str::to_owned).collect();
    let trouble = site.serving.trouble();
    let is_old = snapshot.loaded.manifest.is_some() && data.present - snapshot.loaded.models.cutoff > MAX_MODEL_AGE;
    vec![
        (Kind::SilentSensors, silent),
        (Kind::StuckSensors, data.stuck.clone()),
        (Kind::ChatteringSensors, data.chattering.clone()),
        (Kind::WorseThanBaseline, worse),
        (Kind::InputUnreadable, trouble.readings.into_iter().collect()),
        (Kind::RowsRefused, trouble.refused.into_iter().chain(refused).collect()),
        (Kind::StrayReadings, data.strays.clone()),
        (Kind::DataLate, late(site, snapshot, data.usual_silence, arriving)),
        (Kind::Disconnected, disconnected(site, trouble.store.is_some())),
        (Kind::MessagesTooLarge, too_large),
        (Kind::RetrainingFailed, trouble.retraining.into_iter().collect()),
        (Kind::UpkeepFailed, trouble.upkeep.into_iter().collect()),
        (Kind::ModelOld, is_old.then(|| snapshot.loaded.version.clone()).into_iter().collect()),
    ]
}

/// Reports since when nothing was heard, if readings are expected in the store and do not arrive.
fn late(site: &Site, snapshot: &Snapshot, usual_silence: i64, arriving: bool) -> Vec<String> {
    let (Some(live), Some((_, last))) = (&site.live, snapshot.history.span) else { return Vec::new() };
    let now = site.calendar.now();
    // Sensors may report that they are alive without motion. The store is asked only when there was no motion.
    let silent = now - last;
    // A past is being played: the timestamps that arrive are not of now.
    if arriving && silent > MAX_STORE_SILENCE {
        return Vec::new();
    }
    let heard = if silent > LIVENESS_QUERY_DELAY.min(usual_silence) { live.heard(&site.calendar) } else { None };
    if silent <= usual_silence || heard.is_some_and(|heard| now - heard <= usual_silence) {
        return Vec::new();
    }
    let since = heard.map_or(last, |heard| heard.max(last));
    vec![format!("nothing heard since {}", site.calendar.format(since))]
}

/// Returns the number of seconds without motion anywhere that is not unusual.
fn usual_silence(hourly: &Hourly, covered: i64) -> i64 {
    if covered < 7 * 24 * HOUR {
        return INITIAL_USUAL_SILENCE;
    }
    let hours = (hourly.end - hourly.first) as usize;
    let mut moved = vec![false; hours];
    for device in &hourly.devices {
        let offset = (device.first - hourly.first) as usize;
        for (at, state) in device.states.iter().enumerate().skip(hours.saturating_sub(SILENCE_WINDOW_HOURS + offset)) {
            moved[offset + at] |= state.has_motion();
        }
    }
    let recent = &moved[hours.saturating_sub(SILENCE_WINDOW_HOURS)..];
    // The current silence may be the trouble itself, not a habit.
    let until = recent.iter().rposition(|moved| *moved).unwrap_or(0);
    let longest = recent[..until].split(|moved| *moved).map(<[bool]>::len).max().unwrap_or(0) as i64;
    MIN_USUAL_SILENCE.max(longest * HOUR * 3 / 2)
}

/// Returns the servers that were tried and are not connected.
fn disconnected(site: &Site, is_store_unavailable: bool) -> Vec<String> {
    let mut names: Vec<String> = is_store_unavailable.then(|| "store".to_owned()).into_iter().collect();
    if let Some(live) = &site.live {
        let is_disconnected = |source: &Source| {
            let arrived = live.counts.of(*source);
            arrived.reconnects.get() > 0 && arrived.connected.get() == 0
        };
        names.extend(Source::ALL.into_iter().filter(is_disconnected).map(|source| source.name().to_owned()));
    }
    if let Some(publisher) = site.publisher.as_ref().filter(|publisher| publisher.is_active()) {
        let unreachable =
            publisher.counts().iter().filter(|(_, counts)| counts.failures.get() > 0 && counts.connected.get() == 0);
        names.extend(unreachable.map(|(name, _)| format!("publish-{name}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::readings::{DeviceReadings, Readings};

    #[test]
    fn usual_silence_is_half_again_the_longest_stillness_of_four_weeks() {
        let site = |hours: &[i64], origin: i64| {
            let device = |name: &str, every: usize| DeviceReadings {
                device: name.into(),
                times: hours.iter().step_by(every).map(|hour| hour * HOUR).collect::<Vec<_>>().into(),
                ..DeviceReadings::default()
            };
            Hourly::new(
                &Readings { devices: vec![device("a", 1), device("b", 3)] },
                &Calendar::default(),
                origin * HOUR,
            )
        };
        // Ten days with motion at 8 and at 18, then nothing.
        let hours: Vec<i64> = (0..10).flat_map(|day| [day * 24 + 8, day * 24 + 18]).collect();
        let covered = 240 * HOUR;
        assert_eq!(usual_silence(&site(&hours, 300), covered), 13 * HOUR * 3 / 2);
        assert_eq!(usual_silence(&site(&hours, 300), 6 * 24 * HOUR), INITIAL_USUAL_SILENCE);
        let busy: Vec<i64> = (0..240).collect();
        assert_eq!(usual_silence(&site(&busy, 240), covered), MIN_USUAL_SILENCE);
        // A silence of long ago does not count.
        let hours: Vec<i64> = [0, 200].into_iter().chain(300..1000).collect();
        assert_eq!(usual_silence(&site(&hours, 1000), 1000 * HOUR), MIN_USUAL_SILENCE);
    }
}
