//! The readings of a site, from files and stores together, and the site's clock and calendar.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use crate::areas;
use crate::home_assistant;
use crate::readings as store;
use roomcast_forecast::calendar::{Calendar, MAX_PRESENCE_HOURS, Timestamp, days_off, public_holidays};
use roomcast_forecast::readings::{self, Collected, FileRow, Layout, ReadError, ReadOptions, ReadSummary, Readings};
use roomcast_forecast::rooms::{Level, Rooms};

/// The configuration of a site: its clock and calendar, and how its files are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteConfig {
    /// The IANA time zone. Without it times are read and written as wall times.
    #[serde(with = "zone")]
    pub timezone: Option<Tz>,
    /// The country whose public holidays are days off: DE, or with a region DE-BY.
    pub country: Option<String>,
    /// The region of the country, such as BY, that adds its own.
    pub region: Option<String>,
    /// A file of holidays: iCalendar (.ics), or CSV with a date first on each line.
    pub holidays: Option<PathBuf>,
    /// Days on which the site is closed.
    pub closed: Vec<NaiveDate>,
    /// Holidays on which the site works.
    pub open: Vec<NaiveDate>,
    /// The weekly days off.
    pub weekend: Vec<chrono::Weekday>,
    /// Hours after a sensor's last `on` for which it counts as occupied when its `off` does not come;
    /// [`MAX_PRESENCE_HOURS`] without it.
    pub max_presence: Option<u32>,
    /// True to count and leave out rows that cannot be read, instead of stopping at the first.
    pub skip_bad_rows: bool,
    /// The layout of the files, as far as it is given.
    #[serde(default)]
    pub layout: Layout,
    /// The table of rooms, or Home Assistant's folder `.storage`; without it each sensor is its own room.
    #[serde(default)]
    pub rooms: Option<PathBuf>,
}

impl SiteConfig {
    /// Returns the site's calendar.
    ///
    /// # Errors
    /// Returns an error for an unknown country or region, a holidays file that cannot be read, and a line in it that is no
    /// date.
    pub fn calendar(&self) -> anyhow::Result<Calendar> {
        let mut weekend = [false; 7];
        for day in &self.weekend {
            weekend[day.num_days_from_monday() as usize] = true;
        }
        let mut calendar =
            Calendar::new(self.timezone).with_weekend(weekend).with_days_off(self.closed.iter().copied());
        ensure!(self.country.is_some() || self.region.is_none(), "a region needs its country (--country)");
        if let Some(country) = &self.country {
            calendar = calendar.with_public_holidays(public_holidays::days(country, self.region.as_deref())?);
        }
        if let Some(path) = &self.holidays {
            calendar = calendar.with_days_off(days_off::read(path)?);
        }
        let max_presence = self.max_presence.map_or(MAX_PRESENCE_HOURS, i64::from);
        Ok(calendar.with_working_days(self.open.iter().copied()).with_max_presence(max_presence))
    }

    /// Returns the table of rooms; an empty one where none is given.
    ///
    /// # Errors
    /// Returns the errors of [`Rooms::read`], and those of Home Assistant's registries.
    pub fn rooms(&self, calendar: &Calendar) -> anyhow::Result<Rooms> {
        match &self.rooms {
            Some(path) if path.is_dir() => areas::read(path),
            Some(path) => Rooms::read(path, calendar).context("cannot read the rooms"),
            None => Ok(Rooms::default()),
        }
    }

    /// Returns the days on which the site is closed, on which no schedule turns anything on.
    pub fn closures(&self) -> BTreeSet<NaiveDate> {
        self.closed.iter().filter(|day| !self.open.contains(day)).copied().collect()
    }
}

/// Readings, and the configuration of their site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Files and stores.
    pub paths: Vec<PathBuf>,
    /// The site.
    pub site: SiteConfig,
}

impl Inputs {
    /// Returns the latest instant that a reading of the inputs can have now. Readings in stores were stamped by this
    /// machine's clock. Files may be from another part of the world.
    pub fn latest(&self, calendar: &Calendar) -> Timestamp {
        let are_stores = self.paths.iter().all(|path| path.to_str().is_some_and(store::is_store));
        if are_stores { calendar.now() } else { calendar.latest() }
    }

