//! `models.bin`: the layers of all devices in one file.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `ROOMCAST` |
//! | 4 | schema, little-endian |
//! | 4 | length of the contents, little-endian |
//! | … | contents, postcard: cutoff, the site's layers, and an [`Entry`] of each device in ascending order of name |
//! | … | the devices' layers, postcard, one after the other |
//!
//! All up to the end of the contents is the index. Who trusts it can read the layer of one device and know that it is whole.
//!
//! Lengths only ever cut slices off what was read, so a wrong one is an error and never an allocation;
//! postcard keeps to that for the lists inside. Devices are decoded in parallel.
//! The bytes are not compressed: nearly all are thresholds and leaf values, of which zstd saves a quarter, but
//! loading 10,000 devices would take half as long again.

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::check;
use crate::calendar::Instant;
use crate::model::{Check, DeviceModel, Models, SiteModel, Source};

/// The form in which models are stored. To be raised with every change of it, the fields of the
/// models included: postcard writes no field names.
pub const SCHEMA: u32 = 4;

const MAGIC: [u8; 8] = *b"ROOMCAST";

/// Bytes before the contents.
const HEAD: usize = 16;

/// The first half of the SHA-256 of a device's bytes.
pub(super) type Digest = [u8; 16];

#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    cutoff: Instant,
    site: Cow<'a, SiteModel>,
    #[serde(borrow)]
    devices: Vec<Entry<'a>>,
}

/// One device in the contents.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    name: &'a str,
    /// Length of its layer.
    length: u32,
    digest: Digest,
    known: Known,
}

/// What can be said of a device without its trees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What its forecast comes from.
    pub source: Source,
    /// Its scores on hours after those it was fitted on.
    pub check: Option<Check>,
    cutoff: Instant,
}

impl Known {
    fn of(model: &DeviceModel) -> Known {
        Known { source: model.source(), check: model.check, cutoff: model.cutoff }
    }
}

/// Where the layer of a device is, and what is known of it.
#[derive(Debug)]
pub(super) struct Slot {
    /// The device's name.
    pub name: String,
    /// Where in the file its bytes begin.
    pub from: u64,
    /// How many they are.
    pub length: u32,
    /// What they are.
    pub digest: Digest,
    /// What is known without them.
    pub known: Known,
}

/// What stands before the devices' layers.
#[derive(Debug)]
pub(super) struct Index {
    /// The site's layers, and no device's.
    pub models: Models,
    /// The devices, in ascending order of name.
    pub devices: Vec<Slot>,
    /// Length of the whole file.
    pub length: u64,
}

/// The bytes of `models.bin`: equal models give equal bytes.
///
/// # Errors
/// When models cannot be encoded, or not within 4 GiB each.
pub fn encode(models: &Models) -> Result<Vec<u8>, String> {
    let devices: Vec<_> = models.devices.iter().collect();
    let pack = |(_, model): &(&String, &DeviceModel)| bytes(*model).map(|blob| (digest(&blob), blob));
    let blobs: Vec<(Digest, Vec<u8>)> = devices.par_iter().map(pack).collect::<Result<_, _>>()?;
    let entries = devices.iter().zip(&blobs).map(|((name, model), (digest, blob))| {
        Ok(Entry { name: name.as_str(), length: length(blob)?, digest: *digest, known: Known::of(model) })
    });
    let contents = Contents {
        cutoff: models.cutoff,
        site: Cow::Borrowed(&models.site),
        devices: entries.collect::<Result<_, String>>()?,
    };
    let contents = bytes(&contents)?;
    let mut packed =
        Vec::with_capacity(HEAD + contents.len() + blobs.iter().map(|(_, blob)| blob.len()).sum::<usize>());
    packed.extend(MAGIC);
    packed.extend(SCHEMA.to_le_bytes());
    packed.extend(length(&contents)?.to_le_bytes());
    packed.extend(contents);
    blobs.iter().for_each(|(_, blob)| packed.extend(blob));
    Ok(packed)
}

