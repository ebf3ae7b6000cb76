//! The server's store, and the sources of its readings.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::ingest::counts::Counts;
use crate::ingest::edges::Edges;
use crate::ingest::health::Health;
use crate::ingest::merge::{MergedStore, Merger};
use crate::ingest::mqtt;
use crate::ingest::nats;
use crate::ingest::payload::message::Reader;
use crate::ingest::writer::{Hook, Limits, Writer};
use crate::mqtt::broker::Broker;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::Rooms;
use roomcast_storage::readings::{self, Cursor, Store, StoreError};

/// Number of polls after which readings stored by other processes are queried.
const POLLS_PER_QUERY: u32 = 3;

/// Longest time a stopping server spends on releasing its leases.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval at which the lease of a job is renewed.
pub const RENEW_INTERVAL: Duration = Duration::from_secs(30);

/// A lease on work that one server of a store does at a time.
#[derive(Debug, Clone, Copy)]
pub struct LeaseSpec {
    /// Its name in the store.
    name: &'static str,
    /// The time without a renewal after which another server may take the lease.
    pub duration: Duration,
}

/// Retraining and upkeep share one lease, so that no other server does one while this server does the other. Renewed
/// every [`RENEW_INTERVAL`].
pub const JOBS: LeaseSpec = LeaseSpec { name: "retrain", duration: Duration::from_secs(120) };

/// Publishing. Renewed every [`crate::publish::RENEW_INTERVAL`].
pub const PUBLISHING: LeaseSpec = LeaseSpec { name: "publish", duration: Duration::from_secs(45) };

/// Sources of readings besides HTTP.
#[derive(Debug, Default)]
pub struct Sources {
    /// A broker, the reader of its messages, and the seconds after which a repeated "motion" counts again.
    pub mqtt: Option<(Broker, Reader, i64)>,
    /// A JetStream consumer.
    pub nats: Option<nats::Settings>,
    /// Merges readings to a level above the rooms before they are stored, if nothing below it is to be kept.
    pub merger: Option<Merger>,
}

/// The store and everything that writes to it. They have their own runtime, so a slow disk does not delay requests.
pub struct Live {
    /// The store of the readings.
    pub store: Arc<Store>,
    /// Accepts readings for storage.
    pub writer: Writer,
    /// Counts of each source.
    pub counts: Arc<Counts>,
    /// The health of the sensors: the ones that are offline.
    pub health: Arc<Health>,
    /// The name under which this server holds leases.
    holder: String,
    /// The latest event of any sensor at the last query of the store; 0 if there is none.
    pub(crate) last_heard: Arc<AtomicI64>,
    runtime: tokio::runtime::Handle,
    sources: Mutex<Sources>,
    /// True when something was stored since the last query.
    dirty: Arc<AtomicBool>,
    polls: AtomicU32,
    cursor: Mutex<Cursor>,
    /// The version of the table of rooms that was read last.
    rooms_version: AtomicI64,
    /// The instant before which the store drops readings. Set while these are still served.
    pub(crate) drops_before: Mutex<Option<Timestamp>>,
    /// True when the last query for changes failed.
    pub(crate) is_unavailable: AtomicBool,
}

impl Live {
    /// Opens the store and starts its writer.
    ///
    /// # Errors
    /// Returns the errors of [`readings::open`], and an error for a store that holds something below the level of a merger.
    pub fn open(
        runtime: &Runtime,
        url: &str,
        calendar: &Calendar,
        limits: Limits,
        mut sources: Sources,
    ) -> anyhow::Result<Live> {
        let _inside = runtime.enter();
        let store = Arc::new(runtime.block_on(readings::open(url, calendar)).context("cannot open the store")?);
        let (counts, dirty) = (Arc::new(Counts::default()), Arc::new(AtomicBool::default()));
        let changed = dirty.clone();
        let hook: Hook = Box::new(move |_| changed.store(true, SeqCst));
        let health = Health::default();
        let writer = match sources.merger.take() {
            None => Writer::start(store.clone(), calendar.clone(), limits, counts.clone(), hook),
            Some(merger) => {
                runtime.block_on(merger.check(&store))?;
                health.hide_names();
                counts.skipped.hide_names();
                let merged = Arc::new(MergedStore::new(store.clone(), merger));
                Writer::start(merged, calendar.clone(), limits, counts.clone(), hook)
            }
        };
        Ok(Live {
            last_heard: Arc::default(),
            writer,
            store,
            counts,
            health: Arc::new(health),
            holder: readings::holder(),
            runtime: runtime.handle().clone(),
            sources: Mutex::new(sources),
            dirty,
            polls: AtomicU32::new(0),
            cursor: Mutex::default(),
            rooms_version: AtomicI64::default(),
            drops_before: Mutex::default(),
            is_unavailable: AtomicBool::default(),
        })
    }

    /// Returns everything in the store. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns the errors of [`Store::load`].
    pub fn load(&self, calendar: &Calendar) -> Result<Readings, StoreError> {
        let (readings, cursor) = self.runtime.block_on(self.store.load(None))?;
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = cursor;
        self.heard(calendar);
        Ok(readings)
    }

