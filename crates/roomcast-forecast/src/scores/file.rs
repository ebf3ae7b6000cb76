//! Scores as the bytes of one file, so that they survive a restart.

use super::Scores;

/// The beginning of the file; the number is the version of its format.
const HEADER: &[u8] = b"roomcast scores 1\n";

/// The bytes are of another version or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version cannot read these scores")]
pub struct ScoresError;

impl Scores {
    /// Reads scores.
    ///
    /// # Errors
    /// [`ScoresError`] when the bytes are of another version or damaged.
    pub fn parse(bytes: &[u8]) -> Result<Scores, ScoresError> {
        let body = bytes.strip_prefix(HEADER).ok_or(ScoresError)?;
        postcard::from_bytes(body).map_err(|_| ScoresError)
    }

    /// Returns the bytes that [`Scores::parse`] reads.
    ///
    /// # Errors
    /// [`postcard::Error`] never in practice: writing to memory does not fail.
    pub fn bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, HEADER.to_vec())
    }
}
