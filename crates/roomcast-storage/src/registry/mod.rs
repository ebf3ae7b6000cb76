//! The registry: versions of the models, one of them current. A registry is stored in a directory,
//!
//! ```text
//! models/
//!   current                      the name of the version in use
//!   20160810T235959Z-3f9a1c07/   one directory per version, never changed once it is there
//!     manifest.json              what it is, for people
//!     models.bin                 the layers of all devices
//!     report.json                why, if a retraining made it
//!     SHA256SUMS                 checksums of them, for `sha256sum --check`
//! ```
//!
//! or, with the same layout, in PostgreSQL or an S3-compatible object store: see `backend`.
//!
//! A version is there whole or not at all. A crash at any moment leaves the versions that were there. Writers hold a
//! lock. Readers need neither a lock nor the right to write.

mod backend;
mod champion;
mod error;
mod manifest;
mod names;
pub mod takeover;
#[cfg(test)]
mod tests;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use self::backend::Backend;
pub use self::backend::Lock;
pub use self::champion::{champion, present};
pub use self::error::{Damage, RegistryError};
pub use self::manifest::{Manifest, Scores, Sources};
use self::names::{CURRENT, is_name};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::model::{Models, check, codec};
use roomcast_forecast::rooms::Rooms;
use roomcast_forecast::train::TrainingInfo;

/// Most bytes of `current`.
const MAX_CURRENT_BYTES: u64 = 1 << 10;

/// Maximum number of bytes of a file stored along with the models.
const MAX_SIDE_FILE_BYTES: u64 = 1 << 30;
/// Largest number of times that a file beside the models is changed anew, because another process has written it.
const MAX_TRIES: usize = 5;

/// A registry of versions of models. Opening it reads and writes nothing.
///
/// All operations block: call them off the async threads.
#[derive(Debug, Clone)]
pub struct Registry {
    backend: Arc<dyn Backend>,
    root: PathBuf,
}

/// A version in the registry, usable or not.
#[derive(Debug)]
pub struct Entry {
    /// The version's name.
    pub version: String,
    /// True when the version is the current one.
    pub current: bool,
    /// The manifest, or the reason why the version cannot be used.
    pub manifest: Result<Manifest, RegistryError>,
}

/// Returns the manifest and the bytes of models, after checking that they may be saved.
fn describe(models: &Models, about: &TrainingInfo) -> Result<(Manifest, Vec<u8>), RegistryError> {
    check::models(models).map_err(RegistryError::Unsound)?;
    let packed = codec::encode(models).map_err(RegistryError::Unsound)?;
    let manifest = Manifest::new(models, about, &packed).map_err(RegistryError::Unsound)?;
    Ok((manifest, packed))
}

impl Registry {
    /// Opens the registry in a directory, which need not exist yet, at `postgres://…`, or at `s3://bucket/prefix`.
    pub fn open(location: impl Into<PathBuf>) -> Registry {
        let backend = backend::at(location.into());
        Registry { root: backend.name(), backend }
    }

    /// Returns the registry's directory. A registry outside the file system gives its name, without a password.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the registry's name for display, without a password.
    pub fn name(&self) -> String {
        self.root.display().to_string()
    }

    /// Returns the time to wait between two checks of which version is current.
    pub fn pace(&self) -> Duration {
        self.backend.pace()
    }

    /// Saves models as a new version and, if `activate` is set, makes it the current one. Models with the same readings
    /// and the same result are saved once. The manifest is then that of the first save.
    ///
    /// # Errors
    /// Returns [`RegistryError::Unsound`] for models that have a number that is not finite. Returns the error of the backend when the version cannot be written. The
    /// current version then stays.
    pub fn save(&self, models: &Models, about: &TrainingInfo, activate: bool) -> Result<Manifest, RegistryError> {
        let (manifest, packed) = describe(models, about)?;
        let _lock = self.backend.lock()?;
        let manifest = self.save_version(manifest, &packed, None)?;
        if activate {
            self.set_current(&manifest.version)?;
        }
        Ok(manifest)
    }

    /// Saves models with the report of their retraining. Makes them current if `champion`, the version they were judged
    /// against, still is: an operator may have activated another version meanwhile. Returns whether they are current.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::save`].
    pub fn promote(
        &self,
        models: &Models,
        about: &TrainingInfo,
        report: &str,
        champion: Option<&str>,
    ) -> Result<(Manifest, bool), RegistryError> {
        let (manifest, packed) = describe(models, about)?;
        let _lock = self.backend.lock()?;
        let manifest = self.save_version(manifest.with_report(report), &packed, Some(report))?;
        // The current version must be readable, even if it is not the champion.
        let unchanged = self.current()?.as_deref() == champion && {
            let expected = champion.map(line);
            self.backend.swap(CURRENT, expected.as_deref().map(str::as_bytes), line(&manifest.version).as_bytes())?
        };
        Ok((manifest, unchanged))
    }

