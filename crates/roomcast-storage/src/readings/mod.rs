//! Storage of readings: SQLite in one file by default, PostgreSQL by configuration.
//!
//! A reading is a device and a second. Repetitions count once: the same second of the same device, or the same event id
//! of the same device on the same day. One call of [`Store::ingest`] is one transaction: devices, readings, hourly
//! counts and quarantine change together or not at all. They are on disk when it returns.
//!
//! Closed days can be packed: one row per device and day instead of one per reading. Queries return the same answers
//! before and after.

mod error;
mod gather;
mod packed;
mod plan;
mod postgres;
mod quarantine;
mod schema;
mod sqlite;
mod varint;

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use roomcast_forecast::calendar::{Calendar, Hour, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};

pub use error::StoreError;
pub(crate) use postgres::{BEGIN, SCHEMA_LOCK, options as postgres_options};
pub use quarantine::QuarantineSize;

/// Returns a random name for a holder of leases. No other process has the same.
pub fn holder() -> String {
    // The standard library seeds its hashes from the operating system.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// The future of a store's answer.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One sensor event in valid form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The device's name, as [`DeviceReadings::device`].
    pub device: String,
    /// Timestamp of the event on the site's time line, in the years 1971 to 2200.
    pub time: Timestamp,
    /// The sensor's statement.
    pub kind: Kind,
    /// The sender's own name of this event, if any. A later event of the device with the same id on the same day is a
    /// repetition, whatever its second.
    pub id: Option<String>,
}

/// A sensor's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The sensor fired.
    Motion,
    /// The sensor said "no motion". This is no reading, but it moves the instant the sensor was last heard.
    Rest,
}

/// A received row that is no event, kept in quarantine. The quarantine keeps the latest rows, at most 100,000 and
/// 64 MiB; of a payload it keeps 16 KiB, of a reason 1 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The source: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// The row as text that a replay parses again, unless it was cut or was never a row.
    pub payload: String,
    /// The reason it is no event; for a row of a file, with the file and line.
    pub reason: String,
}

/// The content of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events in order of arrival; their times may be in any order.
    pub events: Vec<Event>,
    /// Rows that are no events.
    pub refused: Vec<Refused>,
}

/// The outcome of storing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The event is a new reading.
    Stored,
    /// The reading, or the event's id, was already in the store or earlier in the batch.
    Duplicate,
    /// The event was a [`Kind::Rest`].
    NoMotion,
}

/// The outcome of storing a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// One verdict per event, in the batch's order.
    pub verdicts: Vec<Verdict>,
    /// Refused rows, of this batch or before, that were dropped because the quarantine is full.
    pub dropped: u64,
}

/// A position in the order of commits. The default is before the first reading. The number means something only to the
/// store that returned it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(pub i64);

/// A row of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The row's number. Numbers ascend in the order in which rows first came.
    pub id: i64,
    /// UTC instant at which the row last came.
    pub received: Timestamp,
    /// Number of times the row came. The same payload refused for the same reason is one row.
    pub seen: i64,
    /// The source: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// The row as received.
    pub payload: String,
    /// The reason it was refused.
    pub reason: String,
}

/// Number of readings of a device in an hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourCount {
    /// The device's name.
    pub device: String,
    /// The hour, as [`Calendar::hour`].
    pub hour: Hour,
    /// Number of readings, at least 1.
    pub count: i64,
}

/// Readings, hourly counts, quarantine and leases of one site.
///
/// A handle can be shared; several handles, processes and (PostgreSQL) machines may use one store at once.
/// Days are those of the site's time line: 86,400 seconds from a multiple of 86,400.
///
/// # Errors
/// Every method returns a [`StoreError`] when it fails. The failed transaction changes nothing; [`Store::pack`] and
/// [`Store::retain`] keep their earlier transactions. [`StoreError::is_temporary`] tells whether the same call may work
/// later.
pub trait Store: Send + Sync {
    /// Stores a batch in one transaction. The batch is durable when this returns.
    fn ingest<'a>(&'a self, batch: &'a Batch) -> Pending<'a, Receipt>;

    /// Returns all readings before an instant (all of them without one), and the cursor they reach.
    fn load(&self, before: Option<Timestamp>) -> Pending<'_, (Readings, Cursor)>;

    /// Returns the readings committed after a cursor, by device in order of name, times ascending, and the new cursor.
    ///
    /// No reading is ever left out. Readings may be returned again after [`Store::pack`] and while other transactions
    /// are under way, so a caller adds them to a set.
    fn changes(&self, after: Cursor) -> Pending<'_, (Vec<DeviceReadings>, Cursor)>;

    /// Returns readings per device and hour from the hour of an instant on (all hours without one), ordered by device,
    /// then hour. Hours without readings are left out. The counts are for reports, not for forecasts.
    fn hours(&self, from: Option<Timestamp>) -> Pending<'_, Vec<HourCount>>;

