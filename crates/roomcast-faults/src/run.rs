//! A run of a seed from its first message to the last judgement.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use roomcast_server::ingest::Source;

use crate::bugs::Bug;
use crate::disk::Counts;
use crate::sender;
use crate::server::serve;
use crate::site::Site;
use crate::trouble;
use crate::world::{OUTSIDE, Tasks, World};

/// Simulated time after which a run in which messages are not acknowledged has failed.
const LONGEST: Duration = Duration::from_secs(3600);

/// The beginning of the message of a run that did not come to its end.
pub const RUN_ENDED: &str = "the run ended";

/// The result of a run in which nothing was wrong.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The hash of everything that happened.
    pub trace: u64,
    /// The number of steps.
    pub steps: u64,
    /// The number of happenings acknowledged.
    pub acknowledged: usize,
    /// Operations and faults of the disk.
    pub disk: Counts,
}

/// A fault that a run has found.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The fault, in words.
    pub wrong: String,
    /// The events before it.
    pub story: String,
    /// The hash of everything that happened.
    pub trace: u64,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, wrong, story, .. } = self;
        write!(out, "{story}\nseed {seed}: {wrong}\nrepeat it: ROOMCAST_TRACE=1 make simulate-faults SEED={seed}")
    }
}

/// Runs a seed, with a planted bug or without.
///
/// # Errors
/// Returns what was wrong.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Report, Failure> {
    let world = World::new(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| play(&world, bug)));
    let failure = |wrong: String| Failure {
        seed,
        wrong,
        story: world.trace(|trace| trace.last_lines()),
        trace: world.trace(|trace| trace.hash()),
    };
    match ran {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(wrong)) => Err(failure(wrong)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(failure(format!("{RUN_ENDED}: {text}")))
        }
    }
}

fn play(world: &World, bug: Option<Bug>) -> Result<Report, String> {
    let tasks = Tasks::default();
    let (slots, messages, trouble_seconds, loss) = world.chance(|chance| {
        let slots = if chance.percent(40) { 2 } else { 1 };
        (slots, chance.of(10..60), chance.of(20..90), [0, 3, 20][chance.of(0..3) as usize])
    });
    let site = Site::new(world, &tasks, slots, bug);
    site.network.loss.set(loss);
    tasks.start(OUTSIDE, direct(site.clone(), messages, trouble_seconds));
    tasks.run(world);
    let report = Report {
        trace: world.trace(|trace| trace.hash()),
        steps: world.trace(|trace| trace.steps()),
        acknowledged: site.oracle.acknowledged(),
        disk: site.hardware.disk.counts(),
    };
    site.oracle.wrong().map_or(Ok(report), Err)
}

/// Directs a run: starts everything, waits until all is acknowledged, loses the power and judges.
async fn direct(site: Rc<Site>, messages: u64, trouble_seconds: u64) {
    let (world, tasks) = (site.world.clone(), site.tasks.clone());
    let mut plan = world.chance(|chance| sender::plan(chance, messages));
    let senders = world.chance(|chance| chance.of(1..5)) as usize;
    let busy = Rc::new(std::cell::Cell::new(senders));
    for number in 0..senders {
        let own = plan.split_off(plan.len() - plan.len() / (senders - number));
        let (source, site, busy) = (Source::ALL[number % 3], site.clone(), busy.clone());
        tasks.start(OUTSIDE, async move {
            sender::send(site, source, own).await;
            busy.set(busy.get() - 1);
        });
    }
    (0..site.slots()).for_each(|slot| tasks.start(OUTSIDE, serve(site.clone(), slot)));
    tasks.start(OUTSIDE, trouble::power(site.clone()));
    let until = Duration::from_secs(trouble_seconds);
    tasks.start(OUTSIDE, trouble::make(site.clone(), until));
    while busy.get() > 0 || world.now() < until.as_nanos() as u64 {
        world.sleep(Duration::from_millis(500)).await;
        if world.now() > LONGEST.as_nanos() as u64 {
            return site.finds(format!("{} senders are not done after an hour", busy.get()));
        }
    }
    site.is_closing.set(true);
    site.hardware.disk.switch_off();
    while site.living.get() > 0 || site.is_dark() {
        world.sleep(Duration::from_millis(500)).await;
    }
    world.sleep(Duration::from_millis(500)).await;
    match site.open() {
        Some(host) => {
            site.audit(&host);
            site.bury(&host);
        }
        None => site.finds("the store cannot be opened after the run".to_owned()),
    }
    tasks.finish();
}