/// The models in the bytes of `models.bin`, checked as [`check::models`] does; that the bytes are those that were saved is to
/// be known before.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(packed: &[u8]) -> Result<Models, String> {
    let Index { mut models, devices, length } = decode_index(index(packed)?)?;
    if packed.len() as u64 != length {
        return Err(format!("{} bytes where {length} are expected", packed.len()));
    }
    let device = |slot: &Slot| {
        let from = slot.from as usize;
        Ok((slot.name.clone(), decode_known(slot, &packed[from..from + slot.length as usize])?))
    };
    let devices: Vec<_> = devices.par_iter().map(device).collect::<Result<_, String>>()?;
    models.devices = devices.into_iter().collect();
    Ok(models)
}

/// The beginning of the bytes of `models.bin`: all that comes before the devices' layers.
///
/// # Errors
/// When these are no such bytes.
pub(super) fn index(packed: &[u8]) -> Result<&[u8], String> {
    let rest = packed.strip_prefix(&MAGIC).ok_or("it does not begin as a file of models")?;
    let (schema, rest) = number(rest)?;
    if schema != SCHEMA {
        return Err(format!("schema {schema} where {SCHEMA} is expected"));
    }
    let (length, rest) = number(rest)?;
    let (contents, _) = rest.split_at_checked(length as usize).ok_or("it ends early")?;
    Ok(&packed[..HEAD + contents.len()])
}

/// What these bytes, from the beginning to the end of the contents, say: every number finite, every tree within its arrays, and
/// the devices' layers, which are not looked at, one after the other.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn decode_index(bytes: &[u8]) -> Result<Index, String> {
    if index(bytes)?.len() != bytes.len() {
        return Err("its contents are longer than they say".into());
    }
    let contents: Contents = whole(&bytes[HEAD..]).map_err(|error| format!("its contents: {error}"))?;
    check::site(&contents.site)?;
    if !contents.devices.is_sorted_by(|a, b| a.name < b.name) {
        return Err("its devices are not in order".into());
    }
    let models = Models { site: contents.site.into_owned(), cutoff: contents.cutoff, ..Models::default() };
    check::layers(&models)?;
    let mut length = bytes.len() as u64;
    let mut devices = Vec::with_capacity(contents.devices.len());
    for Entry { name, length: own, digest, known } in contents.devices {
        check::belongs(&models, name, known.cutoff)?;
        devices.push(Slot { name: name.to_owned(), from: length, length: own, digest, known });
        length += u64::from(own);
    }
    Ok(Index { models, devices, length })
}

/// The layer of a device of an index, in its bytes.
///
/// # Errors
/// When they are not the bytes that were saved, with the device's name.
pub(super) fn decode_slot(slot: &Slot, packed: &[u8]) -> Result<DeviceModel, String> {
    if digest(packed) != slot.digest {
        return Err(format!("device {:?}: the checksum does not match", slot.name));
    }
    decode_known(slot, packed)
}

fn decode_known(slot: &Slot, packed: &[u8]) -> Result<DeviceModel, String> {
    let model = decode_device(&slot.name, packed)?;
    if Known::of(&model) != slot.known {
        return Err(format!("device {:?}: it is not what the contents say", slot.name));
    }
    Ok(model)
}

/// The bytes of one device's layer, as they stand in `models.bin`.
///
/// # Errors
/// When the model cannot be encoded.
pub fn encode_device(model: &DeviceModel) -> Result<Vec<u8>, String> {
    bytes(model)
}

/// The layer of a device in these bytes, every number finite and every tree within its arrays.
///
/// # Errors
/// What is wrong with the bytes, with the device's name.
pub fn decode_device(name: &str, packed: &[u8]) -> Result<DeviceModel, String> {
    let model: DeviceModel = whole(packed).map_err(|error| format!("device {name:?}: {error}"))?;
    check::device(name, &model)?;
    Ok(model)
}

pub(crate) fn bytes(value: &impl Serialize) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|error| error.to_string())
}

fn digest(bytes: &[u8]) -> Digest {
    let mut half = Digest::default();
    half.copy_from_slice(&Sha256::digest(bytes)[..size_of::<Digest>()]);
    half
}

fn length(bytes: &[u8]) -> Result<u32, String> {
    u32::try_from(bytes.len()).map_err(|_| format!("{} bytes are too many", bytes.len()))
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), String> {
    let (number, rest) = bytes.split_first_chunk().ok_or("it ends early")?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// A value that takes all the bytes.
pub(crate) fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}
