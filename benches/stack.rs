//! Training of the whole stack against plain boosters, one per device, in one run.
//!
//! Plain: for each device its columns, one dataset with every row, and 100 trees without early stopping, with
//! the device layer's other parameters, on all columns. Stack: everything [`fit::train`] does, that is the same columns, the
//! linear layer, the building's trees twice, the screening of each device, its trees with early stopping where
//! that finds something, and the judging on held-out hours. The goal is at most twice the processor time of the plain
//! boosters.

use rayon::prelude::*;
use roomcast_forecast::features::{SiteRates, Table, WIDTH, monotone};
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::lightgbm::{self, Parameters, Samples};
use roomcast_forecast::model::{fit, rows};

mod common;

const DEVICES: usize = 300;
const DAYS: u64 = 60;
/// Rounds of which the median counts; the two take turns.
const ROUNDS: usize = 3;

/// What a device would get if it had nothing but its own trees: those of the device layer, 100 of them, on all columns.
fn parameters() -> Parameters {
    Parameters {
        trees: 100,
        leaves: 6,
        learning_rate: 0.06,
        min_rows: 40,
        l2: 20.0,
        column_share: 0.6,
        bins: 63,
        seed: 1,
        monotone: monotone().to_vec(),
        columns: Vec::new(),
        patience: 100,
    }
}

/// Trees of one device; none where LightGBM has nothing to learn from.
fn plain(hourly: &Hourly, site_rates: &SiteRates, device: usize) -> usize {
    let rows = rows::rows(hourly, device);
    let asked: Vec<_> = rows.iter().map(|labelled| labelled.row).collect();
    let matrix = Table::new(hourly, site_rates, device).matrix(&asked).expect("rows of the grid");
    let labels: Vec<f32> = rows.iter().map(|labelled| f32::from(labelled.occupied)).collect();
    let start: Vec<f64> = matrix.data[..matrix.rows].iter().map(|&prior| f64::from(prior)).collect();
    let weights = vec![1.0; matrix.rows];
    let samples = Samples { features: &matrix.data, width: WIDTH, labels: &labels, weights: &weights, start: &start };
    lightgbm::fit(samples, None, &parameters()).map_or(0, |trees| trees.len())
}

fn main() {
    let hourly = common::hourly(DEVICES, DAYS);
    let site_rates = SiteRates::new(&hourly);
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let before = common::cpu_seconds(false);
        let trees: usize =
            (0..hourly.devices.len()).into_par_iter().map(|device| plain(&hourly, &site_rates, device)).sum();
        assert!(trees > DEVICES * 50, "{trees} trees are no fair comparison");
        let between = common::cpu_seconds(false);
        fit::train(&hourly, &site_rates, &|| ()).expect("sixty days are enough");
        seconds[0].push(between - before);
        seconds[1].push(common::cpu_seconds(false) - between);
    }
    let [plain, stack] = seconds.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[ROUNDS / 2]
    });
    println!("{DEVICES} devices, {DAYS} days; processor seconds, median of {ROUNDS}:");
    println!("  plain boosters, one per device  {plain:>7.2}");
    println!("  the whole stack                 {stack:>7.2}   {:.2} times as much", stack / plain);
}
