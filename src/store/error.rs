//! Why a store cannot do what it is asked. Messages name the store, without its password.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

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
        "{store}: made by a newer roomcast: its schema has version {found}, known are up to {known}\nhint: update roomcast"
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

    /// What an error of the database means for whoever asked.
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
            // Broken connections show in many ways; a new one is made for the next question.
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

/// What a database's error code asks for.
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

    /// By extended result code: the low byte is the kind (<https://www.sqlite.org/rescode.html>).
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

    /// By SQLSTATE (PostgreSQL, appendix A).
    fn of_postgres(code: &str) -> Class {
        match code {
            "53100" => Class::Full,
            // Read-only: a standby that is not promoted yet.
            "55P03" | "25006" | "25P03" => Class::Later,
            // Relations, columns or values that Roomcast would not make.
            "42P01" | "42703" | "42804" => Class::Damaged,
            _ => match code.get(..2) {
                // Connection, rolled back (deadlock, serialisation), resources, operator's intervention, system.
                Some("08" | "40" | "53" | "57" | "58") => Class::Later,
                Some("XX" | "23") => Class::Damaged,
                _ => Class::Refused,
            },
        }
    }
}
