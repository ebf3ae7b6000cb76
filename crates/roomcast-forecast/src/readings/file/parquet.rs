//! Reading of Parquet, a few row groups at a time.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use polars::prelude::*;

use super::error::ReadError;
use super::field::{self, COLUMNS, Clock, Problem};
use super::sink::{Sink, as_object};
use super::sniff::header::{self, Found, Role};
use super::sniff::{Layout, TimeForm, units_per_second};
use crate::calendar::{Calendar, Timestamp};

/// Rows decoded at a time. A single row group may have more.
const BATCH_ROWS: usize = 1 << 20;

/// The cells of one column of a batch.
type Cells<'a, T> = Box<dyn Iterator<Item = Result<T, Problem>> + 'a>;

/// An error of polars in a damaged file, or an error of the sink.
pub(super) enum Failure<E> {
    Sink(E),
    Polars(PolarsError),
}

impl<E> From<PolarsError> for Failure<E> {
    fn from(error: PolarsError) -> Self {
        Failure::Polars(error)
    }
}

/// Reads all rows of one Parquet file.
///
/// `time` is a datetime of any unit, a text as in CSV, or an integer: seconds on the site's time line.
/// `device` is a text or an integer, `device_activated` a boolean, number or text.
///
/// # Errors
/// [`ReadError`] for a file that is not Parquet or is damaged, a column that is missing or of another type, and the
/// first bad row unless the sink takes them.
pub(super) fn read<S: Sink>(file: File, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), S::Error> {
    check(&file, into.file())?;
    // Polars panics on some damaged files. The sink is dropped with the file then, so its partial state is never seen.
    // A page that claims to hold more than the memory ends the process: see `apart`.
    let message = match catch_unwind(AssertUnwindSafe(|| batches(&file, layout, calendar, into))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Failure::Sink(error))) => return Err(error),
        Ok(Err(Failure::Polars(error))) => error.to_string(),
        Err(_) => "the file is damaged".to_owned(),
    };
    Err(ReadError::Parquet { file: into.file().to_owned(), message }.into())
}

/// Checks that the file is not empty and not a directory.
///
/// # Errors
/// [`ReadError`] for a directory and an empty file.
pub(super) fn check(file: &File, name: &str) -> Result<(), ReadError> {
    match file.metadata() {
        Err(error) => Err(ReadError::io(name, error)),
        // A directory can be mapped into memory, but reading it fails.
        Ok(meta) if meta.is_dir() => Err(ReadError::Directory { file: name.to_owned() }),
        Ok(meta) if meta.len() == 0 => Err(ReadError::Empty { file: name.to_owned() }),
        Ok(_) => Ok(()),
    }
}

fn batches<S: Sink>(file: &File, layout: &Layout, calendar: &Calendar, into: &mut S) -> Result<(), Failure<S::Error>> {
    let open = |file: &File| Ok::<_, PolarsError>(ParquetReader::new(file.try_clone()?));
    let mut metadata = FileMetadata::clone(open(file)?.get_metadata()?);
    // The writer's Arrow types (dictionaries, time zones by name) are not needed, and this build cannot read all of
    // them. Parquet's own types are enough.
    metadata.key_value_metadata = None;
    let schema = polars::io::parquet::read::infer_schema(&metadata)?;
    let columns = columns(&schema, layout, calendar, into.file()).map_err(|error| Failure::Sink(error.into()))?;
    if columns.iter().zip(COLUMNS).any(|(name, known)| !name.trim().eq_ignore_ascii_case(known)) {
        let [time, device, value] = &columns;
        let above = layout.occupied_above.map_or("as state".to_owned(), |above| format!("above {above} as occupied"));
        into.taken(&format!("read `{time}` as time, `{device}` as device, `{value}` {above}"));
    }
    let metadata = Arc::new(metadata);

    let mut clock = Clock::new(calendar);
    for rows in ranges(metadata.row_groups.iter().map(|group| group.num_rows())) {
        let mut reader = open(file)?;
        reader.set_metadata(metadata.clone());
        let batch = reader
            .with_columns(Some(columns.to_vec()))
            .with_slice(Some((rows.start, rows.len())))
            // The other strategies also decode the row groups outside the slice.
            .read_parallel(ParallelStrategy::RowGroups)
            .finish()?;
        let series = [batch.column(&columns[0])?, batch.column(&columns[1])?, batch.column(&columns[2])?]
            .map(Column::as_materialized_series);
        each_row(series, rows.start, layout, &mut clock, into)?;
    }
    Ok(())
}

