//! Checks that models are usable: every number is finite, and every tree stays within its arrays.

use rayon::prelude::*;

use crate::calendar::{Calendar, Timestamp};
use crate::features::WIDTH;
use crate::model::{DeviceModel, Models, SiteModel};

/// Checks the layers of the site and of every device, and those of the levels above.
///
/// # Errors
/// Returns a message that names the fault and the device.
pub fn models(models: &Models) -> Result<(), String> {
    site(&models.site)?;
    let devices: Vec<_> = models.devices.iter().collect();
    devices.into_par_iter().try_for_each(|(name, model)| device(name, model))?;
    models.levels.iter().try_for_each(|(level, above)| self::models(above).map_err(|what| format!("{level}s: {what}")))
}

/// Returns the latest cutoff that models can have: the present plus a tolerance. The end of the hour of the last
/// reading replaces the present if it is later, as for a building that is simulated ahead of the clock.
pub fn latest(last_reading: Option<Timestamp>, calendar: &Calendar) -> Timestamp {
    let tolerance = calendar.latest() - calendar.now();
    let data = last_reading.map_or(0, |last| calendar.start(calendar.hour(last) + 1));
    calendar.latest().max(data.saturating_add(tolerance))
}

/// Checks the layers of the site.
///
/// # Errors
/// Returns a message that names the fault.
pub fn site(model: &SiteModel) -> Result<(), String> {
    finite(model.linear.coefficients().iter().copied())
        .and_then(|()| finite([model.tree_weight]))
        .and_then(|()| model.trees.check(WIDTH).map_err(|error| error.0))
        .map_err(|what| format!("the site's layers: {what}"))
}

/// Checks the layer of one device.
///
/// # Errors
/// Returns a message that names the fault and the device.
pub fn device(name: &str, model: &DeviceModel) -> Result<(), String> {
    finite([model.tree_weight, model.expert.base])
        .and_then(|()| finite(model.check.iter().flat_map(|c| [c.prior, c.building, c.device])))
        .and_then(|()| {
            [&model.trees, &model.expert.trees].iter().try_for_each(|trees| trees.check(WIDTH)).map_err(|error| error.0)
        })
        .map_err(|what| format!("device {name:?}: {what}"))
}

fn finite(numbers: impl IntoIterator<Item = f64>) -> Result<(), String> {
    match numbers.into_iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("{number} is not finite")),
        None => Ok(()),
    }
}
