//! Following a store while others write to it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use roomcast_storage::readings::{Cursor, Kind, Store};
use sqlx::{Connection, Executor, PgConnection};

use super::place::{Place, START, batch, held, motion, on_both, stream, sums};

/// Device, second, and whether it was motion.
type Seen = BTreeSet<(String, i64, bool)>;

/// Adds what is new to what was seen.
async fn follow(store: &Store, cursor: Cursor, seen: &mut Seen) -> Cursor {
    let (changes, cursor) = store.changes(cursor).await.unwrap();
    for device in changes {
        seen.extend(device.edges().map(|(time, on)| (device.device.clone(), time, on)));
    }
    cursor
}

fn all(events: &[roomcast_storage::readings::Event]) -> Seen {
    let readings = events.iter().filter(|event| event.kind != Kind::Rest);
    readings.map(|event| (event.device.clone(), event.time, event.kind == Kind::Motion)).collect()
}

#[tokio::test]
async fn changes_come_after_their_cursor() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let (changes, start) = store.changes(Cursor::default()).await.unwrap();
        assert_eq!(changes, []);
        store.ingest(&batch([motion("b", START + 4), motion("a", START + 9), motion("b", START)])).await.unwrap();
        let (changes, first) = store.changes(start).await.unwrap();
        assert_eq!(changes.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(changes[1].times, vec![START, START + 4].into());
        // Other databases of the same server number their transactions in the same sequence.
        assert!(store.load(None).await.unwrap().1.0 >= first.0);
        store.ingest(&batch([motion("b", START - 50)])).await.unwrap();
        let (changes, _) = store.changes(first).await.unwrap();
        assert!(changes.iter().any(|d| d.device == "b" && d.times.contains(START - 50)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_the_same_come_to_the_same_sums_and_nothing_escapes_who_follows() {
    on_both(async |place: Place| {
        let stores = [place.open().await, place.open().await];
        let events = stream(7, 6000, 20, 3);
        let expected = sums(&events);
        let done = AtomicBool::new(false);
        let write = async |at: usize| {
            // Cut differently, and each from its own end: rows meet in every order.
            let size = [170, 230][at];
            let parts: Vec<_> = match at {
                0 => events.chunks(size).collect(),
                _ => events.rchunks(size).collect(),
            };
            for part in parts {
                stores[at].ingest(&batch(part.to_vec())).await.unwrap();
            }
        };
        let watch = async {
            let (mut seen, mut cursor) = (Seen::new(), Cursor::default());
            let reader = place.open().await;
            while !done.load(Ordering::Acquire) {
                cursor = follow(&reader, cursor, &mut seen).await;
                tokio::task::yield_now().await;
            }
            follow(&reader, cursor, &mut seen).await;
            seen
        };
        let writers = async {
            tokio::join!(write(0), write(1));
            done.store(true, Ordering::Release);
        };
        let (seen, ()) = tokio::join!(watch, writers);
        assert_eq!(seen, all(&events));
        assert_eq!(held(&stores[0]).await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_overlooked() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    store.ingest(&batch([motion("a", START), motion("b", START)])).await.unwrap();
    let (_, cursor) = store.load(None).await.unwrap();
    // A second server in the middle of a transaction, whose number is the lower one.
    let mut slow = PgConnection::connect(&place.url).await.unwrap();
    slow.execute("SET search_path = roomcast").await.unwrap();
    slow.execute("BEGIN").await.unwrap();
    slow.execute(
        "INSERT INTO readings SELECT 1467331260, id, pg_current_xact_id()::text::bigint FROM devices WHERE name = 'a'",
    )
    .await
    .unwrap();
    store.ingest(&batch([motion("b", START + 120)])).await.unwrap();
    let mut seen = Seen::new();
    let cursor = follow(&store, cursor, &mut seen).await;
    assert!(seen.contains(&("b".into(), START + 120, true)), "what is committed is seen at once");
    slow.execute("COMMIT").await.unwrap();
    follow(&store, cursor, &mut seen).await;
    assert!(seen.contains(&("a".into(), START + 60, true)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_packed_while_others_write_and_read() {
    on_both(async |place: Place| {
        let stores = [place.open().await, place.open().await];
        let events = stream(11, 4000, 8, 3);
        let done = AtomicBool::new(false);
        let write = async {
            for part in events.chunks(100).chain(events.chunks(170)) {
                stores[0].ingest(&batch(part.to_vec())).await.unwrap();
            }
            done.store(true, Ordering::Release);
        };
        let pack = async {
            while !done.load(Ordering::Acquire) {
                stores[1].pack(START + 3 * 86_400).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let read = async {
            let (mut length, mut seen, mut cursor) = (0, Seen::new(), Cursor::default());
            let reader = place.open().await;
            while !done.load(Ordering::Acquire) {
                let now = reader.load(None).await.unwrap().0.len();
                assert!(now >= length, "{now} readings after {length}");
                length = now;
                cursor = follow(&reader, cursor, &mut seen).await;
            }
            follow(&reader, cursor, &mut seen).await;
            seen
        };
        let ((), (), seen) = tokio::join!(write, pack, read);
        assert_eq!(seen, all(&events));
        assert_eq!(held(&stores[1]).await, sums(&events));
    })
    .await;
}
