//! Retraining: what is due, what is promoted, what stays, and that a registry is never half renewed.

mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use roomcast_forecast::calendar::{Calendar, HOUR};
use roomcast_forecast::features::{SiteRates, WIDTH};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::trees::Trees;
use roomcast_forecast::model::{DeviceModel, Models, Source, fit};
use roomcast_forecast::readings::{self, ReadOptions, Readings};
use roomcast_forecast::rooms::{Assignment, Level, Rooms};
use roomcast_forecast::train::TrainingInfo;
use roomcast_forecast::train::report::{Layer, Reason};
use roomcast_forecast::train::{self, Options, Outcome};
use roomcast_storage::registry::Registry;
use serde_json::Value;

use crate::serve::client::{Server, copy_all, registry, roomcast, sample, train, wait};

const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> i64 {
    Calendar::default().parse(text).unwrap()
}

/// Two months of a building with regular habits: on it one week tells models that learned nonsense from others.
fn all_readings() -> Readings {
    static READ: OnceLock<Readings> = OnceLock::new();
    let simulated = || {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("readings.csv");
        let period = ["simulate", "--devices", "7", "--from", "2016-07-01", "--to", "2016-08-31", "--seed", "31"];
        said(&[&period[..], &["--faults", "0.4", "--output", file.to_str().unwrap()]].concat());
        readings::read(&[file], &ReadOptions::default(), &Calendar::default()).unwrap().0
    };
    READ.get_or_init(simulated).clone()
}

fn fitted(readings: &Readings, until: i64) -> Models {
    let hourly = Hourly::new(readings, &Calendar::default(), until);
    fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).unwrap()
}

/// As of 11 August 21:00, with models due after `days` days: judged from 4 August.
fn options(days: i64) -> Options {
    Options { until: at("2016-08-11 21:00:00"), max_age: days * DAY, judge_days: 7, dry_run: false }
}

/// Sound models as of 4 August, before the judged days, and as of 10 August, fitted once for all tests.
fn champions() -> &'static [Models; 2] {
    static FITTED: OnceLock<[Models; 2]> = OnceLock::new();
    let fit = |day: &str| fitted(&all_readings(), at(day));
    FITTED.get_or_init(|| ["2016-08-04 00:00:00", "2016-08-10 00:00:00"].map(fit))
}

fn renewed(readings: &Readings, champion: &Models, options: &Options) -> Outcome {
    train::run(readings, &Calendar::default(), Some(champion), options, &|| ()).unwrap()
}

fn settled(readings: &Readings, champion: &Models, challenger: &Models, options: &Options) -> Outcome {
    train::settle(readings, &Calendar::default(), Some(champion), challenger.clone(), options).unwrap()
}

/// A device with the site's layers alone.
fn newcomer() -> DeviceModel {
    DeviceModel { follows_site: true, ..DeviceModel::default() }
}

