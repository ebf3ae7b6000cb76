//! A registry in PostgreSQL, in the same database as a store or in one of its own.
//!
//! A version is written in one transaction. Files are stored in parts of a MiB. Locks are advisory locks of a session:
//! a process that dies loses them with its connection. The server notices the loss of a whole machine within a minute.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::super::error::{Damage, RegistryError};
use super::super::names::{TRAINING_LOCK, WRITE_LOCK};
use super::wait::{LONG_TIMEOUT, SHORT_TIMEOUT, wait};
use super::{Backend, Lock};
use crate::postgres::{self, BEGIN, LOCK_TIMEOUT};
use crate::url::redacted;

/// Most connections of one handle.
const MAX_CONNECTIONS: u32 = 4;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a part.
const PART_BYTES: usize = 1 << 20;

/// The version of the tables.
const SCHEMA_VERSION: i64 = 1;

const TABLES: &str = include_str!("../../../sql/registry/1.sql");

/// The key of an advisory lock. Registries in other schemas of the database have other keys.
const LOCK_KEY: &str = "hashtextextended('roomcast registry ' || current_schema() || $1, 0)";

pub(super) struct Postgres {
    url: String,
    name: String,
    pool: OnceLock<PgPool>,
    /// True when the tables are known to exist.
    ready: AtomicBool,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Postgres").field(&self.name).finish()
    }
}

impl Postgres {
    pub fn new(url: &str) -> Postgres {
        Postgres { url: url.into(), name: redacted(url), pool: OnceLock::new(), ready: AtomicBool::new(false) }
    }

    fn options(&self) -> Result<PgConnectOptions, RegistryError> {
        postgres::options(&self.url).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> RegistryError {
        RegistryError::of_database(&self.name, error)
    }

    /// Runs `work` with connections to the database. Returns `None` when the database holds no registry yet.
    fn read_with<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(PgPool) -> Result<T, sqlx::Error>,
    ) -> Result<Option<T>, RegistryError> {
        wait(&self.name, limit, async {
            let pool = self.pool()?;
            if !self.ready.load(SeqCst) {
                let mut connection = pool.acquire().await.map_err(|error| self.failed(error))?;
                if version(&mut connection).await.map_err(|error| self.failed(error))?.is_none() {
                    return Ok(None);
                }
                self.prepare(&mut connection).await?;
            }
            work(pool).await.map(Some).map_err(|error| self.failed(error))
        })
    }

    /// Runs `work` like `read_with`, and returns an error when the database holds no registry.
    fn write_with<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(PgPool) -> Result<T, sqlx::Error>,
    ) -> Result<T, RegistryError> {
        let done = self.read_with(limit, work)?;
        done.ok_or_else(|| RegistryError::refused(&self.name, "there is no registry in this database"))
    }

    fn pool(&self) -> Result<PgPool, RegistryError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool.clone());
        }
        let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(CONNECT_TIMEOUT);
        let options = self.options()?;
        Ok(self.pool.get_or_init(|| pool.connect_lazy_with(options)).clone())
    }

    /// Creates the tables if there are none, and checks their version.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), RegistryError> {
        let found = create(connection).await.map_err(|error| self.failed(error))?;
        if found > SCHEMA_VERSION {
            let message = format!(
                "made by a newer roomcast: the registry's tables have version {found}, known is {SCHEMA_VERSION}\nhint: update roomcast"
            );
            return Err(RegistryError::refused(&self.name, message));
        }
        self.ready.store(true, SeqCst);
        Ok(())
    }

    /// Opens a connection that holds an advisory lock. Returns `None` when another has the lock and `waits` is false.
    fn locked(&self, what: &'static str, waits: bool) -> Result<Option<Lock>, RegistryError> {
        // Without keepalives the server notices the loss of a machine only after two hours.
        let alive = [("tcp_keepalives_idle", "15"), ("tcp_keepalives_interval", "15"), ("tcp_keepalives_count", "3")];
        let options = self.options()?.options(alive);
        wait(&self.name, SHORT_TIMEOUT + LOCK_TIMEOUT, async {
            let failed = |error| self.failed(error);
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
            let no_answer = |_| RegistryError::unavailable(&self.name, "no answer");
            let mut connection = connected.map_err(no_answer)?.map_err(failed)?;
            if !self.ready.load(SeqCst) {
                self.prepare(&mut connection).await?;
            }
            let acquired = acquire(&mut connection, what, waits).await.map_err(failed)?;
            Ok(acquired.then(|| Lock::of(Session { name: self.name.clone(), connection: Some(connection) })))
        })
    }
}

