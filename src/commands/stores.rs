//! Stores for commands, which block until the answers come.

use anyhow::Context;
use chrono_tz::Tz;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, Store, StoreError};

/// Which store, and its site's zone.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// The store: sqlite:PATH, a path that ends in .db or .sqlite, or postgres://…
    #[arg(long, value_name = "URL", env = "ROOMCAST_STORE", hide_env_values = true)]
    pub store: String,
    /// The site's IANA time zone, such as Europe/Berlin, the same as when the store was made; without it times are taken
    /// and given as they stand
    #[arg(long, value_name = "ZONE", env = "ROOMCAST_TIMEZONE")]
    pub timezone: Option<Tz>,
}

/// An open store.
pub struct Opened {
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
    /// Returns the errors of [`store::open_existing`].
    pub fn open(&self) -> anyhow::Result<Opened> {
        self.opened(false)
    }

    /// Opens the store, and creates it if there is none.
    ///
    /// # Errors
    /// Returns the errors of [`store::open`].
    pub fn create(&self) -> anyhow::Result<Opened> {
        self.opened(true)
    }

    fn opened(&self, create: bool) -> anyhow::Result<Opened> {
        let (runtime, calendar) = (runtime()?, Calendar::new(self.timezone));
        let store = runtime.block_on(async {
            if create {
                readings::open(&self.store, &calendar).await
            } else {
                readings::open_existing(&self.store, &calendar).await
            }
        })?;
        Ok(Opened { runtime, store, calendar })
    }
}

impl Opened {
    /// Waits for an answer of the store.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub fn wait<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.runtime.block_on(answer)
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}
