//! The reader against files as people have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use polars::prelude::{Column, DataFrame, DataType, NamedFrom, ParquetWriter, Series, TimeUnit, TimeZone};
use proptest::prelude::*;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::readings::{
    DeviceReadings, MAX_REFUSALS, ReadError, ReadOptions, ReadSummary, Readings, profile, read,
};
use tempfile::TempDir;

const HEADER: &str = "time,device,device_activated\n";
const STRICT: ReadOptions = ReadOptions::STRICT;
const LENIENT: ReadOptions = ReadOptions::LENIENT;

type Outcome = Result<(Readings, ReadSummary), ReadError>;

/// Files of one test, gone with it.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a temporary file");
        path
    }
}

fn read_bytes(content: impl AsRef<[u8]>, options: &ReadOptions) -> Outcome {
    let files = Files::new();
    read(&[files.put("readings.csv", content)], options, &Calendar::default())
}

fn strict(content: impl AsRef<[u8]>) -> Outcome {
    read_bytes(content, &STRICT)
}

/// The message of an input that must be refused, with the name of the temporary file cut short.
fn refusal(content: impl AsRef<[u8]>) -> String {
    message(strict(content))
}

fn message(outcome: Outcome) -> String {
    let message = outcome.expect_err("an input to be refused").to_string();
    let (path, rest) = message.split_once(": ").expect("a file name first");
    format!("{}: {rest}", Path::new(path).file_name().unwrap_or_default().display())
}

fn at(text: &str) -> Timestamp {
    Calendar::default().parse(text).expect("a time")
}

fn device(name: &str, times: &[&str]) -> DeviceReadings {
    DeviceReadings {
        device: name.into(),
        times: times.iter().map(|text| at(text)).collect(),
        ..DeviceReadings::default()
    }
}

/// Every row is counted in one place, and what is kept is in order.
fn check(readings: &Readings, summary: &ReadSummary) {
    let s = summary;
    assert_eq!(s.rows, s.accepted + s.duplicates + s.no_motion + s.after_until + s.refused);
    assert_eq!(s.accepted, readings.len() as u64);
    assert_eq!(s.devices, readings.devices.len());
    assert_eq!(s.span, readings.span());
    assert!(readings.devices.is_sorted_by(|a, b| a.device < b.device));
    assert!(readings.devices.iter().all(|d| !d.times.is_empty() && d.times.iter().is_sorted_by(|a, b| a < b)));
    for file in &s.files {
        let c = file.counts;
        assert_eq!(c.rows, c.accepted + c.duplicates + c.no_motion + c.after_until + c.refused);
        assert_eq!(file.refusals.len() as u64, c.refused.min(MAX_REFUSALS as u64));
    }
}

#[test]
fn one_file_in_many_forms_is_one_set_of_readings() {
    let expected =
        [device("a", &["2016-07-01 04:23:32", "2016-07-01 05:00:00"]), device("b", &["2016-07-01 06:00:00"])];
    let forms: [&[u8]; 9] = [
        b"time,device,device_activated\n2016-07-01 04:23:32,a,1\n2016-07-01 05:00:00,a,1\n2016-07-01 06:00:00,b,1\n",
        b"time,device,device_activated\r\n2016-07-01 04:23:32,a,1\r\n2016-07-01 05:00:00,a,1\r\n2016-07-01 06:00:00,b,1",
        b"\xef\xbb\xbftime,device,device_activated\n2016-07-01 04:23:32,a,1\r\n2016-07-01 05:00:00,a,1\r2016-07-01 06:00:00,b,1",
        b"\n\r\ntime,device,device_activated\n\n2016-07-01 04:23:32,a,1\n\r\n  \n2016-07-01 05:00:00,a,1\n2016-07-01 06:00:00,b,1\n\n\n",
        b"\"time\",\"device\",\"device_activated\"\n\"2016-07-01 04:23:32\",\"a\",\"1\"\n2016-07-01 05:00:00,a,1\n2016-07-01 06:00:00,\"b\",1\n",
        b"device_activated,note,device,time\n1,,a,2016-07-01 04:23:32\n1,\"two\nlines, \"\"quoted\"\"\",a,2016-07-01 05:00:00\n1,x,b,2016-07-01 06:00:00\n",
        b"Time, Device ,DEVICE_ACTIVATED\n 2016-07-01 04:23:32 , a , 1 \n2016-07-01T05:00:00,a,true\n2016-07-01 06:00,b,1.0\n",
        b"time,device,device_activated\n2016-07-01 06:00:00,b,on\n2016-07-01 05:00:00,a,ON\n2016-07-01 04:23:32,a,1\n",
        b"time,device,device_activated\n2016-07-01 04:23:32,a,1\n2016-07-01 04:23:32,a,1\n2016-07-01 05:00:00.75,a,1\n2016-07-01 05:30:00,c,0\n2016-07-01 06:00:00,b,1\n2016-07-01 04:23:32,a,1\n",
    ];
    let fingerprint = Readings { devices: expected.to_vec() }.fingerprint();
    for form in forms {
        let (readings, summary) = strict(form).expect("readings");
        assert_eq!(readings.devices, expected, "{}", String::from_utf8_lossy(form));
        assert_eq!(readings.fingerprint(), fingerprint);
        check(&readings, &summary);
    }
}

