//! Stores of many years with few readings.

use std::time::{Duration, Instant};

use roomcast_storage::readings::Verdict;

use super::commands::{csv, ok};
use super::place::{Place, START, batch, held, motion, on_both, stream, sums};
use super::refusal::{split_by_day, tamper};
use crate::serve::client::registry;
use crate::stream::bench::{block_on, post, serve, stored};

const DAY: i64 = 86_400;

/// Twelve years, more than a server has locks for when every day is a table.
const DAYS: i64 = 4400;

#[test]
fn twelve_years_of_a_reading_a_day_are_imported_in_seconds_inspected_packed_and_served() {
    block_on(on_both(async |place: Place| {
        let events: Vec<_> = (0..DAYS).map(|day| motion("a", START - day * DAY)).collect();
        let file = place.dir.path().join("years.csv");
        csv(&file, &events);
        let watch = Instant::now();
        let said = ok(&["import", "--store", &place.url, file.to_str().unwrap()]);
        assert!(said.contains("4400 rows, 4400 stored"), "{said}");
        assert!(watch.elapsed() < Duration::from_secs(10), "imported in {:?}", watch.elapsed());
        let expected = sums(&events);
        assert_eq!(held(&*place.open().await).await, expected);
        assert!(ok(&["inspect", &place.url]).contains(" 4400 "));
        assert_eq!(ok(&["store", "pack", "--store", &place.url]), "4392 readings packed\n");
        assert_eq!(held(&*place.open().await).await, expected);
    }));
}

#[test]
fn bodies_of_a_thousand_days_and_more_are_stored_and_the_server_starts_again() {
    let Some(place) = block_on(Place::postgres()) else { return };
    let models = registry();
    let server = serve(&place.url, &models, &[]);
    for body in 0..4 {
        let row = |day: i64| format!("{{\"time\":{:?},\"device\":\"a\"}}\n", date(body * 1100 + day));
        let rows: String = (0..1100).map(row).collect();
        let answer = post(&server, "application/x-ndjson", &[], rows.as_bytes());
        assert_eq!((answer.status, answer.json()["stored"].clone()), (200, 1100.into()), "{}", answer.text());
    }
    drop(server);
    let server = serve(&place.url, &models, &[]);
    assert_eq!(server.get("/predict").status, 200);
    drop(server);
    assert_eq!(stored(&place.url).len(), 4400);
    assert!(ok(&["store", "retain", "--store", &place.url, "--days", "1"]).starts_with("439"));
}

/// A time on a day before now.
fn date(day: i64) -> String {
    roomcast_forecast::calendar::Calendar::default().format(START - day * DAY)
}

#[tokio::test]
async fn a_store_with_a_table_for_each_day_is_moved_into_one_when_it_is_opened() {
    let Some(place) = Place::postgres().await else { return };
    let mut events = stream(61, 2000, 9, 4);
    // More days than are moved at once.
    events.extend((0..450).map(|day| motion("old", START - day * DAY)));
    let store = place.open().await;
    store.ingest(&batch(events.clone())).await.unwrap();
    let (_, cursor) = store.load(None).await.unwrap();
    split_by_day(&place).await;
    let (one, other) = tokio::join!(place.open(), place.open());
    assert_eq!(held(&one).await, sums(&events));
    // Everything is there already, and what is followed goes on where it was.
    let again = one.ingest(&batch(events.clone())).await.unwrap();
    assert!(!again.verdicts.contains(&Verdict::Stored));
    other.ingest(&batch([motion("new", START)])).await.unwrap();
    let (changes, _) = one.changes(cursor).await.unwrap();
    assert!(changes.iter().any(|device| device.device == "new"), "{changes:?}");
    // Fails if any of the tables is left.
    tamper(&place, "CREATE TABLE readings_by_day (something INTEGER)").await;
    tamper(&place, "DROP TABLE readings_by_day").await;
    tamper(&place, "CREATE TABLE readings_16983 (something INTEGER)").await;
}
