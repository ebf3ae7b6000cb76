//! Words for states, in lower case: of sensors and spreadsheets, in English, German and French.

/// Words of a reading that a sensor or a program sends.
const MOTION: &str = "1|true|on|1.0";
const REST: &str = "0|false|off|0.0";

/// More words that files have.
const OCCUPIED: &str = "occupied|detected|open|opened|motion|present|active|trigger|triggered|1,0|wahr|an|ein|belegt|erkannt|\
    offen|anwesend|bewegung|aktiv|vrai|allumé|occupé|détecté|ouvert|présent|mouvement|actif";
const VACANT: &str = "vacant|unoccupied|clear|cleared|closed|no motion|absent|inactive|normal|empty|0,0|falsch|aus|frei|\
    geschlossen|abwesend|keine bewegung|inaktiv|faux|éteint|libre|fermé|inoccupé|inactif";

/// Words for a sensor that says nothing about its room, such as one that lost its power.
const ABSENT: &str = "unavailable|unknown|offline|none";

/// Words that tables have where a value is missing.
const BLANK: &str = "nan|na|n/a|null|-";

/// Reads a word of a sensor or a program as motion or none.
pub fn motion(word: &[u8]) -> Option<bool> {
    if is_among(word, MOTION) { Some(true) } else { is_among(word, REST).then_some(false) }
}

/// Reads a word of a file as motion or none.
pub fn state(word: &[u8]) -> Option<bool> {
    let more = || if is_among(word, OCCUPIED) { Some(true) } else { is_among(word, VACANT).then_some(false) };
    motion(word).or_else(more)
}

/// Returns whether a word says that its sensor is not there.
pub fn is_absent(word: &[u8]) -> bool {
    is_among(word, ABSENT)
}

/// Returns whether a cell of a table has no value.
pub fn is_blank(word: &[u8]) -> bool {
    word.is_empty() || is_among(word, BLANK)
}

/// Returns whether a word is one of a list, whatever its case.
fn is_among(word: &[u8], list: &str) -> bool {
    if word.is_ascii() {
        return list.split('|').any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    }
    std::str::from_utf8(word).is_ok_and(|text| list.split('|').any(|known| known == text.to_lowercase()))
}
