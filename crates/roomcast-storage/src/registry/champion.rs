//! The models in use, and whether they may be used.

use super::{Registry, RegistryError};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::model::Models;
use roomcast_forecast::model::check::latest;
use roomcast_forecast::rooms::Rooms;

/// Returns the models in use. Returns `None` where there are none or they must not be used, with the reason.
///
/// # Errors
/// Returns [`RegistryError`] when the registry cannot be read, or has versions of which none is current.
pub fn champion(
    registry: &Registry,
    last_reading: Timestamp,
    calendar: &Calendar,
    rooms: &Rooms,
) -> Result<(Option<Models>, Option<String>), RegistryError> {
    let loaded = registry.load(None).and_then(|(models, manifest)| {
        present(&manifest.version, models.cutoff, Some(last_reading), calendar)?;
        Ok((models, manifest))
    });
    let why = match loaded {
        Ok((models, manifest)) => {
            let Some(difference) = manifest.mismatch(calendar).or_else(|| manifest.rooms_mismatch(rooms)) else {
                return Ok((Some(models), None));
            };
            // The site was described anew, which is no fault.
            let why = format!("{}: {difference}", manifest.version);
            tracing::warn!("all models are trained again, because the current ones were {difference}");
            return Ok((None, Some(why)));
        }
        Err(RegistryError::Empty { .. }) => return Ok((None, None)),
        Err(error @ (RegistryError::Damaged { .. } | RegistryError::Schema { .. })) => error.to_string(),
        Err(error @ (RegistryError::Features { .. } | RegistryError::Future { .. })) => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::error!(why, "the current models are unusable: all models are trained again");
    Ok((None, Some(why)))
}

/// Checks that models did not learn from the future: that their cutoff is not after [`latest`].
///
/// # Errors
/// Returns [`RegistryError::Future`] when the cutoff is later.
pub fn present(
    version: &str,
    cutoff: Timestamp,
    last_reading: Option<Timestamp>,
    calendar: &Calendar,
) -> Result<(), RegistryError> {
    if cutoff <= latest(last_reading, calendar) {
        return Ok(());
    }
    let time = |instant| calendar.format(instant);
    Err(RegistryError::Future { version: version.to_owned(), cutoff: time(cutoff), now: time(calendar.now()) })
}
