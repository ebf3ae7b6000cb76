//! Meaning of database failures, for stores and registries.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// The meaning of a database's error, with its message.
pub enum Failure {
    /// The database cannot be reached, is busy or is shutting down.
    Unavailable(String),
    /// The disk or a quota is full.
    Full,
    /// The database is damaged, or is not one of Roomcast's.
    Damaged(String),
    /// The database does not support this, or does not allow it.
    Refused(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(database) => match Class::of(database.as_ref()) {
                Class::Later => Failure::Unavailable(error.to_string()),
                Class::Full => Failure::Full,
                Class::Damaged => Failure::Damaged(database.message().to_owned()),
                Class::Refused => Failure::Refused(database.message().to_owned()),
            },
            E::Configuration(_) | E::InvalidArgument(_) | E::Encode(_) => Failure::Refused(error.to_string()),
            E::RowNotFound | E::ColumnNotFound(_) | E::ColumnDecode { .. } | E::Decode(_) => {
                Failure::Damaged(error.to_string())
            }
            E::PoolTimedOut => Failure::Unavailable("no connection in time".to_owned()),
            // Broken connections show in many ways. The next query makes a new connection.
            _ => Failure::Unavailable(error.to_string()),
        }
    }
}

/// The reaction to a database's error code.
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
