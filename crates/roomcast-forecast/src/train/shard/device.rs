//! The steps as functions on values: samples and models of some devices on the grid of the whole site.

use std::time::Instant;

use rayon::prelude::*;

use super::ShardError;
use super::row::{Row, Scores, pack};
use super::site::ShardSite;
use crate::calendar::{Calendar, Timestamp};
use crate::features::SiteRates;
use crate::hourly::Hourly;
use crate::model::fit::{self, Sample};
use crate::model::{DeviceModel, SiteModel, check, checksum, codec};
use crate::readings::{DeviceReadings, Readings};

/// Makes the site, without layers, from readings; of devices that never say `off` only the hours matter. No reading may
/// be at or after `until`; without it the hour of the last reading is the last that is learned from.
///
/// # Errors
/// [`ShardError::Site`] without readings, and for an `until` in the future.
pub(crate) fn build_site(
    readings: &Readings,
    calendar: &Calendar,
    until: Option<Timestamp>,
) -> Result<ShardSite, ShardError> {
    let Some((_, last)) = readings.active_period(calendar.latest()) else {
        return Err(ShardError::Site("there are no readings to train on".into()));
    };
    let until = until.unwrap_or(calendar.start(calendar.hour(last) + 1));
    if until > check::latest(Some(last), calendar) {
        let until = calendar.format(until);
        return Err(ShardError::Site(format!("{until} is in the future: the readings until then are not known")));
    }
    Ok(ShardSite::new(readings, calendar, until))
}

/// A site with its calendar and totals, prepared for work on some of its devices at a time.
#[derive(Debug)]
pub struct SiteContext {
    site: ShardSite,
    calendar: Calendar,
    site_rates: SiteRates,
}

impl SiteContext {
    /// Prepares a site.
    pub fn new(site: ShardSite) -> SiteContext {
        let (calendar, site_rates) = (site.calendar(), site.site_rates());
        SiteContext { site, calendar, site_rates }
    }

    /// Returns the site.
    pub fn site(&self) -> &ShardSite {
        &self.site
    }

    /// Returns the site's calendar.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Returns the instant at which the site's grid begins; no reading may be at or after the site's `until`.
    pub fn beginning(&self) -> Timestamp {
        self.calendar.start(self.site.days.first_hour)
    }

    /// Returns, for some devices in ascending order of name, the rows that the site's layers are fitted on, with the
    /// devices' names. Devices without any are left out.
    ///
    /// # Errors
    /// [`ShardError::Train`] when the features cannot be built.
    pub fn samples(&self, devices: Vec<DeviceReadings>) -> Result<Vec<(String, Sample)>, ShardError> {
        let hourly = self.site.grid_with(&Readings { devices }, &self.calendar);
        let of = |device: usize| -> Result<Option<(String, Sample)>, ShardError> {
            let sample = fit::sample(&hourly, &self.site_rates, device)?;
            Ok(sample.map(|sample| (hourly.devices[device].device.clone(), sample)))
        };
        (0..hourly.devices.len()).into_par_iter().filter_map(|device| of(device).transpose()).collect()
    }
}

/// A site with its layers, prepared for fitting some of its devices at a time.
#[derive(Debug)]
pub struct DeviceFitter {
    context: SiteContext,
    early: SiteModel,
    all: SiteModel,
    site_sha256: String,
}

impl DeviceFitter {
    /// Prepares a site; its bytes have this SHA-256.
    ///
    /// # Errors
    /// [`ShardError::Site`] for a site without layers.
    pub fn new(mut site: ShardSite, site_sha256: String) -> Result<DeviceFitter, ShardError> {
        let Some((early, all)) = site.layers.take() else {
            return Err(ShardError::Site("it has no layers: there was too little history to learn from".into()));
        };
        Ok(DeviceFitter { context: SiteContext::new(site), early, all, site_sha256 })
    }

    /// Returns the site without its layers.
    pub fn context(&self) -> &SiteContext {
        &self.context
    }

    /// Fits devices, in ascending order of name, whose readings all lie on the site's grid.
    ///
    /// # Errors
    /// [`ShardError`] when one of them cannot be fitted.
    pub fn fit(&self, devices: Vec<DeviceReadings>) -> Result<Vec<Row>, ShardError> {
        let readings = Readings { devices };
        let hourly = self.context.site.grid_with(&readings, &self.context.calendar);
        let fitted = readings.devices.par_iter().enumerate();
        fitted.map(|(at, device)| self.fit_one(&hourly, at, device)).collect()
    }

    fn fit_one(&self, hourly: &Hourly, at: usize, device: &DeviceReadings) -> Result<Row, ShardError> {
        let watch = Instant::now();
        let (model, out_of_sample) = fit::fit_device(hourly, &self.context.site_rates, at, &self.early, &self.all)?;
        let bytes = codec::encode_device(&model).map_err(ShardError::Site)?;
        Ok(Row {
            device: device.device.clone(),
            sha256: checksum::sha256(&bytes),
            model: bytes,
            site_sha256: self.site_sha256.clone(),
            scores: scores(&model),
            judged: pack(&out_of_sample)?,
            reason: fit::skipped(hourly.devices[at].status, &model).map(String::from),
            cutoff: self.context.site.until,
            hours: hourly.devices[at].hours_with_motion(&self.context.calendar) as i64,
            readings: device.times.len() as i64,
            first_reading: device.times.first().unwrap_or_default(),
            last_reading: device.last().unwrap_or_default(),
            readings_sha256: hex::encode(device.fingerprint()),
            fit_seconds: watch.elapsed().as_secs_f64(),
        })
    }
}

/// Returns the scores in a model.
pub(super) fn scores(model: &DeviceModel) -> Option<Scores> {
    model.check.map(|check| (i64::from(check.rows), check.prior, check.building, check.device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::HOUR;

    #[test]
    fn a_row_of_a_clock_never_set_changes_no_other_hour() {
        let calendar = Calendar::default();
        // Four rooms, each used at its own hours of the weekdays.
        let midnight = calendar.parse("2024-02-05 00:00:00").unwrap();
        let times = |room: i64| -> Vec<_> {
            let hours =
                (0..31 * 24).filter(|hour| hour / 24 % 7 < 5 && (8 + room..12 + 2 * room).contains(&(hour % 24)));
            hours.map(|hour| midnight + hour * HOUR + 60 * room).collect()
        };
        let device = |room| DeviceReadings {
            device: format!("room {room}"),
            times: times(room).into(),
            ..DeviceReadings::default()
        };
        let clean = Readings { devices: (0..4).map(device).collect() };
        let damaged = clean.clone().merged(Readings {
            devices: vec![DeviceReadings {
                device: clean.devices[1].device.clone(),
                times: vec![366 * 24 * HOUR].into(),
                ..DeviceReadings::default()
            }],
        });
        let until = calendar.parse("2024-03-06 00:00:00").unwrap();
        let grid = |readings: &Readings| {
            let context = SiteContext::new(build_site(&readings.before(until), &calendar, Some(until)).unwrap());
            format!("{:?}", context.site.grid_with(readings, &calendar).devices)
        };
        assert_eq!(grid(&clean), grid(&damaged));
    }
}
