//! Reading of Arrow batches in memory, such as the data frame of another library.

use polars::prelude::*;
use polars_arrow::array::{Array, DictionaryArray, PrimitiveArray, StructArray};
use polars_arrow::match_integer_type;

use super::collect::{Collector, ReadOptions};
use super::error::{FRAME, ReadError};
use super::field::Clock;
use super::parquet::{self, Failure};
use super::sniff::Layout;
use super::summary::ReadSummary;
use crate::calendar::Calendar;
use crate::readings::Readings;

/// Reads the rows of batches with these fields as [`super::read`] reads those of a Parquet file: the same three columns of
/// the same types, in any order and among others. Texts may be packed in dictionaries (categories).
///
/// # Errors
/// [`ReadError`] for a column that is missing or of another type, for the first bad row unless such rows are skipped, and
/// for an error of `batches`.
pub fn read_arrow(
    fields: &[ArrowField],
    batches: &mut dyn Iterator<Item = PolarsResult<Box<dyn Array>>>,
    options: &ReadOptions,
    calendar: &Calendar,
) -> Result<(Readings, ReadSummary), ReadError> {
    let plain = |field: &ArrowField| ArrowField::new(field.name.clone(), plain(&field.dtype), field.is_nullable);
    let columns = parquet::columns(&fields.iter().map(plain).collect(), &options.layout, calendar, FRAME)?;
    let places = columns.map(|name| fields.iter().position(|field| field.name == name).unwrap_or_default());
    let mut collector = Collector::new(FRAME, options);
    match each_batch(batches, places, &options.layout, calendar, &mut collector) {
        Ok(()) => super::read_with(&[], vec![collector.finish()], options, calendar),
        Err(Failure::Sink(error)) => Err(error),
        Err(Failure::Polars(error)) => Err(ReadError::Arrow { file: FRAME.into(), message: error.to_string() }),
    }
}

fn each_batch(
    batches: &mut dyn Iterator<Item = PolarsResult<Box<dyn Array>>>,
    places: [usize; 3],
    layout: &Layout,
    calendar: &Calendar,
    into: &mut Collector<'_>,
) -> Result<(), Failure<ReadError>> {
    let mut clock = Clock::new(calendar);
    let mut first = 0;
    for batch in batches {
        let batch = batch?;
        let records = batch.as_any().downcast_ref::<StructArray>().filter(|batch| batch.values().len() > 2);
        let records = records.ok_or_else(|| polars_err!(SchemaMismatch: "a batch is not made of columns"))?;
        let [time, device, activated] = places.map(|place| series(&*records.values()[place]));
        parquet::each_row([&time?, &device?, &activated?], first, layout, &mut clock, into)?;
        first += records.len();
    }
    Ok(())
}

/// Returns the type as which [`series`] reads a column: texts of a dictionary as texts, and instants of any zone as UTC,
/// which is how Arrow stores them.
fn plain(dtype: &ArrowDataType) -> ArrowDataType {
    match dtype {
        ArrowDataType::Dictionary(_, values, _) => (**values).clone(),
        ArrowDataType::Timestamp(unit, Some(_)) => ArrowDataType::Timestamp(*unit, Some("UTC".into())),
        other => other.clone(),
    }
}

fn series(array: &dyn Array) -> PolarsResult<Series> {
    let dtype = array.dtype();
    let array = match dtype {
        ArrowDataType::Dictionary(key, ..) => match_integer_type!(key, |$K| {
            return unpacked(array.as_any().downcast_ref::<DictionaryArray<$K>>());
        }),
        ArrowDataType::Timestamp(_, Some(_)) => match array.as_any().downcast_ref::<PrimitiveArray<i64>>() {
            Some(instants) => instants.clone().to(plain(dtype)).boxed(),
            None => polars_bail!(SchemaMismatch: "instants are not 64-bit integers"),
        },
        _ => array.to_boxed(),
    };
    Series::from_arrow(PlSmallStr::EMPTY, array)
}

fn unpacked<K: polars_arrow::array::DictionaryKey>(array: Option<&DictionaryArray<K>>) -> PolarsResult<Series> {
    let array = array.ok_or_else(|| polars_err!(SchemaMismatch: "a dictionary has keys of another type"))?;
    let values = Series::from_arrow(PlSmallStr::EMPTY, array.values().clone())?;
    let values = values.str()?;
    let text = |key: Option<usize>| values.get(key.filter(|&key| key < values.len())?);
    Ok(array.keys_iter().map(text).collect::<StringChunked>().into_series())
}

#[cfg(test)]
mod tests {
    use polars_arrow::array::{BooleanArray, Utf8Array};

    use super::*;

    fn records(columns: Vec<(&str, Box<dyn Array>)>) -> StructArray {
        let field =
            |(name, array): &(&str, Box<dyn Array>)| ArrowField::new((*name).into(), array.dtype().clone(), true);
        let fields: Vec<ArrowField> = columns.iter().map(field).collect();
        let length = columns[0].1.len();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        StructArray::new(ArrowDataType::Struct(fields), length, arrays, None)
    }

