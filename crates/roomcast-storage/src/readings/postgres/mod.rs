//! A store in PostgreSQL, which several servers may share.
//!
//! Readings are one table, in order of time. Every transaction takes its locks in the same order, which rules out
//! deadlocks: days, devices, times last heard, event ids, readings and hours, each in order of key, then the
//! quarantine.

mod by_day;
mod days;
mod ingest;
mod quarantine;
mod read;
mod schema;
mod small;

use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};

use super::plan::{Numbers, Plan};
use super::{Batch, Cursor, HourCount, Pending, QuarantineSize, Quarantined, Receipt, Store, StoreError};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};

/// Most connections of one handle.
const CONNECTIONS: u32 = 8;

/// Longest wait for a connection. A database that is away for longer is not available.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store in PostgreSQL.
pub(super) struct PostgresStore {
    /// The store's name in messages, without a password.
    name: String,
    calendar: Calendar,
    pool: PgPool,
    numbers: Numbers,
    /// Bytes that went into quarantine since its table was last vacuumed.
    unvacuumed: AtomicI64,
}

/// Advisory locks, held for the rest of a transaction. The numbers are arbitrary.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
enum Lock {
    /// Held while tables are made or changed.
    Schema = 0x726f_6f6d_0000,
    /// Held while days are packed or dropped; shared by transactions that write readings.
    Days,
    /// Held while the quarantine changes.
    Quarantine,
}

/// The lock held while any table of Roomcast is made or changed.
pub(crate) const SCHEMA_LOCK: i64 = Lock::Schema as i64;

/// Returns the options of every connection to a database. The schema is `roomcast` unless the address sets a search
/// path.
///
/// # Errors
/// [`sqlx::Error`] when the address is invalid.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let mut options: PgConnectOptions = url.parse()?;
    if !url.contains("search_path") {
        options = options.options([("search_path", "roomcast")]);
    }
    Ok(options
        .application_name("roomcast")
        // These override the server's defaults. An acknowledged commit is on disk, and a server that hangs in the
        // middle of a transaction does not block the others for ever.
        .options([
            ("synchronous_commit", "on"),
            ("lock_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ])
        .disable_statement_logging())
}

/// Begins a transaction that writes. Each statement sees what others committed before it, whatever the server's
/// default.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    pool.begin_with(BEGIN).await
}

async fn lock(connection: &mut PgConnection, lock: Lock) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock as i64).execute(connection).await?;
    Ok(())
}

impl PostgresStore {
    pub async fn open(url: &str, calendar: &Calendar) -> Result<Self, StoreError> {
        let name = super::shown(url);
        let failed = |error| StoreError::of(&name, error);
        let options = options(url).map_err(failed)?;
        // The pool is not used here: it retries until its timeout and does not report why it failed.
        let connected = tokio::time::timeout(PATIENCE, options.connect()).await;
        let mut connection = connected.map_err(|_| StoreError::unavailable(&name, "no answer"))?.map_err(failed)?;
        let mut making = connection.begin_with(BEGIN).await.map_err(failed)?;
        schema::prepare(&mut making, &name, calendar).await?;
        making.commit().await.map_err(failed)?;
        by_day::take_over(&mut connection).await.map_err(failed)?;
        // Moved readings may have transaction numbers of another server.
        schema::rewind(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).connect_lazy_with(options);
        Ok(Self { name, calendar: calendar.clone(), pool, numbers: Numbers::default(), unvacuumed: AtomicI64::new(0) })
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.name, error)
    }

    async fn write_batch(&self, batch: &Batch) -> Result<Receipt, sqlx::Error> {
        let plan = Plan::new(batch);
        let known = self.numbers.of(&plan);
        let mut writing = begin(&self.pool).await?;
        let (receipt, numbers) = ingest::write(&mut writing, &plan, &known, &self.calendar).await?;
        writing.commit().await?;
        self.numbers.learn(&plan, &known, &numbers);
        self.vacuum_quarantine(&plan);
        Ok(receipt)
    }

    /// Makes the room of dropped and repeated rows of the quarantine reusable once many bytes have been written.
    /// PostgreSQL's autovacuum runs once a minute, in which a client can write gigabytes.
    fn vacuum_quarantine(&self, plan: &Plan<'_>) {
        let bytes: i64 = plan.refused.iter().map(|reject| reject.bytes() + quarantine::ROW_BYTES).sum();
        if self.unvacuumed.fetch_add(bytes, Relaxed) + bytes < quarantine::VACUUM_BYTES {
            return;
        }
        self.unvacuumed.store(0, Relaxed);
        // Nobody waits for it. Truncating the table would lock out its writers.
        let (pool, store) = (self.pool.clone(), self.name.clone());
        tokio::spawn(async move {
            let vacuum = sqlx::query("VACUUM (TRUNCATE false, SKIP_LOCKED) quarantine").execute(&pool);
            if let Err(error) = vacuum.await {
                tracing::warn!(store, error = %error, "cannot vacuum the quarantine: its table may grow");
            }
        });
    }
}

