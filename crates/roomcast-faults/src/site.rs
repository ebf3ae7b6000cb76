//! Everything of a run: a machine, its servers, the network to them, and the judge.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use roomcast_forecast::calendar::Calendar;
use roomcast_server::ingest::writer::Writer;
use roomcast_storage::readings::{Store, StoreError};

use crate::bugs::Bug;
use crate::host::{Access, Hardware, Host};
use crate::network::{Network, Reply};
use crate::oracle::{Content, Oracle};
use crate::world::{Tasks, World};

/// Everything of a run.
pub struct Site {
    /// Time and chance.
    pub world: World,
    /// The tasks.
    pub tasks: Tasks,
    /// The machine.
    pub hardware: Arc<Hardware>,
    /// The judge.
    pub oracle: Oracle,
    /// The network.
    pub network: Network,
    /// The site's calendar.
    pub calendar: Calendar,
    /// Milliseconds below which a transaction takes its time.
    pub latency: Arc<AtomicU32>,
    /// Losses of power after which the power is back.
    pub restored: Cell<u64>,
    /// True once servers shall end and not start again.
    pub is_closing: Cell<bool>,
    servers: RefCell<Vec<Option<Rc<Server>>>>,
    /// Number of processes that have not ended.
    pub living: Cell<usize>,
}

/// A running server.
pub struct Server {
    /// Its process.
    pub host: Arc<Host>,
    /// Its writer.
    pub writer: Writer,
    /// True when it shall stop in order.
    pub is_stopping: Cell<bool>,
}

impl Site {
    /// Makes a site with so many places for servers.
    pub fn new(world: &World, tasks: &Tasks, slots: usize, bug: Option<Bug>) -> Rc<Site> {
        Rc::new(Site {
            world: world.clone(),
            tasks: tasks.clone(),
            hardware: Hardware::new(world, bug),
            oracle: Oracle::default(),
            network: Network::default(),
            calendar: Calendar::default(),
            latency: Arc::new(AtomicU32::new(20)),
            restored: Cell::new(0),
            is_closing: Cell::new(false),
            servers: RefCell::new((0..slots).map(|_| None).collect()),
            living: Cell::new(0),
        })
    }

    /// Returns whether the machine has no power.
    pub fn is_dark(&self) -> bool {
        self.hardware.disk.outages() != self.restored.get()
    }

    /// Returns the number of places for servers.
    pub fn slots(&self) -> usize {
        self.servers.borrow().len()
    }

    /// Returns the server at a place, if it runs.
    pub fn server(&self, slot: usize) -> Option<Rc<Server>> {
        self.servers.borrow()[slot].clone().filter(|server| server.host.process.is_alive())
    }

    /// Puts a server at a place, or none.
    pub fn put(&self, slot: usize, server: Option<Rc<Server>>) {
        self.servers.borrow_mut()[slot] = server;
    }

    /// Sets the milliseconds below which transactions take their time.
    pub fn slow_down(&self, milliseconds: u32) {
        self.latency.store(milliseconds, SeqCst);
    }

    /// Takes an answer back to a sender.
    pub fn answer(&self, reply: &Reply, is_acknowledged: bool) {
        self.network.answer(&self.world, &self.tasks, reply, is_acknowledged);
    }

    /// Records what is wrong, and ends the run.
    pub fn finds(&self, wrong: String) {
        self.world.note(format!("WRONG: {wrong}"));
        self.oracle.finds(wrong);
        self.tasks.finish();
    }

    /// Judges a failure of the store. None may tell that the store is damaged.
    pub fn judge_failure(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Zone { .. }) {
            self.finds(format!("the store fails: {error}"));
        }
    }

    /// Opens the store in a new process. Returns `None` when the process died or the store could not be opened.
    pub fn open(&self) -> Option<Arc<Host>> {
        let host = Host::start(&self.hardware);
        self.living.set(self.living.get() + 1);
        match host.open(&self.calendar) {
            Some(Ok(())) => return Some(host),
            Some(Err(error)) => {
                self.world.note(format!("process {} cannot open the store: {error}", host.group()));
                self.judge_failure(&error);
            }
            None => {}
        }
        self.bury(&host);
        None
    }

    /// Ends a process whose tasks have ended.
    pub fn bury(&self, host: &Host) {
        host.end();
        self.living.set(self.living.get() - 1);
    }

    /// Compares the store with what was sent, without faults.
    pub fn audit(&self, host: &Host) {
        self.hardware.disk.be_quiet(true);
        let judged = content(host).and_then(|content| self.oracle.judge(&content, &self.calendar));
        self.hardware.disk.be_quiet(false);
        if let Err(wrong) = judged {
            self.finds(wrong);
        }
    }
}

/// Reads everything in the store of a process.
fn content(host: &Host) -> Result<Content, String> {
    fn read<T, F>(host: &Host, call: impl FnOnce(Arc<Store>) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let answer = host.call(Access::Read, call).ok_or("the process died without a fault")?;
        answer.map_err(|error| format!("the store cannot be read: {error}"))
    }
    let (readings, _) = read(host, |store| async move { store.load(None).await })?;
    let rows = "SELECT (SELECT count(*) FROM readings) + coalesce((SELECT sum(count) FROM packed), 0)";
    Ok(Content {
        readings,
        hours: read(host, |store| async move { store.hours(None).await })?,
        quarantined: read(host, |store| async move { store.quarantined(0, usize::MAX).await })?,
        size: read(host, |store| async move { store.quarantine_size().await })?,
        heard: read(host, |store| async move { store.heard().await })?,
        rows: host.query(rows)?,
        integrity: host.query("PRAGMA integrity_check")?,
    })
}