    fn texts(cells: &[&str]) -> Box<dyn Array> {
        Utf8Array::<i32>::from_slice(cells).boxed()
    }

    fn read(batches: Vec<StructArray>, calendar: &Calendar) -> Result<(Readings, ReadSummary), ReadError> {
        let fields = batches[0].fields().to_vec();
        let mut batches = batches.into_iter().map(|batch| Ok(batch.boxed()));
        read_arrow(&fields, &mut batches, &ReadOptions::default(), calendar)
    }

    #[test]
    fn columns_of_any_type_and_order_are_the_readings_of_a_file() {
        let calendar = Calendar::new(Some(chrono_tz::Europe::Berlin));
        let expected = calendar.parse("2016-08-24 10:00:00").unwrap();
        let motion = || BooleanArray::from_slice([true, false]).boxed();
        let days = |unit: TimeUnit, zone: Option<&str>, seconds: i64| {
            let per_second = match unit {
                TimeUnit::Milliseconds => 1_000,
                TimeUnit::Microseconds => 1_000_000,
                TimeUnit::Nanoseconds => 1_000_000_000,
            };
            let times = PrimitiveArray::<i64>::from_vec(vec![seconds * per_second, (seconds + 60) * per_second]);
            times.to(ArrowDataType::Timestamp(unit.to_arrow(), zone.map(Into::into))).boxed()
        };
        let wall = calendar.wall(expected).and_utc().timestamp();
        let seconds = PrimitiveArray::<i64>::from_vec(vec![wall, wall + 60]);
        let key = PrimitiveArray::<i8>::from_vec(vec![1, 0]);
        let category = DictionaryArray::try_from_keys(key, texts(&["garage", "office"]), false).unwrap();
        for time in [
            days(TimeUnit::Nanoseconds, None, wall),
            days(TimeUnit::Microseconds, Some("Europe/Berlin"), expected),
            days(TimeUnit::Milliseconds, Some("+05:30"), expected),
            seconds.to(ArrowDataType::Timestamp(polars_arrow::datatypes::TimeUnit::Second, None)).boxed(),
            texts(&["2016-08-24T10:00", "2016-08-24 10:01:00"]),
        ] {
            let kind = format!("{:?}", time.dtype());
            let other = PrimitiveArray::<u64>::from_vec(vec![1, 2]).boxed();
            let batch = records(vec![
                ("other", other),
                (" Device", category.clone().boxed()),
                ("device_activated", motion()),
                ("TIME", time),
            ]);
            let (readings, summary) = read(vec![batch], &calendar).unwrap();
            assert_eq!(readings.devices.len(), 1, "{kind}");
            assert_eq!(
                (readings.devices[0].device.as_str(), readings.devices[0].times.clone()),
                ("office", vec![expected].into())
            );
            assert_eq!(summary.without_motion, ["garage"]);
        }
    }

    #[test]
    fn a_bad_row_of_a_later_batch_is_named_from_0() {
        let batch = |times: &[&str]| {
            let devices = vec!["office"; times.len()];
            let motion = BooleanArray::from_slice(vec![true; times.len()]).boxed();
            records(vec![("time", texts(times)), ("device", texts(&devices)), ("device_activated", motion)])
        };
        let good = batch(&["2016-08-24 10:00:00", "2016-08-24 11:00:00"]);
        let error = read(vec![good, batch(&["2016-08-24 12:00:00", "noon"])], &Calendar::default()).unwrap_err();
        let expected =
            "data frame: row 3 (the first is 0), column time: expected a time as YYYY-MM-DD HH:MM:SS, found \"noon\"";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn missing_columns_unreadable_types_and_errors_of_the_source_are_named() {
        let batch = |time: Box<dyn Array>| {
            records(vec![("time", time), ("device", texts(&["a"])), ("device_activated", texts(&["1"]))])
        };
        let message = |batch: StructArray| read(vec![batch], &Calendar::default()).unwrap_err().to_string();
        let dates = PrimitiveArray::<i32>::from_vec(vec![17_000]).to(ArrowDataType::Date32).boxed();
        let found = message(batch(dates));
        assert!(found.starts_with("data frame: column time: expected datetimes, text or 64-bit seconds"), "{found}");
        let found = message(records(vec![("when", texts(&["a"])), ("device", texts(&["a"]))]));
        assert!(found.starts_with("data frame: the header has no column \"time\""), "{found}");
        let fields = batch(texts(&["a"])).fields().to_vec();
        let mut failing =
            std::iter::once::<PolarsResult<Box<dyn Array>>>(Err(polars_err!(ComputeError: "the disk is gone")));
        let error = read_arrow(&fields, &mut failing, &ReadOptions::default(), &Calendar::default()).unwrap_err();
        assert_eq!(error.to_string(), "data frame: cannot be read as Arrow: the disk is gone");
    }
}
