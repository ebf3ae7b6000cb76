//! Facts about a training that are not part of the models.

use std::time::Duration;

use crate::calendar::{Calendar, Timestamp};

/// Facts about models that only their trainer has.
#[derive(Debug, Clone)]
pub struct TrainingInfo<'a> {
    /// The calendar that the models were trained with.
    pub calendar: &'a Calendar,
    /// First reading that they learned from.
    pub first_reading: Timestamp,
    /// Last reading that the models learned from. It is before their cutoff.
    pub last_reading: Timestamp,
    /// Number of readings that they learned from.
    pub readings: usize,
    /// SHA-256 of these readings, as [`crate::readings::Readings::fingerprint`] returns it.
    pub fingerprint: String,
    /// SHA-256 of the table of rooms, as [`crate::rooms::Rooms::fingerprint`] returns it; `None` where each device is a room.
    pub rooms: Option<String>,
    /// Time that training took.
    pub training: Duration,
}