#[test]
fn what_is_unusual_is_counted() {
    let content = format!(
        "{HEADER}2016-07-01 05:00:00,a,1\n2016-07-01 04:00:00,a,1\n2016-07-01 05:00:00,a,1\n2016-07-01 05:00:00,b,0\n\
         2016-07-01 05:00:00,c,off\n2016-07-02 00:00:00,c,1\n2016-07-02 00:00:00,b,0\nx,b,1\n"
    );
    let options = ReadOptions { until: Some(at("2016-07-02 00:00:00")), ..LENIENT };
    let (readings, s) = read_bytes(content, &options).expect("readings");
    check(&readings, &s);
    assert_eq!(readings.devices, [device("a", &["2016-07-01 04:00:00", "2016-07-01 05:00:00"])]);
    assert_eq!((s.rows, s.accepted, s.duplicates, s.out_of_order), (8, 2, 1, 1));
    assert_eq!((s.no_motion, s.after_until, s.refused), (2, 2, 1));
    assert_eq!(s.without_motion, ["b", "c"]);
}

#[test]
fn rows_beyond_until_must_be_valid_all_the_same() {
    let options = ReadOptions { until: Some(at("2016-07-01 00:00:00")), ..STRICT };
    let error = message(read_bytes(format!("{HEADER}2016-08-01 00:00:00,a,2\n"), &options));
    assert!(error.starts_with("readings.csv: line 2, column device_activated"), "{error}");
}

#[test]
fn several_files_are_one_and_what_overlaps_counts_once() {
    let files = Files::new();
    let paths = [
        files.put(
            "late.csv",
            format!("{HEADER}2016-07-01 05:00:00,a,1\n2016-07-01 06:00:00,a,1\n2016-07-01 06:00:00,b,0\n"),
        ),
        files.put(
            "early.csv",
            format!("{HEADER}2016-07-01 04:00:00,a,1\n2016-07-01 05:00:00,a,1\n2016-07-01 04:00:00,b,1\n"),
        ),
    ];
    let (readings, summary) = read(&paths, &STRICT, &Calendar::default()).expect("readings");
    check(&readings, &summary);
    let a = device("a", &["2016-07-01 04:00:00", "2016-07-01 05:00:00", "2016-07-01 06:00:00"]);
    let b = DeviceReadings { offs: vec![at("2016-07-01 06:00:00")].into(), ..device("b", &["2016-07-01 04:00:00"]) };
    assert_eq!(readings.devices, [a, b]);
    assert_eq!((summary.rows, summary.duplicates, summary.out_of_order), (6, 1, 0));
    assert_eq!(summary.files.iter().map(|f| f.counts.accepted).collect::<Vec<_>>(), [2, 3]);
    assert!(summary.without_motion.is_empty());
}

