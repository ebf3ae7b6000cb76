//! Servers: processes that run the product's writer on the product's store, follow it, keep it and hold its lease.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roomcast_server::ingest::Source;
use roomcast_server::ingest::counts::Counts;
use roomcast_server::ingest::writer::{Limits, Writer};
use roomcast_storage::readings::{Batch, Cursor, Event, Refused};

use crate::bugs::Bug;
use crate::host::{Access, Host, START};
use crate::network::Reply;
use crate::oracle::{Attempt, Happening};
use crate::sink::HostSink;
use crate::site::{Server, Site};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Time between two looks at a process from outside.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Seconds for which a process takes the lease. A run is short, so they are fewer than the product's.
const LEASE_SECONDS: i64 = 8;

/// Runs servers at a place, one after the other, until the run closes.
pub async fn serve(site: Rc<Site>, slot: usize) {
    let world = site.world.clone();
    while !site.is_closing.get() {
        world.pause(Duration::from_secs(2)).await;
        if site.is_dark() {
            continue;
        }
        let Some(host) = site.open() else { continue };
        world.note(format!("process {} serves at place {slot}", host.group()));
        site.audit(&host);
        let server = start(&site, &host);
        site.put(slot, Some(server.clone()));
        while host.process.is_alive() && !server.is_stopping.get() && !site.is_closing.get() {
            world.sleep(POLL_INTERVAL).await;
        }
        site.put(slot, None);
        let is_alive = host.process.is_alive();
        // The product stops its tasks, gives up its leases and drops the store.
        site.tasks.end(host.group());
        drop(server);
        world.sleep(Duration::from_millis(1)).await;
        if is_alive {
            world.note(format!("process {} stops in order", host.group()));
            let name = host.group().to_string();
            let _ = host.call(Access::Write, |store| async move { store.unlease("publish", &name).await });
            host.close();
            site.living.set(site.living.get() - 1);
        } else {
            world.note(format!("process {} is dead", host.group()));
            site.bury(&host);
        }
    }
}

/// Starts the tasks of a server.
fn start(site: &Rc<Site>, host: &Arc<Host>) -> Rc<Server> {
    let sink = HostSink { host: host.clone(), early: Mutex::default(), latency: site.latency.clone() };
    let limits = Limits { rows: 2_000, bytes: 1 << 20 };
    let counts = Arc::new(Counts::default());
    let (writer, task) = Writer::new(Arc::new(sink), site.calendar.clone(), limits, counts, Box::new(|_| {}));
    site.tasks.start(host.group(), task);
    site.tasks.start(host.group(), follow(site.clone(), host.clone()));
    site.tasks.start(host.group(), keep(site.clone(), host.clone()));
    site.tasks.start(host.group(), publish(site.clone(), host.clone()));
    Rc::new(Server { host: host.clone(), writer, is_stopping: Cell::new(false) })
}

/// Takes a message, and acknowledges it as the product does: after the writer's answer.
pub async fn receive(site: Rc<Site>, server: Rc<Server>, source: Source, attempt: Attempt, reply: Reply) {
    let event = |(happening, time): &(Happening, i64)| Event {
        device: happening.device.clone(),
        time: *time,
        kind: happening.kind,
        id: happening.id.clone(),
    };
    let refused = |row: &String| Refused { source: "file".into(), payload: row.clone(), reason: "no event".into() };
    let batch = Batch {
        events: attempt.events.iter().map(event).collect(),
        refused: attempt.refused.iter().map(refused).collect(),
    };
    let bytes = 100 * (batch.events.len() + batch.refused.len());
    let written = match source {
        Source::Http => {
            let submitted = server.writer.reserve(bytes).and_then(|room| server.writer.submit(source, batch, room));
            match submitted {
                Ok(written) => written,
                Err(_) => return site.answer(&reply, false),
            }
        }
        _ => server.writer.submit_until_stored(source, batch, bytes).await,
    };
    drop(server);
    let is_stored = matches!(written.await, Ok(Ok(_)));
    if is_stored {
        site.oracle.acknowledges(&attempt);
    }
    site.answer(&reply, is_stored);
}

