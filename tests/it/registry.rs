//! The registry, from outside: what was saved comes back, whatever happens to the disk in between.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::*;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::features::WIDTH;
use roomcast_forecast::model::codec::SCHEMA;
use roomcast_forecast::model::trees::Trees;
use roomcast_forecast::model::{Check, DeviceModel, Models, SiteModel};
use roomcast_forecast::train::TrainingInfo;
use roomcast_storage::registry::{Damage, Manifest, Registry, RegistryError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FILES: [&str; 3] = ["manifest.json", "models.bin", "SHA256SUMS"];
const DAY: i64 = 86_400;

fn trees(leaf: f64) -> Trees {
    let text = format!(
        "\nTree=0\nnum_leaves=2\nsplit_feature=3\nthreshold=0.25\ndecision_type=10\nleft_child=-1\nright_child=-2\n\
         leaf_value=-0.5 {leaf}\n"
    );
    Trees::parse(&text, WIDTH).unwrap()
}

/// Models of `devices` rooms that learned up to a day after 2016-08-01.
pub fn models(day: i64, devices: usize) -> Models {
    let device = |at: usize| DeviceModel {
        trees: trees(at as f64 / 7.0 + day as f64),
        tree_weight: 0.5,
        follows_site: true,
        check: Some(Check { rows: 24, prior: 0.5, building: 0.4, device: 0.3 }),
        ..Default::default()
    };
    Models {
        site: SiteModel { trees: trees(0.1), tree_weight: 1.0, ..Default::default() },
        devices: (0..devices).map(|at| (format!("room_{at}"), device(at))).collect(),
        cutoff: 1_470_009_600 + day * DAY,
        ..Models::default()
    }
}

pub fn save(registry: &Registry, models: &Models, activate: bool) -> Result<Manifest, RegistryError> {
    let about = TrainingInfo {
        calendar: &Calendar::default(),
        first_reading: models.cutoff - 30 * DAY,
        last_reading: models.cutoff - 1,
        readings: 1000,
        fingerprint: format!("{:064x}", models.cutoff),
        rooms: None,
        training: Duration::from_millis(250),
    };
    registry.save(models, &about, activate)
}

/// A registry with the models of these days, the last one current.
fn registry(days: &[i64]) -> (TempDir, Registry, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    let registry = Registry::open(place.path().join("models"));
    let versions = days.iter().map(|&day| save(&registry, &models(day, 2), true).unwrap().version);
    let versions = versions.collect();
    (place, registry, versions)
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_was_saved_comes_back() {
    let (_place, registry, _) = registry(&[]);
    let saved = models(3, 50);
    let manifest = save(&registry, &saved, true).unwrap();
    assert_eq!(registry.load(None).unwrap(), (saved, manifest.clone()));
    assert_eq!(registry.current().unwrap().as_ref(), Some(&manifest.version));
    assert_eq!((manifest.devices, manifest.readings, manifest.sources.model), (50, 1000, 50));
    assert_eq!(manifest.first_reading, "2016-07-05T00:00:00");
    assert_eq!(names(&registry.root().join(&manifest.version)), FILES.map(String::from).into());
    assert_eq!(names(registry.root()), [".lock".into(), "current".into(), manifest.version].into());
}

/// Operators can check a registry without Roomcast.
#[test]
fn sha256sum_agrees() {
    let (_place, registry, versions) = registry(&[1]);
    let directory = registry.root().join(&versions[0]);
    let sums = FILES[..2].iter().map(|file| format!("{}  {file}\n", hex(&fs::read(directory.join(file)).unwrap())));
    assert_eq!(fs::read_to_string(directory.join("SHA256SUMS")).unwrap(), sums.collect::<String>());
}

#[test]
fn without_models_the_error_says_how_to_make_some() {
    let place = tempfile::tempdir().unwrap();
    for registry in [Registry::open(place.path()), Registry::open(place.path().join("missing"))] {
        let error = registry.load(None).unwrap_err();
        assert!(matches!(error, RegistryError::Empty { .. }));
        assert!(error.to_string().contains("\nhint: make some with `roomcast train"), "{error}");
        assert!(registry.activate("20160802T000000-0123abcd").is_err());
        assert!(registry.list().unwrap().is_empty());
        assert!(registry.prune(1).unwrap().is_empty());
        assert!(registry.current().unwrap().is_none());
    }
    assert!(!place.path().join("missing").exists());
    fs::write(place.path().join("file"), "").unwrap();
    let registry = Registry::open(place.path().join("file"));
    assert!(matches!(registry.load(None), Err(RegistryError::Io { .. })));
    assert!(matches!(save(&registry, &models(1, 1), true), Err(RegistryError::Io { .. })));
}

#[test]
fn a_version_can_wait_be_activated_and_rolled_back() {
    let (_place, registry, mut versions) = registry(&[]);
    versions.push(save(&registry, &models(1, 2), false).unwrap().version);
    let error = registry.load(None).unwrap_err();
    assert!(matches!(&error, RegistryError::NoneCurrent { newest, .. } if *newest == versions[0]), "{error}");

    registry.activate(&versions[0]).unwrap();
    versions.push(save(&registry, &models(2, 2), true).unwrap().version);
    versions.push(save(&registry, &models(3, 2), false).unwrap().version);
    let cutoff = || registry.load(None).unwrap().0.cutoff;
    assert_eq!(cutoff(), models(2, 2).cutoff);
    registry.activate(&versions[0]).unwrap();
    assert_eq!(cutoff(), models(1, 2).cutoff);
    assert_eq!(registry.load(Some(&versions[2])).unwrap().0, models(3, 2));

    let listed: Vec<_> = registry.list().unwrap().into_iter().map(|entry| (entry.version, entry.current)).collect();
    let expected = [(versions[2].clone(), false), (versions[1].clone(), false), (versions[0].clone(), true)];
    assert_eq!(listed, expected);
}

#[test]
fn unknown_versions_name_the_closest_and_paths_are_no_names() {
    let (place, registry, versions) = registry(&[1, 2, 3]);
    for wrong in ["20160803T000000-00000000", "20160803T120000Z-0123abcd"] {
        let error = registry.load(Some(wrong)).unwrap_err();
        assert!(matches!(&error, RegistryError::Unknown { closest, .. } if *closest == versions[1]), "{error}");
    }
    fs::write(place.path().join("secret"), "x").unwrap();
    for trick in
        ["", ".", "..", "current", ".lock", "../secret", "/etc/passwd", "20160803T000000-00000000/../..", "a\0b"]
    {
        assert!(matches!(registry.load(Some(trick)), Err(RegistryError::Name { .. })), "{trick:?}");
        assert!(matches!(registry.activate(trick), Err(RegistryError::Name { .. })), "{trick:?}");
    }
}

#[test]
fn the_same_models_are_saved_once() {
    let (_place, registry, _) = registry(&[1, 2]);
    let before = names(registry.root());
    let stamp =
        |m: &Manifest| fs::metadata(registry.root().join(&m.version).join("models.bin")).unwrap().modified().unwrap();
    let first = registry.load(None).unwrap().1;
    let written = stamp(&first);
    assert_eq!(save(&registry, &models(2, 2), true).unwrap(), first);
    assert_eq!((names(registry.root()), stamp(&first)), (before, written));
    assert_ne!(save(&registry, &models(2, 3), true).unwrap().version, first.version);
}

/// Every file of a version, cut at every byte, with every byte changed, longer, or gone: always an error, never other
/// models, and what is current stays so.
#[test]
fn any_damage_is_found() {
    let (_place, registry, versions) = registry(&[1, 2]);
    let (damaged, current) = (&versions[0], &versions[1]);
    let mut tried = 0;
    let mut refused = |what: &str| {
        assert!(registry.load(Some(damaged)).is_err(), "{what}");
        tried += 1;
        if tried % 50 == 1 {
            assert!(registry.activate(damaged).is_err(), "{what}");
            let entries = registry.list().unwrap();
            assert!(matches!(entries[1].manifest, Err(RegistryError::Damaged { .. })), "{what}");
        }
    };
    for name in FILES {
        let path = registry.root().join(damaged).join(name);
        let whole = fs::read(&path).unwrap();
        // Changed in place: to write a file anew for each byte would take many times as long.
        let file = fs::File::options().write(true).open(&path).unwrap();
        for (at, byte) in whole.iter().enumerate() {
            for flip in [0x01, 0x20, 0x80] {
                file.write_all_at(&[byte ^ flip], at as u64).unwrap();
                refused(&format!("{name}, byte {at} ^ {flip}"));
            }
            file.write_all_at(&[*byte], at as u64).unwrap();
        }
        file.write_all_at(b"\n", whole.len() as u64).unwrap();
        refused(&format!("{name} with a byte more"));
        for len in (0..whole.len()).rev() {
            file.set_len(len as u64).unwrap();
            refused(&format!("{name} cut to {len} bytes"));
        }
        fs::remove_file(&path).unwrap();
        refused(&format!("no {name}"));
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(registry.current().unwrap().as_ref(), Some(current));
    assert_eq!(registry.load(Some(damaged)).unwrap().0, models(1, 2));
}

/// A file of many gigabytes in the place of a small one is refused by its length.
#[test]
fn huge_files_are_not_read() {
    let (_place, registry, versions) = registry(&[1]);
    for file in FILES {
        let path = registry.root().join(&versions[0]).join(file);
        let whole = fs::read(&path).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let error = registry.load(None).unwrap_err();
        assert!(matches!(&error, RegistryError::Damaged { damage: Damage::Length { .. }, .. }), "{error}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_damaged_current_is_an_error_until_a_version_is_activated() {
    let (_place, registry, versions) = registry(&[1, 2]);
    let current = registry.root().join("current");
    let whole = fs::read_to_string(&current).unwrap();
    let cuts = (0..whole.len()).map(|len| whole[..len].to_owned());
    for text in cuts.chain(["../../etc\n".into(), format!("{whole}\n"), "\0\n".into()]) {
        fs::write(&current, &text).unwrap();
        assert!(matches!(registry.load(None), Err(RegistryError::Damaged { .. })), "{text:?}");
        assert!(registry.prune(0).is_err(), "{text:?}");
        assert_eq!(registry.list().unwrap().iter().filter(|entry| entry.current).count(), 0);
    }
    fs::write(&current, "20160803T000000-00000000\n").unwrap();
    assert!(matches!(registry.load(None), Err(RegistryError::Unknown { .. })));
    registry.activate(&versions[0]).unwrap();
    assert_eq!(registry.load(None).unwrap().0, models(1, 2));
}

/// Changes a manifest as another program could have written it, checksum included.
fn rewrite_manifest(registry: &Registry, version: &str, change: impl Fn(&mut serde_json::Value)) {
    let directory = registry.root().join(version);
    let mut manifest = serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    change(&mut manifest);
    let text = manifest.to_string();
    fs::write(directory.join("manifest.json"), &text).unwrap();
    let sums = fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    let second = sums.lines().nth(1).unwrap();
    fs::write(directory.join("SHA256SUMS"), format!("{}  manifest.json\n{second}\n", hex(text.as_bytes()))).unwrap();
}

#[test]
fn models_of_another_roomcast_say_what_to_do() {
    let (_place, registry, versions) = registry(&[1, 2, 3]);
    rewrite_manifest(&registry, &versions[0], |manifest| {
        *manifest = serde_json::json!({ "schema_version": SCHEMA + 1, "roomcast": "7.1.0", "unknown": {} });
    });
    let error = registry.load(Some(&versions[0])).unwrap_err();
    assert!(matches!(&error, RegistryError::Schema { found, .. } if *found == SCHEMA + 1), "{error}");
    assert!(error.to_string().contains("7.1.0") && error.to_string().contains("hint:"), "{error}");

    rewrite_manifest(&registry, &versions[1], |manifest| manifest["features"][4] = "moon".into());
    let error = registry.load(Some(&versions[1])).unwrap_err();
    assert!(matches!(&error, RegistryError::Features { .. }), "{error}");
    assert!(error.to_string().contains("column 4 is \"moon\""), "{error}");

    assert_eq!(registry.list().unwrap().iter().filter(|entry| entry.manifest.is_err()).count(), 2);
    assert!(registry.load(None).is_ok());
}

#[test]
fn models_from_the_future_of_their_own_cutoff_are_refused() {
    for (field, value) in [
        ("cutoff", "2016-08-03T00:00:00"),
        ("last_reading", "2016-08-02T00:00:00"),
        ("last_reading", "yesterday"),
        ("version", "20160802T000000-0123abcd"),
    ] {
        let (_place, registry, versions) = registry(&[1]);
        rewrite_manifest(&registry, &versions[0], |manifest| manifest[field] = value.into());
        let error = registry.activate(&versions[0]).unwrap_err();
        assert!(matches!(&error, RegistryError::Damaged { damage: Damage::Content(_), .. }), "{error}");
    }
}

/// What a save that was killed leaves, after each of its steps.
#[test]
fn a_save_that_stopped_anywhere_leaves_the_old_version() {
    let (_place, registry, versions) = registry(&[1]);
    let other = Registry::open(registry.root().with_file_name("other"));
    let version = save(&other, &models(2, 2), true).unwrap().version;
    let source = other.root().join(&version);
    let staging = registry.root().join(".staging-x1y2z3");

    let assert_old = |step: &str| {
        assert_eq!(registry.load(None).unwrap().0, models(1, 2), "{step}");
        assert_eq!(registry.list().unwrap().len(), 1, "{step}");
    };
    fs::create_dir(&staging).unwrap();
    assert_old("empty directory");
    for file in ["models.bin", "manifest.json", "SHA256SUMS"] {
        let whole = fs::read(source.join(file)).unwrap();
        fs::write(staging.join(file), &whole[..whole.len() / 2]).unwrap();
        assert_old("half a file");
        fs::write(staging.join(file), &whole).unwrap();
        assert_old("a file");
    }
    fs::write(registry.root().join(".staging-abc"), &version[..5]).unwrap();
    assert_old("half of the new current");

    // Renamed, but not current yet: there, whole, and the old one in use.
    fs::rename(&staging, registry.root().join(&version)).unwrap();
    assert_eq!(registry.load(None).unwrap().0, models(1, 2));
    assert_eq!(registry.load(Some(&version)).unwrap().0, models(2, 2));
    // The same save again finishes what was begun.
    assert_eq!(save(&registry, &models(2, 2), true).unwrap().version, version);
    assert_eq!(registry.load(None).unwrap().0, models(2, 2));

    fs::create_dir_all(registry.root().join(".staging-removed").join(&versions[0])).unwrap();
    assert!(registry.prune(2).unwrap().is_empty());
    assert_eq!(names(registry.root()).iter().filter(|name| name.starts_with(".staging")).count(), 0);
}

#[test]
fn pruning_keeps_the_newest_and_the_current_one() {
    let (_place, registry, versions) = registry(&[1, 2, 3, 4, 5]);
    fs::write(registry.root().join("README.md"), "not a version").unwrap();
    fs::create_dir(registry.root().join("notes")).unwrap();
    registry.activate(&versions[1]).unwrap();
    assert_eq!(registry.prune(2).unwrap(), [versions[2].clone(), versions[0].clone()]);
    let left: BTreeSet<String> = registry.list().unwrap().into_iter().map(|entry| entry.version).collect();
    assert_eq!(left, [versions[1].clone(), versions[3].clone(), versions[4].clone()].into());
    assert_eq!(registry.load(None).unwrap().0, models(2, 2));
    assert_eq!(registry.prune(0).unwrap().len(), 2);
    assert_eq!(registry.load(None).unwrap().0, models(2, 2));
    assert!(registry.root().join("README.md").exists() && registry.root().join("notes").exists());
}

#[test]
fn the_same_save_by_several_at_once_is_one_version() {
    let (_place, registry, _) = registry(&[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| save(&registry, &models(1, 20), true).unwrap());
        }
    });
    assert_eq!(registry.list().unwrap().len(), 1);
    assert_eq!(registry.load(None).unwrap().0, models(1, 20));
}

#[test]
fn many_may_save_load_and_prune_at_once() {
    let (_place, registry, _) = registry(&[1]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                for step in 0..10 {
                    save(registry, &models(2 + 4 * step + thread, 2), true).unwrap();
                    if step % 4 == 3 {
                        registry.prune(2).unwrap();
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let (loaded, manifest) = registry.load(None).unwrap();
                    assert_eq!(loaded, models((loaded.cutoff - 1_470_009_600) / DAY, manifest.devices));
                }
            });
        }
    });
    registry.prune(1).unwrap();
    assert!(registry.list().unwrap().iter().all(|entry| entry.manifest.is_ok()));
    assert_eq!(names(registry.root()).iter().filter(|name| name.starts_with(".staging")).count(), 0);
}

