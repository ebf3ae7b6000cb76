//! `models.bin`: the layers of the site and of all devices in one file.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `ROOMCAST` |
//! | 4 | schema, little-endian |
//! | … | postcard: cutoff, the site's layers, and each device's name and layer in ascending order of name |
//! | … | postcard, only where there are models of floors or buildings: each level and the bytes of its file |
//!
//! The length of each device's layer stands before its bytes, so that devices are decoded in parallel. A wrong length
//! is an error and never an allocation: it only cuts slices off what was read, and postcard does the same for the lists
//! inside. The bytes are not compressed. Nearly all of them are thresholds and leaf values, of which zstd saves a
//! quarter, but loading 10,000 devices would take half as long again.

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize, Serializer};

use super::check;
use crate::calendar::Timestamp;
use crate::model::{DeviceModel, Models, SiteModel};
use crate::rooms::Level;

/// The schema in which models are stored. Raise it with every change of the schema, which includes the fields of the
/// models: postcard writes no field names.
pub const SCHEMA: u32 = 7;

const MAGIC: [u8; 8] = *b"ROOMCAST";

#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    cutoff: Timestamp,
    site: Cow<'a, SiteModel>,
    #[serde(borrow)]
    devices: Vec<Entry<'a>>,
}

/// A device and its layer, as [`encode_device`] writes it.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    name: &'a str,
    #[serde(borrow, serialize_with = "raw")]
    layer: Cow<'a, [u8]>,
}

fn raw<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Returns the bytes of `models.bin`. Equal models give equal bytes.
///
/// # Errors
/// Returns a message when postcard cannot encode the models.
pub fn encode(models: &Models) -> Result<Vec<u8>, String> {
    let devices: Vec<_> = models.devices.iter().collect();
    let entries = devices.par_iter().map(|(name, model)| Ok(Entry { name, layer: encode_device(model)?.into() }));
    let contents = Contents {
        cutoff: models.cutoff,
        site: Cow::Borrowed(&models.site),
        devices: entries.collect::<Result<_, String>>()?,
    };
    let head = [&MAGIC[..], &SCHEMA.to_le_bytes()].concat();
    let packed = postcard::to_extend(&contents, head).map_err(|error| error.to_string())?;
    if models.levels.is_empty() {
        return Ok(packed);
    }
    let levels = models.levels.iter().map(|(level, above)| Ok((*level, encode(above)?)));
    let levels: Vec<(Level, Vec<u8>)> = levels.collect::<Result<_, String>>()?;
    postcard::to_extend(&levels, packed).map_err(|error| error.to_string())
}

/// Returns the models in the bytes of `models.bin`, checked as [`check::models`] does. The caller has verified that
/// these are the bytes that were saved.
///
/// # Errors
/// Returns a message that names the fault in the bytes.
pub fn decode(packed: &[u8]) -> Result<Models, String> {
    let (mut models, rest) = decode_level(packed)?;
    if !rest.is_empty() {
        let levels: Vec<(Level, &[u8])> = decode_value(rest).map_err(|error| format!("its levels: {error}"))?;
        if levels.is_empty() {
            return Err(format!("{} bytes too many", rest.len()));
        }
        for (level, packed) in levels {
            match decode_level(packed).map_err(|what| format!("{level}s: {what}"))? {
                (above, []) => models.levels.insert(level, above),
                (_, rest) => return Err(format!("{level}s: {} bytes too many", rest.len())),
            };
        }
    }
    Ok(models)
}

/// Returns the models of one level, and the bytes after them.
fn decode_level(packed: &[u8]) -> Result<(Models, &[u8]), String> {
    let rest = packed.strip_prefix(&MAGIC).ok_or("it does not begin as a file of models")?;
    let (schema, rest) = rest.split_first_chunk().ok_or("it ends early")?;
    let schema = u32::from_le_bytes(*schema);
    if schema != SCHEMA {
        return Err(format!("schema {schema} where {SCHEMA} is expected"));
    }
    let (contents, rest): (Contents, _) =
        postcard::take_from_bytes(rest).map_err(|error| format!("its contents: {error}"))?;
    if !contents.devices.is_sorted_by(|a, b| a.name < b.name) {
        return Err("its devices are not in order".into());
    }
    let device = |entry: &Entry| Ok((entry.name.to_owned(), decode_device(entry.name, &entry.layer)?));
    let devices: Vec<_> = contents.devices.par_iter().map(device).collect::<Result<_, String>>()?;
    let models = Models {
        site: contents.site.into_owned(),
        devices: devices.into_iter().collect(),
        cutoff: contents.cutoff,
        ..Models::default()
    };
    check::site(&models.site)?;
    Ok((models, rest))
}

/// Returns the bytes of one device's layer, as in `models.bin`.
///
/// # Errors
/// Returns a message when the model cannot be encoded.
pub fn encode_device(model: &DeviceModel) -> Result<Vec<u8>, String> {
    bytes(model)
}

/// Returns the layer of a device in these bytes. Every number is finite and every tree stays within its arrays.
///
/// # Errors
/// Returns a message that names the fault in the bytes and the device.
pub fn decode_device(name: &str, packed: &[u8]) -> Result<DeviceModel, String> {
    let model: DeviceModel = decode_value(packed).map_err(|error| format!("device {name:?}: {error}"))?;
    check::device(name, &model)?;
    Ok(model)
}

pub fn bytes(value: &impl Serialize) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|error| error.to_string())
}

/// Decodes a value that must take all the bytes.
pub(crate) fn decode_value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> Models {
        Models::habit(names.iter().map(|name| (*name).to_owned()), 7)
    }

    #[test]
    fn floors_and_buildings_come_after_the_rooms_whose_bytes_stay() {
        let rooms = models(&["Kitchen", "Lab"]);
        let with = Models {
            levels: [(Level::Floor, models(&["1", "2"])), (Level::Building, models(&["HQ"]))].into(),
            ..rooms.clone()
        };
        let (plain, packed) = (encode(&rooms).unwrap(), encode(&with).unwrap());
        assert!(packed.starts_with(&plain) && packed.len() > plain.len());
        assert_eq!((decode(&plain).unwrap(), decode(&packed).unwrap()), (rooms, with.clone()));
        for end in plain.len() + 1..packed.len() {
            assert!(decode(&packed[..end]).is_err(), "{end} bytes of {}", packed.len());
        }
        let deep = Models { levels: [(Level::Floor, with)].into(), ..models(&[]) };
        let error = decode(&encode(&deep).unwrap()).unwrap_err();
        assert!(error.contains("floors:") && error.contains("bytes too many"), "{error}");
    }
}
