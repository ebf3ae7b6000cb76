//! Limits on histories sent in requests: how many are forecast, wait, and are in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::{Code, Problem};

/// Number of histories worked on at a time: while one is forecast with all processors, the next can be parsed.
const MAX_ACTIVE: usize = 2;

/// Maximum number of histories that arrive, wait or are forecast: of one caller, and of all.
const MAX_PER_CALLER: usize = 16;
const MAX_ALL: usize = 64;

/// Maximum number of bytes of all their bodies.
const MAX_BYTES: usize = 64 << 20;

/// Longest time a history waits to be worked on.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Seconds after which to try again.
const RETRY_AFTER: u64 = 2;

/// All present histories.
#[derive(Debug, Clone)]
pub struct Uploads {
    active: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Number of histories of each caller.
    callers: Arc<Mutex<HashMap<[u8; 32], usize>>>,
    /// Held by the history that is being forecast.
    pub forecasting: Arc<Mutex<()>>,
}

impl Default for Uploads {
    fn default() -> Self {
        Uploads {
            active: Arc::new(Semaphore::new(MAX_ACTIVE)),
            bytes: Arc::new(Semaphore::new(MAX_BYTES)),
            callers: Arc::default(),
            forecasting: Arc::default(),
        }
    }
}

/// A history on its way; released when dropped.
#[derive(Debug)]
pub struct Upload {
    uploads: Uploads,
    bytes: OwnedSemaphorePermit,
    caller: [u8; 32],
}

impl Uploads {
    /// Counts a history of a caller.
    ///
    /// # Errors
    /// Returns [`Code::RateLimited`] when the caller, or all together, have as many as they may.
    pub(crate) fn admit(&self, caller: [u8; 32]) -> Result<Upload, Problem> {
        let bytes = reserve(&self.bytes, 0)?;
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.values().sum::<usize>() >= MAX_ALL {
            return Err(busy("too many histories wait for their forecasts".into()));
        }
        let count = callers.entry(caller).or_default();
        if *count >= MAX_PER_CALLER {
            return Err(busy(format!("{MAX_PER_CALLER} histories of this caller wait for their forecasts")));
        }
        *count += 1;
        Ok(Upload { uploads: self.clone(), bytes, caller })
    }
}

impl Upload {
    /// Reserves memory for `bytes` more bytes of the body.
    ///
    /// # Errors
    /// Returns [`Code::RateLimited`] when all bodies together have reached their limit.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Problem> {
        self.bytes.merge(reserve(&self.uploads.bytes, bytes)?);
        Ok(())
    }

    /// Waits until it can be worked on, in order of arrival.
    ///
    /// # Errors
    /// Returns [`Code::RateLimited`] when it waited too long.
    pub async fn start(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match timeout(MAX_WAIT, self.uploads.active.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(busy(format!("the history waited {} s for its forecast", MAX_WAIT.as_secs()))),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut callers = self.uploads.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

fn reserve(bytes: &Arc<Semaphore>, count: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    bytes.clone().try_acquire_many_owned(count).map_err(|_| busy("too many histories are being sent".into()))
}

fn busy(why: String) -> Problem {
    Problem::new(Code::RateLimited, why).hint("send fewer histories at a time").retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_does_not_take_the_place_of_others() {
        let uploads = Uploads::default();
        let mut held: Vec<Upload> = (0..MAX_PER_CALLER).map(|_| uploads.admit([1; 32]).unwrap()).collect();
        let refused = uploads.admit([1; 32]).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(RETRY_AFTER)));
        held.push(uploads.admit([2; 32]).unwrap());
        held.extend((0..MAX_ALL).map_while(|n| uploads.admit([3 + n as u8; 32]).ok()));
        assert_eq!(held.len(), MAX_ALL);
        held.clear();
        assert!(uploads.callers.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_is_taken_as_bytes_come_and_given_back() {
        let uploads = Uploads::default();
        let (mut one, mut two) = (uploads.admit([1; 32]).unwrap(), uploads.admit([2; 32]).unwrap());
        (0..7).for_each(|_| one.reserve(MAX_BYTES / 8).unwrap());
        assert!(two.reserve(MAX_BYTES / 8).is_ok() && two.reserve(1).is_err());
        drop(one);
        assert!(two.reserve(MAX_BYTES / 8).is_ok());
    }
}