/// Passes the rows of a batch to a sink. `first` is the number of rows before the batch.
pub(super) fn each_row<S: Sink>(
    series: [&Series; 3],
    first: usize,
    layout: &Layout,
    clock: &mut Clock<'_>,
    into: &mut S,
) -> Result<(), Failure<S::Error>> {
    let [time, device, activated] = series;
    let cells = times(time, layout, clock)?.zip(devices(device)?).zip(motions(activated, layout)?);
    for (row, ((time, device), motion)) in cells.enumerate() {
        let read = time.and_then(|time| Ok((time, into.device(device?.as_ref())?, motion?)));
        let result = match read {
            Ok((time, device, motion)) => into.accept(time, device, motion),
            Err(problem) => into.refuse((first + row) as u64 + 1, problem, || payload(series, row)),
        };
        result.map_err(Failure::Sink)?;
    }
    Ok(())
}

/// Returns a row as text that can be parsed again.
fn payload(series: [&Series; 3], row: usize) -> String {
    as_object(series.map(|series| match series.get(row) {
        Ok(value) => value.str_value().into_owned().into(),
        Err(_) => Cow::Borrowed("null"),
    }))
}

/// Groups consecutive row groups into ranges of about [`BATCH_ROWS`] rows.
fn ranges(groups: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for rows in groups {
        match ranges.last_mut() {
            Some(last) if last.len() + rows <= BATCH_ROWS => last.end += rows,
            _ => ranges.push(end..end + rows),
        }
        end += rows;
    }
    ranges
}

/// Returns the names of the three columns as the file spells them. Checks their types.
///
/// # Errors
/// [`ReadError::Header`] when a column is missing or occurs twice, [`ReadError::ColumnType`] when its type cannot be
/// read.
pub(super) fn columns(
    schema: &ArrowSchema,
    layout: &Layout,
    calendar: &Calendar,
    file: &str,
) -> Result<[String; 3], ReadError> {
    let names: Vec<String> = schema.iter_names().map(|name| name.to_string()).collect();
    let given = [&layout.columns.time, &layout.columns.device, &layout.columns.value];
    let roles = [Role::Time, Role::Device, Role::Value];
    let mut columns = COLUMNS.map(String::from);
    let mut taken = Vec::new();
    for (place, name) in columns.iter_mut().enumerate() {
        let found = match given[place] {
            Some(given) => header::find_named(&names, given),
            None => header::find(&names, roles[place], &taken),
        };
        let Found::One(at) = found else {
            return Err(ReadError::Header {
                file: file.to_owned(),
                count: if found == Found::Twice { "more than one" } else { "no" },
                column: COLUMNS[place],
                expected: "time, device and device_activated",
                found: field::excerpt(names.join(", ").as_bytes()),
                hint: "say which columns they are: --columns time=NAME,device=NAME,value=NAME".into(),
            });
        };
        taken.push(at);
        let Some((_, field)) = schema.get_at_index(at) else { continue };
        if let Some((expected, hint)) = unreadable(place, &field.dtype, calendar) {
            let (column, found) = (COLUMNS[place], format!("{:?}", field.dtype));
            return Err(ReadError::ColumnType { file: file.to_owned(), column, expected, found, hint });
        }
        *name = field.name.to_string();
    }
    Ok(columns)
}

