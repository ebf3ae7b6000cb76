//! The parts of a forecast, each as a forecast of its own, and the forecast without each.

use polars::prelude::PolarsResult;

use super::{DeviceForecast, Sensor, forecast_in_parts, forecast_with};
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::{Layers, Models, mix};

/// Number of parts.
pub const COUNT: usize = 1 + mix::NAMES.len();

/// Names of the parts: the kernel rate, where the stack begins, then the parts of the mix.
pub const NAMES: [&str; COUNT] = {
    let mut names = ["kernel"; COUNT];
    let mut part = 0;
    while part < mix::NAMES.len() {
        names[1 + part] = mix::NAMES[part];
        part += 1;
    }
    names
};

/// The probabilities of one hour from each part, in the order of [`NAMES`]; not a number where there is none.
#[derive(Debug, Clone, Copy)]
pub struct PartChances {
    /// The part alone.
    pub alone: [f32; COUNT],
    /// The mix of all other parts, their weights in proportion; none for a part that is not mixed with others.
    pub without: [f32; COUNT],
}

impl Default for PartChances {
    fn default() -> Self {
        PartChances { alone: [f32::NAN; COUNT], without: [f32::NAN; COUNT] }
    }
}

/// Equal bits: no answer equals no answer.
impl PartialEq for PartChances {
    fn eq(&self, other: &Self) -> bool {
        let bits = |parts: &PartChances| (parts.alone.map(f32::to_bits), parts.without.map(f32::to_bits));
        bits(self) == bits(other)
    }
}

/// Forecasts the device at position `device` of a grid, as [`super::forecast`], and returns the parts of each hour too.
///
/// # Errors
/// [`PolarsError`](polars::error::PolarsError) when the features cannot be built.
pub fn forecast(
    hourly: &Hourly,
    site_rates: &SiteRates,
    device: usize,
    models: &Models,
) -> PolarsResult<(DeviceForecast, Vec<PartChances>)> {
    let layers = models.layers(&hourly.devices[device].device);
    let (forecast, mixed) = forecast_in_parts(hourly, site_rates, device, layers)?;
    let kernel = forecast_with(hourly, site_rates, device, Layers::habit(layers.threshold))?;
    let sensor = Sensor::new(&hourly.devices[device], site_rates);
    let chance = |score: f64| sensor.probability(score) as f32;
    let parts = mixed.iter().zip(&kernel.hours).map(|(mixed, kernel)| {
        let weighted = mixed.weighted();
        let mut chances = PartChances::default();
        chances.alone[0] = kernel.probability as f32;
        for (part, score) in weighted.iter().enumerate() {
            chances.alone[1 + part] = score.map_or(f32::NAN, |(score, _)| chance(score));
            chances.without[1 + part] = without(&weighted, part).map_or(f32::NAN, chance);
        }
        chances
    });
    let parts = parts.collect();
    Ok((forecast, parts))
}

/// Returns the log-odds of the mix without one part; `None` without the part, or where nothing else is left.
fn without(weighted: &[Option<(f64, f64)>], part: usize) -> Option<f64> {
    weighted[part]?;
    let others = || weighted.iter().enumerate().filter(|(at, _)| *at != part).filter_map(|(_, other)| *other);
    let weights: f64 = others().map(|(_, weight)| weight).sum();
    (weights > 0.0).then(|| others().map(|(score, weight)| score * weight).sum::<f64>() / weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_keep_their_proportions() {
        let weighted = [Some((1.0, 0.5)), Some((-2.0, 0.25)), None, Some((4.0, 0.25))];
        assert_eq!([0, 1, 2, 3].map(|part| without(&weighted, part)), [Some(1.0), Some(2.0), None, Some(0.0)]);
        assert_eq!(without(&[Some((1.0, 1.0)), None], 0), None, "nothing else is there");
        assert_eq!(NAMES[..2], ["kernel", mix::NAMES[0]]);
    }
}
