//! Models for past origins: none of them has learned from the hours it forecasts.

use std::sync::{Arc, Mutex, PoisonError};

use super::loaded::Loaded;
use crate::calendar::{Calendar, Instant};
use crate::model::registry::Registry;
use crate::model::rule::Rule;
use crate::readings::Readings;

/// Older versions of the registry. The one used last is cached.
#[derive(Debug)]
pub struct PastModels {
    registry: Registry,
    rule: Rule,
    kept: Mutex<Option<Arc<Loaded>>>,
}

impl PastModels {
    /// Returns the past models of a registry, none of them loaded; `rule` turns their probabilities into states.
    pub fn new(registry: Registry, rule: Rule) -> PastModels {
        PastModels { registry, rule, kept: Mutex::default() }
    }

    /// Returns the models for an origin that those in use have learned from: the newest version of the registry that
    /// has not, else the habit's rate. A version that cannot be read, or was trained with another calendar, is skipped.
    pub fn at(&self, origin: Instant, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        let entries = self.registry.overview().unwrap_or_default();
        let manifests = entries.into_iter().filter_map(|entry| entry.manifest.ok());
        let older = manifests.filter(|manifest| {
            let seen = calendar.parse(&manifest.last_reading).map_or(Instant::MAX, |last| last);
            seen < origin && manifest.mismatch(calendar).is_none()
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for manifest in older {
            if let Some(kept) = kept.as_ref().filter(|kept| kept.version == manifest.version) {
                return kept.clone();
            }
            match Loaded::read(&self.registry, Some(&manifest.version), self.rule) {
                Ok(loaded) => return kept.insert(Arc::new(loaded)).clone(),
                Err(error) => {
                    tracing::warn!(version = manifest.version, error = %error, "an older version cannot be read");
                }
            }
        }
        Arc::new(Loaded::baseline(&readings.before(origin), calendar))
    }
}