/// Returns the readable types and a hint, if a column of this type cannot be read.
fn unreadable(place: usize, dtype: &ArrowDataType, calendar: &Calendar) -> Option<(&'static str, &'static str)> {
    use ArrowDataType as D;
    let text = matches!(dtype, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let signed = matches!(dtype, D::Int8 | D::Int16 | D::Int32 | D::Int64);
    let integer = signed || matches!(dtype, D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64);
    let number = integer || matches!(dtype, D::Boolean | D::Float32 | D::Float64);
    match (place, dtype) {
        (0, D::Timestamp(_, Some(_))) if calendar.zone().is_none() => {
            Some(("local wall time", "the times are UTC: give the site's time zone with --timezone"))
        }
        (0, D::Timestamp(..) | D::Int64) => None,
        (0, _) if text => None,
        (1, _) if text || integer => None,
        (2, _) if text || number => None,
        (0, _) => Some(("datetimes, text or 64-bit seconds", "convert the column")),
        (1, _) => Some(("text or integers", "convert the column")),
        _ => Some(("booleans, numbers or text", "convert the column")),
    }
}

fn times<'a>(series: &'a Series, layout: &'a Layout, clock: &'a mut Clock<'_>) -> PolarsResult<Cells<'a, Timestamp>> {
    let outside = |time: i64| Problem::new(0, "a year from 1971 to 2200", time.to_string().as_bytes());
    Ok(match series.dtype() {
        DataType::Datetime(unit, zone) => {
            let per_second = match unit {
                TimeUnit::Nanoseconds => 1_000_000_000,
                TimeUnit::Microseconds => 1_000_000,
                TimeUnit::Milliseconds => 1_000,
            };
            let wall = zone.is_none();
            Box::new(series.datetime()?.physical().iter().map(move |time| {
                let seconds = time.ok_or_else(|| Problem::null(0))?.div_euclid(per_second);
                let read = if wall { clock.wall(seconds) } else { clock.instant(seconds) };
                read.ok_or_else(|| outside(seconds))
            }))
        }
        DataType::Int64 => {
            let numbers = series.i64()?;
            let per_second = match layout.time_format {
                Some(TimeForm::Epoch(per_second)) => per_second,
                _ => numbers.iter().flatten().next().map_or(1, units_per_second),
            };
            Box::new(numbers.iter().map(move |time| {
                let seconds = time.ok_or_else(|| Problem::null(0))?.div_euclid(per_second);
                clock.instant(seconds).ok_or_else(|| outside(seconds))
            }))
        }
        _ => {
            let form = layout.time_format.as_ref().unwrap_or(&TimeForm::Iso);
            let read = move |time: Option<&str>| form.read(time.ok_or_else(|| Problem::null(0))?.as_bytes(), clock);
            Box::new(series.str()?.iter().map(read))
        }
    })
}

fn devices(series: &Series) -> PolarsResult<Cells<'_, Cow<'_, [u8]>>> {
    let null = || Problem::null(1);
    Ok(match series.dtype() {
        DataType::String => {
            Box::new(series.str()?.iter().map(move |name| Ok(Cow::Borrowed(name.ok_or_else(null)?.as_bytes()))))
        }
        // Conversion to text takes every integer type, unlike a wider integer.
        _ => Box::new(owned_text(series)?.map(move |name| Ok(Cow::Owned(name.ok_or_else(null)?.into_bytes())))),
    })
}

fn owned_text(series: &Series) -> PolarsResult<impl Iterator<Item = Option<String>> + use<>> {
    let text = series.cast(&DataType::String)?;
    let text: Vec<Option<String>> = text.str()?.iter().map(|cell| cell.map(String::from)).collect();
    Ok(text.into_iter())
}

fn motions<'a>(series: &'a Series, layout: &Layout) -> PolarsResult<Cells<'a, bool>> {
    let null = || Problem::null(2);
    let above = layout.occupied_above;
    let read = move |cell: &[u8]| match above.zip(field::number(cell)) {
        Some((above, number)) => Ok(number > above),
        None => field::state(cell),
    };
    Ok(match series.dtype() {
        DataType::Boolean => Box::new(series.bool()?.iter().map(move |cell| cell.ok_or_else(null))),
        DataType::String => Box::new(series.str()?.iter().map(move |cell| read(cell.ok_or_else(null)?.as_bytes()))),
        _ => {
            let numbers: Vec<Option<f64>> = series.cast(&DataType::Float64)?.f64()?.iter().collect();
            Box::new(numbers.into_iter().map(move |cell| match cell.ok_or_else(null)? {
                number if above.is_some_and(|above| number > above) => Ok(true),
                _ if above.is_some() => Ok(false),
                1.0 => Ok(true),
                0.0 => Ok(false),
                other => field::state(other.to_string().as_bytes()),
            }))
        }
    })
}
