//! Names of fields and columns: suggestions for misspelt ones, and what a name says about its values.

pub use super::file::is_value_name;

/// Parts of names of levels, which are above 0 also where nobody is.
const LEVEL_PARTS: [&str; 11] = [
    "temperatur",
    "températur",
    "humid",
    "feucht",
    "illumin",
    "helligkeit",
    "luminosit",
    "kohlendioxid",
    "dioxide",
    "pressure",
    "luftdruck",
];

/// Whole words of such names, most of them units.
const LEVEL_WORDS: [&str; 17] = [
    "co2", "ppm", "ppb", "temp", "°c", "°f", "lux", "lx", "rh", "voc", "tvoc", "iaq", "dba", "hpa", "pm25", "pm10",
    "kwh",
];

/// Whole words of names of counts.
const COUNT_WORDS: [&str; 8] =
    ["people", "persons", "personen", "personnes", "occupants", "headcount", "visitors", "clients"];

/// Returns whether a name says that its values are levels, such as `Büro 1 CO2 [ppm]` and `outsideTemperature`.
pub fn is_level(name: &str) -> bool {
    let plain = name.replace('₂', "2");
    let lower = plain.to_lowercase();
    LEVEL_PARTS.iter().any(|part| lower.contains(part)) || has_word(&plain, &LEVEL_WORDS)
}

/// Returns whether a name says that its values are counts or levels, or is known for values of any kind.
pub fn is_quantity(name: &str) -> bool {
    is_value_name(name) || is_level(name) || has_word(name, &COUNT_WORDS)
}

/// Returns whether one of the words of a name is in a list. Words end at punctuation and before a capital letter.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut parted = String::with_capacity(name.len() + 8);
    let mut was_lower = false;
    for c in name.chars() {
        if was_lower && c.is_uppercase() {
            parted.push(' ');
        }
        was_lower = c.is_lowercase();
        parted.extend(c.to_lowercase());
    }
    parted.split(|c: char| !c.is_alphanumeric() && c != '°').any(|word| words.contains(&word))
}

/// Returns the known name most similar to `name`, if one is similar.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known).first().copied()
}

/// Returns the known names most similar to `name`, in order of name; none if none is similar.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = known.map(|candidate| (strsim::levenshtein(name, candidate), candidate)).collect();
    near.sort_unstable();
    let least = near.first().map(|&(distance, _)| distance).filter(|&least| least <= name.chars().count().div_ceil(2));
    near.into_iter().take_while(|&(distance, _)| Some(distance) == least).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_equally_near_are_all_named() {
        let known = ["device_2", "device_1", "hall"];
        assert_eq!(nearest("device_9", known.into_iter()), ["device_1", "device_2"]);
        assert_eq!(nearest("devise_2", known.into_iter()), ["device_2"]);
        assert_eq!(closest("device_9", known.into_iter()), Some("device_1"));
        assert_eq!((nearest("zzzzzzzz", known.into_iter()).len(), closest("x", [].into_iter())), (0, None));
    }

    #[test]
    fn a_name_says_what_its_values_are() {
        for level in [
            "Büro 1 CO2 [ppm]",
            "CO₂",
            "Außentemperatur",
            "outsideTemperature",
            "lobby_temp",
            "Luftfeuchte (%)",
            "T in °C",
            "lux",
        ] {
            assert!(is_level(level) && is_quantity(level), "{level}");
        }
        for count in ["people", "peopleCount", "num_people", "Anzahl", "wifi-clients"] {
            assert!(!is_level(count) && is_quantity(count), "{count}");
        }
        for other in
            ["battery", "linkquality", "battery_level", "Luxembourg", "Office 2", "template", "personal", "floor"]
        {
            assert!(!is_level(other) && !is_quantity(other), "{other}");
        }
    }
}
