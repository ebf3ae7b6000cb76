//! A process of the product on the simulated machine: its store, opened by the product's own code.
//!
//! SQLite's connections have threads of their own. A call of the store is one step of the run: the run waits until the
//! call has ended and the threads have nothing more to do. So a thread does only what the run waits for, and the order of
//! all operations follows from the seed. Faults come inside a call, at any operation of the file system.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_storage::readings::{self, Machine, Store, StoreError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, FromRow};
use tokio::runtime::{Builder, Runtime};

use crate::bugs::Bug;
use crate::disk::{Disk, FileSystem, Process};
use crate::world::{Group, World};

/// The store's file.
pub const FILE: &str = "/site/readings.db";

/// The instant at which a run begins.
pub const START: Timestamp = 1_700_000_000;

/// Longest real time that threads may take to end a call.
const PATIENCE: Duration = Duration::from_secs(20);

/// The machine on which processes run: a disk, and a clock that jumps.
pub struct Hardware {
    /// The world in which it stands.
    pub world: World,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// Seconds by which the clock is ahead.
    skew: AtomicI64,
    /// Nanosecond of the last jump of the clock, or less than 0.
    jumped_at: AtomicI64,
    processes: AtomicU32,
    bug: Option<Bug>,
}

impl Hardware {
    /// Makes a machine with an empty disk.
    pub fn new(world: &World, bug: Option<Bug>) -> Arc<Hardware> {
        Arc::new(Hardware {
            world: world.clone(),
            disk: Disk::new(world, Bug::lies(bug)),
            skew: AtomicI64::new(0),
            jumped_at: AtomicI64::new(-1),
            processes: AtomicU32::new(0),
            bug,
        })
    }

    /// Returns the planted bug.
    pub fn bug(&self) -> Option<Bug> {
        self.bug
    }

    /// Returns what the clock says.
    pub fn utc_now(&self) -> Timestamp {
        START + (self.world.now() / 1_000_000_000) as i64 + self.skew.load(SeqCst)
    }

    /// Moves the clock.
    pub fn jump(&self, seconds: i64) {
        self.skew.fetch_add(seconds, SeqCst);
        self.jumped_at.store(self.world.now() as i64, SeqCst);
    }

    /// Returns whether the clock has jumped since a nanosecond of the run.
    pub fn has_jumped_since(&self, since: u64) -> bool {
        self.jumped_at.load(SeqCst) >= since as i64
    }
}

/// The machine as the store sees it.
struct View {
    hardware: Arc<Hardware>,
    process: Arc<Process>,
    file_system: String,
}

impl Machine for View {
    fn file_system(&self) -> Option<String> {
        Some(self.file_system.clone())
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        match self.hardware.bug {
            Some(Bug::NoSyncAtOpen) => Ok(()),
            _ => self.process.sync(&file.to_string_lossy()),
        }
    }

    fn utc_now(&self) -> Timestamp {
        self.hardware.utc_now()
    }
}

/// A call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It uses the connection that writes, which is closed after a failure.
    Write,
    /// It uses one of those that read.
    Read,
}

/// A process with an open store.
pub struct Host {
    /// The machine on which it runs.
    pub hardware: Arc<Hardware>,
    /// The process, as the disk knows it.
    pub process: Arc<Process>,
    state: Mutex<Option<Opened>>,
    runtime: Mutex<Option<Runtime>>,
    file_system: Mutex<Option<FileSystem>>,
    /// Tasks of the runtime that never end: those of the store's pool.
    resident_tasks: AtomicU32,
    has_writer: AtomicBool,
    readers: AtomicU32,
}

struct Opened {
    store: Arc<Store>,
}

impl Host {
    /// Starts a process, which does nothing yet.
    ///
    /// # Panics
    /// When the operating system gives no runtime.
    pub fn start(hardware: &Arc<Hardware>) -> Arc<Host> {
        let process = Process::start(&hardware.disk, hardware.processes.fetch_add(1, SeqCst) + 1);
        let file_system = FileSystem::register(&process);
        let runtime = Builder::new_current_thread().enable_time().build().expect("the runtime starts");
        Arc::new(Host {
            hardware: hardware.clone(),
            process,
            state: Mutex::new(None),
            runtime: Mutex::new(Some(runtime)),
            file_system: Mutex::new(Some(file_system)),
            resident_tasks: AtomicU32::new(0),
            has_writer: AtomicBool::new(false),
            readers: AtomicU32::new(0),
        })
    }

    /// Returns the group of the process's tasks.
    pub fn group(&self) -> Group {
        self.process.number
    }

    /// Returns the name of the process's file system.
    pub fn file_system(&self) -> String {
        lock(&self.file_system).as_ref().map_or_else(String::new, FileSystem::name)
    }

