//! Shards: training spread over many machines by a system that moves tables between processes, such as Apache
//! Spark.
//!
//! Each step is one process that reads an Arrow IPC stream and writes one ([`arrow`]). The steps share a small file
//! ([`site`]) that goes to every machine. Two of the steps see all devices, but little of each:
//!
//! | step | sees | gives |
//! |---|---|---|
//! | building | the hours with motion of all devices; of those that say `off` all readings | the site: its grid, its totals by hour |
//! | sample | all readings of some devices | the rows of them that the site's layers are fitted on |
//! | site | these rows of all devices | the site with its layers |
//! | devices | all readings of some devices | their models, scores and reasons |
//!
//! They call what [`crate::model::fit::train`] calls, on equal values in equal order. The models are therefore equal to
//! the last bit to those of one machine that sees everything. [`steps`] connects functions on values ([`device`],
//! [`row`]) to streams. [`run`] reads the files of a run, and [`assemble`] verifies them.

pub mod arrow;
pub mod assemble;
pub mod device;
mod messages;
pub mod row;
pub mod run;
pub mod site;
pub mod steps;

use crate::model::fit::TrainError;

/// Reason why a step failed. Its output then lacks the end of the stream and may not be used.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The input does not begin as an Arrow IPC stream.
    #[error("standard input is no Arrow IPC stream: {0}")]
    NoStream(String),
    /// The columns of the input are not those the step reads.
    #[error("expected the columns {expected}, found {found}")]
    Columns {
        /// Names and types in order.
        expected: String,
        /// Names and types of the input's columns.
        found: String,
    },
    /// The input breaks off, or its bytes are invalid.
    #[error("the stream is damaged or cut off after row {after}: {what}")]
    Damaged {
        /// Number of rows that were read before.
        after: u64,
        /// The reason.
        what: String,
    },
    /// The input ends without the row that ends a table.
    #[error("the stream was cut off: it ends after {after} rows without an end row")]
    CutOff {
        /// Number of rows that were read.
        after: u64,
    },
    /// The last row announced another number of rows.
    #[error("{found} rows arrived, {announced} were announced")]
    Count {
        /// Number of rows that were read.
        found: u64,
        /// Number of rows that the last row announced.
        announced: i64,
    },
    /// A row is invalid.
    #[error("row {row}: {what}")]
    Row {
        /// The row's number, from 1.
        row: u64,
        /// The reason.
        what: String,
    },
    /// The file of the site is damaged or does not fit.
    #[error("the site cannot be used: {0}")]
    Site(String),
    /// DeviceFitter failed.
    #[error("cannot train")]
    Train(#[from] TrainError),
    /// The output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Write(String),
}
