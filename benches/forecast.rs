//! Features and forecasts of one device and of a thousand, from models trained on the same 60 days.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::features::{SiteRates, Table, horizon};
use roomcast_forecast::forecast::{forecast, forecast_all};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::fit;

mod common;

const DEVICES: usize = 1_000;
/// Devices the models are fitted on; the others get the building's forecast, which costs as much but for a
/// few trees.
const TRAINED: usize = 100;
const DAYS: u64 = 60;

fn benches(criterion: &mut Criterion) {
    let trained = common::hourly(TRAINED, DAYS);
    let models = fit::train(&trained, &SiteRates::new(&trained), &|| ()).expect("sixty days are enough");
    println!(
        "models: {} trees of the building, {} of {TRAINED} devices with trees of their own",
        models.site.trees.len(),
        models.devices.values().filter(|model| !model.trees.is_empty()).count()
    );
    let hourly = common::hourly(DEVICES, DAYS);
    let site_rates = SiteRates::new(&hourly);
    // The one with the most trees.
    let of = |hourly: &Hourly, device: usize| {
        models.devices.get(&hourly.devices[device].device).map_or(0, |m| m.trees.len())
    };
    let device = (0..hourly.devices.len()).max_by_key(|&device| of(&hourly, device)).unwrap_or(0);
    let rows = horizon(&hourly);

    let mut group = criterion.benchmark_group("one_device");
    group.sample_size(20).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    group.bench_function("features", |bencher| {
        bencher.iter(|| Table::new(&hourly, &site_rates, device).matrix(black_box(&rows)));
    });
    group.bench_function("forecast", |bencher| {
        bencher.iter(|| forecast(&hourly, &site_rates, black_box(device), &models));
    });
    group.finish();

    let mut group = criterion.benchmark_group("thousand_devices");
    group.sample_size(10).measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(DEVICES as u64));
    group.bench_function("building", |bencher| bencher.iter(|| SiteRates::new(black_box(&hourly))));
    group.bench_function("forecast", |bencher| bencher.iter(|| forecast_all(&hourly, &site_rates, black_box(&models))));
    let week = hourly.clone().reaching(7, &Calendar::default());
    let week_rates = site_rates.reaching(&week);
    group.bench_function("week", |bencher| bencher.iter(|| forecast_all(&week, &week_rates, black_box(&models))));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
