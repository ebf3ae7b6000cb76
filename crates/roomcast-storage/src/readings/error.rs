//! Errors of a store. Messages name the store, without its password.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// Reasons an operation on a store failed. Nothing was changed by the transaction that failed.
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
    #[error("{store}: is damaged or no store: {message}\nhint: restore a backup, or name another store")]
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
        "{store}: made for the time zone {recorded}, opened with {given}\nhint: give --timezone as when the store was made"
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
    pub(crate) fn of(store: &str, error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(database) => match Class::of(database.as_ref()) {
                Class::Later => Self::unavailable(store, error.to_string()),
                Class::Full => StoreError::Full { store: store.to_owned() },
                Class::Damaged => Self::damaged(store, database.message()),
                Class::Refused => Self::refused(store, database.message()),
            },
            E::Configuration(_) | E::InvalidArgument(_) | E::Encode(_) => Self::refused(store, error.to_string()),
            E::RowNotFound | E::ColumnNotFound(_) | E::ColumnDecode { .. } | E::Decode(_) => {
                Self::damaged(store, error.to_string())
            }
            E::PoolTimedOut => Self::unavailable(store, "no connection in time"),
            // Broken connections show in many ways. The next query makes a new connection.
            _ => Self::unavailable(store, error.to_string()),
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

/// The reaction that a database's error code asks for.
enum Class {
    Later,
    Full,
    Damaged,
    Refused,
}

impl Class {
    fn of(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Class {
        let code = error.code().unwrap_or_default();
        if error.try_downcast_ref::<SqliteError>().is_some() {
            Class::of_sqlite(code.parse().unwrap_or_default())
        } else if error.try_downcast_ref::<PgDatabaseError>().is_some() {
            Class::of_postgres(&code)
        } else {
            Class::Refused
        }
    }

    /// Classifies an extended result code. Its low byte is the kind (<https://www.sqlite.org/rescode.html>).
    fn of_sqlite(code: i32) -> Class {
        const NO_ROOM_FOR_SHARED_MEMORY: i32 = 4874;
        match (code, code & 0xff) {
            (NO_ROOM_FOR_SHARED_MEMORY, _) | (_, 13) => Class::Full,
            // Busy, locked, out of memory, interrupted, input or output failed.
            (_, 5 | 6 | 7 | 9 | 10) => Class::Later,
            // Not permitted, read-only, cannot be opened, not authorised.
            (_, 3 | 8 | 14 | 23) => Class::Refused,
            _ => Class::Damaged,
        }
    }

    /// Classifies an SQLSTATE (PostgreSQL, appendix A).
    fn of_postgres(code: &str) -> Class {
        match code {
            "53100" => Class::Full,
            // Read-only: a standby that is not promoted yet. A database that takes no connections at the moment.
            "55P03" | "25006" | "25P03" | "55000" => Class::Later,
            // Relations, columns or values that Roomcast would not make.
            "42P01" | "42703" | "42804" => Class::Damaged,
            _ => match code.get(..2) {
                // Connection, rollback (deadlock, serialisation), resources, operator intervention, system.
                Some("08" | "40" | "53" | "57" | "58") => Class::Later,
                Some("XX" | "23") => Class::Damaged,
                _ => Class::Refused,
            },
        }
    }
}
