//! Backups under way.

use roomcast::calendar::Calendar;
use roomcast::store;

use super::place::{Place, batch, held, stream, sums};

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
    let copy = store::open(target.to_str().unwrap(), &Calendar::default()).await.unwrap();
    let sums_of = |parts: usize| sums(&events[..(parts * 250).min(events.len())]);
    let held = held(&*copy).await;
    assert!((parts.len() / 2..=parts.len()).any(|parts| sums_of(parts) == held));
    let left: Vec<_> = std::fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".roomcast-")), "{left:?}");
    assert!(store.backup(&place.dir.path().join("no/where.db")).await.is_err());
}
