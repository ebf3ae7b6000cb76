//! What is known of a device once it was fitted: a row of a run, in whatever it is moved.

use serde::Serialize;

use super::BatchError;
use crate::calendar::Instant;
use crate::model::registry;
use crate::model::rule::OutOfSample;

/// Rows scored, and the mean log losses of the prior, of the site's score and of the device's own.
pub type Scores = (i64, f64, f64, f64);

/// A device's model, and what is known of it. Checked by [`super::assemble`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device's name.
    pub device: String,
    /// Its layer, as [`registry::encode_device`] gives it.
    pub model: Vec<u8>,
    /// SHA-256 of these bytes.
    pub sha256: String,
    /// SHA-256 of the site that it was fitted on top of.
    pub site_sha256: String,
    /// As in the model.
    pub scores: Option<Scores>,
    /// Its forecasts of hours after those it was fitted on: [`OutOfSample`], packed.
    pub judged: Vec<u8>,
    /// Why it has no model of its own that was judged.
    pub reason: Option<String>,
    /// Nothing at or after this instant was learned from.
    pub cutoff: Instant,
    /// Number of hours with motion.
    pub hours: i64,
    /// Number of readings.
    pub readings: i64,
    /// The first of them.
    pub first_reading: Instant,
    /// The last of them.
    pub last_reading: Instant,
    /// Their SHA-256, as [`crate::readings::DeviceReadings::fingerprint`] gives it, in hexadecimal.
    pub readings_sha256: String,
    /// Time that the fit took.
    pub fit_seconds: f64,
}

impl Row {
    /// The histogram that was packed into [`Row::judged`].
    pub(super) fn out_of_sample(&self) -> Result<OutOfSample, String> {
        registry::whole(&self.judged)
    }
}

pub(super) fn pack(value: &impl Serialize) -> Result<Vec<u8>, BatchError> {
    registry::bytes(value).map_err(BatchError::Site)
}
