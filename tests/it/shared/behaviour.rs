//! The same of every place.

use std::collections::BTreeSet;
use std::process::Stdio;

use roomcast_forecast::train::TrainingInfo;
use roomcast_forecast::{calendar::Calendar, model::Models};
use roomcast_storage::registry::{Registry, RegistryError};

use super::place::Shared;
use crate::registry::{models, save};

/// Where [`here`] finds the registry.
const PLACE: &str = "ROOMCAST_TEST_PLACE";

fn promote(registry: &Registry, models: &Models, champion: Option<&str>) -> (String, bool) {
    let about = TrainingInfo {
        calendar: &Calendar::default(),
        first_reading: models.cutoff - 86_400,
        last_reading: models.cutoff - 1,
        readings: 9,
        fingerprint: format!("{:064x}", models.cutoff),
        rooms: None,
        training: std::time::Duration::from_millis(5),
    };
    let (manifest, activated) = registry.promote(models, &about, "{\"why\": 1}\n", champion).unwrap();
    (manifest.version, activated)
}

/// All that is asked of a registry, of one that holds nothing yet.
fn behaves(location: &str) {
    let registry = Registry::open(location);
    assert!(matches!(registry.load(None), Err(RegistryError::Empty { .. })));
    assert!(registry.list().unwrap().is_empty() && registry.prune(1).unwrap().is_empty());
    assert_eq!((registry.current().unwrap(), registry.read_beside("notes").unwrap()), (None, None));

    // What was saved comes back, and is saved once.
    let first = save(&registry, &models(1, 50), true).unwrap();
    assert_eq!(registry.load(None).unwrap(), (models(1, 50), first.clone()));
    assert_eq!(save(&registry, &models(1, 50), true).unwrap(), first);
    let second = save(&registry, &models(2, 3), false).unwrap();
    assert_eq!(registry.current().unwrap().as_ref(), Some(&first.version));
    assert_eq!(registry.load(Some(&second.version)).unwrap().0, models(2, 3));
    registry.activate(&second.version).unwrap();
    assert_eq!(Registry::open(location).load(None).unwrap().0, models(2, 3));
    assert!(matches!(registry.load(Some("20160802T000000-0123abcd")), Err(RegistryError::Unknown { .. })));
    assert!(matches!(registry.activate("../current"), Err(RegistryError::Name { .. })));

    // A challenger takes over from the champion it was judged against, and from no other.
    let (third, activated) = promote(&registry, &models(3, 2), Some(&second.version));
    assert!(activated && registry.current().unwrap() == Some(third.clone()));
    assert_eq!(registry.report(&third).unwrap().as_deref(), Some("{\"why\": 1}\n"));
    let (fourth, activated) = promote(&registry, &models(4, 2), Some(&second.version));
    assert!(!activated && registry.current().unwrap() == Some(third.clone()));
    assert!(!promote(&registry, &models(4, 2), None).1);
    let listed: Vec<(String, bool)> = registry.list().unwrap().into_iter().map(|e| (e.version, e.current)).collect();
    let expected = [(&fourth, false), (&third, true), (&second.version, false), (&first.version, false)];
    assert_eq!(listed, expected.map(|(version, current)| (version.clone(), current)));

    // Others keep small things there too.
    registry.write_beside("notes", b"one").unwrap();
    registry.write_beside("notes", b"two").unwrap();
    assert_eq!(registry.read_beside("notes").unwrap().as_deref(), Some(&b"two"[..]));

    // One retrains at a time.
    let lease = registry.lock_training().unwrap().unwrap();
    assert!(Registry::open(location).lock_training().unwrap().is_none());
    drop(lease);
    drop(Registry::open(location).lock_training().unwrap().unwrap());
    assert!(registry.lock_training().unwrap().is_some());

    // The current one and the newest stay.
    registry.activate(&first.version).unwrap();
    let removed: BTreeSet<String> = registry.prune(1).unwrap().into_iter().collect();
    assert_eq!(removed, [second.version, third].into());
    let left: Vec<String> = registry.list().unwrap().into_iter().map(|entry| entry.version).collect();
    assert_eq!(left, [fourth, first.version]);
    assert_eq!(registry.read_beside("notes").unwrap().as_deref(), Some(&b"two"[..]));

    // Several at once.
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                let registry = Registry::open(location);
                save(&registry, &models(9, 30), true).unwrap();
                save(&registry, &models(10 + thread, 2), true).unwrap();
                registry.prune(3).unwrap();
            });
        }
    });
    assert!(registry.list().unwrap().iter().all(|entry| entry.manifest.is_ok()));
    assert!(registry.load(None).unwrap().0.cutoff >= models(10, 2).cutoff);
}

#[test]
fn a_directory_behaves() {
    behaves(&Shared::directory().url);
}

#[test]
fn a_database_behaves() {
    if let Some(shared) = Shared::postgres() {
        behaves(&shared.url);
    }
}

/// Not a test: what [`a_bucket_behaves`] runs with the bucket's variables.
#[test]
#[ignore = "needs a place in its environment"]
fn here() {
    if let Ok(location) = std::env::var(PLACE) {
        behaves(&location);
    }
}

#[test]
fn a_bucket_behaves() {
    if let Some(shared) = Shared::s3() {
        let mut child = shared.command(std::env::current_exe().unwrap());
        child.args(["--exact", "shared::behaviour::here", "--ignored", "--nocapture"]).env(PLACE, &shared.url);
        let output = child.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}

/// A registry and a store of readings do not get in each other's way.
#[test]
fn a_database_holds_a_store_and_a_registry() {
    let Some(shared) = Shared::postgres() else { return };
    let calendar = Calendar::default();
    super::place::wait(async { roomcast_storage::readings::open(&shared.url, &calendar).await.map(drop) }).unwrap();
    behaves(&shared.url);
    super::place::wait(async { roomcast_storage::readings::open(&shared.url, &calendar).await.map(drop) }).unwrap();
}

/// A password is no part of what is shown, whatever goes wrong.
#[test]
fn passwords_are_not_shown() {
    for location in [
        "postgres://me:hunter2@127.0.0.1:9/db?password=hunter2",
        "s3://me:hunter2@bucket/x",
        "gs://me:hunter2@bucket/x",
    ] {
        let registry = Registry::open(location);
        let error = registry.load(None).unwrap_err();
        let shown = format!("{registry:?} {error} {error:?} {} {}", registry.name(), registry.root().display());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
