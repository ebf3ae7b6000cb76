//! Rounds of retraining in PostgreSQL: leases with fences, readings of one moment, and workers that share them.

mod workers;

use roomcast::calendar::{Calendar, Instant};
use roomcast::readings::DeviceReadings;
use roomcast::store::rounds::{Ending, Lease, Leased, Outcome, Past, Rounds};

use crate::store::place::{Place, START, batch, motion, stream};

const UNTIL: Instant = START + 4 * 86_400 + 1_234;

async fn rounds(place: &Place) -> Rounds {
    Rounds::open(&place.url, &Calendar::default()).await.unwrap()
}

/// A store of 130 devices, and a round of it with its lead.
async fn begun(place: &Place, seconds: i64) -> (Rounds, Lease) {
    let store = place.open().await;
    for part in stream(3, 9000, 130, 6).chunks(3000) {
        store.ingest(&batch(part.to_vec())).await.unwrap();
    }
    let rounds = rounds(place).await;
    let lead = rounds.begin(Past::default(), UNTIL, UNTIL, "a", seconds).await.unwrap().unwrap();
    (rounds, lead)
}

/// The same, with devices that can be leased.
async fn prepared(place: &Place) -> (Rounds, i64) {
    let (rounds, lead) = begun(place, 60).await;
    assert!(rounds.copy(lead, UNTIL, |_| ()).await.unwrap());
    assert!(rounds.prepared(lead, b"a site", 0).await.unwrap());
    (rounds, lead.round)
}

fn names(leased: &Leased) -> Vec<String> {
    leased.devices.iter().map(|device| device.device.clone()).collect()
}

/// A result for each of some devices.
fn results(names: &[String], result: &str) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| (name.clone(), result.into())).collect()
}

#[tokio::test]
async fn a_round_holds_readings_of_one_moment_and_none_from_after_its_end() {
    let Some(place) = Place::postgres().await else { return };
    let (rounds, lead) = begun(&place, 60).await;
    let store = place.open().await;
    store.pack(START + 3 * 86_400).await.unwrap();
    let expected = store.load(Some(UNTIL)).await.unwrap().0.devices;
    assert!(expected.len() == 130 && store.load(None).await.unwrap().0.span().unwrap().1 >= UNTIL);
    let mut seen: Vec<DeviceReadings> = Vec::new();
    assert!(rounds.copy(lead, UNTIL, |device| seen.push(device.clone())).await.unwrap());
    assert_eq!(seen, expected);
    // What comes late, is packed or dropped meanwhile changes nothing.
    let late =
        (0..130).map(|at| motion(&format!("room {at:03}"), START + 86_400 + 7 * at)).chain([motion("new", START)]);
    store.ingest(&batch(late)).await.unwrap();
    store.pack(START + 5 * 86_400).await.unwrap();
    store.retain(START + 86_400).await.unwrap();
    let mut held: Vec<DeviceReadings> = Vec::new();
    loop {
        let after = held.last().map_or("", |device| device.device.as_str());
        let more = rounds.of_round(lead.round, after, 50).await.unwrap();
        if more.is_empty() {
            break;
        }
        held.extend(more);
    }
    assert_eq!(held, expected);
    assert!(held.iter().all(|device| *device.times.last().unwrap() < UNTIL));
    assert!(rounds.prepared(lead, b"a site", 0).await.unwrap());
    let first = rounds.lease(lead.round, "a", 60).await.unwrap().unwrap();
    let second = rounds.lease(lead.round, "b", 60).await.unwrap().unwrap();
    assert_eq!((first.devices.len(), second.devices.len()), (100, 30));
    assert_eq!([first.devices, second.devices].concat(), expected);
    assert_eq!(rounds.lease(lead.round, "c", 60).await.unwrap(), None);
    assert_eq!(rounds.known().await.unwrap(), Some(START + 6 * 86_400));
}

