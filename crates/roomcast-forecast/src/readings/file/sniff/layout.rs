//! The layout of a file as far as a caller gives it. The rest is found from the file's beginning.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::TimeForm;
use crate::readings::file::source::encoding::Encoding;

/// The layout of files, as far as it is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// The columns by role.
    pub columns: Columns,
    /// The form of times.
    pub time_format: Option<TimeForm>,
    /// The separator of columns.
    pub delimiter: Option<Delimiter>,
    /// The value above which a room is occupied.
    pub occupied_above: Option<f64>,
    /// True when the time of a row is the end of its interval.
    pub interval_end: bool,
    /// The encoding of text.
    pub encoding: Option<Encoding>,
}

impl Layout {
    /// A layout that is found from the file alone.
    pub const FOUND: Layout = Layout {
        columns: Columns { time: None, device: None, value: None, rooms: Vec::new() },
        time_format: None,
        delimiter: None,
        occupied_above: None,
        interval_end: false,
        encoding: None,
    };

    /// Returns whether nothing is given.
    pub fn is_found(&self) -> bool {
        *self == Layout::FOUND
    }
}

/// Columns by role: each is the name in the header, or the position from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Columns {
    /// The time; two columns, date and time of day, are joined by `+`.
    pub time: Option<String>,
    /// The device's name.
    pub device: Option<String>,
    /// The state, count or level.
    pub value: Option<String>,
    /// Columns of rooms, where each room has a column of its own.
    pub rooms: Vec<String>,
}

impl Columns {
    /// Adds a column given as `ROLE=NAME`.
    ///
    /// # Errors
    /// Returns a message that names the roles.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let (role, name) = text.split_once('=').unwrap_or((text, ""));
        let name = name.trim();
        if name.is_empty() {
            return Err(format!("expected ROLE=NAME, such as time=timestamp; found {text:?}"));
        }
        let place = match role.trim() {
            "time" => &mut self.time,
            "device" => &mut self.device,
            "value" => &mut self.value,
            "room" => {
                self.rooms.push(name.to_owned());
                return Ok(());
            }
            other => return Err(format!("there is no role {other:?}: expected time, device, value or room")),
        };
        match place.replace(name.to_owned()) {
            Some(_) => Err(format!("{role} is given twice")),
            None => Ok(()),
        }
    }
}

/// The separator of columns: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delimiter(pub u8);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            _ if text.eq_ignore_ascii_case("tab") || text == "\\t" => Ok(Delimiter(b'\t')),
            [byte] if *byte == b'\t' || byte.is_ascii_punctuation() && *byte != b'"' => Ok(Delimiter(*byte)),
            _ => Err("expected one character such as ; or the word tab".to_owned()),
        }
    }
}

/// Returns a separator as it is written in a sentence.
pub fn delimiter_name(byte: u8) -> String {
    if byte == b'\t' { "tabs".to_owned() } else { format!("`{}`", char::from(byte)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_given_by_role() {
        let mut columns = Columns::default();
        for text in ["time=Datum+Uhrzeit", "device= Raum ", "value=3", "room=A", "room=B"] {
            columns.add(text).unwrap();
        }
        let rooms = vec!["A".to_owned(), "B".to_owned()];
        let [time, device, value] = ["Datum+Uhrzeit", "Raum", "3"].map(|name| Some(name.to_owned()));
        assert_eq!(columns, Columns { time, device, value, rooms });
        for wrong in ["time", "time=", "when=x", "time=again"] {
            assert!(columns.add(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn separators_are_one_character() {
        for (text, byte) in [(";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("|", b'|')] {
            assert_eq!(text.parse(), Ok(Delimiter(byte)));
        }
        for wrong in ["", "a", "\"", ";;", "ä"] {
            assert!(wrong.parse::<Delimiter>().is_err(), "{wrong}");
        }
    }
}
