//! The store of a site, in either database.

use std::path::Path;
use std::sync::Arc;

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{DeviceReadings, Readings};
use roomcast_forecast::rooms::Rooms;

use super::batch::{Batch, Cursor, HourCount, Quarantined, Receipt};
use super::error::StoreError;
use super::machine::{Machine, OperatingSystem};
use super::postgres::PostgresStore;
use super::quarantine::QuarantineSize;
use super::sqlite::SqliteStore;
use crate::url::is_postgres;

/// Readings, hourly counts, quarantine, rooms and leases of one site.
///
/// A handle can be shared; several handles, processes and (PostgreSQL) machines may use one store at once.
/// Days are those of the site's time line: 86,400 seconds from a multiple of 86,400.
///
/// # Errors
/// Every method returns a [`StoreError`] when it fails. The failed transaction changes nothing; [`Store::pack`] and
/// [`Store::retain`] keep their earlier transactions. [`StoreError::is_temporary`] tells whether the same call may work
/// later.
pub enum Store {
    /// A store in one file.
    Sqlite(Box<SqliteStore>),
    /// A store in a database that several servers may share.
    Postgres(PostgresStore),
}

/// Has the database of a store do something, and names the store in its error.
macro_rules! delegate {
    ($store:ident, $method:ident($($argument:expr),*)) => {{
        let (name, answer) = match $store {
            Store::Sqlite(store) => (&store.name, store.$method($($argument),*).await),
            Store::Postgres(store) => (&store.name, store.$method($($argument),*).await),
        };
        answer.map_err(|error| StoreError::of(name, error))
    }};
}

impl Store {
    /// Returns the store's name in messages, without a password.
    fn name(&self) -> &str {
        match self {
            Store::Sqlite(store) => &store.name,
            Store::Postgres(store) => &store.name,
        }
    }

    /// Stores a batch in one transaction. The batch is durable when this returns.
    pub async fn ingest(&self, batch: &Batch) -> Result<Receipt, StoreError> {
        delegate!(self, ingest(batch))
    }

    /// Returns all readings before an instant (all of them without one), and the cursor they reach.
    pub async fn load(&self, before: Option<Timestamp>) -> Result<(Readings, Cursor), StoreError> {
        delegate!(self, load(before))
    }

    /// Returns the readings committed after a cursor, by device in order of name, times ascending, and the new cursor.
    ///
    /// No reading is ever left out. Readings may be returned again after [`Store::pack`] and while other transactions
    /// are under way, so a caller adds them to a set.
    pub async fn changes(&self, after: Cursor) -> Result<(Vec<DeviceReadings>, Cursor), StoreError> {
        delegate!(self, changes(after))
    }

    /// Returns motions per device and hour from the hour of an instant on (all hours without one), ordered by device,
    /// then hour. Hours without readings are left out. The counts are for reports, not for forecasts.
    pub async fn hours(&self, from: Option<Timestamp>) -> Result<Vec<HourCount>, StoreError> {
        delegate!(self, hours(from))
    }

    /// Returns the time of each device's latest event of any kind, in order of device name.
    pub async fn heard(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        delegate!(self, heard())
    }

    /// Returns at most `limit` rows of the quarantine with an id above `after_id`, in order of id.
    pub async fn quarantined(&self, after_id: i64, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        delegate!(self, quarantined(after_id, limit))
    }

    /// Returns the size of the quarantine and the number of rows dropped from it.
    pub async fn quarantine_size(&self) -> Result<QuarantineSize, StoreError> {
        delegate!(self, quarantine_size())
    }

    /// Removes rows from the quarantine. Returns how many of them were there.
    pub async fn release(&self, ids: &[i64]) -> Result<u64, StoreError> {
        delegate!(self, release(ids))
    }

    /// Returns the start of the first day that has a reading; `None` without readings.
    pub async fn first_day(&self) -> Result<Option<Timestamp>, StoreError> {
        delegate!(self, first_day())
    }

    /// Packs the days that end at or before an instant, a day or less in each transaction. Returns the number of
    /// readings packed.
    pub async fn pack(&self, before: Timestamp) -> Result<u64, StoreError> {
        delegate!(self, pack(before))
    }

