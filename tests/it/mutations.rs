//! Damaged input of every kind: it is an error or it is read, and nothing panics, aborts, hangs or takes memory without bound.
//!
//! `ROOMCAST_CASES` says how many cases each reader gets; `make attack` gives 20,000. A case follows from its number, which a
//! failure names: `ROOMCAST_CASE=17` runs it alone.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use polars::prelude::*;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roomcast_forecast::calendar::{Calendar, days_off};
use roomcast_forecast::features::WIDTH;
use roomcast_forecast::model::codec::{decode_device, encode_device};
use roomcast_forecast::model::trees::Trees;
use roomcast_forecast::readings::{Layout, ReadOptions, read};
use roomcast_forecast::rooms::Rooms;
use roomcast_forecast::train::shard::arrow::{Input, Output};
use roomcast_server::ingest::payload::form::Form;
use roomcast_server::ingest::payload::message::Reader;
use roomcast_server::ingest::payload::rows::{self, Media};
use roomcast_storage::registry::Registry;

use crate::files::{home_assistant, pack};
use crate::serve::client::{Answer, Server, receive, registry, roomcast, sample, wait};
use crate::store::place::Place;
use crate::stream::bench::serve;

/// The longest time of a case.
const PATIENCE: Duration = Duration::from_secs(120);

/// Memory in KiB that a process may have taken at any time.
const MOST_MEMORY: u64 = 2 << 20;

const LENIENT: ReadOptions = ReadOptions::LENIENT;

/// Numbers that lengths and offsets are replaced by.
const NUMBERS: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, 1 << 62, i64::MAX as u64, u64::MAX];

/// Damages bytes: flips, overwrites, cuts, repeats, moves or inserts some, up to four times.
fn damage(random: &mut ChaCha8Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return vec![random.random(); random.random_range(0..64)];
        }
        let at = random.random_range(0..bytes.len());
        let length = random.random_range(1..=(bytes.len() - at).min(64));
        match random.random_range(0..9) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => random.fill_bytes(&mut bytes[at..at + length]),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + length)),
            5 => {
                let part = bytes[at..at + length].to_vec();
                let times = *[1, 2, 100, 3000].choose(random).unwrap();
                bytes.splice(at..at, part.repeat(times));
            }
            6 => {
                let to = random.random_range(0..bytes.len());
                let part: Vec<u8> = bytes.drain(at..at + length).collect();
                let to = to.min(bytes.len());
                bytes.splice(to..to, part);
            }
            7 => {
                // A length, of as many bytes as such a number may have.
                let number = NUMBERS.choose(random).unwrap().to_le_bytes();
                let width = (*[1, 2, 4, 8].choose(random).unwrap()).min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            _ => {
                // The same as a varint, or as text.
                let mut number = *NUMBERS.choose(random).unwrap();
                let mut part = Vec::new();
                if random.random() {
                    part.extend(number.to_string().into_bytes());
                } else {
                    while number > 0x7f {
                        part.push(number as u8 | 0x80);
                        number >>= 7;
                    }
                    part.push(number as u8);
                }
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part);
            }
        }
    }
    bytes
}

/// The numbers of the cases of this run: `few`, unless the environment says otherwise.
fn cases(few: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("ROOMCAST_CASE") {
        Some(case) => case..case + 1,
        None => 0..number("ROOMCAST_CASES").unwrap_or(few),
    }
}