#[test]
fn no_rows_are_no_error() {
    let (readings, summary) = strict(HEADER).expect("readings");
    assert!(readings.is_empty() && summary.rows == 0 && summary.span.is_none());
    let (readings, _) = strict(HEADER.trim_end()).expect("readings");
    assert!(readings.is_empty());
    assert!(read(&[], &STRICT, &Calendar::default()).is_ok_and(|(readings, _)| readings.is_empty()));
    let (single, _) = strict(format!("{HEADER}2016-07-01 04:00:00,a,1")).expect("readings");
    assert_eq!(single.len(), 1);
}

#[test]
fn a_bad_row_is_named_by_file_line_and_column() {
    let row = |row: &str| refusal(format!("{HEADER}2016-07-01 04:00:00,a,1\n{row}\n2016-07-01 05:00:00,a,1\n"));
    let hint = "hint: correct the row, or leave such rows out with --skip-bad-rows";
    for (bad, expected) in [
        (
            "2016-13-01 04:00:00,a,1",
            "column time: expected a time as YYYY-MM-DD HH:MM:SS, found \"2016-13-01 04:00:00\"",
        ),
        ("soon,a,1", "column time: expected a time as YYYY-MM-DD HH:MM:SS, found \"soon\""),
        ("2016-07-01 04:00:0\0,a,1", "column time: expected a time without NUL bytes, found \"2016-07-01 04:00:0\\0\""),
        ("1970-07-01 04:00:00,a,1", "column time: expected a year from 1971 to 2200, found \"1970-07-01 04:00:00\""),
        (
            "2016-07-01 04:00:00+02:00,a,1",
            "column time: expected a local time without UTC offset, or the site's time zone (--timezone), found \
             \"2016-07-01 04:00:00+02:00\"",
        ),
        ("2016-07-01 04:00:00,,1", "column device: expected a device name, found \"\""),
        ("2016-07-01 04:00:00,  ,1", "column device: expected a device name, found \"\""),
        ("2016-07-01 04:00:00,a\0,1", "column device: expected a device name without NUL bytes, found \"a\\0\""),
        (
            "2016-07-01 04:00:00,a\u{7},1",
            "column device: expected a device name without control characters, found \"a\\u{7}\"",
        ),
        ("2016-07-01 04:00:00,a,2", "column device_activated: expected 1 (motion) or 0 (no motion), found \"2\""),
        ("2016-07-01 04:00:00,a,", "column device_activated: expected 1 (motion) or 0 (no motion), found \"\""),
        ("2016-07-01 04:00:00,a", "expected 3 fields, found 2 fields"),
        ("2016-07-01 04:00:00,a,b,1", "expected 3 fields, found 4 fields"),
    ] {
        let separator = if expected.starts_with("column") { ", " } else { ": " };
        let said = row(bad);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], format!("readings.csv: line 3{separator}{expected}"), "{bad:?}");
        // The row, a caret under the field, what was expected, and one hint.
        let [_, "  |", shown, carets, last] = lines[..] else { panic!("{said}") };
        assert_eq!(
            shown.strip_prefix("3 | ").map(|text| text.replace('·', "")),
            Some(bad.replace(['\0', '\u{7}'], ""))
        );
        assert!(carets.starts_with("  | ") && carets.contains("^ expected "), "{said}");
        let is_other = bad.contains("+02:00") || bad.ends_with(",2");
        assert_eq!(last.starts_with(hint), !is_other, "{said}");
    }
    let long = row(&format!("2016-07-01 04:00:00,{},1", "x".repeat(300)));
    assert!(long.contains("expected a device name of at most 256 bytes, found \"xxx"), "{long}");
    assert!(long.len() < 600, "{long}");
    let latin = refusal([HEADER.as_bytes(), b"2016-07-01 04:00:00,caf\x82,1\n"].concat());
    assert!(latin.contains("line 2, column device: expected a device name in UTF-8"), "{latin}");
    assert!(latin.contains("hint: the file is not in UTF-8: say what it is in, such as --encoding"), "{latin}");
}

