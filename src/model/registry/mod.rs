//! The registry: versions of the models on disk, one of them current.
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
//! A version is written into a directory beside, synced, and renamed; then `current` is replaced by renaming. A
//! crash at any moment leaves what was there whole. Writers hold a lock; readers need none, and a read-only
//! disk is enough for them.

mod check;
mod error;
mod files;
mod manifest;
mod packed;
mod sum;
#[cfg(test)]
mod tests;
mod version;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use self::check::{latest, present};
pub use self::error::{Damage, RegistryError};
pub use self::manifest::{About, LIGHTGBM, Manifest, Scores, Sources};
pub use self::packed::{SCHEMA, decode_device, encode_device};
pub(crate) use self::packed::{bytes, whole};
pub(crate) use self::sum::sha256;
use crate::model::Models;

const CURRENT: &str = "current";

/// Who retrains holds a lock on this file.
const LEASE: &str = ".retraining";

/// A directory with versions of models. Opening touches nothing.
#[derive(Debug, Clone)]
pub struct Registry {
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
pub struct Lease(#[expect(dead_code, reason = "it is there to be dropped, which unlocks it")] Option<File>);

/// Manifest and bytes of models that may be saved.
fn describe(models: &Models, about: &About) -> Result<(Manifest, Vec<u8>), RegistryError> {
    check::models(models).map_err(RegistryError::Unsound)?;
    let packed = packed::encode(models).map_err(RegistryError::Unsound)?;
    let manifest = Manifest::new(models, about, &packed).map_err(RegistryError::Unsound)?;
    Ok((manifest, packed))
}

impl Registry {
    /// The registry in a directory, which need not exist yet.
    pub fn open(root: impl Into<PathBuf>) -> Registry {
        Registry { root: root.into() }
    }

    /// The registry's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Saves models as a new version and, if wanted, makes it the current one. What was made of the same readings
    /// with the same result is saved once: the manifest is then that of the first time.
    ///
    /// # Errors
    /// [`RegistryError::Unsound`] for models with a number that is not finite or that learned from after their own
    /// cutoff, [`RegistryError::Io`] when they cannot be written; what is current stays so.
    pub fn save(&self, models: &Models, about: &About, activate: bool) -> Result<Manifest, RegistryError> {
        let (manifest, packed) = describe(models, about)?;
        files::create_root(&self.root)?;
        let _lock = files::lock(&self.root)?;
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
        files::create_root(&self.root)?;
        let _lock = files::lock(&self.root)?;
        let manifest = self.publish(manifest.with_report(report), &packed, Some(report))?;
        let unchanged = self.current()?.as_deref() == champion;
        if unchanged {
            self.set_current(&manifest.version)?;
        }
        Ok((manifest, unchanged))
    }

    /// The report of the retraining that made a version, if one did; JSON.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub fn report(&self, version: &str) -> Result<Option<String>, RegistryError> {
        version::report(&self.directory(version)?)
    }

    /// The right to retrain, which one process of those that share the directory has at a time; none while another has
    /// it. It ends with the value, or with the process. Without locks in the file system everybody gets it.
    ///
    /// # Errors
    /// [`RegistryError::Io`] when the registry cannot be written to.
    pub fn lease(&self) -> Result<Option<Lease>, RegistryError> {
        files::create_root(&self.root)?;
        Ok(files::try_lock(&self.root, LEASE)?.map(Lease))
    }

    /// Loads a version, the current one without a name. All of it is verified on the way.
    ///
    /// # Errors
    /// [`RegistryError`]: no models, no such version, damage, another schema, other features.
    pub fn load(&self, version: Option<&str>) -> Result<(Models, Manifest), RegistryError> {
        if let Some(version) = version {
            return version::read(&self.directory(version)?);
        }
        let mut version = self.require_current()?;
        loop {
            let result = self.directory(&version).and_then(|directory| version::read(&directory));
            match result {
                Ok(loaded) => return Ok(loaded),
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
    /// [`RegistryError::Io`] when the directory cannot be listed; one that is missing is empty.
    pub fn list(&self) -> Result<Vec<Entry>, RegistryError> {
        let current = self.current().unwrap_or(None);
        let entry = |version: String| Entry {
            current: current.as_ref() == Some(&version),
            manifest: version::verify(&self.root.join(&version)),
            version,
        };
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
        self.directory(version)?;
        let _lock = files::lock(&self.root)?;
        let (_, manifest) = self.load(Some(version))?;
        self.set_current(version)?;
        Ok(manifest)
    }

    /// Removes all versions but the current one and the `keep` with the latest cutoffs, and what
    /// saves that crashed left behind. Returns the names of the versions removed.
    ///
    /// # Errors
    /// [`RegistryError::Io`] when something cannot be removed, [`RegistryError::Damaged`] when it cannot be told
    /// which version is current.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, RegistryError> {
        self.prune_besides(keep, None)
    }

    /// [`Registry::prune`], with one more version that is kept whatever its cutoff.
    ///
    /// # Errors
    /// As [`Registry::prune`].
    pub fn prune_besides(&self, keep: usize, besides: Option<&str>) -> Result<Vec<String>, RegistryError> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        let lock = files::lock(&self.root)?;
        let current = self.current()?;
        let old = self.list()?.into_iter().skip(keep).map(|entry| entry.version);
        let kept = |version: &String| Some(version) == current.as_ref() || besides == Some(version.as_str());
        let old: Vec<String> = old.filter(|version| !kept(version)).collect();
        for version in &old {
            self.set_aside(version)?;
        }
        files::sync(&self.root)?;
        if lock.is_some() {
            files::clear_staging(&self.root)?;
        }
        Ok(old)
    }

    /// The name of the version in use, if one is. Cheap enough to ask every second.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`] when the file holds no version's name, [`RegistryError::Io`] when it cannot be read.
    pub fn current(&self) -> Result<Option<String>, RegistryError> {
        let path = self.root.join(CURRENT);
        let text = match files::read_small(&path) {
            Err(RegistryError::Damaged { damage: Damage::Missing, .. }) => return Ok(None),
            text => text?,
        };
        match text.strip_suffix('\n') {
            Some(version) if version::is_name(version) => Ok(Some(version.to_owned())),
            _ => Err(RegistryError::content(&path, "it holds no version's name")),
        }
    }

    fn require_current(&self) -> Result<String, RegistryError> {
        if let Some(version) = self.current()? {
            return Ok(version);
        }
        let root = self.root.display().to_string();
        match self.versions()?.pop() {
            Some(newest) => Err(RegistryError::NoneCurrent { root, newest }),
            None => Err(RegistryError::Empty { root }),
        }
    }

    fn set_current(&self, version: &str) -> Result<(), RegistryError> {
        files::replace(&self.root, CURRENT, format!("{version}\n").as_bytes())
    }

    /// Writes a version beside and renames it into its place; the manifest of what is there if it is the same.
    fn publish(&self, manifest: Manifest, packed: &[u8], report: Option<&str>) -> Result<Manifest, RegistryError> {
        let target = self.root.join(&manifest.version);
        let taken = target.exists();
        if taken && let Ok(found) = version::verify(&target) {
            return match found.content() == manifest.content() {
                true => Ok(found),
                false => Err(RegistryError::Unsound(format!("other models have the name {}", found.version))),
            };
        }
        let staging = files::staging(&self.root)?;
        version::write(staging.path(), &manifest, packed, report)?;
        if taken {
            // It is damaged: the same content made anew replaces it.
            self.set_aside(&manifest.version)?;
        }
        files::rename(staging.path(), &target)?;
        files::sync(&self.root)?;
        Ok(manifest)
    }

    /// Takes a version away at once, so that a crash on the way leaves no half of it, and removes it then.
    fn set_aside(&self, version: &str) -> Result<(), RegistryError> {
        let staging = files::staging(&self.root)?;
        files::rename(&self.root.join(version), &staging.path().join(version))?;
        staging.close().map_err(RegistryError::io(&self.root.join(version), "remove"))
    }

    /// The directory of a version that is there.
    fn directory(&self, version: &str) -> Result<PathBuf, RegistryError> {
        if !version::is_name(version) {
            return Err(RegistryError::Name { version: version.to_owned() });
        }
        let directory = self.root.join(version);
        if directory.is_dir() {
            return Ok(directory);
        }
        let root = self.root.display().to_string();
        let common = |name: &String| name.bytes().zip(version.bytes()).take_while(|(a, b)| a == b).count();
        match self.versions()?.into_iter().max_by_key(common) {
            Some(closest) => Err(RegistryError::Unknown { root, version: version.to_owned(), closest }),
            None => Err(RegistryError::Empty { root }),
        }
    }

    /// The names of all versions, ascending.
    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(RegistryError::io(&self.root, "list"))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(RegistryError::io(&self.root, "list"))?;
            if let Ok(name) = entry.file_name().into_string()
                && version::is_name(&name)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}
