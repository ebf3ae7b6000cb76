//! Errors of a store. Messages name the store, without its password.

use crate::failure::Failure;

/// Reasons an operation on a store failed. The failed transaction changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, is busy or is shutting down. The same call may work later.
    #[error("{store}: not available: {message}")]
    Unavailable {
        /// The store as it was named, without a password.
        store: String,
        /// The database's message.
        message: String,
    },
    /// The disk or a quota is full. The same call works once there is room.
    #[error(
        "{store}: no room left to write\nhint: make room on its disk, or drop old readings with roomcast store retain"
    )]
    Full {
        /// The store as it was named, without a password.
        store: String,
    },
    /// The database is damaged, or is not one of Roomcast's.
    #[error("{store}: is damaged or not a store: {message}\nhint: restore a backup, or name another store")]
    Damaged {
        /// The store as it was named, without a password.
        store: String,
        /// The damage found.
        message: String,
    },
    /// The store was made by a newer version of Roomcast.
    #[error(
        "{store}: made by a newer roomcast: its schema has version {found}, known are up to {known}\nhint: update roomcast"
    )]
    Newer {
        /// The store as it was named, without a password.
        store: String,
        /// The schema's version.
        found: i64,
        /// The latest version known to this program.
        known: i64,
    },
    /// The store was made for a site in another zone, so its instants mean other hours.
    #[error(
        "{store}: made for the time zone {recorded}, opened with {given}\nhint: give --timezone as when the store was made; one that has readings keeps its time zone, so import them into a new store for another"
    )]
    Zone {
        /// The store as it was named, without a password.
        store: String,
        /// The zone's name, or `none`.
        recorded: String,
        /// The calendar's zone, or `none`.
        given: String,
    },
    /// The database does not support this, or does not allow it.
    #[error("{store}: {message}")]
    Refused {
        /// The store as it was named, without a password.
        store: String,
        /// The refused operation and the reason.
        message: String,
    },
}

impl StoreError {
    /// Returns whether the same call may work later without changes: the store is not available, or full.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. } | StoreError::Full { .. })
    }

    /// Converts an error of the database.
    pub(super) fn of(store: &str, error: sqlx::Error) -> Self {
        match Failure::from(error) {
            Failure::Unavailable(message) => Self::unavailable(store, message),
            Failure::Full => StoreError::Full { store: store.to_owned() },
            Failure::Damaged(message) => Self::damaged(store, message),
            Failure::Refused(message) => Self::refused(store, message),
        }
    }

    pub(super) fn unavailable(store: &str, message: impl Into<String>) -> Self {
        StoreError::Unavailable { store: store.to_owned(), message: message.into() }
    }

    pub(super) fn damaged(store: &str, message: impl Into<String>) -> Self {
        StoreError::Damaged { store: store.to_owned(), message: message.into() }
    }

    pub(super) fn refused(store: &str, message: impl Into<String>) -> Self {
        StoreError::Refused { store: store.to_owned(), message: message.into() }
    }
}
