//! Scored hours as a file, CSV or Parquet, so that anyone can score them again.
//!
//! Hours are written as they come; at most one row group is in memory.

mod columns;

use std::io::{BufWriter, Write};
use std::path::Path;

use polars::prelude::*;

use self::columns::{Cell, columns};
use super::ScoredHour;
use crate::calendar::Calendar;
use crate::files::is_parquet;
use crate::readings::Readings;

/// Number of rows in a row group.
const ROW_GROUP_ROWS: usize = 1 << 16;

/// Writes scored hours of a backtest.
///
/// `origin` and `time`, the start of the target hour, are RFC 3339 in CSV, and UTC in Parquet; at a site without a time
/// zone they are local wall time. `date` is the local date of the target hour. States, `truth` and `silent` are 0 or 1.
/// Each simple rule has a probability and a state. `part_…` is the probability of a part of the model alone,
/// `without_…` that of the model without it; both are empty where there is none.
pub struct CaseWriter<'a> {
    readings: &'a Readings,
    calendar: &'a Calendar,
    form: Form<'a>,
}

enum Form<'a> {
    Csv(Box<csv::Writer<BufWriter<&'a mut dyn Write>>>),
    Parquet { writer: Box<polars::io::parquet::write::BatchedWriter<&'a mut dyn Write>>, hours: Vec<ScoredHour> },
}

impl<'a> CaseWriter<'a> {
    /// Begins a file of hours of a backtest on these readings: Parquet if its name ends in `.parquet`, else CSV.
    ///
    /// # Errors
    /// [`PolarsError`] when the output does not take the header.
    pub fn new(
        name: &Path,
        readings: &'a Readings,
        calendar: &'a Calendar,
        output: &'a mut dyn Write,
    ) -> PolarsResult<CaseWriter<'a>> {
        let form = if is_parquet(name) {
            let fields = columns().into_iter().map(|column| (column.name().into(), column.data_type(calendar)));
            let writer = ParquetWriter::new(output).batched(&Schema::from_iter(fields))?;
            Form::Parquet { writer: Box::new(writer), hours: Vec::new() }
        } else {
            let mut writer = csv::Writer::from_writer(BufWriter::new(output));
            writer.write_record(columns().iter().map(|column| column.name())).map_err(failed)?;
            Form::Csv(Box::new(writer))
        };
        Ok(CaseWriter { readings, calendar, form })
    }

    /// Writes hours.
    ///
    /// # Errors
    /// [`PolarsError`] when the output does not take them.
    pub fn write<'b>(&mut self, hours: impl Iterator<Item = &'b ScoredHour>) -> PolarsResult<()> {
        for hour in hours {
            match &mut self.form {
                Form::Csv(writer) => {
                    for column in columns() {
                        let text = match column.cell(hour, self.readings, self.calendar) {
                            Cell::Time(time) => self.calendar.rfc3339(time),
                            Cell::Date(date) => date.to_string(),
                            Cell::Text(text) => text.to_owned(),
                            Cell::Whole(number) => number.to_string(),
                            Cell::Number(number) if number.is_nan() => String::new(),
                            Cell::Number(number) => number.to_string(),
                        };
                        writer.write_field(text).map_err(failed)?;
                    }
                    writer.write_record(None::<&[u8]>).map_err(failed)?;
                }
                Form::Parquet { writer, hours } => {
                    hours.push(hour.clone());
                    if hours.len() == ROW_GROUP_ROWS {
                        writer.write_batch(&frame(hours, self.readings, self.calendar)?)?;
                        hours.clear();
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the end of the file.
    ///
    /// # Errors
    /// [`PolarsError`] when the output does not take it.
    pub fn finish(self) -> PolarsResult<()> {
        match self.form {
            Form::Csv(mut writer) => Ok(writer.flush()?),
            Form::Parquet { mut writer, hours } => {
                writer.write_batch(&frame(&hours, self.readings, self.calendar)?)?;
                writer.finish().map(|_| ())
            }
        }
    }
}

fn failed(error: csv::Error) -> PolarsError {
    std::io::Error::from(error).into()
}

/// Returns hours as a frame of all columns.
fn frame(hours: &[ScoredHour], readings: &Readings, calendar: &Calendar) -> PolarsResult<DataFrame> {
    let series = |column: columns::Column| {
        let name = column.name().into();
        let cells = || hours.iter().map(|hour| column.cell(hour, readings, calendar));
        let values: Series = match column.data_type(calendar) {
            DataType::String => StringChunked::from_iter_values(
                name,
                cells().map(|cell| match cell {
                    Cell::Text(text) => text.to_owned(),
                    Cell::Date(date) => date.to_string(),
                    _ => String::new(),
                }),
            )
            .into_series(),
            DataType::Float32 => {
                let number = |cell| if let Cell::Number(number) = cell { number } else { f32::NAN };
                Float32Chunked::from_iter_options(
                    name,
                    cells().map(number).map(|number| (!number.is_nan()).then_some(number)),
                )
                .into_series()
            }
            DataType::Int32 => {
                let whole = |cell| if let Cell::Whole(number) = cell { number } else { 0 };
                Int32Chunked::from_iter_values(name, cells().map(whole)).into_series()
            }
            time => {
                let instant = |cell| if let Cell::Time(time) = cell { time * 1000 } else { 0 };
                Int64Chunked::from_iter_values(name, cells().map(instant)).into_series().cast(&time)?
            }
        };
        Ok(values.into_column())
    };
    DataFrame::new(hours.len(), columns().into_iter().map(series).collect::<PolarsResult<_>>()?)
}
