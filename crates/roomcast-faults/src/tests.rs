use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{Batch, Event, Kind};

use crate::bugs::Bug;
use crate::disk::{Counts, Effect, Fuse, Matching};
use crate::host::{Access, Hardware, Host, START};
use crate::run::{Failure, RUN_ENDED, Report, run};
use crate::world::World;

/// Seeds of the usual test.
const SEEDS: u64 = 300;

/// Seeds within which a planted bug is found.
const SEEDS_PER_BUG: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

/// Runs seeds on all processors, until one fails. Returns the reports of all, or the failure with the least seed.
fn run_all(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> Result<Vec<Report>, Failure> {
    let next = AtomicU64::new(seeds.start);
    let (reports, failed) = (Mutex::new(Vec::new()), Mutex::new(None::<Failure>));
    let lock = |_: PoisonError<_>| unreachable!();
    let work = || {
        while failed.lock().unwrap_or_else(lock).is_none() {
            let seed = next.fetch_add(1, SeqCst);
            if seed >= seeds.end {
                return;
            }
            match run(seed, bug) {
                Ok(report) => reports.lock().unwrap().push(report),
                Err(failure) => {
                    let mut failed = failed.lock().unwrap_or_else(lock);
                    if failed.as_ref().is_none_or(|known| failure.seed < known.seed) {
                        *failed = Some(failure);
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    failed.into_inner().unwrap().map_or(Ok(reports.into_inner().unwrap()), Err)
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    let watch = std::time::Instant::now();
    let seeds = match number("ROOMCAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOMCAST_SEEDS").unwrap_or(SEEDS),
    };
    let reports = run_all(seeds, None).unwrap_or_else(|failure| panic!("{failure}"));
    let sum = |of: fn(&Counts) -> u64| reports.iter().map(|report| of(&report.disk)).sum::<u64>();
    println!(
        "{} seeds in {:.1} s: {} readings acknowledged, {} operations, {} losses of power, {} writes lost, {} of them torn, {} errors",
        reports.len(),
        watch.elapsed().as_secs_f64(),
        reports.iter().map(|report| report.acknowledged).sum::<usize>(),
        sum(|disk| disk.operations),
        sum(|disk| disk.power_losses),
        sum(|disk| disk.lost_writes),
        sum(|disk| disk.torn_writes),
        sum(|disk| disk.errors),
    );
    if reports.len() as u64 >= SEEDS {
        let least = [sum(|disk| disk.lost_writes), sum(|disk| disk.torn_writes), sum(|disk| disk.errors)];
        assert!(least.iter().all(|&count| count > 100), "the disk hardly ever fails: {least:?}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let runs = |seed| match run(seed, None) {
        Ok(report) => (report.trace, report.steps),
        Err(failure) => panic!("{failure}"),
    };
    let first: Vec<_> = (0..10).map(runs).collect();
    assert_eq!(first, (0..10).map(runs).collect::<Vec<_>>());
    assert!((1..10).all(|seed| first[seed] != first[0]));
}

/// Too many open files, for example. Messages of brokers went into quarantine, acknowledged and not stored.
#[test]
fn a_file_that_cannot_be_opened_again_refuses_no_readings() {
    let world = World::new(1);
    let hardware = Hardware::new(&world, None);
    let host = Host::start(&hardware);
    host.open(&Calendar::default()).unwrap().unwrap();
    let write = || {
        let event = Event { device: "room".into(), time: START, kind: Kind::Motion, id: None };
        let batch = Batch { events: vec![event], refused: Vec::new() };
        host.call(Access::Write, |store| async move { store.ingest(&batch).await }).unwrap()
    };
    // The first failure closes the connection, the second comes when it is opened again.
    let process = Some(host.process.number);
    hardware.disk.arm(Fuse { process, matching: Matching::Log, passes: 0, effect: Effect::Fail(1), is_after: false });
    assert!(write().unwrap_err().is_temporary());
    hardware.disk.arm(Fuse { process, matching: Matching::All, passes: 0, effect: Effect::Fail(1), is_after: false });
    let error = write().unwrap_err();
    assert!(error.to_string().contains("unable to open") && error.is_temporary(), "{error}");
    assert_eq!(write().unwrap().verdicts.len(), 1);
    host.end();
}

/// SQLite ends a transaction itself after some failures. The connection's next ones then did not end.
#[test]
fn a_connection_that_failed_while_reading_reads_the_present_again() {
    let world = World::new(1);
    let hardware = Hardware::new(&world, None);
    let host = Host::start(&hardware);
    host.open(&Calendar::default()).unwrap().unwrap();
    let write = |time| {
        let event = Event { device: "room".into(), time, kind: Kind::Motion, id: None };
        let batch = Batch { events: vec![event], refused: Vec::new() };
        host.call(Access::Write, |store| async move { store.ingest(&batch).await }).unwrap().unwrap();
    };
    let load = || host.call(Access::Read, |store| async move { store.load(None).await }).unwrap();
    write(START);
    let (_, cursor) = load().unwrap();
    let process = Some(host.process.number);
    hardware.disk.arm(Fuse { process, matching: Matching::All, passes: 0, effect: Effect::Fail(1), is_after: false });
    assert!(load().is_err());
    let changes = || host.call(Access::Read, |store| async move { store.changes(cursor).await }).unwrap().unwrap().0;
    assert_eq!(changes(), []);
    write(START + 1);
    assert_eq!((changes().len(), load().unwrap().0.edge_count()), (1, 2));
    host.end();
}

#[test]
fn each_planted_bug_is_found() {
    let is_missed = |&bug: &Bug| {
        let Err(failure) = run_all(0..SEEDS_PER_BUG, Some(bug)) else { return true };
        println!("{bug:?} is found by seed {}: {}", failure.seed, failure.wrong);
        // The same seed finds it again, in the same way.
        let again = run(failure.seed, Some(bug)).expect_err("a seed repeats its run");
        let is_panic = failure.wrong.starts_with(RUN_ENDED);
        assert_eq!((again.wrong, again.trace), (failure.wrong, failure.trace));
        is_panic
    };
    let missed: Vec<Bug> = Bug::ALL.into_iter().filter(is_missed).collect();
    assert_eq!(missed, [], "not found within {SEEDS_PER_BUG} seeds");
}
