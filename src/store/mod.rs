//! Where readings live: SQLite in one file by default, PostgreSQL by configuration.
//!
//! A reading is a device and a second. Whatever arrives twice counts once: the same second of the same
//! device, and the same event id on the same day. One call of [`Store::ingest`] is one transaction: devices,
//! readings, hourly counts and quarantine change together or not at all, and are on disk when it returns.
//!
//! Closed days can be packed: one row per device and day instead of one per reading. What is asked of a
//! store gives the same answers before and after.

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

use crate::calendar::{Calendar, Hour, Instant};
use crate::readings::{DeviceReadings, Readings};

pub use error::StoreError;
pub(crate) use postgres::{BEGIN, SCHEMA_LOCK, options as postgres_options};
pub use quarantine::QuarantineSize;

/// A name for what holds leases, in this process and no other.
pub(crate) fn holder() -> String {
    // Nobody else draws the same: the standard library seeds its hashes from the operating system.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// What a store is about to answer.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One sensor event, valid in form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The device's name, as [`DeviceReadings::device`].
    pub device: String,
    /// When it happened, on the site's time line, in the years 1971 to 2200.
    pub time: Instant,
    /// What the sensor said.
    pub kind: Kind,
    /// The sender's own name of this event, if it has one: what comes again under the same id on the same day is
    /// a repetition, whatever its second.
    pub id: Option<String>,
}

/// What a sensor said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It fired.
    Motion,
    /// It said "no motion": no reading, but a sign of life, which moves the instant it was last heard.
    Rest,
}

/// Something received that is no event; it is kept in quarantine. Of 100,000 rows and 64 MiB the oldest are dropped; of a payload
/// 16 KiB are kept, of a reason 1 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// How it came: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// What was received, as text that can be parsed again.
    pub payload: String,
    /// Why it is no event; for a row of a file, with the file and line.
    pub reason: String,
}

/// What is stored in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events in the order in which they came, in any order of time.
    pub events: Vec<Event>,
    /// What was no event.
    pub refused: Vec<Refused>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is a new reading.
    Stored,
    /// The reading, or the event's id, was there before: in the store, or earlier in the batch.
    Duplicate,
    /// It was a [`Kind::Rest`].
    NoMotion,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// One verdict per event, in the batch's order.
    pub verdicts: Vec<Verdict>,
    /// Rows that were refused, of this batch or before, and are dropped: the quarantine keeps the latest that fit.
    pub dropped: u64,
}

/// A place in the order in which readings were committed; the default is before the first. Opaque: it means something
/// only to the store it is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(pub i64);

/// A row of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number, ascending in the order in which rows first came.
    pub id: i64,
    /// When it last came, UTC.
    pub received: Instant,
    /// How often it came: the same payload refused for the same reason is one row.
    pub seen: i64,
    /// How it came: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// What was received.
    pub payload: String,
    /// Why it was refused.
    pub reason: String,
}

/// How many readings a device has in an hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourCount {
    /// The device's name.
    pub device: String,
    /// The hour, as [`Calendar::hour`].
    pub hour: Hour,
    /// Readings in it, at least 1.
    pub count: i64,
}

/// Readings, hourly counts, quarantine and leases of one site.
///
/// A handle can be shared; several handles, processes and (PostgreSQL) machines may use one store at once.
/// Days are those of the site's time line: 86,400 seconds from a multiple of 86,400.
///
/// # Errors
/// Every method fails with a [`StoreError`]; nothing was changed then. [`StoreError::is_temporary`] tells what may
/// work later.
pub trait Store: Send + Sync {
    /// Stores a batch in one transaction; it is durable when this returns.
    fn ingest<'a>(&'a self, batch: &'a Batch) -> Pending<'a, Receipt>;

    /// All readings before an instant (all without one), and the cursor they reach.
    fn load(&self, before: Option<Instant>) -> Pending<'_, (Readings, Cursor)>;

    /// What was committed after a cursor, by device in order of name, times ascending; and the cursor that reaches.
    ///
    /// Nothing is ever left out. Readings that were seen before may come again (after [`Store::pack`], and while
    /// other transactions are under way): whoever follows a store adds to a set.
    fn changes(&self, after: Cursor) -> Pending<'_, (Vec<DeviceReadings>, Cursor)>;

    /// Readings per device and hour from the hour of an instant on (of all time without one), ordered by device,
    /// then hour; hours without any are left out. For people and their reports: forecasts are made from the readings.
    fn hours(&self, from: Option<Instant>) -> Pending<'_, Vec<HourCount>>;

    /// Per device in order of name, the time of its latest event of any kind.
    fn heard(&self) -> Pending<'_, Vec<(String, Instant)>>;

    /// At most `limit` rows of the quarantine with an id above `after_id`, in order of id.
    fn quarantined(&self, after_id: i64, limit: usize) -> Pending<'_, Vec<Quarantined>>;

    /// How much is in the quarantine, and how much was dropped from it.
    fn quarantine_size(&self) -> Pending<'_, QuarantineSize>;

    /// Takes rows out of the quarantine; says how many were there.
    fn release<'a>(&'a self, ids: &'a [i64]) -> Pending<'a, u64>;

    /// When the first day begins of which any reading is held; none without readings.
    fn begins(&self) -> Pending<'_, Option<Instant>>;

    /// Packs the days that end at or before an instant, a day or less in each transaction; says how many readings were
    /// packed.
    fn pack(&self, before: Instant) -> Pending<'_, u64>;

    /// Drops the days that end at or before an instant, and what was last refused before it; says how many readings
    /// were dropped.
    fn retain(&self, from: Instant) -> Pending<'_, u64>;

    /// Drops, in one transaction, the days that end at or before an instant and those that begin after another; says how many
    /// readings were dropped. Nothing else is changed.
    fn keep(&self, from: Instant, to: Instant) -> Pending<'_, u64>;

    /// Writes a copy of the whole store, as of one moment, to a file; others may go on writing to the store. The file
    /// appears when it is whole, in place of any of that name.
    fn backup<'a>(&'a self, target: &'a Path) -> Pending<'a, ()>;

    /// Takes a lease, or renews the holder's own, for some seconds from now; false when another holds it.
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, seconds: i64) -> Pending<'a, bool>;

    /// Gives a lease back, if the holder has it.
    fn unlease<'a>(&'a self, name: &'a str, holder: &'a str) -> Pending<'a, ()>;
}

/// Whether a text names a store: `sqlite:PATH`, a path that ends in `.db` or `.sqlite`, `postgres://…` or
/// `postgresql://…`. Anything else is a file of readings.
pub fn is_store(text: &str) -> bool {
    is_postgres(text) || text.starts_with("sqlite:") || [".db", ".sqlite"].iter().any(|end| text.ends_with(end))
}

/// Whether a text names a PostgreSQL database.
pub(crate) fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// A store's name to show: without the password, and without options, which may hold one too.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_postgres(url)) else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// Opens a store, makes it where there is none, and brings one of an older version up to date.
///
/// # Errors
/// [`StoreError`]: beside what keeps it from being opened, when a newer version of Roomcast made it, or for another
/// zone than the calendar's.
pub async fn open(url: &str, calendar: &Calendar) -> Result<Arc<dyn Store>, StoreError> {
    open_or(url, calendar, true).await
}

/// Opens a store to read from it: as [`open`], but a file that is not there is an error.
///
/// # Errors
/// As [`open`].
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
