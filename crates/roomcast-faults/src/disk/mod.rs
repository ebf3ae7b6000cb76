//! A disk in memory that fails.
//!
//! Of each file it knows the bytes that are durable and the writes that came after, in order. Programs see the file with
//! all writes. When the power is lost, each write that was not synced is kept, lost, or kept in some of its sectors. The
//! same holds for names that were made or removed and not synced.

mod content;
mod fuse;
mod locks;
mod shared;
mod vfs;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use crate::chance::Chance;
use crate::world::World;
use content::Content;
pub use fuse::{Effect, Fuse, Matching, Operation};
use locks::Locks;
use shared::Shared;
pub use vfs::FileSystem;

/// Faults that are planted to see whether the simulation finds them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lies {
    /// Syncs of the write-ahead log do nothing.
    pub skips_log_sync: bool,
    /// Syncs of the database do nothing.
    pub skips_database_sync: bool,
}

/// The disk of a machine, and what its kernel keeps of its files.
pub struct Disk {
    pub(crate) world: World,
    /// Number of losses of power, counted when they begin.
    outages: AtomicU64,
    state: Mutex<State>,
}

struct State {
    files: BTreeMap<String, Node>,
    /// Files whose removal is not durable.
    removed: BTreeMap<String, Content>,
    fuses: Vec<Fuse>,
    is_full: bool,
    is_quiet: bool,
    lies: Lies,
    chance: Chance,
    counts: Counts,
}

/// Numbers of operations, for the report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Writes, truncations, syncs and removals.
    pub operations: u64,
    /// Operations that failed although the process lived.
    pub errors: u64,
    /// Losses of power.
    pub power_losses: u64,
    /// Writes that a loss of power lost or tore.
    pub lost_writes: u64,
    /// Writes that a loss of power tore.
    pub torn_writes: u64,
}

#[derive(Default)]
struct Node {
    content: Content,
    /// True when the file's name is durable.
    is_linked: bool,
    locks: Locks,
    shared: Shared,
}

/// A process that uses the disk.
pub struct Process {
    /// Its number.
    pub number: u32,
    pub(crate) disk: Arc<Disk>,
    /// The outages before the process started.
    outages: u64,
    is_alive: AtomicBool,
    /// Open connections: handles of databases.
    connections: AtomicUsize,
    /// Open files.
    handles: AtomicUsize,
    /// The thread that closes a connection.
    closing: Mutex<Option<ThreadId>>,
    /// True when connections are closed one after the other.
    is_closing: AtomicBool,
}

impl Disk {
    /// Makes an empty disk.
    pub fn new(world: &World, lies: Lies) -> Arc<Disk> {
        let chance = world.chance(Chance::branch);
        let state = State {
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            fuses: Vec::new(),
            is_full: false,
            is_quiet: false,
            lies,
            chance,
            counts: Counts::default(),
        };
        Arc::new(Disk { world: world.clone(), outages: AtomicU64::new(0), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a fuse.
    pub fn arm(&self, fuse: Fuse) {
        self.state().fuses.push(fuse);
    }

    /// Removes all fuses of a process that has ended.
    pub fn disarm(&self, process: u32) {
        self.state().fuses.retain(|fuse| fuse.process != Some(process));
    }

    /// Removes all fuses.
    pub fn disarm_all(&self) {
        self.state().fuses.clear();
    }

    /// Fills the disk, or makes room again.
    pub fn fill(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Keeps faults away while the simulation looks at the disk.
    pub fn be_quiet(&self, is_quiet: bool) {
        self.state().is_quiet = is_quiet;
    }

    /// Returns the numbers of operations.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Begins a loss of power: all processes end.
    pub fn switch_off(&self) {
        self.outages.fetch_add(1, SeqCst);
    }

    /// Returns the number of losses of power that have begun.
    pub fn outages(&self) -> u64 {
        self.outages.load(SeqCst)
    }

    /// Leaves on the disk what a loss of power leaves. All processes must have ended.
    pub fn lose_power(&self) {
        let mut state = self.state();
        let State { files, removed, fuses, is_full, chance, counts, .. } = &mut *state;
        counts.power_losses += 1;
        fuses.clear();
        *is_full = false;
        for (name, content) in std::mem::take(removed) {
            // The name may be there again, or taken by a new file that is not linked for good.
            let is_free = files.get(&name).is_none_or(|node| !node.is_linked);
            if is_free && chance.percent(50) {
                files.insert(name, Node { content, is_linked: true, ..Node::default() });
            }
        }
        files.retain(|_, node| node.is_linked || chance.percent(50));
        for node in files.values_mut() {
            let (lost, torn) = node.content.lose_power(chance);
            counts.lost_writes += lost;
            counts.torn_writes += torn;
            *node = Node { content: std::mem::take(&mut node.content), is_linked: true, ..Node::default() };
        }
        let files: Vec<String> = files.iter().map(|(name, node)| format!("{name} {}", node.content.len())).collect();
        drop(state);
        self.world.note(format!("power is lost; left: {}", files.join(", ")));
    }
}

impl Process {
    /// Starts a process.
    pub fn start(disk: &Arc<Disk>, number: u32) -> Arc<Process> {
        Arc::new(Process {
            number,
            disk: disk.clone(),
            outages: disk.outages.load(SeqCst),
            is_alive: AtomicBool::new(true),
            connections: AtomicUsize::new(0),
            handles: AtomicUsize::new(0),
            closing: Mutex::default(),
            is_closing: AtomicBool::new(false),
        })
    }

    /// Kills the process: none of its operations does anything from now on.
    pub fn kill(&self) {
        self.is_alive.store(false, SeqCst);
    }

    /// Returns whether the process is alive.
    pub fn is_alive(&self) -> bool {
        self.is_alive.load(SeqCst) && self.outages == self.disk.outages.load(SeqCst)
    }

    /// Has the connections close one after the other, although each has a thread of its own.
    pub fn close_in_turn(&self) {
        self.is_closing.store(true, SeqCst);
    }

    fn closing(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread closes a connection.
    fn wait_for_turn(&self) {
        let own = std::thread::current().id();
        while self.is_closing.load(SeqCst) && *self.closing().get_or_insert(own) != own {
            std::thread::yield_now();
        }
    }

    /// Lets another thread close its connection.
    fn end_turn(&self) {
        *self.closing() = None;
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Returns the number of open files.
    pub fn handles(&self) -> usize {
        self.handles.load(SeqCst)
    }

    /// Syncs a file, as `fsync` in a program does.
    pub fn sync(&self, name: &str) -> std::io::Result<()> {
        vfs::sync(self, name).map_err(|code| match code {
            vfs::NO_SUCH_FILE => std::io::ErrorKind::NotFound.into(),
            code => std::io::Error::other(format!("input or output failed ({code})")),
        })
    }

    /// Returns the locks of shared memory, for messages.
    pub fn locks(&self) -> String {
        let state = self.disk.state();
        let held = state.files.iter().map(|(name, node)| format!("{name}: {}", node.shared.locks()));
        held.collect::<Vec<_>>().join(", ")
    }

    /// Returns whether no connection of the process is in the middle of a transaction.
    pub fn is_idle(&self) -> bool {
        self.disk.state().files.values().all(|node| !node.shared.is_locked_by(self.number))
    }
}
