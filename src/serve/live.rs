//! The server's store, and what brings readings into it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::lease::{JOBS, Lease, PUBLISHING, Right};
use super::metrics;
use crate::calendar::{Calendar, Instant};
use crate::readings::Readings;
use crate::store::{self, Cursor, Store, StoreError};
use crate::stream::counts::Counts;
use crate::stream::edges::Edges;
use crate::stream::health::Health;
use crate::stream::mqtt::{self, Broker};
use crate::stream::nats;
use crate::stream::payload::message::Reader;
use crate::stream::writer::{Hook, Limits, Writer};

/// Looks at the store, at most, between two questions for what other processes stored.
const OTHERS: u32 = 3;

/// How long a server that stops tries to give its rights back.
const LEAVING: Duration = Duration::from_secs(2);

/// Sources of readings beside HTTP.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A broker, how its messages are read, and the seconds after which a repeated "motion" counts again.
    pub mqtt: Option<(Broker, Reader, i64)>,
    /// A JetStream consumer.
    pub nats: Option<nats::Settings>,
}

/// The store and everything that writes to it, on a runtime of their own: a slow disk holds up no request.
pub struct Live {
    /// Where readings go.
    pub store: Arc<dyn Store>,
    /// Takes readings.
    pub writer: Writer,
    /// What came how.
    pub counts: Arc<Counts>,
    /// Which sensors are gone.
    pub health: Arc<Health>,
    /// The name under which this server holds leases.
    holder: String,
    /// The latest event of any sensor when the store was last asked, 0 for none.
    pub(super) last_heard: Arc<AtomicI64>,
    runtime: tokio::runtime::Handle,
    sources: Mutex<Sources>,
    /// Whether something was stored since the last look.
    dirty: Arc<AtomicBool>,
    looks: AtomicU32,
    cursor: Mutex<Cursor>,
    /// The instant before which the store forgets readings, while these are still served.
    pub(super) forgets: Mutex<Option<Instant>>,
    /// Whether the last question for changes failed.
    pub(super) away: AtomicBool,
}

impl Live {
    /// Opens the store and starts its writer.
    ///
    /// # Errors
    /// As [`store::open`].
    pub fn open(
        runtime: &Runtime,
        url: &str,
        calendar: &Calendar,
        limits: Limits,
        sources: Sources,
    ) -> anyhow::Result<Live> {
        let _inside = runtime.enter();
        let store = runtime.block_on(store::open(url, calendar)).context("cannot open the store")?;
        let (counts, dirty) = (Arc::new(Counts::default()), Arc::new(AtomicBool::default()));
        let changed = dirty.clone();
        let hook: Hook = Box::new(move |_| changed.store(true, SeqCst));
        Ok(Live {
            last_heard: Arc::default(),
            writer: Writer::start(store.clone(), calendar.clone(), limits, counts.clone(), hook),
            store,
            counts,
            health: Arc::default(),
            holder: store::holder(),
            runtime: runtime.handle().clone(),
            sources: Mutex::new(sources),
            dirty,
            looks: AtomicU32::new(0),
            cursor: Mutex::default(),
            forgets: Mutex::default(),
            away: AtomicBool::default(),
        })
    }

    /// All that is in the store. Call it off the async threads.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load(&self, calendar: &Calendar) -> Result<Readings, StoreError> {
        let (readings, cursor) = self.runtime.block_on(self.store.load(None))?;
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = cursor;
        self.heard(calendar);
        Ok(readings)
    }

    /// Whether to ask for changes: something was stored here, or others may have stored something for a while.
    pub fn is_due(&self) -> bool {
        self.dirty.load(SeqCst) || self.looks.fetch_add(1, SeqCst) + 1 >= OTHERS
    }

    /// What was stored since the last question. Call it off the async threads.
    ///
    /// # Errors
    /// As [`Store::changes`]; the next question asks for the same then.
    pub fn changes(&self) -> Result<Readings, StoreError> {
        self.looks.store(0, SeqCst);
        // Before the question: what is stored during it makes the next one due.
        self.dirty.store(false, SeqCst);
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let (devices, reached) = self.runtime.block_on(self.store.changes(*cursor))?;
        *cursor = reached;
        Ok(Readings { devices })
    }

    /// Whether the store has forgotten what is older than an instant. Call it off the async threads.
    ///
    /// # Errors
    /// As [`Store::begins`].
    pub fn has_forgotten(&self, before: Instant) -> Result<bool, StoreError> {
        Ok(self.runtime.block_on(self.store.begins())?.is_none_or(|begins| begins >= before))
    }

    /// The latest event of any sensor, if the store can say. Call it off the async threads.
    pub fn heard(&self, calendar: &Calendar) -> Option<Instant> {
        let heard = self.runtime.block_on(self.store.heard()).ok()?;
        // A clock that is ahead is no sign of life now.
        let now = calendar.now();
        let latest = heard.into_iter().map(|(_, time)| time).filter(|&time| time <= now).max();
        self.last_heard.store(latest.unwrap_or(0), SeqCst);
        latest
    }

    /// Starts the sources, once the readings that are there say where devices stand.
    pub fn listen(&self, readings: &Readings, calendar: &Calendar) {
        let Sources { mqtt, nats } = std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some((broker, reader, hold)) = mqtt {
            let mut edges = Edges::new(hold);
            match self.runtime.block_on(self.store.heard()) {
                Ok(heard) => edges.learn(&readings.devices, &heard),
                Err(error) => {
                    tracing::warn!(%error, "it is not known where devices stand: a repeated true counts once")
                }
            }
            let handler = mqtt::Handler::new(reader, calendar.clone(), edges, self.health.clone(), self.writer.clone());
            self.runtime.spawn(mqtt::listen(broker, handler, self.counts.clone()));
        }
        if let Some(settings) = nats {
            self.runtime.spawn(nats::listen(settings, calendar.clone(), self.writer.clone(), self.counts.clone()));
        }
    }

    /// Has the store do something that takes long, and calls `meanwhile` every so often. Call it off the async threads.
    ///
    /// # Errors
    /// What the store answers.
    pub fn wait<T, F>(
        &self,
        work: impl FnOnce(Arc<dyn Store>) -> F,
        every: Duration,
        meanwhile: impl Fn(),
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut work = Box::pin(work(self.store.clone()));
        loop {
            // The work goes on only while it is waited for, which is nearly always.
            let waited = self.runtime.block_on(async { timeout(every, &mut work).await });
            match waited {
                Ok(done) => return done,
                Err(_) => meanwhile(),
            }
        }
    }

    /// A right that one of the servers of a store has at a time, for so many seconds after it was last asked for.
    pub fn lease(&self, right: Right) -> Lease {
        let (store, runtime, holder) = (self.store.clone(), self.runtime.clone(), self.holder.clone());
        Lease(Arc::new(move || Ok(runtime.block_on(store.lease(right.0, &holder, right.1))?)))
    }

    /// Gives all rights back, so that others need not wait until they end by themselves.
    pub fn release(&self) {
        let given = async {
            for Right(name, _) in [JOBS, PUBLISHING] {
                self.store.unlease(name, &self.holder).await?;
            }
            Ok::<(), StoreError>(())
        };
        if !matches!(self.runtime.block_on(async { timeout(LEAVING, given).await }), Ok(Ok(()))) {
            tracing::debug!("leases could not be given back, they end by themselves");
        }
    }

    /// What is counted, in Prometheus' text form.
    pub fn metrics(&self) -> String {
        metrics::live(&self.counts, self.writer.waiting(), self.health.count())
    }
}
