//! A store in one file: SQLite in write-ahead mode, synced at every commit.
//!
//! One connection writes and a few read. SQLite makes other processes take turns. A reading's row number is its
//! position in the order of commits.

mod blocks;
mod bulk;
mod days;
mod ingest;
mod quarantine;
mod read;
mod schema;
mod small;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, Pool, Sqlite, SqliteConnection};
use tokio::sync::MutexGuard;

use super::plan::{Numbers, Plan};
use super::{Batch, Cursor, HourCount, Pending, QuarantineSize, Quarantined, Receipt, Store, StoreError};
use ingest::Statements;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};

/// Longest wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most connections that read at the same time.
const READERS: u32 = 4;

/// A store in one file.
pub(super) struct SqliteStore {
    /// The store's name in messages.
    name: String,
    calendar: Calendar,
    options: SqliteConnectOptions,
    /// The connection that writes; none until it is needed, and none after a failure.
    writer: tokio::sync::Mutex<Option<SqliteConnection>>,
    readers: Pool<Sqlite>,
    statements: Statements,
    numbers: Numbers,
}

/// The connection that writes, and its transaction. Without a commit the connection is closed, which rolls back. SQLite
/// has already rolled back after some failures and not after others; a new connection costs less than finding out.
struct Writing<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Writing<'_> {
    async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.connection.execute("COMMIT").await?;
        self.keep();
        Ok(())
    }

    /// Keeps the connection for the next transaction. The present transaction must have ended.
    fn keep(mut self) {
        *self.slot = Some(self.connection);
    }
}

impl SqliteStore {
    /// Opens a file. Makes a missing one if `create` is set.
    pub async fn open(name: &str, path: &Path, create: bool, calendar: &Calendar) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(false)
            // 64 MiB keep the hours and devices of large sites in memory.
            .pragma("cache_size", "-65536")
            // Statements that can be undone alone would otherwise use a temporary file as soon as they touch 16 pages.
            .pragma("temp_store", "MEMORY")
            // 16 MiB of log between checkpoints: hot pages are written back once instead of at every batch.
            .pragma("wal_autocheckpoint", "4096")
            .disable_statement_logging();
        if path.is_dir() {
            return Err(StoreError::refused(name, "is a directory\nhint: name a file"));
        }
        if !create && !path.exists() {
            return Err(StoreError::refused(
                name,
                "no such store\nhint: check the path, or fill one with roomcast import",
            ));
        }
        let mut connection = connect(&options).await.map_err(|error| StoreError::of(name, error))?;
        schema::prepare(&mut connection, name, calendar).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options.clone().pragma("query_only", "on"));
        Ok(Self {
            name: name.to_owned(),
            calendar: calendar.clone(),
            options,
            writer: tokio::sync::Mutex::new(Some(connection)),
            readers,
            statements: Statements::new(),
            numbers: Numbers::default(),
        })
    }

    /// Waits for earlier writers and returns the connection that writes.
    async fn turn(&self) -> Result<Writing<'_>, sqlx::Error> {
        let mut slot = self.writer.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Writing { slot, connection })
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Writing<'_>, sqlx::Error> {
        let mut writing = self.turn().await?;
        writing.connection.execute(ingest::BEGIN).await?;
        Ok(writing)
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        StoreError::of(&self.name, error)
    }

    async fn write_batch(&self, batch: &Batch) -> Result<Receipt, sqlx::Error> {
        let plan = Plan::new(batch);
        let known = self.numbers.of(&plan);
        let mut writing = self.turn().await?;
        let (receipt, numbers) =
            ingest::write(&mut writing.connection, &self.statements, &plan, &known, &self.calendar).await?;
        writing.keep();
        self.numbers.learn(&plan, &known, &numbers);
        Ok(receipt)
    }

    async fn write_backup(&self, target: &Path) -> Result<(), StoreError> {
        let refused = |error: &dyn std::fmt::Display| {
            StoreError::refused(&self.name, format!("cannot back up to {}: {error}", target.display()))
        };
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = tempfile::Builder::new().prefix(".roomcast-").tempfile_in(&directory);
        let file = file.map_err(|error| refused(&error))?;
        let path = file.path().to_string_lossy().into_owned();
        let copied = async {
            let mut connection = connect(&self.options).await?;
            sqlx::query("VACUUM INTO ?").bind(path).execute(&mut connection).await?;
            connection.close().await
        };
        copied.await.map_err(|error: sqlx::Error| match StoreError::of(&self.name, error) {
            StoreError::Full { .. } => StoreError::Full { store: target.display().to_string() },
            other => other,
        })?;
        let name = target.to_owned();
        let kept = tokio::task::spawn_blocking(move || {
            file.as_file().sync_all()?;
            file.persist(&name)?;
            // The new name is on disk once its directory is.
            File::open(directory)?.sync_all()
        });
        kept.await.map_err(|error| refused(&error))?.map_err(|error| refused(&error))
    }
}