#[test]
fn a_quote_that_is_never_closed_is_named_where_it_opens() {
    let tail = "2016-07-01 05:00:00,a,1\n".repeat(1000);
    for (row, expected) in [
        (
            "2016-07-01 04:00:00,\"a,1",
            "line 2: expected 3 fields, found 2 fields, one of them with a quote that is not closed",
        ),
        ("2016-07-01 04:00:00,a,\"1", "line 2, column device_activated: expected a closing quote on the same line"),
    ] {
        let error = refusal(format!("{HEADER}{row}\n{tail}"));
        assert!(error.contains(expected), "{error}");
    }
    let error = refusal(format!("{HEADER}2016-07-01 04:00:00,a,1\n\"{}", tail.repeat(250)));
    let expected =
        "readings.csv: line 3: expected 3 fields, found 1 fields, one of them with a quote that is not closed";
    assert!(error.starts_with(expected), "{error}");
    let error = refusal(format!("{HEADER}2016-07-01 04:00:00,a,1\n\n{}", "x".repeat(6 << 20)));
    assert!(error.starts_with("readings.csv: line 4: the row does not end within 4194304 bytes"), "{error}");
}

#[test]
fn a_file_that_is_no_csv_says_what_it_is() {
    for (content, expected) in [
        (&b""[..], "the file is empty\nhint: the first line names the columns, such as time,device,device_activated; "),
        (
            b"\n\r\n \n",
            "the file is empty\nhint: the first line names the columns, such as time,device,device_activated; ",
        ),
        (
            b"\xef\xbb\xbf",
            "the file is empty\nhint: the first line names the columns, such as time,device,device_activated; ",
        ),
        (b"\x1f\x8b\x08\0\0\0", "cannot be read"),
        (b"PK\x03\x04\x14\0", "cannot be read as an Excel workbook: "),
        (b"PAR1\x15\x04", "expected readings, found a Parquet file\nhint: give it a name that ends in .parquet"),
        (b"BZh91AY&SY", "expected readings, found a bzip2 archive\nhint: unpack it first"),
    ] {
        let error = refusal(content);
        assert!(error.starts_with(&format!("readings.csv: {expected}")), "{error}");
    }
}