/// Memory in KiB that a process has taken at most so far.
fn memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Gives every case, one of the inputs damaged, to `take`, on `threads` threads. Ends the process when a case takes too long.
fn attack(few: u64, threads: u64, inputs: &[Vec<u8>], take: impl Fn(&mut ChaCha8Rng, u64, usize, Vec<u8>) + Sync) {
    let cases = cases(few);
    let next = AtomicU64::new(cases.start);
    let running: Vec<Mutex<Option<(u64, Instant)>>> = (0..threads).map(|_| Mutex::new(None)).collect();
    let is_over = |case: &Mutex<Option<(u64, Instant)>>| {
        case.lock().unwrap().filter(|(_, since)| since.elapsed() > PATIENCE).map(|(case, _)| case)
    };
    let ended = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for running in &running {
            let (next, ended, cases, take) = (&next, &ended, &cases, &take);
            scope.spawn(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    while let Some(case) = Some(next.fetch_add(1, SeqCst)).filter(|case| cases.contains(case)) {
                        *running.lock().unwrap() = Some((case, Instant::now()));
                        let mut random = ChaCha8Rng::seed_from_u64(case);
                        let which = random.random_range(0..inputs.len());
                        let bytes = damage(&mut random, inputs[which].clone());
                        take(&mut random, case, which, bytes);
                    }
                }));
                let last = running.lock().unwrap().take();
                ended.fetch_add(1, SeqCst);
                if let Err(panic) = outcome {
                    eprintln!("case {last:?} failed");
                    resume_unwind(panic);
                }
            });
        }
        while ended.load(SeqCst) < threads {
            if let Some(case) = running.iter().find_map(is_over) {
                eprintln!("case {case} takes too long");
                std::process::exit(101);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let taken = memory("self");
    assert!(taken < MOST_MEMORY, "{taken} KiB");
}

fn path(place: &tempfile::TempDir, case: u64, extension: &str) -> std::path::PathBuf {
    place.path().join(format!("{case}.{extension}"))
}

#[test]
fn damaged_csv_is_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(sample()).unwrap();
    let head: String = text.lines().take(40).map(|line| format!("{line}\n")).collect();
    let quoted =
        "\u{feff}device,\"time\",device_activated,more\r\n\"a, b\",2016-07-01T04:23,on,\"x\"\"y\"\r\n".repeat(8);
    attack(2000, 1, &[head.into_bytes(), quoted.into_bytes()], |_, case, _, bytes| {
        let file = path(&place, case, "csv");
        std::fs::write(&file, bytes).unwrap();
        let _ = read(std::slice::from_ref(&file), &LENIENT, &Calendar::new(Some(chrono_tz::Europe::Berlin)));
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn damaged_foreign_files_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let rows = |header: &str, row: &dyn Fn(u32) -> String| {
        std::iter::once(header.to_owned()).chain((0..40).map(row)).map(|line| line + "\n").collect::<String>()
    };
    let german =
        rows("Zeitstempel;Raum;Belegt", &|n| format!("{:02}.07.2016 04:{n:02};Küche, {};WAHR", n % 28 + 1, n % 3));
    let us = rows("time\tdevice\tstate", &|n| format!("7/{}/2016 4:{n:02} PM\thall\toff", n % 28 + 1));
    let wide =
        rows("time,hall,\"room, 1\",loft", &|n| format!("2016-07-01 {:02}:{:02}:00,{},0,", n / 4, n % 4 * 15, n % 3));
    let bare = rows("1467345600,7,1", &|n| format!("{},{},{}", 1_467_345_600 + n * 60, n % 5, n % 2));
    let text = [german, us, wide, bare];
    let mut inputs: Vec<Vec<u8>> = text.iter().map(|text| text.clone().into_bytes()).collect();
    inputs.extend([pack::utf16(&text[0], false), pack::utf16(&text[2], true), pack::gzip(text[1].as_bytes())]);
    inputs.push(pack::zstd(text[0].as_bytes()));
    attack(2000, 1, &inputs, |random, case, _, bytes| {
        let file = path(&place, case, "csv");
        std::fs::write(&file, bytes).unwrap();
        let layout = Layout {
            interval_end: random.random(),
            occupied_above: random.random::<bool>().then_some(0.0),
            ..Layout::FOUND
        };
        let options = ReadOptions { layout, ..LENIENT };
        let _ = read(std::slice::from_ref(&file), &options, &Calendar::new(Some(chrono_tz::Europe::Berlin)));
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn damaged_workbooks_and_databases_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let header: Vec<pack::Cell> = ["time", "device", "state"].map(pack::Cell::from).into();
    let row = |n: u32| {
        vec![pack::Cell::Date(42_552.0 + f64::from(n) / 96.0), "hall".into(), pack::Cell::Number(f64::from(n % 2))]
    };
    let workbook = pack::workbook(&std::iter::once(header).chain((0..60).map(row)).collect::<Vec<_>>());
    let database = place.path().join("home-assistant_v2.db");
    home_assistant::write(&database, true);
    let inputs = [workbook, std::fs::read(database).unwrap()];
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    attack(60, threads, &inputs, |_, case, which, bytes| {
        let file = path(&place, case, ["xlsx", "db"][which]);
        std::fs::write(&file, bytes).unwrap();
        let arguments = ["--timezone", "Europe/Berlin"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().arg("inspect").arg(&file).args(arguments).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)) && !said.contains("panicked"), "case {case}: {said}");
        std::fs::remove_file(file).unwrap();
    });
}

/// Small Parquet files: of the simulator, and with other types, encodings and compressions.
fn parquet() -> Vec<Vec<u8>> {
    let count = 400;
    let seconds: Vec<i64> = (0..count).map(|row| 1_467_000_000 + row * 37).collect();
    let text: Vec<String> = seconds.iter().map(|time| Calendar::default().format(*time)).collect();
    let names: Vec<String> = seconds.iter().map(|time| format!("device_{}", time % 7)).collect();
    let motion: Vec<bool> = seconds.iter().map(|time| time % 3 == 0).collect();
    let numbers: Vec<u16> = seconds.iter().map(|time| (time % 5) as u16).collect();
    let zoned = Series::new("time".into(), seconds.iter().map(|time| time * 1000).collect::<Vec<_>>());
    let zoned = zoned.cast(&DataType::Datetime(TimeUnit::Milliseconds, None)).unwrap();
    let ones = Series::new("device_activated".into(), vec![1_i32; count as usize]);
    let frames = [
        vec![zoned.into_column(), Column::new("device".into(), &names), ones.into_column()],
        vec![
            Column::new("time".into(), &text),
            Column::new("device".into(), &numbers),
            Column::new("device_activated".into(), &motion),
        ],
        vec![
            Column::new("time".into(), &seconds),
            Column::new("device".into(), &names),
            Column::new("device_activated".into(), motion.iter().map(|on| f64::from(*on as u8)).collect::<Vec<_>>()),
        ],
    ];
    let compressions = [
        ParquetCompression::Zstd(None),
        ParquetCompression::Uncompressed,
        ParquetCompression::Snappy,
        ParquetCompression::Gzip(None),
    ];
    let write = |columns: &Vec<Column>, compression| {
        let mut bytes = Vec::new();
        let mut frame = DataFrame::new(count as usize, columns.clone()).unwrap();
        ParquetWriter::new(&mut bytes)
            .with_compression(compression)
            .with_row_group_size(Some(150))
            .finish(&mut frame)
            .unwrap();
        bytes
    };
    frames.iter().flat_map(|frame| compressions.iter().map(|compression| write(frame, *compression))).collect()
}

/// Reads a file with the program and asserts that it ends as a program should.
fn inspect(file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_roomcast")).env_clear().arg("inspect").arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => {}
        Some(1) => assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}"),
        _ => panic!("{:?}: {said}", output.status),
    }
    said
}

