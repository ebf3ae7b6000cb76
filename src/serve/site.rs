//! What all requests share: settings, limits, counters, and the snapshot that is served.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::alerts::Alerts;
use super::auth::Tokens;
use super::events::Events;
use super::limits::Limits;
use super::live::Live;
use super::metrics::{Gauges, Metrics};
use super::past::PastModels;
use super::problem::{Code, Problem};
use super::proxy::{Client, Network};
use super::retrain::Retraining;
use super::snapshot::Snapshot;
use super::upkeep::Upkeep;
use super::visits::Visits;
use crate::calendar::Calendar;
use crate::commands::site::SiteArgs;
use crate::model::registry::Registry;
use crate::model::rule::Rule;
use crate::publish::Publisher;
use crate::scores::Scores;

/// How the server was started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where readings are.
    pub input: SiteArgs,
    /// Where readings are stored as they arrive.
    pub store: Option<String>,
    /// Where models are: a directory, or an address, which may hold a password.
    pub models: PathBuf,
    /// How probabilities become states.
    pub rule: Rule,
    /// Requests per second of one address or token; 0 for no limit.
    pub rate: u32,
    /// Whether metrics are shown without a token.
    pub metrics_public: bool,
    /// Origins whose pages may read answers.
    pub cors: Vec<String>,
    /// Proxies that may say whose request it is.
    pub proxies: Vec<Network>,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// When and how to renew the models.
    pub retrain: Retraining,
    /// When and how to tidy the store, if there is one.
    pub upkeep: Option<Upkeep>,
}

/// How far the server has come.
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
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Loading => "loading",
            Phase::Training => "training",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        }
    }
}

/// What the last tries met; none of what has worked since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Why the registry's models are not in use, or should not be.
    pub models: Option<String>,
    /// Why the input's readings are not in use.
    pub readings: Option<String>,
    /// Why the store cannot be read.
    pub store: Option<String>,
    /// How many rows of the input were refused.
    pub refused: Option<String>,
    /// What the last retraining met.
    pub retraining: Option<String>,
    /// What the last upkeep of the store met.
    pub upkeep: Option<String>,
}

/// What all requests share.
pub struct Site {
    /// How the server was started.
    pub settings: Settings,
    /// The site's calendar.
    pub calendar: Calendar,
    /// The registry.
    pub registry: Registry,
    /// Its older versions, for origins of the past.
    pub past: Arc<PastModels>,
    /// The tokens it knows; none with `--no-auth`.
    pub tokens: Tokens,
    /// How many requests there may be.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Who listens to what changes.
    pub events: Events,
    /// Readings as they arrive, where there is a store for them.
    pub live: Option<Live>,
    /// Hands forecasts to others, where somebody wants them.
    pub publisher: Option<Publisher>,
    /// What forecasts were worth.
    pub scores: Mutex<Scores>,
    /// How often they changed.
    pub scored: AtomicU64,
    /// What is wrong.
    pub alerts: Mutex<Alerts>,
    phase: AtomicU8,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    trouble: RwLock<Trouble>,
    loading: Mutex<()>,
    /// Histories that came with requests.
    pub visits: Visits,
    /// The registry's list as it was last asked for, and why it is older than that where the registry was away.
    pub listed: Mutex<Option<(std::time::Instant, serde_json::Value, Option<String>)>>,
}

impl Site {
    /// A site with nothing loaded yet.
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

    /// What is served now. A request takes it once and stays with it.
    ///
    /// # Errors
    /// [`Code::NotReady`] before anything is loaded.
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

    /// Waits until nobody else is loading.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the server has come.
    pub fn phase(&self) -> Phase {
        [Phase::Loading, Phase::Training, Phase::Ready, Phase::Draining][usize::from(self.phase.load(SeqCst)).min(3)]
    }

    /// Goes on to a later phase; there is no way back.
    pub fn reach(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, SeqCst);
    }

    /// What the last try to load met.
    pub fn trouble(&self) -> Trouble {
        self.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what the last try to load met.
    pub fn set_trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.trouble.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the metrics say about now.
    pub fn gauges(&self) -> Gauges {
        let snapshot = self.snapshot().ok();
        let history = snapshot.as_ref().map(|snapshot| &snapshot.history);
        Gauges {
            ready: self.phase() == Phase::Ready,
            devices: history.map_or(0, |history| history.readings.devices.len()),
            readings: history.map_or(0, |history| history.count),
            data_until: history.and_then(|history| history.span).map_or(0, |span| span.1),
            cutoff: snapshot.as_ref().map_or(0, |snapshot| snapshot.loaded.models.cutoff),
        }
    }

    /// Counts a request of a client against the limit of its address.
    ///
    /// # Errors
    /// [`Code::RateLimited`], also for an address that is locked out.
    pub fn admit_address(&self, client: Option<Client>) -> Result<(), Problem> {
        client.map_or(Ok(()), |client| self.limits.address(client.0))
    }
}