#[test]
fn a_header_that_lacks_a_column_says_which() {
    let expected = "expected time,device,device_activated, found";
    for (header, column, hint) in [
        ("what,where,how,why", "no column \"device\"", "say which columns hold what: --columns time=NAME"),
        ("time,device,device_activated,Device", "more than one column \"device\"", "give one of the two another name"),
        ("\u{0}\u{1}\u{2}", "no column \"device\"", "the file is not plain text"),
    ] {
        let error = refusal(format!("{header}\n2016-07-01 04:00:00,a,1\n"));
        let start = format!("readings.csv: the header has {column}: {expected} {header:?}\nhint: {hint}");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let files = Files::new();
    let open = |path: PathBuf| message(read(&[path], &STRICT, &Calendar::default()));
    for name in ["none.csv", "none.parquet"] {
        let error = open(files.0.path().join(name));
        assert_eq!(error, format!("{name}: no such file\nhint: check the path and the working directory"));
    }
    for name in ["directory", "directory.parquet"] {
        let path = files.0.path().join(name);
        fs::create_dir(&path).expect("a directory");
        assert!(
            open(path).starts_with(&format!("{name}: the directory has no files of readings\nhint: they end in .csv"))
        );
    }
}

#[test]
fn of_many_refused_rows_the_first_are_kept() {
    let content = format!("{HEADER}{}", "x,a,1\n".repeat(50));
    let (_, summary) = read_bytes(content, &LENIENT).expect("a summary");
    assert_eq!(summary.refused, 50);
    let lines: Vec<u64> = summary.refusals().map(|refusal| refusal.line).collect();
    assert_eq!(lines, (2..2 + MAX_REFUSALS as u64).collect::<Vec<_>>());
}

#[test]
fn a_zone_makes_instants_of_wall_times() {
    let calendar = Calendar::new(Some(Tz::Europe__Berlin));
    let files = Files::new();
    let content = format!("{HEADER}2016-07-01 04:00:00,a,1\n2016-07-01 04:00:00+02:00,a,1\n2016-07-01T02:00:00Z,a,1\n");
    let (readings, summary) = read(&[files.put("a.csv", content)], &STRICT, &calendar).expect("readings");
    assert_eq!(readings.devices, [device("a", &["2016-07-01 02:00:00"])]);
    assert_eq!(summary.duplicates, 2);
}

fn parquet(files: &Files, name: &str, columns: Vec<Column>) -> PathBuf {
    let path = files.put(name, "");
    let mut frame = DataFrame::new_infer_height(columns).expect("columns of one length");
    let file = fs::File::create(&path).expect("a temporary file");
    ParquetWriter::new(file).with_row_group_size(Some(2)).finish(&mut frame).expect("a Parquet file");
    path
}

fn column<T, N: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, N>,
{
    Series::new(name.into(), values).into()
}

#[test]
fn parquet_holds_the_same_readings_as_csv() {
    let texts = ["2016-07-01 05:00:00", "2016-07-01 04:00:00", "2016-07-01 04:00:00", "2016-07-01 06:00:00"];
    let csv: String = texts.iter().zip(["7", "7", "7", "8"]).map(|(time, name)| format!("{time},{name},1\n")).collect();
    let (expected, csv_summary) = strict(format!("{HEADER}{csv}")).expect("readings");

    let seconds = texts.map(at);
    let datetime = |unit, per_second: i64| {
        let ticks = seconds.map(|time| time * per_second + per_second / 2);
        column("time", ticks).cast(&DataType::Datetime(unit, None)).expect("a datetime")
    };
    let times = [
        datetime(TimeUnit::Nanoseconds, 1_000_000_000),
        datetime(TimeUnit::Microseconds, 1_000_000),
        datetime(TimeUnit::Milliseconds, 1_000),
        column("time", texts),
        column("time", seconds),
    ];
    let names =
        [column("device", ["7", "7", "7", "8"]), column("device", [7_i64, 7, 7, 8]), column("device", [7_u8, 7, 7, 8])];
    let motions = [
        column("device_activated", [true; 4]),
        column("device_activated", [1_i64; 4]),
        column("device_activated", [1_i8; 4]),
        column("device_activated", [1.0_f32; 4]),
        column("device_activated", ["on"; 4]),
    ];
    let files = Files::new();
    for time in &times {
        for name in &names {
            for motion in &motions {
                let columns = vec![motion.clone(), name.clone(), column("note", ["x"; 4]), time.clone()];
                let path = parquet(&files, "readings.parquet", columns);
                let (readings, summary) = read(&[path], &STRICT, &Calendar::default()).expect("readings");
                assert_eq!(readings, expected, "{:?} {:?} {:?}", time.dtype(), name.dtype(), motion.dtype());
                assert_eq!(summary.files[0].counts, csv_summary.files[0].counts);
            }
        }
    }
}

#[test]
fn parquet_times_in_utc_need_a_zone() {
    let files = Files::new();
    let times = column("time", [at("2016-07-01 02:00:00") * 1000]);
    let times = times.cast(&DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC))).expect("a datetime");
    let path = parquet(&files, "a.parquet", vec![times, column("device", ["a"]), column("device_activated", [1_i32])]);
    let error = message(read(std::slice::from_ref(&path), &STRICT, &Calendar::default()));
    assert!(error.starts_with("a.parquet: column time: expected local wall time, found the type Timestamp"), "{error}");
    assert!(error.ends_with("\nhint: the times are UTC: give the site's time zone with --timezone"), "{error}");
    let (readings, _) = read(&[path], &STRICT, &Calendar::new(Some(Tz::Europe__Berlin))).expect("readings");
    assert_eq!(readings.devices, [device("a", &["2016-07-01 02:00:00"])]);
}

