//! Killed, damaged, copied while in use: nothing acknowledged is lost, nothing counts twice.

use std::process::{Command, Stdio};
use std::time::Duration;

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{self, Kind, StoreError};

use super::commands::{csv, ok};
use super::place::{Numbers, Place, batch, held, on_both, stream, sums};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_way_is_a_store_of_one_moment() {
    let place = Place::sqlite();
    let store = place.open().await;
    let events = stream(17, 20_000, 10, 5);
    let (parts, target) = (events.chunks(250).collect::<Vec<_>>(), place.dir.path().join("backup.db"));
    std::fs::write(&target, "an older backup").unwrap();
    for part in &parts[..parts.len() / 2] {
        store.ingest(&batch(part.to_vec())).await.unwrap();
    }
    let write = async {
        for part in &parts[parts.len() / 2..] {
            store.ingest(&batch(part.to_vec())).await.unwrap();
        }
    };
    let (backed, ()) = tokio::join!(store.backup(&target), write);
    backed.unwrap();
    let copy = readings::open(target.to_str().unwrap(), &Calendar::default()).await.unwrap();
    let sums_of = |parts: usize| sums(&events[..(parts * 250).min(events.len())]);
    let held = held(&copy).await;
    assert!((parts.len() / 2..=parts.len()).any(|parts| sums_of(parts) == held));
    let left: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".roomcast-")), "{left:?}");
    assert!(store.backup(&place.dir.path().join("no/where.db")).await.is_err());
}

#[tokio::test]
async fn an_import_killed_at_any_moment_and_begun_again_counts_each_reading_once() {
    on_both(async |place: Place| {
        let mut events = stream(31, 60_000, 30, 5);
        events.retain(|event| event.kind != Kind::Rest);
        let file = place.dir.path().join("readings.csv");
        csv(&file, &events);
        let args = ["import", "--store", &place.url, file.to_str().unwrap(), "--batch", "700"];
        let mut numbers = Numbers(37);
        let mut killed = 0;
        for _ in 0..8 {
            let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
            let mut child = command.env_clear().args(args).stdout(Stdio::null()).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(numbers.below(250))).await;
            // SIGKILL.
            child.kill().unwrap();
            killed += usize::from(!child.wait().unwrap().success());
        }
        assert!(killed > 0);
        ok(&args);
        assert_eq!(held(&*place.open().await).await, sums(&events));
        let read = roomcast_forecast::readings::read(&[file], &Default::default(), &Calendar::default()).unwrap().0;
        assert_eq!(place.open().await.load(None).await.unwrap().0, read);
    })
    .await;
}

#[tokio::test]
async fn two_imports_at_once_into_a_store_that_is_not_there_yet_both_succeed() {
    on_both(async |place: Place| {
        let mut events = stream(53, 20_000, 30, 5);
        events.retain(|event| event.kind != Kind::Rest);
        let file = place.dir.path().join("readings.csv");
        csv(&file, &events);
        let args = ["import", "--store", &place.url, file.to_str().unwrap(), "--batch", "500"];
        let start = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
            command.env_clear().args(args).stdout(Stdio::null()).spawn().unwrap()
        };
        let (mut one, mut other) = (start(), start());
        assert!(one.wait().unwrap().success() && other.wait().unwrap().success());
        assert_eq!(held(&*place.open().await).await, sums(&events));
    })
    .await;
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_says_so() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.ingest(&batch(stream(59, 5000, 10, 5))).await.unwrap();
    let copy = place.dir.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    for page in bytes.chunks_mut(4096).skip(2) {
        page[..64].fill(0xa5);
    }
    std::fs::write(&copy, bytes).unwrap();
    let error = match readings::open(copy.to_str().unwrap(), &Calendar::default()).await {
        Ok(store) => store.load(None).await.map(drop).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("hint: restore a backup"), "{error}");
}
