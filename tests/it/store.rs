//! Both stores, the same tests: what comes twice counts once, whatever happens in between.

pub mod commands;
mod crash;
mod days;
mod follow;
mod full;
pub mod place;
pub mod refusal;
mod rooms;
mod years;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roomcast_forecast::calendar::Calendar;
use roomcast_storage::readings::{Batch, QuarantineSize, Verdict};
use sqlx::{Connection, PgConnection};

use place::{Place, START, batch, held, motion, on_both, refused, rest, stream, sums, with_id};

#[tokio::test]
async fn what_comes_twice_counts_once() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = stream(1, 3000, 12, 3);
        let expected = sums(&events);
        let mut stored = 0;
        for part in events.chunks(700) {
            let receipt = store.ingest(&batch(part.to_vec())).await.unwrap();
            assert_eq!(receipt.verdicts.len(), part.len());
            stored += receipt.verdicts.iter().filter(|&&verdict| verdict == Verdict::Stored).count() as i64;
        }
        assert_eq!(stored, expected.iter().map(|hour| hour.count).sum::<i64>());
        assert_eq!(held(&store).await, expected);
        // All again, in another order and through another handle.
        let again = place.open().await;
        for part in events.rchunks(450) {
            let receipt = again.ingest(&batch(part.to_vec())).await.unwrap();
            assert!(!receipt.verdicts.contains(&Verdict::Stored));
        }
        assert_eq!(held(&store).await, expected);
    })
    .await;
}

