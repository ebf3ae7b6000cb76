//! Trouble: what goes wrong in a run, and when.

use std::rc::Rc;
use std::time::Duration;

use crate::disk::{Effect, Fuse, Matching};
use crate::host::{Access, START};
use crate::site::{Server, Site};

/// Makes trouble until an instant of the run.
pub async fn make(site: Rc<Site>, until: Duration) {
    let world = site.world.clone();
    while world.now() < until.as_nanos() as u64 {
        world.pause(Duration::from_secs(6)).await;
        match world.chance(|chance| chance.of(0..100)) {
            0..50 => arm(&site),
            50..53 => site.hardware.disk.switch_off(),
            53..56 => twice(&site).await,
            56..60 => {
                if let Some(server) = any_server(&site) {
                    world.note(format!("process {} is killed", server.host.group()));
                    server.host.process.kill();
                }
            }
            60..68 => {
                if let Some(server) = any_server(&site) {
                    server.is_stopping.set(true);
                }
            }
            68..73 => {
                site.hardware.disk.fill(true);
                world.note("the disk is full");
                world.pause(Duration::from_secs(4)).await;
                site.hardware.disk.fill(false);
            }
            73..78 => {
                site.network.is_cut.set(true);
                world.pause(Duration::from_secs(10)).await;
                site.network.is_cut.set(false);
            }
            78..83 => {
                let latency = world.chance(|chance| [2, 500, 15_000, 30_000][chance.of(0..4) as usize]);
                site.slow_down(latency);
                world.note(format!("transactions take up to {latency} ms"));
                world.pause(Duration::from_secs(10)).await;
                site.slow_down(20);
            }
            83..88 => {
                let seconds = world.chance(|chance| chance.of(0..7_200)) as i64 - 3_600;
                world.note(format!("the clock jumps by {seconds} s"));
                site.hardware.jump(seconds);
            }
            88..94 => outsider(&site, true),
            _ => outsider(&site, false),
        }
    }
    site.hardware.disk.disarm_all();
    site.hardware.disk.fill(false);
    site.network.is_cut.set(false);
    site.network.loss.set(0);
}

/// Kills a process in the middle of a commit, and loses the power soon after another has started.
async fn twice(site: &Rc<Site>) {
    let Some(server) = any_server(site) else { return };
    let process = Some(server.host.process.number);
    let fuse = Fuse { process, matching: Matching::LogSync, passes: 0, effect: Effect::Kill, is_after: false };
    site.hardware.disk.arm(fuse);
    for _ in 0..40 {
        if !server.host.process.is_alive() {
            break;
        }
        site.world.sleep(Duration::from_millis(100)).await;
    }
    site.world.pause(Duration::from_secs(5)).await;
    site.hardware.disk.switch_off();
}

fn any_server(site: &Site) -> Option<Rc<Server>> {
    let slot = site.world.chance(|chance| chance.of(0..site.slots() as u64)) as usize;
    site.server(slot)
}

/// Sets a fuse that waits for an operation of the disk.
fn arm(site: &Rc<Site>) {
    let own = any_server(site).map(|server| server.host.process.number);
    let fuse = site.world.chance(|chance| {
        let matching = match chance.of(0..10) {
            0..3 => Matching::LogSync,
            3..5 => Matching::Log,
            5 => Matching::Database,
            6 => Matching::All,
            _ => Matching::Changes,
        };
        let effect = match chance.of(0..10) {
            0..4 => Effect::LosePower,
            4..7 => Effect::Kill,
            _ => Effect::Fail(chance.of(1..4) as u32),
        };
        let passes = if matching == Matching::LogSync { chance.of(0..4) } else { chance.of(0..40) };
        let process = if effect == Effect::LosePower { None } else { own };
        Fuse { process, matching, passes: passes as u32, effect, is_after: chance.percent(50) }
    });
    site.world.note(format!("set: {fuse:?}"));
    site.hardware.disk.arm(fuse);
}

/// Lets another process work on the store: an operator's `store pack`, or a checkpoint by another program.
fn outsider(site: &Rc<Site>, packs: bool) {
    if site.is_dark() {
        return;
    }
    let Some(host) = site.open() else { return };
    let done = if packs {
        let done = host.call(Access::Write, |store| async move { store.pack(START - 86_400).await });
        done.map(|done| {
            done.map_err(|error| site.judge_failure(&error)).map_or("nothing".to_owned(), |n| n.to_string())
        })
    } else {
        host.query::<i64>("PRAGMA wal_checkpoint(TRUNCATE)").map(|busy| format!("busy {busy}")).ok()
    };
    site.world.note(format!("process {} {}: {done:?}", host.group(), if packs { "packs" } else { "checkpoints" }));
    if host.process.is_alive() {
        host.close();
        site.living.set(site.living.get() - 1);
    } else {
        site.bury(&host);
    }
}

/// Restores power after each loss, once all processes have ended.
pub async fn power(site: Rc<Site>) {
    loop {
        site.world.sleep(Duration::from_millis(100)).await;
        if site.is_dark() && site.living.get() == 0 {
            site.hardware.disk.lose_power();
            site.restored.set(site.hardware.disk.outages());
        }
    }
}
