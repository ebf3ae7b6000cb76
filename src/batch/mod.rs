//! The batch layer: training spread over many machines by whatever moves tables between processes, such as Apache Spark.
//!
//! Each step is one process that reads an Arrow IPC stream and writes one ([`stream`]); what they share is a small file
//! ([`site`]) that goes to every machine. Two of the steps see all devices, but little of each:
//!
//! | step | sees | gives |
//! |---|---|---|
//! | building | the hours with motion of all devices | the site: its grid, its totals by hour |
//! | sample | all readings of some devices | the rows of them that the site's layers are fitted on |
//! | site | these rows of all devices | the site with its layers |
//! | devices | all readings of some devices | their models, scores and reasons |
//!
//! They call what [`crate::model::fit::train`] calls, on equal values in equal order, so the models are equal to the last
//! bit to those of one machine that sees everything. The steps themselves are functions on values ([`part`], [`row`]).
//! [`run`] reads what a run has written, [`assemble`] verifies it, [`takeover`] puts it in the place of the models in use.

pub mod assemble;
mod messages;
pub mod part;
pub mod row;
pub mod run;
pub mod site;
pub mod steps;
pub mod stream;
pub mod takeover;

use crate::model::fit::TrainError;

/// Why a step fails. Nothing that it has written may be used then: its output has no end.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The input does not begin as an Arrow IPC stream.
    #[error("standard input is no Arrow IPC stream: {0}")]
    NoStream(String),
    /// The input has other columns than the step reads.
    #[error("expected the columns {expected}, found {found}")]
    Columns {
        /// Names and types in order.
        expected: String,
        /// Those of the input.
        found: String,
    },
    /// The input breaks off, or its bytes make no sense.
    #[error("the stream is damaged or cut off after row {after}: {what}")]
    Damaged {
        /// Rows that were read before.
        after: u64,
        /// What was found.
        what: String,
    },
    /// The input ends without its last row.
    #[error("the stream ends after {after} rows, and none says that these are all: it was cut off")]
    CutOff {
        /// Rows that were read.
        after: u64,
    },
    /// The last row announced another number of rows.
    #[error("{found} rows came where {announced} were announced")]
    Count {
        /// Rows that were read.
        found: u64,
        /// Rows that the last row says there are.
        announced: i64,
    },
    /// A row cannot be what it is said to be.
    #[error("row {row}: {what}")]
    Row {
        /// Its number, from 1.
        row: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file of the site is damaged or does not fit.
    #[error("the site cannot be used: {0}")]
    Site(String),
    /// Fitting failed.
    #[error("cannot train")]
    Train(#[from] TrainError),
    /// The output does not take what is written.
    #[error("cannot write to standard output: {0}")]
    Write(String),
}