    /// Drops the days that end at or before an instant, and the rows of the quarantine last refused before it. Returns
    /// the number of readings dropped.
    pub async fn retain(&self, from: Timestamp) -> Result<u64, StoreError> {
        delegate!(self, retain(from))
    }

    /// Drops, in one transaction, the days that end at or before `from` and the days that begin after `to`. Returns the
    /// number of readings dropped. Nothing else is changed.
    pub async fn retain_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
        delegate!(self, retain_between(from, to))
    }

    /// Replaces the table of rooms; an empty one makes each device a room.
    pub async fn set_rooms(&self, rooms: &Rooms) -> Result<(), StoreError> {
        delegate!(self, set_rooms(rooms))
    }

    /// Returns the table of rooms, empty where there is none, and its version.
    pub async fn rooms(&self) -> Result<(Rooms, i64), StoreError> {
        let (rows, version) = delegate!(self, rooms())?;
        let rooms = Rooms::new(rows).map_err(|error| StoreError::damaged(self.name(), error.to_string()))?;
        Ok((rooms, version))
    }

    /// Returns the version of the table of rooms, which every replacement raises.
    pub async fn rooms_version(&self) -> Result<i64, StoreError> {
        delegate!(self, rooms_version())
    }

    /// Writes a copy of the whole store, as of one moment, to a file. Other handles may continue to write to the store.
    /// The file appears when it is complete, and replaces any file of that name.
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(sqlite) => sqlite.backup(target).await,
            Store::Postgres(postgres) => Err(StoreError::refused(
                &postgres.name,
                "a PostgreSQL store is backed up by its own tools\nhint: pg_dump --format=custom --schema=roomcast",
            )),
        }
    }

    /// Takes a lease for some seconds from now, or renews the holder's own. Returns false when another holds it.
    pub async fn lease(&self, name: &str, holder: &str, seconds: i64) -> Result<bool, StoreError> {
        delegate!(self, lease(name, holder, seconds))
    }

    /// Gives up a lease, if the holder has it.
    pub async fn unlease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        delegate!(self, unlease(name, holder))
    }
}

/// Returns whether a text names a store: `sqlite:PATH`, a path that ends in `.db` or `.sqlite`, `postgres://…` or
/// `postgresql://…`. Any other text names a file of readings.
pub fn is_store(text: &str) -> bool {
    is_postgres(text) || text.starts_with("sqlite:") || [".db", ".sqlite"].iter().any(|end| text.ends_with(end))
}

/// Opens a store. Makes a missing one, and upgrades one of an older version.
///
/// # Errors
/// [`StoreError`] when the store cannot be opened, was made by a newer version of Roomcast, or was made for another
/// zone than the calendar's.
pub async fn open(url: &str, calendar: &Calendar) -> Result<Store, StoreError> {
    open_or(url, calendar, true).await
}

/// Opens a store to read from it, as [`open`] does, but does not make a missing file.
///
/// # Errors
/// As [`open`], and [`StoreError::Refused`] when the file does not exist.
pub async fn open_existing(url: &str, calendar: &Calendar) -> Result<Store, StoreError> {
    open_or(url, calendar, false).await
}

async fn open_or(url: &str, calendar: &Calendar, create: bool) -> Result<Store, StoreError> {
    if is_postgres(url) {
        return Ok(Store::Postgres(PostgresStore::open(url, calendar).await?));
    }
    if !is_store(url) {
        let message =
            "names no store\nhint: a store is sqlite:PATH, a path that ends in .db or .sqlite, or postgres://…";
        return Err(StoreError::refused(url, message));
    }
    let path = url.strip_prefix("sqlite:").map_or(url, |path| path.strip_prefix("//").unwrap_or(path));
    let machine = Arc::new(OperatingSystem);
    Ok(Store::Sqlite(Box::new(SqliteStore::open(url, Path::new(path), create, calendar, machine).await?)))
}

/// Opens a store in a file of a given machine, as [`open`] does.
///
/// # Errors
/// As [`open`].
pub async fn open_on(machine: Arc<dyn Machine>, path: &Path, calendar: &Calendar) -> Result<Store, StoreError> {
    let name = path.display().to_string();
    Ok(Store::Sqlite(Box::new(SqliteStore::open(&name, path, true, calendar, machine).await?)))
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
}
