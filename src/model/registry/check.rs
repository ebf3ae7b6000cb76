//! Whether models may be used at all: every number finite, every tree within its arrays.

use rayon::prelude::*;

use crate::features::WIDTH;
use crate::model::{DeviceModel, Models, SiteModel};

/// Checks the layers of the site and of every device.
///
/// # Errors
/// What is wrong, and with which device.
pub fn models(models: &Models) -> Result<(), String> {
    site(&models.site)?;
    let devices: Vec<_> = models.devices.iter().collect();
    devices.into_par_iter().try_for_each(|(name, model)| device(name, model))
}

/// Checks the layers of the site.
///
/// # Errors
/// What is wrong.
pub fn site(model: &SiteModel) -> Result<(), String> {
    finite(model.linear.coefficients().iter().copied())
        .and_then(|()| finite([model.tree_weight]))
        .and_then(|()| model.trees.check(WIDTH).map_err(|error| error.0))
        .map_err(|what| format!("the site's layers: {what}"))
}

/// Checks the layer of one device.
///
/// # Errors
/// What is wrong, with the device's name.
pub fn device(name: &str, model: &DeviceModel) -> Result<(), String> {
    finite([model.tree_weight])
        .and_then(|()| finite(model.check.iter().flat_map(|c| [c.prior, c.building, c.device])))
        .and_then(|()| model.trees.check(WIDTH).map_err(|error| error.0))
        .map_err(|what| format!("device {name:?}: {what}"))
}

fn finite(numbers: impl IntoIterator<Item = f64>) -> Result<(), String> {
    match numbers.into_iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("{number} is not finite")),
        None => Ok(()),
    }
}
