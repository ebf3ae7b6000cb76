//! The parts of a running server that handlers and jobs share.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Context;

use super::alerts::Alerts;
use super::events::Events;
use super::grid::Grid;
use super::live::Live;
use super::settings::Settings;
use super::snapshot::Snapshot;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::publish::Publisher;
use crate::publish::webhook::Notifier;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::decisions::live::LiveLedger;
use roomcast_forecast::decisions::outcomes::Outcomes;
use roomcast_forecast::decisions::plan;
use roomcast_forecast::decisions::promise::{self, MIN_DAYS, Method, Thresholds};
use roomcast_forecast::rooms::{Level, Rooms};
use roomcast_forecast::scores::Scores;
use roomcast_storage::registry::Registry;

/// The parts of a running server.
pub struct Site {
    /// The settings the server was started with.
    pub settings: Settings,
    /// The site's calendar.
    pub calendar: Calendar,
    /// The metrics.
    pub metrics: Metrics,
    /// The registry.
    pub registry: Registry,
    /// The registry's list as last read, and the reason why it is old if the registry has been unreachable since.
    pub listed: Mutex<Option<(std::time::Instant, serde_json::Value, Option<String>)>>,
    /// The served snapshot, the phase and the current errors.
    pub serving: Serving,
    /// The store and its sources, if there is a store.
    pub live: Option<Live>,
    /// Publishes forecasts, if targets are configured.
    pub publisher: Option<Publisher>,
    /// The web hook for alerts, if there is one.
    pub notifier: Option<Notifier>,
    /// The scores of past forecasts.
    pub scores: LiveScores,
    /// A replay of the last days, while too few forecasts are scored.
    replayed: Mutex<Option<Replayed>>,
    /// Stored schedules and what came of them.
    ledger: Mutex<LiveLedger>,
    /// The current alerts.
    pub alerts: Alerts,
    /// The listeners of `GET /events`.
    pub events: Events,
}

impl Site {
    /// Returns a site without a snapshot.
    pub fn new(settings: Settings, calendar: Calendar, live: Option<Live>, publisher: Option<Publisher>) -> Site {
        Site {
            registry: Registry::open(&settings.models),
            listed: Mutex::default(),
            settings,
            calendar,
            metrics: Metrics::default(),
            serving: Serving::default(),
            live,
            publisher,
            notifier: None,
            scores: LiveScores::default(),
            replayed: Mutex::default(),
            ledger: Mutex::default(),
            alerts: Alerts::default(),
            events: Events::default(),
        }
    }

    /// Returns the current snapshot. A request uses one snapshot from beginning to end.
    ///
    /// # Errors
    /// Returns [`Code::NotReady`] before anything is loaded.
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        self.serving.snapshot().ok_or_else(|| {
            Problem::new(Code::NotReady, "the history is being loaded")
                .hint("GET /readyz tells when it is loaded")
                .retry_after(1)
        })
    }

    /// Reads the table of rooms from the file of `--rooms`, else from the store. Returns the one in use if it is the same.
    ///
    /// # Errors
    /// Returns an error when file or store cannot be read.
    pub(crate) fn read_rooms(&self) -> anyhow::Result<Arc<Rooms>> {
        let given = &self.settings.input.site;
        let rooms = match &self.live {
            _ if self.settings.level != Level::Room => Rooms::default(),
            Some(live) if given.rooms.is_none() => live.rooms().context("cannot read the rooms")?,
            _ => given.rooms(&self.calendar)?,
        };
        let in_use = self.serving.snapshot().map(|snapshot| snapshot.history.rooms.clone());
        Ok(in_use.filter(|known| **known == rooms).unwrap_or_else(|| Arc::new(rooms)))
    }

    /// Returns the ledger, locked.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, LiveLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether enough days before a local day were scored to set a threshold on.
    pub(crate) fn has_record(&self, day: i32) -> bool {
        is_record(self.scores.lock().outcomes(), day)
    }

    /// Sets the replay of the last days.
    pub(crate) fn set_replayed(&self, replayed: Replayed) {
        *self.replayed.lock().unwrap_or_else(PoisonError::into_inner) = Some(replayed);
        self.scores.count_change();
    }

    /// Returns the thresholds of schedules of a level, made on a grid.
    pub(crate) fn thresholds<'a>(
        &self,
        method: Method,
        level: Level,
        grid: &Grid,
        rooms: impl IntoIterator<Item = &'a str>,
    ) -> Thresholds {
        let scores = self.scores.of(level);
        let replayed = self.replayed.lock().unwrap_or_else(PoisonError::into_inner);
        let today = plan::today(grid.hourly.origin, &self.calendar);
        let outcomes = match &*replayed {
            // The last days are replayed for rooms alone.
            Some(replayed) if level == Level::Room && replayed.day == today && !is_record(scores.outcomes(), today) => {
                &replayed.outcomes
            }
            _ => scores.outcomes(),
        };
        promise::thresholds(method, outcomes, &grid.loaded.models.site.out_of_sample, today, rooms)
    }
}

