//! Backends of a registry: a directory, PostgreSQL, or an S3-compatible object store.
//!
//! A version is a few files that are there together or not at all, and never change. Beside the versions are small
//! files that are replaced whole: `current`, and files that others keep with the models. A lock admits one writer at a
//! time.

mod claim;
mod directory;
mod objects;
mod postgres;
mod s3;
mod wait;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::directory::Directory;
use self::postgres::Postgres;
use self::s3::Bucket;
use super::error::RegistryError;
use crate::readings;

/// The file that holds the name of the current version.
pub const CURRENT: &str = "current";

/// The lease of the process that retrains.
const LEASE: &str = ".retraining";

/// The lock of the process that writes.
const LOCK: &str = ".lock";

/// A lock that one process holds at a time, until the value is dropped or the process ends. It holds nothing on a file
/// system without locks.
pub struct Held(Option<Box<dyn Any + Send + Sync>>);

impl Held {
    fn of(what: impl Any + Send + Sync) -> Held {
        Held(Some(Box::new(what)))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Held" } else { "Held (nothing)" })
    }
}

/// A place for versions of models. All operations block, for some minutes at most: call them off the async threads.
/// Operations return the errors of the place, and [`RegistryError::Damaged`] when a file is missing or too long.
pub trait Place: fmt::Debug + Send + Sync {
    /// Returns the name of the place, without a password. A directory returns its path.
    fn name(&self) -> PathBuf;

    /// Returns the name of a file of a version, for messages.
    fn file(&self, version: &str, file: &str) -> String;

    /// Returns whether every byte of every version can be read for each list.
    fn is_near(&self) -> bool;

    /// Returns the time to wait between two checks of which version is current.
    fn pace(&self) -> Duration;

    /// Returns whether the place has ever been written to.
    fn is_there(&self) -> Result<bool, RegistryError>;

    /// Returns the names that may be those of versions, ascending.
    fn versions(&self) -> Result<Vec<String>, RegistryError>;

    /// Returns whether a version is there.
    fn holds(&self, version: &str) -> Result<bool, RegistryError>;

    /// Returns the bytes of a file of at most `limit` bytes.
    fn read(&self, version: &str, file: &str, limit: u64) -> Result<Vec<u8>, RegistryError>;

    /// Writes a version, and replaces a damaged one of the same name. The caller must hold the lock.
    fn put(&self, version: &str, files: &[(&str, &[u8])]) -> Result<(), RegistryError>;

    /// Removes a version. The caller must hold the lock.
    fn remove(&self, version: &str) -> Result<(), RegistryError>;

    /// Removes the files of writers that stopped before their end. `held` proves that the caller holds the lock.
    fn tidy(&self, held: &Held) -> Result<(), RegistryError>;

    /// Returns the bytes of a small file of at most `limit` bytes, and `None` when there is no such file.
    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError>;

    /// Replaces a small file atomically.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError>;

    /// Replaces a small file if it still holds `expected`, and returns whether it did. The caller must hold the lock.
    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError>;

    /// Waits for the writers' lock. Creates the place if it does not exist yet.
    fn lock(&self) -> Result<Held, RegistryError>;

    /// Takes the lease for retraining, and returns `None` while another process holds it. Creates the place if it does
    /// not exist.
    fn lease(&self) -> Result<Option<Held>, RegistryError>;
}

/// Returns the place that a location names: `postgres://…`, `s3://bucket/prefix`, or a directory. Reads and writes
/// nothing.
pub fn at(location: PathBuf) -> Arc<dyn Place> {
    match location.to_str() {
        Some(url) if readings::is_postgres(url) => Arc::new(Postgres::new(url)),
        Some(url) if url.contains("://") => Arc::new(Bucket::new(url)),
        _ => Arc::new(Directory::new(location)),
    }
}
