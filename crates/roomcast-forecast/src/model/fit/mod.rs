//! Training: fits the site's layers and each device's on the hourly grid.
//!
//! Every choice that could flatter itself (the strength of the pull toward the prior, the number of trees, the trust in
//! a layer) is made on hours after those the layer was fitted on. The history is cut once; layers are fitted before the
//! cut, judged after it, then fitted again on everything.

mod boosting;
mod device;
mod site;

use polars::prelude::PolarsResult;
use rayon::prelude::*;

pub use self::boosting::TrainError;
use self::device::{Candidate, judge_device, refit_device};
use self::site::{fit_all, fit_early};
use super::rule::OutOfSample;
pub use super::sample::Sample;
use super::{DeviceModel, Models, SiteModel};
use crate::calendar::Hour;
use crate::features::SiteRates;
use crate::hourly::{Hourly, Status};

/// Fewest days of history that anything beyond the prior is fitted on.
pub const MIN_DAYS: Hour = 10;
/// Fewest and most days after the cut.
const JUDGED_DAYS: (Hour, Hour) = (4, 28);

/// Fits every layer on the hours of a grid. `done` is called once per device.
///
/// # Errors
/// [`TrainError`] when LightGBM or Polars fails; too little data is not an error but leaves layers out.
pub fn train(hourly: &Hourly, site_rates: &SiteRates, done: &(dyn Fn() + Sync)) -> Result<Models, TrainError> {
    let plain = || Models { cutoff: hourly.origin, ..Default::default() };
    if !enough(hourly) {
        return Ok(plain());
    }
    let cut = cut(hourly);
    let parts: Vec<Sample> = (0..hourly.devices.len())
        .into_par_iter()
        .map(|device| Sample::for_site(hourly, site_rates, device, cut))
        .filter_map(PolarsResult::transpose)
        .collect::<PolarsResult<_>>()?;
    let Some(sample) = Sample::stack(&parts) else { return Ok(plain()) };
    drop(parts);
    let early = fit_early(&sample)?;
    let judge = |device: usize| {
        let judged = judge_device(hourly, site_rates, device, cut, &early.site);
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
    let fitted = judged.into_par_iter().enumerate().map(|(device, Candidate { model, out_of_sample, trees })| {
        Ok((refit_device(hourly, site_rates, device, cut, &all, model, trees)?, out_of_sample))
    });
    let fitted = fitted.collect::<Result<Vec<_>, TrainError>>()?;
    for (device, (model, out_of_sample)) in hourly.devices.iter().zip(fitted) {
        all.out_of_sample.merge(&out_of_sample);
        models.devices.insert(device.device.clone(), model);
    }
    models.site = all;
    Ok(models)
}

/// Returns the rows of one device that the site's layers are fitted on; `None` without any, or with too short a
/// history.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub fn sample(hourly: &Hourly, site_rates: &SiteRates, device: usize) -> Result<Option<Sample>, TrainError> {
    if !enough(hourly) {
        return Ok(None);
    }
    Ok(Sample::for_site(hourly, site_rates, device, cut(hourly))?)
}

/// Fits the site's layers before the cut and on everything, on the samples of all devices in ascending order of name,
/// as [`train`] does. Returns `None` when there is too little to learn from.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub(crate) fn train_site(parts: &[Sample]) -> Result<Option<(SiteModel, SiteModel)>, TrainError> {
    let Some(sample) = Sample::stack(parts) else { return Ok(None) };
    let early = fit_early(&sample)?;
    let all = fit_all(&sample, &early)?;
    Ok(Some((early.site, all)))
}

/// Fits one device's layer as [`train`] does, and returns it with its forecasts of hours after those it was fitted on.
/// It is chosen and judged on top of the site's layers as fitted before the cut, `early`, then fitted on everything on
/// top of the final ones, `all`.
///
/// # Errors
/// [`TrainError`] as [`train`].
pub(crate) fn fit_device(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    early: &SiteModel,
    all: &SiteModel,
) -> Result<(DeviceModel, OutOfSample), TrainError> {
    let cut = cut(hourly);
    let Candidate { model, out_of_sample, trees } = judge_device(hourly, site_rates, device, cut, early)?;
    Ok((refit_device(hourly, site_rates, device, cut, all, model, trees)?, out_of_sample))
}

/// Returns why a device has no judged model of its own; `None` if it has one.
pub fn skipped(status: Status, model: &DeviceModel) -> Option<&'static str> {
    match status {
        Status::New => Some("first seen less than a week before the end"),
        Status::Silent => Some("silent at the end of the readings"),
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
    days(hourly) >= MIN_DAYS
}
