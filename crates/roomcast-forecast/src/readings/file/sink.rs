//! Receivers of the rows of a file.

use std::borrow::Cow;

use super::error::ReadError;
use super::field::Problem;
use crate::calendar::Timestamp;

/// Takes the rows of one file, in their order.
pub(super) trait Sink {
    /// The error that ends the reading.
    type Error: From<ReadError>;

    /// Returns the file's name, for errors.
    fn file(&self) -> &str;

    /// Returns the number of a device's name.
    fn device(&mut self, cell: &[u8]) -> Result<usize, Problem>;

    /// Takes a valid row.
    fn accept(&mut self, time: Timestamp, device: usize, motion: bool) -> Result<(), Self::Error>;

    /// Takes a row that says that a room was vacant for a while. It is a sign of life, and nothing ends with it.
    fn quiet(&mut self, _time: Timestamp, _device: usize) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Returns the instant from which on rows are left out.
    fn until(&self) -> Option<Timestamp> {
        None
    }

    /// Takes a valid row that is left out, because what it says is not known before [`Sink::until`].
    fn leave_out(&mut self) {}

    /// Takes one line that says what the columns of the file were taken for, and perhaps one of what was left out.
    fn taken(&mut self, _remark: &str) {}

    /// Records an invalid row, with the line on which it begins, its problem and its text.
    fn refuse(&mut self, line: u64, problem: Problem, row: impl FnOnce() -> String) -> Result<(), Self::Error>;
}

/// Returns the cells of a row as a JSON object of texts.
pub(super) fn as_object([time, device, activated]: [Cow<'_, str>; 3]) -> String {
    serde_json::json!({ "time": time, "device": device, "device_activated": activated }).to_string()
}
