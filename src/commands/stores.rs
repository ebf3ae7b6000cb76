//! Stores for commands, which wait for their answers.

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
    /// As [`store::open_existing`].
    pub fn open(&self) -> anyhow::Result<Opened> {
        self.opened(false)
    }

    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// As [`store::open`].
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
    /// What the store answers.
    pub fn wait<T>(&self, pending: Pending<'_, T>) -> Result<T, StoreError> {
        self.runtime.block_on(pending)
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// All readings of a store before `until`, all without it, as those of a file would be read.
///
/// # Errors
/// As [`store::open_existing`].
pub(crate) fn load(url: &str, calendar: &Calendar, until: Option<Instant>) -> anyhow::Result<Collected> {
    let load = || {
        runtime()?.block_on(async {
            let store = store::open_existing(url, calendar).await?;
            let (readings, _) = store.load(until).await?;
            let is_known = |name: &String| readings.devices.binary_search_by(|d| d.device.cmp(name)).is_ok();
            let heard = store.heard().await?;
            // Of the past the store does not know what was heard until then, and what came later must not count.
            let now = calendar.now();
            let is_present = until.is_none_or(|until| until >= now);
            let latest = heard.iter().map(|&(_, time)| time).filter(|&time| is_present && time <= now).max();
            let quiet = heard.into_iter().map(|(name, _)| name).filter(|name| !is_known(name)).collect();
            let mut collected = Collected::of(&store::shown(url), readings, quiet);
            collected.summary.heard = latest;
            Ok(collected)
        })
    };
    // On a thread of its own, since whoever asks may be a task of another runtime.
    match std::thread::scope(|scope| scope.spawn(load).join()) {
        Ok(loaded) => loaded,
        Err(_) => bail!("{}: reading the store failed", store::shown(url)),
    }
}
