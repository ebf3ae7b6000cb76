//! Arrow IPC streams, read and written in batches, whose reader knows whether they are complete.
//!
//! Arrow takes a stream that stops between two batches for a complete one. Every input therefore ends with a row that
//! is not part of the table: it has no device, and its second column holds the number of rows before it.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::*;
use polars_arrow::io::ipc::read::{StreamReader, StreamState, read_stream_metadata};
use polars_arrow::io::ipc::write::{StreamWriter, WriteOptions};

use super::ShardError;
use super::messages::Messages;

/// Names and types of the columns of a table.
pub type Columns = [(&'static str, DataType)];

/// An input with the expected columns, the first of them `device`, the second an integer.
pub struct Input<R: Read> {
    batches: StreamReader<Messages<R>>,
    rows: u64,
    whole: bool,
}

impl<R: Read> Input<R> {
    /// Opens an input and reads the names of the columns.
    ///
    /// # Errors
    /// [`ShardError::NoStream`] for another format, [`ShardError::Columns`] for other columns.
    pub fn open(inner: R, columns: &Columns) -> Result<Input<R>, ShardError> {
        let mut messages = Messages::new(inner);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let metadata = read_stream_metadata(&mut messages)?;
            let found = Schema::from_arrow_schema(&metadata.schema);
            Ok::<_, PolarsError>((metadata, found))
        }));
        let (metadata, found) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(ShardError::NoStream(error.to_string())),
            Err(_) => return Err(ShardError::NoStream("its schema is invalid".into())),
        };
        let expected = Schema::from_iter(columns.iter().map(|(name, kind)| Field::new((*name).into(), kind.clone())));
        if found != expected {
            return Err(ShardError::Columns { expected: list(&expected), found: list(&found) });
        }
        Ok(Input { batches: StreamReader::new(messages, metadata, None), rows: 0, whole: false })
    }

    /// Returns the next rows and the number of rows before them; `None` at the end of the complete table.
    ///
    /// # Errors
    /// [`ShardError::Damaged`], [`ShardError::CutOff`] or [`ShardError::Count`] when the stream is damaged or cut off.
    pub fn next_rows(&mut self) -> Result<Option<(DataFrame, u64)>, ShardError> {
        let before = self.rows;
        let damaged = |what: String| ShardError::Damaged { after: before, what };
        // Polars panics on some damaged bytes; nothing is read after that.
        let batch = match catch_unwind(AssertUnwindSafe(|| self.batches.next())) {
            Ok(Some(Ok(StreamState::Some(batch)))) => batch,
            Ok(None | Some(Ok(StreamState::Waiting))) if self.whole => return Ok(None),
            Ok(None | Some(Ok(StreamState::Waiting))) => return Err(ShardError::CutOff { after: before }),
            Ok(Some(Err(error))) => return Err(damaged(error.to_string())),
            Err(_) => return Err(damaged("its bytes are invalid".into())),
        };
        if self.whole {
            return Err(damaged("rows follow the row that ends the table".into()));
        }
        let mut frame = DataFrame::from(batch);
        let polars = |error: PolarsError| damaged(error.to_string());
        let last = frame.height().checked_sub(1);
        let device = frame.columns()[0].str().map_err(polars)?;
        if let Some(last) = last
            && device.get(last).is_none()
        {
            let announced = frame.columns()[1].i64().map_err(polars)?.get(last).unwrap_or(-1);
            self.rows += last as u64;
            if u64::try_from(announced) != Ok(self.rows) {
                return Err(ShardError::Count { found: self.rows, announced });
            }
            self.whole = true;
            frame = frame.head(Some(last));
        } else {
            self.rows += frame.height() as u64;
        }
        Ok(Some((frame, before)))
    }
}

fn list(schema: &Schema) -> String {
    let column = |(name, kind): (&PlSmallStr, &DataType)| format!("{name} ({kind})");
    schema.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// An output that is complete only once it is finished.
pub struct Output<W: Write>(StreamWriter<W>);

impl<W: Write> Output<W> {
    /// Starts an output with the names of the columns.
    ///
    /// # Errors
    /// [`ShardError::Write`] when the output cannot be written.
    pub fn start(inner: W, columns: &Columns) -> Result<Output<W>, ShardError> {
        let schema = Schema::from_iter(columns.iter().map(|(name, kind)| Field::new((*name).into(), kind.clone())));
        let mut writer = StreamWriter::new(inner, WriteOptions { compression: None });
        writer.start(&schema.to_arrow(CompatLevel::oldest()), None).map_err(refused)?;
        Ok(Output(writer))
    }

    /// Writes rows with the columns that the output was started with.
    ///
    /// # Errors
    /// [`ShardError::Write`] when the output cannot be written.
    pub fn write(&mut self, columns: Vec<Column>) -> Result<(), ShardError> {
        let height = columns.first().map_or(0, Column::len);
        let mut frame = DataFrame::new(height, columns).map_err(refused)?;
        frame.align_chunks_par();
        frame
            .iter_chunks(CompatLevel::oldest(), false)
            .try_for_each(|batch| self.0.write(&batch, None))
            .map_err(refused)
    }

    /// Ends the stream and returns the writer.
    ///
    /// # Errors
    /// [`ShardError::Write`] when the output cannot be written.
    pub fn finish(mut self) -> Result<W, ShardError> {
        self.0.finish().map_err(refused)?;
        let mut inner = self.0.into_inner();
        inner.flush().map_err(|error| ShardError::Write(error.to_string()))?;
        Ok(inner)
    }
}

fn refused(error: PolarsError) -> ShardError {
    ShardError::Write(error.to_string())
}
