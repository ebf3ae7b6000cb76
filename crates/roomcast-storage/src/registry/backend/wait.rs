//! Runs async clients for callers that block.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::super::error::RegistryError;

/// Longest wait for a short answer.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the layers of all devices.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// The runtime of the clients. Background work of connections continues while no caller waits.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).thread_name("registry").enable_all().build());

/// Waits for an answer for at most this time. Async threads must not call it, because it blocks.
///
/// # Errors
/// Returns [`RegistryError::Unavailable`] when there is no answer in time.
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