/// Not a test: what [`killed_saves_leave_whole_models`] kills.
#[test]
#[ignore = "saves until it is killed"]
fn save_for_ever() {
    let Some(root) = std::env::var_os("ROOMCAST_TEST_REGISTRY") else { return };
    let from = std::env::var("ROOMCAST_TEST_FROM").unwrap().parse().unwrap();
    let registry = Registry::open(PathBuf::from(root));
    for day in from.. {
        save(&registry, &models(day, 400), true).unwrap();
        registry.prune(2).unwrap();
    }
}

/// A process that saves and prunes is killed at random moments: whatever is current is whole, as is all that is listed.
#[test]
fn killed_saves_leave_whole_models() {
    let (_place, registry, _) = registry(&[1]);
    for round in 0..12_u64 {
        let before = registry.current().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "registry::save_for_ever", "--ignored"])
            .env("ROOMCAST_TEST_REGISTRY", registry.root())
            .env("ROOMCAST_TEST_FROM", (2 + 1000 * round).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while registry.current().unwrap() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(round * 1700));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_ne!(registry.current().unwrap(), before, "nothing was saved");
        let (loaded, manifest) = registry.load(None).unwrap();
        assert_eq!(loaded, models((loaded.cutoff - 1_470_009_600) / DAY, manifest.devices));
        for entry in registry.list().unwrap() {
            assert!(entry.manifest.is_ok(), "round {round}: {:?}", entry.manifest);
        }
    }
    registry.prune(1).unwrap();
    assert_eq!(names(registry.root()).iter().filter(|name| name.starts_with(".staging")).count(), 0);
}

