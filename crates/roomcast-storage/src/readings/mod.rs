//! Storage of readings: SQLite in one file by default, PostgreSQL by configuration.
//!
//! A reading is a device, a second, and motion or an `off`. Repetitions count once: the same second of the same device,
//! or the same event id of the same device on the same day. One call of [`Store::ingest`] is one transaction: devices, readings, hourly
//! counts and quarantine change together or not at all. They are on disk when it returns.
//!
//! Closed days can be packed: one row per device and day instead of one per reading. Queries return the same answers
//! before and after.

mod batch;
mod collect;
mod day_codec;
mod error;
mod hash;
mod machine;
mod plan;
mod postgres;
mod quarantine;
mod rooms;
mod schema;
mod sqlite;
mod store;
mod varint;

pub use self::batch::{Batch, Cursor, Event, HourCount, Kind, Quarantined, Receipt, Refused, Verdict};
pub use self::error::StoreError;
pub use self::machine::Machine;
pub use self::quarantine::QuarantineSize;
pub use self::store::{Store, is_store, open, open_existing, open_on};
pub use crate::holder::holder;
pub use crate::url::redacted;
