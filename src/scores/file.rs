//! Scores on disk, so that a restart forgets nothing: one file, written whole.

use std::io::ErrorKind;
use std::path::Path;

use super::Scores;

/// What the file begins with; the number is that of its form.
const HEAD: &[u8] = b"roomcast scores 1\n";

/// Why scores could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScoresError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is of another version, or damaged.
    #[error("these are no scores that this version can read")]
    Form,
}

impl Scores {
    /// Reads scores; none where there is no file.
    ///
    /// # Errors
    /// [`ScoresError`].
    pub fn read(path: &Path) -> Result<Scores, ScoresError> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Scores::default()),
            bytes => bytes?,
        };
        let body = bytes.strip_prefix(HEAD).ok_or(ScoresError::Form)?;
        postcard::from_bytes(body).map_err(|_| ScoresError::Form)
    }

    /// The bytes to be read again by [`Scores::read`].
    ///
    /// # Errors
    /// None in practice: writing to memory does not fail.
    pub fn bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, HEAD.to_vec())
    }
}
