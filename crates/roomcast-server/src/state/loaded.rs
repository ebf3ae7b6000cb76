//! Models in use, and older ones for past origins. No models have learned from the hours they forecast.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::settings::MAX_CLOCK_SKEW;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::model::Models;
use roomcast_forecast::model::rule::Rule;
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::{Level, Rooms};
use roomcast_storage::registry::{Manifest, Registry, RegistryError};

/// Age up to which a list of versions is used.
const MAX_LIST_AGE: Duration = Duration::from_secs(10);

/// Maximum number of older versions in memory.
const MAX_LOADED: usize = 4;

/// The version of models that are not trained.
pub(crate) const BASELINE: &str = "baseline";

/// Models in use.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The models.
    pub models: Models,
    /// The registry's name for them, or `baseline` or `unsaved`.
    pub version: String,
    /// Their manifest, if they come from the registry.
    pub manifest: Option<Manifest>,
    /// True for the baseline in place of models that learned from other rooms.
    pub(crate) other_rooms: bool,
}

impl Loaded {
    /// Returns the baseline for all devices with readings. It is not trained.
    pub fn baseline(readings: &Readings, calendar: &Calendar, rule: Rule) -> Loaded {
        let cutoff = readings
            .active_period(calendar.now() + MAX_CLOCK_SKEW)
            .map_or(0, |(_, last)| calendar.start(calendar.hour(last) + 1));
        let mut models = Models::habit(readings.devices.iter().map(|device| device.device.clone()), cutoff);
        models.threshold = rule.threshold(&models.site.out_of_sample);
        Loaded { models, version: BASELINE.into(), manifest: None, other_rooms: false }
    }

    /// Reads a version of a registry, the current one without a name; `rule` turns its probabilities into states.
    ///
    /// # Errors
    /// Returns a [`RegistryError`] when there is no such version, or it is damaged.
    pub fn read(registry: &Registry, version: Option<&str>, rule: Rule) -> Result<Loaded, RegistryError> {
        let (mut models, manifest) = registry.load(version)?;
        models.threshold = rule.threshold(&models.site.out_of_sample);
        Ok(Loaded { models, version: manifest.version.clone(), manifest: Some(manifest), other_rooms: false })
    }

    /// Returns the models of a level above the rooms; the baseline for its series where there are none.
    pub fn of_level(rooms: &Loaded, level: Level, readings: &Readings, calendar: &Calendar, rule: Rule) -> Loaded {
        let Some(models) = rooms.models.levels.get(&level) else { return Loaded::baseline(readings, calendar, rule) };
        let mut models = models.clone();
        models.threshold = rule.threshold(&models.site.out_of_sample);
        Loaded { models, version: rooms.version.clone(), manifest: rooms.manifest.clone(), other_rooms: false }
    }

    /// Returns, in words, why these models must not be used with a table of rooms; `None` if they may.
    pub(crate) fn rooms_mismatch(&self, rooms: &Rooms) -> Option<String> {
        self.manifest.as_ref()?.rooms_mismatch(rooms)
    }

    /// Returns whether these models learned from an hour that a forecast from an origin covers. Hours without a reading
    /// up to the cutoff were learned as vacant. The baseline is not trained: it counts hours before the origin.
    pub(crate) fn has_learned_from(&self, origin: Timestamp, calendar: &Calendar) -> bool {
        !self.is_baseline() && is_learned(self.models.cutoff, origin, calendar)
    }

    /// Returns whether these models are the baseline.
    pub(crate) fn is_baseline(&self) -> bool {
        self.version == BASELINE
    }

    /// Returns these models for readings that have grown: the baseline covers new devices too.
    pub fn extended(self: &Arc<Self>, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        if !self.is_baseline() || self.models.devices.len() == readings.devices.len() {
            return self.clone();
        }
        let mut baseline = Loaded::baseline(readings, calendar, Rule::Fixed(self.models.threshold.0));
        baseline.models.cutoff = self.models.cutoff;
        baseline.other_rooms = self.other_rooms;
        Arc::new(baseline)
    }
}

/// Returns whether models with a cutoff learned from an hour that a forecast from an origin covers.
fn is_learned(cutoff: Timestamp, origin: Timestamp, calendar: &Calendar) -> bool {
    cutoff > calendar.start(calendar.next_hour(origin))
}

/// Older versions of a registry.
#[derive(Debug)]
pub struct OlderVersions {
    registry: Registry,
    rule: Rule,
    /// The table of rooms that versions must have learned from, as far as there is one.
    rooms: Arc<Rooms>,
    level: Level,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// Time of the last request to the registry.
    listed_at: Option<Instant>,
    /// Names and cutoffs of its valid versions, newest first, as of the last answer.
    versions: Vec<(String, Timestamp)>,
    /// The versions used last, the latest first.
    loaded: Vec<Arc<Loaded>>,
}

impl OlderVersions {
    /// Returns the older versions of a registry for the rooms of a table, none of them loaded; `rule` turns their
    /// probabilities into states.
    pub fn new(registry: Registry, rule: Rule, rooms: Arc<Rooms>) -> OlderVersions {
        OlderVersions { registry, rule, rooms, level: Level::Room, cache: Mutex::default() }
    }

    /// Returns the same versions for a level, none of them loaded.
    pub(super) fn of_level(&self, level: Level) -> OlderVersions {
        OlderVersions { level, ..OlderVersions::new(self.registry.clone(), self.rule, self.rooms.clone()) }
    }

    /// Returns the rule that turns probabilities into states.
    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    /// Returns the models for an origin that the models in use have learned from: the newest version of the registry
    /// that has not learned from it, else the baseline. Skips versions that cannot be read or were trained with another
    /// calendar. While the registry is unreachable, the versions in memory are used.
    pub fn at(&self, origin: Timestamp, readings: &Readings, calendar: &Calendar) -> Arc<Loaded> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.list(&self.registry, &self.rooms, calendar);
        let unseen = |(_, cutoff): &&(String, Timestamp)| !is_learned(*cutoff, origin, calendar);
        let older: Vec<String> = cache.versions.iter().filter(unseen).map(|(version, _)| version.clone()).collect();
        for version in older {
            match cache.load(&version, &self.registry, self.rule) {
                Ok(loaded) if self.level == Level::Room => return loaded,
                Ok(loaded) => return Loaded::of_level(&loaded, self.level, readings, calendar, self.rule).into(),
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
    /// Lists the registry's versions, unless the list is recent.
    fn list(&mut self, registry: &Registry, rooms: &Rooms, calendar: &Calendar) {
        if self.listed_at.is_some_and(|listed_at| listed_at.elapsed() < MAX_LIST_AGE) {
            return;
        }
        match registry.overview() {
            Ok(entries) => {
                let sound = entries.into_iter().filter_map(|entry| entry.manifest.ok());
                let fits = |manifest: &Manifest| {
                    manifest.mismatch(calendar).is_none() && manifest.rooms_mismatch(rooms).is_none()
                };
                let matching = sound.filter(fits);
                let cutoff = matching.filter_map(|manifest| {
                    let cutoff = calendar.parse(&manifest.cutoff).ok()?;
                    Some((manifest.version, cutoff))
                });
                self.versions = cutoff.collect();
            }
            Err(error) => tracing::warn!(error = %error, "the older versions of the registry cannot be listed"),
        }
        self.listed_at = Some(Instant::now());
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
