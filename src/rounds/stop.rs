//! Being told to stop.

use tokio::sync::watch;

use super::RoundsError;

/// Knows whether a worker is to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Tells a worker to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// Nothing is to stop yet.
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Stop(receiver))
    }

    /// Whether it is to stop.
    pub(super) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// # Errors
    /// [`RoundsError::Stopped`] when it is to stop.
    pub(super) fn check(&self) -> Result<(), RoundsError> {
        if self.is_requested() { Err(RoundsError::Stopped) } else { Ok(()) }
    }

    /// Waits until it is to stop, for ever if nobody can say so any more.
    pub(super) async fn requested(&self) {
        if self.0.clone().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Stops the worker.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
