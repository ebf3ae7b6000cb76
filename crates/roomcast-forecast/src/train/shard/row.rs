//! A row of a run: the result of one device's fit.

use serde::Serialize;

use super::ShardError;
use crate::calendar::Timestamp;
use crate::model::codec;
use crate::model::rule::OutOfSample;

/// Number of rows scored, and the mean log losses of the prior, of the site's score and of the device's own.
pub type Scores = (i64, f64, f64, f64);

/// The result of one device's fit. [`super::assemble`] checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The device's name.
    pub device: String,
    /// The device's layer, encoded by [`codec::encode_device`].
    pub model: Vec<u8>,
    /// SHA-256 of `model`.
    pub sha256: String,
    /// SHA-256 of the site that the layer was fitted on top of.
    pub site_sha256: String,
    /// The scores in the model.
    pub scores: Option<Scores>,
    /// Packed [`OutOfSample`] of the forecasts of hours after those the layer was fitted on.
    pub judged: Vec<u8>,
    /// The reason why the device has no judged model of its own.
    pub reason: Option<String>,
    /// The cutoff of the data: models learned only from readings before this instant.
    pub cutoff: Timestamp,
    /// Number of hours with motion.
    pub hours: i64,
    /// Number of readings.
    pub readings: i64,
    /// The first reading.
    pub first_reading: Timestamp,
    /// The last reading.
    pub last_reading: Timestamp,
    /// SHA-256 of the readings ([`crate::readings::DeviceReadings::fingerprint`]) in hexadecimal.
    pub readings_sha256: String,
    /// Seconds that the fit took.
    pub fit_seconds: f64,
}

impl Row {
    /// Unpacks the histogram in [`Row::judged`].
    pub(super) fn out_of_sample(&self) -> Result<OutOfSample, String> {
        codec::decode_value(&self.judged)
    }
}

pub(super) fn pack(value: &impl Serialize) -> Result<Vec<u8>, ShardError> {
    codec::bytes(value).map_err(ShardError::Site)
}
