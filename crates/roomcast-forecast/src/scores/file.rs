//! Scores as the bytes of one file, so that they survive a restart.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DeviceScores, Scores};
use crate::calendar::Hour;
use crate::decisions::outcomes::Outcomes;
use crate::measures::calibration::Week;

/// The beginning of the file; the number is the version of its format.
const HEADER: &[u8] = b"roomcast scores 2\n";

/// The beginning of a file without outcomes.
const HEADER_1: &[u8] = b"roomcast scores 1\n";

/// The scores of a file without outcomes.
#[derive(Deserialize)]
struct Version1 {
    devices: BTreeMap<String, DeviceScores>,
    calibration: Week,
    kept: (Option<Hour>, Option<Hour>),
}

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
        if let Some(body) = bytes.strip_prefix(HEADER_1) {
            let Version1 { devices, calibration, kept } = postcard::from_bytes(body).map_err(|_| ScoresError)?;
            return Ok(Scores { devices, calibration, kept, outcomes: Outcomes::default() });
        }
        let body = bytes.strip_prefix(HEADER).ok_or(ScoresError)?;
        let scores: Scores = postcard::from_bytes(body).map_err(|_| ScoresError)?;
        if scores.outcomes.is_valid() { Ok(scores) } else { Err(ScoresError) }
    }

    /// Returns the bytes that [`Scores::parse`] reads.
    ///
    /// # Errors
    /// [`postcard::Error`] never in practice: writing to memory does not fail.
    pub fn bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, HEADER.to_vec())
    }
}
