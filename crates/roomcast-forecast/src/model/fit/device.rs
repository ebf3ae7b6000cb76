//! The layer of one device.

use super::boosting::{TrainError, device_parameters, expert_parameters, grow};
use crate::calendar::Hour;
use crate::features::{Matrix, PRIOR, SiteRates, Table, sigmoid};
use crate::hourly::Hourly;
use crate::model::judge::{Judge, mix};
use crate::model::lightgbm::{self, Parameters};
use crate::model::mix::expert::Expert;
use crate::model::rule::OutOfSample;
use crate::model::sample::{Sample, samples, screening_rows};
use crate::model::{Check, DeviceModel, SiteModel, rows, screening};

/// Fewest rows before the cut with which a device gets trees of its own and an expert.
const MIN_OWN_ROWS: usize = 240;
/// Gain over the site's score, in standard errors, that a device's own trees must show: more than two, because their
/// number and their share were chosen on the same rows.
const OWN_GAIN: f64 = 2.5;
/// Loss against the prior, in standard errors, at which a device leaves the site's layers.
const LEAVE_LOSS: f64 = -2.0;
/// Share of the steps found by screening with which they are judged.
const SCREENING_SHARE: f64 = 0.3;
/// Smallest gain of these steps over the site's score, in standard errors, with which a device's own trees are grown.
/// Of 1,000 simulated rooms 5 in 100 end up with such trees; screening finds nine tenths of them and spares three
/// quarters of the others.
const SCREENING_GAIN: f64 = 1.0;
/// Factor on the best share of a device's own trees, because the best was found on the rows it is judged on.
const OWN_SHARE: f64 = 0.8;

/// A device's layer before its trees are fitted on everything.
pub(super) struct Candidate {
    pub(super) model: DeviceModel,
    /// Its forecasts of the hours after the cut.
    pub(super) out_of_sample: OutOfSample,
    /// Number of trees to grow; `None` without trees of its own.
    pub(super) trees: Option<usize>,
}

/// Fits a device's own trees before the cut, on top of the site's score as fitted there, and judges them after it. Fits
/// its expert on everything: it needs nothing of the site's layers, and no judge.
pub(super) fn judge_device(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    cut: Hour,
    site: &SiteModel,
) -> Result<Candidate, TrainError> {
    let mut model = DeviceModel { follows_site: true, ..Default::default() };
    let mut out_of_sample = OutOfSample::default();
    let mut count = None;
    let rows = rows::rows(hourly, device);
    let before = rows.partition_point(|labelled| labelled.row.hour < cut);
    if before == rows.len() {
        return Ok(Candidate { model, out_of_sample, trees: count });
    }
    let table = Table::new(hourly, site_rates, device);
    let (screened, rest) = screening_rows(hourly, site_rates, device, rows, cut);
    let own = Sample::gather(hourly, &table, &screened, cut)?;
    let judge = Judge::new(&own);
    let prior: Vec<f64> = own.matrix.column(PRIOR)[own.before..].iter().map(|&prior| f64::from(prior)).collect();
    let scores = site.scores(&own.matrix);
    let (start, base) = scores.split_at(own.before);
    let (prior_losses, base_losses) = (judge.losses(&prior), judge.losses(base));
    let (mut best, mut losses) = (base.to_vec(), base_losses.clone());
    if before >= MIN_OWN_ROWS {
        let rest = Sample::gather(hourly, &table, &rest, cut)?;
        let parameters = device_parameters();
        let steps = screening::steps(&own.matrix, own.before, &own.labels[..own.before], start, &parameters.columns);
        if judge.gain(&base_losses, &judge.losses(&mix(base, SCREENING_SHARE, &steps))) >= SCREENING_GAIN {
            let start = [start, &site.scores(&rest.matrix)].concat();
            let (trees, steps) = grow_own(&own, &rest, &start, base, &parameters)?;
            let share = judge.best_share(base, &steps);
            if judge.gain(&base_losses, &judge.losses(&mix(base, share, &steps))) >= OWN_GAIN {
                model.tree_weight = OWN_SHARE * share;
                best = mix(base, model.tree_weight, &steps);
                count = Some(trees);
            }
        }
        losses = judge.losses(&best);
        model.expert = fit_expert(&own, &rest)?;
    }
    let rows = base.len() as u32;
    if judge.gain(&prior_losses, &losses) <= LEAVE_LOSS {
        model = DeviceModel { expert: model.expert, ..Default::default() };
        count = None;
        best.clone_from(&prior);
        losses.clone_from(&prior_losses);
    }
    for (score, label) in best.iter().zip(&own.labels[own.before..]) {
        out_of_sample.add(sigmoid(*score), *label > 0.5);
    }
    let [prior, site, own] = [prior_losses, base_losses, losses].map(|losses| judge.mean(&losses));
    model.check = Some(Check { rows, prior, building: site, device: own });
    Ok(Candidate { model, out_of_sample, trees: count })
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

/// Fits an expert on all rows of a device.
///
/// Every row counts the same: a long memory is what the stack lacks.
fn fit_expert(own: &Sample, rest: &Sample) -> Result<Expert, TrainError> {
    let matrix = Matrix::stack(&[(&own.matrix, 0..own.rows()), (&rest.matrix, 0..rest.rows())]);
    let labels = [&own.labels[..], &rest.labels].concat();
    let occupied = labels.iter().filter(|&&label| label > 0.5).count() as f64;
    let base = (occupied / (labels.len() as f64 - occupied)).ln();
    let (weights, start) = (vec![1.0; labels.len()], vec![base; labels.len()]);
    let trees = grow(lightgbm::fit(samples(&matrix, &labels, &weights, &start), None, &expert_parameters()))?;
    Ok(if trees.is_empty() { Expert::default() } else { Expert { trees, base } })
}

/// Fits a device's own trees, in the chosen number, on everything and on top of the site's final score.
pub(super) fn refit_device(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    cut: Hour,
    site: &SiteModel,
    mut model: DeviceModel,
    trees: Option<usize>,
) -> Result<DeviceModel, TrainError> {
    let Some(trees) = trees else { return Ok(model) };
    let own = Sample::gather(hourly, &Table::new(hourly, site_rates, device), &rows::rows(hourly, device), cut)?;
    let start = site.scores(&own.matrix);
    let parameters = Parameters { trees, ..device_parameters() };
    model.trees = grow(lightgbm::fit(samples(&own.matrix, &own.labels, &own.weights, &start), None, &parameters))?;
    Ok(model)
}
