//! Scores as bytes, so that a restart forgets nothing: one file, written whole.

use super::Scores;

/// What the file begins with; the number is that of its form.
const HEAD: &[u8] = b"roomcast scores 1\n";

/// The bytes are of another version, or damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no scores that this version can read")]
pub struct ScoresError;

impl Scores {
    /// Reads scores.
    ///
    /// # Errors
    /// [`ScoresError`].
    pub fn parse(bytes: &[u8]) -> Result<Scores, ScoresError> {
        let body = bytes.strip_prefix(HEAD).ok_or(ScoresError)?;
        postcard::from_bytes(body).map_err(|_| ScoresError)
    }

    /// The bytes to be read again by [`Scores::parse`].
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    pub fn bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, HEAD.to_vec())
    }
}