#[test]
fn bad_rows_of_parquet_are_named_by_row() {
    let files = Files::new();
    let columns = vec![
        column(
            "time",
            ["2016-07-01 04:00:00", "2016-07-01 05:00:00", "2016-07-01 06:00:00", "x", "2016-07-01 08:00:00"],
        ),
        column("device", [Some("a"), Some("a"), None, Some("a"), Some("")]),
        column("device_activated", [Some(1.0), Some(0.5), Some(1.0), None, Some(1.0)]),
    ];
    let path = parquet(&files, "a.parquet", columns);
    let (readings, summary) = read(&[path], &LENIENT, &Calendar::default()).expect("readings");
    check(&readings, &summary);
    let refused: Vec<_> = summary.refusals().map(|r| (r.line, r.column, r.found.as_str())).collect();
    let value = Some("device_activated");
    assert_eq!(
        refused,
        [(2, value, "0.5"), (3, Some("device"), "null"), (4, Some("time"), "x"), (5, Some("device"), "")]
    );
    assert!(
        summary.refusals().all(|refusal| refusal.to_string().contains(&format!("a.parquet: row {}, ", refusal.line)))
    );
}

#[test]
fn a_parquet_file_of_other_columns_says_so() {
    let files = Files::new();
    let lacking = parquet(&files, "a.parquet", vec![column("time", ["x"]), column("device", ["a"])]);
    let error = message(read(&[lacking], &STRICT, &Calendar::default()));
    let expected = "a.parquet: the header has no column \"device_activated\": expected time, device and \
                    device_activated, found \"time, device\"";
    assert!(error.starts_with(expected), "{error}");
    let columns = vec![column("time", [1.5]), column("device", ["a"]), column("device_activated", [1])];
    let error = message(read(&[parquet(&files, "b.parquet", columns)], &STRICT, &Calendar::default()));
    assert!(
        error.starts_with("b.parquet: column time: expected datetimes, text or 64-bit seconds, found the type Float64")
    );
}

#[test]
fn a_damaged_parquet_file_is_an_error() {
    let files = Files::new();
    let columns = || {
        vec![column("time", ["2016-07-01 04:00:00"; 9]), column("device", ["a"; 9]), column("device_activated", [1; 9])]
    };
    let whole = fs::read(parquet(&files, "whole.parquet", columns())).expect("bytes");
    for length in (0..whole.len()).step_by(7) {
        let path = files.put("cut.parquet", &whole[..length]);
        assert!(read(&[path], &LENIENT, &Calendar::default()).is_err(), "cut to {length} bytes");
    }
    let error = message(read(&[files.put("a.parquet", HEADER)], &STRICT, &Calendar::default()));
    assert!(error.starts_with("a.parquet: cannot be read as Parquet: "), "{error}");
    let error = message(read(&[files.put("b.parquet", "")], &STRICT, &Calendar::default()));
    assert!(error.starts_with("b.parquet: the file is empty"), "{error}");
}

#[test]
fn the_sample_is_read_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/device_activations.csv");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return;
    }
    let calendar = Calendar::default();
    let (readings, summary) = read(&[path], &STRICT, &calendar).expect("readings");
    check(&readings, &summary);
    // `tail -n +2 FILE | sort | uniq -d | wc -l` gives the same number of duplicates.
    assert_eq!((summary.rows, summary.duplicates, summary.devices), (6761, 34, 7));
    let profile = profile(&readings, &calendar);
    assert_eq!(profile.silent_workdays.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2016-08-15"]);
    assert!((0.15..0.25).contains(&profile.occupied_share), "{}", profile.occupied_share);
    assert!(profile.devices[0].first.starts_with("2016-07-2"), "device_1 came late: {}", profile.devices[0].first);
    assert!(profile.devices[6].longest_silence_days > 18.0);
    assert!(profile.devices.iter().all(|device| !device.chattering));
}

/// A row, and the way it is written.
#[derive(Debug, Clone)]
struct Row {
    device: usize,
    time: Timestamp,
    motion: bool,
    quoted: [bool; 3],
    end: &'static str,
    /// Instead of the row itself: something that must be refused.
    bad: Option<&'static str>,
}

