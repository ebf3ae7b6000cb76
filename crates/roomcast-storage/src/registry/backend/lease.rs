//! A lease in an object store: an object that names its holder and its end.
//!
//! The object is written only if it is unchanged since it was read (`If-None-Match`, `If-Match`), so one of several
//! processes gets it. A thread of the holder renews it. After a holder has died, others wait for the end that is
//! written in the object. Clocks may differ by less than half a minute: a lease is renewed every 15 seconds, or once in
//! 30, and lasts for 60.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use object_store::path::Path;

use super::objects::{Mark, Objects};
use crate::holder::holder;
use crate::registry::RegistryError;
use roomcast_forecast::calendar::Calendar;

/// Seconds after the last renewal at which another process may take the lease.
const LEASE_SECONDS: i64 = 60;

/// Time between renewals.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);

/// Time between two attempts of a process that waits for the lease.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Most bytes of such an object.
const MAX_BYTES: u64 = 1024;

/// A lease that is renewed until it is dropped.
pub(super) struct Lease {
    stop: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease, and returns `None` while another process has it.
    ///
    /// # Errors
    /// Returns `RegistryError` when the object store does not answer or does not allow the request.
    pub fn acquire(objects: &Arc<Objects>, at: Path) -> Result<Option<Lease>, RegistryError> {
        let found = objects.get(&at, MAX_BYTES)?;
        let (mark, is_free) = match &found {
            None => (None, true),
            Some((text, mark)) => (Some(mark), until(text) <= Calendar::utc_now()),
        };
        if !is_free {
            return Ok(None);
        }
        let holder = holder();
        let Some(mark) = objects.put_if(&at, text(&holder, Calendar::utc_now() + LEASE_SECONDS), mark)? else {
            return Ok(None);
        };
        let (stop, stopped) = channel();
        let objects = objects.clone();
        let renewing = std::thread::spawn(move || renew(&objects, &at, &holder, mark, &stopped));
        Ok(Some(Lease { stop: Some(stop), renewing: Some(renewing) }))
    }

    /// Takes the lease, and waits while another process has it: that process may just have died.
    ///
    /// # Errors
    /// Returns the errors of [`Lease::acquire`], and `RegistryError` when other processes keep the lease for two
    /// minutes.
    pub fn wait_for(objects: &Arc<Objects>, at: &Path) -> Result<Lease, RegistryError> {
        let attempts = 2 * LEASE_SECONDS as u128 * 1000 / POLL_INTERVAL.as_millis();
        for _ in 0..attempts {
            if let Some(lease) = Lease::acquire(objects, at.clone())? {
                return Ok(lease);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Err(RegistryError::unavailable(&objects.name, "other processes keep writing"))
    }
}

/// Renews a lease until it is given back or lost.
fn renew(objects: &Objects, at: &Path, holder: &str, mut mark: Mark, stopped: &Receiver<()>) {
    loop {
        let is_over = !matches!(stopped.recv_timeout(RENEW_INTERVAL), Err(RecvTimeoutError::Timeout));
        let end = if is_over { 0 } else { Calendar::utc_now() + LEASE_SECONDS };
        match objects.put_if(at, text(holder, end), Some(&mark)) {
            Ok(Some(renewed)) => mark = renewed,
            // This process may have written the object, and the answer may have been lost.
            Ok(None) => match objects.get(at, MAX_BYTES) {
                Ok(Some((found, own))) if found.starts_with(format!("holder {holder}\n").as_bytes()) => {
                    mark = own;
                    if is_over {
                        let _ = objects.put_if(at, text(holder, end), Some(&mark));
                    }
                }
                Err(error) => tracing::warn!(%error, "the lease in the registry could not be renewed"),
                Ok(_) => {
                    tracing::warn!(object = %at, "another process has taken the lease, which was not renewed in time");
                    return;
                }
            },
            Err(error) => tracing::warn!(%error, "the lease in the registry could not be renewed"),
        }
        if is_over {
            return;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
    }
}

fn text(holder: &str, until: i64) -> Vec<u8> {
    format!("holder {holder}\nuntil {until}\n").into_bytes()
}

/// Returns the end of a lease, in seconds since 1970 UTC. Returns 0 for a text without an end.
fn until(text: &[u8]) -> i64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("until ")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_says_when_it_ends() {
        assert_eq!(until(&text("a", 1_470_000_000)), 1_470_000_000);
        assert_eq!((until(b""), until(b"until soon\n"), until(b"\xff")), (0, 0, 0));
    }
}