async fn acquire(connection: &mut PgConnection, what: &str, waits: bool) -> Result<bool, sqlx::Error> {
    if waits {
        let sql = format!("SELECT pg_advisory_lock({LOCK_KEY})");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(what).execute(connection).await?;
        return Ok(true);
    }
    let sql = format!("SELECT pg_try_advisory_lock({LOCK_KEY})");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(what).fetch_one(connection).await
}

/// A connection that unlocks when it ends.
struct Session {
    name: String,
    connection: Option<PgConnection>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // A broken connection has unlocked already. The server would notice a close alone only some time later.
            let _ = wait(&self.name, CONNECT_TIMEOUT, async {
                let failed = |error| RegistryError::of_database(&self.name, error);
                sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut connection).await.map_err(failed)?;
                connection.close().await.map_err(failed)
            });
        }
    }
}

/// Returns the version of the tables, and `None` when there are no tables.
async fn version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let there = "SELECT to_regclass('model_registry') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT version FROM model_registry").fetch_one(connection).await.map(Some)
}

/// Creates the tables if there are none, and returns their version.
async fn create(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let mut making = connection.begin_with(BEGIN).await?;
    // The lock is that of the store, because both may have to create the schema.
    postgres::lock(&mut making, postgres::AdvisoryLock::Schema).await?;
    if let Some(found) = version(&mut making).await? {
        return Ok(found);
    }
    postgres::create_schema(&mut making).await?;
    sqlx::raw_sql(TABLES).execute(&mut *making).await?;
    sqlx::query("INSERT INTO model_registry (version) VALUES ($1)").bind(SCHEMA_VERSION).execute(&mut *making).await?;
    making.commit().await?;
    Ok(SCHEMA_VERSION)
}

impl Backend for Postgres {
    fn name(&self) -> PathBuf {
        self.name.clone().into()
    }

    fn file(&self, version: &str, file: &str) -> String {
        format!("{}: {version}/{file}", self.name)
    }

    fn is_near(&self) -> bool {
        false
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn is_there(&self) -> Result<bool, RegistryError> {
        Ok(self.read_with(SHORT_TIMEOUT, async |_| Ok(()))?.is_some())
    }

    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        let sql = "SELECT version FROM model_versions ORDER BY version";
        let found = self.read_with(SHORT_TIMEOUT, async |pool| sqlx::query_scalar(sql).fetch_all(&pool).await)?;
        Ok(found.unwrap_or_default())
    }

    fn holds(&self, version: &str) -> Result<bool, RegistryError> {
        let query = sqlx::query_scalar("SELECT EXISTS (SELECT FROM model_versions WHERE version = $1)").bind(version);
        Ok(self.read_with(SHORT_TIMEOUT, async |pool| query.fetch_one(&pool).await)?.unwrap_or(false))
    }

