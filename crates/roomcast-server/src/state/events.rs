//! Listeners of `GET /events`, and the events sent to them.

use std::sync::{Mutex, PoisonError};

use actix_web::web::Bytes;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::problem::{Code, Problem};

/// Maximum number of listeners at a time.
const MAX_LISTENERS: usize = 256;
/// Number of events a listener may be behind before it is disconnected. It then reconnects and requests everything.
const MAX_PENDING: usize = 16;
/// Maximum number of devices named in one event.
const MAX_NAMED: usize = 100;

/// The listeners.
#[derive(Debug, Default)]
pub struct Events {
    listeners: Mutex<Vec<Sender<Bytes>>>,
}

impl Events {
    /// Announces that readings of these devices were stored. Names no device after a reload of all readings.
    pub fn readings<'a>(&self, devices: impl ExactSizeIterator<Item = &'a str>) {
        let count = devices.len();
        let named: Vec<&str> = devices.take(MAX_NAMED).collect();
        self.send("readings", &json!({ "devices": named, "count": count }));
    }

    /// Announces that other models are in use.
    pub fn models(&self, version: &str) {
        self.send("models", &json!({ "version": version }));
    }

    /// Announces that the alerts have changed.
    pub fn alerts(&self) {
        self.send("alerts", &json!({}));
    }

    /// Ends all streams, which would delay a stopping server.
    pub fn close(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn send(&self, name: &str, data: &serde_json::Value) {
        let text = Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.try_send(text.clone()).is_ok());
    }

    /// Adds a listener, and returns both ends of its channel.
    ///
    /// # Errors
    /// Returns [`Code::NotReady`] when the number of listeners is at its limit.
    pub fn listen(&self) -> Result<(Sender<Bytes>, Receiver<Bytes>), Problem> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !listener.is_closed());
        if listeners.len() >= MAX_LISTENERS {
            return Err(Problem::new(Code::NotReady, format!("{MAX_LISTENERS} listeners are connected already"))
                .retry_after(60));
        }
        let (sender, receiver) = channel(MAX_PENDING);
        listeners.push(sender.clone());
        Ok((sender, receiver))
    }
}