/// `roomcast models …` on a registry.
fn command(registry: &Registry, line: &str) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("roomcast");
    command.arg("models").args(line.split_whitespace()).arg("--models").arg(registry.root());
    command
}

#[test]
fn the_command_lists_shows_activates_and_prunes() {
    let (_place, registry, versions) = registry(&[1, 2, 3]);
    let (old, new) = (&versions[0], &versions[2]);
    let text = |line: &str| {
        String::from_utf8(command(&registry, line).assert().success().get_output().stdout.clone()).unwrap()
    };
    fs::write(registry.root().join(&versions[1]).join("models.bin"), "").unwrap();

    let list = text("list");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    assert!(lines[1].starts_with(new.as_str()) && lines[1].contains("current"), "{list}");
    assert!(lines[2].contains("unusable: ") && lines[2].contains("models.bin: damaged"), "{list}");
    let list: serde_json::Value = serde_json::from_str(&text("list --json")).unwrap();
    assert_eq!(list[0]["version"], **new);
    assert_eq!(list[0]["current"], true);
    assert!(list[1]["error"].as_str().unwrap().contains("damaged"));

    assert!(text("show").contains(&format!("{new} (current)")));
    let show: serde_json::Value = serde_json::from_str(&text(&format!("show {old} --json"))).unwrap();
    assert_eq!((&show["version"], &show["current"]), (&old.as_str().into(), &false.into()));
    assert_eq!(show["scores"]["device"], 0.3);

    assert_eq!(text(&format!("activate {old}")), format!("{old} is current\n"));
    command(&registry, &format!("activate {}", versions[1]))
        .assert()
        .code(1)
        .stderr(predicate::str::contains("damaged"));
    command(&registry, "activate ../x").assert().code(1).stderr(predicate::str::contains("hint: versions look like"));
    command(&registry, "prune").assert().code(2);
    assert_eq!(text("prune --keep 1"), format!("removed {}\n", versions[1]));
    assert_eq!(registry.current().unwrap().as_ref(), Some(old));
}

#[test]
fn the_command_says_when_there_is_nothing() {
    let (_place, registry, _) = registry(&[]);
    command(&registry, "list").assert().success().stdout("").stderr(predicate::str::contains("roomcast train"));
    command(&registry, "list --json").assert().success().stdout("[]\n");
    command(&registry, "show").assert().code(1).stderr(predicate::str::contains("no models here"));
    command(&registry, "prune --keep 3").assert().success().stdout("");
}
