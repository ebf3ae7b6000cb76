//! Arguments for the readings and the site they come from.

use std::path::PathBuf;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;

use roomcast_forecast::calendar::Calendar;
use roomcast_storage::inputs::{Inputs, SiteConfig};

/// The site's clock and calendar.
#[derive(Debug, Clone, Default, Args)]
pub struct ClockArgs {
    /// The site's IANA time zone, such as Europe/Berlin; without it times are taken and given as they stand
    #[arg(long, value_name = "ZONE", env = "ROOMCAST_TIMEZONE")]
    pub timezone: Option<Tz>,
    /// Holidays: an iCalendar file (.ics) or a CSV file with a date (YYYY-MM-DD) first on each line
    #[arg(long, value_name = "FILE", env = "ROOMCAST_HOLIDAYS")]
    pub holidays: Option<PathBuf>,
    /// A day on which the site is closed, past or ahead (repeatable)
    #[arg(long, value_name = "DATE")]
    pub closed: Vec<NaiveDate>,
    /// The weekly days off
    #[arg(long, value_name = "DAYS", value_delimiter = ',', default_value = "sat,sun")]
    pub weekend: Vec<chrono::Weekday>,
    /// Count and leave out rows that cannot be read, instead of stopping at the first
    #[arg(long)]
    pub skip_bad_rows: bool,
}

impl ClockArgs {
    /// Returns the configuration of the site.
    pub fn config(&self) -> SiteConfig {
        SiteConfig {
            timezone: self.timezone,
            holidays: self.holidays.clone(),
            closed: self.closed.clone(),
            weekend: self.weekend.clone(),
            skip_bad_rows: self.skip_bad_rows,
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
    /// Readings: CSV or Parquet (- for CSV on standard input), or a store, such as readings.db (repeatable)
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
    /// Clock and calendar.
    #[command(flatten)]
    pub clock: ClockArgs,
}

impl SiteArgs {
    /// Returns the inputs and their site.
    pub fn inputs(&self) -> Inputs {
        Inputs { paths: self.input.clone(), site: self.clock.config() }
    }
}
