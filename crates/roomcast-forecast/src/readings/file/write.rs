//! Writing of readings as a Parquet file that [`super::read`] reads.

use std::io::Write;

use polars::prelude::*;

use crate::readings::DeviceReadings;

/// Approximate number of rows in a row group.
const ROW_GROUP_ROWS: usize = 1 << 19;

/// Writes readings, device by device, times ascending.
///
/// Columns are `time` in milliseconds (UTC where the readings are `zoned`, else wall time), `device` and
/// `device_activated`, 1 for motion and 0 for an `off`.
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
    let mut rows = Rows::default();
    for device in readings {
        for (time, on) in device.edges() {
            rows.times.push(time * 1000);
            rows.devices.push(device.device.as_str());
            rows.activated.push(i32::from(on));
            if rows.times.len() == ROW_GROUP_ROWS {
                writer.write_batch(&std::mem::take(&mut rows).frame(zone.clone())?)?;
            }
        }
    }
    writer.write_batch(&rows.frame(zone)?)?;
    writer.finish()?;
    Ok(())
}

/// The rows of one row group.
#[derive(Default)]
struct Rows<'a> {
    /// Milliseconds.
    times: Vec<i64>,
    devices: Vec<&'a str>,
    activated: Vec<i32>,
}

impl Rows<'_> {
    fn frame(self, zone: Option<TimeZone>) -> PolarsResult<DataFrame> {
        let Rows { times, devices, activated } = self;
        let time = Series::new("time".into(), &times).cast(&DataType::Datetime(TimeUnit::Milliseconds, zone))?;
        let columns = vec![
            time.into_column(),
            Column::new("device".into(), devices),
            Column::new("device_activated".into(), activated),
        ];
        DataFrame::new(times.len(), columns)
    }
}
