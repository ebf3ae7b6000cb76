use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::*;
use roomcast_forecast::calendar::Timestamp;
use roomcast_storage::readings::{Event, Kind, Receipt, Refused, StoreError, Verdict};

/// A store in memory that can be away, slow, or reject a device.
#[derive(Default)]
struct Shelf {
    readings: Mutex<HashSet<(String, Timestamp)>>,
    refused: AtomicUsize,
    payloads: Mutex<Vec<String>>,
    no_quarantine: AtomicBool,
    commits: AtomicUsize,
    away: AtomicBool,
    slow: AtomicBool,
}

impl Sink for Shelf {
    async fn ingest(&self, batch: &Batch) -> Result<Receipt, StoreError> {
        if self.slow.load(SeqCst) {
            sleep(Duration::from_millis(100)).await;
        }
        if self.away.load(SeqCst) {
            return Err(StoreError::Unavailable { store: "shelf".into(), message: "away".into() });
        }
        if batch.events.iter().any(|event| event.device == "poison") {
            return Err(StoreError::Refused { store: "shelf".into(), message: "poison".into() });
        }
        if !batch.refused.is_empty() && self.no_quarantine.load(SeqCst) {
            return Err(StoreError::Refused { store: "shelf".into(), message: "no quarantine".into() });
        }
        self.commits.fetch_add(1, SeqCst);
        self.payloads.lock().unwrap().extend(batch.refused.iter().map(|refused| refused.payload.clone()));
        self.refused.fetch_add(batch.refused.len(), SeqCst);
        let mut readings = self.readings.lock().unwrap();
        let verdicts = batch.events.iter().map(|event| match event.kind {
            Kind::Off | Kind::Rest => Verdict::NoMotion,
            Kind::Motion if readings.insert((event.device.clone(), event.time)) => Verdict::Stored,
            Kind::Motion => Verdict::Duplicate,
        });
        Ok(Receipt { verdicts: verdicts.collect(), dropped: 0 })
    }
}

fn event(device: &str, time: Timestamp, kind: Kind) -> Event {
    Event { device: device.into(), time, kind, id: None }
}

fn motion(device: &str, times: std::ops::Range<Timestamp>) -> Batch {
    Batch { events: times.map(|time| event(device, time, Kind::Motion)).collect(), refused: Vec::new() }
}

struct Bench {
    shelf: Arc<Shelf>,
    counts: Arc<Counts>,
    new: Arc<Mutex<Vec<(String, Timestamp)>>>,
    writer: Writer,
}

fn bench(limits: Limits) -> Bench {
    let (shelf, counts, new) =
        (Arc::new(Shelf::default()), Arc::new(Counts::default()), Arc::<Mutex<Vec<_>>>::default());
    let heard = new.clone();
    let hook: Hook = Box::new(move |readings| heard.lock().unwrap().extend(readings));
    let writer = Writer::start(shelf.clone(), Calendar::default(), limits, counts.clone(), hook);
    Bench { shelf, counts, new, writer }
}

impl Bench {
    fn post(&self, batch: Batch) -> Result<Answer, QueueFull> {
        let room = self.writer.reserve(100)?;
        self.writer.submit(Source::Http, batch, room)
    }
}

