//! Learns the shipped layers from whole sites.
//!
//! Each site is fitted once, as `train` does, and forecast on the days that follow, as `predict` does: so the correction
//! is learned from errors that the stack makes out of sample. The layers that need no training also learn from the days
//! before, from the first one on, when a site has next to no history.

use rayon::prelude::*;

use super::ridge;
use super::shipped::{Shipped, correction_columns, linear_columns};
use crate::calendar::{Calendar, HOUR, Timestamp};
use crate::features::{FULL_WIDTH, ForecastRows, Matrix, SiteRates, Table, WIDTH, monotone, transferable};
use crate::hourly::{Hourly, State};
use crate::model::fit::{TrainError, train};
use crate::model::lightgbm::{self, Parameters, Samples};
use crate::model::rows::hash;
use crate::readings::Readings;

/// Days after the fit that forecasts are compared with.
pub const JUDGED_DAYS: i64 = 28;
/// Days between two of these forecasts.
const DAYS_BETWEEN: i64 = 2;
/// Of so many of these days one is forecast a second time, when it has begun.
const BEGUN_EVERY: i64 = 3;
/// Forecasts of a site before its fit; their origins are spread evenly over the logarithm of its age.
const EARLIER_FORECASTS: u32 = 10;
/// Rows that a site gives to each of the two lessons, about: small sites count nearly as much as large ones.
const SITE_ROWS: usize = 2_000;
/// Pull of the linear layers toward no step at all, in rows of evidence.
const RIDGE: f64 = 300.0;

/// A site to learn from, with readings of [`JUDGED_DAYS`] more than its `history`.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The readings.
    pub readings: Readings,
    /// The site's calendar.
    pub calendar: Calendar,
    /// The midnight at which the readings begin.
    pub start: Timestamp,
    /// Days before the fit.
    pub history: i64,
}

/// A row with its outcome.
struct Row {
    columns: [f32; FULL_WIDTH],
    occupied: bool,
    /// Log-odds of the stack; `None` before the fit.
    stack: Option<f64>,
}

/// Learns the shipped layers from so many sites, each made when it is needed.
///
/// # Errors
/// Returns [`TrainError`] when LightGBM or Polars fails.
pub fn learn(sites: usize, lesson: impl Fn(usize) -> Lesson + Sync) -> Result<Shipped, TrainError> {
    let of = |site: usize| rows(&lesson(site), site as u64);
    let rows: Vec<Row> =
        (0..sites).into_par_iter().map(of).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let judged: Vec<&Row> = rows.iter().filter(|row| row.stack.is_some()).collect();
    let all: Vec<&Row> = rows.iter().collect();
    let (correction, zero_shot) = rayon::join(|| correction(&judged), || zero_shot(&all));
    Ok(Shipped { correction, ..zero_shot? })
}

fn correction(rows: &[&Row]) -> super::shipped::Weights {
    let start: Vec<f64> = rows.iter().filter_map(|row| row.stack).collect();
    ridge::fit(&matrix(rows), &correction_columns(), &labels(rows), &start, RIDGE)
}

fn zero_shot(rows: &[&Row]) -> Result<Shipped, TrainError> {
    let (matrix, labels) = (matrix(rows), labels(rows));
    let prior: Vec<f64> = matrix.column(crate::features::PRIOR).iter().map(|&prior| f64::from(prior)).collect();
    let linear = ridge::fit(&matrix, &linear_columns(), &labels, &prior, RIDGE);
    let mut shipped = Shipped { linear, ..Shipped::default() };
    let start = shipped.linear_scores(&matrix);
    let weights = vec![1.0; labels.len()];
    let samples =
        Samples { features: &matrix.data, width: FULL_WIDTH, labels: &labels, weights: &weights, start: &start };
    shipped.trees = lightgbm::fit(samples, None, &parameters(rows.len()))?;
    Ok(shipped)
}

/// Returns the settings of the shipped trees.
fn parameters(rows: usize) -> Parameters {
    Parameters {
        trees: 120,
        leaves: 16,
        learning_rate: 0.08,
        min_rows: (rows / 1_000).max(100),
        l2: 100.0,
        column_share: 0.6,
        bins: 63,
        monotone: monotone().into_iter().chain([0; FULL_WIDTH - WIDTH]).collect(),
        columns: transferable(),
        seed: 1,
        patience: 0,
    }
}

fn matrix(rows: &[&Row]) -> Matrix {
    let data = (0..FULL_WIDTH).flat_map(|column| rows.iter().map(move |row| row.columns[column]));
    Matrix { rows: rows.len(), data: data.collect() }
}

fn labels(rows: &[&Row]) -> Vec<f32> {
    rows.iter().map(|row| f32::from(row.occupied)).collect()
}

/// Returns the rows of one site.
fn rows(lesson: &Lesson, site: u64) -> Result<Vec<Row>, TrainError> {
    let Lesson { readings, calendar, start, history } = lesson;
    let midnight = |day: i64| start + day * 24 * HOUR;
    let end = history + JUDGED_DAYS;
    let truth = Hourly::new(readings, calendar, midnight(end));
    let fitted = Hourly::new(readings, calendar, midnight(*history));
    let models = train(&fitted, &SiteRates::new(&fitted), &|| ())?;
    let begun = |day: i64| midnight(day) + (7 + day * 5 % 13) * HOUR;
    let mut origins = Vec::new();
    for (at, day) in (*history..end - 1).step_by(DAYS_BETWEEN as usize).enumerate() {
        origins.push((midnight(day), true));
        if (at as i64) % BEGUN_EVERY == 0 {
            origins.push((begun(day), true));
        }
    }
    for forecast in 0..EARLIER_FORECASTS {
        let share = f64::from(forecast + 1) / f64::from(EARLIER_FORECASTS + 1);
        let day = (*history as f64).powf(share) as i64;
        origins.push((if i64::from(forecast) % BEGUN_EVERY == 1 { begun(day) } else { midnight(day) }, false));
    }
    let mut out = Vec::new();
    for late in [true, false] {
        let origins: Vec<Timestamp> = origins.iter().filter(|origin| origin.1 == late).map(|origin| origin.0).collect();
        // The share of rows that is kept is known before they are made.
        let share = SITE_ROWS as f64 / (origins.len() * readings.devices.len() * 24).max(1) as f64;
        for origin in origins {
            let hourly = Hourly::new(readings, calendar, origin);
            let site_rates = SiteRates::new(&hourly);
            for device in 0..hourly.devices.len() {
                let name = &hourly.devices[device].device;
                let Some(real) = truth.position(name).map(|at| &truth.devices[at]) else { continue };
                let ForecastRows { now, begun, .. } = Table::new(&hourly, &site_rates, device).forecast()?;
                let layers = models.layers(name);
                let stack = layers.device.scores(layers.site, &now);
                // The mix knows a day that has begun as of its midnight.
                for (row, stack) in stack.into_iter().enumerate().skip(begun) {
                    let hour = hourly.end + row as i32;
                    let dice = hash(hash(site << 40 ^ (device as u64) << 20 ^ hour as u64) ^ origin as u64);
                    let state = real.states[(hour - real.first) as usize];
                    if state.value().is_none() || (dice >> 11) as f64 / (1_u64 << 53) as f64 >= share {
                        continue;
                    }
                    let mut columns = [0.0; FULL_WIDTH];
                    now.row(row, &mut columns);
                    out.push(Row { columns, occupied: state == State::Occupied, stack: late.then_some(stack) });
                }
            }
        }
    }
    Ok(out)
}
