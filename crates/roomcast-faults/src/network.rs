//! The network between senders and servers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::world::{OUTSIDE, Tasks, World};

/// Answers of a server, of which the first that arrives counts.
pub type Reply = Rc<RefCell<Option<oneshot::Sender<bool>>>>;

/// The network between senders and servers.
#[derive(Default)]
pub struct Network {
    /// True while nothing gets through.
    pub is_cut: Cell<bool>,
    /// Of 100 messages, so many are lost.
    pub loss: Cell<u64>,
}

impl Network {
    /// Returns the delay of each copy of a message that arrives.
    pub fn copies(&self, world: &World) -> Vec<Duration> {
        let is_lost = self.is_cut.get() || world.chance(|chance| chance.percent(self.loss.get()));
        let count = match world.chance(|chance| chance.of(0..100)) {
            _ if is_lost => 0,
            0..5 => 2,
            _ => 1,
        };
        let delay = || {
            world.chance(|chance| match chance.of(0..100) {
                // A message that was on its way for long arrives among later ones, perhaps at another process.
                0..4 => chance.of(0..30_000),
                4..20 => chance.of(0..2_000),
                _ => chance.of(1..50),
            })
        };
        (0..count).map(|_| Duration::from_millis(delay())).collect()
    }

    /// Takes an answer back to a sender.
    pub fn answer(&self, world: &World, tasks: &Tasks, reply: &Reply, is_acknowledged: bool) {
        for delay in self.copies(world) {
            let (world, reply) = (world.clone(), reply.clone());
            tasks.start(OUTSIDE, async move {
                world.sleep(delay).await;
                if let Some(reply) = reply.borrow_mut().take() {
                    let _ = reply.send(is_acknowledged);
                }
            });
        }
    }
}