impl Store for PostgresStore {
    fn ingest<'a>(&'a self, batch: &'a Batch) -> Pending<'a, Receipt> {
        Box::pin(async move { self.write_batch(batch).await.map_err(|error| self.error(error)) })
    }

    fn load(&self, before: Option<Timestamp>) -> Pending<'_, (Readings, Cursor)> {
        Box::pin(async move { read::load(&self.pool, before).await.map_err(|error| self.error(error)) })
    }

    fn changes(&self, after: Cursor) -> Pending<'_, (Vec<DeviceReadings>, Cursor)> {
        Box::pin(async move { read::changes(&self.pool, after).await.map_err(|error| self.error(error)) })
    }

    fn hours(&self, from: Option<Timestamp>) -> Pending<'_, Vec<HourCount>> {
        let from = from.map(|from| self.calendar.hour(from));
        Box::pin(async move { read::hours(&self.pool, from).await.map_err(|error| self.error(error)) })
    }

    fn heard(&self) -> Pending<'_, Vec<(String, Timestamp)>> {
        Box::pin(async move { read::heard(&self.pool).await.map_err(|error| self.error(error)) })
    }

    fn begins(&self) -> Pending<'_, Option<Timestamp>> {
        Box::pin(async move { read::begins(&self.pool).await.map_err(|error| self.error(error)) })
    }

    fn quarantined(&self, after_id: i64, limit: usize) -> Pending<'_, Vec<Quarantined>> {
        Box::pin(async move { quarantine::list(&self.pool, after_id, limit).await.map_err(|error| self.error(error)) })
    }

    fn quarantine_size(&self) -> Pending<'_, QuarantineSize> {
        Box::pin(async move { quarantine::size(&self.pool).await.map_err(|error| self.error(error)) })
    }

    fn release<'a>(&'a self, ids: &'a [i64]) -> Pending<'a, u64> {
        Box::pin(async move { quarantine::release(&self.pool, ids).await.map_err(|error| self.error(error)) })
    }

    fn pack(&self, before: Timestamp) -> Pending<'_, u64> {
        Box::pin(async move { days::pack(&self.pool, before).await.map_err(|error| self.error(error)) })
    }

    fn retain(&self, from: Timestamp) -> Pending<'_, u64> {
        Box::pin(async move { days::retain(&self.pool, from, &self.calendar).await.map_err(|error| self.error(error)) })
    }

    fn keep(&self, from: Timestamp, to: Timestamp) -> Pending<'_, u64> {
        let kept = days::keep(&self.pool, from, to, &self.calendar);
        Box::pin(async move { kept.await.map_err(|error| self.error(error)) })
    }

    fn backup<'a>(&'a self, _: &'a Path) -> Pending<'a, ()> {
        let message =
            "a PostgreSQL store is backed up by its own tools\nhint: pg_dump --format=custom --schema=roomcast";
        Box::pin(async move { Err(StoreError::refused(&self.name, message)) })
    }

    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, seconds: i64) -> Pending<'a, bool> {
        Box::pin(
            async move { small::lease(&self.pool, name, holder, seconds).await.map_err(|error| self.error(error)) },
        )
    }

    fn unlease<'a>(&'a self, name: &'a str, holder: &'a str) -> Pending<'a, ()> {
        Box::pin(async move { small::unlease(&self.pool, name, holder).await.map_err(|error| self.error(error)) })
    }
}
