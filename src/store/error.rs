//! Why a store cannot do what it is asked. Messages name the store, without its password.

/// Why a store cannot do what it is asked; nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is busy or shutting down: the same may work later.
    #[error("{store}: not available: {message}")]
    Unavailable {
        /// The store as it was named, without a password.
        store: String,
        /// What the database said.
        message: String,
    },
    /// The disk, or a quota, is full: the same works once there is room.
    #[error(
        "{store}: no room left to write\nhint: make room on its disk, or drop old readings with roomcast store retain"
    )]
    Full {
        /// The store as it was named, without a password.
        store: String,
    },
    /// The database is damaged, or none of Roomcast's.
    #[error("{store}: is damaged or no store: {message}\nhint: restore a backup, or name another store")]
    Damaged {
        /// The store as it was named, without a password.
        store: String,
        /// What is wrong.
        message: String,
    },
    /// A newer version of Roomcast made it.
    #[error(
        "{store}: made by a newer roomcast (version {found} of the schema, known up to {known})\nhint: update roomcast"
    )]
    Newer {
        /// The store as it was named, without a password.
        store: String,
        /// The schema's version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// It was made for a site in another zone, so its instants mean other hours.
    #[error(
        "{store}: made for the time zone {recorded}, opened with {given}\nhint: give --timezone as the store was made with"
    )]
    Zone {
        /// The store as it was named, without a password.
        store: String,
        /// The zone's name, or `none`.
        recorded: String,
        /// The calendar's zone, or `none`.
        given: String,
    },
    /// The database does not do this, or does not allow it.
    #[error("{store}: {message}")]
    Refused {
        /// The store as it was named, without a password.
        store: String,
        /// What was refused and why.
        message: String,
    },
}

impl StoreError {
    /// Whether the same may work later without anybody changing what is asked: not available, or full.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. } | StoreError::Full { .. })
    }
}