    /// Returns the time of each device's latest event of any kind, in order of device name.
    fn heard(&self) -> Pending<'_, Vec<(String, Timestamp)>>;

    /// Returns at most `limit` rows of the quarantine with an id above `after_id`, in order of id.
    fn quarantined(&self, after_id: i64, limit: usize) -> Pending<'_, Vec<Quarantined>>;

    /// Returns the size of the quarantine and the number of rows dropped from it.
    fn quarantine_size(&self) -> Pending<'_, QuarantineSize>;

    /// Removes rows from the quarantine. Returns how many of them were there.
    fn release<'a>(&'a self, ids: &'a [i64]) -> Pending<'a, u64>;

    /// Returns the start of the first day that has a reading; none without readings.
    fn begins(&self) -> Pending<'_, Option<Timestamp>>;

    /// Packs the days that end at or before an instant, a day or less in each transaction. Returns the number of
    /// readings packed.
    fn pack(&self, before: Timestamp) -> Pending<'_, u64>;

    /// Drops the days that end at or before an instant, and the rows of the quarantine last refused before it. Returns
    /// the number of readings dropped.
    fn retain(&self, from: Timestamp) -> Pending<'_, u64>;

    /// Drops, in one transaction, the days that end at or before `from` and those that begin after `to`. Returns the
    /// number of readings dropped. Nothing else is changed.
    fn keep(&self, from: Timestamp, to: Timestamp) -> Pending<'_, u64>;

    /// Writes a copy of the whole store, as of one moment, to a file. Others may go on writing to the store. The file
    /// appears when it is complete, and replaces any file of that name.
    fn backup<'a>(&'a self, target: &'a Path) -> Pending<'a, ()>;

    /// Takes a lease for some seconds from now, or renews the holder's own. Returns false when another holds it.
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, seconds: i64) -> Pending<'a, bool>;

    /// Gives up a lease, if the holder has it.
    fn unlease<'a>(&'a self, name: &'a str, holder: &'a str) -> Pending<'a, ()>;
}

/// Returns whether a text names a store: `sqlite:PATH`, a path that ends in `.db` or `.sqlite`, `postgres://…` or
/// `postgresql://…`. Any other text names a file of readings.
pub fn is_store(text: &str) -> bool {
    is_postgres(text) || text.starts_with("sqlite:") || [".db", ".sqlite"].iter().any(|end| text.ends_with(end))
}

/// Returns whether a text names a PostgreSQL database.
pub(crate) fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Returns a store's name to show: without the password and without options, which may contain one too.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_postgres(url)) else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// Opens a store. Makes a missing one, and upgrades one of an older version.
///
/// # Errors
/// [`StoreError`] when the store cannot be opened, was made by a newer version of Roomcast, or was made for another
/// zone than the calendar's.
pub async fn open(url: &str, calendar: &Calendar) -> Result<Arc<dyn Store>, StoreError> {
    open_or(url, calendar, true).await
}

/// Opens a store to read from it, as [`open`] does, but does not make a missing file.
///
/// # Errors
/// As [`open`], and [`StoreError::Refused`] when the file does not exist.
pub async fn open_existing(url: &str, calendar: &Calendar) -> Result<Arc<dyn Store>, StoreError> {
    open_or(url, calendar, false).await
}

async fn open_or(url: &str, calendar: &Calendar, create: bool) -> Result<Arc<dyn Store>, StoreError> {
    if is_postgres(url) {
        return Ok(Arc::new(postgres::PostgresStore::open(url, calendar).await?));
    }
    if !is_store(url) {
        let message =
            "names no store\nhint: a store is sqlite:PATH, a path that ends in .db or .sqlite, or postgres://…";
        return Err(StoreError::refused(url, message));
    }
    let path = url.strip_prefix("sqlite:").map_or(url, |path| path.strip_prefix("//").unwrap_or(path));
    Ok(Arc::new(sqlite::SqliteStore::open(url, Path::new(path), create, calendar).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_from_files_by_their_names() {
        for store in ["sqlite:x", "a/b.db", "b.sqlite", "postgres://host/site", "postgresql://me@host"] {
            assert!(is_store(store), "{store}");
        }
        for file in ["-", "a.csv", "db", "b.parquet", "b.db.csv", "postgres.csv"] {
            assert!(!is_store(file), "{file}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("postgres://me:s3cret@db:5432/site?sslmode=require"), "postgres://me@db:5432/site");
        assert_eq!(shown("postgres://me:a@b@db/site"), "postgres://me@db/site");
        assert_eq!(shown("postgresql://db/site?password=x"), "postgresql://db/site");
        assert_eq!(shown("sqlite:///var/lib/roomcast/readings.db"), "sqlite:///var/lib/roomcast/readings.db");
    }
}