#[tokio::test]
async fn every_event_has_its_verdict() {
    use Verdict::{Duplicate, NoMotion, Stored};
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = [
            motion("b", START + 5),
            motion("a", START),
            motion("b", START + 5),
            rest("c", START + 9),
            with_id("a", START + 1, "x"),
            // The same id in another second, of another device, on another day.
            with_id("a", START + 2, "x"),
            with_id("b", START + 2, "x"),
            with_id("a", START + 86_400, "x"),
            // Another id in a second that is there.
            with_id("a", START, "y"),
        ];
        let first = store.ingest(&batch(events.clone())).await.unwrap();
        let expected = [Stored, Stored, Duplicate, NoMotion, Stored, Duplicate, Stored, Stored, Duplicate];
        assert_eq!(first.verdicts, expected);
        let second = store.ingest(&batch([with_id("a", START + 3, "y"), motion("a", START + 3)])).await.unwrap();
        assert_eq!(second.verdicts, [Duplicate, Stored]);
        assert_eq!(store.ingest(&Batch::default()).await.unwrap().verdicts, []);
        let (readings, _) = store.load(None).await.unwrap();
        let times: Vec<_> = readings.devices.iter().map(|d| (d.device.as_str(), Vec::from_iter(&d.times))).collect();
        let a = [START, START + 1, START + 3, START + 86_400];
        assert_eq!(times, [("a", a.to_vec()), ("b", vec![START + 2, START + 5])]);
        let (early, _) = store.load(Some(START + 2)).await.unwrap();
        assert_eq!(early.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn heartbeats_move_what_was_last_heard_and_nothing_else() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = [rest("a", START + 50), motion("a", START + 20), rest("b", START), rest("a", START + 40)];
        store.ingest(&batch(events)).await.unwrap();
        store.ingest(&batch([motion("b", START - 7)])).await.unwrap();
        assert_eq!(store.heard().await.unwrap(), [("a".into(), START + 50), ("b".into(), START)]);
        assert_eq!(store.load(None).await.unwrap().0.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_late_reading_reopens_its_hour() {
    on_both(async |place: Place| {
        let store = place.open().await;
        store.ingest(&batch([motion("a", START + 10), motion("a", START + 7200)])).await.unwrap();
        let count = async || store.hours(Some(START)).await.unwrap()[0].count;
        assert_eq!(count().await, 1);
        store.ingest(&batch([motion("a", START + 11), motion("a", START + 10)])).await.unwrap();
        assert_eq!(count().await, 2);
        assert_eq!(store.hours(Some(START + 3600)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn names_are_kept_and_ordered_by_their_bytes() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let names = ["Zimmer", "a'; DROP TABLE readings; --", "äöü", "b", "B", "日本", "a\\b\"c"];
        store.ingest(&batch(names.map(|name| motion(name, START)))).await.unwrap();
        let mut ordered = names.to_vec();
        ordered.sort_unstable();
        let (readings, _) = store.load(None).await.unwrap();
        assert_eq!(readings.devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ordered);
        let heard = store.heard().await.unwrap();
        assert_eq!(heard.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ordered);
        let hours = store.hours(None).await.unwrap();
        assert_eq!(hours.iter().map(|hour| hour.device.as_str()).collect::<Vec<_>>(), ordered);
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_is_kept_listed_and_released() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let rows = [refused("x,y\0z", "a.csv: line 2"), refused("q", "a.csv: line 3"), refused("q", "a.csv: line 4")];
        let rows = Batch { events: vec![motion("a", START)], refused: rows.to_vec() };
        store.ingest(&rows).await.unwrap();
        store.ingest(&rows).await.unwrap();
        let kept = store.quarantined(0, 10).await.unwrap();
        let shown: Vec<_> = kept.iter().map(|row| (row.payload.as_str(), row.reason.as_str(), row.seen)).collect();
        let expected = [("x,y\u{fffd}z", "a.csv: line 2", 2), ("q", "a.csv: line 3", 2), ("q", "a.csv: line 4", 2)];
        assert_eq!(shown, expected);
        assert!(kept.is_sorted_by(|a, b| a.id < b.id) && kept.iter().all(|row| row.source == "file"));
        assert_eq!(store.quarantined(kept[0].id, 1).await.unwrap(), [kept[1].clone()]);
        assert_eq!(store.release(&[kept[0].id, kept[2].id, 999]).await.unwrap(), 2);
        assert_eq!(store.quarantined(0, 10).await.unwrap(), [kept[1].clone()]);
        assert_eq!(store.release(&[]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_quarantine_keeps_the_latest_rows_that_fit_and_counts_what_it_dropped() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let (mut events, mut sent) = (batch([]), 0);
        let mut receive = async |rows: u64, bytes: usize| {
            let payload = |n: u64| format!("{:08}{}", sent + n, "x".repeat(bytes));
            events.refused = (0..rows).map(|n| refused(&payload(n), &"y".repeat(bytes.min(3000)))).collect();
            sent += rows;
            (store.ingest(&events).await.unwrap().dropped, store.quarantine_size().await.unwrap())
        };
        // Of each row 16 KiB and 1 KiB are kept.
        let (dropped, size) = receive(900, 100_000).await;
        assert_eq!((dropped, size), (0, QuarantineSize { rows: 900, bytes: 900 * (17 << 10), dropped: 0 }));
        for _ in 0..4 {
            let before = store.quarantine_size().await.unwrap();
            let (dropped, size) = receive(900, 100_000).await;
            assert_eq!((size.rows, size.dropped), (before.rows + 900 - dropped, before.dropped + dropped));
        }
        let full = store.quarantine_size().await.unwrap();
        assert!((63 << 20..=64 << 20).contains(&full.bytes) && full.dropped > 0, "{full:?}");
        let kept = store.quarantined(0, 10_000).await.unwrap();
        assert_eq!(kept.len() as u64, full.rows);
        // None but the latest are kept.
        let numbers = kept.iter().map(|row| row.payload[..8].parse::<u64>().unwrap());
        assert!(numbers.eq(full.dropped..4500) && kept[0].payload.len() == 16 << 10);
        // What comes again takes no more room.
        let again = Batch { refused: vec![refused(&kept[9].payload, &kept[9].reason)], ..Batch::default() };
        assert_eq!(store.ingest(&again).await.unwrap().dropped, 0);
        assert_eq!(store.quarantine_size().await.unwrap(), full);
        // Of a batch that is larger than what one may add, the last rows are kept.
        let (dropped, size) = receive(2000, 100_000).await;
        assert!(dropped > 1000 && size.bytes <= 64 << 20, "{dropped} {size:?}");
        assert!(size.dropped == full.dropped + dropped && size.rows + size.dropped == 6500, "{size:?}");
        let last = store.quarantined(kept[kept.len() - 1].id, 10_000).await.unwrap();
        assert_eq!(&last[last.len() - 1].payload[..8], "00006499");
        assert_eq!(store.release(&[last[0].id, last[0].id, 1]).await.unwrap(), 1);
        let left = store.quarantine_size().await.unwrap();
        assert_eq!((left.rows, left.bytes), (size.rows - 1, size.bytes - (17 << 10)));
        // Many small ones.
        let (_, size) = receive(100_100, 0).await;
        assert_eq!(size.rows, 100_000);
        let list = commands::roomcast(&["store", "quarantine", "list", "--store", &place.url, "--limit", "1"]);
        assert!(String::from_utf8_lossy(&list.stderr).contains(&format!("dropped={}", size.dropped)), "{list:?}");
        store.retain(Calendar::utc_now() + 10).await.unwrap();
        assert_eq!(store.quarantine_size().await.unwrap(), QuarantineSize { rows: 0, bytes: 0, dropped: size.dropped });
    })
    .await;
}

#[tokio::test]
async fn a_client_that_sends_refused_rows_for_ever_takes_bounded_room_in_postgres() {
    let Some(place) = Place::postgres().await else { return };
    let store = place.open().await;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    // Text that PostgreSQL cannot compress.
    let mut payload = || (0..16 << 10).map(|_| char::from(random.random_range(b'!'..b'~'))).collect::<String>();
    for _ in 0..24 {
        let refused = (0..900).map(|_| refused(&payload(), "")).collect();
        store.ingest(&Batch { refused, ..batch([]) }).await.unwrap();
    }
    let mut connection = PgConnection::connect(&place.url).await.unwrap();
    let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('roomcast.quarantine')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(size < 240 << 20, "{} MiB of 340 MiB written, 64 MiB of them kept", size >> 20);
}

#[tokio::test]
async fn one_holder_at_a_time_has_a_lease() {
    on_both(async |place: Place| {
        let (one, other) = (place.open().await, place.open().await);
        assert!(one.lease("retrain", "a", 60).await.unwrap());
        assert!(one.lease("retrain", "a", 60).await.unwrap());
        assert!(!other.lease("retrain", "b", 60).await.unwrap());
        assert!(other.lease("publish", "b", 60).await.unwrap());
        other.unlease("retrain", "b").await.unwrap();
        assert!(!other.lease("retrain", "b", 60).await.unwrap());
        one.unlease("retrain", "a").await.unwrap();
        // A lease holds to the end of its last second, and this one has ended.
        assert!(other.lease("retrain", "b", 1).await.unwrap());
        assert!(!one.lease("retrain", "a", 60).await.unwrap());
        assert!(other.lease("retrain", "b", -1).await.unwrap());
        assert!(one.lease("retrain", "a", 60).await.unwrap());
    })
    .await;
}
