//! Power that is lost at any moment: what was acknowledged is there afterwards.
//!
//! The real binary runs while all that it does to its files is recorded. From the recording disks are made as they may be when
//! the power is lost at random moments, and opened by the real code. `ROOMCAST_CASES` says how many in each test.

mod loss;
mod recording;
mod registry;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_storage::readings::{self, Store, Verdict};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::serve::client::{Server, registry as models, wait};
use crate::store::place::{Numbers, batch, motion};
use crate::stream::bench::{block_on, post, start, time};
use recording::{Call, Moment, Recording, What};
use tree::{Change, Content, Node, Tree};

/// How many power losses a test tries.
fn cases(usual: u64) -> u64 {
    std::env::var("ROOMCAST_CASES").map_or(usual, |cases| cases.parse().expect("ROOMCAST_CASES is a number"))
}

/// A directory in memory where there is one: what is written there is read once.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Where a power loss is tried: half the time anywhere, else soon after one of some moments.
fn moment(end: Moment, worth: &[Moment], numbers: &mut Numbers) -> Moment {
    let near = match numbers.below(2) {
        0 if !worth.is_empty() => worth[numbers.below(worth.len() as u64) as usize] + 1 + numbers.below(8) as usize,
        _ => numbers.below(end as u64 + 1) as usize,
    };
    near.min(end)
}

