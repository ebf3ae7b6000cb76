//! Home Assistant's areas as rooms: the registries in the folder `.storage` of its configuration.
//!
//! An entity is in its own area, or else in that of its device. An area may be on a floor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail};
use roomcast_forecast::rooms::{Assignment, Rooms};
use serde::Deserialize;

/// Most bytes of a registry.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Stored<T> {
    data: T,
}

#[derive(Default, Deserialize)]
struct Areas {
    areas: Vec<Area>,
}

#[derive(Deserialize)]
struct Area {
    id: String,
    name: String,
    floor_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Floors {
    floors: Vec<Floor>,
}

#[derive(Deserialize)]
struct Floor {
    floor_id: String,
    name: String,
}

#[derive(Default, Deserialize)]
struct Devices {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    id: String,
    area_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entities {
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
struct Entity {
    entity_id: String,
    device_id: Option<String>,
    area_id: Option<String>,
    /// The class that somebody chose, and that of the integration.
    #[serde(default)]
    device_class: Option<String>,
    #[serde(default)]
    original_device_class: Option<String>,
}

/// Returns the classes of the entities that a folder `.storage` knows; none where it cannot be read.
pub(crate) fn classes(folder: &Path) -> HashMap<String, String> {
    let entities: Entities = registry(folder, "core.entity_registry").unwrap_or_default();
    let class = |entity: Entity| Some((entity.entity_id, entity.device_class.or(entity.original_device_class)?));
    entities.entities.into_iter().filter_map(class).collect()
}

/// Reads the areas of the binary sensors from Home Assistant's folder `.storage`.
///
/// # Errors
/// Returns an error that names the file when a registry cannot be read, and one for a folder without areas.
pub fn read(folder: &Path) -> anyhow::Result<Rooms> {
    let areas: Areas = registry(folder, "core.area_registry")?;
    let floors: Floors = registry(folder, "core.floor_registry")?;
    let devices: Devices = registry(folder, "core.device_registry")?;
    let entities: Entities = registry(folder, "core.entity_registry")?;
    let floors: HashMap<String, String> = floors.floors.into_iter().map(|floor| (floor.floor_id, floor.name)).collect();
    let devices: HashMap<String, Option<String>> =
        devices.devices.into_iter().map(|device| (device.id, device.area_id)).collect();
    let areas: HashMap<String, Area> = areas.areas.into_iter().map(|area| (area.id.clone(), area)).collect();
    let row = |entity: Entity| {
        let of_device = || devices.get(&entity.device_id?)?.clone();
        let area = areas.get(&entity.area_id.or_else(of_device)?)?;
        let floor = area.floor_id.as_ref().and_then(|floor| floors.get(floor)).cloned();
        Some(Assignment { sensor: entity.entity_id, room: area.name.clone(), floor, ..Assignment::default() })
    };
    let sensors = entities.entities.into_iter().filter(|entity| entity.entity_id.starts_with("binary_sensor."));
    let rows: Vec<Assignment> = sensors.filter_map(row).collect();
    let name = folder.display();
    if rows.is_empty() {
        bail!(
            "{name}: no binary sensor is in an area of Home Assistant\nhint: name its folder .storage, or a rooms.csv"
        );
    }
    Rooms::new(rows).with_context(|| format!("{name}: cannot use Home Assistant's areas as rooms"))
}

/// Reads a registry; an empty one when there is no such file, as before Home Assistant had it.
fn registry<T: Default + for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> anyhow::Result<T> {
    let path = folder.join(name);
    let failed = || format!("{}: cannot be read as a registry of Home Assistant", path.display());
    let mut text = Vec::new();
    match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        file => file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text)).with_context(failed)?,
    };
    let stored: Stored<T> = serde_json::from_slice(&text).with_context(failed)?;
    Ok(stored.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_of_entities_and_of_their_devices_are_rooms() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, data: &str| {
            let text = format!(r#"{{"version":1,"minor_version":1,"key":"{name}","data":{data}}}"#);
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        assert!(read(folder.path()).unwrap_err().to_string().contains("no binary sensor is in an area"));
        write(
            "core.area_registry",
            r#"{"areas":[{"aliases":[],"floor_id":"ground","id":"kitchen","name":"Kitchen"},{"floor_id":null,"id":"lab","name":"Lab"}]}"#,
        );
        write(
            "core.device_registry",
            r#"{"devices":[{"id":"d1","area_id":"kitchen"},{"id":"d2","area_id":null}],"deleted_devices":[]}"#,
        );
        write(
            "core.entity_registry",
            r#"{"entities":[
                {"entity_id":"binary_sensor.motion","device_id":"d1","area_id":null},
                {"entity_id":"binary_sensor.moved","device_id":"d1","area_id":"lab"},
                {"entity_id":"binary_sensor.nowhere","device_id":"d2","area_id":null},
                {"entity_id":"light.kitchen","device_id":"d1","area_id":null}]}"#,
        );
        assert!(classes(folder.path()).is_empty());
        let floorless = read(folder.path()).unwrap();
        assert_eq!((floorless.rooms().collect::<Vec<_>>(), floorless.has_floors()), (vec!["Kitchen", "Lab"], false));
        write("core.floor_registry", r#"{"floors":[{"floor_id":"ground","name":"Ground floor","level":0}]}"#);
        let rooms = read(folder.path()).unwrap();
        let sensors: Vec<&str> = rooms.assignments().iter().map(|row| row.sensor.as_str()).collect();
        assert_eq!(sensors, ["binary_sensor.motion", "binary_sensor.moved"]);
        assert_eq!((rooms.floor_of("Kitchen"), rooms.floor_of("Lab")), (Some("Ground floor"), None));
        write(
            "core.entity_registry",
            r#"{"entities":[
                {"entity_id":"binary_sensor.a","device_id":null,"area_id":null,"device_class":null,"original_device_class":"motion"},
                {"entity_id":"binary_sensor.b","device_id":null,"area_id":null,"device_class":"door","original_device_class":"motion"}]}"#,
        );
        let classes = classes(folder.path());
        assert_eq!(
            ["a", "b", "c"].map(|name| classes.get(&format!("binary_sensor.{name}")).map(String::as_str)),
            [Some("motion"), Some("door"), None]
        );
        write("core.area_registry", "[]");
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("core.area_registry: cannot be read as a registry"), "{error}");
    }
}