#[test]
fn damaged_parquet_is_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    attack(80, threads, &parquet(), |_, case, _, bytes| {
        let file = path(&place, case, "parquet");
        std::fs::write(&file, bytes).unwrap();
        inspect(&file);
        std::fs::remove_file(file).unwrap();
    });
}

/// Parquet files of less than 4 KB, each with one page that says it has more rows than it has.
fn parquet_that_claims_too_much(place: &Path) -> Vec<Vec<u8>> {
    let file = place.join("small.parquet").display().to_string();
    let made = ["simulate", "--devices", "3", "--from", "2026-01-01", "--to", "2026-01-08", "--output", &file];
    assert!(roomcast(&made).status.success());
    let whole = std::fs::read(file).unwrap();
    assert!(whole.len() < 4 << 10);
    // In a page's header the number of its rows follows these two bytes, here as a number of two bytes.
    let is_count = |at: &usize| matches!(whole[*at..], [0x2c, 0x15, 0x80..=0xff, 0..=0x7f, ..]);
    let damaged = |at: usize| [&whole[..at + 2], b"\xff\x7f", &whole[at + 4..]].concat();
    let damaged: Vec<Vec<u8>> = (0..whole.len()).filter(is_count).map(damaged).collect();
    assert_eq!(damaged.len(), 3);
    damaged
}

