//! The names that columns have in files of all kinds.

use csv::ByteRecord;

use crate::readings::file::field::{COLUMNS, trim};

/// Names of the time, best first. Spaces, case and `_-.` do not matter.
const TIME: &[&str] = &[
    "time",
    "timestamp",
    "datetime",
    "lastchanged",
    "lastchangedts",
    "lastupdated",
    "lastupdatedts",
    "lastseen",
    "ts",
    "eventtime",
    "createdat",
    "recordedat",
    "receivedat",
    "measuredat",
    "start",
    "starttime",
    "intervalstart",
    "end",
    "endtime",
    "intervalend",
    "localtime",
    "utc",
    "date",
    "zeitstempel",
    "zeitpunkt",
    "datumzeit",
    "datumuhrzeit",
    "datum/uhrzeit",
    "datum/zeit",
    "zeit",
    "beginn",
    "von",
    "datum",
    "horodatage",
    "horodate",
    "dateheure",
    "dateetheure",
    "date/heure",
    "temps",
    "début",
];

/// Names of the time of day, where the date is in a column of its own.
const CLOCK: &[&str] = &["time", "timeofday", "hour", "uhrzeit", "zeit", "heure"];
const DATE: &[&str] = &["date", "day", "datum", "tag", "jour"];

/// Names of the device, best first.
const DEVICE: &[&str] = &[
    "device",
    "deviceid",
    "devicename",
    "entityid",
    "sensor",
    "sensorid",
    "sensorname",
    "entity",
    "deveui",
    "room",
    "roomid",
    "roomname",
    "space",
    "zone",
    "location",
    "name",
    "id",
    "gerät",
    "geraet",
    "geräteid",
    "gerätename",
    "melder",
    "bewegungsmelder",
    "raum",
    "raumname",
    "raumnummer",
    "zimmer",
    "ort",
    "capteur",
    "idcapteur",
    "appareil",
    "dispositif",
    "pièce",
    "piece",
    "salle",
    "emplacement",
    "lieu",
    "nom",
];

/// Names of the state, count or level, best first.
const VALUE: &[&str] = &[
    "deviceactivated",
    "activated",
    "state",
    "value",
    "motion",
    "motiondetected",
    "occupancy",
    "occupied",
    "presence",
    "present",
    "detected",
    "active",
    "status",
    "event",
    "level",
    "count",
    "people",
    "occupants",
    "persons",
    "clients",
    "wificlients",
    "co2",
    "zustand",
    "wert",
    "bewegung",
    "belegt",
    "belegung",
    "anwesenheit",
    "präsenz",
    "anzahl",
    "personen",
    "état",
    "etat",
    "valeur",
    "mouvement",
    "présence",
    "occupation",
    "occupé",
    "nombre",
    "personnes",
];

/// The role of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Time,
    Clock,
    Date,
    Device,
    Value,
}

impl Role {
    fn names(self) -> &'static [&'static str] {
        match self {
            Role::Time => TIME,
            Role::Clock => CLOCK,
            Role::Date => DATE,
            Role::Device => DEVICE,
            Role::Value => VALUE,
        }
    }
}

/// The search for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    None,
    One(usize),
    Twice,
}

/// Finds the column whose name is the best for a role. Columns in `taken` are left out.
pub fn find(header: &[String], role: Role, taken: &[usize]) -> Found {
    let mut best: Option<(usize, usize)> = None;
    let mut is_twice = false;
    for (place, name) in header.iter().enumerate().filter(|(place, _)| !taken.contains(place)) {
        let name = plain(name);
        let Some(rank) = role.names().iter().position(|known| *known == name) else { continue };
        match best {
            Some((known, _)) if rank > known => {}
            Some((known, _)) if rank == known => is_twice = true,
            _ => (best, is_twice) = (Some((rank, place)), false),
        }
    }
    match best {
        None => Found::None,
        Some(_) if is_twice => Found::Twice,
        Some((_, place)) => Found::One(place),
    }
}

/// Finds a column by the name or the position, from 1, that the caller gave.
pub fn find_named(header: &[String], name: &str) -> Found {
    let mut places = header.iter().enumerate().filter(|(_, known)| known.trim() == name).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (Some(place), None) => Found::One(place),
        (Some(_), Some(_)) => Found::Twice,
        _ => {
            let loose = header.iter().position(|known| plain(known) == plain(name));
            let position = name.parse().ok().filter(|at| (1..=header.len()).contains(at)).map(|at: usize| at - 1);
            loose.or(position).map_or(Found::None, Found::One)
        }
    }
}

/// Returns the positions of `time`, `device` and `device_activated`, if each is there once.
pub fn contract_columns(header: &ByteRecord) -> Option<[usize; 3]> {
    let mut columns = [0; 3];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let mut places = header.iter().enumerate().filter(|(_, cell)| trim(cell).eq_ignore_ascii_case(name.as_bytes()));
        match (places.next(), places.next()) {
            (Some((place, _)), None) => *column = place,
            _ => return None,
        }
    }
    Some(columns)
}

/// Returns whether files have this name for states, counts or levels.
pub fn is_value_name(name: &str) -> bool {
    VALUE.contains(&plain(name).as_str())
}

/// Returns a name in lower case without what people put between words, and without a unit in brackets.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or_default();
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &str, role: Role) -> Found {
        find(&names.split(',').map(String::from).collect::<Vec<_>>(), role, &[])
    }

    #[test]
    fn the_best_name_wins() {
        assert_eq!(found("entity_id,state,last_changed", Role::Time), Found::One(2));
        assert_eq!(found("last_updated,last_changed", Role::Time), Found::One(1));
        assert_eq!(found("name,Sensor ID,value", Role::Device), Found::One(1));
        assert_eq!(found("Zeitstempel,Raum,Belegt", Role::Value), Found::One(2));
        assert_eq!(found("Horodatage,Pièce,État", Role::Device), Found::One(1));
        assert_eq!(found("CO2 (ppm),Temp", Role::Value), Found::One(0));
        assert_eq!(found("a,b", Role::Time), Found::None);
        assert_eq!(found("time,device,Device", Role::Device), Found::Twice);
    }

    #[test]
    fn a_given_column_is_a_name_or_a_position() {
        let header = ["When", "2", "what"].map(String::from);
        assert_eq!(find_named(&header, "When"), Found::One(0));
        assert_eq!(find_named(&header, "when"), Found::One(0));
        assert_eq!(find_named(&header, "2"), Found::One(1));
        assert_eq!(find_named(&header, "3"), Found::One(2));
        assert_eq!(find_named(&header, "4"), Found::None);
    }
}
