//! How fast readings go into SQLite: `ingest` beside a bare loop with the same durability, and what a reading costs as
//! devices and stored readings grow. Ratios within one run; the absolute numbers are the machine's.
//!
//! ```sh
//! cargo bench --bench store            # a million readings stored before the last measurement
//! ROWS=50000000 cargo bench --bench store   # as long as it takes to store them
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, Batch, Event, Kind, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, QueryBuilder, SqliteConnection};

mod common;

/// Readings of one transaction.
const BATCH: usize = 1000;

/// Transactions of one measurement.
const BATCHES: usize = 60;

/// 1 July 2016, midnight.
const START: i64 = 1_467_331_200;

fn main() {
    let rows: usize = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(measure(rows));
}

async fn measure(rows: usize) {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    // In turns, since a disk has moods.
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for turn in 0..3 {
        bare.push(bare_loop(&at(&format!("bare-{turn}.db"))).await);
        ours.push(fill(&*open(&at(&format!("ours-{turn}.db"))).await, 100, START, BATCHES).await);
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("                                    elapsed         processor, per reading");
    show("a statement per row", &bare, None);
    show("ingest", &ours, Some(&bare));

    let (few, many) = (open(&at("few.db")).await, open(&at("many.db")).await);
    for (store, devices) in [(&few, 10), (&many, 10_000)] {
        // So that all devices are known.
        fill(store, devices, START, 12).await;
    }
    let (mut ten, mut thousands) = (Vec::new(), Vec::new());
    for turn in 1..4 {
        ten.push(fill(&few, 10, START + turn * 86_400, BATCHES).await);
        thousands.push(fill(&many, 10_000, START + turn * 86_400, BATCHES).await);
    }
    let (ten, thousands) = (median(ten), median(thousands));
    show("10 devices", &ten, None);
    show("10,000 devices", &thousands, Some(&ten));
    let (mut ten, mut thousands) = (Vec::new(), Vec::new());
    let (few, many) = (at("few rows.db"), at("many rows.db"));
    for turn in 0..4 {
        let start = START + turn * 86_400;
        let times = (row_per_device(&few, 10, start).await, row_per_device(&many, 10_000, start).await);
        if turn > 0 {
            ten.push(times.0);
            thousands.push(times.1);
        }
    }
    let (ten, thousands) = (median(ten), median(thousands));
    show("a row per device, 10", &ten, None);
    show("a row per device, 10,000", &thousands, Some(&ten));

    let full = open(&at("full.db")).await;
    // A part at a time: millions of rows are not held in memory.
    for part in (0..rows / BATCH).step_by(BATCHES) {
        fill_from(&full, 1000, START, part..(part + BATCHES).min(rows / BATCH)).await;
    }
    let after = START + (rows as i64 / 100 / 3600 + 2) * 3600;
    let (mut grown, mut empty) = (Vec::new(), Vec::new());
    for turn in 0..3 {
        let store = open(&at(&format!("empty-{turn}.db"))).await;
        fill(&store, 1000, START - 86_400, 5).await;
        empty.push(fill(&store, 1000, START, BATCHES).await);
        grown.push(fill(&full, 1000, after + turn * 86_400, BATCHES).await);
    }
    let (empty, grown) = (median(empty), median(grown));
    show("empty", &empty, None);
    show(&format!("{rows} readings stored"), &grown, Some(&empty));
    let watch = Instant::now();
    let (readings, _) = full.load(None).await.expect("readings");
    println!("load                         {:>8.0} readings/s", readings.len() as f64 / watch.elapsed().as_secs_f64());
}

async fn open(path: &Path) -> Arc<Store> {
    Arc::new(readings::open(path.to_str().expect("a path in UTF-8"), &Calendar::default()).await.expect("a store"))
}

/// The readings of a batch: the building's, a hundred a second, from device to device.
fn readings(devices: usize, start: i64, batch: usize) -> impl Iterator<Item = (String, i64)> {
    let numbers = batch * BATCH..(batch + 1) * BATCH;
    // Devices apart from each other, and each second of a device once.
    numbers.map(move |n| (format!("device {:05}", n * 7 % devices), start + (n / devices.min(100)) as i64))
}

async fn fill(store: &Store, devices: usize, start: i64, batches: usize) -> Spent {
    fill_from(store, devices, start, 0..batches).await
}

async fn fill_from(store: &Store, devices: usize, start: i64, batches: Range<usize>) -> Spent {
    let batch = |batch| {
        let event = |(device, time)| Event { device, time, kind: Kind::Motion, id: None };
        Batch { events: readings(devices, start, batch).map(event).collect(), refused: Vec::new() }
    };
    let batches: Vec<Batch> = batches.map(batch).collect();
    let watch = Watch::start();
    for batch in &batches {
        store.ingest(batch).await.expect("stored");
    }
    watch.spent()
}

/// What anybody would write: one prepared statement, run for each row of a transaction, synced at its end.
async fn bare_loop(path: &Path) -> Spent {
    let mut connection = common::bare_table(path).await;
    let batches: Vec<Vec<_>> = (0..BATCHES).map(|batch| readings(100, START, batch).collect()).collect();
    let watch = Watch::start();
    for batch in &batches {
        let mut transaction = connection.begin().await.expect("a transaction");
        for (device, time) in batch {
            let row = sqlx::query("INSERT INTO readings (time, device) VALUES (?, ?) ON CONFLICT DO NOTHING");
            row.bind(time).bind(device.as_str()).execute(&mut *transaction).await.expect("a row");
        }
        transaction.commit().await.expect("a commit");
    }
    watch.spent()
}

/// The same readings, counts and times last heard from a loop that knows each device by a number, looks nothing up and
/// keeps a row per device, and per device and hour; 500 rows per statement. What it costs more with many devices is
/// what rows cost.
async fn row_per_device(path: &Path, devices: usize, start: i64) -> Spent {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "4096");
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a file");
    let tables = "CREATE TABLE IF NOT EXISTS readings (
            seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, device INTEGER NOT NULL, UNIQUE (time, device));
        CREATE TABLE IF NOT EXISTS heard (device INTEGER PRIMARY KEY, time INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS hourly (
            hour INTEGER, device INTEGER, count INTEGER, PRIMARY KEY (hour, device)) WITHOUT ROWID";
    sqlx::raw_sql(tables).execute(&mut connection).await.expect("tables");
    let batches: Vec<Vec<(i64, i64)>> = (0..BATCHES)
        .map(|batch| {
            let number = |(name, time): (String, i64)| (time, name[7..].parse().expect("a number"));
            let mut rows: Vec<_> = readings(devices, start, batch).map(number).collect();
            rows.sort_unstable();
            rows
        })
        .collect();
    let watch = Watch::start();
    for batch in &batches {
        let (mut heard, mut counts) = (BTreeMap::new(), BTreeMap::new());
        for &(time, device) in batch {
            heard.insert(device, time);
            *counts.entry((time / 3600, device)).or_insert(0_i64) += 1;
        }
        let mut transaction = connection.begin().await.expect("a transaction");
        let heard: Vec<[i64; 2]> = heard.into_iter().map(|(device, time)| [device, time]).collect();
        let counts: Vec<[i64; 3]> = counts.into_iter().map(|((hour, device), count)| [hour, device, count]).collect();
        let readings: Vec<[i64; 2]> = batch.iter().map(|&(time, device)| [time, device]).collect();
        let update = " ON CONFLICT DO UPDATE SET time = excluded.time WHERE excluded.time > heard.time";
        insert(&mut transaction, "INSERT INTO heard (device, time) ", &heard, update).await;
        insert(&mut transaction, "INSERT INTO readings (time, device) ", &readings, " ON CONFLICT DO NOTHING").await;
        let update = " ON CONFLICT DO UPDATE SET count = count + excluded.count";
        insert(&mut transaction, "INSERT INTO hourly (hour, device, count) ", &counts, update).await;
        transaction.commit().await.expect("a commit");
    }
    watch.spent()
}

