//! Backends of a registry: a directory, PostgreSQL, or an S3-compatible object store.
//!
//! A version is a few files that are present together or not at all, and never change. Besides the versions there are
//! small files that are replaced whole: `current`, and files stored along with the models. A lock admits one writer at
//! a time.

mod directory;
mod files;
mod lease;
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
use crate::url::is_postgres;

/// A lock that one process holds at a time, until the value is dropped or the process ends. It holds nothing on a file
/// system without locks.
pub struct Lock(Option<Box<dyn Any + Send + Sync>>);

impl Lock {
    fn of(what: impl Any + Send + Sync) -> Lock {
        Lock(Some(Box::new(what)))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Lock" } else { "Lock (none)" })
    }
}

/// Storage of versions of models. All operations block, for some minutes at most: call them off the async threads.
/// Operations return the errors of the backend, and [`RegistryError::Damaged`] when a file is missing or too long.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Returns the name of the backend, without a password. A directory returns its path.
    fn name(&self) -> PathBuf;

    /// Returns the name of a file of a version, for messages.
    fn file(&self, version: &str, file: &str) -> String;

    /// Returns whether every byte of every version can be read for each list.
    fn is_near(&self) -> bool;

    /// Returns the time to wait between two checks of which version is current.
    fn pace(&self) -> Duration;

    /// Returns whether the backend has ever been written to.
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

    /// Removes the files of writers that stopped before their end. `lock` is the writers' lock.
    fn tidy(&self, lock: &Lock) -> Result<(), RegistryError>;

    /// Returns the bytes of a small file of at most `limit` bytes, and `None` when there is no such file.
    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError>;

    /// Replaces a small file atomically.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError>;

    /// Replaces a small file if it still holds `expected`, and returns whether it did. The caller must hold the lock.
    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError>;

    /// Waits for the writers' lock. Creates the registry if it does not exist yet.
    fn lock(&self) -> Result<Lock, RegistryError>;

    /// Takes the lock for retraining, and returns `None` while another process holds it. Creates the registry if it
    /// does not exist.
    fn lock_training(&self) -> Result<Option<Lock>, RegistryError>;
}

/// Returns the backend of a location: `postgres://…`, `s3://bucket/prefix`, or a directory. Reads and writes
/// nothing.
pub fn at(location: PathBuf) -> Arc<dyn Backend> {
    match location.to_str() {
        Some(url) if is_postgres(url) => Arc::new(Postgres::new(url)),
        Some(url) if url.contains("://") => Arc::new(Bucket::new(url)),
        _ => Arc::new(Directory::new(location)),
    }
}
