//! The models in use.

use crate::calendar::{Calendar, Instant};
use crate::model::Models;
use crate::model::registry::{self, Registry, RegistryError};

/// Returns the models in use. Returns `None` where there are none or they must not be used, with the reason.
///
/// # Errors
/// Returns [`RegistryError`] when the registry cannot be read, or has versions of which none is current.
pub fn champion(
    registry: &Registry,
    last_reading: Instant,
    calendar: &Calendar,
) -> Result<(Option<Models>, Option<String>), RegistryError> {
    let loaded = registry.load(None).and_then(|(models, manifest)| {
        registry::present(&manifest.version, models.cutoff, Some(last_reading), calendar)?;
        Ok((models, manifest))
    });
    let why = match loaded {
        Ok((models, manifest)) => match manifest.mismatch(calendar) {
            None => return Ok((Some(models), None)),
            Some(difference) => format!("{}: {difference}", manifest.version),
        },
        Err(RegistryError::Empty { .. }) => return Ok((None, None)),
        Err(error @ (RegistryError::Damaged { .. } | RegistryError::Schema { .. })) => error.to_string(),
        Err(error @ (RegistryError::Features { .. } | RegistryError::Future { .. })) => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::error!(why, "the current models are refused: everything is trained anew");
    Ok((None, Some(why)))
}