    /// Reads readings as [`Inputs::read`] does, and the table of rooms. Logs how the two fit.
    ///
    /// # Errors
    /// Returns the errors of [`Inputs::read`] and [`SiteConfig::rooms`].
    pub fn read_site(&self, calendar: &Calendar, until: Option<Timestamp>) -> anyhow::Result<SiteReadings> {
        let rooms = match self.site.rooms {
            Some(_) => self.site.rooms(calendar)?,
            None => self.rooms_of_stores(calendar)?,
        };
        let (sensors, summary) = self.read(calendar, until)?;
        if let Some(path) = &self.site.rooms {
            say_rooms(&path.to_string_lossy(), &rooms, &sensors);
        }
        Ok(SiteReadings { sensors, rooms, summary, until })
    }

    /// Returns the table of rooms of the first store that has one; an empty one where none has.
    fn rooms_of_stores(&self, calendar: &Calendar) -> anyhow::Result<Rooms> {
        for path in &self.paths {
            let Some(url) = path.to_str().filter(|url| store::is_store(url)) else { continue };
            if is_home_assistant(path)? {
                continue;
            }
            let read = async { store::open_existing(url, calendar).await?.rooms().await };
            let (rooms, _) = wait(read)?.context("cannot read the rooms")?;
            if !rooms.is_empty() {
                return Ok(rooms);
            }
        }
        Ok(Rooms::default())
    }

