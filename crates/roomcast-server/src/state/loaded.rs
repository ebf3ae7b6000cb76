//! Models in use, and their origin.

use std::sync::Arc;

use super::snapshot::AHEAD;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::model::Models;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::readings::Readings;
use roomcast_storage::registry::{Manifest, Registry, RegistryError};

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
    pub fn baseline(readings: &Readings, calendar: &Calendar, rule: Rule) -> Loaded {
        let cutoff =
            readings.lived(calendar.now() + AHEAD).map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
        let mut models = Models::habit(readings.devices.iter().map(|device| device.device.clone()), cutoff);
        models.threshold = rule.threshold(&models.site.out_of_sample);
        Loaded { models, version: BASELINE.into(), manifest: None }
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

    /// Returns whether these models learned from an hour that a forecast from an origin is about: hours without a reading
    /// up to the cutoff were learned as vacant. The baseline learns nothing: it counts hours before the origin.
    pub fn has_seen(&self, origin: Timestamp, calendar: &Calendar) -> bool {
        !self.is_baseline() && is_seen(self.models.cutoff, origin, calendar)
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
        let mut baseline = Loaded::baseline(readings, calendar, Rule::Fixed(self.models.threshold.0));
        baseline.models.cutoff = self.models.cutoff;
        Arc::new(baseline)
    }
}

/// Returns whether what learned up to a cutoff learned from an hour that a forecast from an origin is about.
pub fn is_seen(cutoff: Timestamp, origin: Timestamp, calendar: &Calendar) -> bool {
    cutoff > calendar.start(calendar.next_hour(origin))
}
