//! `GET /alerts`: problems the operator of a site should know, at most one entry per kind.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::auth::ReadAccess;
use crate::http::etag;
use crate::http::query::{NoParameters, Query};
use crate::ingest::Source;
use crate::jobs::{hourly, scoring};
use crate::problem::Reply;
use crate::state::answer::utc;
use crate::state::site::Site;
use crate::state::snapshot::{AHEAD, ENDED, Snapshot};
use roomcast_forecast::calendar::{Calendar, HOUR, Timestamp};
use roomcast_forecast::hourly::{Hourly, State, Status};
use roomcast_forecast::readings::Stray;

/// Maximum number of names shown per kind.
const EXAMPLES: usize = 20;

/// Shortest time between two looks. After a slow look the pause is this many times as long as the look took.
const REST: Duration = Duration::from_secs(5);
const REST_FACTOR: u32 = 20;

/// Models that learned from nothing younger than this are old.
const OLD: i64 = 30 * 24 * HOUR;

/// Hours of history that define the usual silence. A building is quiet at night and on weekends, so readings are late
/// only after a silence 1.5 times the longest of the last four weeks, and never before six hours.
const LOOK_BACK: usize = 28 * 24;
const STILL_AT_LEAST: i64 = 6 * HOUR;

/// Time without motion after which forecasts ask whether the sensors are alive.
const ASKED_AFTER: i64 = 24 * HOUR;

/// Time after the last reading during which readings count as arriving.
const ARRIVED_LATELY: Duration = Duration::from_secs(600);

/// Time after the last refused row during which refused rows are an alert.
const REFUSED_LATELY: Duration = Duration::from_secs(3600);

/// Silence that is still usual before the data cover a week: weekends are not known yet.
const STILL_AT_FIRST: i64 = 72 * HOUR;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertKind)]
pub enum Kind {
    /// Sensors without motion for far longer than usual, and those of which their gateway says that they are gone.
    SilentSensors,
    /// Sensors that fire far more often than the others.
    ChatteringSensors,
    /// Devices whose forecasts did worse than the baseline by more than chance explains.
    WorseThanBaseline,
    /// No reading for longer than nights and weekends explain.
    DataLate,
    /// Readings that are ahead of the server's clock, or far from all others: they wait, or are set aside.
    StrayReadings,
    /// The input cannot be read any more; what was read before is still served.
    InputUnreadable,
    /// Rows were refused: of the input when it was last read, or of what came in the last hour.
    RowsRefused,
    /// Brokers and other servers that cannot be reached.
    Disconnected,
    /// Topics with messages that were too large to be read, in the last 24 hours.
    MessagesTooLarge,
    /// The last retraining failed.
    RetrainingFailed,
    /// Old readings could not be packed or forgotten.
    UpkeepFailed,
    /// The models have learned from nothing of the last 30 days.
    ModelOld,
}

impl Kind {
    /// All kinds, in the order in which they are shown.
    const ALL: [Kind; 12] = [
        Kind::DataLate,
        Kind::InputUnreadable,
        Kind::RowsRefused,
        Kind::StrayReadings,
        Kind::Disconnected,
        Kind::MessagesTooLarge,
        Kind::SilentSensors,
        Kind::ChatteringSensors,
        Kind::WorseThanBaseline,
        Kind::RetrainingFailed,
        Kind::UpkeepFailed,
        Kind::ModelOld,
    ];

    /// Returns its name in metrics, the same as in answers.
    fn name(self) -> &'static str {
        match self {
            Kind::SilentSensors => "silent_sensors",
            Kind::ChatteringSensors => "chattering_sensors",
            Kind::WorseThanBaseline => "worse_than_baseline",
            Kind::DataLate => "data_late",
            Kind::InputUnreadable => "input_unreadable",
            Kind::RowsRefused => "rows_refused",
            Kind::StrayReadings => "stray_readings",
            Kind::Disconnected => "disconnected",
            Kind::MessagesTooLarge => "messages_too_large",
            Kind::RetrainingFailed => "retraining_failed",
            Kind::UpkeepFailed => "upkeep_failed",
            Kind::ModelOld => "model_old",
        }
    }
}

/// What is wrong now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertsAnswer {
    /// At most one entry per kind, the gravest first; empty when all is well.
    alerts: Vec<Alert>,
}