    fn read(&self, version: &str, file: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let of = "FROM model_files WHERE version = $1 AND name = $2";
        let length = format!("SELECT sum(octet_length(data))::bigint {of}");
        let length = sqlx::query_scalar(sqlx::AssertSqlSafe(length)).bind(version).bind(file);
        let found: Option<Option<i64>> = self.read_with(SHORT_TIMEOUT, async |pool| length.fetch_one(&pool).await)?;
        let damaged = |damage| RegistryError::damaged(self.file(version, file), damage);
        let found = found.flatten().map(|length| length as u64).ok_or_else(|| damaged(Damage::Missing))?;
        if found > limit {
            return Err(damaged(Damage::Length { found, expected: limit }));
        }
        let parts = format!("SELECT data {of} ORDER BY part");
        let parts = sqlx::query_scalar(sqlx::AssertSqlSafe(parts)).bind(version).bind(file);
        let parts: Option<Vec<Vec<u8>>> = self.read_with(LONG_TIMEOUT, async |pool| parts.fetch_all(&pool).await)?;
        Ok(parts.unwrap_or_default().concat())
    }

    fn put(&self, version: &str, files: &[(&str, &[u8])]) -> Result<(), RegistryError> {
        self.write_with(LONG_TIMEOUT, async |pool| {
            let mut putting = pool.begin_with(BEGIN).await?;
            sqlx::query("DELETE FROM model_versions WHERE version = $1").bind(version).execute(&mut *putting).await?;
            sqlx::query("INSERT INTO model_versions VALUES ($1)").bind(version).execute(&mut *putting).await?;
            for (name, bytes) in files {
                for (part, data) in (0_i64..).zip(bytes.chunks(PART_BYTES)) {
                    let query = sqlx::query("INSERT INTO model_files VALUES ($1, $2, $3, $4)");
                    query.bind(version).bind(*name).bind(part).bind(data).execute(&mut *putting).await?;
                }
            }
            putting.commit().await
        })
    }

    fn remove(&self, version: &str) -> Result<(), RegistryError> {
        let query = sqlx::query("DELETE FROM model_versions WHERE version = $1").bind(version);
        self.write_with(LONG_TIMEOUT, async |pool| query.execute(&pool).await)?;
        Ok(())
    }

    fn tidy(&self, _: &Lock) -> Result<(), RegistryError> {
        Ok(())
    }

    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        let sql = "SELECT octet_length(data)::bigint, CASE WHEN octet_length(data) <= $2 THEN data END
                   FROM model_small WHERE name = $1";
        let query = sqlx::query_as(sql).bind(name).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let found: Option<Option<(i64, Option<Vec<u8>>)>> =
            self.read_with(SHORT_TIMEOUT, async |pool| query.fetch_optional(&pool).await)?;
        match found.flatten() {
            None => Ok(None),
            Some((_, Some(data))) => Ok(Some(data)),
            Some((found, None)) => {
                let damage = Damage::Length { found: found as u64, expected: limit };
                Err(RegistryError::damaged(format!("{}: {name}", self.name), damage))
            }
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        let sql = "INSERT INTO model_small (name, data) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET data = excluded.data";
        let query = sqlx::query(sql).bind(name).bind(bytes);
        self.write_with(SHORT_TIMEOUT, async |pool| query.execute(&pool).await)?;
        Ok(())
    }

    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError> {
        let query = match expected {
            None => sqlx::query("INSERT INTO model_small (name, data) VALUES ($1, $2) ON CONFLICT DO NOTHING"),
            Some(_) => sqlx::query("UPDATE model_small SET data = $2 WHERE name = $1 AND data = $3"),
        };
        let query = query.bind(name).bind(bytes);
        let query = if let Some(expected) = expected { query.bind(expected) } else { query };
        Ok(self.write_with(SHORT_TIMEOUT, async |pool| query.execute(&pool).await)?.rows_affected() == 1)
    }

    fn lock(&self) -> Result<Lock, RegistryError> {
        let lock = self.locked(WRITE_LOCK, true)?;
        lock.ok_or_else(|| RegistryError::unavailable(&self.name, "other processes are writing"))
    }

    fn lock_training(&self) -> Result<Option<Lock>, RegistryError> {
        self.locked(TRAINING_LOCK, false)
    }
}