/// Connects, and tries again while the file is busy: the busy timeout does not cover the switch to write-ahead mode.
async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut tries = 0;
    loop {
        let busy = |error: &sqlx::Error| error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("5"));
        match options.connect().await {
            Err(error) if busy(&error) && tries < 50 => tries += 1,
            Err(error) => return Err(error),
            Ok(connection) => {
                sync_log(options).await?;
                return Ok(connection);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Syncs the write-ahead log, so that everything readable from it is on disk. A process killed between writing and
/// syncing a transaction leaves it there unsynced; its repetition would be acknowledged without a write.
async fn sync_log(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut log = options.get_filename().as_os_str().to_owned();
    log.push("-wal");
    let synced = tokio::task::spawn_blocking(move || match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        file => file?.sync_all(),
    });
    Ok(synced.await.map_err(std::io::Error::from)??)
}

impl Store for SqliteStore {
    fn ingest<'a>(&'a self, batch: &'a Batch) -> Pending<'a, Receipt> {
        Box::pin(async move { self.write_batch(batch).await.map_err(|error| self.error(error)) })
    }

    fn load(&self, before: Option<Timestamp>) -> Pending<'_, (Readings, Cursor)> {
        Box::pin(async move { read::load(&self.readers, before).await.map_err(|error| self.error(error)) })
    }

    fn changes(&self, after: Cursor) -> Pending<'_, (Vec<DeviceReadings>, Cursor)> {
        Box::pin(async move { read::changes(&self.readers, after).await.map_err(|error| self.error(error)) })
    }

    fn hours(&self, from: Option<Timestamp>) -> Pending<'_, Vec<HourCount>> {
        let from = from.map(|from| self.calendar.hour(from));
        Box::pin(async move { read::hours(&self.readers, from).await.map_err(|error| self.error(error)) })
    }

    fn heard(&self) -> Pending<'_, Vec<(String, Timestamp)>> {
        Box::pin(async move { read::heard(&self.readers).await.map_err(|error| self.error(error)) })
    }

    fn begins(&self) -> Pending<'_, Option<Timestamp>> {
        Box::pin(async move { read::begins(&self.readers).await.map_err(|error| self.error(error)) })
    }

    fn quarantined(&self, after_id: i64, limit: usize) -> Pending<'_, Vec<Quarantined>> {
        Box::pin(
            async move { quarantine::list(&self.readers, after_id, limit).await.map_err(|error| self.error(error)) },
        )
    }

    fn quarantine_size(&self) -> Pending<'_, QuarantineSize> {
        Box::pin(async move { quarantine::size(&self.readers).await.map_err(|error| self.error(error)) })
    }

    fn release<'a>(&'a self, ids: &'a [i64]) -> Pending<'a, u64> {
        Box::pin(async move { quarantine::release(self, ids).await.map_err(|error| self.error(error)) })
    }

    fn pack(&self, before: Timestamp) -> Pending<'_, u64> {
        Box::pin(async move { days::pack(self, before).await.map_err(|error| self.error(error)) })
    }

    fn retain(&self, from: Timestamp) -> Pending<'_, u64> {
        Box::pin(async move { days::retain(self, from).await.map_err(|error| self.error(error)) })
    }

    fn keep(&self, from: Timestamp, to: Timestamp) -> Pending<'_, u64> {
        Box::pin(async move { days::keep(self, from, to).await.map_err(|error| self.error(error)) })
    }

    fn backup<'a>(&'a self, target: &'a Path) -> Pending<'a, ()> {
        Box::pin(self.write_backup(target))
    }

    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, seconds: i64) -> Pending<'a, bool> {
        Box::pin(async move { small::lease(self, name, holder, seconds).await.map_err(|error| self.error(error)) })
    }

    fn unlease<'a>(&'a self, name: &'a str, holder: &'a str) -> Pending<'a, ()> {
        Box::pin(async move { small::unlease(self, name, holder).await.map_err(|error| self.error(error)) })
    }
}
