//! Models in use, and their origin.

use std::sync::Arc;

use super::snapshot::AHEAD;
use crate::calendar::{Calendar, Instant};
use crate::model::Models;
use crate::model::registry::{Manifest, Registry, RegistryError};
use crate::model::rule::Rule;
use crate::readings::Readings;

/// The version of models that have learned nothing.
pub const BASELINE: &str = "baseline";

/// Models in use.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The models.
    pub models: Models,
    /// The registry's name for them, or `baseline` or `unsaved`.
    pub version: String,
    /// Their manifest, if they come from the registry.
    pub manifest: Option<Manifest>,
}

impl Loaded {
    /// Returns the baseline for all devices with readings: nothing is learned.
    pub fn baseline(readings: &Readings, calendar: &Calendar) -> Loaded {
        let cutoff =
            readings.lived(calendar.now() + AHEAD).map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
        Loaded {
            models: Models::habit(readings.devices.iter().map(|device| device.device.clone()), cutoff),
            version: BASELINE.into(),
            ..Loaded::default()
        }
    }

    /// Reads a version of a registry, the current one without a name; `rule` turns its probabilities into states.
    ///
    /// # Errors
    /// Returns a [`RegistryError`] when there is no such version, or it is damaged.
    pub fn read(registry: &Registry, version: Option<&str>, rule: Rule) -> Result<Loaded, RegistryError> {
        let (mut models, manifest) = registry.load(version)?;
        models.threshold = rule.threshold(&models.site.out_of_sample);
        Ok(Loaded { models, version: manifest.version.clone(), manifest: Some(manifest) })
    }

    /// Returns whether these models learned from readings at or after an instant. The baseline learns nothing: it
    /// counts hours before the origin.
    pub fn has_seen(&self, origin: Instant, calendar: &Calendar) -> bool {
        let last = self.manifest.as_ref().and_then(|manifest| calendar.parse(&manifest.last_reading).ok());
        !self.is_baseline() && last.map_or(self.models.cutoff > origin, |last| last >= origin)
    }

    /// Returns whether nothing was learned yet.
    pub fn is_baseline(&self) -> bool {
        self.version == BASELINE
    }

    /// Returns these models for readings that have grown: the baseline covers new devices too.
    pub fn grown(self: &Arc<Self>, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        if !self.is_baseline() || self.models.devices.len() == readings.devices.len() {
            return self.clone();
        }
        let mut baseline = Loaded::baseline(readings, calendar);
        baseline.models.cutoff = self.models.cutoff;
        Arc::new(baseline)
    }
}
