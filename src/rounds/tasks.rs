//! What goes on beside the async threads, and beside the work itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{RoundsError, Worker};
use crate::store::StoreError;
use crate::store::rounds::Rounds;

/// A lease is renewed as long as this is there.
pub(super) struct Renewing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Renewing {
    /// Ends it, and waits for what is under way: two statements on the same rows might wait for each other.
    pub(super) async fn end(self) {
        drop(self.stop);
        // It does not matter here how it ended.
        let _ = self.task.await;
    }
}

impl Worker {
    /// Something that takes long, off the async threads.
    ///
    /// # Errors
    /// [`RoundsError::Stopped`] when the worker is stopped first; what is done then leads to nothing.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RoundsError> {
        let working = tokio::task::spawn_blocking(work);
        tokio::select! {
            () = self.stop.requested() => Err(RoundsError::Stopped),
            done = working => done.map_err(|error| RoundsError::Broken(error.to_string())),
        }
    }

    /// Renews a lease, twice before it would end, until the value is dropped.
    pub(super) fn renewing<F>(&self, renew: impl Fn(Arc<Rounds>, i64) -> F + Send + 'static) -> Renewing
    where
        F: Future<Output = Result<bool, StoreError>> + Send + 'static,
    {
        let (rounds, seconds) = (self.rounds.clone(), self.options.lease);
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(Duration::from_secs(u64::from(seconds)) / 3) => {}
                }
                match renew(rounds.clone(), i64::from(seconds)).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::warn!("a lease ended and was taken over");
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
                }
            }
        });
        Renewing { stop, task }
    }
}
