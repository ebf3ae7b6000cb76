//! Where a registry is: in a directory, in PostgreSQL, or in an S3-compatible object store.
//!
//! A version is a few files that are there together or not at all, and never change. Beside the versions are small files
//! that are replaced whole: `current`, and what others keep with the models. Writers take turns.

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
use crate::store;

/// The name of the version in use is in this file.
pub const CURRENT: &str = "current";

/// Who retrains holds this.
const LEASE: &str = ".retraining";

/// Who writes holds this.
const LOCK: &str = ".lock";

/// Something that one process has at a time, until the value is dropped or the process ends. It holds nothing on a file system
/// without locks.
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

/// A place for versions of models. All operations wait for their end, none longer than some minutes: call them off the
/// async threads. Errors are those of the place, [`RegistryError::Damaged`] where a file is not there or too long.
pub trait Place: fmt::Debug + Send + Sync {
    /// Its name, without a password; a directory's path.
    fn name(&self) -> PathBuf;

    /// How to name a file of a version.
    fn file(&self, version: &str, file: &str) -> String;

    /// Returns whether every byte of every version can be read whenever someone asks for a list.
    fn is_near(&self) -> bool;

    /// How long to wait between two looks at what is current.
    fn pace(&self) -> Duration;

    /// Whether anything was ever written there.
    fn is_there(&self) -> Result<bool, RegistryError>;

    /// What is there under a name that may be a version's, ascending.
    fn versions(&self) -> Result<Vec<String>, RegistryError>;

    /// Whether a version is there.
    fn holds(&self, version: &str) -> Result<bool, RegistryError>;

    /// The bytes of a file, which has at most `limit`.
    fn read(&self, version: &str, file: &str, limit: u64) -> Result<Vec<u8>, RegistryError>;

    /// Puts a version there, in place of a damaged one of the same name. For the holder of the lock.
    fn put(&self, version: &str, files: &[(&str, &[u8])]) -> Result<(), RegistryError>;

    /// Takes a version away. For the holder of the lock.
    fn remove(&self, version: &str) -> Result<(), RegistryError>;

    /// Removes what those have left who stopped on the way. For the holder of the lock, which is proven by it.
    fn tidy(&self, held: &Held) -> Result<(), RegistryError>;

    /// The bytes of a small file, which has at most `limit`; none where there is none.
    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError>;

    /// Puts a small file in the place of another, at once.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError>;

    /// The same if the other is still `expected`; says whether it was. For the holder of the lock.
    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError>;

    /// Waits for the writers' lock, and makes the place where it is not there yet.
    fn lock(&self) -> Result<Held, RegistryError>;

    /// The right to retrain; none while another has it. Makes the place where it is not there yet.
    fn lease(&self) -> Result<Option<Held>, RegistryError>;
}

/// The place that a location names: `postgres://…`, `s3://bucket/prefix`, or a directory. Touches nothing.
pub fn at(location: PathBuf) -> Arc<dyn Place> {
    match location.to_str() {
        Some(url) if store::is_postgres(url) => Arc::new(Postgres::new(url)),
        Some(url) if url.contains("://") => Arc::new(Bucket::new(url)),
        _ => Arc::new(Directory::new(location)),
    }
}