/// One kind of trouble.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alert {
    /// What is wrong.
    kind: Kind,
    /// How many devices, servers or models it concerns.
    count: usize,
    /// When the server first saw it since it was last well, or since its start; UTC, RFC 3339.
    since: String,
    /// The first of them, in order of name; of what failed, why.
    #[schema(max_items = 20)]
    examples: Vec<String>,
}

/// The findings of one look about one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    count: usize,
    since: Timestamp,
    examples: Vec<String>,
}

/// The findings of the last look.
#[derive(Debug, Default)]
pub struct Alerts(BTreeMap<Kind, Found>);

impl Alerts {
    /// Records the problems found at an instant (UTC). A problem found before keeps its beginning. Returns whether
    /// anything changed.
    fn set(&mut self, found: Vec<(Kind, Vec<String>)>, now: Timestamp) -> bool {
        let before = std::mem::take(&mut self.0);
        for (kind, names) in found.into_iter().filter(|(_, names)| !names.is_empty()) {
            let since = before.get(&kind).map_or(now, |before| before.since);
            let count = names.len();
            let examples = names.into_iter().take(EXAMPLES).collect();
            self.0.insert(kind, Found { count, since, examples });
        }
        self.0 != before
    }

    /// Returns each kind's name in metrics, and the number of devices, servers or models it concerns.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        Kind::ALL.iter().map(|kind| (kind.name(), self.0.get(kind).map_or(0, |found| found.count)))
    }
}

/// Returns the findings of the last look at a site.
pub fn lock(site: &Site) -> MutexGuard<'_, Alerts> {
    site.alerts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks for problems repeatedly.
#[derive(Default)]
pub struct Watching {
    done: Option<Instant>,
    took: Duration,
    seen: Seen,
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
    /// Returns whether readings came in the last minutes, whatever their timestamps.
    fn round(&mut self, site: &Site, now: Instant) -> bool {
        let Some(live) = &site.live else { return false };
        let stored = Source::ALL.into_iter().map(|source| live.counts.of(source).stored.get()).sum();
        if stored > self.stored {
            *self = Arrivals { stored, at: Some(now) };
        }
        self.at.is_some_and(|at| now.duration_since(at) < ARRIVED_LATELY)
    }
}

