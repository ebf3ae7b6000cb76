//! The registry: versions of the models, one of them current. It is in a directory,
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
//! or, laid out alike, in PostgreSQL or an S3-compatible object store: see `place`.
//!
//! A version is there whole or not at all, and a crash at any moment leaves what was there. Writers hold a lock; readers
//! need none, nor the right to write.

mod check;
mod error;
mod files;
mod manifest;
mod packed;
mod place;
mod sum;
#[cfg(test)]
mod tests;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

pub use self::check::{latest, present};
pub use self::error::{Damage, RegistryError};
pub use self::manifest::{About, LIGHTGBM, Manifest, Scores, Sources};
pub use self::packed::{SCHEMA, decode_device, encode_device};
pub(crate) use self::packed::{bytes, whole};
use self::place::{CURRENT, Held, Place};
pub(crate) use self::sum::sha256;
use crate::model::Models;

/// `current` is no longer.
const LINE: u64 = 1 << 10;

/// What others keep beside the models is no longer.
const BESIDE: u64 = 1 << 30;

/// A place with versions of models. Opening touches nothing.
///
/// All that is asked of it is waited for: call it off the async threads.
#[derive(Debug, Clone)]
pub struct Registry {
    place: Arc<dyn Place>,
    root: PathBuf,
}

/// A version that is there, whether it can be used or not.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub version: String,
    /// Whether it is the one in use.
    pub current: bool,
    /// What it is, or why it cannot be used.
    pub manifest: Result<Manifest, RegistryError>,
}

/// The right to retrain: see [`Registry::lease`].
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "it is there to be dropped, which unlocks it")] Held);

/// Manifest and bytes of models that may be saved.
fn describe(models: &Models, about: &About) -> Result<(Manifest, Vec<u8>), RegistryError> {
    check::models(models).map_err(RegistryError::Unsound)?;
    let packed = packed::encode(models).map_err(RegistryError::Unsound)?;
    let manifest = Manifest::new(models, about, &packed).map_err(RegistryError::Unsound)?;
    Ok((manifest, packed))
}

impl Registry {
    /// The registry in a directory, which need not exist yet, at `postgres://…`, or at `s3://bucket/prefix`.
    pub fn open(location: impl Into<PathBuf>) -> Registry {
        let place = place::at(location.into());
        Registry { root: place.name(), place }
    }

    /// The registry's directory; its name, without a password, where it is in none.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The registry's name to show, without a password.
    pub fn name(&self) -> String {
        self.root.display().to_string()
    }

    /// How long to wait between two looks at what is current.
    pub fn pace(&self) -> Duration {
        self.place.pace()
    }

    /// Saves models as a new version and, if wanted, makes it the current one. What was made of the same readings
    /// with the same result is saved once: the manifest is then that of the first time.
    ///
    /// # Errors
    /// [`RegistryError::Unsound`] for models with a number that is not finite or that learned from after their own
    /// cutoff, and what keeps them from being written; what is current stays so.
    pub fn save(&self, models: &Models, about: &About, activate: bool) -> Result<Manifest, RegistryError> {
        let (manifest, packed) = describe(models, about)?;
        let _lock = self.place.lock()?;
        let manifest = self.publish(manifest, &packed, None)?;
        if activate {
            self.set_current(&manifest.version)?;
        }
        Ok(manifest)
    }

    /// Saves models with the report of the retraining that made them, and makes them current if `champion`, the version
    /// they were judged against, still is: somebody may have gone back to another meanwhile. Says whether they are.
    ///
    /// # Errors
    /// As [`Registry::save`].
    pub fn promote(
        &self,
        models: &Models,
        about: &About,
        report: &str,
        champion: Option<&str>,
    ) -> Result<(Manifest, bool), RegistryError> {
        let (manifest, packed) = describe(models, about)?;
        let _lock = self.place.lock()?;
        let manifest = self.publish(manifest.with_report(report), &packed, Some(report))?;
        // What is current must be readable, even if it turns out not to be the champion.
        let unchanged = self.current()?.as_deref() == champion && {
            let expected = champion.map(line);
            self.place.swap(CURRENT, expected.as_deref().map(str::as_bytes), line(&manifest.version).as_bytes())?
        };
        Ok((manifest, unchanged))
    }

