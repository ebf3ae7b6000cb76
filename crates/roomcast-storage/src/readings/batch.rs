//! Input and output types of a store.

use roomcast_forecast::calendar::{Hour, Timestamp};

/// One sensor event in valid form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The device's name, as [`roomcast_forecast::readings::DeviceReadings::device`].
    pub device: String,
    /// Timestamp of the event on the site's time line, in the years 1971 to 2200.
    pub time: Timestamp,
    /// The sensor's statement.
    pub kind: Kind,
    /// The sender's own id of this event, if any. A later event of the device with the same id on the same day is a
    /// repetition, whatever its second.
    pub id: Option<String>,
}

/// A sensor's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The sensor fired.
    Motion,
    /// The sensor said that nobody is there any more. A reading like motion: kept, and counted once.
    Off,
    /// The sensor reported nothing new. This is not a reading, but it advances the instant the sensor was last heard.
    Rest,
}

/// A received row that is not an event, kept in quarantine. The quarantine keeps the latest rows, at most 100,000 and
/// 64 MiB. It keeps 16 KiB of a payload and 1 KiB of a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The source: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// The row as text that a replay parses again, unless it was cut or was never a row.
    pub payload: String,
    /// The reason why it is invalid; for a row of a file, with the file and line.
    pub reason: String,
}

/// The content of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events in order of arrival; their times may be in any order.
    pub events: Vec<Event>,
    /// Invalid rows.
    pub refused: Vec<Refused>,
}

/// The outcome of storing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The event is a new motion.
    Stored,
    /// The motion, or the event's id, was already in the store or earlier in the batch.
    Duplicate,
    /// The event was a [`Kind::Off`], new or not, or a [`Kind::Rest`].
    NoMotion,
}

/// The outcome of storing a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// One verdict per event, in the batch's order.
    pub verdicts: Vec<Verdict>,
    /// Refused rows, of this batch or before, that were dropped because the quarantine is full.
    pub dropped: u64,
}

/// A position in the order of commits. The default is before the first reading. The number means something only to the
/// store that returned it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(pub i64);

/// A row of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The row's number. Numbers ascend in the order of first arrival.
    pub id: i64,
    /// UTC instant of the row's last arrival.
    pub received: Timestamp,
    /// Number of times the row arrived. The same payload refused for the same reason is one row.
    pub seen: i64,
    /// The source: `http`, `mqtt`, `nats` or `file`.
    pub source: String,
    /// The row as received.
    pub payload: String,
    /// The reason it was refused.
    pub reason: String,
}

/// A row of the quarantine as the databases return it.
pub(super) type QuarantinedRow = (i64, i64, i64, String, String, String);

impl From<QuarantinedRow> for Quarantined {
    fn from((id, received, seen, source, payload, reason): QuarantinedRow) -> Self {
        Self { id, received, seen, source, payload, reason }
    }
}

/// Number of motions of a device in an hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourCount {
    /// The device's name.
    pub device: String,
    /// The hour, as [`roomcast_forecast::calendar::Calendar::hour`].
    pub hour: Hour,
    /// Number of motions, at least 1.
    pub count: i64,
}
