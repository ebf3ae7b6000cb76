//! What one of several servers of a store does at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often a lease is renewed.
pub const RENEW: Duration = Duration::from_secs(30);

/// Something that one of several servers does, by its name in the store, and the seconds after which another may do it when
/// nothing is heard of that one.
#[derive(Debug, Clone, Copy)]
pub struct Right(pub &'static str, pub i64);

/// Retraining and upkeep. Asked for every [`RENEW`].
pub const JOBS: Right = Right("retrain", 120);

/// Publishing. Asked for every [`crate::publish::ASK`].
pub const PUBLISHING: Right = Right("publish", 45);

/// Takes or renews such a right; false when another server has it. Called off the async threads.
#[derive(Clone)]
pub struct Lease(pub Arc<dyn Fn() -> anyhow::Result<bool> + Send + Sync>);

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lease")
    }
}