/// Such a file made the reader reserve two exabytes, which ended the process.
#[test]
fn a_small_parquet_file_that_claims_much_does_not_end_the_server_that_watches_it() {
    let (models, place) = (registry(), tempfile::tempdir().unwrap());
    let file = place.path().join("in.parquet");
    let damaged = parquet_that_claims_too_much(place.path());
    std::fs::copy(place.path().join("small.parquet"), &file).unwrap();
    let input = ["--input", file.to_str().unwrap(), "--models", models.path().to_str().unwrap()];
    let server = Server::with(&input, &[]);
    let devices = server.get("/devices").text();
    for bytes in damaged {
        std::fs::write(&file, bytes).unwrap();
        wait("the error", || {
            let error = server.get("/models").json()["error"].to_string();
            error.contains("in.parquet: cannot be read as Parquet: the file is damaged")
        });
        // A new server does not start, and says why.
        let output = roomcast(&[&["serve", "--no-auth", "--bind", "127.0.0.1:0"], &input[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("in.parquet: cannot be read as Parquet"), "{said}");
        std::fs::copy(place.path().join("small.parquet"), &file).unwrap();
        wait("the end of the error", || server.get("/models").json()["error"].is_null());
    }
    assert_eq!(server.get("/devices").text(), devices);
}

#[test]
fn rows_that_are_read_apart_are_those_that_are_read_here() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.parquet");
    let column = |name: &str, cells: [&str; 5]| Column::new(name.into(), cells);
    let columns = vec![
        column(
            "time",
            ["2016-07-01 00:00:00", "no time", "2016-07-01T00:00:07", "2016-07-01 00:00:09", "2016-07-01 00:00:00"],
        ),
        column("device", ["a", "a", " b ", "", "a"]),
        column("device_activated", ["1", "1", "0", "on", "true"]),
    ];
    ParquetWriter::new(std::fs::File::create(&file).unwrap()).finish(&mut DataFrame::new(5, columns).unwrap()).unwrap();
    let name = file.to_str().unwrap();
    let (_, here) = read(std::slice::from_ref(&file), &LENIENT, &Calendar::default()).unwrap();
    let apart: serde_json::Value = serde_json::from_slice(&roomcast(&["inspect", "--json", name]).stdout).unwrap();
    let here: serde_json::Value = serde_json::to_value(&here).unwrap();
    assert_eq!(apart["files"], here["files"]);
    assert_eq!(here["files"][0]["refused"], 2);
    // And so are errors.
    let missing = place.path().join("b.parquet");
    std::fs::write(&missing, "time,device,device_activated\n").unwrap();
    let here = read(std::slice::from_ref(&missing), &LENIENT, &Calendar::default()).unwrap_err().to_string();
    let apart = String::from_utf8(roomcast(&["inspect", missing.to_str().unwrap()]).stderr).unwrap();
    assert!(apart.contains(&here), "{apart} {here}");
}

/// The columns of a table, and the table as a stream.
type Table = (Vec<(&'static str, DataType)>, Vec<u8>);

fn arrow() -> Vec<Table> {
    let hours = vec![("device", DataType::String), ("hour", DataType::Int64)];
    let readings: Vec<_> =
        hours.iter().cloned().chain([("seconds", DataType::List(Box::new(DataType::Int32)))]).collect();
    let samples = vec![("device", DataType::String), ("rows", DataType::Int64), ("sample", DataType::Binary)];
    let names: Vec<Option<String>> = (0..60).map(|row| (row < 59).then(|| format!("device_{}", row / 6))).collect();
    let numbers: Vec<i64> = (0..60).map(|row| if row < 59 { row * 3600 } else { 59 }).collect();
    let blobs: Vec<Option<Vec<u8>>> = (0..60).map(|row| (row < 59).then(|| vec![row as u8; 20])).collect();
    let mut lists = ListPrimitiveChunkedBuilder::<Int32Type>::new("seconds".into(), 60, 4, DataType::Int32);
    (0..60).for_each(|row| lists.append_opt_slice((row < 59).then_some(&[1, 2, row][..])));
    let lists = lists.finish().into_column();
    let first = || vec![Column::new("device".into(), &names), Column::new("hour".into(), &numbers)];
    let last = Column::new("sample".into(), blobs.iter().map(|blob| blob.as_deref()).collect::<Vec<_>>());
    let rows = Column::new("rows".into(), &numbers);
    let tables = [
        (hours, first()),
        (readings, first().into_iter().chain([lists]).collect()),
        (samples, vec![Column::new("device".into(), &names), rows, last]),
    ];
    let write = |(schema, columns): (Vec<(&'static str, DataType)>, Vec<Column>)| {
        let mut output = Output::start(Vec::new(), &schema).unwrap();
        output.write(columns.iter().map(|column| column.slice(0, 30)).collect()).unwrap();
        output.write(columns.iter().map(|column| column.slice(30, 30)).collect()).unwrap();
        (schema, output.finish().unwrap())
    };
    tables.into_iter().map(write).collect()
}

#[test]
fn damaged_arrow_streams_are_read_or_refused() {
    let (schemas, streams): (Vec<_>, Vec<_>) = arrow().into_iter().unzip();
    let rows = |which: usize, bytes: &[u8]| {
        let mut input = Input::open(bytes, &schemas[which])?;
        let mut rows = 0;
        while let Some((frame, _)) = input.next_rows()? {
            rows += frame.height();
        }
        Ok::<_, roomcast_forecast::train::shard::ShardError>(rows)
    };
    streams.iter().enumerate().for_each(|(at, whole)| assert_eq!(rows(at, whole).unwrap(), 59));
    attack(1000, 1, &streams, |_, _, which, bytes| drop(rows(which, &bytes)));
}

#[test]
fn damaged_holidays_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let event = |n: u32| {
        format!(
            "BEGIN:VEVENT\r\nUID:{n}\r\nDTSTAMP:20160101T000000Z\r\nDTSTART;VALUE=DATE:201612{n}\r\nDTEND;VALUE=DATE:20161227\r\n\
             SUMMARY:a\r\n  b\r\nBEGIN:VALARM\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\n"
        )
    };
    let timed = "BEGIN:VEVENT\nUID:3\nDTSTART;TZID=Europe/Berlin:20161224T100000\nDTEND:20161224T110000Z\nEND:VEVENT\n";
    let body = format!("{}{}{timed}", event(24), event(25));
    let calendar = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n");
    let csv = "date,name\n2016-08-15,Assumption\n# bridge\n\n2016-10-03;Unity\n\"2016-12-25\"\tChristmas\n";
    attack(1000, 1, &[calendar.into_bytes(), csv.into()], |_, case, which, bytes| {
        let file = path(&place, case, ["ics", "csv"][which]);
        std::fs::write(&file, bytes).unwrap();
        let _ = days_off::read(&file);
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn damaged_tables_of_rooms_are_read_or_refused() {
    let plain = "sensor,room,floor,building,from,to\na,Kitchen,1,HQ,,2026-03-01\nb,Kitchen,1,HQ,2026-03-01 12:00:00,\n\"c\",Lab,,,,\n";
    let other = "Room;to;sensor\nKitchen;2026-03-01T10:00;ä\nLab;;c\n";
    let packed = pack::gzip(plain.as_bytes());
    let inputs = [plain.into(), other.into(), packed, pack::utf16(other, true)];
    for whole in &inputs {
        assert!(Rooms::parse(&whole[..], "rooms", &Calendar::default()).is_ok());
    }
    attack(1000, 1, &inputs, |_, _, _, bytes| {
        if let Ok(rooms) = Rooms::parse(&bytes[..], "rooms", &Calendar::default()) {
            let again = Rooms::parse(&rooms.csv(&Calendar::default())[..], "again", &Calendar::default());
            assert_eq!(again.unwrap(), rooms);
        }
    });
}

#[test]
fn holidays_with_deep_nesting_or_the_last_of_all_dates_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.ics");
    let calendar = |body: String| format!("BEGIN:VCALENDAR\nVERSION:2.0\n{body}END:VCALENDAR\n");
    let deep = calendar("BEGIN:VEVENT\n".repeat(200_000) + &"END:VEVENT\n".repeat(200_000));
    let open = "BEGIN:VCALENDAR\n".repeat(300_000);
    let last = ["+2621421231", "+262142-12-31", "2621421231", "99991231", "-2621430101"].map(|date| {
        calendar(format!("BEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:{date}\nEND:VEVENT\nBEGIN:VEVENT\nUID:2\nDTSTART:{date}T000000\nDTEND:{date}T235959\nEND:VEVENT\n"))
    });
    for text in [deep, open].into_iter().chain(last) {
        std::fs::write(&file, text).unwrap();
        let _ = days_off::read(&file);
    }
}

/// Two trees as LightGBM writes them.
const BOOSTER: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=3\nobjective=binary sigmoid:1\n\n\
    Tree=0\nnum_leaves=4\nnum_cat=0\nsplit_feature=0 1 1\nsplit_gain=60 33 2\nthreshold=0.30100000000000005 -0.2 \
    1.0000000180025095e-35\ndecision_type=2 8 10\nleft_child=1 -1 -3\nright_child=2 -2 -4\nleaf_value=0.1 -0.2 0.3 \
    -0.4\nleaf_count=100 100 100 100\nshrinkage=1\n\n\nTree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.05\nshrinkage=0.1\n\n\n\
    end of trees\n\nfeature_importances:\nColumn_0=1\n";

#[test]
fn damaged_models_are_read_or_refused() {
    let place = registry();
    let registry = Registry::open(place.path());
    let version = registry.current().unwrap().unwrap();
    let (models, _) = registry.load(None).unwrap();
    let names = ["current", "manifest.json", "models.bin", "SHA256SUMS"];
    let file =
        |at: usize| if at == 0 { place.path().join("current") } else { place.path().join(&version).join(names[at]) };
    let mut inputs: Vec<Vec<u8>> = (0..names.len()).map(|at| std::fs::read(file(at)).unwrap()).collect();
    let whole = inputs.clone();
    // Layers and trees by themselves, which no checksum protects.
    inputs.extend(models.devices.values().map(|device| encode_device(device).unwrap()));
    let layers = inputs.len();
    inputs.push(BOOSTER.into());
    assert_eq!(Trees::parse(BOOSTER, WIDTH).unwrap().len(), 2);
    let row = vec![0.5; WIDTH];
    attack(600, 1, &inputs, |_, _, which, bytes| {
        if which >= layers {
            if let Ok(trees) = Trees::parse(&String::from_utf8_lossy(&bytes), WIDTH)
                && trees.check(WIDTH).is_ok()
            {
                assert_eq!(trees.scores(&row, 1)[0].to_bits(), trees.score(&row).to_bits());
            }
        } else if which >= names.len() {
            if let Ok(device) = decode_device("device_1", &bytes) {
                assert_eq!(device.trees.scores(&row, 1)[0].to_bits(), device.trees.score(&row).to_bits());
            }
        } else {
            std::fs::write(file(which), bytes).unwrap();
            let _ = (registry.load(None).is_ok(), registry.load(Some(&version)).is_ok(), registry.list().is_ok());
            std::fs::write(file(which), &whole[which]).unwrap();
        }
    });
    assert!(registry.load(None).is_ok());
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let payloads = [
        r#"{"occupancy":true,"battery":97,"last_seen":"2024-03-04T08:00:00+01:00","linkquality":1e2}"#,
        r#"{"Time":"2024-03-04T08:00:00","PIR1":{"Action":"ON"},"Switch1":"OFF","POWER":"ON"}"#,
        r#"{"state":{"value":["on",{"deep":[[[1]]]}],"timestamp":1709539200000}}"#,
        "ON",
        "unavailable",
        r#"[{"time":"2024-03-04 08:00:00","device":"a","device_activated":1,"id":"x"},{"time":1,"device":"b"}]"#,
        "{\"time\":\"2024-03-04 08:00:00\",\"device\":\"hall\"}\n{\"time\":\"2024-03-04T08:00:00Z\",\"device\":\"b\",\"activated\":\"off\"}\n",
        "time,device,activated,id\n2024-03-04 08:00:00,hall,on,1\r\n\"2024-03-04 08:00:01\",\"a \"\"b\"\"\",0,\n",
    ];
    let forms = [Form::Auto, Form::Zigbee2mqtt, Form::Tasmota, Form::Homeassistant, Form::Plain, Form::Json];
    let filters = ["zigbee2mqtt/+".to_owned(), "tele/#".to_owned(), "a/+/b/#".to_owned()];
    let readers: Vec<Reader> = forms
        .iter()
        .flat_map(|form| [None, Some("/state/value/0")].map(|pointer| Reader::new(&filters, *form, None, pointer)))
        .filter_map(Result::ok)
        .chain(Reader::new(&filters, Form::Auto, Some("site/{device}/motion"), None))
        .collect();
    let topics =
        ["zigbee2mqtt/hall", "tele/a/b/SENSOR", "a/x/b/availability", "site/loft/motion", "zigbee2mqtt/bridge"];
    let payloads = payloads.map(|text| text.as_bytes().to_vec());
    let calendars = [Calendar::default(), Calendar::new(Some(chrono_tz::Australia::Lord_Howe))];
    attack(2000, 1, &payloads, |random, _, _, bytes| {
        let calendar = calendars.choose(random).unwrap();
        let topic = *topics.choose(random).unwrap();
        let topic = damage(random, topic.as_bytes().to_vec());
        for (reader, topic) in readers.iter().flat_map(|reader| topics.map(|topic| (reader, topic))) {
            let _ = reader.read(topic, &bytes, calendar);
        }
        let _ = readers[0].read(&String::from_utf8_lossy(&topic), &bytes, calendar);
        for media in [Media::Json, Media::Ndjson, Media::Csv] {
            let _ = rows::read(media, &bytes, calendar);
        }
    });
}

/// Posts over a connection that is kept, and made again when the server closes it.
fn send(server: &Server, kept: &mut Option<BufReader<TcpStream>>, head: &str, body: &[u8]) -> Answer {
    let stream = kept.get_or_insert_with(|| BufReader::new(server.connect()));
    let length = body.len();
    let mut bytes = format!("POST {head}\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    // A server that has heard enough may close before all is sent.
    let _ = stream.get_mut().write_all(&bytes);
    let answer = receive(stream);
    if answer.status == 0 || answer.status == 413 || answer.header("connection") == Some("close") {
        *kept = None;
    }
    answer
}

#[test]
fn damaged_bodies_are_stored_or_refused() {
    let (models, place) = (registry(), Place::sqlite());
    let server = serve(&place.url, &models, &[]);
    let text = std::fs::read_to_string(sample()).unwrap();
    let csv: String = text.lines().take(60).map(|line| format!("{line}\n")).collect();
    let json = |n: i64| format!(r#"{{"time":"2016-07-01 05:{:02}:00","device":"device_{}"}}"#, n % 60, n % 5);
    let ndjson: String = (0..40).map(|n| json(n) + "\n").collect();
    let array = format!("[{}]", (0..40).map(json).collect::<Vec<_>>().join(","));
    let asked = format!(r#"{{"at":"2016-07-02 00:00:00","readings":{array}}}"#);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(ndjson.as_bytes(), 3).unwrap();
    let bodies = [
        ("/readings", "text/csv", "identity", csv.clone().into_bytes()),
        ("/readings", "application/x-ndjson", "identity", ndjson.clone().into_bytes()),
        ("/readings", "application/json", "identity", array.into_bytes()),
        ("/readings", "text/csv", "gzip", gzip(csv.as_bytes())),
        ("/readings", "application/x-ndjson", "zstd", zstd),
        ("/predict", "text/csv", "identity", csv.into_bytes()),
        ("/predict", "application/json", "identity", asked.into_bytes()),
    ];
    let head = |which: usize| {
        let (path, media, encoding, _) = &bodies[which];
        format!(
            "{path} HTTP/1.1\r\nAuthorization: Bearer w-token\r\nContent-Type: {media}\r\nContent-Encoding: {encoding}"
        )
    };
    let kept = Mutex::new(None);
    for (which, body) in bodies.iter().enumerate() {
        let answer = send(&server, &mut kept.lock().unwrap(), &head(which), &body.3);
        assert_eq!(answer.status, 200, "{} {}", head(which), answer.text());
    }
    let inputs: Vec<Vec<u8>> = bodies.iter().map(|body| body.3.clone()).collect();
    attack(300, 1, &inputs, |_, case, which, body| {
        let answer = send(&server, &mut kept.lock().unwrap(), &head(which), &body);
        assert!([200, 400, 413, 422].contains(&answer.status), "case {case}: {} {}", answer.status, answer.text());
    });
    assert_eq!(server.get("/healthz").status, 200);
    let taken = memory(&server.child.id().to_string());
    assert!(taken < MOST_MEMORY && !server.log().contains("panicked"), "{taken} KiB");
}
