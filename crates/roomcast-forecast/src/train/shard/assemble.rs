//! Assembles a run from the rows of its devices: verified, each device of the site once.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::row::Row;
use super::site::ShardSite;
use crate::calendar::{Calendar, Timestamp};
use crate::model::rule::OutOfSample;
use crate::model::{DeviceModel, Models, SiteModel, check, checksum, codec};
use crate::readings::{self, field};
use crate::train::TrainingInfo;
use crate::train::shard::device;

/// A verified run.
#[derive(Debug, Clone)]
pub struct Run {
    /// SHA-256 over the site and the models: equal results have equal ids.
    pub id: String,
    /// All models.
    pub models: Models,
    /// The calendar that the models were trained with.
    pub calendar: Calendar,
    /// The first and last reading that the models learned from.
    pub span: (Timestamp, Timestamp),
    /// Number of these readings.
    pub readings: usize,
    /// The [`readings::Readings::fingerprint`] of all these readings.
    pub fingerprint: String,
    /// Sum of the times that the devices' fits took.
    pub training: Duration,
    /// Devices without a judged model of their own, with the reason.
    pub skipped: Vec<(String, String)>,
}

impl Run {
    /// Returns the description of the models for the registry.
    pub fn training_info(&self) -> TrainingInfo<'_> {
        TrainingInfo {
            calendar: &self.calendar,
            first_reading: self.span.0,
            last_reading: self.span.1,
            readings: self.readings,
            fingerprint: self.fingerprint.clone(),
            rooms: None,
            training: self.training,
        }
    }
}

/// The checked row of one device.
struct Device {
    model: DeviceModel,
    sha256: String,
    judged: OutOfSample,
    reason: Option<String>,
    hours: i64,
    readings: i64,
    span: (Timestamp, Timestamp),
    fingerprint: [u8; 32],
    seconds: f64,
}

/// A site with its layers and the devices fitted on top of it.
pub struct Assembly {
    site: ShardSite,
    layers: SiteModel,
    site_sha256: String,
    devices: BTreeMap<String, Device>,
}

impl Assembly {
    /// Decodes the site, without devices yet.
    ///
    /// # Errors
    /// A message when the bytes are damaged or made by another version, or the site has no layers.
    pub fn new(bytes: &[u8]) -> Result<Assembly, String> {
        let mut site = ShardSite::decode(bytes).map_err(|error| error.to_string())?;
        let Some((_, layers)) = site.layers.take() else {
            return Err("its site has no layers: too little history".into());
        };
        Ok(Assembly { site, layers, site_sha256: checksum::sha256(bytes), devices: BTreeMap::new() })
    }

    /// Adds a device.
    ///
    /// # Errors
    /// A message that names the device when the row is invalid, or the device is there already.
    pub fn add(&mut self, row: Row) -> Result<(), String> {
        let name = row.device.clone();
        field::name(name.as_bytes()).map_err(|problem| format!("expected {}", problem.expected))?;
        let device = self.device(row).map_err(|what| format!("device {name:?}: {what}"))?;
        if self.devices.contains_key(&name) {
            return Err(format!("device {name:?} occurs twice"));
        }
        self.devices.insert(name, device);
        Ok(())
    }

    fn device(&self, row: Row) -> Result<Device, String> {
        if checksum::sha256(&row.model) != row.sha256 {
            return Err("the model is damaged: the checksum does not match".into());
        }
        if row.site_sha256 != self.site_sha256 {
            return Err("it was fitted on top of another site".into());
        }
        let model = codec::decode_device(&row.device, &row.model)?;
        let until = self.site.until;
        if row.cutoff != until {
            return Err("its cutoff is not the site's".into());
        }
        let (first, last) = (row.first_reading, row.last_reading);
        if last >= until || first > last || row.readings < 1 {
            return Err("its readings are not before its cutoff".into());
        }
        if device::scores(&model) != row.scores {
            return Err("its scores are not those in the model".into());
        }
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(&row.readings_sha256, &mut fingerprint).map_err(|_| "its readings have no checksum")?;
        Ok(Device {
            judged: row.out_of_sample()?,
            fingerprint,
            model,
            sha256: row.sha256,
            reason: row.reason,
            hours: row.hours,
            readings: row.readings,
            span: (first, last),
            seconds: row.fit_seconds,
        })
    }

    /// Returns the run of all devices.
    ///
    /// # Errors
    /// A message when devices of the site or their hours are missing, or the site's end is in the future.
    pub fn finish(self) -> Result<Run, String> {
        let (site, devices) = (&self.site, &self.devices);
        let (here, hours) = (devices.len() as u64, devices.values().map(|d| d.hours).sum::<i64>());
        if (here, hours) != (site.devices, site.hours as i64) {
            let (all, known) = (site.devices, site.hours);
            return Err(format!("{here} devices with {hours} hours of motion, where the site has {all} with {known}"));
        }
        let (Some(first), Some(last)) =
            (devices.values().map(|d| d.span.0).min(), devices.values().map(|d| d.span.1).max())
        else {
            return Err("there are no devices".into());
        };
        let calendar = site.calendar();
        if site.until > check::latest(Some(last), &calendar) {
            return Err(format!(
                "{} is in the future: the readings until then are not known",
                calendar.format(site.until)
            ));
        }
        let mut id = Sha256::new_with_prefix(&self.site_sha256);
        let mut models = Models { site: self.layers, cutoff: site.until, ..Models::default() };
        for (name, device) in devices {
            id.update(format!("{name}\n{}\n", device.sha256));
            models.site.out_of_sample.merge(&device.judged);
        }
        let fingerprints: Vec<[u8; 32]> = devices.values().map(|d| d.fingerprint).collect();
        let skipped = devices.iter().filter_map(|(name, d)| Some((name.clone(), d.reason.clone()?)));
        Ok(Run {
            id: hex::encode(id.finalize()),
            span: (first, last),
            readings: devices.values().map(|d| d.readings as usize).sum(),
            fingerprint: readings::fingerprint(&fingerprints),
            training: Duration::try_from_secs_f64(devices.values().map(|d| d.seconds).sum()).unwrap_or_default(),
            skipped: skipped.collect(),
            models: Models { devices: self.devices.into_iter().map(|(name, d)| (name, d.model)).collect(), ..models },
            calendar,
        })
    }
}
