//! A store in one file: SQLite in write-ahead mode, synced at every commit.
//!
//! One connection writes and a few read. SQLite serializes writes of several processes. A reading's row number is its
//! position in the order of commits.

mod blocks;
mod bulk;
mod days;
mod ingest;
mod leases;
mod quarantine;
mod read;
mod rooms;
mod schema;
mod view;

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, Pool, Sqlite, SqliteConnection};
use tokio::sync::MutexGuard;

use self::ingest::Statements;
use super::batch::{Batch, Receipt};
use super::error::StoreError;
use super::machine::Machine;
use super::plan::{Numbers, Plan};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::files;

/// Longest wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Most connections that read at the same time.
const MAX_READERS: u32 = 4;

/// A store in one file.
pub struct SqliteStore {
    /// The store's name in messages.
    pub name: String,
    calendar: Calendar,
    options: SqliteConnectOptions,
    machine: Arc<dyn Machine>,
    /// The connection that writes; `None` until it is needed, and after a failure.
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
    /// Opens a file of a machine. Makes a missing one if `create` is set.
    pub async fn open(
        name: &str,
        path: &Path,
        create: bool,
        calendar: &Calendar,
        machine: Arc<dyn Machine>,
    ) -> Result<Self, StoreError> {
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(false)
            // 64 MiB keep the hours and devices of large sites in memory.
            .pragma("cache_size", "-65536")
            // Statements that can be undone alone would otherwise use a temporary file as soon as they touch 16 pages.
            .pragma("temp_store", "MEMORY")
            // 16 MiB of log between checkpoints: hot pages are written back once instead of at every batch.
            .pragma("wal_autocheckpoint", "4096")
            .disable_statement_logging();
        if let Some(file_system) = machine.file_system() {
            options = options.vfs(file_system);
        }
        if path.is_dir() {
            return Err(StoreError::refused(name, "is a directory\nhint: name a file"));
        }
        if !create && !path.exists() {
            return Err(StoreError::refused(
                name,
                "no such store\nhint: check the path, or fill one with roomcast import",
            ));
        }
        let mut connection = connect(&options, &machine).await.map_err(|error| StoreError::of(name, error))?;
        schema::prepare(&mut connection, name, calendar).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(MAX_READERS)
            .connect_lazy_with(options.clone().pragma("query_only", "on"));
        Ok(Self {
            name: name.to_owned(),
            calendar: calendar.clone(),
            options,
            machine,
            writer: tokio::sync::Mutex::new(Some(connection)),
            readers,
            statements: Statements::new(),
            numbers: Numbers::default(),
        })
    }

    /// Waits for earlier writers and returns the connection that writes.
    async fn lock_writer(&self) -> Result<Writing<'_>, sqlx::Error> {
        let mut slot = self.writer.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => connect(&self.options, &self.machine).await.map_err(opened_before)?,
        };
        Ok(Writing { slot, connection })
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Writing<'_>, sqlx::Error> {
        let mut writing = self.lock_writer().await?;
        writing.connection.execute(ingest::BEGIN).await?;
        Ok(writing)
    }

    pub async fn ingest(&self, batch: &Batch) -> Result<Receipt, sqlx::Error> {
        let plan = Plan::new(batch);
        let known = self.numbers.of(&plan);
        let mut writing = self.lock_writer().await?;
        let (receipt, numbers) = ingest::write(
            &mut writing.connection,
            &self.statements,
            &plan,
            &known,
            &self.calendar,
            self.machine.utc_now(),
        )
        .await?;
        writing.keep();
        self.numbers.learn(&plan, &known, &numbers);
        Ok(receipt)
    }

    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let refused = |error: std::io::Error| {
            StoreError::refused(&self.name, format!("cannot back up to {}: {error}", target.display()))
        };
        if target.exists() && !target.is_file() {
            return Err(refused(std::io::Error::other("it is not a file")));
        }
        let file = files::create_beside(target).map_err(refused)?;
        // The readings are for nobody but the owner.
        file.as_file().set_permissions(Permissions::from_mode(0o600)).map_err(refused)?;
        let copied = async {
            let mut connection = connect(&self.options, &self.machine).await?;
            let path = file.path().to_string_lossy().into_owned();
            sqlx::query("VACUUM INTO ?").bind(path).execute(&mut connection).await?;
            connection.close().await
        };
        copied.await.map_err(|error: sqlx::Error| match StoreError::of(&self.name, error) {
            StoreError::Full { .. } => StoreError::Full { store: target.display().to_string() },
            other => other,
        })?;
        let name = target.to_owned();
        let replaced = tokio::task::spawn_blocking(move || {
            files::persist(file, &name)?;
            files::sync_directory(files::parent(&name))
        });
        replaced.await.map_err(std::io::Error::from).flatten().map_err(refused)
    }
}

/// Converts the failure to open a file that was open before. What hinders it passes, such as too many open files, so its
/// readings must not go into quarantine as if they were refused.
fn opened_before(error: sqlx::Error) -> sqlx::Error {
    const CANNOT_OPEN: i32 = 14;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    match code {
        Some(code) if code & 0xff == CANNOT_OPEN => sqlx::Error::Io(std::io::Error::other(error.to_string())),
        _ => error,
    }
}

/// Connects, and tries again while the file is busy: the busy timeout does not cover the switch to write-ahead mode.
async fn connect(options: &SqliteConnectOptions, machine: &Arc<dyn Machine>) -> Result<SqliteConnection, sqlx::Error> {
    let mut tries = 0;
    loop {
        let busy = |error: &sqlx::Error| error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("5"));
        match options.connect().await {
            Err(error) if busy(&error) && tries < 50 => tries += 1,
            Err(error) => return Err(error),
            Ok(connection) => {
                sync_log(options, machine.clone()).await?;
                return Ok(connection);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Syncs the write-ahead log, so that everything readable from it is on disk. A process killed between writing and
/// syncing a transaction leaves it there unsynced; its repetition would be acknowledged without a write.
async fn sync_log(options: &SqliteConnectOptions, machine: Arc<dyn Machine>) -> Result<(), sqlx::Error> {
    let mut log = options.get_filename().as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    let synced = tokio::task::spawn_blocking(move || match machine.sync(&log) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        synced => synced,
    });
    Ok(synced.await.map_err(std::io::Error::from)??)
}
