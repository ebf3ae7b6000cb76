//! Saving and loading a registry of 10,000 devices.
//!
//! Every device has 30 trees of 6 leaves, what training gives it at most; the figures are of a disk whose
//! pages are in memory.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::features::WIDTH;
use roomcast_forecast::model::lightgbm::{self, Parameters, Samples};
use roomcast_forecast::model::trees::Trees;
use roomcast_forecast::model::{Check, DeviceModel, Models, SiteModel};
use roomcast_forecast::train::TrainingInfo;
use roomcast_storage::registry::Registry;

const DEVICES: usize = 10_000;
const ROWS: usize = 1_000;
/// Boosters that differ, so that the bytes do.
const BOOSTERS: usize = 50;

/// A number from 0 to 1 that looks like chance.
fn noise(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f64 / (1 << 24) as f64
}

fn trees(seed: u64, trees: usize, leaves: usize) -> Trees {
    let mut state = seed;
    let features: Vec<f32> = (0..ROWS * WIDTH).map(|_| noise(&mut state) as f32).collect();
    let label = |row: usize| f32::from(f64::from(features[row] * features[ROWS + row]) > 0.5 * noise(&mut state));
    let labels: Vec<f32> = (0..ROWS).map(label).collect();
    let samples =
        Samples { features: &features, width: WIDTH, labels: &labels, weights: &[1.0; ROWS], start: &[0.0; ROWS] };
    let parameters = Parameters {
        trees,
        leaves,
        learning_rate: 0.06,
        min_rows: 20,
        l2: 20.0,
        column_share: 0.6,
        bins: 63,
        monotone: Vec::new(),
        columns: Vec::new(),
        seed: 1,
        patience: trees,
    };
    lightgbm::fit(samples, None, &parameters).expect("the samples have both classes")
}

fn models() -> Models {
    let boosters: Vec<Trees> = (0..BOOSTERS).map(|seed| trees(seed as u64, 30, 6)).collect();
    let device = |at: usize| DeviceModel {
        trees: boosters[at % BOOSTERS].clone(),
        tree_weight: 0.7,
        follows_site: true,
        check: Some(Check { rows: 500, prior: 0.31, building: 0.29, device: 0.28 }),
        ..Default::default()
    };
    Models {
        site: SiteModel { trees: trees(99, 120, 16), tree_weight: 1.0, ..Default::default() },
        devices: (0..DEVICES).map(|at| (format!("floor_{:03}/room_{at:05}", at / 50), device(at))).collect(),
        cutoff: 1_470_873_599,
        ..Models::default()
    }
}

fn registry(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("a place for temporary files");
    let models = models();
    let about = TrainingInfo {
        calendar: &Calendar::default(),
        first_reading: models.cutoff - 5_184_000,
        last_reading: models.cutoff - 1,
        readings: 12_000_000,
        fingerprint: "0".repeat(64),
        rooms: None,
        training: Duration::from_secs(300),
    };
    let registry = Registry::open(place.path());
    let manifest = registry.save(&models, &about, true).expect("the models are sound");
    println!("{DEVICES} devices: {:.1} MB", manifest.models_bytes as f64 / 1e6);

    let mut group = criterion.benchmark_group("registry");
    group.sample_size(10).throughput(Throughput::Elements(DEVICES as u64));
    group.bench_function("load", |bencher| bencher.iter(|| black_box(registry.load(None))));
    group.bench_function("verify", |bencher| bencher.iter(|| black_box(registry.list())));
    group.bench_function("save", |bencher| {
        bencher.iter_with_large_drop(|| {
            let place = tempfile::tempdir().expect("a place for temporary files");
            let saved = Registry::open(place.path()).save(&models, &about, true);
            assert!(saved.is_ok());
            place
        });
    });
    group.finish();
}

criterion_group!(benches, registry);
criterion_main!(benches);
