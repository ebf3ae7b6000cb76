//! Models of a registry that is far away: the site's layers are here, a device's are fetched when they are asked for.
//!
//! What the manifest says of the index and the index of each device is checked before anything is used, so what was damaged on
//! the way or where it lies is an error and never another forecast.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::error::RegistryError;
use super::packed::{self, Digest, Known, Slot};
use super::place::Place;
use super::version::MODELS;
use crate::model::DeviceModel;

/// Bytes between two devices that are read along rather than asked for apart, and the longest piece that is asked for.
const GAP: u64 = 64 << 10;
const PIECE: u64 = 8 << 20;

/// How long nothing is asked for after the registry was found away, the first time and at most: whoever waits for an answer
/// of something hot should not wait for that.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The layers of devices that were asked for lately, within so many bytes. What another version has unchanged stays.
#[derive(Debug)]
pub struct Hot {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Digest, (Arc<DeviceModel>, u64)>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Digest>,
    clock: u64,
    bytes: usize,
}

impl Hot {
    /// Room for so many bytes.
    pub fn new(limit: usize) -> Hot {
        Hot { limit, inner: Mutex::default() }
    }

    /// Bytes that are taken.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, digest: &Digest) -> Option<Arc<DeviceModel>> {
        let Inner { kept, order, clock, .. } = &mut *self.lock();
        let (model, used) = kept.get_mut(digest)?;
        *clock += 1;
        order.remove(used);
        order.insert(*clock, *digest);
        *used = *clock;
        Some(model.clone())
    }

    fn put(&self, digest: Digest, model: &Arc<DeviceModel>) {
        let Inner { kept, order, clock, bytes } = &mut *self.lock();
        *clock += 1;
        match kept.insert(digest, (model.clone(), *clock)) {
            Some((_, used)) => drop(order.remove(&used)),
            None => *bytes += model.size(),
        }
        order.insert(*clock, digest);
        while *bytes > self.limit {
            let Some((_, oldest)) = order.pop_first() else { break };
            let gone = kept.remove(&oldest);
            *bytes -= gone.map_or(0, |(model, _)| model.size());
        }
    }
}

/// The devices of one version.
#[derive(Debug)]
pub struct Shelf {
    place: Arc<dyn Place>,
    version: String,
    devices: Vec<Slot>,
    hot: Arc<Hot>,
    /// Until when nothing is asked for, how long that is, and why.
    away: Mutex<Option<(Instant, Duration, String)>>,
    /// Whether the version was found gone.
    gone: AtomicBool,
    /// Devices whose layers were found damaged.
    damaged: Mutex<BTreeSet<String>>,
}

/// Layers that were asked for, by device.
#[derive(Debug, Default)]
pub struct Taken {
    /// The layers; a device that the version does not have is not among them.
    pub devices: HashMap<String, Arc<DeviceModel>>,
    /// How many of them had to be fetched.
    pub fetched: u64,
    /// Devices whose layers are not what was saved, with what is wrong.
    pub damaged: HashMap<String, RegistryError>,
}

impl Shelf {
    pub(super) fn new(place: Arc<dyn Place>, version: String, devices: Vec<Slot>, hot: Arc<Hot>) -> Shelf {
        Shelf {
            place,
            version,
            devices,
            hot,
            away: Mutex::default(),
            gone: AtomicBool::new(false),
            damaged: Mutex::default(),
        }
    }

    /// Whether the version was not there any more when something was asked for.
    pub fn is_gone(&self) -> bool {
        self.gone.load(SeqCst)
    }

    /// What is known of a device without fetching anything.
    pub fn known(&self, device: &str) -> Option<&Known> {
        self.slot(device).map(|slot| &slot.known)
    }

    fn slot(&self, device: &str) -> Option<&Slot> {
        let at = self.devices.binary_search_by(|slot| slot.name.as_str().cmp(device)).ok()?;
        Some(&self.devices[at])
    }

