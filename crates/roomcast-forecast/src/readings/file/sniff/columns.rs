//! The roles of a text's columns: by the caller's word, by their names, and by what is in them.

use super::header::{self, Found, Role};
use super::layout::Layout;
use super::sample::Sample;
use super::taken::join;
use super::time::{self, Forms};
use crate::readings::file::error::ReadError;
use crate::readings::file::field::{Clock, name, number, state};
use crate::readings::file::words::{is_absent, is_blank};

/// The positions of columns.
pub struct Roles {
    pub time: usize,
    /// The time of day, where the other column holds the date alone.
    pub clock: Option<usize>,
    /// The device, unless there are rooms.
    pub device: usize,
    pub value: Option<usize>,
    /// Columns of rooms, where each has its own.
    pub rooms: Option<Vec<usize>>,
}

/// The kind of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    /// States such as 1, 0, on and off.
    States,
    /// Numbers, not all of them states.
    Numbers,
    Texts,
    /// No cell has content.
    Blank,
}

impl Roles {
    /// Finds the columns of a sample.
    ///
    /// # Errors
    /// [`ReadError::Header`] that names the role of a column that is not there or cannot be told from others.
    pub fn find(sample: &Sample<'_>, layout: &Layout, clock: &mut Clock<'_>) -> Result<Roles, ReadError> {
        let given = &layout.columns;
        let named = |role, name: &Option<String>| name.as_deref().map(|name| sample.named(role, name)).transpose();
        let (time, of_day) = sample.time(given.time.as_deref(), layout.time_format.is_some(), clock)?;
        let mut taken: Vec<usize> = std::iter::once(time).chain(of_day).collect();
        let roles = |device, value, rooms| Ok(Roles { time, clock: of_day, device, value, rooms });
        if !given.rooms.is_empty() {
            let rooms = given.rooms.iter().map(|name| sample.named("room", name));
            return roles(0, None, Some(rooms.collect::<Result<_, _>>()?));
        }
        let value = named("value", &given.value)?;
        taken.extend(value);
        let device = match named("device", &given.device)? {
            Some(device) => Some(device),
            None => sample.by_name("device", Role::Device, &taken)?,
        };
        taken.extend(device);
        let value = match (value, device) {
            (Some(value), _) => Some(value),
            (None, Some(_)) => sample.by_name("value", Role::Value, &taken)?,
            (None, None) => None,
        };
        taken.extend(value);
        let others: Vec<(usize, Cells)> = (0..sample.names.len())
            .filter(|place| !taken.contains(place))
            .map(|place| (place, sample.kind(place)))
            .collect();
        let only = |kind: Cells| {
            let mut places = others.iter().filter(|other| other.1 == kind).map(|other| other.0);
            places.next().filter(|_| places.next().is_none())
        };
        match (device, value) {
            (Some(device), Some(value)) => roles(device, Some(value), None),
            // `time,Kitchen` with states below: the name of a room may be a name of the column of devices.
            (Some(device), None) if others.is_empty() && sample.has_header && sample.kind(device) == Cells::States => {
                roles(0, None, Some(vec![device]))
            }
            // Times and devices alone: each row is motion.
            (Some(device), None) if others.is_empty() => roles(device, None, None),
            (Some(device), None) => match only(Cells::States).or_else(|| only(Cells::Numbers)) {
                Some(value) => roles(device, Some(value), None),
                None => Err(sample.lacks("value")),
            },
            (None, Some(value)) => match only(Cells::Texts).or_else(|| only(Cells::Numbers)) {
                Some(device) => roles(device, Some(value), None),
                None => Err(sample.lacks("device")),
            },
            (None, None) if sample.has_header => {
                let is_room = |&(place, kind): &(usize, Cells)| {
                    kind != Cells::Texts && name(sample.names[place].as_bytes()).is_ok()
                };
                let are_rooms = !others.is_empty() && others.iter().all(is_room);
                // `time,co2,people` is one room without a name, not two rooms.
                let has_values = others.len() > 1 && sample.by_name("value", Role::Value, &taken)?.is_some();
                if are_rooms && !has_values {
                    return roles(0, None, Some(others.into_iter().map(|other| other.0).collect()));
                }
                match (only(Cells::Texts), only(Cells::States)) {
                    (Some(device), Some(value)) if others.len() == 2 => roles(device, Some(value), None),
                    _ => Err(sample.lacks("device")),
                }
            }
            (None, None) => {
                let value = only(Cells::States);
                match (only(Cells::Texts).or_else(|| only(Cells::Numbers)), value) {
                    (Some(device), Some(value)) => roles(device, Some(value), None),
                    (Some(device), None) if others.len() == 1 => roles(device, None, None),
                    (None, Some(_)) => Err(sample.lacks("device")),
                    _ => Err(sample.lacks("value")),
                }
            }
        }
    }
}