/// Number of rows each source had refused, and the time it last grew.
#[derive(Default)]
struct Refusals(BTreeMap<&'static str, (u64, Instant)>);

impl Refusals {
    /// Returns the sources that had rows refused in the last hour, with the number refused since the start.
    fn round(&mut self, site: &Site, now: Instant) -> Vec<String> {
        let Some(live) = &site.live else { return Vec::new() };
        for source in Source::ALL {
            let refused = live.counts.of(source).refused.get();
            let known = self.0.entry(source.name()).or_insert((0, now));
            if refused > known.0 {
                *known = (refused, now);
            }
        }
        let recent =
            self.0.iter().filter(|(_, (refused, at))| *refused > 0 && now.duration_since(*at) < REFUSED_LATELY);
        recent.map(|(name, (refused, _))| format!("{name}: {refused} since the start, in quarantine")).collect()
    }
}

/// Findings that depend on data and models alone. They are computed again when these change or the present moves on.
#[derive(Default)]
struct Seen {
    snapshot: Weak<Snapshot>,
    present: Timestamp,
    silent: Vec<String>,
    chattering: Vec<String>,
    strays: Vec<String>,
    /// See [`patience`].
    patience: i64,
}

impl Seen {
    fn of(site: &Site, snapshot: &Arc<Snapshot>, present: Timestamp) -> Seen {
        let hourly = &hourly::grid(site, snapshot, present).hourly;
        let silent = hourly.devices.iter().filter(|device| device.status == Status::Silent);
        let chattering = snapshot.history.profile(&site.calendar).devices.iter().filter(|device| device.chattering);
        let strays = snapshot.history.readings.strays(site.calendar.now() + AHEAD);
        let strays = Stray::of(&strays, &site.calendar);
        Seen {
            snapshot: Arc::downgrade(snapshot),
            present,
            silent: silent.map(|device| device.device.clone()).collect(),
            strays: strays.map(|stray| stray.to_string()).collect(),
            chattering: chattering.map(|device| device.device.clone()).collect(),
            patience: patience(hourly, snapshot.history.span.map_or(0, |(first, last)| last - first)),
        }
    }
}

impl Watching {
    /// Looks for problems, when a look is due.
    pub fn round(&mut self, site: &Site, snapshot: &Arc<Snapshot>) {
        let rest = REST.max(self.took * REST_FACTOR);
        if self.done.is_some_and(|done| done.elapsed() < rest) {
            return;
        }
        let watch = Instant::now();
        let present = snapshot.history.present(&site.calendar);
        if self.seen.present != present || !Weak::ptr_eq(&self.seen.snapshot, &Arc::downgrade(snapshot)) {
            self.seen = Seen::of(site, snapshot, present);
        }
        let refused = self.refusals.round(site, watch);
        let arriving = self.arrivals.round(site, watch);
        let found = look(site, snapshot, &self.seen, arriving, refused);
        let has_changed = lock(site).set(found, Calendar::utc_now());
        if has_changed {
            site.events.alerts();
        }
        self.took = watch.elapsed();
        self.done = Some(Instant::now());
    }
}

/// Returns the names of everything that is wrong, by kind.
fn look(
    site: &Site,
    snapshot: &Snapshot,
    seen: &Seen,
    arriving: bool,
    refused: Vec<String>,
) -> Vec<(Kind, Vec<String>)> {
    let mut silent = seen.silent.clone();
    if let Some(live) = &site.live {
        silent.extend(live.health.offline());
        silent.sort();
        silent.dedup();
    }
    let too_large = site.live.as_ref().map_or_else(Vec::new, |live| live.counts.skipped.recent(Instant::now()));
    let worse = scoring::lock(site).worse().map(str::to_owned).collect();
    let trouble = site.trouble();
    let is_old = snapshot.loaded.manifest.is_some() && seen.present - snapshot.loaded.models.cutoff > OLD;
    vec![
        (Kind::SilentSensors, silent),
        (Kind::ChatteringSensors, seen.chattering.clone()),
        (Kind::WorseThanBaseline, worse),
        (Kind::InputUnreadable, trouble.readings.into_iter().collect()),
        (Kind::RowsRefused, trouble.refused.into_iter().chain(refused).collect()),
        (Kind::StrayReadings, seen.strays.clone()),
        (Kind::DataLate, late(site, snapshot, seen.patience, arriving)),
        (Kind::Disconnected, disconnected(site)),
        (Kind::MessagesTooLarge, too_large),
        (Kind::RetrainingFailed, trouble.retraining.into_iter().collect()),
        (Kind::UpkeepFailed, trouble.upkeep.into_iter().collect()),
        (Kind::ModelOld, is_old.then(|| snapshot.loaded.version.clone()).into_iter().collect()),
    ]
}

/// Reports the readings when those expected in the store do not arrive.
fn late(site: &Site, snapshot: &Snapshot, patience: i64, arriving: bool) -> Vec<String> {
    let (Some(live), Some((_, last))) = (&site.live, snapshot.history.span) else { return Vec::new() };
    let now = site.calendar.now();
    // Sensors may report that they are alive without motion. The store is asked only when there was no motion.
    let silent = now - last;
    // A past is being played: the timestamps that arrive are not of now.
    if arriving && silent > ENDED {
        return Vec::new();
    }
    let heard = if silent > ASKED_AFTER.min(patience) { live.heard(&site.calendar) } else { None };
    if silent <= patience || heard.is_some_and(|heard| now - heard <= patience) {
        return Vec::new();
    }
    vec!["readings".into()]
}

/// Returns the number of seconds without motion anywhere that is not unusual.
fn patience(hourly: &Hourly, seen: i64) -> i64 {
    if seen < 7 * 24 * HOUR {
        return STILL_AT_FIRST;
    }
    let hours = (hourly.end - hourly.first) as usize;
    let mut moved = vec![false; hours];
    for device in &hourly.devices {
        let offset = (device.first - hourly.first) as usize;
        for (at, state) in device.states.iter().enumerate().skip(hours.saturating_sub(LOOK_BACK + offset)) {
            moved[offset + at] |= *state == State::Occupied;
        }
    }
    let recent = &moved[hours.saturating_sub(LOOK_BACK)..];
    // The current silence may be the trouble itself, not a habit.
    let until = recent.iter().rposition(|moved| *moved).unwrap_or(0);
    let longest = recent[..until].split(|moved| *moved).map(<[bool]>::len).max().unwrap_or(0) as i64;
    STILL_AT_LEAST.max(longest * HOUR * 3 / 2)
}

/// Returns the servers that were tried and are not connected.
fn disconnected(site: &Site) -> Vec<String> {
    let mut names: Vec<String> = site.trouble().store.map(|_| "store".to_owned()).into_iter().collect();
    if let Some(live) = &site.live {
        let gone = |source: &Source| {
            let arrived = live.counts.of(*source);
            arrived.reconnects.get() > 0 && arrived.connected.get() == 0
        };
        names.extend(Source::ALL.into_iter().filter(gone).map(|source| source.name().to_owned()));
    }
    if let Some(publisher) = site.publisher.as_ref().filter(|publisher| publisher.is_active()) {
        let gone = publisher.given().iter().filter(|(_, given)| given.failures.get() > 0 && given.connected.get() == 0);
        names.extend(gone.map(|(name, _)| format!("publish-{name}")));
    }
    names
}

/// Current problems of the site, at most one entry per kind
///
/// The server checks the site every few seconds. One entry covers all sensors, models or servers with the same problem.
#[utoipa::path(
    get, path = "/alerts", operation_id = "alerts", tag = "operation",
    responses(
        (status = 200, description = "The current problems", body = AlertsAnswer),
        (status = 304, description = "The answer is unchanged: `If-None-Match` holds its `ETag`"),
    ),
)]
pub async fn get(_: ReadAccess, _: Query<NoParameters>, request: HttpRequest, site: Data<Site>) -> Reply {
    let alerts = lock(&site);
    let alert = |kind: Kind| {
        let found = alerts.0.get(&kind)?;
        Some(Alert { kind, count: found.count, since: utc(found.since), examples: found.examples.clone() })
    };
    etag::json(&request, &AlertsAnswer { alerts: Kind::ALL.into_iter().filter_map(alert).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomcast_forecast::readings::{DeviceReadings, Readings};

    #[test]
    fn kinds_are_named_alike_in_answers_and_metrics() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn trouble_keeps_its_beginning_until_it_is_over() {
        let mut alerts = Alerts::default();
        let names = |n: usize| (0..n).map(|n| format!("device_{n:03}")).collect::<Vec<_>>();
        alerts.set(vec![(Kind::SilentSensors, names(3)), (Kind::DataLate, names(0))], 100);
        alerts.set(vec![(Kind::SilentSensors, names(50))], 200);
        let found = &alerts.0[&Kind::SilentSensors];
        assert_eq!((alerts.0.len(), found.count, found.since, found.examples.len()), (1, 50, 100, 20));
        alerts.set(vec![], 300);
        alerts.set(vec![(Kind::SilentSensors, names(1))], 400);
        assert_eq!(alerts.0[&Kind::SilentSensors].since, 400);
    }

    #[test]
    fn patience_is_half_again_the_longest_stillness_of_four_weeks() {
        let site = |hours: &[i64], origin: i64| {
            let device = |name: &str, every: usize| DeviceReadings {
                device: name.into(),
                times: hours.iter().step_by(every).map(|hour| hour * HOUR).collect::<Vec<_>>().into(),
            };
            Hourly::new(
                &Readings { devices: vec![device("a", 1), device("b", 3)] },
                &Calendar::default(),
                origin * HOUR,
            )
        };
        // Ten days with motion at 8 and at 18, then nothing.
        let hours: Vec<i64> = (0..10).flat_map(|day| [day * 24 + 8, day * 24 + 18]).collect();
        let seen = 240 * HOUR;
        assert_eq!(patience(&site(&hours, 300), seen), 13 * HOUR * 3 / 2);
        assert_eq!(patience(&site(&hours, 300), 6 * 24 * HOUR), STILL_AT_FIRST);
        let busy: Vec<i64> = (0..240).collect();
        assert_eq!(patience(&site(&busy, 240), seen), STILL_AT_LEAST);
        // A silence of long ago does not count.
        let hours: Vec<i64> = [0, 200].into_iter().chain(300..1000).collect();
        assert_eq!(patience(&site(&hours, 1000), 1000 * HOUR), STILL_AT_LEAST);
    }
}
