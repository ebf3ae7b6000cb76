//! Training: fits the site's layers and each device's on the hourly grid.
//!
//! Every choice that could flatter itself (the strength of the pull toward the prior, the number of trees, the trust in
//! a layer) is made on hours after those the layer was fitted on. The history is cut once; layers are fitted before the
//! cut, judged after it, then fitted again on everything.

use polars::prelude::PolarsResult;
use rayon::prelude::*;

use super::judge::{Judge, mix};
use super::lightgbm::{self, FitError, Parameters};
use super::linear::{Fitting, Linear};
use super::rule::OutOfSample;
pub use super::sample::Sample;
use super::sample::{first_look, samples};
use super::screen;
use super::trees::Trees;
use super::{Check, DeviceModel, Models, SiteModel, rows};
use crate::calendar::{Hour, Timestamp};
use crate::features::{Matrix, SiteRates, Table, columns, monotone, sigmoid};
use crate::hourly::{Hourly, Status};

/// Fewest days of history that anything beyond the prior is fitted on.
pub const FEWEST_DAYS: Hour = 10;
/// Fewest and most days after the cut.
const JUDGED_DAYS: (Hour, Hour) = (4, 28);
/// Strengths of the linear layer's pull toward the prior to choose from, in rows of evidence.
const RIDGES: [f64; 6] = [30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];
/// Largest number of rows with which the site's trees are a mean of [`BAGS`] boosters, each on other days: a single
/// booster follows the accidents of few days.
const FEW_ROWS: usize = 30_000;
/// Number of boosters of a small site.
const BAGS: u64 = 10;
/// Share of the days, in per cent, that each booster sees.
const BAG_SHARE: u64 = 75;
/// Fewest rows before the cut with which a device gets trees of its own.
const FEWEST_OWN_ROWS: usize = 240;
/// Gain over the site's score, in standard errors, that a device's own trees must show: more than two, because their
/// number and their share were chosen on the same rows.
const OWN_GAIN: f64 = 2.5;
/// Loss against the prior, in standard errors, at which a device leaves the site's layers.
const LEAVE_LOSS: f64 = -2.0;
/// Columns that a device's own trees may use: its habits and its last hours. The site's layers learn from all devices
/// what the building does, and how far one hour's rate predicts another's.
const OWN_COLUMNS: [&str; 20] = [
    "prior",
    "weekday_shift",
    "recent_shift",
    "last_day_pull",
    "lag_7d_pull",
    "device_level",
    "hour_before",
    "hour_after",
    "lag_1d",
    "lag_7d",
    "hour",
    "weekday",
    "off",
    "share_day",
    "last_hour",
    "state_pull",
    "today_pull",
    "motion_pull",
    "lead",
    "since_motion",
];
/// Share of the first look's steps, and their smallest gain over the site's score in standard errors with which a
/// device's own trees are grown. Of 1,000 simulated rooms 5 in 100 end up with such trees; the look finds nine tenths
/// of them and spares three quarters of the others.
const FIRST_LOOK: (f64, f64) = (0.3, 1.0);
/// Factor on the best share of a device's own trees, because the best was found on the rows it is judged on.
const OWN_SHARE: f64 = 0.8;

/// Reason why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// LightGBM cannot fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The design matrix cannot be built.
    #[error("cannot build the features: {0}")]
    Features(#[from] polars::error::PolarsError),
}

/// Returns the settings of boosting over all devices. The fewer the rows, the slower the learning.
fn site_parameters(rows: usize) -> Parameters {
    let (trees, learning_rate) = if rows > FEW_ROWS { (72, 0.1) } else { (120, 0.06) };
    Parameters {
        trees,
        leaves: 16,
        learning_rate,
        min_rows: (rows / 150).clamp(30, 200),
        l2: 100.0,
        column_share: 0.6,
        bins: 63,
        seed: 1,
        monotone: monotone().to_vec(),
        columns: Vec::new(),
        patience: 20,
    }
}

/// Returns the settings of boosting a device's own layer, on the columns in which rooms differ from each other.
fn device_parameters() -> Parameters {
    let own = columns().into_iter().enumerate().filter(|(_, name)| OWN_COLUMNS.contains(name)).map(|(at, _)| at);
    Parameters {
        trees: 60,
        leaves: 6,
        min_rows: 40,
        l2: 20.0,
        column_share: 1.0,
        columns: own.collect(),
        patience: 8,
        ..site_parameters(0)
    }
}