impl Sample<'_> {
    /// Returns the column that the caller named.
    fn named(&self, role: &'static str, name: &str) -> Result<usize, ReadError> {
        match header::find_named(&self.names, name) {
            Found::One(place) => Ok(place),
            Found::Twice => {
                Err(self.header_error("more than one", role, format!("give its position: --columns {role}=1")))
            }
            Found::None => {
                let near = crate::readings::names::closest(name, self.names.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("--columns says {role}={name}; did you mean {role}={near}?"),
                    None => {
                        format!("--columns says {role}={name}; a column is a name of the header or a position from 1")
                    }
                };
                Err(self.header_error("no", role, hint))
            }
        }
    }

    /// Returns the column with the best name for a role.
    fn by_name(&self, column: &'static str, role: Role, taken: &[usize]) -> Result<Option<usize>, ReadError> {
        match header::find(&self.names, role, taken) {
            Found::None => Ok(None),
            Found::One(place) => Ok(Some(place)),
            Found::Twice => Err(self.header_error("more than one", column, "give one of the two another name".into())),
        }
    }

    /// Returns the column of times, and that of the time of day.
    fn time(
        &self,
        given: Option<&str>,
        has_form: bool,
        clock: &mut Clock<'_>,
    ) -> Result<(usize, Option<usize>), ReadError> {
        if let Some(given) = given {
            let whole = header::find_named(&self.names, given);
            return match given.split_once('+') {
                Some((date, of_day)) if whole == Found::None => {
                    Ok((self.named("time", date.trim())?, Some(self.named("time", of_day.trim())?)))
                }
                _ => Ok((self.named("time", given)?, None)),
            };
        }
        if let Some(pair) = self.date_and_clock(clock) {
            return Ok(pair);
        }
        let mut are_times = |place: usize| {
            let mut cells = self.cells(place).filter(|cell| !is_blank(cell)).peekable();
            cells.peek().is_some() && !matches!(time::form(cells, clock), Forms::Unknown)
        };
        let named = self.by_name("time", Role::Time, &[])?;
        if let Some(place) = named.filter(|&place| has_form || self.rows.is_empty() || are_times(place)) {
            return Ok((place, None));
        }
        let mut places = (0..self.names.len()).filter(|&place| are_times(place));
        match (places.next(), places.next(), named) {
            (Some(place), None, _) | (_, _, Some(place)) => Ok((place, None)),
            _ => Err(self.lacks("time")),
        }
    }

    /// Finds a date and a time of day in columns of their own.
    fn date_and_clock(&self, clock: &mut Clock<'_>) -> Option<(usize, Option<usize>)> {
        let (Found::One(date), row) = (header::find(&self.names, Role::Date, &[]), self.rows.first()?) else {
            return None;
        };
        let Found::One(of_day) = header::find(&self.names, Role::Clock, &[date]) else { return None };
        let mut is_time = |cell: &[u8]| !matches!(time::form(std::iter::once(cell), clock), Forms::Unknown);
        let joined = join(row, date, Some(of_day))?;
        let is_pair = !is_time(row.get(of_day)?) && is_time(&joined);
        is_pair.then_some((date, Some(of_day)))
    }

    /// Returns the kind of most cells: some are errors, such as the word of a device that failed.
    fn kind(&self, place: usize) -> Cells {
        let (mut states, mut numbers, mut texts) = (0, 0, 0);
        for cell in self.cells(place).filter(|cell| !is_blank(cell) && !is_absent(cell)) {
            match () {
                () if state(cell).is_ok() => states += 1,
                () if number(cell).is_some() => numbers += 1,
                () => texts += 1,
            }
        }
        match (states, numbers, texts) {
            (0, 0, 0) => Cells::Blank,
            (_, 0, _) if texts < states => Cells::States,
            // Names of rooms may be numbers for the most part.
            _ if 9 * texts > states + numbers => Cells::Texts,
            _ => Cells::Numbers,
        }
    }

    /// Returns the error of a column that is not there, with the columns to choose from.
    fn lacks(&self, role: &'static str) -> ReadError {
        let hint = match role {
            _ if self.names.iter().any(|name| name.contains('\0')) => {
                "the file is not plain text; save it as CSV in UTF-8".to_owned()
            }
            "time" if self.has_header => {
                "delete lines above the header, if there are any, or say which column it is: --columns time=NAME"
                    .to_owned()
            }
            "time" => "say which column it is, by its position: --columns time=1".to_owned(),
            _ => {
                let example = "--columns time=NAME,device=NAME,value=NAME, or, with a column for each room, --columns \
                               time=NAME,room=NAME,room=NAME";
                format!("say which columns hold what: {example}")
            }
        };
        self.header_error("no", role, hint)
    }
}
