//! Leases: work done by one server of a store at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a lease in the store, and its times.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The name in the store.
    pub name: &'static str,
    /// Time without a renewal after which another server may take the lease.
    pub duration: Duration,
    /// Interval at which the lease is renewed.
    pub renew_interval: Duration,
}

/// The lease of retraining and upkeep.
pub const JOBS: Terms =
    Terms { name: "retrain", duration: Duration::from_secs(120), renew_interval: Duration::from_secs(30) };

/// The lease of publishing.
pub const PUBLISHING: Terms =
    Terms { name: "publish", duration: Duration::from_secs(45), renew_interval: Duration::from_secs(10) };

/// A lease that this server may take.
#[derive(Clone)]
pub struct Lease {
    /// Its name and times.
    pub terms: Terms,
    renew: Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>,
}

impl Lease {
    /// Returns a lease that `renew` takes or renews in the store.
    pub fn new(terms: Terms, renew: impl Fn() -> anyhow::Result<bool> + Send + Sync + 'static) -> Lease {
        Lease { terms, renew: Arc::new(renew) }
    }

    /// Takes or renews the lease; false when another server has it. Must be called off the async threads.
    ///
    /// # Errors
    /// Returns an error when the store cannot be asked.
    pub fn renew(&self) -> anyhow::Result<bool> {
        (self.renew)()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms.fmt(out)
    }
}