/// Fits every layer on the hours of a grid. `done` is called once per device.
///
/// # Errors
/// [`TrainError`] when LightGBM or Polars fails; too little data is no error but leaves layers out.
pub fn train(hourly: &Hourly, building: &SiteRates, done: &(dyn Fn() + Sync)) -> Result<Models, TrainError> {
    let plain = || Models { cutoff: hourly.origin, ..Default::default() };
    if !enough(hourly) {
        return Ok(plain());
    }
    let cut = cut(hourly);
    let parts: Vec<Sample> = (0..hourly.devices.len())
        .into_par_iter()
        .map(|device| Sample::for_site(hourly, building, device, cut))
        .filter_map(PolarsResult::transpose)
        .collect::<PolarsResult<_>>()?;
    let Some(sample) = Sample::stack(&parts) else { return Ok(plain()) };
    drop(parts);
    let early = fit_early(&sample)?;
    let judge = |device: usize| {
        let judged = judge_device(hourly, building, device, cut, &early.site);
        done();
        judged
    };
    // The site's second fit is one long task. Judging the devices on the first keeps the other processors busy.
    let (all, judged) = rayon::join(
        || fit_all(&sample, &early),
        || (0..hourly.devices.len()).into_par_iter().map(judge).collect::<Result<Vec<_>, TrainError>>(),
    );
    let (mut all, judged) = (all?, judged?);
    drop(sample);
    let mut models = plain();
    let fitted = judged.into_par_iter().enumerate().map(|(device, Judged { model, seen, trees })| {
        Ok((refit_device(hourly, building, device, cut, &all, model, trees)?, seen))
    });
    let fitted = fitted.collect::<Result<Vec<_>, TrainError>>()?;
    for (device, (model, seen)) in hourly.devices.iter().zip(fitted) {
        all.out_of_sample.merge(&seen);
        models.devices.insert(device.device.clone(), model);
    }
    models.site = SiteModel { cutoff: hourly.origin, ..all };
    Ok(models)
}

/// Fits layers of these devices (positions in the grid, in their order) on top of site layers that stay as they are.
///
/// The site layers may have seen some of the hours that the devices' layers are judged on, and so look a little better
/// there. A device's own trees are then kept more rarely, never too easily.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub fn train_devices(
    hourly: &Hourly,
    building: &SiteRates,
    site: &SiteModel,
    devices: &[usize],
    done: &(dyn Fn() + Sync),
) -> Result<Vec<DeviceModel>, TrainError> {
    let fit = |&device: &usize| {
        let fitted = fit_device(hourly, building, device, site, site)?.0;
        done();
        Ok(fitted)
    };
    devices.par_iter().map(fit).collect()
}

/// Returns the rows of one device that the site's layers are fitted on; `None` without any, or with too short a
/// history.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub fn sample(hourly: &Hourly, building: &SiteRates, device: usize) -> Result<Option<Sample>, TrainError> {
    if !enough(hourly) {
        return Ok(None);
    }
    Ok(Sample::for_site(hourly, building, device, cut(hourly))?)
}

/// Fits the site's layers before the cut and on everything, on the samples of all devices in ascending order of name,
/// as [`train`] does. Returns `None` when there is too little to learn from.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub fn train_site(parts: &[Sample], until: Timestamp) -> Result<Option<(SiteModel, SiteModel)>, TrainError> {
    let Some(sample) = Sample::stack(parts) else { return Ok(None) };
    let early = fit_early(&sample)?;
    let all = fit_all(&sample, &early)?;
    Ok(Some((early.site, SiteModel { cutoff: until, ..all })))
}

/// Fits one device's layer as [`train`] does, and returns it with its forecasts of hours after those it was fitted on.
/// It is chosen and judged on top of the site's layers as fitted before the cut, `early`, then fitted on everything on
/// top of the final ones, `all`.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub fn fit_device(
    hourly: &Hourly,
    building: &SiteRates,
    device: usize,
    early: &SiteModel,
    all: &SiteModel,
) -> Result<(DeviceModel, OutOfSample), TrainError> {
    let cut = cut(hourly);
    let Judged { model, seen, trees } = judge_device(hourly, building, device, cut, early)?;
    Ok((refit_device(hourly, building, device, cut, all, model, trees)?, seen))
}

/// Returns why a device has no judged model of its own; `None` if it has one.
pub fn skipped(status: Status, model: &DeviceModel) -> Option<&'static str> {
    match status {
        Status::New => Some("first seen less than a week before the end"),
        Status::Silent => Some("silent at the end: nothing was promised from it"),
        Status::Live if model.check.is_none() => Some("too few hours to judge a model on"),
        Status::Live => None,
    }
}

