//! Where the rows of a file go, one by one.

use std::borrow::Cow;

use super::error::ReadError;
use super::field::Problem;
use crate::calendar::Instant;

/// Takes the rows of one file, in their order.
pub(super) trait Sink {
    /// What ends the reading.
    type Error: From<ReadError>;

    /// The file's name, for errors.
    fn file(&self) -> &str;

    /// The number of a device's name.
    fn device(&mut self, cell: &[u8]) -> Result<usize, Problem>;

    /// Takes a valid row.
    fn accept(&mut self, time: Instant, device: usize, motion: bool) -> Result<(), Self::Error>;

    /// Takes note of a row that is no reading: the line on which it begins, what is wrong, and what stands there.
    fn refuse(&mut self, line: u64, problem: Problem, row: impl FnOnce() -> String) -> Result<(), Self::Error>;
}

/// The cells of a row as a JSON object of texts.
pub(super) fn as_object([time, device, activated]: [Cow<'_, str>; 3]) -> String {
    serde_json::json!({ "time": time, "device": device, "device_activated": activated }).to_string()
}
