//! State that all requests share: settings, limits, counters, and the snapshot that is served.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::live::Live;
use super::past::PastModels;
use super::snapshot::Snapshot;
use super::visits::Visits;
use crate::api::alerts::Alerts;
use crate::api::events::Events;
use crate::http::auth::Tokens;
use crate::http::limits::Limits;
use crate::http::proxy::{Client, Network};
use crate::jobs::retrain::Retraining;
use crate::jobs::upkeep::Upkeep;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::publish::Publisher;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::scores::Scores;
use roomcast_storage::inputs::Inputs;
use roomcast_storage::registry::Registry;

/// The settings the server was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The readings, and the calendar of the site they come from.
    pub input: Inputs,
    /// The store of readings as they arrive.
    pub store: Option<String>,
    /// The directory of the models, or an address, which may hold a password.
    pub models: PathBuf,
    /// The rule that turns probabilities into states.
    pub rule: Rule,
    /// Requests per second of one address or token; 0 for no limit.
    pub rate: u32,
    /// True when metrics are shown without a token.
    pub metrics_public: bool,
    /// Origins whose pages may read answers.
    pub cors: Vec<String>,
    /// Proxies that may name the client of a request.
    pub proxies: Vec<Network>,
    /// True when connections are encrypted.
    pub tls: bool,
    /// The schedule and settings of retraining.
    pub retrain: Retraining,
    /// The schedule and settings of the store's upkeep, if there is a store.
    pub upkeep: Option<Upkeep>,
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

/// Errors of the last tries; none for those that have succeeded since.
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

/// The state that all requests share.
pub struct Site {
    /// The settings the server was started with.
    pub settings: Settings,
    /// The site's calendar.
    pub calendar: Calendar,
    /// The registry.
    pub registry: Registry,
    /// The registry's older versions, for past origins.
    pub past: Arc<PastModels>,
    /// The known tokens; none with `--no-auth`.
    pub tokens: Tokens,
    /// The limits on requests.
    pub limits: Limits,
    /// The metrics.
    pub metrics: Metrics,
    /// The listeners of `GET /events`.
    pub events: Events,
    /// The store and its sources, if there is a store.
    pub live: Option<Live>,
    /// Publishes forecasts, if targets are configured.
    pub publisher: Option<Publisher>,
    /// The scores of past forecasts.
    pub scores: Mutex<Scores>,
    /// Number of times the scores changed.
    pub scored: AtomicU64,
    /// The present alerts.
    pub alerts: Mutex<Alerts>,
    phase: AtomicU8,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    trouble: RwLock<Trouble>,
    loading: Mutex<()>,
    /// Histories that came with requests.
    pub visits: Visits,
    /// The registry's list as last read, and, when the registry was away since, the reason why it is old.
    pub listed: Mutex<Option<(std::time::Instant, serde_json::Value, Option<String>)>>,
}

impl Site {
    /// Returns a site with nothing loaded yet.
    pub fn new(settings: Settings, calendar: Calendar, tokens: Tokens) -> Site {
        Site {
            past: Arc::new(PastModels::new(Registry::open(&settings.models), settings.rule)),
            registry: Registry::open(&settings.models),
            limits: Limits::new(settings.rate),
            settings,
            calendar,
            tokens,
            metrics: Metrics::default(),
            events: Events::default(),
            live: None,
            publisher: None,
            scores: Mutex::default(),
            scored: AtomicU64::default(),
            alerts: Mutex::default(),
            phase: AtomicU8::new(Phase::Loading as u8),
            snapshot: RwLock::default(),
            trouble: RwLock::default(),
            loading: Mutex::default(),
            visits: Visits::default(),
            listed: Mutex::default(),
        }
    }

    /// Returns the snapshot that is served now. A request takes it once and keeps it.
    ///
    /// # Errors
    /// Returns [`Code::NotReady`] before anything is loaded.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.clone().ok_or_else(|| {
            Problem::new(Code::NotReady, "the history is being loaded")
                .hint("GET /readyz says when it is there")
                .retry_after(1)
        })
    }

    /// Serves another snapshot from now on.
    pub fn swap(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    }

    /// Waits until no other thread is loading.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the phase of the server.
    pub fn phase(&self) -> Phase {
        [Phase::Loading, Phase::Training, Phase::Ready, Phase::Draining][usize::from(self.phase.load(SeqCst)).min(3)]
    }

    /// Enters a later phase; there is no way back.
    pub fn reach(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, SeqCst);
    }

    /// Returns the errors of the last tries.
    pub fn trouble(&self) -> Trouble {
        self.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the errors of the last tries.
    pub fn set_trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.trouble.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a request of a client against the limit of its address.
    ///
    /// # Errors
    /// Returns [`Code::RateLimited`] when it made too many, also for an address that is locked out.
    pub fn admit_address(&self, client: Option<Client>) -> Result<(), Problem> {
        client.map_or(Ok(()), |client| self.limits.address(client.0))
    }
}
