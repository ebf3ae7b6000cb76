//! Training step by step in processes of its own: the same models as `train`, and nothing from a torn stream.

mod publish;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use assert_cmd::Command;
use polars::prelude::*;
use roomcast_forecast::calendar::{Calendar, HOUR};
use roomcast_forecast::readings::{self, DeviceReadings, ReadOptions, Times};
use roomcast_forecast::train::shard::arrow;
use tempfile::TempDir;

pub const UNTIL: &str = "2016-08-20 12:30:00";
/// What a whole stream ends with.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/device_activations.csv")
}

pub fn roomcast(args: &[&str], stdin: Vec<u8>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().args(args).write_stdin(stdin).output().unwrap()
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One step, which must do what it should.
fn step(args: &[&str], stdin: Vec<u8>) -> DataFrame {
    let output = roomcast(args, stdin);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    assert!(output.stdout.ends_with(&END));
    IpcStreamReader::new(Cursor::new(output.stdout)).finish().unwrap()
}

/// The devices of the sample before [`UNTIL`]; as `nonsense` with every other day moved into the night.
pub fn devices(nonsense: bool) -> Vec<DeviceReadings> {
    let calendar = Calendar::default();
    let mut devices = readings::read(&[sample()], &ReadOptions::default(), &calendar).unwrap().0.devices;
    for device in &mut devices {
        let moves = |time: i64| nonsense && time.div_euclid(24 * HOUR) % 2 == 0;
        let moved = device.times.iter().map(|time| if moves(time) { time + 11 * HOUR } else { time });
        device.times = Times::from_iter(moved).before(calendar.parse(UNTIL).unwrap());
    }
    devices
}

type Row = (Option<String>, i64, [Option<Vec<i32>>; 2]);

/// The rows of devices; of those that never say `off` without `seconds`, as the building takes them.
fn rows(devices: &[DeviceReadings], seconds: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for device in devices {
        let edges: Vec<(i64, bool)> = device.edges().collect();
        for hour in edges.chunk_by(|a, b| a.0.div_euclid(HOUR) == b.0.div_euclid(HOUR)) {
            let of = |is_motion| {
                let edges = hour.iter().filter(|edge| edge.1 == is_motion);
                Some(edges.map(|edge| edge.0.rem_euclid(HOUR) as i32).collect())
            };
            let ons = if seconds || !device.offs.is_empty() { of(true) } else { Some(vec![0]) };
            rows.push((Some(device.device.clone()), hour[0].0 - hour[0].0.rem_euclid(HOUR), [ons, of(false)]));
        }
    }
    rows
}

fn columns(rows: &[Row]) -> Vec<Column> {
    let mut columns = vec![
        Column::new("device".into(), rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>()),
        Column::new("hour".into(), rows.iter().map(|row| row.1).collect::<Vec<_>>()),
    ];
    for (at, name) in ["seconds", "offs"].into_iter().enumerate() {
        let mut lists = ListPrimitiveChunkedBuilder::<Int32Type>::new(name.into(), rows.len(), 8, DataType::Int32);
        rows.iter().for_each(|row| lists.append_opt_slice(row.2[at].as_deref()));
        columns.push(lists.finish().into_column());
    }
    columns
}

fn schema() -> [(&'static str, DataType); 4] {
    let seconds = || DataType::List(Box::new(DataType::Int32));
    [("device", DataType::String), ("hour", DataType::Int64), ("seconds", seconds()), ("offs", seconds())]
}

/// A stream of batches of a thousand rows, without the row that ends it; then with it.
fn encoded(rows: &[Row]) -> (Vec<u8>, Vec<u8>) {
    let stream = |last: Option<Row>| {
        let mut output = arrow::Output::start(Vec::new(), &schema()).unwrap();
        rows.chunks(1000).for_each(|chunk| output.write(columns(chunk)).unwrap());
        last.into_iter().for_each(|last| output.write(columns(&[last])).unwrap());
        output.finish().unwrap()
    };
    let torn = stream(None);
    (torn[..torn.len() - END.len()].to_vec(), stream(Some((None, rows.len() as i64, [None, None]))))
}

fn whole(devices: &[DeviceReadings], seconds: bool) -> Vec<u8> {
    encoded(&rows(devices, seconds)).1
}

fn save(frame: &DataFrame, path: &Path) {
    let site = frame.column("site").unwrap().binary().unwrap().get(0).unwrap().to_vec();
    std::fs::write(path, site).unwrap();
}

/// A run as Spark writes one, of the sample's readings or of nonsense; its sites are beside.
pub fn run_of(nonsense: bool) -> TempDir {
    fitted_run(&devices(nonsense), UNTIL)
}

/// A run of these devices, whose readings are before `until`.
pub fn fitted_run(all: &[DeviceReadings], until: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = all.split_at(3);
    let building = dir.path().join("building.bin");
    save(&step(&["worker", "building", "--until", until], whole(all, false)), &building);
    let on_building = |name: &'static str, input| step(&["worker", name, "--site", building.to_str().unwrap()], input);
    // The samples of two processes, in one table.
    let parts = [first, second].map(|part| on_building("sample", whole(part, true)));
    let mut samples = parts[0].vstack(&parts[1]).unwrap();
    let last =
        df!("device" => [None::<&str>], "rows" => [samples.height() as i64], "sample" => [None::<&[u8]>]).unwrap();
    samples.vstack_mut(&last).unwrap();
    let mut input = Vec::new();
    IpcStreamWriter::new(&mut input).finish(&mut samples).unwrap();
    let mut fitted = on_building("site", input);
    let site = dir.path().join("site.bin");
    save(&fitted, &site);
    part(&mut fitted, &dir.path().join("run/site"), 0);
    for (at, devices) in [first, second].into_iter().enumerate() {
        let mut models = step(&["worker", "devices", "--site", site.to_str().unwrap()], whole(devices, true));
        part(&mut models, &dir.path().join("run/devices"), at);
    }
    dir
}

/// A Parquet file of a table of a run that has ended.
pub fn part(frame: &mut DataFrame, table: &Path, at: usize) {
    std::fs::create_dir_all(table).unwrap();
    let file = std::fs::File::create(table.join(format!("part-{at:05}.snappy.parquet"))).unwrap();
    ParquetWriter::new(file).finish(frame).unwrap();
    std::fs::write(table.join("_SUCCESS"), "").unwrap();
}

/// The run of the sample, made once for all tests.
pub fn run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(|| run_of(false)).path()
}

/// The site with its layers.
fn site() -> String {
    run().join("site.bin").to_str().unwrap().to_owned()
}

/// Asserts that a step fails as it should, and that nobody can take what it has written for a whole stream.
fn fails(args: &[&str], stdin: Vec<u8>, with: &str) {
    let output = roomcast(args, stdin);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
    assert!(!output.stdout.ends_with(&END), "{args:?}");
    assert!(said(&output).contains(with), "{args:?}: {} instead of {with}", said(&output));
}

#[test]
fn a_stream_cut_off_anywhere_fails() {
    let all = devices(false);
    let (torn, whole) = encoded(&rows(&all, true));
    let site = site();
    let args = ["worker", "sample", "--site", &site];
    assert!(roomcast(&args, whole.clone()).status.success());
    let places = (0..20).map(|at| torn.len() * at / 20).chain([1, 5, torn.len() - 1, torn.len()]);
    for place in places {
        fails(&args, whole[..place].to_vec(), "");
    }
    // Between two batches Arrow itself sees nothing wrong.
    fails(&args, torn.clone(), "without an end row");
    fails(&["worker", "devices", "--site", &site], torn, "without an end row");
    let (torn, _) = encoded(&rows(&all, false));
    fails(&["worker", "building", "--until", UNTIL], torn, "without an end row");
}

#[test]
fn a_wrong_number_of_rows_fails() {
    let site = site();
    let args = ["worker", "devices", "--site", &site];
    for announced in [0, 3, -1] {
        let mut few = rows(&devices(false)[..1], true);
        few.truncate(4);
        few.push((None, announced, [None, None]));
        let stream = {
            let mut output = arrow::Output::start(Vec::new(), &schema()).unwrap();
            output.write(columns(&few)).unwrap();
            output.finish().unwrap()
        };
        fails(&args, stream, &format!("4 rows arrived, {announced} were announced"));
    }
}

#[test]
fn other_columns_fail_with_those_that_are_read() {
    let site = site();
    let mut named =
        df!("device" => ["a"], "hour" => [0_i64], "seconds" => [Series::new("".into(), [1_i32])], "room" => ["b"])
            .unwrap();
    let mut stream = Vec::new();
    IpcStreamWriter::new(&mut stream).finish(&mut named).unwrap();
    fails(
        &["worker", "building", "--until", UNTIL],
        stream.clone(),
        "hour (i64), seconds (list[i32]), offs (list[i32])",
    );
    fails(&["worker", "devices", "--site", &site], stream, "room (str)");
    fails(&["worker", "devices", "--site", &site], b"time,device,device_activated\n".to_vec(), "no Arrow IPC stream");
    fails(&["worker", "devices", "--site", &site], Vec::new(), "no Arrow IPC stream");
}

#[test]
fn rows_that_cannot_be_fail_with_their_number() {
    let site = site();
    let good = rows(&devices(false)[..2], true);
    let with = |change: &dyn Fn(&mut Vec<Row>), expected: &str| {
        let mut rows = good.clone();
        change(&mut rows);
        fails(&["worker", "devices", "--site", &site], encoded(&rows).1, expected);
    };
    with(&|rows| rows.swap(4, 5), "row 6: rows are not in ascending order");
    with(&|rows| rows[2] = rows[1].clone(), "row 3: rows are not in ascending order");
    with(&|rows| rows[0].1 += 60, "row 1: 1467");
    with(&|rows| rows[3].2[0] = Some(vec![20, 10]), "row 4: the seconds");
    with(&|rows| rows[3].2[1] = Some(vec![3600]), "row 4: the seconds");
    with(&|rows| rows[3].2[0] = Some(Vec::new()), "row 4: the seconds");
    with(&|rows| rows[3].2[1] = None, "row 4: there are no seconds");
    // A row of a wrong clock, from before the site was in use, ends nothing.
    let mut early = good.clone();
    early[0].1 -= 400 * 24 * HOUR;
    assert_eq!(step(&["worker", "devices", "--site", &site], encoded(&early).1).height(), 2);
    with(&|rows| rows[0].0 = Some(String::new()), "row 1: expected a device name");
    // Nothing may be known of the future at all.
    fails(&["worker", "building", "--until", "2130-01-01 00:00:00"], whole(&devices(false), false), "is in the future");
}

#[test]
fn hours_of_a_clock_that_is_ahead_end_no_step_and_are_named() {
    let ahead = |more: &[(&str, Vec<i32>)]| {
        let mut all = rows(&devices(false)[..2], true);
        for (time, seconds) in more {
            let hour = Calendar::default().parse(time).unwrap();
            all.push((Some("device_9".into()), hour, [Some(seconds.clone()), Some(vec![])]));
        }
        all
    };
    // Without --until, the site is that of the readings before the clock that is ahead.
    let dir = tempfile::tempdir().unwrap();
    let site = |name: &str, rows: &[Row]| {
        let output = roomcast(&["worker", "building"], encoded(rows).1);
        assert!(output.status.success(), "{}", said(&output));
        let frame = IpcStreamReader::new(Cursor::new(output.stdout.clone())).finish().unwrap();
        let site = frame.column("site").unwrap().binary().unwrap().get(0).unwrap().to_vec();
        std::fs::write(dir.path().join(name), &site).unwrap();
        site
    };
    let far = [("2100-01-01 12:00:00", vec![5])];
    assert!(site("with", &ahead(&far)) == site("without", &ahead(&[])), "the sites differ");
    // At the end of what is learned from, only the seconds before it count.
    let args = ["worker", "devices", "--site", &self::site()].map(str::to_owned);
    let args = args.each_ref().map(String::as_str);
    let fitted = |more: &[(&str, Vec<i32>)]| {
        let output = roomcast(&args, encoded(&ahead(more)).1);
        assert!(output.status.success(), "{}", said(&output));
        (IpcStreamReader::new(Cursor::new(output.stdout.clone())).finish().unwrap().height(), said(&output))
    };
    let (height, said) = fitted(&[("2016-08-20 12:00:00", vec![1800]), far[0].clone()]);
    assert!(height == 2 && said.contains("hours=2") && said.contains("12:00:00 of device_9"), "{height} {said}");
    assert_eq!(fitted(&[("2016-08-20 12:00:00", vec![1799, 1800])]).0, 3);
}

#[test]
fn a_site_that_is_damaged_or_not_fitted_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("site.bin");
    let good = std::fs::read(run().join("site.bin")).unwrap();
    let args = ["worker", "devices", "--site", path.to_str().unwrap()];
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for (bytes, expected) in
        [(&flipped, "checksum"), (&good[..good.len() - 9].to_vec(), "checksum"), (&vec![1], "begin")]
    {
        std::fs::write(&path, bytes).unwrap();
        fails(&args, whole(&devices(false), true), expected);
    }
    std::fs::copy(run().join("building.bin"), &path).unwrap();
    fails(&args, whole(&devices(false), true), "no layers");
    std::fs::remove_file(&path).unwrap();
    fails(&args, whole(&devices(false), true), "cannot read");
}

#[test]
fn no_devices_are_a_whole_table_without_rows() {
    assert_eq!(step(&["worker", "devices", "--site", &site()], whole(&[], true)).height(), 0);
    fails(&["worker", "building", "--until", UNTIL], whole(&[], false), "no readings to train on");
}
