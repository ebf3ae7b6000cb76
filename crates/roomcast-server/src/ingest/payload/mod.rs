//! Conversion of bodies and messages to events, or to the reason why they are rejected.
//!
//! [`rows`] reads data with its own time and device: bodies of `POST /readings` and JetStream messages. [`message`]
//! reads the messages that sensors and their gateways publish to an MQTT broker, where the [`topic`] names the device.
//! `words` and `shapes` are the tables of what makers send.

pub mod form;
pub mod message;
pub(crate) mod row;
pub mod rows;
mod shapes;
pub mod topic;
pub(crate) mod words;

/// Bytes kept of a refused payload.
pub const MAX_KEPT_BYTES: usize = 4096;

/// Returns a payload as the quarantine keeps it: text without NUL, of bounded length.
pub fn kept(payload: &[u8]) -> String {
    let cut = &payload[..payload.len().min(MAX_KEPT_BYTES)];
    // A character divided by the cut is left out rather than replaced.
    let whole = match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    };
    String::from_utf8_lossy(whole).replace('\0', "\u{fffd}")
}
