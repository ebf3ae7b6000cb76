//! Why a registry cannot do what it is asked. Most messages end in a line `hint: …`.

use std::io;
use std::path::Path;

use crate::store::StoreError;

/// Why models cannot be saved, found, read or made current.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The place is missing or holds no version.
    #[error("{root}: no models here\nhint: make some with `roomcast train --models {root}`")]
    Empty {
        /// The registry's name, without a password.
        root: String,
    },
    /// There are versions, but none is in use.
    #[error("{root}: no version is current\nhint: choose one with `roomcast models activate {newest} --models {root}`")]
    NoneCurrent {
        /// The registry's name, without a password.
        root: String,
        /// The version with the latest cutoff.
        newest: String,
    },
    /// No version of this name.
    #[error(
        "{root}: no version {version}\nhint: the closest is {closest}; `roomcast models list --models {root}` shows all"
    )]
    Unknown {
        /// The registry's name, without a password.
        root: String,
        /// What was asked for.
        version: String,
        /// The version that begins most like it.
        closest: String,
    },
    /// The text cannot be a version's name.
    #[error(
        "{version:?} is no version of models\n\
         hint: versions look like 20160810T235959Z-3f9a1c07; `roomcast models list` shows them"
    )]
    Name {
        /// What was asked for.
        version: String,
    },
    /// A file is not what was saved.
    #[error("{file}: {damage}\nhint: go back to another version with `roomcast models activate`, or train again")]
    Damaged {
        /// The file at fault.
        file: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The version was written by a Roomcast that stores models in another form.
    #[error(
        "{file}: schema {found}, written by Roomcast {roomcast}; this Roomcast ({}) reads schema {expected}\n\
         hint: use that Roomcast, or train again with this one",
        env!("CARGO_PKG_VERSION")
    )]
    Schema {
        /// The manifest.
        file: String,
        /// The schema it is in.
        found: u32,
        /// The schema that can be read here.
        expected: u32,
        /// The version of Roomcast that wrote it.
        roomcast: String,
    },
    /// The models look at other columns than this Roomcast makes.
    #[error(
        "{file}: the models of Roomcast {roomcast} look at other features than this Roomcast ({}) makes: {difference}\n\
         hint: use that Roomcast, or train again with this one",
        env!("CARGO_PKG_VERSION")
    )]
    Features {
        /// The manifest.
        file: String,
        /// The version of Roomcast that wrote it.
        roomcast: String,
        /// The first column that differs.
        difference: String,
    },
    /// The models say that they learned from what has not happened yet.
    #[error(
        "{version}: these models learned from readings up to {cutoff}, and it is {now} only\n\
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
    /// A registry that servers share cannot be reached, or is busy: the same may work later.
    #[error("{root}: not available: {message}")]
    Unavailable {
        /// The registry's name, without a password.
        root: String,
        /// What was met.
        message: String,
    },
    /// The database or object store does not allow it, or the location names none.
    #[error("{root}: {message}")]
    Refused {
        /// The registry's name, without a password.
        root: String,
        /// What was refused and why.
        message: String,
    },
    /// Models that must not be saved.
    #[error("these models cannot be saved: {0}")]
    Unsound(String),
    /// The operating system refused.
    #[error("{path}: cannot {action}")]
    Io {
        /// The file or directory.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It should be there.
    #[error("the file is missing")]
    Missing,
    /// It was cut, or is far longer than such a file can be.
    #[error("damaged: {found} bytes where {expected} are expected")]
    Length {
        /// Bytes it has.
        found: u64,
        /// Bytes it should have, or has at most.
        expected: u64,
    },
    /// Some byte is not what it was.
    #[error("damaged: the checksum does not match")]
    Checksum,
    /// Its content makes no sense.
    #[error("damaged: {0}")]
    Content(String),
}

impl RegistryError {
    /// Whether the same may work later without anybody changing what is asked.
    pub fn is_temporary(&self) -> bool {
        matches!(self, RegistryError::Unavailable { .. })
    }

    /// Whether it is because a file is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, RegistryError::Damaged { damage: Damage::Missing, .. })
    }

    /// What cannot be reached now.
    pub(super) fn unavailable(root: &str, message: impl ToString) -> Self {
        RegistryError::Unavailable { root: root.to_owned(), message: message.to_string() }
    }

    /// What is not allowed, or not there at all.
    pub(super) fn refused(root: &str, message: impl ToString) -> Self {
        RegistryError::Refused { root: root.to_owned(), message: message.to_string() }
    }

    /// What an error of the database means.
    pub(super) fn of_database(root: &str, error: sqlx::Error) -> Self {
        match StoreError::of(root, error) {
            StoreError::Unavailable { message, .. } => Self::unavailable(root, message),
            StoreError::Full { .. } => Self::unavailable(root, "there is no room left to write"),
            StoreError::Damaged { message, .. } | StoreError::Refused { message, .. } => Self::refused(root, message),
            other => Self::refused(root, other),
        }
    }

    /// A damaged file.
    pub(super) fn damaged(file: impl AsRef<Path>, damage: Damage) -> Self {
        RegistryError::Damaged { file: file.as_ref().display().to_string(), damage }
    }

    /// A file whose content makes no sense.
    pub(super) fn content(file: impl AsRef<Path>, what: impl ToString) -> Self {
        Self::damaged(file, Damage::Content(what.to_string()))
    }

    /// For `map_err`: an operation the operating system refused.
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| RegistryError::Io { path, action, source }
    }
}
