//! A text's layout, as it was found.

use csv::ByteRecord;

use super::time::TimeForm;
use crate::calendar::Timestamp;
use crate::readings::file::field::trim;

/// A text's layout.
#[derive(Debug)]
pub struct Taken {
    pub delimiter: u8,
    /// Rows above the first reading: the header, and perhaps a line that names the separator.
    pub skip: usize,
    /// Names of the columns, or their positions where there is no header.
    pub names: Vec<String>,
    pub time: TimeColumn,
    pub shape: Shape,
    /// The value above which a room is occupied; without it values are states.
    pub occupied_above: Option<f64>,
    /// One line that says what was taken for what.
    pub remark: String,
}

/// The column of the times.
#[derive(Debug)]
pub struct TimeColumn {
    pub at: usize,
    /// The column of the time of day, where the other holds the date alone.
    pub clock: Option<usize>,
    pub form: TimeForm,
}

impl TimeColumn {
    /// Returns the column as `--columns` takes it.
    pub fn name(&self, names: &[String]) -> String {
        self.clock.map_or_else(|| names[self.at].clone(), |clock| format!("{}+{}", names[self.at], names[clock]))
    }
}

/// The arrangement of readings in rows.
#[derive(Debug)]
pub enum Shape {
    /// A row for each reading. Without a column of states each row is motion.
    Long { device: usize, value: Option<usize> },
    /// A column for each room, a row for each interval.
    Wide {
        rooms: Vec<usize>,
        /// Seconds of an interval; 0 where rows have no even distance.
        length: Timestamp,
        /// True when the time of a row is the end of its interval.
        is_end: bool,
    },
}

/// Returns the time of a row, put together from date and time of day where they are apart.
pub fn join(row: &ByteRecord, at: usize, clock: Option<usize>) -> Option<Vec<u8>> {
    let time = trim(row.get(at)?);
    let Some(clock) = clock else { return Some(time.to_vec()) };
    // A spreadsheet gives a date with the time of midnight.
    let date = time.split(|byte| *byte == b' ').next().unwrap_or_default();
    Some([date, b" ", trim(row.get(clock)?)].concat())
}
