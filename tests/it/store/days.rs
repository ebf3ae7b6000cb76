//! Packed and dropped days.

use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::DeviceReadings;
use roomcast_storage::readings::{Batch, Verdict};

use super::place::{Place, START, batch, held, motion, off, on_both, refused, stream, sums};

const DAY: i64 = 86_400;

#[tokio::test]
async fn packed_days_answer_as_before() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = stream(3, 4000, 9, 4);
        for part in events.chunks(1000) {
            store.ingest(&batch(part.to_vec())).await.unwrap();
        }
        let (before, cursor) = store.load(None).await.unwrap();
        let early = store.load(Some(START + DAY + 1234)).await.unwrap().0;
        let closed = before.before(START + 3 * DAY).edge_count();
        assert_eq!(store.pack(START + 3 * DAY + 5).await.unwrap(), closed as u64);
        assert_eq!(store.pack(START + 3 * DAY + 5).await.unwrap(), 0);
        assert_eq!(store.load(None).await.unwrap().0, before);
        assert_eq!(store.load(Some(START + DAY + 1234)).await.unwrap().0, early);
        assert_eq!(held(&store).await, sums(&events));

        // All again, and something late: new seconds of a packed day, one of them of a device that had none.
        for part in events.chunks(1000) {
            let again = store.ingest(&batch(part.to_vec())).await.unwrap();
            assert!(!again.verdicts.contains(&Verdict::Stored));
        }
        assert_eq!(store.load(None).await.unwrap().0, before);
        let free = (START..).find(|time| !before.devices[0].times.contains(*time)).unwrap();
        let name = &before.devices[0].device;
        let late = [motion(name, free), motion("new", START + DAY), off(name, free + 1), off(name, free + 1)];
        let receipt = store.ingest(&batch(late.clone())).await.unwrap();
        use Verdict::{Duplicate, NoMotion, Stored};
        assert_eq!(receipt.verdicts, [Stored, Stored, NoMotion, NoMotion]);
        let is_told = |changes: &[DeviceReadings]| {
            let of = |device: &str| changes.iter().find(|changed| changed.device == device);
            of("new").is_some() && of(name).is_some_and(|d| d.times.contains(free) && d.offs.contains(free + 1))
        };
        let expected = sums(events.iter().chain(&late));
        assert_eq!(held(&store).await, expected);
        let (changes, _) = store.changes(cursor).await.unwrap();
        assert!(is_told(&changes));

        // Packed with what was there, and still told to who asks from before.
        assert_eq!(store.pack(START + 3 * DAY).await.unwrap(), 3);
        assert_eq!(held(&store).await, expected);
        let (changes, _) = store.changes(cursor).await.unwrap();
        assert!(is_told(&changes));
        let again = store.ingest(&batch(late)).await.unwrap();
        assert_eq!(again.verdicts, [Duplicate, Duplicate, NoMotion, NoMotion]);
    })
    .await;
}

#[tokio::test]
async fn what_is_old_is_dropped_by_whole_days() {
    on_both(async |place: Place| {
        let store = place.open().await;
        let events = stream(5, 2000, 5, 4);
        store.ingest(&batch(events.clone())).await.unwrap();
        let (all, _) = store.load(None).await.unwrap();
        store.pack(START + DAY).await.unwrap();
        let kept: Vec<_> = events.iter().filter(|event| event.time >= START + 2 * DAY).cloned().collect();
        let dropped = store.retain(START + 2 * DAY + 500).await.unwrap();
        assert_eq!(dropped, all.before(START + 2 * DAY).edge_count() as u64);
        assert_eq!(held(&store).await, sums(&kept));
        assert_eq!(store.load(None).await.unwrap().0, all.since(START + 2 * DAY));
        assert_eq!(store.retain(START + 2 * DAY + 500).await.unwrap(), 0);
        // What was refused goes by when it came.
        let rows = Batch { refused: vec![refused("q", "why")], ..Batch::default() };
        store.ingest(&rows).await.unwrap();
        store.retain(START).await.unwrap();
        assert_eq!(store.quarantined(0, 9).await.unwrap().len(), 1);
        // Numbers of rows that are gone are not given again: nothing new is overlooked.
        let (_, cursor) = store.load(None).await.unwrap();
        store.retain(START + 10 * DAY).await.unwrap();
        assert_eq!(held(&store).await, []);
        store.ingest(&batch([motion("a", START + 11 * DAY)])).await.unwrap();
        assert_eq!(store.changes(cursor).await.unwrap().0[0].times, vec![START + 11 * DAY].into());
        assert_eq!(store.retain(Calendar::utc_now() + 10).await.unwrap(), 1);
        assert_eq!(store.quarantined(0, 9).await.unwrap(), []);
    })
    .await;
}
