//! Senders: clients and brokers that repeat what was not acknowledged, and the network between them and the servers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use roomcast_server::ingest::Source;
use roomcast_storage::readings::Kind;
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::host::START;
use crate::network::Reply;
use crate::oracle::{Attempt, Happening};
use crate::server::receive;
use crate::site::Site;
use crate::world::OUTSIDE;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Seconds that belong to one happening, so that no two have the same second whatever they are restamped to.
const SLOT: i64 = 40;

/// Days before the start from which happenings come.
const DAYS: u64 = 4;

/// A message as it is planned: the same happenings every time it is sent.
#[derive(Debug, Clone, Default)]
pub struct Message {
    happenings: Vec<Happening>,
    refused: Vec<String>,
}

/// Plans the messages of all senders: batches of happenings, some of them in several messages.
pub fn plan(chance: &mut Chance, messages: u64) -> Vec<Message> {
    let devices = chance.of(1..6);
    let (mut all, mut plan): (Vec<Happening>, Vec<Message>) = (Vec::new(), Vec::new());
    for _ in 0..messages {
        let mut message = Message::default();
        let rows = if chance.percent(5) { chance.of(50..400) } else { chance.of(1..8) };
        for _ in 0..rows {
            if !all.is_empty() && chance.percent(10) {
                message.happenings.push(all[chance.of(0..all.len() as u64) as usize].clone());
                continue;
            }
            let number = all.len();
            // 919 has no factor in common with the slots of a day, so each slot comes once. Then come earlier days.
            let slots = DAY / SLOT;
            let (slot, round) = (number as i64 * 919 % slots, number as i64 / slots);
            let day = START / DAY - 1 - round * DAYS as i64 - chance.of(0..DAYS) as i64;
            let kind = match chance.of(0..10) {
                0 => Kind::Rest,
                1 | 2 => Kind::Off,
                _ => Kind::Motion,
            };
            let id = chance.percent(50).then(|| format!("id-{number}"));
            let happening = Happening {
                number,
                device: format!("room_{}", chance.of(0..devices)),
                kind,
                is_restamped: id.is_some() && chance.percent(70),
                id,
                time: day * DAY + slot * SLOT,
            };
            all.push(happening.clone());
            message.happenings.push(happening);
        }
        if chance.percent(10) {
            message.refused.push(format!("row {}", chance.of(0..50)));
        }
        plan.push(message);
    }
    plan
}

impl Message {
    /// Returns the message as it is sent for the so-manieth time.
    pub fn attempt(&self, number: i64) -> Attempt {
        let stamp = |happening: &Happening| {
            let later = if happening.is_restamped { number % SLOT } else { 0 };
            (happening.clone(), happening.time + later)
        };
        Attempt { events: self.happenings.iter().map(stamp).collect(), refused: self.refused.clone() }
    }
}

/// Sends messages one after the other, each until it is acknowledged.
pub async fn send(site: Rc<Site>, source: Source, messages: Vec<Message>) {
    let world = site.world.clone();
    for message in messages {
        for number in 0.. {
            let attempt = message.attempt(number);
            site.oracle.sends(&attempt);
            let slot = world.chance(|chance| chance.of(0..site.slots() as u64)) as usize;
            let (reply, answer) = oneshot::channel();
            transmit(&site, slot, source, &attempt, reply);
            let patience = Duration::from_millis(world.chance(|chance| chance.of(500..8_000)));
            let is_acknowledged = tokio::select! {
                biased;
                answer = answer => answer.unwrap_or(false),
                () = world.sleep(patience) => false,
            };
            if is_acknowledged {
                break;
            }
            world.pause(Duration::from_secs(1)).await;
        }
        world.pause(Duration::from_millis(1500)).await;
    }
}

/// Takes a message over the network to a server, perhaps never, late or twice.
fn transmit(site: &Rc<Site>, slot: usize, source: Source, attempt: &Attempt, reply: oneshot::Sender<bool>) {
    let reply: Reply = Rc::new(RefCell::new(Some(reply)));
    for delay in site.network.copies(&site.world) {
        let (site, attempt, reply) = (site.clone(), attempt.clone(), reply.clone());
        site.clone().tasks.start(OUTSIDE, async move {
            site.world.sleep(delay).await;
            if let Some(server) = site.server(slot) {
                site.tasks.start(server.host.group(), receive(site.clone(), server, source, attempt, reply));
            }
        });
    }
}
