//! Tests of internals: the schema of `models.bin`, names, and the checks before saving.

use std::time::Duration;

use roomcast_forecast::train::TrainingInfo;

use super::manifest::Manifest;
use super::names::is_name;
use super::{Registry, RegistryError};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::features::WIDTH;
use roomcast_forecast::model::checksum::sha256;
use roomcast_forecast::model::mix::expert::Expert;
use roomcast_forecast::model::trees::Trees;
use roomcast_forecast::model::{Check, DeviceModel, Models, SiteModel};
use roomcast_forecast::model::{codec, lightgbm};

/// Returns a stump and a constant.
fn trees(leaf: f64) -> Trees {
    let text = format!(
        "\nTree=0\nnum_leaves=2\nsplit_feature=3\nthreshold=0.25\ndecision_type=10\nleft_child=-1\nright_child=-2\n\
         leaf_value=-0.5 {leaf}\n\nTree=1\nnum_leaves=1\nleaf_value=0.125\n"
    );
    Trees::parse(&text, WIDTH).unwrap()
}

fn models() -> Models {
    let device = DeviceModel {
        trees: trees(0.75),
        tree_weight: 0.5,
        expert: Expert { trees: trees(1.25), base: -1.5 },
        follows_site: true,
        check: Some(Check { rows: 100, prior: 0.5, building: 0.4, device: 0.3 }),
    };
    let site = SiteModel { trees: trees(1.5), tree_weight: 0.25, ..Default::default() };
    let devices = [("küche".to_owned(), device), ("empty".to_owned(), DeviceModel::default())];
    Models { site, devices: devices.into_iter().collect(), cutoff: 1_470_873_599, ..Models::default() }
}

fn about(calendar: &Calendar) -> TrainingInfo<'_> {
    TrainingInfo {
        calendar,
        first_reading: 1_467_331_200,
        last_reading: 1_470_873_598,
        readings: 7,
        fingerprint: sha256(b"readings"),
        rooms: None,
        training: Duration::from_millis(1500),
    }
}

#[test]
fn a_file_beside_the_models_may_be_the_first_of_a_registry() {
    let place = tempfile::tempdir().unwrap();
    let registry = Registry::open(place.path().join("not/yet"));
    assert_eq!(registry.read_beside("live-scores").unwrap(), None);
    registry.write_beside("live-scores", b"scores").unwrap();
    assert_eq!(registry.read_beside("live-scores").unwrap().as_deref(), Some(&b"scores"[..]));
    assert!(registry.is_empty());
}

#[test]
fn models_come_back_from_their_bytes() {
    for models in [models(), Models { cutoff: 1, ..Default::default() }] {
        assert_eq!(codec::decode(&codec::encode(&models).unwrap()), Ok(models));
    }
}

/// Postcard writes no field names, so bytes of another schema could be read as a wrong model. A failure of this test
/// means that the schema has changed: raise `SCHEMA` (unless nobody has the old schema), and put the new sum here.
#[test]
fn the_form_is_that_of_the_schema() {
    let packed = codec::encode(&models()).unwrap();
    assert_eq!((codec::SCHEMA, sha256(&packed).get(..16)), (7, Some("a0dafbe6958b05a4")));
}

/// No cut or flipped byte panics or makes a model with a number that is not finite, even without the checksums.
#[test]
fn bytes_that_were_changed_are_an_error_or_a_sound_model() {
    let packed = codec::encode(&models()).unwrap();
    for len in 0..packed.len() {
        assert!(codec::decode(&packed[..len]).is_err(), "cut to {len} bytes");
    }
    assert!(codec::decode(&[&packed[..], &[0]].concat()).is_err());
    for at in 0..packed.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = packed.clone();
            changed[at] ^= flip;
            if let Ok(models) = codec::decode(&changed) {
                assert_eq!(roomcast_forecast::model::check::models(&models), Ok(()));
                for device in models.devices.values() {
                    device.score(&models.site, &[f32::NAN; WIDTH]);
                }
            }
        }
    }
}

/// A false list length causes an error instead of an allocation.
#[test]
fn lengths_in_the_file_allocate_nothing() {
    let mut packed = codec::encode(&Models::default()).unwrap();
    // The last byte is the number of devices.
    assert_eq!(packed.pop(), Some(0));
    packed.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert!(codec::decode(&packed).is_err());
}

#[test]
fn a_version_has_a_name_of_one_form() {
    for name in ["20160810T235959Z-3f9a1c07", "20160810T235959-3f9a1c"] {
        assert!(is_name(name), "{name}");
    }
    for name in [
        "",
        ".",
        "..",
        "current",
        "../20160810T235959Z-3f9a1c07",
        "20160810T235959Z-3f9a1c07/..",
        "20160810T235959Z-3F9A1C07",
        "20160810T235959Z-3f9a",
        "20160810T235959Z",
        "20160810T235959Z-3f9a1c07\n",
        "2016٠٨١٠T235959Z-3f9a1c07",
    ] {
        assert!(!is_name(name), "{name}");
    }
}

