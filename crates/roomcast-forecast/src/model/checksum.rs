//! SHA-256 in hexadecimal, and `SHA256SUMS` as `sha256sum --check` reads it.

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns a line of `SHA256SUMS`.
pub fn line(sha256: &str, file: &str) -> String {
    format!("{sha256}  {file}\n")
}