    /// The report of the retraining that made a version, if one did; JSON.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub fn report(&self, version: &str) -> Result<Option<String>, RegistryError> {
        self.require(version)?;
        version::report(&*self.place, version)
    }

    /// The right to retrain, which one process of those that share the registry has at a time; none while another has
    /// it. It ends with the value, or with the process (in an object store up to a minute later). Without locks in the file system
    /// everybody gets it.
    ///
    /// # Errors
    /// When the registry cannot be written to.
    pub fn lease(&self) -> Result<Option<Lease>, RegistryError> {
        Ok(self.place.lease()?.map(Lease))
    }

    /// Loads a version, the current one without a name. All of it is verified on the way.
    ///
    /// # Errors
    /// [`RegistryError`]: no models, no such version, damage, another schema, other features.
    pub fn load(&self, version: Option<&str>) -> Result<(Models, Manifest), RegistryError> {
        let read = |version: &str| self.require(version).and_then(|()| version::read(&*self.place, version));
        if let Some(version) = version {
            return read(version);
        }
        let mut version = self.require_current()?;
        loop {
            match read(&version) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    // While it was being read another may have become current, and this one been pruned.
                    let now = self.require_current()?;
                    if now == version {
                        return Err(error);
                    }
                    version = now;
                }
            }
        }
    }

    /// All versions, the latest cutoff first, those that cannot be used included. Every byte is verified,
    /// but models are not decoded. An unreadable `current` makes none current here: see [`Registry::current`].
    ///
    /// # Errors
    /// When the registry cannot be listed; one that is missing is empty.
    pub fn list(&self) -> Result<Vec<Entry>, RegistryError> {
        self.entries(|version| version::verify(&*self.place, version))
    }

    /// The same, where it would take long without more than a look at the manifests.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn overview(&self) -> Result<Vec<Entry>, RegistryError> {
        if self.place.is_near() {
            self.list()
        } else {
            self.entries(|version| version::read_manifest(&*self.place, version))
        }
    }

    fn entries(
        &self,
        look: impl Fn(&str) -> Result<Manifest, RegistryError> + Sync,
    ) -> Result<Vec<Entry>, RegistryError> {
        let current = self.current().unwrap_or(None);
        let entry =
            |version: String| Entry { current: current.as_ref() == Some(&version), manifest: look(&version), version };
        let mut entries: Vec<Entry> = self.versions()?.into_par_iter().map(entry).collect();
        // Names begin with the cutoff; what has the same one is ordered by when it was made.
        let made = |entry: &Entry| entry.manifest.as_ref().map_or(String::new(), |m| m.created_at.clone());
        let cutoff = |entry: &Entry| entry.version.split('-').next().unwrap_or_default().to_owned();
        entries.sort_by_cached_key(|entry| std::cmp::Reverse((cutoff(entry), made(entry), entry.version.clone())));
        Ok(entries)
    }

    /// Makes a version the current one, after all of it was verified as [`Registry::load`] does.
    ///
    /// # Errors
    /// As [`Registry::load`]; what is current stays so.
    pub fn activate(&self, version: &str) -> Result<Manifest, RegistryError> {
        self.require(version)?;
        let _lock = self.place.lock()?;
        let (_, manifest) = self.load(Some(version))?;
        self.set_current(version)?;
        Ok(manifest)
    }

    /// Removes all versions but the current one and the `keep` with the latest cutoffs, and what
    /// saves that crashed left behind. Returns the names of the versions removed.
    ///
    /// # Errors
    /// When something cannot be removed, [`RegistryError::Damaged`] when it cannot be told
    /// which version is current.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, RegistryError> {
        self.prune_besides(keep, None)
    }

    /// [`Registry::prune`], with one more version that is kept whatever its cutoff.
    ///
    /// # Errors
    /// As [`Registry::prune`].
    pub fn prune_besides(&self, keep: usize, besides: Option<&str>) -> Result<Vec<String>, RegistryError> {
        if !self.place.is_there()? {
            return Ok(Vec::new());
        }
        let lock = self.place.lock()?;
        let current = self.current()?;
        let old = self.overview()?.into_iter().skip(keep).map(|entry| entry.version);
        let kept = |version: &String| Some(version) == current.as_ref() || besides == Some(version.as_str());
        let old: Vec<String> = old.filter(|version| !kept(version)).collect();
        let mut removed = Vec::new();
        for version in old {
            // Who lost the lock without noticing it must not remove what another has made current since.
            if self.current()?.as_ref() != Some(&version) {
                self.place.remove(&version)?;
                removed.push(version);
            }
        }
        self.place.tidy(&lock)?;
        Ok(removed)
    }

    /// Whether no version is there at all; not so where that cannot be told.
    pub fn is_empty(&self) -> bool {
        let found = self.require_current().and_then(|version| self.require(&version));
        matches!(found, Err(RegistryError::Empty { .. }))
    }

    /// The name of the version in use, if one is. Cheap enough to ask every second.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`] when the file holds no version's name, and what keeps it from being read.
    pub fn current(&self) -> Result<Option<String>, RegistryError> {
        let Some(text) = self.place.small(CURRENT, LINE)? else { return Ok(None) };
        match std::str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')) {
            Some(version) if version::is_name(version) => Ok(Some(version.to_owned())),
            _ => Err(RegistryError::content(self.root.join(CURRENT), "it holds no version's name")),
        }
    }

    /// What somebody keeps beside the models under a name; none where there is nothing.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        self.place.small(name, BESIDE)
    }

    /// Keeps something beside the models, in place of what was there under this name. The registry must be there.
    ///
    /// # Errors
    /// What keeps it from being written; the old is there then.
    pub fn write_beside(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        self.place.replace(name, bytes)
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
        self.place.replace(CURRENT, line(version).as_bytes())
    }

    /// Puts a version into its place; the manifest of what is there if it is the same.
    fn publish(&self, manifest: Manifest, packed: &[u8], report: Option<&str>) -> Result<Manifest, RegistryError> {
        if self.place.holds(&manifest.version)? {
            match version::verify(&*self.place, &manifest.version) {
                Ok(found) if found.content() == manifest.content() => return Ok(found),
                Ok(found) => {
                    return Err(RegistryError::Unsound(format!("other models have the name {}", found.version)));
                }
                // Who knows whether it is damaged?
                Err(error) if error.is_temporary() => return Err(error),
                // It is damaged: the same content made anew replaces it.
                Err(_) => {}
            }
        }
        version::write(&*self.place, &manifest, packed, report)?;
        Ok(manifest)
    }

    /// Makes sure that a version is there.
    fn require(&self, version: &str) -> Result<(), RegistryError> {
        if !version::is_name(version) {
            return Err(RegistryError::Name { version: version.to_owned() });
        }
        if self.place.holds(version)? {
            return Ok(());
        }
        let root = self.name();
        let common = |name: &String| name.bytes().zip(version.bytes()).take_while(|(a, b)| a == b).count();
        match self.versions()?.into_iter().max_by_key(common) {
            Some(closest) => Err(RegistryError::Unknown { root, version: version.to_owned(), closest }),
            None => Err(RegistryError::Empty { root }),
        }
    }

    /// The names of all versions, ascending.
    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.place.versions()?.into_iter().filter(|name| version::is_name(name)).collect())
    }
}

/// What `current` holds.
fn line(version: &str) -> String {
    format!("{version}\n")
}