#[test]
fn a_zone_shows_in_the_name_and_the_times() {
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let manifest = Manifest::new(&models(), &about(&berlin), &codec::encode(&models()).unwrap()).unwrap();
    assert!(manifest.version.starts_with("20160810T235959Z-"), "{}", manifest.version);
    assert_eq!(manifest.cutoff, "2016-08-11T01:59:59+02:00");
    assert_eq!(manifest.mismatch(&berlin), None);
    assert!(manifest.mismatch(&Calendar::default()).unwrap().contains("Europe/Berlin, used with none"));

    let plain = Calendar::default();
    let manifest = Manifest::new(&models(), &about(&plain), &codec::encode(&models()).unwrap()).unwrap();
    assert!(manifest.version.starts_with("20160810T235959-"), "{}", manifest.version);
    assert_eq!(manifest.cutoff, "2016-08-10T23:59:59");
    assert_eq!(manifest.weekend, ["sat", "sun"]);
    let other = plain.clone().with_weekend([false, false, false, false, true, true, false]);
    assert!(manifest.mismatch(&other).unwrap().contains("sat and sun"));
}

#[test]
fn days_off_of_the_time_that_was_learned_are_those_of_the_models() {
    let closed = |days: &[&str]| Calendar::default().with_days_off(days.iter().map(|day| day.parse().unwrap()));
    let known = closed(&["2016-07-14"]);
    let manifest = Manifest::new(&models(), &about(&known), &codec::encode(&models()).unwrap()).unwrap();
    assert_eq!(manifest.mismatch(&known), None);
    // A day off that is yet to come, or on a weekend, changes nothing that was learned.
    assert_eq!(manifest.mismatch(&closed(&["2016-07-14", "2016-12-27", "2016-07-16"])), None);
    for other in [Calendar::default(), closed(&["2016-07-14", "2016-07-15"])] {
        assert!(manifest.mismatch(&other).unwrap().contains("other holidays, closed or open days"));
    }
    let open = known.clone().with_working_days(["2016-07-16".parse().unwrap()]);
    assert!(manifest.mismatch(&open).is_some());
    // Manifests of older versions do not say.
    let older = Manifest { days_off_sha256: None, ..manifest };
    assert_eq!(older.mismatch(&Calendar::default()), None);
}

#[test]
fn scores_are_weighed_by_rows() {
    let mut models = models();
    let check = Check { rows: 300, prior: 0.9, building: 0.8, device: 0.7 };
    models.devices.get_mut("empty").unwrap().check = Some(check);
    let manifest = Manifest::new(&models, &about(&Calendar::default()), &codec::encode(&models).unwrap()).unwrap();
    let scores = manifest.scores.unwrap();
    assert_eq!((scores.rows, scores.prior, scores.building, scores.device), (400, 0.8, 0.7, 0.6));
    assert_eq!((manifest.sources.model, manifest.sources.building, manifest.sources.baseline), (1, 0, 1));
}

#[test]
fn unsound_models_are_not_saved() {
    let place = tempfile::tempdir().unwrap();
    let registry = Registry::open(place.path().join("models"));
    let calendar = Calendar::default();
    let refused = |models: &Models, about: &TrainingInfo, why: &str| match registry.save(models, about, true) {
        Err(RegistryError::Unsound(what)) => assert!(what.contains(why), "{what}"),
        other => panic!("{other:?}"),
    };
    let mut broken = models();
    broken.devices.get_mut("küche").unwrap().tree_weight = f64::NAN;
    refused(&broken, &about(&calendar), "küche");
    let mut broken = models();
    broken.devices.get_mut("küche").unwrap().expert.base = f64::NAN;
    refused(&broken, &about(&calendar), "küche");
    let mut broken = models();
    broken.site.tree_weight = f64::INFINITY;
    refused(&broken, &about(&calendar), "site");
    let late = TrainingInfo { last_reading: models().cutoff, ..about(&calendar) };
    refused(&models(), &late, "not before the cutoff");
    refused(&Models::default(), &about(&calendar), "1970");
    assert!(!registry.root().exists());
}

/// Models may learn from readings up to the present, or up to the last reading at hand.
#[test]
fn models_from_the_future_are_refused() {
    let (now, day) = (Calendar::utc_now(), 86_400);
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let check = |cutoff, last| super::present("v", cutoff, last, &berlin);
    assert!(check(now + 600, None).is_ok() && check(now - 900 * day, Some(now - 900 * day)).is_ok());
    let error = check(now + day, Some(now - 60)).unwrap_err();
    assert!(matches!(error, RegistryError::Future { .. }), "{error}");
    assert!(check(now + 400 * day, Some(now + 400 * day - 1)).is_ok(), "a building simulated ahead of the clock");
    // Without a zone the wall time of the readings may be that of another part of the world.
    let plain = Calendar::default();
    assert!(super::present("v", plain.now() + 20 * 3600, None, &plain).is_ok());
    assert!(super::present("v", plain.now() + 3 * day, None, &plain).is_err());
}

#[test]
fn a_crash_that_left_a_damaged_version_is_healed_by_saving_again() {
    let place = tempfile::tempdir().unwrap();
    let (registry, calendar) = (Registry::open(place.path()), Calendar::default());
    let first = registry.save(&models(), &about(&calendar), true).unwrap();
    let file = place.path().join(&first.version).join("models.bin");
    std::fs::write(&file, b"").unwrap();
    assert!(registry.load(None).is_err());
    let second = registry.save(&models(), &about(&calendar), true).unwrap();
    assert_eq!(first.version, second.version);
    assert_eq!(registry.load(None).unwrap().0, models());
}

/// The constant is written by hand and must be checked when the crate is upgraded.
#[test]
fn the_lightgbm_version_is_that_of_the_crate() {
    let lock = include_str!("../../../../Cargo.lock");
    assert!(
        lock.contains("name = \"lightgbm3-sys\"\nversion = \"1.0.11\"\n"),
        "is LightGBM still {}?",
        lightgbm::VERSION
    );
}
