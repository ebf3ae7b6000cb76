//! Stores to test on: SQLite in a directory of its own, PostgreSQL in a database of its own.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_storage::readings::{self, Batch, Event, HourCount, Kind, Refused, Store};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// The server that tests use.
const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

/// Where a store is; gone when dropped.
pub struct Place {
    pub url: String,
    pub dir: TempDir,
    database: Option<String>,
}

impl Place {
    pub fn sqlite() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("readings.db").display());
        Place { url, dir, database: None }
    }

    /// None where there is no server and none has to be.
    pub async fn postgres() -> Option<Place> {
        if !Place::has_server() {
            return None;
        }
        Some(Place::create("").await)
    }

    /// In a place of the server's own.
    pub async fn within(space: &Tablespace) -> Place {
        Place::create(&format!("TABLESPACE {}", space.0)).await
    }

    async fn create(options: &str) -> Place {
        let database = unused();
        admin(format!("CREATE DATABASE {database} {options}")).await;
        let url = format!("{SERVER}/{database}");
        Place { url, dir: tempfile::tempdir().unwrap(), database: Some(database) }
    }

    fn has_server() -> bool {
        let there = TcpStream::connect("127.0.0.1:5432").is_ok();
        if !there {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no PostgreSQL on port 5432");
            println!("skipped: no PostgreSQL on port 5432");
        }
        there
    }

    /// Where the server keeps its data; none without a server, or when it is not on this machine.
    pub async fn server_directory() -> Option<PathBuf> {
        if !Place::has_server() {
            return None;
        }
        let mut connection = PgConnection::connect(&format!("{SERVER}/postgres")).await.unwrap();
        let directory: String =
            sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut connection).await.unwrap();
        let directory = PathBuf::from(directory);
        if !directory.exists() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "PostgreSQL's data is not on this machine");
            println!("skipped: PostgreSQL's data is not on this machine");
            return None;
        }
        Some(directory)
    }

    pub fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub async fn open(&self) -> Arc<Store> {
        Arc::new(readings::open(&self.url, &Calendar::default()).await.unwrap())
    }
}

/// A place for databases, in a directory that belongs to the server's user; gone when dropped.
pub struct Tablespace(String);

impl Tablespace {
    pub async fn create(directory: &Path) -> Tablespace {
        let name = unused();
        admin(format!("CREATE TABLESPACE {name} LOCATION '{}'", directory.display())).await;
        Tablespace(name)
    }
}

impl Drop for Tablespace {
    fn drop(&mut self) {
        afterwards(format!("DROP TABLESPACE IF EXISTS {}", self.0));
    }
}

/// A name that no other test uses.
fn unused() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("roomcast_store_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Has the server do something when a test is over, which may have a runtime or none.
fn afterwards(sql: String) {
    let doing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(admin(sql));
    });
    let _ = doing.join();
}

async fn admin(sql: String) {
    let mut connection = PgConnection::connect(&format!("{SERVER}/postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            afterwards(format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        }
    }
}

/// Runs a test on both databases.
pub async fn on_both(test: impl AsyncFn(Place)) {
    test(Place::sqlite()).await;
    if let Some(place) = Place::postgres().await {
        test(place).await;
    }
}

/// 1 July 2016, midnight.
pub const START: Timestamp = 1_467_331_200;

pub fn motion(device: &str, time: Timestamp) -> Event {
    Event { device: device.into(), time, kind: Kind::Motion, id: None }
}

pub fn with_id(device: &str, time: Timestamp, id: &str) -> Event {
    Event { id: Some(id.into()), ..motion(device, time) }
}

pub fn rest(device: &str, time: Timestamp) -> Event {
    Event { kind: Kind::Rest, ..motion(device, time) }
}

pub fn off(device: &str, time: Timestamp) -> Event {
    Event { kind: Kind::Off, ..motion(device, time) }
}

pub fn refused(payload: &str, reason: &str) -> Refused {
    Refused { source: "file".into(), payload: payload.into(), reason: reason.into() }
}

pub fn batch(events: impl IntoIterator<Item = Event>) -> Batch {
    Batch { events: events.into_iter().collect(), refused: Vec::new() }
}

/// Numbers that look random, the same every time (G. Marsaglia, Xorshift RNGs, 2003).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Events of some days and devices: out of order, some twice, some late, some with ids, some
/// without motion.
pub fn stream(seed: u64, count: usize, devices: u64, days: u64) -> Vec<Event> {
    let mut numbers = Numbers(seed);
    let mut events: Vec<Event> = Vec::new();
    for _ in 0..count {
        let device = format!("room {:03}", numbers.below(devices));
        let time = START + numbers.below(days * 86_400) as i64;
        events.push(match numbers.below(10) {
            0 => rest(&device, time),
            1 if !events.is_empty() => events[numbers.below(events.len() as u64) as usize].clone(),
            4 => off(&device, time),
            5 => Event { kind: Kind::Off, ..with_id(&device, time, &format!("{device}/{time}")) },
            2 | 3 => with_id(&device, time, &format!("{device}/{time}")),
            _ => motion(&device, time),
        });
    }
    events
}

/// What a store must hold after these events: device, hour, number of seconds with motion.
pub fn sums<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<HourCount> {
    let motions = events.into_iter().filter(|event| event.kind == Kind::Motion);
    let seconds: std::collections::BTreeSet<_> = motions.map(|event| (event.device.clone(), event.time)).collect();
    let mut counts: Vec<HourCount> = Vec::new();
    for (device, time) in seconds {
        let hour = Calendar::default().hour(time);
        match counts.last_mut() {
            Some(last) if last.device == device && last.hour == hour => last.count += 1,
            _ => counts.push(HourCount { device, hour, count: 1 }),
        }
    }
    counts
}

/// The same, from what a store loads, after a look at its counts: they must agree.
pub async fn held(store: &Store) -> Vec<HourCount> {
    let (readings, _) = store.load(None).await.unwrap();
    assert!(readings.devices.iter().all(|d| d.times.iter().is_sorted_by(|a, b| a < b)));
    assert!(readings.devices.is_sorted_by(|a, b| a.device < b.device));
    let events = readings.devices.iter().flat_map(|d| d.times.iter().map(|time| motion(&d.device, time)));
    let sums = sums(&events.collect::<Vec<_>>());
    assert_eq!(store.hours(None).await.unwrap(), sums);
    sums
}
