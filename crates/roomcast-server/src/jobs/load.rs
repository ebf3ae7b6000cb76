//! Loading and reloading. New data is served whole or not at all.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use crate::logs::START;
use crate::state::loaded::{BASELINE, Loaded, OlderVersions};
use crate::state::site::{Phase, Site};
use crate::state::snapshot::{History, Snapshot};
use roomcast_forecast::features::SiteRates;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::model::{Models, fit};
use roomcast_forecast::readings::DeviceReadings;
use roomcast_forecast::train::{self, TrainingInfo};
use roomcast_storage::registry::{self, Registry, RegistryError};

/// Loads history and models for the first time. Without models in the registry the baseline answers while models are
/// being trained.
///
/// # Errors
/// Returns an error when the readings cannot be read. An unreadable registry is not an error: it is logged, and shown
/// by `/models`.
pub fn start(site: &Site) -> anyhow::Result<()> {
    let _lock = site.serving.lock_loading();
    let watch = Instant::now();
    let history = Arc::new(history(site)?);
    let loaded = match read_version(site, None, &history) {
        Ok(loaded) => Some(loaded),
        Err(error @ RegistryError::Rooms { .. }) => Some(other_rooms(site, &history, &error)),
        Err(error) => {
            if !matches!(error, RegistryError::Empty { .. }) {
                tracing::error!(%error, "the current models cannot be used");
                site.serving.set_trouble(|trouble| trouble.models = Some(error.to_string()));
            }
            read_older_version(site, &history)
        }
    };
    let trained = loaded.is_some();
    let loaded =
        Arc::new(loaded.unwrap_or_else(|| Loaded::baseline(&history.readings, &site.calendar, site.settings.rule)));
    let older = older(site, &history);
    let (devices, readings, version) = (history.readings.devices.len(), history.count, loaded.version.clone());
    site.serving.replace(Snapshot::new(history.clone(), loaded.clone(), older));
    warm(site);
    site.serving.set_phase(if trained { Phase::Ready } else { Phase::Training });
    let seconds = watch.elapsed().as_secs_f64();
    tracing::info!(target: START, devices, readings, version, seconds, "forecasts are ready");
    let is_known = |room: &DeviceReadings| loaded.models.devices.contains_key(&room.device);
    if trained && devices > 0 && !history.readings.devices.iter().any(is_known) {
        tracing::warn!(version, "these models know none of the rooms: what other rooms have in common forecasts them");
    }
    if let Some(live) = &site.live {
        live.listen(&history.all(), &site.calendar);
    }
    if !trained {
        let loaded = train(site, &history);
        let version = loaded.as_ref().map_or_else(|| BASELINE.to_owned(), |loaded| loaded.version.clone());
        if let (Some(loaded), Ok(baseline)) = (loaded, site.snapshot()) {
            site.serving.replace(baseline.with_models(loaded));
        }
        site.serving.set_phase(Phase::Ready);
        site.events.models(&version);
    }
    Ok(())
}

/// Reads the input.
pub(super) fn history(site: &Site) -> anyhow::Result<History> {
    let input = &site.settings.input;
    let (mut readings, summary) = input.read(&site.calendar, None)?;
    let (rows, refused) = (summary.rows, summary.refused);
    let message = format!("input: {refused} of {rows} rows; roomcast inspect lists them");
    site.serving.set_trouble(|trouble| trouble.refused = (refused > 0).then_some(message));
    if let Some(live) = &site.live {
        readings = readings.merged(live.load(&site.calendar)?);
    }
    Ok(History::new(readings, site.read_rooms()?, &site.calendar, heard(site)))
}

/// Returns the cell that holds the store's latest sign of life.
pub(super) fn heard(site: &Site) -> Option<Arc<AtomicI64>> {
    site.live.as_ref().map(|live| live.last_heard.clone())
}

/// Returns the older versions of the registry for the rooms of a history.
fn older(site: &Site, history: &History) -> Arc<OlderVersions> {
    let registry = Registry::open(&site.settings.models);
    Arc::new(OlderVersions::new(registry, site.settings.rule, history.rooms.clone()))
}

/// Serves a history with other rooms: by the current models if they have learned from such rooms, else by the baseline.
/// The caller holds the lock of loading.
pub(super) fn serve(site: &Site, history: History) {
    let history = Arc::new(history);
    let loaded = match read_version(site, None, &history) {
        Ok(loaded) => loaded,
        Err(error @ RegistryError::Rooms { .. }) => other_rooms(site, &history, &error),
        Err(_) => Loaded::baseline(&history.readings, &site.calendar, site.settings.rule),
    };
    let (version, older) = (loaded.version.clone(), older(site, &history));
    site.serving.replace(Snapshot::new(history, Arc::new(loaded), older));
    warm(site);
    site.events.models(&version);
    site.events.readings(std::iter::empty());
}

/// Returns the baseline in place of models that learned from other rooms. New models are fitted soon.
fn other_rooms(site: &Site, history: &History, error: &RegistryError) -> Loaded {
    tracing::warn!(%error, "the current models are of other rooms: the baseline answers until models are fitted again");
    let baseline = Loaded::baseline(&history.readings, &site.calendar, site.settings.rule);
    Loaded { other_rooms: true, ..baseline }
}