/// Returns the hour at which the history is cut for judging.
fn cut(hourly: &Hourly) -> Hour {
    hourly.end - 24 * (days(hourly) / 3).clamp(JUDGED_DAYS.0, JUDGED_DAYS.1)
}

fn days(hourly: &Hourly) -> Hour {
    (hourly.end - hourly.first) / 24
}

/// Returns whether a history is long enough to fit anything beyond the prior.
pub fn enough(hourly: &Hourly) -> bool {
    days(hourly) >= FEWEST_DAYS
}

/// The site's layers as fitted before the cut, and the choices for the fit on everything.
struct Early {
    site: SiteModel,
    ridge: f64,
    /// Number of trees of each bag.
    trees: Vec<usize>,
}

fn fit_early(sample: &Sample) -> Result<Early, TrainError> {
    let (before, after) = sample.halves();
    let judge = Judge::new(sample);
    let rows = Fitting::new(&before, &sample.labels, &sample.weights);
    let fits = RIDGES.par_iter().map(|&ridge| {
        let linear = rows.fit(ridge);
        let start = linear.scores(&after);
        (judge.loss(&start), ridge, linear, start)
    });
    let fits: Vec<_> = fits.collect();
    let Some((_, ridge, linear, start)) = fits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)) else {
        return Ok(Early { site: SiteModel::default(), ridge: RIDGES[0], trees: Vec::new() });
    };
    let bags = bags(sample, &before, &linear, |bag, weights, first| {
        let train = samples(&before, &sample.labels[..before.rows], weights, first);
        let after = samples(&after, &sample.labels[before.rows..], &sample.weights[before.rows..], &start);
        let parameters = Parameters { seed: bag, ..site_parameters(before.rows) };
        grow(lightgbm::fit(train, Some(after), &parameters))
    })?;
    let trees = Trees::mean(&bags);
    let tree_weight = judge.best_share(&start, &trees.scores(&after.data, after.rows));
    let site = SiteModel { linear, trees, tree_weight, ..Default::default() };
    Ok(Early { site, ridge, trees: bags.iter().map(Trees::len).collect() })
}

/// Fits the site's layers on everything, with the chosen ridge and numbers of trees.
fn fit_all(sample: &Sample, early: &Early) -> Result<SiteModel, TrainError> {
    let matrix = &sample.matrix;
    let linear = Fitting::new(matrix, &sample.labels, &sample.weights).fit(early.ridge);
    let mut all = SiteModel { linear, tree_weight: early.site.tree_weight, ..Default::default() };
    if all.tree_weight > 0.0 {
        let grown = bags(sample, matrix, &linear, |bag, weights, first| {
            let parameters = Parameters { seed: bag, trees: early.trees[bag], ..site_parameters(matrix.rows) };
            if parameters.trees == 0 {
                return Ok(Trees::default());
            }
            grow(lightgbm::fit(samples(matrix, &sample.labels, weights, first), None, &parameters))
        })?;
        all.trees = Trees::mean(&grown);
    }
    Ok(all)
}

/// Fits one booster per bag. `fit` gets the bag's number, the weights of the rows of `matrix` (the sample's first), 0
/// on days it does not see, and the linear scores to start from.
fn bags(
    sample: &Sample,
    matrix: &Matrix,
    linear: &Linear,
    fit: impl Fn(usize, &[f32], &[f64]) -> Result<Trees, TrainError> + Sync,
) -> Result<Vec<Trees>, TrainError> {
    let first = linear.scores(matrix);
    // The number of bags depends on the whole sample, so that both fits have the same.
    let count = if sample.matrix.rows <= FEW_ROWS { BAGS } else { 1 };
    let sees = |bag: u64, day: i32| count == 1 || rows::hash(rows::hash(day as u64) ^ bag) % 100 < BAG_SHARE;
    (0..count)
        .into_par_iter()
        .map(|bag| {
            let weights = sample.weights[..matrix.rows].iter().zip(&sample.days);
            let weights: Vec<f32> = weights.map(|(&w, &day)| if sees(bag, day) { w } else { 0.0 }).collect();
            fit(bag as usize, &weights, &first)
        })
        .collect()
}

/// Returns no trees for data that LightGBM cannot learn from (a single class).
fn grow(fitted: Result<Trees, FitError>) -> Result<Trees, TrainError> {
    match fitted {
        Err(FitError::Data(_)) => Ok(Trees::default()),
        other => Ok(other?),
    }
}

/// A device's layer before its trees are fitted on everything.
struct Judged {
    model: DeviceModel,
    seen: OutOfSample,
    /// Number of trees to grow; `None` without trees of its own.
    trees: Option<usize>,
}

