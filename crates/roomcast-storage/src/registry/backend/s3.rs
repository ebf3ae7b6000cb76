//! A registry in a bucket: one prefix per version, laid out as in a directory.
//!
//! Objects appear one by one, so `SHA256SUMS` is written last and removed first: a version without it does not count.
//! Writers hold a lease ([`super::lease`]). A promotion replaces `current` only if it is unchanged since it was read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::error::{Damage, RegistryError};
use super::super::names::{SUMS, TRAINING_LOCK, WRITE_LOCK, is_name};
use super::lease::Lease;
use super::objects::Objects;
use super::{Backend, Lock};

#[derive(Debug)]
pub(super) struct Bucket(Arc<Objects>);

impl Bucket {
    pub fn new(url: &str) -> Bucket {
        Bucket(Arc::new(Objects::new(url)))
    }

    /// Returns the names directly below the registry's prefix that may have objects below them.
    fn prefixes(&self) -> Result<Vec<String>, RegistryError> {
        let (prefixes, _) = self.0.list(&self.0.path(&[]))?;
        Ok(prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect())
    }
}

impl Backend for Bucket {
    fn name(&self) -> PathBuf {
        self.0.name.clone().into()
    }

    fn file(&self, version: &str, file: &str) -> String {
        format!("{}/{version}/{file}", self.0.name)
    }

    fn is_near(&self) -> bool {
        false
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn is_there(&self) -> Result<bool, RegistryError> {
        let (prefixes, objects) = self.0.list(&self.0.path(&[]))?;
        Ok(!prefixes.is_empty() || !objects.is_empty())
    }

    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        let mut names = Vec::new();
        for name in self.prefixes()? {
            if self.holds(&name)? {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn holds(&self, version: &str) -> Result<bool, RegistryError> {
        self.0.is_there(&self.0.path(&[version, SUMS]))
    }

    fn read(&self, version: &str, file: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        match self.0.get(&self.0.path(&[version, file]), limit)? {
            Some((bytes, _)) => Ok(bytes),
            None => Err(RegistryError::damaged(self.file(version, file), Damage::Missing)),
        }
    }

    fn put(&self, version: &str, files: &[(&str, &[u8])]) -> Result<(), RegistryError> {
        self.0.delete(&self.0.path(&[version, SUMS]))?;
        let (last, first): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| *name == SUMS);
        let mut ordered = first.into_iter().chain(last);
        ordered.try_for_each(|&(name, bytes)| self.0.put(&self.0.path(&[version, name]), bytes.to_vec()))
    }

    fn remove(&self, version: &str) -> Result<(), RegistryError> {
        // The checksums go first, and with them the version.
        self.0.delete(&self.0.path(&[version, SUMS]))?;
        let (_, objects) = self.0.list(&self.0.path(&[version]))?;
        objects.iter().try_for_each(|object| self.0.delete(object))
    }

    fn tidy(&self, _: &Lock) -> Result<(), RegistryError> {
        for name in self.prefixes()? {
            if is_name(&name) && !self.holds(&name)? {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        Ok(self.0.get(&self.0.path(&[name]), limit)?.map(|(bytes, _)| bytes))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        self.0.put(&self.0.path(&[name]), bytes.to_vec())
    }

    fn swap(&self, name: &str, expected: Option<&[u8]>, bytes: &[u8]) -> Result<bool, RegistryError> {
        let path = self.0.path(&[name]);
        let limit = expected.map_or(0, |expected| expected.len() as u64);
        let found = match self.0.get(&path, limit) {
            Err(RegistryError::Damaged { .. }) => return Ok(false),
            found => found?,
        };
        if found.as_ref().map(|(bytes, _)| bytes.as_slice()) != expected {
            return Ok(false);
        }
        if self.0.put_if(&path, bytes.to_vec(), found.as_ref().map(|(_, mark)| mark))?.is_some() {
            return Ok(true);
        }
        // This process may have written the object, and the answer may have been lost.
        Ok(self.0.get(&path, bytes.len() as u64).is_ok_and(|now| now.is_some_and(|(now, _)| now == bytes)))
    }

    fn lock(&self) -> Result<Lock, RegistryError> {
        Lease::wait_for(&self.0, &self.0.path(&[WRITE_LOCK])).map(Lock::of)
    }

    fn lock_training(&self) -> Result<Option<Lock>, RegistryError> {
        Ok(Lease::acquire(&self.0, self.0.path(&[TRAINING_LOCK]))?.map(Lock::of))
    }
}
