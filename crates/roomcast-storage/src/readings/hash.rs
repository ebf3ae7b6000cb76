//! Keys of event ids and of refused rows.

use sha2::{Digest, Sha256};

/// Returns 64 bits of the SHA-256 of texts, each followed by a NUL.
pub(super) fn hash<const N: usize>(texts: [&str; N]) -> i64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hash.finalize()[..8]);
    i64::from_le_bytes(head)
}