    /// Opens the store by the product's code. Returns `None` when the process died meanwhile.
    pub fn open(&self, calendar: &Calendar) -> Option<Result<(), StoreError>> {
        let view =
            View { hardware: self.hardware.clone(), process: self.process.clone(), file_system: self.file_system() };
        let opened = self.block_on(readings::open_on(Arc::new(view), Path::new(FILE), calendar));
        let result = match opened {
            Ok(store) => {
                *lock(&self.state) = Some(Opened { store: Arc::new(store) });
                self.has_writer.store(true, SeqCst);
                self.settle(Some(1), true);
                Ok(())
            }
            Err(error) => {
                self.settle(Some(0), false);
                Err(error)
            }
        };
        self.process.is_alive().then_some(result)
    }

    /// Calls the store as one step. Returns `None` when the process died meanwhile.
    pub fn call<T, F>(&self, access: Access, call: impl FnOnce(Arc<Store>) -> F) -> Option<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if !self.process.is_alive() {
            return None;
        }
        let store = lock(&self.state).as_ref()?.store.clone();
        let result = self.block_on(call(store.clone()));
        if !self.process.is_alive() {
            return None;
        }
        let readers = self.readers.load(SeqCst) as usize;
        match (access, &result) {
            (Access::Write, result) => {
                self.has_writer.store(result.is_ok(), SeqCst);
                self.settle(Some(readers + usize::from(result.is_ok())), false);
            }
            (Access::Read, Ok(_)) => self.settle(None, false),
            (Access::Read, Err(_)) => {
                // It is not known whether a connection is there or about to be closed. After the next call one is there.
                self.settle(None, false);
                self.hardware.disk.be_quiet(true);
                let again = self.block_on(store.quarantine_size());
                self.hardware.disk.be_quiet(false);
                // A connection that closes may have met a fuse that ends the process.
                if !self.process.is_alive() {
                    return None;
                }
                assert!(again.is_ok(), "a store without faults cannot be read: {again:?}");
                self.settle(Some(1 + usize::from(self.has_writer.load(SeqCst))), false);
            }
        }
        let writer = usize::from(self.has_writer.load(SeqCst));
        self.readers.store((self.process.connections() - writer) as u32, SeqCst);
        Some(result)
    }

    /// Asks SQLite something on a connection of its own, as another program would.
    ///
    /// # Errors
    /// Returns the message of SQLite, and one when the process has died.
    pub fn query<T>(&self, sql: &'static str) -> Result<T, String>
    where
        (T,): for<'r> FromRow<'r, SqliteRow>,
        T: Send + Unpin,
    {
        let before = self.process.connections();
        let options = SqliteConnectOptions::new().filename(FILE).vfs(self.file_system());
        let answer = self.block_on(async {
            let mut connection = options.connect().await?;
            let answer: Result<(T,), sqlx::Error> = sqlx::query_as(sql).fetch_one(&mut connection).await;
            let closed = connection.close().await;
            answer.and_then(|(answer,)| closed.map(|()| answer))
        });
        if !self.process.is_alive() {
            return Err("the process died".to_owned());
        }
        self.settle(Some(before), false);
        answer.map_err(|error| format!("{sql}: {error}"))
    }

    /// Runs a future of this process to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = lock(&self.runtime);
        runtime.as_ref().expect("the process has not ended").block_on(future)
    }

    /// Waits until the threads of the process have nothing to do, and so many connections are open.
    fn settle(&self, connections: Option<usize>, is_new: bool) {
        let runtime = lock(&self.runtime);
        let runtime = runtime.as_ref().expect("the process has not ended");
        let watch = Instant::now();
        loop {
            runtime.block_on(async {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            });
            let tasks = runtime.metrics().num_alive_tasks() as u32;
            if is_new {
                self.resident_tasks.store(tasks, SeqCst);
            }
            let has_ended = tasks <= self.resident_tasks.load(SeqCst);
            let is_as_expected = connections.is_none_or(|count| self.process.connections() == count);
            if has_ended && is_as_expected && self.process.is_idle() {
                return;
            }
            assert!(
                watch.elapsed() < PATIENCE,
                "a call of the store does not end: {tasks} tasks, {} connections instead of {connections:?}, locks: {}",
                self.process.connections(),
                self.process.locks()
            );
            std::thread::yield_now();
        }
    }

    /// Ends the process as `kill -9` does, and waits until nothing of it is left. Its tasks must have ended.
    pub fn end(&self) {
        self.process.kill();
        self.close();
    }

    /// Ends the process after its last task: connections are closed in order.
    pub fn close(&self) {
        self.process.close_in_turn();
        {
            let runtime = lock(&self.runtime);
            let _inside = runtime.as_ref().map(Runtime::enter);
            *lock(&self.state) = None;
        }
        drop(lock(&self.runtime).take());
        let watch = Instant::now();
        while self.process.handles() > 0 {
            assert!(watch.elapsed() < PATIENCE, "connections of an ended process stay open");
            std::thread::yield_now();
        }
        *lock(&self.file_system) = None;
        self.hardware.disk.disarm(self.process.number);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if lock(&self.runtime).is_some() {
            self.end();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