    /// Returns whether a query for changes is due: this server has stored readings, or other processes may have stored
    /// some since the last query.
    pub fn is_due(&self) -> bool {
        self.dirty.load(SeqCst) || self.polls.fetch_add(1, SeqCst) + 1 >= POLLS_PER_QUERY
    }

    /// Returns the readings stored since the last query. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns the errors of [`Store::changes`]; the next query then returns the same readings.
    pub fn changes(&self) -> Result<Readings, StoreError> {
        self.polls.store(0, SeqCst);
        // Cleared before the query: anything stored during it makes the next query due.
        self.dirty.store(false, SeqCst);
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let (devices, reached) = self.runtime.block_on(self.store.changes(*cursor))?;
        *cursor = reached;
        Ok(Readings { devices })
    }

    /// Returns the table of rooms in the store. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns the errors of [`Store::rooms`].
    pub(crate) fn rooms(&self) -> Result<Rooms, StoreError> {
        let (rooms, version) = self.runtime.block_on(self.store.rooms())?;
        self.rooms_version.store(version, SeqCst);
        Ok(rooms)
    }

    /// Replaces the table of rooms in the store. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns the errors of [`Store::set_rooms`].
    pub(crate) fn set_rooms(&self, rooms: &Rooms) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.set_rooms(rooms))
    }

    /// Returns whether the table of rooms was replaced since it was read. An unavailable store is asked again later. Must
    /// be called off the async threads.
    pub(crate) fn has_other_rooms(&self) -> bool {
        let version = self.runtime.block_on(self.store.rooms_version());
        version.is_ok_and(|version| version != self.rooms_version.load(SeqCst))
    }

    /// Returns whether the store has dropped everything older than an instant. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns the errors of [`Store::first_day`].
    pub(crate) fn has_dropped(&self, before: Timestamp) -> Result<bool, StoreError> {
        Ok(self.runtime.block_on(self.store.first_day())?.is_none_or(|begins| begins >= before))
    }

    /// Returns the latest event of any sensor, if the store has one. Must be called off the async threads.
    pub fn heard(&self, calendar: &Calendar) -> Option<Timestamp> {
        let heard = self.runtime.block_on(self.store.heard()).ok()?;
        // A timestamp ahead of the clock is no sign of life now.
        let now = calendar.now();
        let latest = heard.into_iter().map(|(_, time)| time).filter(|&time| time <= now).max();
        self.last_heard.store(latest.unwrap_or(0), SeqCst);
        latest
    }

    /// Starts the sources. The loaded readings give the last state of each device.
    pub fn listen(&self, readings: &Readings, calendar: &Calendar) {
        let Sources { mqtt, nats, .. } =
            std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((broker, reader, hold)) = mqtt {
            let mut edges = Edges::new(hold);
            match self.runtime.block_on(self.store.heard()) {
                Ok(heard) => edges.learn(&readings.devices, &heard),
                Err(error) => {
                    tracing::warn!(%error, "the state of the devices is not known: a repeated true counts once")
                }
            }
            let handler = mqtt::Handler::new(reader, calendar.clone(), edges, self.health.clone(), self.writer.clone());
            self.runtime.spawn(mqtt::listen(broker, handler, self.counts.clone()));
        }
        if let Some(settings) = nats {
            self.runtime.spawn(nats::listen(settings, calendar.clone(), self.writer.clone(), self.counts.clone()));
        }
    }

    /// Runs a slow operation of the store, and calls `meanwhile` at every interval. Must be called off the async
    /// threads.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub fn wait<T, F>(
        &self,
        work: impl FnOnce(Arc<Store>) -> F,
        every: Duration,
        meanwhile: impl Fn(),
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut work = Box::pin(work(self.store.clone()));
        loop {
            // The work proceeds only while it is awaited, which is nearly always.
            let waited = self.runtime.block_on(async { timeout(every, &mut work).await });
            match waited {
                Ok(done) => return done,
                Err(_) => meanwhile(),
            }
        }
    }

    /// Returns a function that takes or renews a lease, and returns false while another server holds it. The function
    /// must be called off the async threads.
    pub fn lease(&self, lease: LeaseSpec) -> impl Fn() -> anyhow::Result<bool> + Send + Sync + 'static {
        let (store, runtime, holder) = (self.store.clone(), self.runtime.clone(), self.holder.clone());
        let seconds = lease.duration.as_secs() as i64;
        move || Ok(runtime.block_on(store.lease(lease.name, &holder, seconds))?)
    }

    /// Releases all leases, so that others need not wait until they expire.
    pub fn release(&self) {
        let release = async {
            for LeaseSpec { name, .. } in [JOBS, PUBLISHING] {
                self.store.unlease(name, &self.holder).await?;
            }
            Ok::<(), StoreError>(())
        };
        if !matches!(self.runtime.block_on(async { timeout(RELEASE_TIMEOUT, release).await }), Ok(Ok(()))) {
            tracing::debug!("leases could not be released: they expire by themselves");
        }
    }
}
