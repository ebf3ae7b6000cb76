//! The state of the store at one moment, for several queries.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Executor, Sqlite, SqliteConnection};

use super::SqliteStore;

/// A connection that reads in a transaction. It is closed if the transaction does not end in order. SQLite has ended the
/// transaction itself after some failures. The rollback of a `sqlx::Transaction` then fails, and the connection would
/// keep its next transaction open, and read that moment's state, for ever.
pub(super) struct View(Option<PoolConnection<Sqlite>>);

impl SqliteStore {
    /// Begins a transaction that reads.
    pub(super) async fn view(&self) -> Result<View, sqlx::Error> {
        let mut view = View(Some(self.readers.acquire().await?));
        view.execute("BEGIN").await?;
        Ok(view)
    }
}

impl View {
    /// Ends the transaction and keeps the connection.
    pub async fn end(mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT").await?;
        self.0 = None;
        Ok(())
    }
}

impl Deref for View {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        // Only `end` takes the connection away, with the view.
        self.0.as_ref().expect("the view has not ended")
    }
}

impl DerefMut for View {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.0.as_mut().expect("the view has not ended")
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