/// Fits a device's own trees before the cut, on top of the site's score as fitted there, and judges them after it.
fn judge_device(
    hourly: &Hourly,
    building: &SiteRates,
    device: usize,
    cut: Hour,
    site: &SiteModel,
) -> Result<Judged, TrainError> {
    let mut model = DeviceModel { follows_site: true, cutoff: hourly.origin, ..Default::default() };
    let mut seen = OutOfSample::default();
    let mut count = None;
    let rows = rows::rows(hourly, device);
    let before = rows.partition_point(|labelled| labelled.row.hour < cut);
    if before == rows.len() {
        return Ok(Judged { model, seen, trees: count });
    }
    let table = Table::new(hourly, building, device);
    let (look, rest) = first_look(hourly, building, device, rows, cut);
    let own = Sample::gather(hourly, &table, &look, cut)?;
    let judge = Judge::new(&own);
    let prior: Vec<f64> = own.matrix.column(0)[own.before..].iter().map(|&prior| f64::from(prior)).collect();
    let scores = site.scores(&own.matrix);
    let (start, base) = scores.split_at(own.before);
    let (prior_losses, base_losses) = (judge.losses(&prior), judge.losses(base));
    let (mut best, mut losses) = (base.to_vec(), base_losses.clone());
    if before >= FEWEST_OWN_ROWS {
        let parameters = device_parameters();
        let looked = screen::steps(&own.matrix, own.before, &own.labels[..own.before], start, &parameters.columns);
        if judge.gain(&base_losses, &judge.losses(&mix(base, FIRST_LOOK.0, &looked))) >= FIRST_LOOK.1 {
            let rest = Sample::gather(hourly, &table, &rest, cut)?;
            let start = [start, &site.scores(&rest.matrix)].concat();
            let (trees, steps) = grow_own(&own, &rest, &start, base, &parameters)?;
            let share = judge.best_share(base, &steps);
            if judge.gain(&base_losses, &judge.losses(&mix(base, share, &steps))) >= OWN_GAIN {
                model.tree_weight = OWN_SHARE * share;
                best = mix(base, model.tree_weight, &steps);
                losses = judge.losses(&best);
                count = Some(trees);
            }
        }
    }
    let rows = base.len() as u32;
    if judge.gain(&prior_losses, &losses) <= LEAVE_LOSS {
        model = DeviceModel { cutoff: hourly.origin, ..Default::default() };
        count = None;
        best.clone_from(&prior);
        losses.clone_from(&prior_losses);
    }
    for (score, label) in best.iter().zip(&own.labels[own.before..]) {
        seen.add(sigmoid(*score), *label > 0.5);
    }
    let [prior, building, device] = [prior_losses, base_losses, losses].map(|losses| judge.mean(&losses));
    model.check = Some(Check { rows, prior, building, device });
    Ok(Judged { model, seen, trees: count })
}

/// Grows a device's own trees before the cut, stopped early by the rows after it; returns their number and their steps
/// on these rows. The `rest` are more rows before the cut; `start` and `base` are the site's scores before and after
/// it.
fn grow_own(
    own: &Sample,
    rest: &Sample,
    start: &[f64],
    base: &[f64],
    parameters: &Parameters,
) -> Result<(usize, Vec<f64>), TrainError> {
    let cut = own.before;
    let before = Matrix::stack(&[(&own.matrix, 0..cut), (&rest.matrix, 0..rest.rows())]);
    let after = own.matrix.tail(cut);
    let labels = [&own.labels[..cut], &rest.labels].concat();
    let weights = [&own.weights[..cut], &rest.weights].concat();
    let train = samples(&before, &labels, &weights, start);
    let held_out = samples(&after, &own.labels[cut..], &own.weights[cut..], base);
    let trees = grow(lightgbm::fit(train, Some(held_out), parameters))?;
    Ok((trees.len(), trees.scores(&after.data, after.rows)))
}

/// Fits a device's own trees, in the chosen number, on everything and on top of the site's final score.
fn refit_device(
    hourly: &Hourly,
    building: &SiteRates,
    device: usize,
    cut: Hour,
    site: &SiteModel,
    mut model: DeviceModel,
    trees: Option<usize>,
) -> Result<DeviceModel, TrainError> {
    let Some(trees) = trees else { return Ok(model) };
    let own = Sample::gather(hourly, &Table::new(hourly, building, device), &rows::rows(hourly, device), cut)?;
    let start = site.scores(&own.matrix);
    let parameters = Parameters { trees, ..device_parameters() };
    model.trees = grow(lightgbm::fit(samples(&own.matrix, &own.labels, &own.weights, &start), None, &parameters))?;
    Ok(model)
}