/// Returns whether outcomes hold enough days before a local day to set a threshold on.
fn is_record(outcomes: &Outcomes, day: i32) -> bool {
    outcomes.before(day).count() >= MIN_DAYS as usize
}

/// Outcomes of the forecasts of the last days, made again from the readings before each.
pub struct Replayed {
    /// The local day before which they lie.
    pub day: i32,
    /// Their probabilities, and what happened.
    pub outcomes: Outcomes,
}

/// The phase of the server's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The history is being read.
    Loading = 0,
    /// The baseline answers while models are being trained.
    Training = 1,
    /// Models and history are loaded.
    Ready = 2,
    /// The server is about to stop.
    Draining = 3,
}

impl Phase {
    /// Returns its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Loading => "loading",
            Phase::Training => "training",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        }
    }
}

/// Errors of the last attempts; `None` for those that have succeeded since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The reason why the registry's models are not in use, or should not be.
    pub models: Option<String>,
    /// The reason why the input's readings are not in use.
    pub readings: Option<String>,
    /// The reason why the store cannot be read.
    pub store: Option<String>,
    /// Number of rows of the input that were refused, in words.
    pub refused: Option<String>,
    /// The error of the last retraining.
    pub retraining: Option<String>,
    /// The error of the last upkeep of the store.
    pub upkeep: Option<String>,
}

/// Holds the served snapshot, the phase of the server, and the errors of the last attempts to change either.
#[derive(Default)]
pub struct Serving {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    phase: AtomicU8,
    trouble: RwLock<Trouble>,
    loading: Mutex<()>,
}

impl Serving {
    /// Returns the current snapshot, if anything is loaded.
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the current snapshot.
    pub fn replace(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    }

    /// Waits until no other thread is loading.
    pub(crate) fn lock_loading(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the phase of the server.
    pub fn phase(&self) -> Phase {
        [Phase::Loading, Phase::Training, Phase::Ready, Phase::Draining][usize::from(self.phase.load(SeqCst)).min(3)]
    }

    /// Enters a later phase. An earlier phase is never entered again.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, SeqCst);
    }

    /// Returns whether the server is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase() == Phase::Draining
    }

    /// Returns the errors of the last attempts.
    pub(crate) fn trouble(&self) -> Trouble {
        self.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the errors of the last attempts.
    pub(crate) fn set_trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.trouble.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The scores of past forecasts of each level, and how often they have changed.
#[derive(Default)]
pub struct LiveScores {
    scores: [Mutex<Scores>; Level::ALL.len()],
    changes: AtomicU64,
}

impl LiveScores {
    /// Returns the scores of rooms, locked.
    pub fn lock(&self) -> MutexGuard<'_, Scores> {
        self.of(Level::Room)
    }

    /// Returns the scores of a level, locked.
    pub(crate) fn of(&self, level: Level) -> MutexGuard<'_, Scores> {
        self.scores[level as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of times that the scores have changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(SeqCst)
    }

    /// Counts a change, after which answers that show scores are rendered again.
    pub(crate) fn count_change(&self) {
        self.changes.fetch_add(1, SeqCst);
    }
}