    /// Returns the report, as JSON, of the retraining that made a version, if one did.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::load`].
    pub fn report(&self, version: &str) -> Result<Option<String>, RegistryError> {
        self.require(version)?;
        version::report(&*self.backend, version)
    }

    /// Takes the lock for retraining, which one process of those that share the registry holds at a time. Returns
    /// `None` while another process holds it. The lock ends with the value or the process (in an object store up to a
    /// minute later). On a file system without locks every process gets it.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the registry cannot be written to.
    pub fn lock_training(&self) -> Result<Option<Lock>, RegistryError> {
        self.backend.lock_training()
    }

    /// Loads a version, the current one without a name. All of it is verified.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when there are no models, no such version, damage, another schema, or other features.
    pub fn load(&self, version: Option<&str>) -> Result<(Models, Manifest), RegistryError> {
        let read = |version: &str| self.require(version).and_then(|()| version::read(&*self.backend, version));
        if let Some(version) = version {
            return read(version);
        }
        let mut version = self.require_current()?;
        loop {
            match read(&version) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    // During the read another version may have become current, and this one may have been pruned.
                    let now = self.require_current()?;
                    if now == version {
                        return Err(error);
                    }
                    version = now;
                }
            }
        }
    }

    /// Loads the newest version for a calendar and a table of rooms that has learned from nothing at or after an instant.
    /// Returns `None` when there is none. Versions that cannot be read are passed over.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the registry cannot be listed.
    pub fn load_before(
        &self,
        instant: Timestamp,
        calendar: &Calendar,
        rooms: &Rooms,
    ) -> Result<Option<(Models, Manifest)>, RegistryError> {
        let fits =
            |manifest: &Manifest| manifest.mismatch(calendar).is_none() && manifest.rooms_mismatch(rooms).is_none();
        let versions = self.overview()?.into_iter().filter_map(|entry| entry.manifest.ok()).filter(fits);
        let mut loaded = versions.filter_map(|manifest| self.load(Some(&manifest.version)).ok());
        Ok(loaded.find(|(models, _)| models.cutoff <= instant))
    }

    /// Returns all versions, unusable ones included, with the latest cutoff first. Every byte is verified, but models
    /// are not decoded. With an unreadable `current` no entry is marked as current: see [`Registry::current`].
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the registry cannot be listed. A missing registry is empty.
    pub fn list(&self) -> Result<Vec<Entry>, RegistryError> {
        self.entries(|version| version::verify(&*self.backend, version))
    }

    /// Returns the same as [`Registry::list`]. A remote registry verifies the manifests alone, because reading all
    /// bytes would take long.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::list`].
    pub fn overview(&self) -> Result<Vec<Entry>, RegistryError> {
        if self.backend.is_near() {
            self.list()
        } else {
            self.entries(|version| version::read_manifest(&*self.backend, version))
        }
    }

    fn entries(
        &self,
        check: impl Fn(&str) -> Result<Manifest, RegistryError> + Sync,
    ) -> Result<Vec<Entry>, RegistryError> {
        let current = self.current().unwrap_or(None);
        let entry =
            |version: String| Entry { current: current.as_ref() == Some(&version), manifest: check(&version), version };
        let mut entries: Vec<Entry> = self.versions()?.into_par_iter().map(entry).collect();
        // Names begin with the cutoff. Versions with the same cutoff are ordered by their time of creation.
        let made = |entry: &Entry| entry.manifest.as_ref().map_or(String::new(), |m| m.created_at.clone());
        let cutoff = |entry: &Entry| entry.version.split('-').next().unwrap_or_default().to_owned();
        entries.sort_by_cached_key(|entry| std::cmp::Reverse((cutoff(entry), made(entry), entry.version.clone())));
        Ok(entries)
    }

    /// Makes a version the current one, after verifying all of it as [`Registry::load`] does.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::load`]. The current version then stays.
    pub fn activate(&self, version: &str) -> Result<Manifest, RegistryError> {
        self.require(version)?;
        let _lock = self.backend.lock()?;
        let (_, manifest) = self.load(Some(version))?;
        self.set_current(version)?;
        Ok(manifest)
    }

    /// Removes all versions but the current one and the `keep` with the latest cutoffs. Also removes the files left by
    /// saves that crashed. Returns the names of the versions removed.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when something cannot be removed, and [`RegistryError::Damaged`] when the current
    /// version cannot be determined.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, RegistryError> {
        self.prune_besides(keep, None)
    }

    /// Prunes like [`Registry::prune`], and also keeps the version `besides`, whatever its cutoff.
    ///
    /// # Errors
    /// Returns the errors of [`Registry::prune`].
    pub fn prune_besides(&self, keep: usize, besides: Option<&str>) -> Result<Vec<String>, RegistryError> {
        if !self.backend.is_there()? {
            return Ok(Vec::new());
        }
        let lock = self.backend.lock()?;
        let current = self.current()?;
        let old = self.overview()?.into_iter().skip(keep).map(|entry| entry.version);
        let stays = |version: &String| Some(version) == current.as_ref() || besides == Some(version.as_str());
        let old: Vec<String> = old.filter(|version| !stays(version)).collect();
        let mut removed = Vec::new();
        for version in old {
            // The lock may be lost unnoticed. A version that another process has made current since must not be
            // removed.
            if self.current()?.as_ref() != Some(&version) {
                self.backend.remove(&version)?;
                removed.push(version);
            }
        }
        self.backend.tidy(&lock)?;
        Ok(removed)
    }

    /// Returns whether the registry holds no version at all. Returns false when that cannot be determined.
    pub fn is_empty(&self) -> bool {
        let found = self.require_current().and_then(|version| self.require(&version));
        matches!(found, Err(RegistryError::Empty { .. }))
    }

    /// Returns the name of the current version, if there is one. The call is cheap enough for every second.
    ///
    /// # Errors
    /// Returns [`RegistryError::Damaged`] when the file holds no version's name, and [`RegistryError`] when it cannot
    /// be read.
    pub fn current(&self) -> Result<Option<String>, RegistryError> {
        let Some(text) = self.backend.small(CURRENT, MAX_CURRENT_BYTES)? else { return Ok(None) };
        match std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')) {
            Some(version) if is_name(version) => Ok(Some(version.to_owned())),
            _ => Err(RegistryError::content(self.root.join(CURRENT), "it holds no version's name")),
        }
    }

    /// Reads a file that is kept beside the models under a name. Returns `None` when there is no such file.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the file cannot be read.
    pub fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        self.backend.small(name, MAX_SIDE_FILE_BYTES)
    }

    /// Writes a file beside the models, and replaces any file of this name. A registry that does not exist yet is created.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the file cannot be written. The old file is kept then.
    pub fn write_beside(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        self.backend.replace(name, bytes)
    }

    /// Changes a file beside the models: `change` makes the new bytes from those that are there. Another process that
    /// writes it at the same time loses nothing, because the change is then made again on top of what it wrote.
    ///
    /// # Errors
    /// Returns [`RegistryError`] when the file cannot be read or written, or other processes write it all the time. The old
    /// file is kept then.
    pub fn update_beside(&self, name: &str, change: impl Fn(Option<&[u8]>) -> Vec<u8>) -> Result<(), RegistryError> {
        let _lock = self.backend.lock()?;
        // One try is enough unless the lock was lost unnoticed.
        for _ in 0..MAX_TRIES {
            let found = self.backend.small(name, MAX_SIDE_FILE_BYTES)?;
            if self.backend.swap(name, found.as_deref(), &change(found.as_deref()))? {
                return Ok(());
            }
        }
        Err(RegistryError::unavailable(&self.name(), "other processes write it all the time"))
    }

    fn require_current(&self) -> Result<String, RegistryError> {
        if let Some(version) = self.current()? {
            return Ok(version);
        }
        let root = self.name();
        match self.versions()?.pop() {
            Some(newest) => Err(RegistryError::NoneCurrent { root, newest }),
            None => Err(RegistryError::Empty { root }),
        }
    }

    fn set_current(&self, version: &str) -> Result<(), RegistryError> {
        self.backend.replace(CURRENT, line(version).as_bytes())
    }

    /// Stores a version. Returns the manifest of the stored version if the same one is there already.
    fn save_version(&self, manifest: Manifest, packed: &[u8], report: Option<&str>) -> Result<Manifest, RegistryError> {
        if self.backend.holds(&manifest.version)? {
            match version::verify(&*self.backend, &manifest.version) {
                Ok(found) if found.content() == manifest.content() => return Ok(found),
                Ok(found) => {
                    return Err(RegistryError::Unsound(format!("other models have the name {}", found.version)));
                }
                // The stored version may be undamaged.
                Err(error) if error.is_temporary() => return Err(error),
                // The stored version is damaged: the same content, made anew, replaces it.
                Err(_) => {}
            }
        }
        version::write(&*self.backend, &manifest, packed, report)?;
        Ok(manifest)
    }

    /// Checks that a version is there.
    fn require(&self, version: &str) -> Result<(), RegistryError> {
        if !is_name(version) {
            return Err(RegistryError::Name { version: version.to_owned() });
        }
        if self.backend.holds(version)? {
            return Ok(());
        }
        let root = self.name();
        let common = |name: &String| name.bytes().zip(version.bytes()).take_while(|(a, b)| a == b).count();
        match self.versions()?.into_iter().max_by_key(common) {
            Some(closest) => Err(RegistryError::Unknown { root, version: version.to_owned(), closest }),
            None => Err(RegistryError::Empty { root }),
        }
    }

    /// Returns the names of all versions, ascending.
    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.backend.versions()?.into_iter().filter(|name| is_name(name)).collect())
    }
}

/// Returns the content of `current`.
fn line(version: &str) -> String {
    format!("{version}\n")
}
