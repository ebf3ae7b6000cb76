//! A store in PostgreSQL, which several servers may share.
//!
//! Readings are one table, in order of time. Every transaction takes its locks in the same order, which rules out
//! deadlocks: days, devices, times last heard, event ids, readings and hours, each in order of key, then the
//! quarantine.

mod by_day;
mod days;
mod ingest;
mod leases;
mod quarantine;
mod read;
mod rooms;
mod schema;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, Connection, PgPool, Postgres, Transaction};
use tokio::sync::Mutex;

use super::batch::{Batch, Receipt};
use super::error::StoreError;
use super::plan::{Numbers, Plan};
use crate::postgres::{BEGIN, options};
use crate::url::redacted;
use roomcast_forecast::calendar::Calendar;

/// Most connections of one handle.
const MAX_CONNECTIONS: u32 = 8;

/// Longest wait for a connection. A database that cannot be reached for longer is not available.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time a batch waits for a vacuum of the quarantine.
const VACUUM_TIMEOUT: Duration = Duration::from_secs(10);

/// A store in PostgreSQL.
pub struct PostgresStore {
    /// The store's name in messages, without a password.
    pub name: String,
    calendar: Calendar,
    pool: PgPool,
    numbers: Numbers,
    /// Bytes that went into quarantine since its table was last vacuumed.
    unvacuumed: AtomicI64,
    /// Held while the quarantine is vacuumed.
    vacuuming: Arc<Mutex<()>>,
}

impl PostgresStore {
    pub async fn open(url: &str, calendar: &Calendar) -> Result<Self, StoreError> {
        let name = redacted(url);
        let failed = |error| StoreError::of(&name, error);
        let options = options(url).map_err(failed)?;
        // The pool is not used here: it retries until its timeout and does not report why it failed.
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
        let mut connection = connected.map_err(|_| StoreError::unavailable(&name, "no answer"))?.map_err(failed)?;
        let mut making = connection.begin_with(BEGIN).await.map_err(failed)?;
        schema::prepare(&mut making, &name, calendar).await?;
        making.commit().await.map_err(failed)?;
        by_day::move_partitions(&mut connection).await.map_err(failed)?;
        // Moved readings may have transaction numbers of another server.
        schema::rewind(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self {
            name,
            calendar: calendar.clone(),
            pool,
            numbers: Numbers::default(),
            unvacuumed: AtomicI64::new(0),
            vacuuming: Arc::default(),
        })
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.pool.begin_with(BEGIN).await
    }

    pub async fn ingest(&self, batch: &Batch) -> Result<Receipt, sqlx::Error> {
        let plan = Plan::new(batch);
        if !plan.refused.is_empty() {
            self.wait_for_vacuum().await;
        }
        let known = self.numbers.of(&plan);
        let mut writing = self.begin().await?;
        let (receipt, numbers) = ingest::write(&mut writing, &plan, &known, &self.calendar).await?;
        writing.commit().await?;
        self.numbers.learn(&plan, &known, &numbers);
        self.vacuum_quarantine(&plan);
        Ok(receipt)
    }

    /// Waits for a vacuum of the quarantine that the rows since its beginning have overtaken: without this the table
    /// would grow with the load. Called before a transaction that refuses rows, so that no acknowledgement waits.
    async fn wait_for_vacuum(&self) {
        if self.unvacuumed.load(Relaxed) >= quarantine::VACUUM_BYTES {
            // After the timeout the batch goes on: a table that is too large does less harm than a store that stops.
            let _ = tokio::time::timeout(VACUUM_TIMEOUT, self.vacuuming.lock()).await;
        }
    }

    /// Makes the room of dropped and repeated rows of the quarantine reusable once many bytes have been written.
    /// PostgreSQL's autovacuum runs once a minute, in which a client can write gigabytes.
    fn vacuum_quarantine(&self, plan: &Plan<'_>) {
        let bytes: i64 = plan.refused.iter().map(|reject| reject.bytes() + quarantine::ROW_BYTES).sum();
        if bytes == 0 || self.unvacuumed.fetch_add(bytes, Relaxed) + bytes < quarantine::VACUUM_BYTES {
            return;
        }
        let Ok(running) = self.vacuuming.clone().try_lock_owned() else { return };
        self.unvacuumed.store(0, Relaxed);
        let (pool, store) = (self.pool.clone(), self.name.clone());
        tokio::spawn(async move {
            // Truncating the table would lock out its writers.
            let vacuum = sqlx::query("VACUUM (TRUNCATE false, SKIP_LOCKED) quarantine").execute(&pool);
            if let Err(error) = vacuum.await {
                tracing::warn!(store, error = %error, "cannot vacuum the quarantine: its table may grow");
            }
            drop(running);
        });
    }
}