fn rows(bad: bool) -> impl Strategy<Value = Vec<Row>> {
    let bad = if bad {
        prop_oneof![
            3 => Just(None),
            1 => prop::sample::select(vec!["x,y,z", "a", ",,", "\"\n\n\",d,1", "2016-07-01 00:00:00,d,\"1\r\n\""]).prop_map(Some)
        ]
        .boxed()
    } else {
        Just(None).boxed()
    };
    let end = prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\n \n", "\r\n\n"]);
    // Few devices and instants, so that many rows are duplicates.
    let time = prop_oneof![1_467_345_600_i64..1_467_345_630, 31_536_000_i64..7_289_654_400];
    let row = (0_usize..4, time, prop::bool::weighted(0.9), any::<[bool; 3]>(), end, bad);
    let row = row.prop_map(|(device, time, motion, quoted, end, bad)| Row { device, time, motion, quoted, end, bad });
    prop::collection::vec(row, 0..60)
}

fn cell(text: &str, quoted: bool) -> String {
    if quoted || text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The rows as CSV, and the line on which each begins, were line ends `\n`, `\r\n` and `\r`.
fn write(rows: &[Row], names: &[String; 4], bom: bool, last_end: bool) -> (String, Vec<u64>) {
    let calendar = Calendar::default();
    let mut text = String::from(if bom { "\u{feff}" } else { "" }) + HEADER;
    let mut lines = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        lines.push(1 + text.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64);
        let time = calendar.format(row.time);
        let cells = [time.as_str(), &names[row.device], if row.motion { "1" } else { "0" }];
        let cells: Vec<String> = cells.iter().zip(row.quoted).map(|(text, quoted)| cell(text, quoted)).collect();
        text += &row.bad.map_or(cells.join(","), String::from);
        if last_end || at + 1 < rows.len() {
            text += row.end;
        }
    }
    (text, lines)
}

fn names() -> impl Strategy<Value = [String; 4]> {
    let name = "[a-zA-Z0-9_,\" .äß#;'-]{1,12}".prop_map(|name| name.trim().to_owned());
    [name.clone(), name.clone(), name.clone(), name].prop_filter("names", |names| names.iter().all(|n| !n.is_empty()))
}

proptest! {
    #[test]
    fn valid_rows_read_back_however_they_are_written(
        rows in rows(false), names in names(), bom: bool, last_end: bool,
    ) {
        let mut expected: BTreeMap<String, [BTreeSet<Timestamp>; 2]> = BTreeMap::new();
        for row in &rows {
            expected.entry(names[row.device].clone()).or_default()[usize::from(!row.motion)].insert(row.time);
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(device, edges)| (device, edges.map(|times| times.into_iter().collect())))
            .map(|(device, [times, offs])| DeviceReadings { device, times, offs })
            .filter(|device| !device.times.is_empty())
            .collect();
        let (text, _) = write(&rows, &names, bom, last_end);
        let (readings, summary) = strict(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        check(&readings, &summary);
        prop_assert_eq!(summary.rows, rows.len() as u64);
        prop_assert_eq!(summary.no_motion, rows.iter().filter(|row| !row.motion).count() as u64);
        prop_assert_eq!(readings.devices, expected);
    }

    #[test]
    fn refused_rows_are_named_by_the_line_they_begin_on(
        rows in rows(true), names in names(), bom: bool, last_end: bool,
    ) {
        let (text, lines) = write(&rows, &names, bom, last_end);
        let (readings, summary) = read_bytes(&text, &LENIENT).expect("a summary");
        check(&readings, &summary);
        let bad = rows.iter().zip(lines).filter(|(row, _)| row.bad.is_some()).map(|(_, line)| line);
        let expected: Vec<u64> = bad.take(MAX_REFUSALS).collect();
        prop_assert_eq!(summary.refusals().map(|refusal| refusal.line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool, columns: bool,
    ) {
        let mut content = if header { HEADER.as_bytes().to_vec() } else { Vec::new() };
        content.extend(bytes.iter().map(|&byte| if columns { b",\"\n\r10 -:a\xe9"[usize::from(byte) % 11] } else { byte }));
        if let Ok((readings, summary)) = read_bytes(&content, &LENIENT) {
            check(&readings, &summary);
        }
        let files = Files::new();
        let _ = read(&[files.put("any.parquet", &content)], &LENIENT, &Calendar::default());
    }
}
