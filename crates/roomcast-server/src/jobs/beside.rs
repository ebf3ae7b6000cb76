//! A file that the server keeps beside the models: read once, saved after each change.

use std::error::Error;

use roomcast_forecast::model::checksum::sha256;
use roomcast_storage::registry::Registry;

use crate::backoff::Outage;

/// Digits of the checksum in the name of a file that is kept aside.
const DIGITS: usize = 8;

/// The state of such a file: whether an earlier one was read, and whether reading or saving it fails.
pub struct Beside {
    file: &'static str,
    is_resumed: bool,
    outage: Outage,
}

impl Beside {
    /// Returns the state of a file of this name that was not read yet.
    pub fn new(file: &'static str) -> Beside {
        Beside { file, is_resumed: false, outage: Outage::default() }
    }

    /// Returns whether the file was read, or there was none.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Reads what an earlier process has saved. Returns `None` where there is nothing to go on with, and while the registry
    /// is unreachable: an empty start would replace what is there. A file that cannot be read is kept aside.
    pub fn resume<T, E: Error>(&mut self, registry: &Registry, parse: impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
        let file = self.file;
        let bytes = match registry.read_beside(file) {
            Err(error) if error.is_temporary() => {
                if self.outage.begin() {
                    tracing::warn!(%error, file, "cannot be read yet: nothing is recorded meanwhile");
                }
                return None;
            }
            Err(error) => {
                tracing::error!(%error, file, "cannot be read: it begins anew");
                None
            }
            Ok(bytes) => bytes,
        };
        (self.is_resumed, self.outage) = (true, Outage::default());
        let bytes = bytes?;
        match parse(&bytes) {
            Ok(found) => Some(found),
            Err(error) => {
                keep_aside(registry, file, &bytes, &error);
                None
            }
        }
    }

    /// Saves the file: `change` makes its bytes from what is there, which another process may have written.
    pub fn save<T, E: Error>(
        &mut self,
        registry: &Registry,
        parse: impl Fn(&[u8]) -> Result<T, E>,
        change: impl Fn(Option<T>) -> Vec<u8>,
    ) {
        let update = |found: Option<&[u8]>| {
            let found = found.and_then(|bytes| {
                let parsed = parse(bytes);
                parsed.inspect_err(|error| keep_aside(registry, self.file, bytes, error)).ok()
            });
            change(found)
        };
        match registry.update_beside(self.file, update) {
            Ok(()) => {
                self.outage.end();
            }
            Err(error) if self.outage.begin() => {
                tracing::warn!(%error, file = self.file, "cannot be saved: a restart will lose what is new");
            }
            Err(_) => {}
        }
    }
}

/// Copies a file that is damaged, or of another version, so that its place can be written.
fn keep_aside(registry: &Registry, file: &str, bytes: &[u8], reason: &dyn Error) {
    let sum = sha256(bytes);
    let aside = format!("{file}.unreadable-{}", sum.get(..DIGITS).unwrap_or_default());
    if registry.read_beside(&aside).is_ok_and(|kept| kept.is_some()) {
        return;
    }
    match registry.write_beside(&aside, bytes) {
        Ok(()) => tracing::error!(file, kept_as = aside, %reason, "cannot be read: it begins anew, the file is kept"),
        Err(error) => tracing::error!(file, %reason, %error, "cannot be read, and could not be kept: it begins anew"),
    }
}
