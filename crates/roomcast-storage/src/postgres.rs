//! Connections to PostgreSQL, and the schema in which all tables of Roomcast are.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

/// Longest wait for a lock.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Begins a transaction that writes. Each statement sees what others committed before it, whatever the server's
/// default.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Advisory locks, held for the rest of a transaction. The numbers are arbitrary.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub enum AdvisoryLock {
    /// Held while any table of Roomcast is made or changed.
    Schema = 0x726f_6f6d_0000,
    /// Held while days are packed or dropped; shared by transactions that write readings.
    Days,
    /// Held while the quarantine changes.
    Quarantine,
}

/// Waits for a lock.
///
/// # Errors
/// [`sqlx::Error`] when it is not granted within [`LOCK_TIMEOUT`].
pub async fn lock(connection: &mut PgConnection, lock: AdvisoryLock) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock as i64).execute(connection).await?;
    Ok(())
}

/// Returns the options of every connection to a database. The schema is `roomcast` unless the address sets a search
/// path.
///
/// # Errors
/// [`sqlx::Error`] when the address is invalid.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let mut options: PgConnectOptions = url.parse()?;
    if !url.contains("search_path") {
        options = options.options([("search_path", "roomcast")]);
    }
    Ok(options
        .application_name("roomcast")
        // These override the server's defaults. An acknowledged commit is on disk, and a server that hangs in the
        // middle of a transaction does not block the others for ever.
        .options([("synchronous_commit", "on"), ("idle_in_transaction_session_timeout", "60s")])
        .options([("lock_timeout", format!("{}s", LOCK_TIMEOUT.as_secs()))])
        .disable_statement_logging())
}

/// Creates the schema that is first in the search path, if it is missing. The caller holds [`AdvisoryLock::Schema`].
///
/// # Errors
/// [`sqlx::Error`] when the database does not allow it.
pub async fn create_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let schema: Option<String> = sqlx::query_scalar("SELECT current_schema()").fetch_one(&mut *connection).await?;
    if schema.is_none() {
        sqlx::query("CREATE SCHEMA IF NOT EXISTS roomcast").execute(connection).await?;
    }
    Ok(())
}
