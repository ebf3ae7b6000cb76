//! Models in use, and where they come from.

use std::sync::Arc;

use super::snapshot::AHEAD;
use crate::calendar::Calendar;
use crate::model::Models;
use crate::model::registry::Manifest;
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
    /// What the registry says of them, if they come from there.
    pub manifest: Option<Manifest>,
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
}
