//! Writes readings and truth as files: CSV by hand, Parquet in row groups.

use std::io::{self, Write};

use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn, NamedFrom, ParquetWriter, PolarsError, Schema, Series, TimeUnit,
};

use super::{Building, Day};

/// Number of bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Rows from which a Parquet row group ends, with the day that reaches them.
const ROW_GROUP_ROWS: usize = 1 << 19;

/// The file format of readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time,device,device_activated`, times as `YYYY-MM-DD HH:MM:SS`.
    Csv,
    /// Columns `time` (milliseconds), `device` (string) and `device_activated` (32-bit integer).
    Parquet,
}

/// Counts of a finished run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of days of the span.
    pub days: u64,
    /// Number of readings, duplicates included.
    pub readings: u64,
    /// Number of device-hours with at least one reading.
    pub hours_observed: u64,
    /// Number of device-hours with somebody in the room.
    pub hours_occupied: u64,
}

/// Reason why readings could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The Parquet writer failed.
    #[error(transparent)]
    Parquet(#[from] PolarsError),
}

/// Writes the readings of a building and, if requested, the truth about its rooms.
///
/// The truth is a CSV with the header `time,device,occupied`: one row for each hour of each device, ordered by time,
/// then device, 1 if somebody was in the room.
///
/// # Errors
/// [`WriteError`] when an output fails; the file is incomplete then.
pub fn write(
    building: &Building,
    format: Format,
    output: &mut dyn Write,
    mut truth: Option<&mut dyn Write>,
) -> Result<Summary, WriteError> {
    let (names, rooms) = (building.names(), building.room_names());
    let mut summary = Summary::default();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + 256);
    if let Some(truth) = &mut truth {
        truth.write_all(b"time,device,occupied\n")?;
    }
    let mut days = building.days().map(|day| {
        summary.add(&day);
        if let Some(truth) = &mut truth {
            write_truth(&day, &rooms, &mut buffer, *truth)?;
        }
        Ok(day)
    });
    match format {
        Format::Csv => write_csv(&mut days, &names, output)?,
        Format::Parquet => write_parquet(&mut days, &names, output)?,
    }
    drop(days);
    output.flush()?;
    if let Some(truth) = truth {
        truth.flush()?;
    }
    Ok(summary)
}

impl Summary {
    fn add(&mut self, day: &Day) {
        let hours = |sets: &[u32]| sets.iter().map(|set| u64::from(set.count_ones())).sum::<u64>();
        self.days += 1;
        self.readings += day.rows().len() as u64;
        self.hours_observed += hours(&day.observed);
        self.hours_occupied += hours(&day.occupied);
    }
}

type Days<'a> = &'a mut dyn Iterator<Item = Result<Day, WriteError>>;

fn write_csv(days: Days, names: &[String], output: &mut dyn Write) -> Result<(), WriteError> {
    let tails: Vec<Vec<u8>> = names.iter().map(|name| format!(",{name},1\n").into_bytes()).collect();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + 256);
    buffer.extend_from_slice(b"time,device,device_activated\n");
    for day in days {
        let day = day?;
        let date = date_prefix(&day);
        for row in day.rows() {
            push_time(&mut buffer, &date, row.second);
            buffer.extend_from_slice(&tails[row.device as usize]);
            if buffer.len() >= BUFFER_BYTES {
                output.write_all(&buffer)?;
                buffer.clear();
            }
        }
    }
    Ok(output.write_all(&buffer)?)
}

fn write_truth(day: &Day, names: &[String], buffer: &mut Vec<u8>, output: &mut dyn Write) -> io::Result<()> {
    let date = date_prefix(day);
    for hour in 0..24 {
        for (name, hours) in names.iter().zip(&day.occupied) {
            push_time(buffer, &date, hour * 3600);
            buffer.push(b',');
            buffer.extend_from_slice(name.as_bytes());
            buffer.extend_from_slice(if hours >> hour & 1 == 1 { b",1\n" } else { b",0\n" });
            if buffer.len() >= BUFFER_BYTES {
                output.write_all(buffer)?;
                buffer.clear();
            }
        }
    }
    output.write_all(buffer)?;
    buffer.clear();
    Ok(())
}

/// Formats the part of a time that all readings of a day have in common. Doing so once a day makes writing as fast as
/// copying.
fn date_prefix(day: &Day) -> Vec<u8> {
    day.date.format("%Y-%m-%d ").to_string().into_bytes()
}

fn push_time(buffer: &mut Vec<u8>, date: &[u8], second: u32) {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let digits = |n: u32| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let ([h, hh], [m, mm], [s, ss]) = (digits(hour), digits(minute), digits(second));
    buffer.extend_from_slice(date);
    buffer.extend_from_slice(&[h, hh, b':', m, mm, b':', s, ss]);
}

/// Keeps the I/O error of an output, because Polars reports only its text.
struct Remembering<'a> {
    output: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Write for Remembering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn write_parquet(days: Days, names: &[String], output: &mut dyn Write) -> Result<(), WriteError> {
    let mut output = Remembering { output, error: None };
    match (write_row_groups(days, names, &mut output), output.error) {
        (Err(WriteError::Parquet(_)), Some(error)) => Err(error.into()),
        (result, _) => result,
    }
}

fn write_row_groups(days: Days, names: &[String], output: &mut Remembering) -> Result<(), WriteError> {
    let schema = Schema::from_iter([
        ("time".into(), DataType::Datetime(TimeUnit::Milliseconds, None)),
        ("device".into(), DataType::String),
        ("device_activated".into(), DataType::Int32),
    ]);
    let mut writer = ParquetWriter::new(output).batched(&schema)?;
    let (mut times, mut devices) = (Vec::new(), Vec::new());
    for day in days {
        let day = day?;
        let midnight = day.midnight();
        for row in day.rows() {
            times.push((midnight + i64::from(row.second)) * 1000);
            devices.push(names[row.device as usize].as_str());
        }
        if times.len() >= ROW_GROUP_ROWS {
            writer.write_batch(&frame(&times, &devices)?)?;
            times.clear();
            devices.clear();
        }
    }
    writer.write_batch(&frame(&times, &devices)?)?;
    writer.finish()?;
    Ok(())
}

fn frame(times: &[i64], devices: &[&str]) -> Result<DataFrame, PolarsError> {
    let time = Series::new("time".into(), times).cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?;
    let device = Column::new("device".into(), devices);
    let activated = Series::new("device_activated".into(), vec![1_i32; times.len()]);
    DataFrame::new(times.len(), vec![time.into_column(), device, activated.into_column()])
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn times_are_written_as_the_clock_shows_them() {
        let date = NaiveDate::from_ymd_opt(2016, 7, 1).unwrap();
        let day = Day { date, occupied: vec![], observed: vec![], rows: vec![] };
        let mut line = Vec::new();
        push_time(&mut line, &date_prefix(&day), 86_399);
        push_time(&mut line, &date_prefix(&day), 4 * 3600 + 23 * 60 + 2);
        assert_eq!(String::from_utf8(line).unwrap(), "2016-07-01 23:59:592016-07-01 04:23:02");
    }

    #[test]
    fn a_full_output_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let date = NaiveDate::from_ymd_opt(2016, 7, 1).unwrap();
        let building = Building::new(1, 3, date, date);
        for format in [Format::Csv, Format::Parquet] {
            let error = write(&building, format, &mut Full, None).unwrap_err();
            assert!(matches!(&error, WriteError::Io(error) if error.kind() == io::ErrorKind::StorageFull), "{error:?}");
        }
        assert!(write(&building, Format::Csv, &mut io::sink(), Some(&mut Full)).is_err());
    }
}
