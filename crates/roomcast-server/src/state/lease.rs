//! Leases: work done by one server of a store at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Interval at which a lease is renewed.
pub const RENEW: Duration = Duration::from_secs(30);

/// Work that one server of a store does at a time: its name in the store, and the seconds without a renewal after which
/// another server may do it.
#[derive(Debug, Clone, Copy)]
pub struct Right(pub &'static str, pub i64);

/// Retraining and upkeep. Renewed every [`RENEW`].
pub const JOBS: Right = Right("retrain", 120);

/// Publishing. Renewed every [`crate::publish::ASK`].
pub const PUBLISHING: Right = Right("publish", 45);

/// Takes or renews such a lease; false when another server has it. Must be called off the async threads.
#[derive(Clone)]
pub struct Lease(pub Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>);

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lease")
    }
}
