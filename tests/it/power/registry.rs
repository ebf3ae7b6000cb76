//! A registry in a directory, when the power is lost.

use std::collections::BTreeSet;
use std::path::Path;

use roomcast_storage::registry::{Registry, RegistryError};

use super::recording::{Moment, Recording, What};
use super::tree::{Change, Content};
use super::{cases, first_wrong};
use crate::serve::client::sample;

/// What a registry held when a command had ended.
struct Step {
    ended: Moment,
    current: Option<String>,
    versions: BTreeSet<String>,
}

fn registry_of(directory: &Path) -> Registry {
    Registry::open(directory.join("site/a/models"))
}

/// Commands on a registry that is not there yet, nor the directories above it; what it held before and after each.
fn commands() -> Option<(Recording, Vec<Step>)> {
    let mut recording = Recording::begin()?;
    let (input, models) = (sample(), recording.directory().join("site/a/models"));
    let (input, models) = (input.to_str().unwrap(), models.to_str().unwrap());
    let mut steps = vec![Step { ended: 0, current: None, versions: BTreeSet::new() }];
    let mut run = |args: &[&str]| {
        recording.roomcast(&[args, &["--models", models]].concat());
        let registry = registry_of(&recording.directory());
        let versions = registry.list().unwrap().into_iter().map(|entry| entry.version).collect();
        let ended = recording.calls.last().unwrap().began;
        steps.push(Step { ended, current: registry.current().unwrap(), versions });
        steps.last().unwrap().current.clone().unwrap()
    };
    let first = run(&["train", "--input", input, "--until", "2016-08-20 23:59:59"]);
    let second = run(&["train", "--input", input, "--until", "2016-08-22 23:59:59"]);
    run(&["models", "activate", &first]);
    run(&["train", "--input", input, "--until", "2016-08-24 23:59:59"]);
    run(&["models", "prune", "--keep", "1"]);
    run(&["train", "--input", input, "--until", "2016-08-22 23:59:59"]);
    assert_eq!(steps.iter().map(|step| step.versions.len()).collect::<Vec<_>>(), [0, 1, 2, 2, 3, 1, 2]);
    assert_eq!(steps.last().unwrap().current, Some(second));
    Some((recording, steps))
}

/// Opens a registry after a power loss: all versions are whole, and what is current is what the commands say that had ended, or
/// the one that was running.
fn check(steps: &[Step], at: Moment, directory: &Path) -> Result<(), String> {
    let running = steps.partition_point(|step| step.ended < at).max(1);
    let (before, after) = (&steps[running - 1], steps.get(running).unwrap_or(&steps[running - 1]));
    let registry = registry_of(directory);
    let loaded = match registry.load(None) {
        Ok((_, manifest)) => Some(manifest.version),
        Err(RegistryError::Empty { .. } | RegistryError::NoneCurrent { .. }) if before.current.is_none() => None,
        Err(error) => return Err(format!("the current version is lost: {error}")),
    };
    if loaded != before.current && loaded != after.current {
        return Err(format!("{loaded:?} is current instead of {:?} or {:?}", before.current, after.current));
    }
    let entries = registry.list().map_err(|error| error.to_string())?;
    let mut found = BTreeSet::new();
    for entry in entries {
        if let Err(error) = &entry.manifest {
            return Err(format!("a version is there in part: {error}"));
        }
        found.insert(entry.version);
    }
    let kept: BTreeSet<String> = before.versions.intersection(&after.versions).cloned().collect();
    let known: BTreeSet<String> = before.versions.union(&after.versions).cloned().collect();
    if !(kept.is_subset(&found) && found.is_subset(&known)) {
        return Err(format!("versions are lost or not gone: {found:?} instead of {kept:?} to {known:?}"));
    }
    // It can be used, and what was left over goes.
    registry.prune(9).map_err(|error| format!("it cannot be pruned: {error}"))?;
    match registry.load(None).map(|(_, manifest)| manifest.version).ok() == loaded {
        true => Ok(()),
        false => Err("pruning removed the current version".into()),
    }
}

fn wrong(recording: &Recording, steps: &[Step], cases: u64) -> Option<String> {
    let worth: Vec<Moment> = recording
        .calls
        .iter()
        .filter(|call| matches!(call.what, What::Sync(_) | What::Exit))
        .map(|call| call.began)
        .collect();
    first_wrong(recording, cases, &worth, |at, directory| check(steps, at, directory))
}

#[test]
fn current_models_survive_a_power_loss() {
    let Some((recording, steps)) = commands() else { return };
    assert_eq!(wrong(&recording, &steps, cases(300)), None);
}

/// A training is killed when its version has its name and that is not on the disk. The next one finds it there.
#[test]
fn models_saved_twice_survive_a_power_loss() {
    let Some(mut recording) = Recording::begin() else { return };
    let input = sample();
    let train = |recording: &mut Recording| {
        let models = recording.directory().join("models");
        let (input, models) = (input.to_str().unwrap(), models.to_str().unwrap());
        recording.roomcast(&["train", "--no-activate", "--input", input, "--models", models])
    };
    train(&mut recording);
    let named = recording.changes().filter(|(_, change)| matches!(change, Change::Move { .. })).last().unwrap().0.ended;
    let mut again = recording.after_kill(named + 1);
    train(&mut again);
    let is_renamed = |change: &Change| matches!(change, Change::Move { .. });
    assert_eq!(again.changes().filter(|(_, change)| is_renamed(change)).count(), 1, "it was saved anew");
    let wrong = first_wrong(&again, cases(20), &[again.end], |at, directory| {
        let entries = Registry::open(directory.join("models")).list().map_err(|error| error.to_string())?;
        match entries.iter().filter(|entry| entry.manifest.is_ok()).count() {
            1 => Ok(()),
            _ if at < again.end => Ok(()),
            found => Err(format!("{found} versions are there")),
        }
    });
    assert_eq!(wrong, None);
}

/// The tests above would find it if Roomcast did not wait for the disk.
#[test]
fn a_registry_that_does_not_sync_loses_models() {
    let Some((mut recording, steps)) = commands() else { return };
    let only: [fn(&Content) -> bool; 2] = [Content::is_directory, Content::is_file];
    for is_synced in only {
        recording.is_synced = is_synced;
        let found = wrong(&recording, &steps, 300).expect("something is lost");
        assert!(found.contains("is lost") || found.contains("is current instead"), "{found}");
    }
}
