//! The layers that all devices share.

use rayon::prelude::*;

use super::boosting::{MAX_BAGGED_ROWS, TrainError, grow, site_parameters};
use crate::features::Matrix;
use crate::model::SiteModel;
use crate::model::judge::Judge;
use crate::model::lightgbm::{self, Parameters};
use crate::model::linear::{Linear, LinearFitter};
use crate::model::rows;
use crate::model::sample::{Sample, samples};
use crate::model::trees::Trees;

/// Strengths of the linear layer's pull toward the prior to choose from, in rows of evidence.
const RIDGES: [f64; 6] = [30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0];
/// Number of boosters of a small site.
const BAGS: u64 = 10;
/// Share of the days, in per cent, that each booster is fitted on.
const BAG_PERCENT: u64 = 75;

/// The site's layers as fitted before the cut, and the choices for the fit on everything.
pub(super) struct Early {
    pub(super) site: SiteModel,
    ridge: f64,
    /// Number of trees of each bag.
    trees: Vec<usize>,
}

/// Fits the site's layers before the cut, and chooses the ridge and the numbers of trees on the rows after it.
pub(super) fn fit_early(sample: &Sample) -> Result<Early, TrainError> {
    let (before, after) = sample.halves();
    let judge = Judge::new(sample);
    let rows = LinearFitter::new(&before, &sample.labels, &sample.weights);
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
pub(super) fn fit_all(sample: &Sample, early: &Early) -> Result<SiteModel, TrainError> {
    let matrix = &sample.matrix;
    let linear = LinearFitter::new(matrix, &sample.labels, &sample.weights).fit(early.ridge);
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
    let count = if sample.matrix.rows <= MAX_BAGGED_ROWS { BAGS } else { 1 };
    let sees = |bag: u64, day: i32| count == 1 || rows::hash(rows::hash(day as u64) ^ bag) % 100 < BAG_PERCENT;
    (0..count)
        .into_par_iter()
        .map(|bag| {
            let weights = sample.weights[..matrix.rows].iter().zip(&sample.days);
            let weights: Vec<f32> = weights.map(|(&w, &day)| if sees(bag, day) { w } else { 0.0 }).collect();
            fit(bag as usize, &weights, &first)
        })
        .collect()
}
