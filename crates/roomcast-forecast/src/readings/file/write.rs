//! Writing of readings as a Parquet file that [`super::read`] reads.

use std::io::Write;

use polars::prelude::*;

use crate::readings::DeviceReadings;

/// Approximate number of rows in a row group.
const ROW_GROUP_ROWS: usize = 1 << 19;

/// Writes readings, device by device, times ascending.
///
/// Columns are `time` in milliseconds (UTC where the readings are `zoned`, else wall time), `device` and
/// `device_activated`, which is 1 in every row.
///
/// # Errors
/// [`PolarsError`] when the output does not take the readings.
pub fn write_parquet<'a>(
    readings: impl IntoIterator<Item = &'a DeviceReadings>,
    zoned: bool,
    output: &mut dyn Write,
) -> PolarsResult<()> {
    let zone = zoned.then_some(TimeZone::UTC);
    let schema = Schema::from_iter([
        ("time".into(), DataType::Datetime(TimeUnit::Milliseconds, zone.clone())),
        ("device".into(), DataType::String),
        ("device_activated".into(), DataType::Int32),
    ]);
    let mut writer = ParquetWriter::new(output).batched(&schema)?;
    let (mut times, mut devices) = (Vec::new(), Vec::new());
    for device in readings {
        for part in device.times.chunks(ROW_GROUP_ROWS) {
            times.extend(part.iter().map(|time| time * 1000));
            devices.resize(times.len(), device.device.as_str());
            if times.len() >= ROW_GROUP_ROWS {
                writer.write_batch(&frame(&times, &devices, zone.clone())?)?;
                times.clear();
                devices.clear();
            }
        }
    }
    writer.write_batch(&frame(&times, &devices, zone)?)?;
    writer.finish()?;
    Ok(())
}

fn frame(times: &[i64], devices: &[&str], zone: Option<TimeZone>) -> PolarsResult<DataFrame> {
    let time = Series::new("time".into(), times).cast(&DataType::Datetime(TimeUnit::Milliseconds, zone))?;
    let device = Column::new("device".into(), devices);
    let activated = Series::new("device_activated".into(), vec![1_i32; times.len()]);
    DataFrame::new(times.len(), vec![time.into_column(), device, activated.into_column()])
}
