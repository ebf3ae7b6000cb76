//! A registry in a directory: one directory per version.
//!
//! A version is written into a staging directory, synced, and renamed. `current` is replaced by renaming. A crash at
//! any moment leaves the existing files unchanged. Writers hold a lock. Readers need none, and a read-only disk is
//! enough for them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::super::error::RegistryError;
use super::super::names::{TRAINING_LOCK, WRITE_LOCK};
use super::{Backend, Lock, files};

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub fn new(root: PathBuf) -> Directory {
        Directory { root }
    }

    fn path(&self, version: &str, file: &str) -> PathBuf {
        self.root.join(version).join(file)
    }
}

fn lock_of(file: Option<File>) -> Lock {
    file.map_or(Lock(None), Lock::of)
}

impl Backend for Directory {
    fn name(&self) -> PathBuf {
        self.root.clone()
    }

    fn file(&self, version: &str, file: &str) -> String {
        self.path(version, file).display().to_string()
    }

    fn is_near(&self) -> bool {
        true
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn is_there(&self) -> Result<bool, RegistryError> {
        Ok(self.root.exists())
    }

    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(RegistryError::io(&self.root, "list"))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(RegistryError::io(&self.root, "list"))?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn holds(&self, version: &str) -> Result<bool, RegistryError> {
        Ok(self.root.join(version).is_dir())
    }

    fn read(&self, version: &str, file: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        files::read_at_most(&self.path(version, file), limit)
    }

    fn put(&self, version: &str, files: &[(&str, &[u8])]) -> Result<(), RegistryError> {
        let target = self.root.join(version);
        let staging = files::staging(&self.root)?;
        for (name, bytes) in files {
            files::write(&staging.path().join(name), bytes)?;
        }
        files::sync(staging.path())?;
        if target.exists() {
            self.remove(version)?;
        }
        files::rename(staging.path(), &target)?;
        files::sync(&self.root)
    }

    fn remove(&self, version: &str) -> Result<(), RegistryError> {
        // Renames the version away and then removes it, so that a crash on the way leaves no half of it.
        let staging = files::staging(&self.root)?;
        files::rename(&self.root.join(version), &staging.path().join(version))?;
        // The name goes before its files: a power loss must not bring back half of the version.
        files::sync(&self.root)?;
        staging.close().map_err(RegistryError::io(&self.root.join(version), "remove"))
    }

    fn tidy(&self, lock: &Lock) -> Result<(), RegistryError> {
        files::sync(&self.root)?;
        if lock.0.is_some() { files::clear_staging(&self.root) } else { Ok(()) }
    }

    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        match files::read_at_most(&self.root.join(name), limit) {
            Err(error) if error.is_missing() => Ok(None),
            bytes => bytes.map(Some),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        files::create_root(&self.root)?;
        files::replace(&self.root, name, bytes)
    }

    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError> {
        // The lock keeps other processes from doing the same.
        let limit = expected.map_or(0, |expected| expected.len() as u64);
        let is_expected = match self.small(name, limit) {
            Err(RegistryError::Damaged { .. }) => false,
            found => found?.as_deref() == expected,
        };
        if is_expected {
            self.replace(name, bytes)?;
        }
        Ok(is_expected)
    }

    fn lock(&self) -> Result<Lock, RegistryError> {
        files::create_root(&self.root)?;
        let lock = files::lock(&self.root, WRITE_LOCK, true)?;
        // A killed process may have left a version that can be read but is not on the disk yet.
        files::sync(&self.root)?;
        Ok(lock_of(lock.flatten()))
    }

    fn lock_training(&self) -> Result<Option<Lock>, RegistryError> {
        files::create_root(&self.root)?;
        Ok(files::lock(&self.root, TRAINING_LOCK, false)?.map(lock_of))
    }
}