/// Reads a version of the registry, the current one without a name, for a history.
fn read_version(site: &Site, version: Option<&str>, history: &History) -> Result<Loaded, RegistryError> {
    let loaded = Loaded::read(&site.registry, version, site.settings.rule)?;
    let last = history.span.map(|span| span.1);
    registry::present(&loaded.version, loaded.models.cutoff, last, &site.calendar)?;
    if let Some(why) = loaded.rooms_mismatch(&history.rooms) {
        return Err(RegistryError::Rooms { version: loaded.version, why });
    }
    if let Some(difference) = loaded.manifest.as_ref().and_then(|manifest| manifest.mismatch(&site.calendar)) {
        tracing::warn!(version = loaded.version, difference, "these models were trained with another calendar");
    }
    Ok(loaded)
}

/// Returns the newest usable models of the registry besides the current ones.
fn read_older_version(site: &Site, history: &History) -> Option<Loaded> {
    let entries = site.registry.overview().unwrap_or_default();
    let usable = entries.into_iter().filter(|entry| entry.manifest.is_ok() && !entry.current);
    let loaded = usable.filter_map(|entry| read_version(site, Some(&entry.version), history).ok()).next()?;
    tracing::warn!(version = loaded.version, "using other models of the registry");
    Some(loaded)
}

/// Computes the grid of the present before the first request for it.
pub(super) fn warm(site: &Site) {
    if let Ok(snapshot) = site.snapshot() {
        snapshot.present_grid(&site.calendar);
    }
}

/// Trains on the whole history and saves the result, if the registry is writable. Returns `None` when there is too
/// little to learn from, or training fails: the baseline then continues to answer.
fn train(site: &Site, history: &History) -> Option<Loaded> {
    let (first_reading, last_reading) = history.span?;
    let watch = Instant::now();
    tracing::info!(target: START, "there are no models yet: the baseline answers while some are trained");
    let cutoff = site.calendar.start(site.calendar.hour(last_reading) + 1);
    let hourly = Hourly::new(&history.readings, &site.calendar, cutoff);
    if !fit::enough(&hourly) {
        tracing::info!(target: START, "too little history to train models: the baseline answers until there is enough");
        return None;
    }
    let fitted = fit::train(&hourly, &SiteRates::new(&hourly), &|| ()).and_then(|models| {
        let levels = train::levels(&history.rooms, &history.sensors, &site.calendar, cutoff, &|| ())?;
        Ok(Models { levels, ..models })
    });
    let mut models = match fitted {
        Ok(models) => models,
        Err(error) => {
            tracing::error!(%error, "training failed: the baseline continues to answer");
            site.serving.set_trouble(|trouble| trouble.models = Some(format!("training failed: {error}")));
            return None;
        }
    };
    let about = TrainingInfo {
        calendar: &site.calendar,
        first_reading,
        last_reading,
        readings: history.count,
        fingerprint: match history.rooms.is_empty() {
            true => history.readings.fingerprint(),
            false => history.readings.before(cutoff).fingerprint(),
        },
        rooms: history.rooms.fingerprint(&site.calendar),
        training: watch.elapsed(),
    };
    tracing::info!(target: START, seconds = watch.elapsed().as_secs_f64(), "models are trained");
    let manifest = save(&site.registry, &models, &about);
    models.threshold = site.settings.rule.threshold(&models.site.out_of_sample);
    let version = manifest.as_ref().map_or("unsaved".into(), |manifest| manifest.version.clone());
    Some(Loaded { models, version, manifest, other_rooms: false })
}

/// Saves trained models in an empty registry only. Versions that exist but are not current, or cannot be read, are left
/// for the operator to decide on, and the new one does not take their place.
fn save(registry: &Registry, models: &Models, about: &TrainingInfo) -> Option<roomcast_storage::registry::Manifest> {
    if !registry.is_empty() {
        return None;
    }
    match registry.save(models, about, true) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            tracing::warn!(%error, "the models trained at the start could not be saved");
            None
        }
    }
}

/// Loads the registry's current models now.
///
/// # Errors
/// Returns a `RegistryError` when they are unusable. The old ones stay in use.
pub fn reload(site: &Site) -> Result<String, RegistryError> {
    // Loading may take long, so it runs without the lock and new readings do not wait for it.
    let history = site.snapshot().map(|snapshot| snapshot.history.clone());
    let loaded = match &history {
        Ok(history) => read_version(site, None, history),
        Err(_) => Loaded::read(&site.registry, None, site.settings.rule),
    };
    let _lock = site.serving.lock_loading();
    match loaded {
        Ok(loaded) => {
            site.metrics.model_reloads.add(1);
            site.serving.set_trouble(|trouble| trouble.models = None);
            let version = loaded.version.clone();
            if let Ok(old) = site.snapshot() {
                site.serving.replace(old.with_models(loaded));
                warm(site);
            }
            tracing::info!(version, "models reloaded");
            site.events.models(&version);
            Ok(version)
        }
        // The baseline answers in their place, and new models are being fitted.
        Err(error @ RegistryError::Rooms { .. }) if site.snapshot().is_ok_and(|old| old.loaded.other_rooms) => {
            Err(error)
        }
        Err(error) => {
            site.metrics.model_reload_failures.add(1);
            tracing::error!(%error, "models could not be reloaded: the old ones stay in use");
            site.serving.set_trouble(|trouble| trouble.models = Some(error.to_string()));
            Err(error)
        }
    }
}
