//! The layout of files of readings.

use clap::Args;
use roomcast_forecast::readings::{Columns, Delimiter, Encoding, Layout, TimeForm};

/// The heading in the help. It is given for each option, because a heading of the whole would also be that of what follows.
const HEADING: &str = "Layout of files (found from their first rows without these)";

/// The layout of files, where the one that is found is not the right one.
#[derive(Debug, Clone, Default, Args)]
pub struct FileArgs {
    /// Columns by name or position: time=…, device=…, value=…, or room=… for each column that is a room; a date and a time
    /// of day are joined: time=Date+Time
    #[arg(help_heading = HEADING, long, value_name = "ROLE=NAME", value_parser = columns, env = "ROOMCAST_COLUMNS")]
    columns: Option<Columns>,
    /// Form of times: iso, day-first, month-first, seconds, milliseconds, or a pattern such as '%d/%m/%Y %H:%M'
    #[arg(help_heading = HEADING, long, value_name = "FORM", env = "ROOMCAST_TIME_FORMAT")]
    time_format: Option<TimeForm>,
    /// Separator of columns: one character, or tab
    #[arg(help_heading = HEADING, long, value_name = "CHARACTER", env = "ROOMCAST_DELIMITER")]
    delimiter: Option<Delimiter>,
    /// Value above which a room is occupied, for counts and levels (people, Wi-Fi clients, CO₂), such as 0
    #[arg(help_heading = HEADING, long, value_name = "NUMBER", value_parser = number, allow_negative_numbers = true, env = "ROOMCAST_OCCUPIED_ABOVE")]
    occupied_above: Option<f64>,
    /// The time of a row is the end of its interval, in files with a column for each room
    #[arg(help_heading = HEADING, long)]
    interval_end: bool,
    /// Encoding of text, such as windows-1252, which Excel writes, or macintosh
    #[arg(help_heading = HEADING, long, value_name = "NAME", env = "ROOMCAST_ENCODING")]
    encoding: Option<Encoding>,
}

impl FileArgs {
    /// Returns the layout as far as it is given.
    pub fn layout(&self) -> Layout {
        Layout {
            columns: self.columns.clone().unwrap_or_default(),
            time_format: self.time_format.clone(),
            delimiter: self.delimiter,
            occupied_above: self.occupied_above,
            interval_end: self.interval_end,
            encoding: self.encoding,
        }
    }
}

/// Parses `time=…,device=…,value=…`.
fn columns(text: &str) -> Result<Columns, String> {
    let mut columns = Columns::default();
    text.split(',').try_for_each(|column| columns.add(column))?;
    Ok(columns)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "expected a number".to_owned())
}
