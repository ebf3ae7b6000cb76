//! Models in use: whole, or of a registry that is far away, from which a device's layer is fetched when it is asked for.

use std::sync::Arc;

use super::metrics::Metrics;
use super::problem::{Code, Problem};
use super::snapshot::AHEAD;
use crate::calendar::Calendar;
use crate::model::registry::{Manifest, Shelf, Taken};
use crate::model::{Check, DeviceModel, Layers, Models, Source};
use crate::readings::Readings;

/// The version of models that have learned nothing.
pub const BASELINE: &str = "baseline";

/// Devices whose layers are fetched, and in use, at a time.
const AT_ONCE: usize = 256;

/// Models in use.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The models; without those of devices that are on a shelf.
    pub models: Models,
    /// The registry's name for them, or `baseline` or `unsaved`.
    pub version: String,
    /// What the registry says of them, if they come from there.
    pub manifest: Option<Manifest>,
    /// Where the devices' layers are, if not in the models.
    pub shelf: Option<Shelf>,
}

/// Models of which the layers of some devices are at hand.
pub struct AtHand<'a> {
    models: &'a Models,
    taken: Option<Taken>,
}

impl AtHand<'_> {
    /// What the forecast of one of these devices is made of.
    ///
    /// # Errors
    /// [`Code::ModelsUnavailable`] where its layer is damaged: nothing is forecast from other layers than the device's own.
    pub fn layers(&self, device: &str) -> Result<Layers<'_>, Problem> {
        let Some(taken) = &self.taken else { return Ok(self.models.layers(device)) };
        match taken.damaged.get(device) {
            Some(error) => Err(Problem::registry(Code::ModelsUnavailable, error)),
            None => Ok(self.models.layers_with(taken.devices.get(device).map(|model| &**model))),
        }
    }

    /// Whether a device's layer is damaged.
    pub fn is_damaged(&self, device: &str) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.damaged.contains_key(device))
    }
}

impl Loaded {
    /// The baseline for all devices with readings: nothing is learned.
    pub fn baseline(readings: &Readings, calendar: &Calendar) -> Loaded {
        let cutoff =
            readings.lived(calendar.now() + AHEAD).map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
        Loaded {
            models: Models::habit(readings.devices.iter().map(|device| device.device.clone()), cutoff),
            version: BASELINE.into(),
            ..Loaded::default()
        }
    }

    /// Whether nothing was learned yet.
    pub fn is_baseline(&self) -> bool {
        self.version == BASELINE
    }

    /// These models for readings that have grown: the baseline is that of new devices too.
    pub fn grown(self: &Arc<Self>, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        if !self.is_baseline() || self.models.devices.len() == readings.devices.len() {
            return self.clone();
        }
        let mut baseline = Loaded::baseline(readings, calendar);
        baseline.models.cutoff = self.models.cutoff;
        Arc::new(baseline)
    }

    /// What forecasts of a device come from.
    pub fn source(&self, device: &str) -> Source {
        match &self.shelf {
            None => self.models.devices.get(device).map_or(Source::Building, DeviceModel::source),
            Some(shelf) => shelf.known(device).map_or(Source::Building, |known| known.source),
        }
    }

    /// The scores of a device on hours after those it was fitted on.
    pub fn check(&self, device: &str) -> Option<Check> {
        match &self.shelf {
            None => self.models.devices.get(device)?.check,
            Some(shelf) => shelf.known(device)?.check,
        }
    }

    /// How many devices to have at hand at a time.
    pub fn at_once(&self) -> usize {
        if self.shelf.is_some() { AT_ONCE } else { usize::MAX }
    }

    /// Has the layers of these devices at hand. Call it off the async threads.
    ///
    /// # Errors
    /// [`Code::ModelsUnavailable`] when they are on a shelf that is away.
    pub fn at_hand<'a>(
        &self,
        devices: impl Iterator<Item = &'a str>,
        metrics: &Metrics,
    ) -> Result<AtHand<'_>, Problem> {
        let models = &self.models;
        let Some(shelf) = &self.shelf else { return Ok(AtHand { models, taken: None }) };
        let taken = shelf.take(devices).map_err(|error| {
            metrics.model_fetch_failures.add(1);
            Problem::registry(Code::ModelsUnavailable, &error)
        })?;
        metrics.model_fetches.add(taken.fetched);
        metrics.model_hits.add(taken.devices.len() as u64 - taken.fetched);
        metrics.model_fetch_failures.add(taken.damaged.len() as u64);
        Ok(AtHand { models, taken: Some(taken) })
    }

    /// Fetches the first of these devices' layers, if they are on a shelf: what has to wait for a registry that does not answer
    /// should do so here, and not where others wait for it. Afterwards the registry is known to be away.
    pub fn reach<'a>(&self, devices: impl Iterator<Item = &'a str>, metrics: &Metrics) {
        if self.shelf.is_some() {
            let _ = self.at_hand(devices.take(AT_ONCE), metrics);
        }
    }
}