/// The same number of readings of each device between two instants, at times that mean nothing.
fn scrambled(readings: &Readings, from: i64, to: i64) -> Readings {
    let mut scrambled = readings.clone();
    let mut state = 7_u64;
    for device in &mut scrambled.devices {
        let scrambled = device.times.iter().map(|time| {
            if !(from..to).contains(&time) {
                return time;
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            from + (state >> 33) as i64 % (to - from)
        });
        device.times = scrambled.collect();
    }
    scrambled
}

/// Every other day moved into the night, up to an instant.
fn shifted(readings: &Readings, to: i64) -> Readings {
    let mut shifted = readings.clone();
    for device in &mut shifted.devices {
        let moves = |time: i64| time < to && time.div_euclid(DAY) % 2 == 0;
        device.times = device.times.iter().map(|time| if moves(time) { time + 11 * HOUR } else { time }).collect();
    }
    shifted
}

/// Runs the command on the sample; its report.
fn report(models: &Path, more: &[&str]) -> Value {
    let (input, models) = (sample(), models.to_str().unwrap());
    let args = ["retrain", "--input", input.to_str().unwrap(), "--models", models, "--json"];
    let output = roomcast(&[&args[..], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(args: &[&str]) -> String {
    let output = roomcast(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn current(models: &Path) -> String {
    std::fs::read_to_string(models.join("current")).unwrap().trim().to_owned()
}

#[test]
fn what_is_over_age_is_renewed_with_a_report_and_can_be_rolled_back() {
    let models = registry();
    let (path, old) = (models.path(), current(models.path()));
    let nothing = report(path, &["--max-age", "7d"]);
    assert_eq!((&nothing["site"], nothing["devices"].as_object().unwrap().len()), (&Value::Null, 0), "{nothing}");
    assert_eq!((current(path), &nothing["version"]), (old.clone(), &Value::Null));

    let dry = report(path, &["--max-age", "5d", "--dry-run"]);
    assert_eq!((dry["site"]["reason"].as_str(), &dry["version"]), (Some("over_age"), &Value::Null));
    assert_eq!(current(path), old);

    let done = report(path, &["--max-age", "5d", "--keep", "1"]);
    let new = done["version"].as_str().unwrap().to_owned();
    assert_eq!((current(path), done["activated"].as_bool()), (new.clone(), Some(true)));
    // Asked to keep one, it keeps the one before it as well.
    assert_eq!((new.starts_with("20160831T190000-"), path.join(&old).exists()), (true, true));
    assert_eq!(done["champion"].as_str(), Some(old.as_str()));
    let count = |name: &str| done[name].as_u64().unwrap();
    assert_eq!((count("promoted") + count("fell_back"), count("kept")), (7, 0), "{done}");
    assert!(done["site"]["judged"]["days"].as_u64().unwrap() >= 7 && done["judged_from"] == "2016-08-24T23:59:59");

    let dir = path.to_str().unwrap();
    let shown: Value = serde_json::from_str(&said(&["models", "show", "--models", dir, "--json"])).unwrap();
    assert_eq!((&shown["report"]["site"], &shown["report"]["devices"]), (&done["site"], &done["devices"]));
    assert!(said(&["models", "show", "--models", dir]).contains("judged from  2016-08-24 23:59:59"));
    let sums = Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(path.join(&new)).output().unwrap();
    assert!(sums.status.success() && String::from_utf8_lossy(&sums.stdout).contains("report.json: OK"));

    said(&["models", "activate", &old, "--models", dir]);
    assert_eq!(current(path), old);
    // A report that was changed is found out.
    std::fs::write(path.join(&new).join("report.json"), "{}").unwrap();
    let refused = roomcast(&["models", "activate", &new, "--models", dir]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("report.json"), "{refused:?}");
    assert_eq!(current(path), old);
}

#[test]
fn a_champion_that_learned_nonsense_is_replaced() {
    let readings = all_readings();
    let until = at("2016-08-04 00:00:00");
    let champion = fitted(&shifted(&readings, until), until);
    // Young enough: only its forecasts tell.
    let outcome = renewed(&readings, &champion, &options(30));
    let site = outcome.report.site.clone().unwrap();
    assert_eq!((site.reason, site.promoted), (Reason::SkillGone, true), "{}", outcome.report.text());
    let judged = site.judged.unwrap();
    assert!(judged.challenger < judged.prior && judged.prior < judged.champion, "{judged:?}");
    let models = outcome.models.unwrap();
    assert_eq!(models.cutoff, options(30).until);
}

#[test]
fn a_challenger_that_learned_nonsense_is_not_promoted() {
    let readings = all_readings();
    let (from, to) = (at("2016-07-04 00:00:00"), at("2016-08-04 00:00:00"));
    let corrupted = scrambled(&readings, from, to);
    let outcome = renewed(&corrupted, &champions()[0], &options(5));
    let site = outcome.report.site.clone().unwrap();
    assert_eq!((site.reason, site.promoted), (Reason::OverAge, false), "{}", outcome.report.text());
    assert!(site.judged.unwrap().gain < -2.0);
    assert_eq!((outcome.report.kept(), outcome.models), (7, None));
}

#[test]
fn what_cannot_be_judged_waits_until_the_champion_is_over_age() {
    let readings = all_readings();
    let [_, champion] = champions();
    let outcome = settled(&readings, champion, champion, &options(7));
    let site = outcome.report.site.clone().unwrap();
    assert_eq!((site.reason, site.promoted, site.judged), (Reason::Asked, false, None));
    assert!(outcome.models.is_none() && outcome.report.text().contains("not judged"), "{}", outcome.report.text());
    let outcome = renewed(&readings, champion, &options(1));
    let site = outcome.report.site.clone().unwrap();
    assert_eq!((site.reason, site.promoted, site.judged), (Reason::OverAge, true, None));
    assert_eq!(outcome.models.unwrap().cutoff, options(1).until);
    assert!(outcome.report.text().contains("promoted, not judged"), "{}", outcome.report.text());
}

#[test]
fn a_device_whose_challenger_loses_falls_back_to_the_layers_of_the_site() {
    let readings = all_readings();
    let [champion, _] = champions();
    let mut challenger = champion.clone();
    let always = "\nTree=0\nnum_leaves=2\nsplit_feature=3\nthreshold=0.25\ndecision_type=10\nleft_child=-1\nright_child=-2\n\
        leaf_value=20 20\n";
    let broken = DeviceModel { trees: Trees::parse(always, WIDTH).unwrap(), tree_weight: 1.0, ..newcomer() };
    challenger.devices.insert("device_2".into(), broken);
    let outcome = settled(&readings, champion, &challenger, &options(30));
    let report = &outcome.report;
    assert_eq!((report.promoted(), report.fell_back(), report.kept()), (6, 1, 0), "{}", report.text());
    assert!(report.devices["device_2"].judged.unwrap().gain < -2.0, "{}", report.text());
    challenger.devices.insert("device_2".into(), newcomer());
    assert_eq!(outcome.models.unwrap(), challenger);
}

#[test]
fn a_device_gets_the_prior_where_everything_fitted_does_worse() {
    let readings = all_readings();
    let until = at("2016-08-04 00:00:00");
    let nonsense = fitted(&shifted(&readings, until), until);
    let outcome = settled(&readings, &nonsense, &nonsense, &options(30));
    let gets = |layer| outcome.report.devices.iter().filter(move |(_, trial)| trial.gets == layer);
    assert!(gets(Layer::Prior).count() >= 3 && gets(Layer::Site).count() == 0, "{}", outcome.report.text());
    let models = outcome.models.as_ref().unwrap();
    assert!(gets(Layer::Prior).all(|(name, _)| models.devices[name].source() == Source::Baseline));
}

#[test]
fn floors_and_the_building_are_judged_as_rooms_are() {
    let (readings, calendar) = (all_readings(), Calendar::default());
    let row = |n: usize| Assignment {
        sensor: format!("device_{n}"),
        room: format!("device_{n}"),
        // The series of a floor is then that of its room, so a judgement of it is one, too.
        floor: Some(format!("device_{n}")),
        ..Assignment::default()
    };
    let table = Rooms::new((1..=7).map(row).collect()).unwrap();
    let until = at("2016-08-04 00:00:00");
    let champion = Models {
        levels: train::levels(&table, &readings, &calendar, until, &|| ()).unwrap(),
        ..champions()[0].clone()
    };
    let renew = |readings: &Readings, options: &Options| {
        train::renew_levels(&table, readings, &calendar, Some(&champion), options, &|| ()).unwrap()
    };
    // Over age, and not worse.
    let (levels, trials) = renew(&readings, &options(5));
    assert!(levels.values().all(|models| models.cutoff == options(5).until), "{trials:?}");
    let floors = trials[&Level::Floor].site.clone().unwrap();
    assert!(floors.promoted && floors.judged.is_some_and(|judged| judged.days >= 7), "{floors:?}");
    let names: Vec<String> = (1..=7).map(|n| format!("device_{n}")).collect();
    assert!(trials[&Level::Floor].series.keys().eq(&names), "{trials:?}");
    // Not due: they stay as they are. A dry run gives none.
    let (levels, trials) = renew(&readings, &options(30));
    assert_eq!((levels, &trials[&Level::Building].site), (champion.levels.clone(), &None));
    assert!(renew(&readings, &Options { dry_run: true, ..options(5) }).0.is_empty());
    // A challenger that learned nonsense.
    let corrupted = scrambled(&readings, at("2016-07-04 00:00:00"), until);
    let (levels, trials) = renew(&corrupted, &options(5));
    let floors = trials[&Level::Floor].site.clone().unwrap();
    assert!(!floors.promoted && floors.judged.unwrap().gain < -2.0, "{floors:?}");
    assert_eq!(levels[&Level::Floor], champion.levels[&Level::Floor]);
}

#[test]
fn a_device_without_a_layer_waits_for_the_next_renewal() {
    let readings = all_readings();
    let mut champion = champions()[1].clone();
    champion.devices.remove("device_3");
    let outcome = renewed(&readings, &champion, &options(7));
    assert!(outcome.report.site.is_none() && outcome.models.is_none(), "{}", outcome.report.text());
    let outcome = renewed(&readings, &champion, &options(1));
    assert!(outcome.models.unwrap().devices.contains_key("device_3"));
}

#[test]
fn the_first_run_trains_what_train_does_and_too_little_history_makes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let done = report(&place.path().join("a"), &["--until", "2016-07-25 00:00:00"]);
    assert_eq!((done["champion"].is_null(), done["promoted"].as_u64()), (true, Some(7)));
    let trained = train(&place.path().join("b"), "2016-07-25 00:00:00");
    assert_eq!(done["version"].as_str(), Some(trained.as_str()));
    let early = report(&place.path().join("c"), &["--until", "2016-07-05 00:00:00"]);
    assert_eq!((&early["version"], early["note"].as_str()), (&Value::Null, Some("too little history to learn from")));
    assert!(!place.path().join("c/current").exists());
}

/// Models that say they learned from readings of the next century.
fn from_the_future(models: &Path) -> String {
    let cutoff = at("2100-01-01 00:00:00");
    let about = TrainingInfo {
        calendar: &Calendar::default(),
        first_reading: cutoff - 30 * DAY,
        last_reading: cutoff - 1,
        readings: 10,
        fingerprint: "0".repeat(64),
        rooms: None,
        training: Duration::from_secs(1),
    };
    let models = Registry::open(models).save(&Models { cutoff, ..Models::default() }, &about, true);
    models.unwrap().version
}

#[test]
fn models_from_the_future_are_refused_and_the_old_ones_serve() {
    let models = registry();
    let old = current(models.path());
    let server = Server::start(models.path(), &[]);
    let future = from_the_future(models.path());
    let error = |server: &Server| server.get("/models").json()["error"].as_str().unwrap_or_default().to_owned();
    let version = |server: &Server| server.get("/predict?device=device_1").json()["model"]["version"].clone();
    wait("the refusal", || error(&server).contains("learned from readings up to 2100-01-01"));
    let refused = server.ask("POST", "/models/reload", &["Authorization: Bearer a-token"], b"");
    assert_eq!((refused.status, refused.code().as_str()), (409, "reload_failed"));
    assert_eq!(version(&server), old.as_str());
    drop(server);
    let server = Server::start(models.path(), &[]);
    assert_eq!(version(&server), old.as_str());
    assert!(error(&server).contains(&future));

    // A retraining does not take them for a champion, and puts sound ones into their place.
    let done = report(models.path(), &["--until", "2016-07-25 00:00:00"]);
    assert!(done["refused"].as_str().unwrap().contains("2100-01-01"), "{done}");
    assert_eq!((done["champion"].as_str(), done["promoted"].as_u64()), (Some(future.as_str()), Some(7)));
    let new = done["version"].as_str().unwrap();
    wait("sound models", || version(&server) == new);
    let (input, dir) = (sample(), models.path().to_str().unwrap());
    let until = ["train", "--input", input.to_str().unwrap(), "--models", dir, "--until", "2100-01-01 00:00:00"];
    let refused = roomcast(&until);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is in the future"), "{refused:?}");
}

#[test]
fn one_retraining_at_a_time_and_nobody_is_overruled() {
    let models = registry();
    let (path, old) = (models.path(), current(models.path()));
    let held = Registry::open(path);
    let lease = held.lock_training().unwrap().unwrap();
    assert!(held.lock_training().unwrap().is_none());
    let busy = report(path, &["--max-age", "1d"]);
    assert!(busy["note"].as_str().unwrap().contains("under way"), "{busy}");
    drop(lease);
    assert_eq!(current(path), old);
    // Versions without a current one are somebody's choice.
    std::fs::remove_file(path.join("current")).unwrap();
    let input = sample();
    let args = ["retrain", "--input", input.to_str().unwrap(), "--models", path.to_str().unwrap()];
    let refused = roomcast(&args);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("models activate"), "{refused:?}");
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_or_the_new_version() {
    // Few weeks, so that a run is short and a kill often meets its end.
    let models = tempfile::tempdir().unwrap();
    let old = train(models.path(), "2016-07-18 00:00:00");
    let input = sample();
    let start = |dir: &Path| {
        Command::new(env!("CARGO_BIN_EXE_roomcast"))
            .env_clear()
            .args(["retrain", "--max-age", "1d", "--judge-days", "3", "--until", "2016-07-25 00:00:00", "--keep", "1"])
            .args(["--input", input.to_str().unwrap(), "--models", dir.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let copy = || {
        let copy = tempfile::tempdir().unwrap();
        copy_all(models.path(), copy.path());
        copy
    };
    let whole = copy();
    let watch = Instant::now();
    assert!(start(whole.path()).wait().unwrap().success());
    let took = watch.elapsed();
    let new = current(whole.path());
    assert_ne!(new, old);
    let mut state = u64::from(std::process::id());
    for _ in 0..10 {
        let place = copy();
        let mut child = start(place.path());
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Half of them near the end, where files are written.
        let share = (state >> 33) as f64 / f64::from(1_u32 << 31);
        std::thread::sleep(took.mul_f64(if state & 1 << 20 == 0 { share } else { 0.9 + 0.2 * share }));
        child.kill().unwrap();
        child.wait().unwrap();
        let registry = Registry::open(place.path());
        let (_, manifest) = registry.load(None).unwrap();
        assert!(manifest.version == old || manifest.version == new, "{}", manifest.version);
        assert!(registry.list().unwrap().iter().all(|entry| entry.manifest.is_ok()));
        assert!(registry.load(Some(&old)).is_ok());
        assert!(registry.lock_training().unwrap().is_some(), "a dead process holds nothing");
    }
}
