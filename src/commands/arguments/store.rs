//! The store of a command. Its operations block until they are done.

use anyhow::Context;
use chrono_tz::Tz;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::values;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, Store, StoreError};

/// The store and the time zone of its site.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Store: a path that ends in .db or .sqlite, sqlite:PATH, or postgres://…
    #[arg(long, value_name = "URL", env = "ROOMCAST_STORE", hide_env_values = true)]
    store: String,
    /// IANA time zone of the site, such as Europe/Berlin, the same as when the store was created; without it, times are
    /// read and written as they stand
    #[arg(long, value_name = "ZONE", value_parser = values::timezone, env = "ROOMCAST_TIMEZONE")]
    timezone: Option<Tz>,
}

/// An open store.
pub struct OpenStore {
    runtime: Runtime,
    /// The store.
    pub store: Store,
    /// The site's calendar.
    pub calendar: Calendar,
}

impl StoreArgs {
    /// Opens the store, which must exist.
    ///
    /// # Errors
    /// Returns the errors of [`readings::open_existing`].
    pub fn open(&self) -> anyhow::Result<OpenStore> {
        self.open_or(false)
    }

    /// Opens the store, and creates it if there is none.
    ///
    /// # Errors
    /// Returns the errors of [`readings::open`].
    pub fn create(&self) -> anyhow::Result<OpenStore> {
        self.open_or(true)
    }

    fn open_or(&self, create: bool) -> anyhow::Result<OpenStore> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let calendar = Calendar::new(self.timezone);
        let store = runtime.block_on(async {
            if create {
                readings::open(&self.store, &calendar).await
            } else {
                readings::open_existing(&self.store, &calendar).await
            }
        })?;
        // A store that has a zone refuses to be opened without it, which is no matter for a warning.
        if create {
            warn_without_zone(&calendar);
        }
        Ok(OpenStore { runtime, store, calendar })
    }
}

/// Warns that a store is filled without a time zone, which it cannot be given later.
pub fn warn_without_zone(calendar: &Calendar) {
    if calendar.zone().is_none() {
        tracing::warn!(
            "the store has no time zone: times with a UTC offset are refused, and the hour that clocks repeat in autumn \
             is one; give --timezone, such as Europe/Berlin, when a store is made"
        );
    }
}

impl OpenStore {
    /// Waits for an answer of the store.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub fn wait<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.runtime.block_on(answer)
    }
}