#[tokio::test]
async fn a_lead_that_was_replaced_can_do_nothing_more() {
    let Some(place) = Place::postgres().await else { return };
    let (rounds, old) = begun(&place, 0).await;
    assert!(rounds.begin(Past::default(), UNTIL, UNTIL, "b", 60).await.unwrap().is_none());
    let new = rounds.lead(old.round, "b", 60).await.unwrap().unwrap();
    assert!(new.fence > old.fence);
    assert_eq!(rounds.lead(old.round, "c", 60).await.unwrap(), None);
    assert!(!rounds.copy(old, UNTIL, |_| ()).await.unwrap());
    assert!(!rounds.renew_lead(old, 60).await.unwrap());
    assert!(!rounds.prepared(old, b"old", 60).await.unwrap());
    assert!(!rounds.end(old, &Ending::default()).await.unwrap());
    rounds.release_lead(old).await.unwrap();
    assert_eq!(rounds.lead(old.round, "c", 60).await.unwrap(), None);
    assert!(rounds.copy(new, UNTIL, |_| ()).await.unwrap());
    assert!(rounds.prepared(new, b"new", 1).await.unwrap());
    // Whoever understands the site has to look at it before anybody can lease a device.
    assert!(!rounds.abandon(old.round, "too early").await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(rounds.site(old.round).await.unwrap().unwrap(), b"new");
    // Devices are left to do, so there is nothing to lead.
    assert_eq!(rounds.lead(old.round, "c", 60).await.unwrap(), None);
    let leased = rounds.lease(old.round, "c", 60).await.unwrap().unwrap();
    assert!(!rounds.abandon(old.round, "while devices are leased").await.unwrap());
    rounds.give_back(leased.lease).await.unwrap();
    assert!(rounds.abandon(old.round, "nobody works on it").await.unwrap());
    assert_eq!(rounds.site(old.round).await.unwrap(), None);
}

#[tokio::test]
async fn who_was_thought_dead_writes_nothing() {
    let Some(place) = Place::postgres().await else { return };
    let (rounds, round) = prepared(&place).await;
    // Its lease ends at once.
    let dead = rounds.lease(round, "dead", 0).await.unwrap().unwrap();
    let other = rounds.lease(round, "other", 60).await.unwrap().unwrap();
    assert_eq!((dead.devices.len(), other.devices.len()), (100, 30));
    // What was leased before is leased in small parts.
    let heir = rounds.lease(round, "heir", 60).await.unwrap().unwrap();
    assert_eq!(names(&heir), names(&dead)[..10]);
    assert!(heir.lease.fence > dead.lease.fence);
    assert_eq!(rounds.write(heir.lease, &results(&names(&heir), "heir")).await.unwrap(), 10);
    assert_eq!(rounds.renew(dead.lease, 60).await.unwrap(), 90);
    assert_eq!(rounds.write(dead.lease, &results(&names(&dead), "dead")).await.unwrap(), 90);
    assert_eq!(rounds.write(dead.lease, &results(&names(&dead), "again")).await.unwrap(), 0);
    // Given back they count as never leased, and the old lease is over.
    assert_eq!(rounds.give_back(other.lease).await.unwrap(), 30);
    assert_eq!(rounds.give_back(other.lease).await.unwrap(), 0);
    let again = rounds.lease(round, "again", 60).await.unwrap().unwrap();
    assert_eq!(again.devices, other.devices);
    assert_eq!(rounds.write(other.lease, &results(&names(&other), "other")).await.unwrap(), 0);
    assert_eq!(rounds.write(again.lease, &results(&names(&again), "again")).await.unwrap(), 30);
    let outcomes = rounds.outcomes(round, "", 1000).await.unwrap();
    let of = |result: &str| outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Done(result.into())).count();
    assert_eq!((of("heir"), of("dead"), of("again"), outcomes.len()), (10, 90, 30, 130));
}

#[tokio::test]
async fn a_device_that_cannot_be_done_is_given_up_after_three_attempts() {
    let Some(place) = Place::postgres().await else { return };
    let (rounds, round) = prepared(&place).await;
    let first = rounds.lease(round, "a", 60).await.unwrap().unwrap();
    let bad = vec![("room 007".to_owned(), "it is too hot".to_owned())];
    let good: Vec<String> = names(&first).into_iter().filter(|name| name != "room 007").collect();
    rounds.write(first.lease, &results(&good, "done")).await.unwrap();
    assert_eq!(rounds.trouble(first.lease, &bad).await.unwrap(), 1);
    // One whose worker is never heard of again, three times.
    let second = rounds.lease(round, "b", 0).await.unwrap().unwrap();
    let rest: Vec<String> = names(&second).into_iter().filter(|name| name != "room 129").collect();
    rounds.write(second.lease, &results(&rest, "done")).await.unwrap();
    let both = rounds.lease(round, "c", 0).await.unwrap().unwrap();
    assert_eq!(names(&both), ["room 007", "room 129"]);
    assert_eq!(names(&rounds.lease(round, "d", 0).await.unwrap().unwrap()), ["room 007"]);
    assert_eq!(names(&rounds.lease(round, "e", 0).await.unwrap().unwrap()), ["room 129"]);
    assert_eq!(rounds.lead(round, "f", 60).await.unwrap(), None);
    assert_eq!(rounds.lease(round, "f", 60).await.unwrap(), None);
    let lead = rounds.lead(round, "f", 60).await.unwrap().unwrap();
    let outcomes = rounds.outcomes(round, "", 1000).await.unwrap();
    let failed = outcomes.iter().filter_map(|(name, outcome)| match outcome {
        Outcome::Failed { device, why } if !device.times.is_empty() => Some((name.as_str(), why.as_str())),
        _ => None,
    });
    let never = "who worked on it ended three times without an answer";
    assert_eq!(failed.collect::<Vec<_>>(), [("room 007", "it is too hot"), ("room 129", never)]);
    let ending = Ending { failed: 2, version: Some("v".into()), promoted: 128, kept: 0, note: None };
    assert!(rounds.end(lead, &ending).await.unwrap());
    assert!(!rounds.end(lead, &ending).await.unwrap());
    assert_eq!((rounds.current().await.unwrap(), rounds.outcomes(round, "", 9).await.unwrap()), (None, Vec::new()));
    let past = rounds.past().await.unwrap();
    assert_eq!(past, Past { last: round, known: Some(UNTIL) });
    // Who has not heard of it begins no other.
    assert_eq!(rounds.begin(Past::default(), UNTIL, UNTIL, "g", 60).await.unwrap(), None);
    let next = rounds.begin(past, UNTIL, UNTIL + 1, "g", 0).await.unwrap().unwrap();
    assert!(rounds.abandon(next.round, "of another version").await.unwrap());
    assert_eq!(rounds.past().await.unwrap(), Past { last: next.round, known: Some(UNTIL) });
}