/// Follows the store as the server does, and compares with a cold start.
async fn follow(site: Rc<Site>, host: Arc<Host>) {
    let Some(Ok((mut live, mut cursor))) = host.call(Access::Read, |store| async move { store.load(None).await })
    else {
        // The product would end here; the next process starts anew.
        host.process.kill();
        return;
    };
    loop {
        site.world.pause(Duration::from_secs(3)).await;
        let changes = host.call(Access::Read, |store| async move { store.changes(cursor).await });
        match changes {
            None => return,
            Some(Err(error)) => {
                site.world.note(format!("process {} cannot follow: {error}", host.group()));
                site.judge_failure(&error);
                continue;
            }
            Some(Ok((devices, reached))) => {
                let too_far = i64::from(site.hardware.bug() == Some(Bug::LostChanges));
                (live, cursor) = (live.extended(&devices), Cursor(reached.0 + too_far));
            }
        }
        let Some(Ok((cold, _))) = host.call(Access::Read, |store| async move { store.load(None).await }) else {
            continue;
        };
        let kept = site.oracle.dropped_before();
        if live.since(kept) != cold.since(kept) {
            site.finds(format!(
                "process {} serves {} readings, a cold start {}",
                host.group(),
                live.since(kept).edge_count(),
                cold.since(kept).edge_count()
            ));
        }
    }
}

/// Packs and drops closed days now and then.
async fn keep(site: Rc<Site>, host: Arc<Host>) {
    loop {
        site.world.pause(Duration::from_secs(30)).await;
        let (drops, age) = site.world.chance(|chance| (chance.percent(10), chance.of(0..4) as i64));
        let before = START - age * DAY;
        let done = if drops {
            let from = before - 2 * DAY;
            site.oracle.drops(from - from.rem_euclid(DAY));
            host.call(Access::Write, |store| async move { store.retain(from).await })
        } else {
            host.call(Access::Write, |store| async move { store.pack(before).await })
        };
        let Some(done) = done else { return };
        let what = if drops { "drops" } else { "packs" };
        match done {
            Ok(count) => site.world.note(format!("process {} {what} {count} readings", host.group())),
            Err(error) => {
                site.judge_failure(&error);
                site.world.note(format!("process {} {what} nothing: {error}", host.group()));
            }
        }
    }
}

/// Takes and renews the lease of publishing, and publishes while it lasts, by the product's rule: from before the request
/// on, for as long as was asked.
async fn publish(site: Rc<Site>, host: Arc<Host>) {
    let (world, name) = (site.world.clone(), host.group().to_string());
    let bug = site.hardware.bug();
    let mut held: Option<u64> = None;
    loop {
        let (requested_at, holder) = (world.now(), name.clone());
        let call =
            host.call(Access::Write, |store| async move { store.lease("publish", &holder, LEASE_SECONDS).await });
        match call {
            None => return,
            Some(Ok(is_held)) => {
                held = (is_held || bug == Some(Bug::IgnoredLease)).then_some(requested_at);
                if is_held {
                    site.oracle.takes_lease(host.group(), requested_at);
                }
            }
            // It is not known who holds the lease.
            Some(Err(error)) => site.judge_failure(&error),
        }
        for _ in 0..3 {
            // A process may stand still for a while.
            let stall = if world.chance(|chance| chance.percent(10)) { 15_000 } else { 1_500 };
            world.pause(Duration::from_millis(stall)).await;
            let Some(since) = held else { continue };
            let is_over = world.now() >= since + LEASE_SECONDS as u64 * 1_000_000_000;
            if (!is_over || bug == Some(Bug::NoFence)) && !site.hardware.has_jumped_since(since) {
                site.oracle.works(host.group(), since);
            }
            if site.oracle.wrong().is_some() {
                site.tasks.finish();
            }
        }
    }
}
