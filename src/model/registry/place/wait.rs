//! Clients that are async, for callers who wait.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::super::error::RegistryError;

/// Longest wait for an answer that is no longer than a page.
pub const BRIEF: Duration = Duration::from_secs(10);

/// Longest wait for the layers of all devices.
pub const LONG: Duration = Duration::from_secs(600);

/// A runtime of their own: what connections do in the background goes on while nobody waits.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).thread_name("registry").enable_all().build());

/// Waits for an answer, at most so long. Not for async threads, which must not wait.
///
/// # Errors
/// [`RegistryError::Unavailable`] when there is none in time.
pub fn wait<T>(
    root: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let runtime = RUNTIME.as_ref().map_err(|error| RegistryError::unavailable(root, error))?;
    let answer = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    answer.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        Err(RegistryError::unavailable(root, format!("no answer within {seconds} seconds")))
    })
}