    /// Reads the readings before `until`, or all of them without it. Logs unusual findings.
    ///
    /// # Errors
    /// Returns an error when a file or store cannot be read, or when a file has a bad row and bad rows are not skipped.
    pub fn read(&self, calendar: &Calendar, until: Option<Timestamp>) -> anyhow::Result<(Readings, ReadSummary)> {
        let options = ReadOptions { skip_bad_rows: self.site.skip_bad_rows, until, layout: self.site.layout.clone() };
        let (readings, summary) = read(&self.paths, &options, calendar).context("cannot read the readings")?;
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

/// The readings of a site by sensor, and its rooms.
#[derive(Debug, Clone)]
pub struct SiteReadings {
    /// The readings of the sensors.
    pub sensors: Readings,
    /// The table of rooms.
    pub rooms: Rooms,
    /// The summary of reading.
    pub summary: ReadSummary,
    /// The end of what is known; `None` for all readings.
    until: Option<Timestamp>,
}

impl SiteReadings {
    /// Returns the series of a level.
    pub fn at(&self, level: Level, calendar: &Calendar) -> Readings {
        match self.until {
            Some(until) => self.rooms.readings(&self.sensors, level, calendar, until),
            None => self.rooms.all_readings(&self.sensors, level, calendar),
        }
    }
}

/// Reads files, stores and databases of Home Assistant together. A reading that is in several of them counts once.
///
/// # Errors
/// Returns the errors of [`readings::read`] and [`store::open_existing`], and those of a database of Home Assistant.
pub fn read(paths: &[PathBuf], options: &ReadOptions, calendar: &Calendar) -> anyhow::Result<(Readings, ReadSummary)> {
    let mut others = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match path.to_str() {
            _ if is_home_assistant(path)? => others.push(load_home_assistant(path, options, calendar)?),
            Some(url) if store::is_store(url) => others.push(load(url, calendar, options.until)?),
            _ => files.push(path.clone()),
        }
    }
    Ok(readings::read_with(&files, others, options, calendar)?)
}

/// Says in one line how a table of rooms fits the readings, and warns of its sensors without any.
fn say_rooms(file: &str, rooms: &Rooms, sensors: &Readings) {
    let known = Level::Room.count(rooms.rooms().count());
    let (named, alone): (Vec<&str>, Vec<&str>) =
        rooms.unassigned(sensors).into_iter().partition(|name| rooms.has_room(name));
    let others = match &alone[..] {
        [] => String::new(),
        [one] => format!("; the sensor {one} is not in it and is its own room"),
        more => format!("; {} sensors are not in it, each is its own room: {}", more.len(), listed(more)),
    };
    tracing::info!(target: "roomcast::files", "{file}: {known}{others}");
    if !named.is_empty() {
        tracing::warn!(
            sensors = listed(&named),
            "sensors that are not in the table of rooms count in the rooms that it gives their names: add them to it, or name \
             these rooms otherwise"
        );
    }
    match &rooms.without_readings(sensors)[..] {
        [] => {}
        [one] => tracing::warn!("1 sensor of the table of rooms has no readings: {one}"),
        silent => {
            tracing::warn!(sensors = listed(silent), "{} sensors of the table of rooms have no readings", silent.len());
        }
    }
}

/// Joins the first names.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 5;
    let more = names.len().saturating_sub(MOST);
    let text = names[..names.len() - more].join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// Passes every row of a file or a database of Home Assistant to `take`, as [`readings::rows`] does.
///
/// # Errors
/// The errors of [`readings::rows`] and of `take`, and those of the database.
pub fn rows(
    path: &Path,
    layout: &Layout,
    calendar: &Calendar,
    mut take: impl FnMut(FileRow<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !is_home_assistant(path)? {
        return readings::rows(path, layout, calendar, take);
    }
    for edge in wait(home_assistant::read(path, calendar))??.edges {
        take(FileRow::Event { device: &edge.device, time: edge.time, motion: edge.is_on })?;
    }
    Ok(())
}

/// Returns whether a path is a database of Home Assistant.
fn is_home_assistant(path: &Path) -> anyhow::Result<bool> {
    let is_database = path.to_str().is_some_and(|name| store::is_store(name) && !name.contains(':'));
    if is_database && path.is_file() { wait(home_assistant::is_recorder(path)) } else { Ok(false) }
}

fn load_home_assistant(path: &Path, options: &ReadOptions, calendar: &Calendar) -> anyhow::Result<Collected> {
    let history = wait(home_assistant::read(path, calendar))??;
    let rows = history.edges.into_iter().map(|edge| Ok::<_, ReadError>((edge.device, edge.time, edge.is_on)));
    let mut collected = readings::collect(&path.to_string_lossy(), options, rows)?;
    collected.summary.taken = Some(history.remark);
    Ok(collected)
}

/// Waits for an answer on a thread of its own, because the caller may be a task of another runtime.
fn wait<T: Send>(answer: impl Future<Output = T> + Send) -> anyhow::Result<T> {
    let run = || {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        Ok(runtime.block_on(answer))
    };
    match std::thread::scope(|scope| scope.spawn(run).join()) {
        Ok(answer) => answer,
        Err(_) => bail!("reading a database failed"),
    }
}

/// Returns the readings of a store before `until`, or all without it, in the form of readings from a file.
///
/// # Errors
/// Returns the errors of [`store::open_existing`].
fn load(url: &str, calendar: &Calendar, until: Option<Timestamp>) -> anyhow::Result<Collected> {
    wait(async {
        let store = store::open_existing(url, calendar).await?;
        let (readings, _) = store.load(until).await?;
        let is_known = |name: &String| readings.devices.binary_search_by(|d| d.device.cmp(name)).is_ok();
        let heard = store.heard().await?;
        // The store does not know what had been heard up to an instant of the past, and what came later must not count.
        let now = calendar.now();
        let is_present = until.is_none_or(|until| until >= now);
        let latest = heard.iter().map(|&(_, time)| time).filter(|&time| is_present && time <= now).max();
        let quiet = heard.into_iter().map(|(name, _)| name).filter(|name| !is_known(name)).collect();
        let mut collected = Collected::of(&store::redacted(url), readings, quiet);
        collected.summary.heard = latest;
        Ok(collected)
    })?
}

/// Reads and writes time zones by name.
mod zone {
    use chrono_tz::Tz;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(zone: &Option<Tz>, serializer: S) -> Result<S::Ok, S::Error> {
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