    /// The layers of these devices, those that are not hot fetched together. All but the damaged ones, or an error: nobody must
    /// take a device for one without a layer of its own.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`] while the registry is away, [`RegistryError::Damaged`] for a version that was removed.
    pub fn take<'a>(&self, devices: impl Iterator<Item = &'a str>) -> Result<Taken, RegistryError> {
        let mut taken = Taken::default();
        let mut missing = Vec::new();
        for slot in devices.filter_map(|device| self.slot(device)) {
            match self.hot.get(&slot.digest) {
                Some(model) => drop(taken.devices.insert(slot.name.clone(), model)),
                None => missing.push(slot),
            }
        }
        missing.sort_unstable_by_key(|slot| slot.from);
        missing.dedup_by_key(|slot| slot.from);
        if missing.is_empty() {
            return Ok(taken);
        }
        self.may_ask()?;
        let pieces: Vec<&[&Slot]> = pieces(&missing);
        let fetched = pieces.into_par_iter().map(|piece| self.fetch(piece)).collect::<Result<Vec<_>, _>>();
        self.note(fetched.as_ref().err());
        for (slot, model) in fetched?.into_iter().flatten() {
            match model {
                Ok(model) => {
                    self.hot.put(slot.digest, &model);
                    taken.devices.insert(slot.name.clone(), model);
                    taken.fetched += 1;
                }
                Err(what) => drop(taken.damaged.insert(slot.name.clone(), self.found_damaged(slot, what))),
            }
        }
        Ok(taken)
    }

    /// What is wrong with a device's layer; said once, however often somebody asks for it.
    fn found_damaged(&self, slot: &Slot, what: String) -> RegistryError {
        let error = RegistryError::content(self.place.file(&self.version, MODELS), what);
        if self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(slot.name.clone()) {
            tracing::error!(device = slot.name, %error, "the models of a device cannot be used");
        }
        error
    }

    /// Reads and checks the layers of neighbours.
    fn fetch<'a>(&self, piece: &[&'a Slot]) -> Result<Vec<(&'a Slot, Decoded)>, RegistryError> {
        let end = |slot: &Slot| slot.from + u64::from(slot.length);
        let (from, to) = piece.iter().fold((u64::MAX, 0), |(from, to), slot| (from.min(slot.from), to.max(end(slot))));
        let bytes = self.place.range(&self.version, MODELS, from..to)?;
        let model = |&slot: &&'a Slot| {
            let own = &bytes[(slot.from - from) as usize..(end(slot) - from) as usize];
            (slot, packed::decode_slot(slot, own).map(Arc::new))
        };
        Ok(piece.iter().map(model).collect())
    }

    fn may_ask(&self) -> Result<(), RegistryError> {
        match &*self.away.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((until, _, why)) if Instant::now() < *until => {
                Err(RegistryError::unavailable(&self.place.name().display().to_string(), why))
            }
            _ => Ok(()),
        }
    }

    /// Remembers what came of a question.
    fn note(&self, error: Option<&RegistryError>) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match error {
            Some(RegistryError::Unavailable { message, .. } | RegistryError::Refused { message, .. }) => message,
            _ => {
                if away.take().is_some() && error.is_none() {
                    tracing::info!("models of devices can be read from the registry again");
                }
                if error.is_some_and(RegistryError::is_missing) {
                    self.gone.store(true, SeqCst);
                }
                return;
            }
        };
        if away.is_none() {
            tracing::error!(error = message, "models of devices cannot be read from the registry");
        }
        let pause = away.as_ref().map_or(PAUSE, |(_, pause, _)| (*pause * 2).min(LONGEST_PAUSE));
        *away = Some((Instant::now() + pause, pause, message.clone()));
    }
}

/// A layer, or what is wrong with it.
type Decoded = Result<Arc<DeviceModel>, String>;

/// Devices in order of place, cut where it is far to the next or the piece would be long.
fn pieces<'a, 's>(slots: &'a [&'s Slot]) -> Vec<&'a [&'s Slot]> {
    let mut pieces = Vec::new();
    let mut first = 0;
    for at in 1..=slots.len() {
        let is_end = slots.get(at).is_none_or(|next| {
            let before = slots[at - 1].from + u64::from(slots[at - 1].length);
            next.from > before + GAP || next.from + u64::from(next.length) - slots[first].from > PIECE
        });
        if is_end {
            pieces.push(&slots[first..at]);
            first = at;
        }
    }
    pieces
}