async fn insert<const N: usize>(connection: &mut SqliteConnection, before: &str, rows: &[[i64; N]], behind: &str) {
    for rows in rows.chunks(500) {
        let mut insert = QueryBuilder::new(before);
        insert.push_values(rows, |mut values, row| {
            for value in row {
                values.push_bind(*value);
            }
        });
        insert.push(behind);
        insert.build().execute(&mut *connection).await.expect("rows");
    }
}

/// What 60 batches take.
struct Spent {
    elapsed: f64,
    /// Of all threads, seconds: others on the machine disturb it less.
    processor: f64,
}

struct Watch(Instant, f64);

impl Watch {
    fn start() -> Watch {
        // Connections that were dropped have threads that take their time to end, and their processor time with them.
        std::thread::sleep(std::time::Duration::from_millis(300));
        Watch(Instant::now(), processor())
    }

    fn spent(&self) -> Spent {
        Spent { elapsed: self.0.elapsed().as_secs_f64(), processor: processor() - self.1 }
    }
}

/// Seconds on a processor of all threads that live, to the nanosecond.
fn processor() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let times = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    times.filter_map(|times| times.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e9
}

fn median(spent: Vec<Spent>) -> Spent {
    let middle = |of: fn(&Spent) -> f64| {
        let mut times: Vec<f64> = spent.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Spent { elapsed: middle(|spent| spent.elapsed), processor: middle(|spent| spent.processor) }
}

fn show(what: &str, spent: &Spent, against: Option<&Spent>) {
    let each = 1e6 / (BATCHES * BATCH) as f64;
    let times =
        |of: fn(&Spent) -> f64| against.map_or(String::new(), |base| format!("{:.2} times", of(spent) / of(base)));
    println!(
        "{what:<26} {:>6.2} µs {:>11} {:>6.2} µs {:>11}",
        spent.elapsed * each,
        times(|spent| spent.elapsed),
        spent.processor * each,
        times(|spent| spent.processor)
    );
}
