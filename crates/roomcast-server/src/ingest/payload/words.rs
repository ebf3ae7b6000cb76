//! Words in which sensors, gateways and home automation say that a room is in use or that something moves.

use std::borrow::Cow;

use roomcast_forecast::readings::field;

/// Words for presence, motion or an open door. `1`, `true` and `on` are those of files.
const OCCUPIED: [&str; 13] = [
    "occupied",
    "present",
    "presence",
    "motion",
    "motion_detected",
    "detected",
    "movement",
    "trigger",
    "triggered",
    "active",
    "yes",
    "open",
    "opened",
];

/// Their opposites. `0`, `false` and `off` are those of files.
const VACANT: [&str; 17] = [
    "vacant",
    "unoccupied",
    "empty",
    "absent",
    "absence",
    "no_presence",
    "no_motion",
    "no_motion_detected",
    "not_detected",
    "undetected",
    "clear",
    "normal",
    "idle",
    "inactive",
    "no",
    "close",
    "closed",
];

/// Returns the message about a text that is no such word.
pub(crate) fn expected(found: &str) -> String {
    format!("expected on or off, or a word such as occupied or vacant, found {:?}", field::excerpt(found.as_bytes()))
}

/// Reads a word; `None` for an unknown one. Spaces and hyphens count as underscores.
pub(crate) fn read(text: &str) -> Option<bool> {
    let text = text.trim();
    if let Ok(motion) = field::motion(text.as_bytes()) {
        return Some(motion);
    }
    let plain: Cow<'_, str> =
        if text.contains([' ', '-']) { text.replace([' ', '-'], "_").into() } else { text.into() };
    let is_in = |words: &[&str]| words.iter().any(|word| plain.eq_ignore_ascii_case(word));
    if is_in(&OCCUPIED) { Some(true) } else { is_in(&VACANT).then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case_and_no_word_means_both() {
        for (text, meaning) in [
            ("ON", Some(true)),
            ("Occupied", Some(true)),
            ("vacant", Some(false)),
            ("Motion detected", Some(true)),
            ("no-motion", Some(false)),
            ("1.0", Some(true)),
            ("2", None),
            ("", None),
            ("unknown", None),
        ] {
            assert_eq!(read(text), meaning, "{text:?}");
        }
        assert!(OCCUPIED.iter().all(|word| read(word) == Some(true)));
        assert!(VACANT.iter().all(|word| read(word) == Some(false)));
    }
}