#[tokio::test]
async fn what_waits_is_stored_together_and_each_sender_learns_its_own() {
    let bench = bench(Limits::default());
    bench.shelf.slow.store(true, SeqCst);
    let mut first = motion("a", 0..3);
    first.events.push(event("a", 2, Kind::Motion));
    first.events.push(event("a", 5, Kind::Rest));
    first.refused.push(Refused { source: "http".into(), payload: "x".into(), reason: "y".into() });
    let first = bench.post(first).unwrap();
    // The first is under way by then. These two wait and go together.
    sleep(Duration::from_millis(20)).await;
    let second = bench.post(motion("a", 0..5)).unwrap();
    let third = bench.writer.submit_until_stored(Source::Mqtt, motion("b", 0..2), 10).await;
    assert!(bench.writer.waiting().0 >= 7);
    assert_eq!(first.await.unwrap(), Ok(Outcome { stored: 3, duplicates: 1, no_motion: 1 }));
    assert_eq!(second.await.unwrap(), Ok(Outcome { stored: 2, duplicates: 3, no_motion: 0 }));
    assert_eq!(third.await.unwrap(), Ok(Outcome { stored: 2, duplicates: 0, no_motion: 0 }));
    assert_eq!((bench.shelf.commits.load(SeqCst), bench.shelf.refused.load(SeqCst)), (2, 1));
    assert_eq!(bench.writer.waiting(), (0, 0));
    let http = bench.counts.of(Source::Http);
    assert_eq!((http.stored.get(), http.duplicates.get(), http.no_motion.get(), http.refused.get()), (5, 4, 1, 1));
    assert_eq!(bench.counts.of(Source::Mqtt).stored.get(), 2);
    assert_eq!(bench.new.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn a_full_queue_turns_away_at_once() {
    let bench = bench(Limits { rows: 10, bytes: 300 });
    bench.shelf.slow.store(true, SeqCst);
    let kept = bench.post(motion("a", 0..8)).unwrap();
    assert!(bench.post(motion("a", 8..11)).is_err());
    assert!(bench.writer.reserve(250).is_err());
    let more = bench.post(motion("a", 8..10)).unwrap();
    assert!(kept.await.unwrap().is_ok() && more.await.unwrap().is_ok());
    // A batch larger than the queue goes alone.
    let room = bench.writer.reserve(10_000).unwrap();
    let large = bench.writer.submit(Source::Http, motion("b", 0..50), room).unwrap();
    assert!(bench.post(motion("a", 0..1)).is_err());
    assert_eq!(large.await.unwrap().unwrap().stored, 50);
}

#[tokio::test]
async fn while_the_store_is_away_some_are_told_and_others_wait() {
    let bench = bench(Limits::default());
    bench.shelf.away.store(true, SeqCst);
    let waits = bench.writer.submit_until_stored(Source::Mqtt, motion("a", 0..2), 10).await;
    let told = bench.post(motion("b", 0..2)).unwrap().await.unwrap().unwrap_err();
    assert!(told.temporary);
    // The same holds during the pause between tries.
    sleep(Duration::from_millis(50)).await;
    let watch = Instant::now();
    assert!(bench.post(motion("b", 0..2)).unwrap().await.unwrap().is_err());
    assert!(watch.elapsed() < Duration::from_millis(90));
    bench.shelf.away.store(false, SeqCst);
    assert_eq!(waits.await.unwrap().unwrap().stored, 2);
    assert_eq!(bench.post(motion("b", 0..2)).unwrap().await.unwrap().unwrap().stored, 2);
    assert!(bench.counts.commit_failures.get() >= 1);
    let stored = bench.shelf.readings.lock().unwrap().clone();
    assert_eq!(stored.len(), 4);
}

#[tokio::test]
async fn what_the_store_never_takes_keeps_nobody_else_out() {
    let bench = bench(Limits::default());
    bench.shelf.slow.store(true, SeqCst);
    let first = bench.post(motion("z", 0..1)).unwrap();
    sleep(Duration::from_millis(20)).await;
    let good = bench.writer.submit_until_stored(Source::Nats, motion("a", 0..2), 10).await;
    let poison = bench.post(motion("poison", 0..2)).unwrap();
    let also = bench.post(motion("b", 0..2)).unwrap();
    assert!(first.await.unwrap().is_ok());
    assert_eq!(good.await.unwrap().unwrap().stored, 2);
    assert!(!poison.await.unwrap().unwrap_err().temporary);
    assert_eq!(also.await.unwrap().unwrap().stored, 2);
}

#[tokio::test]
async fn an_event_that_a_store_never_takes_goes_to_quarantine_and_the_rest_of_its_message_is_stored() {
    let bench = bench(Limits::default());
    let mut message = motion("a", 0..9);
    message.events.insert(3, event("poison", 1_467_331_200, Kind::Motion));
    message.events.push(Event { id: Some("x".into()), ..event("poison", 1_467_331_201, Kind::Off) });
    let answer = bench.writer.submit_until_stored(Source::Mqtt, message, 10).await;
    assert_eq!(answer.await.unwrap(), Ok(Outcome { stored: 9, duplicates: 0, no_motion: 0 }));
    let kept = [
        r#"{"device":"poison","device_activated":1,"time":"2016-07-01T00:00:00"}"#,
        r#"{"device":"poison","device_activated":0,"id":"x","time":"2016-07-01T00:00:01"}"#,
    ];
    assert_eq!(*bench.shelf.payloads.lock().unwrap(), kept);
    let mqtt = bench.counts.of(Source::Mqtt);
    assert_eq!((mqtt.stored.get(), mqtt.refused.get()), (9, 2));
    assert_eq!((bench.new.lock().unwrap().len(), bench.writer.waiting()), (9, (0, 0)));
    assert_eq!(bench.post(motion("b", 0..2)).unwrap().await.unwrap().unwrap().stored, 2);
}

#[tokio::test]
async fn what_cannot_even_be_quarantined_waits_and_others_are_stored_meanwhile() {
    let bench = bench(Limits::default());
    bench.shelf.no_quarantine.store(true, SeqCst);
    let mut waits = bench.writer.submit_until_stored(Source::Nats, motion("poison", 0..1), 10).await;
    let mut sent = 0;
    let watch = Instant::now();
    while watch.elapsed() < Duration::from_millis(500) {
        assert_eq!(bench.post(motion("b", sent..sent + 1)).unwrap().await.unwrap().unwrap().stored, 1);
        sent += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(sent > 3 && waits.try_recv().is_err());
    bench.shelf.no_quarantine.store(false, SeqCst);
    assert_eq!(waits.await.unwrap(), Ok(Outcome::default()));
    assert_eq!(bench.shelf.payloads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_of_which_everything_fails_is_not_divided_without_end() {
    let bench = bench(Limits::default());
    let answer = bench.writer.submit_until_stored(Source::Nats, motion("poison", 0..5000), 10).await;
    assert_eq!(answer.await.unwrap(), Ok(Outcome::default()));
    assert_eq!(bench.shelf.payloads.lock().unwrap().len(), 5000);
    assert!(bench.counts.commit_failures.get() < 200, "{}", bench.counts.commit_failures.get());
}
