//! Arguments for the readings and the site they come from.

use std::path::PathBuf;

use anyhow::Context;
use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::stores;
use crate::calendar::{Calendar, Instant, days_off};
use crate::readings::{self, ReadOptions, ReadSummary, Readings};
use crate::store;

/// The site's clock and calendar.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
pub struct ClockArgs {
    /// The site's IANA time zone, such as Europe/Berlin; without it times are taken and given as they stand
    #[arg(long, value_name = "ZONE", env = "ROOMCAST_TIMEZONE")]
    #[serde(with = "zone")]
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
    /// Returns the site's calendar.
    ///
    /// # Errors
    /// Returns an error when the holidays file cannot be read or has a line that is no date.
    pub fn calendar(&self) -> anyhow::Result<Calendar> {
        let mut weekend = [false; 7];
        for day in &self.weekend {
            weekend[day.num_days_from_monday() as usize] = true;
        }
        let mut calendar =
            Calendar::new(self.timezone).with_weekend(weekend).with_days_off(self.closed.iter().copied());
        if let Some(path) = &self.holidays {
            calendar = calendar.with_days_off(days_off::read(path)?);
        }
        Ok(calendar)
    }

    /// Returns the latest instant that a reading of `paths` can have now. Readings in stores came by this machine's
    /// clock. Files may be from another part of the world.
    pub fn latest(&self, paths: &[PathBuf], calendar: &Calendar) -> Instant {
        let are_stores = paths.iter().all(|path| path.to_str().is_some_and(store::is_store));
        if are_stores { calendar.now() } else { calendar.latest() }
    }

    /// Reads the readings of `paths` before `until`, or all of them without it. Logs what was unusual.
    ///
    /// # Errors
    /// Returns an error when a file or store cannot be read, or when a file has a bad row and bad rows are not skipped.
    pub fn read(
        &self,
        paths: &[PathBuf],
        calendar: &Calendar,
        until: Option<Instant>,
    ) -> anyhow::Result<(Readings, ReadSummary)> {
        let options = ReadOptions { skip_bad_rows: self.skip_bad_rows, until };
        let (readings, summary) = read_inputs(paths, &options, calendar).context("cannot read the readings")?;
        tracing::info!(
            rows = summary.rows,
            accepted = summary.accepted,
            duplicates = summary.duplicates,
            out_of_order = summary.out_of_order,
            refused = summary.refused,
            "readings read"
        );
        if summary.set_aside > 0 {
            let examples: Vec<String> = summary.strays.iter().map(ToString::to_string).collect();
            tracing::warn!(
                readings = summary.set_aside,
                devices = examples.join("; "),
                "readings ahead of the clock or far from all others were set aside: is a sensor's clock wrong?"
            );
        }
        if summary.refused > 0 {
            tracing::warn!(
                refused = summary.refused,
                "rows could not be read and were left out; roomcast inspect lists them"
            );
        }
        Ok((readings, summary))
    }
}

/// Reads files and stores together. A reading that is in several of them counts once.
///
/// # Errors
/// Returns the errors of [`readings::read`] and [`store::open_existing`].
pub fn read_inputs(
    paths: &[PathBuf],
    options: &ReadOptions,
    calendar: &Calendar,
) -> anyhow::Result<(Readings, ReadSummary)> {
    let is_store = |path: &&PathBuf| path.to_str().is_some_and(store::is_store);
    let (stores, files): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(is_store);
    let stores = stores.into_iter().map(|url| stores::load(&url.to_string_lossy(), calendar, options.until));
    let stores = stores.collect::<anyhow::Result<Vec<_>>>()?;
    let files: Vec<PathBuf> = files.into_iter().cloned().collect();
    Ok(readings::read_with(&files, stores, options, calendar)?)
}

/// Readings and the site they come from.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
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
    /// Returns the site's calendar.
    ///
    /// # Errors
    /// Returns the errors of [`ClockArgs::calendar`].
    pub fn calendar(&self) -> anyhow::Result<Calendar> {
        self.clock.calendar()
    }

    /// Returns the readings before `until` (all without it), the calendar, and the summary of the reading.
    ///
    /// # Errors
    /// Returns the errors of [`ClockArgs::calendar`] and [`ClockArgs::read`].
    pub fn read(&self, until: Option<Instant>) -> anyhow::Result<(Readings, Calendar, ReadSummary)> {
        let calendar = self.calendar()?;
        let (readings, summary) = self.clock.read(&self.input, &calendar, until)?;
        Ok((readings, calendar, summary))
    }
}

/// Reads and writes time zones by name.
mod zone {
    use chrono_tz::Tz;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(zone: &Option<Tz>, serializer: S) -> Result<S::Ok, S::Error> {
        match zone {
            Some(zone) => serializer.serialize_some(zone.name()),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tz>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| name.parse().map_err(Error::custom)).transpose()
    }
}
