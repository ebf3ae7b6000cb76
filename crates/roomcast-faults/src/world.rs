//! The world of a run: simulated time, and tasks of which a seed chooses the next.
//!
//! Everything happens in one thread. A task proceeds until it waits. Then the seed chooses one of those that can proceed.
//! When none can, time moves to the next timer.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::chance::Chance;
use crate::trace::Trace;

/// Tasks that end together: those of a process. [`OUTSIDE`] are those of no process.
pub type Group = u32;

/// The group of tasks that no crash ends.
pub const OUTSIDE: Group = 0;

/// Time, chance and trace of a run. Clones are handles of the same world.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

struct State {
    /// Nanoseconds since the start.
    now: u64,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_made: u64,
    ready: Vec<u64>,
    chance: Chance,
    trace: Trace,
}

struct Timer {
    at: u64,
    number: u64,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl World {
    /// Makes the world of a seed.
    pub fn new(seed: u64) -> World {
        World(Arc::new(Mutex::new(State {
            now: 0,
            timers: BinaryHeap::new(),
            timers_made: 0,
            ready: Vec::new(),
            chance: Chance::new(seed),
            trace: Trace::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.state().now
    }

    /// Lets something happen by chance.
    pub fn chance<T>(&self, choose: impl FnOnce(&mut Chance) -> T) -> T {
        choose(&mut self.state().chance)
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: impl std::fmt::Display) {
        let mut state = self.state();
        let now = state.now;
        state.trace.line(now, text);
    }

    /// Reads or extends the trace.
    pub fn trace<T>(&self, with: impl FnOnce(&mut Trace) -> T) -> T {
        with(&mut self.state().trace)
    }

    /// Moves time while a task is at work, as by a system call that takes so long.
    pub fn advance(&self, by: Duration) {
        self.state().now += by.as_nanos() as u64;
    }

    /// Waits for a duration.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let until = self.now().saturating_add(duration.as_nanos() as u64);
        Sleep { world: self.clone(), until, is_set: false }
    }

    /// Waits for a random time below a limit.
    pub async fn pause(&self, below: Duration) {
        let nanos = self.chance(|chance| chance.of(0..below.as_nanos() as u64));
        self.sleep(Duration::from_nanos(nanos)).await;
    }
}

/// Waits until an instant.
pub struct Sleep {
    world: World,
    until: u64,
    is_set: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut state = world.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        if !self.is_set {
            state.timers_made += 1;
            let (at, number) = (self.until, state.timers_made);
            state.timers.push(Reverse(Timer { at, number, waker: context.waker().clone() }));
            self.is_set = true;
        }
        Poll::Pending
    }
}

struct TaskWaker {
    world: World,
    task: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut state = self.world.state();
        if !state.ready.contains(&self.task) {
            state.ready.push(self.task);
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Starts and ends tasks.
#[derive(Clone, Default)]
pub struct Tasks(Rc<RefCell<Orders>>);

#[derive(Default)]
struct Orders {
    new: Vec<(Group, Task)>,
    ended: Vec<Group>,
    is_over: bool,
}

impl Tasks {
    /// Starts a task of a group.
    pub fn start(&self, group: Group, task: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().new.push((group, Box::pin(task)));
    }

    /// Ends all tasks of a group once the present one waits.
    pub fn end(&self, group: Group) {
        self.0.borrow_mut().ended.push(group);
    }

    /// Ends the run once the present task waits.
    pub fn finish(&self) {
        self.0.borrow_mut().is_over = true;
    }

    /// Runs tasks until one calls [`Tasks::finish`].
    ///
    /// # Panics
    /// When no task can ever proceed.
    pub fn run(&self, world: &World) {
        let mut tasks: BTreeMap<u64, (Group, Task)> = BTreeMap::new();
        let mut made = 0;
        loop {
            let Orders { new, ended, is_over } = std::mem::take(&mut *self.0.borrow_mut());
            for (group, task) in new {
                made += 1;
                tasks.insert(made, (group, task));
                world.state().ready.push(made);
            }
            tasks.retain(|_, (group, _)| !ended.contains(group));
            if is_over {
                return;
            }
            let Some(chosen) = choose(world) else {
                panic!("all tasks wait for each other\n{}", world.trace(|trace| trace.last_lines()));
            };
            // A task that has ended may have left a waker.
            let Some((_, task)) = tasks.get_mut(&chosen) else { continue };
            let waker = Waker::from(Arc::new(TaskWaker { world: world.clone(), task: chosen }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                tasks.remove(&chosen);
            }
        }
    }
}

/// Chooses the task that proceeds. Time passes when none can.
fn choose(world: &World) -> Option<u64> {
    loop {
        let due = {
            let mut state = world.state();
            let State { ready, chance, trace, timers, now, .. } = &mut *state;
            if !ready.is_empty() {
                let at = chance.of(0..ready.len() as u64) as usize;
                let chosen = ready.swap_remove(at);
                trace.step(&[*now, chosen]);
                return Some(chosen);
            }
            let Reverse(due) = timers.pop()?;
            *now = due.at.max(*now);
            due
        };
        due.waker.wake();
    }
}
