//! `models.bin`: the layers of all devices in one file.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `ROOMCAST` |
//! | 4 | schema, little-endian |
//! | 4 | length of the contents, little-endian |
//! | … | contents, postcard: cutoff, the site's layers, older ones, name and length of each device in ascending order of name |
//! | … | the devices' layers, postcard, one after the other |
//!
//! Lengths only ever cut slices off what was read, so a wrong one is an error and never an allocation;
//! postcard keeps to that for the lists inside. Devices are decoded in parallel.
//! The bytes are not compressed: nearly all are thresholds and leaf values, of which zstd saves a quarter, but
//! loading 10,000 devices would take half as long again.

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::check;
use crate::calendar::Instant;
use crate::model::{DeviceModel, Models, SiteModel};

/// The form in which models are stored. To be raised with every change of it, the fields of the
/// models included: postcard writes no field names.
pub const SCHEMA: u32 = 2;

const MAGIC: [u8; 8] = *b"ROOMCAST";

#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    cutoff: Instant,
    site: Cow<'a, SiteModel>,
    older: Cow<'a, [SiteModel]>,
    /// Name and number of bytes of each device.
    #[serde(borrow)]
    devices: Vec<(&'a str, u32)>,
}

/// The bytes of `models.bin`: equal models give equal bytes.
///
/// # Errors
/// When models cannot be encoded, or not within 4 GiB each.
pub fn encode(models: &Models) -> Result<Vec<u8>, String> {
    let devices: Vec<_> = models.devices.iter().collect();
    let blobs: Vec<Vec<u8>> = devices.par_iter().map(|(_, model)| bytes(model)).collect::<Result<_, _>>()?;
    let lengths = devices.iter().zip(&blobs).map(|((name, _), blob)| Ok((name.as_str(), length(blob)?)));
    let contents = Contents {
        cutoff: models.cutoff,
        site: Cow::Borrowed(&models.site),
        older: Cow::Borrowed(&models.older),
        devices: lengths.collect::<Result<_, String>>()?,
    };
    let contents = bytes(&contents)?;
    let mut packed = Vec::with_capacity(16 + contents.len() + blobs.iter().map(Vec::len).sum::<usize>());
    packed.extend(MAGIC);
    packed.extend(SCHEMA.to_le_bytes());
    packed.extend(length(&contents)?.to_le_bytes());
    packed.extend(contents);
    blobs.iter().for_each(|blob| packed.extend(blob));
    Ok(packed)
}

/// The models in the bytes of `models.bin`, checked as [`check::models`] does.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(packed: &[u8]) -> Result<Models, String> {
    let rest = packed.strip_prefix(&MAGIC).ok_or("it does not begin as a file of models")?;
    let (schema, rest) = number(rest)?;
    if schema != SCHEMA {
        return Err(format!("schema {schema} where {SCHEMA} is expected"));
    }
    let (len, rest) = number(rest)?;
    let (contents, rest) = cut(rest, len)?;
    let contents: Contents = whole(contents).map_err(|error| format!("its contents: {error}"))?;
    contents.older.iter().chain([&*contents.site]).try_for_each(check::site)?;
    if !contents.devices.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err("its devices are not in order".into());
    }
    let mut rest = rest;
    let mut blobs = Vec::with_capacity(contents.devices.len());
    for &(name, len) in &contents.devices {
        let (blob, after) = cut(rest, len)?;
        blobs.push((name, blob));
        rest = after;
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the last device", rest.len()));
    }
    let device = |(name, blob): (&str, &[u8])| Ok((name.to_owned(), decode_device(name, blob)?));
    let devices: Vec<_> = blobs.into_par_iter().map(device).collect::<Result<_, String>>()?;
    let models = Models {
        site: contents.site.into_owned(),
        older: contents.older.into_owned(),
        devices: devices.into_iter().collect(),
        cutoff: contents.cutoff,
        ..Models::default()
    };
    check::parts(&models)?;
    Ok(models)
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

fn length(bytes: &[u8]) -> Result<u32, String> {
    u32::try_from(bytes.len()).map_err(|_| format!("{} bytes are too many", bytes.len()))
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), String> {
    let (number, rest) = bytes.split_first_chunk().ok_or("it ends early")?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn cut(bytes: &[u8], len: u32) -> Result<(&[u8], &[u8]), String> {
    bytes.split_at_checked(len as usize).ok_or_else(|| "it ends early".into())
}

/// A value that takes all the bytes.
pub(crate) fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}
