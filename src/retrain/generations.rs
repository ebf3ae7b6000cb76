//! Site layers of several generations in one version, each below the devices that were fitted on top of it.

use super::MOST_OLDER;
use super::report::{Report, Trial};
use crate::model::{DeviceModel, Models};

/// Devices that should stay on site layers older than [`MOST_OLDER`] generations are promoted all the same.
pub(super) fn move_off_the_oldest(champion: &Models, report: &mut Report) {
    for (name, trial) in &mut report.devices {
        let on = champion.devices.get(name).map_or(0, |device| usize::from(device.sits_on));
        if !trial.promoted && on >= MOST_OLDER {
            *trial = Trial { promoted: true, moved: true, ..trial.clone() };
        }
    }
}

/// Fresh models with the champion's layers of the devices that are `kept`, and the site layers these sit on. `same_site` says
/// that the site's layers of both are the same.
pub(super) fn assemble(mut fresh: Models, champion: &Models, same_site: bool, kept: impl Fn(&str) -> bool) -> Models {
    let generations = std::iter::once(&champion.site).chain(&champion.older).enumerate();
    for (at, site) in generations {
        let on = champion.devices.iter().filter(|(name, device)| usize::from(device.sits_on) == at && kept(name));
        let mut on = on.peekable();
        if on.peek().is_none() {
            continue;
        }
        if at > 0 || !same_site {
            fresh.older.push(site.clone());
        }
        let place = fresh.older.len() as u8;
        for (name, device) in on {
            fresh.cutoff = fresh.cutoff.max(champion.learned_until(device));
            fresh.devices.insert(name.clone(), DeviceModel { sits_on: place, ..device.clone() });
        }
    }
    fresh.cutoff = fresh.cutoff.max(fresh.site.cutoff);
    fresh
}
