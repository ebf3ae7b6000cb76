//! The errors of a registry. Most messages end in a line `hint: …`.

use std::io;
use std::path::Path;

use crate::failure::Failure;

/// The reasons for which models cannot be saved, found, read or made current.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry is missing or holds no version.
    #[error("{root}: no models here\nhint: make some with `roomcast train --models {root}`")]
    Empty {
        /// The registry's name, without a password.
        root: String,
    },
    /// The registry holds versions, but none is current.
    #[error("{root}: no version is current\nhint: choose one with `roomcast models activate {newest} --models {root}`")]
    NoneCurrent {
        /// The registry's name, without a password.
        root: String,
        /// The version with the latest cutoff.
        newest: String,
    },
    /// The registry holds no version of this name.
    #[error(
        "{root}: no version {version}\nhint: the closest is {closest}; `roomcast models list --models {root}` shows all"
    )]
    Unknown {
        /// The registry's name, without a password.
        root: String,
        /// The requested name.
        version: String,
        /// The version with the longest common beginning.
        closest: String,
    },
    /// The text cannot be a version's name.
    #[error(
        "{version:?} is no version of models\n\
         hint: versions look like 20160810T235959Z-3f9a1c07; `roomcast models list` shows them"
    )]
    Name {
        /// The requested name.
        version: String,
    },
    /// A file differs from the one that was saved.
    #[error("{file}: {damage}\nhint: go back to another version with `roomcast models activate`, or train again")]
    Damaged {
        /// The file at fault.
        file: String,
        /// The damage.
        damage: Damage,
    },
    /// A Roomcast with another storage schema wrote the version.
    #[error(
        "{file}: schema {found}, written by Roomcast {roomcast}; this Roomcast ({}) reads schema {expected}\n\
         hint: use that Roomcast, or train again with this one",
        env!("CARGO_PKG_VERSION")
    )]
    Schema {
        /// The manifest.
        file: String,
        /// The schema of the version.
        found: u32,
        /// The schema that this Roomcast reads.
        expected: u32,
        /// The version of Roomcast that wrote the manifest.
        roomcast: String,
    },
    /// The models use other feature columns than this version of Roomcast.
    #[error(
        "{file}: the models of Roomcast {roomcast} use other features than this Roomcast ({}): {difference}\n\
         hint: use that Roomcast, or train again with this one",
        env!("CARGO_PKG_VERSION")
    )]
    Features {
        /// The manifest.
        file: String,
        /// The version of Roomcast that wrote the manifest.
        roomcast: String,
        /// The first column that differs.
        difference: String,
    },
    /// The cutoff of the models is in the future.
    #[error(
        "{version}: these models learned from readings up to {cutoff}, but it is only {now}\n\
         hint: check the clock of the machine that trained them, then go back with `roomcast models activate`, or train again"
    )]
    Future {
        /// The version.
        version: String,
        /// Its cutoff, local wall time.
        cutoff: String,
        /// The present, local wall time.
        now: String,
    },
    /// The models learned from other series than the rooms of today.
    #[error("{version}: {why}\nhint: train again with the table of rooms that is in use")]
    Rooms {
        /// The version.
        version: String,
        /// The difference, in words.
        why: String,
    },
    /// A shared registry cannot be reached or is busy. The same request may work later.
    #[error("{root}: not available: {message}")]
    Unavailable {
        /// The registry's name, without a password.
        root: String,
        /// The cause.
        message: String,
    },
    /// The database or object store does not allow the request, or the location names none.
    #[error("{root}: {message}")]
    Refused {
        /// The registry's name, without a password.
        root: String,
        /// The refused request and the reason.
        message: String,
    },
    /// The models must not be saved.
    #[error("these models cannot be saved: {0}")]
    Unsound(String),
    /// The operating system refused an operation.
    #[error("{path}: cannot {action}")]
    Io {
        /// The file or directory.
        path: String,
        /// The operation.
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The ways in which a file can be damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is missing.
    #[error("the file is missing")]
    Missing,
    /// The file was cut, or is longer than such a file can be.
    #[error("damaged: {found} bytes where {expected} are expected")]
    Length {
        /// Number of bytes of the file.
        found: u64,
        /// Number of bytes expected, or the most allowed.
        expected: u64,
    },
    /// The checksum does not match: at least one byte has changed.
    #[error("damaged: the checksum does not match")]
    Checksum,
    /// The content cannot be read.
    #[error("damaged: {0}")]
    Content(String),
}

impl RegistryError {
    /// Returns whether the same request may work later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, RegistryError::Unavailable { .. })
    }

    /// Returns whether the cause is a missing file.
    pub fn is_missing(&self) -> bool {
        matches!(self, RegistryError::Damaged { damage: Damage::Missing, .. })
    }

    /// Returns the error for a registry that cannot be reached now.
    pub(super) fn unavailable(root: &str, message: impl ToString) -> Self {
        RegistryError::Unavailable { root: root.to_owned(), message: message.to_string() }
    }

    /// Returns the error for a request that is not allowed, or a location that does not exist.
    pub(super) fn refused(root: &str, message: impl ToString) -> Self {
        RegistryError::Refused { root: root.to_owned(), message: message.to_string() }
    }

    /// Translates an error of the database.
    pub(super) fn of_database(root: &str, error: sqlx::Error) -> Self {
        match Failure::from(error) {
            Failure::Unavailable(message) => Self::unavailable(root, message),
            Failure::Full => Self::unavailable(root, "there is no room left to write"),
            Failure::Damaged(message) | Failure::Refused(message) => Self::refused(root, message),
        }
    }

    /// Returns the error for a damaged file.
    pub(super) fn damaged(file: impl AsRef<Path>, damage: Damage) -> Self {
        RegistryError::Damaged { file: file.as_ref().display().to_string(), damage }
    }

    /// Returns the error for a file whose content cannot be read.
    pub(super) fn content(file: impl AsRef<Path>, what: impl ToString) -> Self {
        Self::damaged(file, Damage::Content(what.to_string()))
    }

    /// Returns a closure for `map_err` that wraps an error of the operating system.
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| RegistryError::Io { path, action, source }
    }
}
