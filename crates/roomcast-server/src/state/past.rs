//! Models for past origins: none of them has learned from the hours it forecasts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::loaded::{Loaded, is_seen};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::readings::Readings;
use roomcast_storage::registry::{Registry, RegistryError};

/// How long a list of versions is used before the registry is asked again.
const LIST_AGE: Duration = Duration::from_secs(10);

/// Older versions that stay in memory.
const MAX_LOADED: usize = 4;

/// Older versions of a registry.
#[derive(Debug)]
pub struct PastModels {
    registry: Registry,
    rule: Rule,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// When the registry was asked last.
    asked: Option<Instant>,
    /// Names and cutoffs of its sound versions, newest first, as of the last answer.
    versions: Vec<(String, Timestamp)>,
    /// The versions used last, the latest first.
    loaded: Vec<Arc<Loaded>>,
}

impl PastModels {
    /// Returns the past models of a registry, none of them loaded; `rule` turns their probabilities into states.
    pub fn new(registry: Registry, rule: Rule) -> PastModels {
        PastModels { registry, rule, cache: Mutex::default() }
    }

    /// Returns the models for an origin that those in use have learned from: the newest version of the registry that
    /// has not, else the habit's rate. A version that cannot be read, or was trained with another calendar, is skipped.
    /// While the registry is away, its last known versions count, as far as they are in memory.
    pub fn at(&self, origin: Timestamp, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.list(&self.registry, calendar);
        let unseen = |(_, cutoff): &&(String, Timestamp)| !is_seen(*cutoff, origin, calendar);
        let older: Vec<String> = cache.versions.iter().filter(unseen).map(|(version, _)| version.clone()).collect();
        for version in older {
            match cache.load(&version, &self.registry, self.rule) {
                Ok(loaded) => return loaded,
                Err(error) => {
                    tracing::warn!(version, error = %error, "an older version cannot be read");
                    if !error.is_temporary() {
                        cache.versions.retain(|(known, _)| *known != version);
                    }
                }
            }
        }
        Arc::new(Loaded::baseline(&readings.before(origin), calendar, self.rule))
    }
}

impl Cache {
    /// Asks the registry for its versions, unless that was done a moment ago.
    fn list(&mut self, registry: &Registry, calendar: &Calendar) {
        if self.asked.is_some_and(|asked| asked.elapsed() < LIST_AGE) {
            return;
        }
        match registry.overview() {
            Ok(entries) => {
                let sound = entries.into_iter().filter_map(|entry| entry.manifest.ok());
                let matching = sound.filter(|manifest| manifest.mismatch(calendar).is_none());
                let cutoff = matching.filter_map(|manifest| {
                    let cutoff = calendar.parse(&manifest.cutoff).ok()?;
                    Some((manifest.version, cutoff))
                });
                self.versions = cutoff.collect();
            }
            Err(error) => tracing::warn!(error = %error, "the older versions of the registry cannot be listed"),
        }
        self.asked = Some(Instant::now());
    }

    /// Returns a version, from memory if it is there.
    fn load(&mut self, version: &str, registry: &Registry, rule: Rule) -> Result<Arc<Loaded>, RegistryError> {
        let found = self.loaded.iter().position(|loaded| loaded.version == version);
        let loaded = match found {
            Some(at) => self.loaded.remove(at),
            None => Arc::new(Loaded::read(registry, Some(version), rule)?),
        };
        self.loaded.insert(0, loaded.clone());
        self.loaded.truncate(MAX_LOADED);
        Ok(loaded)
    }
}
