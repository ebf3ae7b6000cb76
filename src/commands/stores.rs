//! Stores for commands, which block until the answers come.

use std::sync::Arc;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::calendar::{Calendar, Instant};
use crate::readings::Collected;
use crate::store::{self, Pending, Store, StoreError};

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
    pub store: Arc<dyn Store>,
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
                store::open(&self.store, &calendar).await
            } else {
                store::open_existing(&self.store, &calendar).await
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
    pub fn wait<T>(&self, pending: Pending<'_, T>) -> Result<T, StoreError> {
        self.runtime.block_on(pending)
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// Returns the readings of a store before `until`, or all without it, in the form of readings from a file.
///
/// # Errors
/// Returns the errors of [`store::open_existing`].
pub(crate) fn load(url: &str, calendar: &Calendar, until: Option<Instant>) -> anyhow::Result<Collected> {
    let load = || {
        runtime()?.block_on(async {
            let store = store::open_existing(url, calendar).await?;
            let (readings, _) = store.load(until).await?;
            let is_known = |name: &String| readings.devices.binary_search_by(|d| d.device.cmp(name)).is_ok();
            let heard = store.heard().await?;
            // The store does not know what had been heard up to an instant of the past, and what came later must not
            // count.
            let now = calendar.now();
            let is_present = until.is_none_or(|until| until >= now);
            let latest = heard.iter().map(|&(_, time)| time).filter(|&time| is_present && time <= now).max();
            let quiet = heard.into_iter().map(|(name, _)| name).filter(|name| !is_known(name)).collect();
            let mut collected = Collected::of(&store::shown(url), readings, quiet);
            collected.summary.heard = latest;
            Ok(collected)
        })
    };
    // The load runs on a thread of its own, because the caller may be a task of another runtime.
    match std::thread::scope(|scope| scope.spawn(load).join()) {
        Ok(loaded) => loaded,
        Err(_) => bail!("{}: reading the store failed", store::shown(url)),
    }
}