/// Power losses in a recording that lead to something wrong: the first one found, with what it was.
fn first_wrong(
    recording: &Recording,
    cases: u64,
    worth: &[Moment],
    check: impl Fn(Moment, &Path) -> Result<(), String>,
) -> Option<String> {
    (1..=cases).find_map(|case| {
        let mut numbers = Numbers(case.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let at = moment(recording.end, worth, &mut numbers);
        let disk = recording.lose_power(at, &mut numbers);
        let place = scratch();
        disk.put(place.path(), &mut numbers);
        let wrong = check(at, place.path()).err()?;
        Some(format!("case {case}, power lost at {at} of {}: {wrong}; files: {:?}", recording.end, lengths(&disk)))
    })
}

fn lengths(disk: &Tree) -> Vec<(String, usize)> {
    disk.paths().into_iter().map(|(path, bytes)| (path, bytes.map_or(0, <[u8]>::len))).collect()
}

type Reading = (String, Timestamp);

/// Readings that were sent, request by request, and when each request was acknowledged.
struct Requests {
    sent: Vec<Vec<Reading>>,
    acknowledged: Vec<Moment>,
}

impl Requests {
    /// Those acknowledged before a moment.
    fn acknowledged_before(&self, at: Moment) -> usize {
        self.acknowledged.partition_point(|&acknowledged| acknowledged < at)
    }

    fn first(&self, count: usize) -> BTreeSet<Reading> {
        self.sent[..count].iter().flatten().cloned().collect()
    }
}

/// Requests of so many readings each, in no order of time, no reading twice.
fn requests(sizes: impl IntoIterator<Item = i64>, devices: i64) -> Vec<Vec<Reading>> {
    let mut next = 0..;
    let mut reading = || {
        let n: i64 = next.next().unwrap();
        (format!("room_{}", n * 7 % devices), start() + n * 7919 % 100_003 * 61)
    };
    sizes.into_iter().map(|size| (0..size).map(|_| reading()).collect()).collect()
}

/// Runs a server on the store of a recording and sends it requests one after the other; they are acknowledged. Every reading
/// has an id.
fn send(recording: &mut Recording, sent: &[Vec<Reading>]) -> Vec<Moment> {
    let recorder = recording.recorder();
    let mut command = Command::new(&recorder[0]);
    command.args(&recorder[1..]).arg(env!("CARGO_BIN_EXE_roomcast"));
    let (store, models) = (store_of(&recording.directory()), models());
    let mut server = Server::run(command, &[], &["--store", &store, "--models", models.path().to_str().unwrap()], &[]);
    for readings in sent {
        let row = |(device, at): &Reading| {
            let (time, id) = (time(at - start()), at - start());
            format!("{{\"time\":\"{time}\",\"device\":\"{device}\",\"id\":\"{id}\"}}\n")
        };
        let body: String = readings.iter().map(row).collect();
        let answer = post(&server, "application/x-ndjson", &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    server.signal("TERM");
    wait("the end", || server.child.try_wait().unwrap().is_some());
    let before = recording.calls.len();
    recording.take();
    let is_answer = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.starts_with("HTTP/1.1 200") && text.contains("\"stored\":")
    };
    let answers = recording.calls[before..].iter().filter_map(|call| match &call.what {
        What::Send(bytes) if is_answer(bytes) => Some(call.began),
        _ => None,
    });
    let answers: Vec<Moment> = answers.collect();
    assert_eq!(answers.len(), sent.len());
    answers
}

/// When something was written to files of a name, at some of its offsets.
fn writes<'a>(
    recording: &'a Recording,
    name: &'a str,
    is_meant: impl Fn(usize) -> bool + 'a,
) -> impl Iterator<Item = Moment> {
    let files: BTreeSet<Node> = recording
        .changes()
        .filter_map(|(_, change)| match change {
            Change::Enter { name: entered, node, .. } if entered == name => Some(*node),
            _ => None,
        })
        .collect();
    recording.changes().filter_map(move |(call, change)| match change {
        Change::Write { file, offset, .. } if files.contains(file) && is_meant(*offset) => Some(call.began),
        _ => None,
    })
}

fn store_of(directory: &Path) -> String {
    format!("sqlite:{}", directory.join("readings.db").display())
}

async fn held(store: &Store) -> Result<BTreeSet<Reading>, String> {
    let wrong = |error| format!("the store cannot be read: {error}");
    let (readings, _) = store.load(None).await.map_err(wrong)?;
    let counted: i64 = store.hours(None).await.map_err(wrong)?.iter().map(|hour| hour.count).sum();
    let of = |device: &roomcast_forecast::readings::DeviceReadings| {
        device.times.iter().map(|time| (device.device.clone(), time)).collect::<Vec<_>>()
    };
    let held: BTreeSet<Reading> = readings.devices.iter().flat_map(of).collect();
    if (held.len(), held.len() as i64) != (readings.len(), counted) {
        return Err(format!("{} readings are held as {}, counted as {counted}", held.len(), readings.len()));
    }
    Ok(held)
}

/// Opens a store after a power loss. Requests are there whole, the acknowledged ones and at most the one after them, and the
/// store takes more: all of it, once.
async fn check_store(url: &str, requests: &Requests, acknowledged: usize) -> Result<(), String> {
    let calendar = Calendar::default();
    let opened = match acknowledged {
        // It may not have been made yet.
        0 => readings::open(url, &calendar).await,
        _ => readings::open_existing(url, &calendar).await,
    };
    let store = opened.map_err(|error| format!("the store does not open: {error}"))?;
    let integrity = async {
        let mut connection = SqliteConnection::connect(url).await?;
        sqlx::query_scalar::<_, String>("PRAGMA integrity_check").fetch_one(&mut connection).await
    };
    let integrity = integrity.await.map_err(|error| format!("the store cannot be checked: {error}"))?;
    if integrity != "ok" {
        return Err(format!("the store is damaged: {integrity}"));
    }
    let held = held(&store).await?;
    let (least, most) = (requests.first(acknowledged), requests.first(requests.sent.len().min(acknowledged + 1)));
    let lost = least.difference(&held).count();
    if lost > 0 {
        return Err(format!("{lost} of {} acknowledged readings are lost", least.len()));
    }
    if held != least && held != most {
        return Err(format!("{} readings are there after {} or {}", held.len(), least.len(), most.len()));
    }
    let again = batch(most.iter().map(|(device, time)| motion(device, *time)));
    let receipt = store.ingest(&again).await.map_err(|error| format!("the store takes nothing more: {error}"))?;
    let stored = receipt.verdicts.iter().filter(|&&verdict| verdict == Verdict::Stored).count();
    match stored == most.len() - held.len() && self::held(&store).await? == most {
        true => Ok(()),
        false => Err(format!("{stored} readings were new where {} of {} were there", held.len(), most.len())),
    }
}

/// A server from its first start on, and one more.
fn two_servers() -> Option<(Recording, Requests)> {
    let mut recording = Recording::begin()?;
    let sent = requests((0..40).map(|n| 1 + n * n % 23), 30);
    let mut acknowledged = send(&mut recording, &sent[..25]);
    acknowledged.extend(send(&mut recording, &sent[25..]));
    Some((recording, Requests { sent, acknowledged }))
}

/// The first of so many power losses after which a store is not what it has to be.
fn first_wrong_store(recording: &Recording, cases: u64, worth: &[Moment], requests: &Requests) -> Option<String> {
    first_wrong(recording, cases, worth, |at, directory| {
        block_on(check_store(&store_of(directory), requests, requests.acknowledged_before(at)))
    })
}

#[test]
fn acknowledged_readings_survive_a_power_loss() {
    let Some((mut recording, requests)) = two_servers() else { return };
    let store = store_of(&recording.directory());
    let (backup, all) = (recording.directory().join("backup.db"), requests.sent.len());
    assert!(recording.roomcast(&["store", "pack", "--store", &store, "--days", "0"]).contains("readings packed"));
    recording.roomcast(&["store", "backup", "--store", &store, backup.to_str().unwrap()]);
    let backed_up = recording.calls.last().unwrap().began;
    let worth: Vec<Moment> = requests.acknowledged.iter().copied().chain([backed_up]).collect();
    let wrong = first_wrong(&recording, cases(300), &worth, |at, directory| {
        block_on(async {
            check_store(&store_of(directory), &requests, requests.acknowledged_before(at)).await?;
            // A backup is there whole, or not yet.
            let backup = directory.join("backup.db");
            match backup.exists() {
                true => check_store(&format!("sqlite:{}", backup.display()), &requests, all).await,
                false if at > backed_up => Err("the backup is lost".into()),
                false => Ok(()),
            }
        })
    });
    assert_eq!(wrong, None);
}

/// The log goes into the file, and begins anew, while requests come in.
#[test]
fn acknowledged_readings_survive_a_power_loss_in_a_checkpoint() {
    let Some(mut recording) = Recording::begin() else { return };
    let sent = requests((0..60).map(|n| if n % 10 < 8 { 1000 } else { 1 }), 500);
    let acknowledged = send(&mut recording, &sent);
    let requests = Requests { sent, acknowledged };
    let is_served = |at: &Moment| requests.acknowledged[0] < *at && *at < requests.acknowledged[59];
    let into_the_file: Vec<Moment> = writes(&recording, "readings.db", |_| true).filter(is_served).collect();
    let begun: Vec<Moment> = writes(&recording, "readings.db-wal", |offset| offset == 0).filter(is_served).collect();
    assert!(begun.len() > 1 && into_the_file.len() > 100, "{begun:?}, {} writes", into_the_file.len());
    let worth = [begun, into_the_file].concat();
    assert_eq!(first_wrong_store(&recording, cases(30), &worth, &requests), None);
}

#[test]
fn acknowledged_readings_survive_a_power_loss_while_a_store_recovers_from_another() {
    let Some((recording, mut requests)) = two_servers() else { return };
    let at = requests.acknowledged[30] + 9;
    let before = requests.acknowledged_before(at);
    let mut again = recording.after_power_loss(&recording.lose_power(at, &mut Numbers(3)));
    let more = send(&mut again, &requests.sent[before..]);
    // What was acknowledged before the first loss is there at any moment after it.
    requests.acknowledged.truncate(before);
    requests.acknowledged.extend(more);
    let wrong = first_wrong(&again, cases(100), &requests.acknowledged[before..], |at, directory| {
        let acknowledged = before + requests.acknowledged[before..].partition_point(|&moment| moment < at);
        block_on(check_store(&store_of(directory), &requests, acknowledged))
    });
    assert_eq!(wrong, None);
}

/// A server is killed after it has written a request and before that is on the disk. The next one reads it from memory, and
/// what is sent again is a repetition.
#[test]
fn readings_acknowledged_as_repeated_survive_a_power_loss() {
    let Some((recording, mut requests)) = two_servers() else { return };
    let last = requests.sent.len() - 1;
    let is_before = |at: &Moment| *at < requests.acknowledged[last];
    let written = writes(&recording, "readings.db-wal", |_| true).filter(is_before).max().unwrap();
    let is_sync = |call: &&Call| call.began > written && matches!(call.what, What::Sync(_));
    let killed = recording.calls.iter().find(is_sync).unwrap().began;
    assert!(requests.acknowledged[last - 1] < written && killed < requests.acknowledged[last]);
    let mut again = recording.after_kill(killed);
    let repeated = send(&mut again, &requests.sent[last..]);
    let is_written = |at: &Moment| killed < *at && *at < repeated[0];
    assert_eq!(writes(&again, "readings.db-wal", |_| true).filter(is_written).count(), 0, "it was no repetition");
    requests.acknowledged.truncate(last);
    requests.acknowledged.extend(repeated);
    assert_eq!(first_wrong_store(&again, cases(60), &requests.acknowledged[last..], &requests), None);
}

/// The tests above would find it if Roomcast did not wait for the disk.
#[test]
fn a_store_that_does_not_sync_loses_acknowledged_readings() {
    let Some((mut recording, requests)) = two_servers() else { return };
    let only: [fn(&Content) -> bool; 2] = [Content::is_directory, Content::is_file];
    for is_synced in only {
        recording.is_synced = is_synced;
        let found = first_wrong_store(&recording, 300, &requests.acknowledged, &requests).expect("something is lost");
        assert!(found.contains("acknowledged readings are lost") || found.contains("no such store"), "{found}");
    }
}
