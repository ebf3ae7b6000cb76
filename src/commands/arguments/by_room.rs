//! Values for all rooms, and others for single rooms.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use roomcast_forecast::decisions::timetable::{Timetable, Timetables};

/// Reads the timetables of a site.
///
/// # Errors
/// Returns an error for a timetable that cannot be read, and without hours for all other rooms.
pub fn timetables(texts: &[String]) -> anyhow::Result<Timetables> {
    let (site, rooms) = values(texts, |text| Ok(text.parse::<Timetable>()?)).context("cannot read --timetable")?;
    let site = site.context("--timetable needs hours for rooms without hours of their own")?;
    Ok(Timetables { site, rooms })
}

/// Reads values of the form `VALUE` or `ROOM=VALUE`: at most one without a room, and one for each room.
///
/// # Errors
/// Returns an error for a value that cannot be read, or is given twice.
pub fn values<T>(
    texts: &[String],
    read: impl Fn(&str) -> anyhow::Result<T>,
) -> anyhow::Result<(Option<T>, BTreeMap<String, T>)> {
    let (mut site, mut rooms) = (None, BTreeMap::new());
    for text in texts {
        match text.rsplit_once('=') {
            Some((room, value)) => {
                let twice = rooms.insert(room.to_owned(), read(value)?).is_some();
                ensure!(!twice, "room {room:?} has two values");
            }
            None => ensure!(site.replace(read(text)?).is_none(), "there are two values for all rooms"),
        }
    }
    Ok((site, rooms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_for_all_rooms_or_for_one() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            super::values(&texts, |text| Ok(text.parse::<f64>()?)).map_err(|error| error.to_string())
        };
        let rooms = BTreeMap::from([("a=b".to_owned(), 2.0)]);
        assert_eq!(read(&["1.5", "a=b=2"]), Ok((Some(1.5), rooms)));
        assert!(read(&["1", "2"]).unwrap_err().contains("two values for all rooms"));
        assert!(read(&["a=1", "a=2"]).unwrap_err().contains("\"a\" has two values"));
        assert!(read(&["x"]).is_err());
    }
}
