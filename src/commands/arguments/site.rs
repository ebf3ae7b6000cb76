//! The readings and the site they come from.

use std::path::PathBuf;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;
use clap::builder::Resettable;
use clap::error::ErrorKind;

use super::{FileArgs, RoomsArgs, values};
use crate::commands::wrong_usage;
use roomcast_forecast::calendar::{Calendar, MAX_PRESENCE_HOURS};
use roomcast_forecast::readings::Layout;
use roomcast_storage::inputs::{Inputs, SiteConfig};

/// The place of the site, for its public holidays.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Country whose public holidays are days off, two letters (ISO 3166-1), such as DE; with a region also DE-BY
    #[arg(long, value_name = "CODE", env = "ROOMCAST_COUNTRY")]
    pub country: Option<String>,
    /// State, province or other region of the country with holidays of its own (ISO 3166-2), such as BY
    #[arg(long, value_name = "CODE", requires = "country", env = "ROOMCAST_REGION")]
    pub region: Option<String>,
}

/// The site's clock and calendar.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Site")]
pub struct ClockArgs {
    /// IANA time zone of the site, such as Europe/Berlin; without it, times are read and written as they stand
    #[arg(long, value_name = "ZONE", value_parser = values::timezone, env = "ROOMCAST_TIMEZONE")]
    pub timezone: Option<Tz>,
    /// Place of the site.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// File of holidays: iCalendar (.ics), or CSV with a date (YYYY-MM-DD) in the first column
    #[arg(long, value_name = "FILE", env = "ROOMCAST_HOLIDAYS")]
    pub holidays: Option<PathBuf>,
    /// Day on which the site is closed, in the past or the future (repeatable)
    #[arg(long, value_name = "DATE")]
    pub closed: Vec<NaiveDate>,
    /// Holiday on which the site works all the same (repeatable)
    #[arg(long, value_name = "DATE")]
    pub open: Vec<NaiveDate>,
    /// Weekly days off, separated by commas
    #[arg(long, value_name = "DAYS", value_delimiter = ',', default_value = "sat,sun")]
    pub weekend: Vec<chrono::Weekday>,
    /// Hours for which a room stays occupied after its sensor's last on, when no off comes
    #[arg(long, value_name = "HOURS", default_value_t = MAX_PRESENCE_HOURS as u32, value_parser = clap::value_parser!(u32).range(1..=168), env = "ROOMCAST_MAX_PRESENCE")]
    pub max_presence: u32,
    /// Skip and count rows that cannot be read; without it, the first one is an error
    #[arg(long)]
    pub skip_bad_rows: bool,
}

impl ClockArgs {
    /// Returns the configuration of the site.
    pub fn config(&self) -> SiteConfig {
        SiteConfig {
            layout: Layout::FOUND,
            timezone: self.timezone,
            country: self.place.country.clone(),
            region: self.place.region.clone(),
            holidays: self.holidays.clone(),
            closed: self.closed.clone(),
            open: self.open.clone(),
            weekend: self.weekend.clone(),
            max_presence: Some(self.max_presence),
            skip_bad_rows: self.skip_bad_rows,
            rooms: None,
        }
    }

    /// Returns the site's calendar.
    ///
    /// # Errors
    /// Returns the errors of [`SiteConfig::calendar`].
    pub fn calendar(&self) -> anyhow::Result<Calendar> {
        self.config().calendar()
    }
}

/// Readings and the site they come from.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteArgs {
    /// Readings: a file (CSV, Excel, Parquet, also packed), a directory, a store such as readings.db, a Home Assistant
    /// database, or - for standard input (repeatable)
    #[arg(
        long,
        short,
        value_name = "FILE",
        required = true,
        env = "ROOMCAST_INPUT",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub input: Vec<PathBuf>,
    /// Layout of the files.
    #[command(flatten)]
    pub files: FileArgs,
    /// Sensors of the rooms.
    #[command(flatten)]
    pub rooms: RoomsArgs,
    /// Clock and calendar.
    #[command(flatten)]
    pub clock: ClockArgs,
}

impl SiteArgs {
    /// Returns the inputs and their site.
    pub fn inputs(&self) -> Inputs {
        let site = SiteConfig { layout: self.files.layout(), rooms: self.rooms.rooms.clone(), ..self.clock.config() };
        Inputs { paths: self.input.clone(), site }
    }
}

/// Variable that names the readings if no argument does.
const INPUT_VARIABLE: &str = "ROOMCAST_INPUT";

/// Readings and the site they come from, of a command that takes a file of readings also as its last position.
#[derive(Debug, Clone, Default, Args)]
#[command(mut_arg("input", |input| input.required(false).env(Resettable::Reset)))]
pub struct PlacedSiteArgs {
    /// Readings, unless --input or ROOMCAST_INPUT names them
    #[arg(value_name = "INPUT")]
    file: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
}

impl PlacedSiteArgs {
    /// Returns the inputs of a command and their site.
    ///
    /// # Errors
    /// Returns a wrong usage when no readings are named, or both the position and `--input` name some.
    pub fn inputs(&self, command: &str) -> anyhow::Result<Inputs> {
        let paths = match (&self.site.input[..], &self.file) {
            ([], Some(file)) => vec![file.clone()],
            ([], None) => from_variable().ok_or_else(|| {
                let message = "the readings are required: --input FILE, or the position INPUT";
                wrong_usage(command, ErrorKind::MissingRequiredArgument, message)
            })?,
            (inputs, None) => inputs.to_vec(),
            (_, Some(_)) => {
                let message = "the readings are named twice, by --input and by the position INPUT";
                return Err(wrong_usage(command, ErrorKind::ArgumentConflict, message));
            }
        };
        Ok(Inputs { paths, ..self.site.inputs() })
    }
}

/// Returns the readings that [`INPUT_VARIABLE`] names, if it names any.
pub fn from_variable() -> Option<Vec<PathBuf>> {
    let paths = std::env::var(INPUT_VARIABLE).ok().filter(|paths| !paths.is_empty())?;
    Some(paths.split(',').map(PathBuf::from).collect())
}
