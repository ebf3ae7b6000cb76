//! `roomcast store`: hourly counts, backup, packing, retention, rooms and quarantine.

mod quarantine;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use crate::commands::arguments::{OpenStore, StoreArgs};
use crate::commands::output::{print, remark};
use quarantine::QuarantineArgs;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::files;
use roomcast_forecast::readings::field::COLUMNS;
use roomcast_forecast::rooms::Level;
use roomcast_storage::inputs::SiteConfig;
use roomcast_storage::readings::HourCount;

/// Readings of wrong clocks are deleted only if they are at most one in this many.
const MIN_READINGS_PER_STRAY: usize = 10;

/// Seconds of a day, the unit in which a store keeps its readings.
const DAY: i64 = 86_400;

/// Count, back up, pack, delete and repair the readings of a store.
#[derive(Debug, Args)]
pub struct StoreCommand {
    /// Action to run
    #[command(subcommand)]
    action: Action,
}

/// The actions on a store.
#[derive(Debug, Subcommand)]
enum Action {
    /// Write the number of readings of each device in each hour as CSV: hour, device, readings
    #[command(after_help = "Example:\n  roomcast store hours --store readings.db --days 7 hours.csv")]
    Hours {
        #[command(flatten)]
        at: StoreArgs,
        /// Number of days up to the last reading; without it, all days
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// File to write; - for standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Copy a SQLite store to a file; the store may be in use, and the copy has its state at one time
    #[command(after_help = "Example:\n  roomcast store backup --store readings.db backup/readings.db")]
    Backup {
        #[command(flatten)]
        at: StoreArgs,
        /// File to write; a file of that name is replaced when the copy is complete
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Pack past days into one row per device and day; forecasts, late and repeated readings stay the same
    #[command(after_help = "Example:\n  roomcast store pack --store readings.db --days 7")]
    Pack {
        #[command(flatten)]
        at: StoreArgs,
        /// Number of days up to the last reading that are not packed
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
    /// Delete readings, and refused rows, that are a number of days older than the last reading
    #[command(after_help = "Example:\n  roomcast store retain --store readings.db --days 730")]
    Retain {
        #[command(flatten)]
        at: StoreArgs,
        /// Number of days up to the last reading to keep
        #[arg(long, value_name = "N")]
        days: u32,
    },
    /// Write readings of wrong clocks as CSV: those far from all others, or ahead of this machine's clock
    #[command(after_help = "Example:\n  roomcast store strays --store readings.db --drop strays.csv")]
    Strays {
        #[command(flatten)]
        at: StoreArgs,
        /// Delete them from the store, by whole days, after they are written
        #[arg(long)]
        drop: bool,
        /// File to write; - for standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Write the table of rooms as CSV, or replace it
    #[command(
        after_help = "Examples:\n  roomcast store rooms --store readings.db\n  roomcast store rooms --store readings.db --set rooms.csv"
    )]
    Rooms {
        #[command(flatten)]
        at: StoreArgs,
        /// Table that replaces the one in the store, as serve --rooms takes it; one without rows makes each device a room
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
        /// File to write; - for standard output
        #[arg(value_name = "FILE", default_value = "-", conflicts_with = "set")]
        file: PathBuf,
    },
    /// List refused rows, and read them again
    Quarantine(QuarantineArgs),
}

/// Runs the action and prints the result.
///
/// # Errors
/// Returns [`roomcast_storage::readings::StoreError`] when the store fails.
pub fn run(args: &StoreCommand) -> anyhow::Result<()> {
    match &args.action {
        Action::Hours { at, days, file } => {
            files::check(file)?;
            let opened = at.open()?;
            let from = days.map(|days| days_back(&opened, days)).transpose()?;
            let hours = opened.wait(opened.store.hours(from)).context("cannot read the store")?;
            if hours.is_empty() {
                remark("the store has no readings in these days");
            }
            files::write(file, &csv_of(&hours, &opened.calendar)?)
        }
        Action::Backup { at, file } => {
            files::check(file)?;
            let opened = at.open()?;
            opened.wait(opened.store.backup(file)).context("cannot back up the store")?;
            print(format!("{} written\n", file.display()))
        }
        Action::Pack { at, days } => {
            let opened = at.open()?;
            let before = days_back(&opened, *days)?;
            let packed = opened.wait(opened.store.pack(before)).context("cannot pack the store")?;
            print(format!("{packed} readings packed\n"))
        }
        Action::Retain { at, days } => {
            let opened = at.open()?;
            let from = days_back(&opened, *days)?;
            let dropped = opened.wait(opened.store.retain(from)).context("cannot delete readings")?;
            print(format!("{dropped} readings dropped\n"))
        }
        Action::Strays { at, drop, file } => strays(&at.open()?, *drop, file),
        Action::Rooms { at, set: Some(table), .. } => {
            let opened = at.create()?;
            let rooms = SiteConfig { rooms: Some(table.clone()), ..SiteConfig::default() }.rooms(&opened.calendar)?;
            opened.wait(opened.store.set_rooms(&rooms)).context("cannot store the rooms")?;
            print(format!("{} stored\n", Level::Room.count(rooms.rooms().count())))
        }
        Action::Rooms { at, set: None, file } => {
            files::check(file)?;
            let opened = at.open()?;
            let (rooms, _) = opened.wait(opened.store.rooms()).context("cannot read the rooms")?;
            files::write(file, &rooms.csv(&opened.calendar))
        }
        Action::Quarantine(args) => quarantine::run(args),
    }
}

/// Writes readings of days outside those in which the site was in use, and deletes them if `drop` is set.
fn strays(opened: &OpenStore, drop: bool, file: &Path) -> anyhow::Result<()> {
    files::check(file)?;
    let (readings, _) = opened.wait(opened.store.load(None)).context("cannot read the store")?;
    let Some((first, last)) = readings.bulk(opened.calendar.latest()) else { return files::write(file, &[]) };
    // Readings of today and tomorrow, and those that arrive meanwhile, stay.
    let last = last.max(opened.calendar.latest());
    let (first_day, last_day) = (first.div_euclid(DAY), last.div_euclid(DAY));
    let is_stray = |time: &Timestamp| !(first_day..=last_day).contains(&time.div_euclid(DAY));
    let (mut out, mut written) = (csv::Writer::from_writer(Vec::new()), 0);
    out.write_record(COLUMNS)?;
    for device in &readings.devices {
        for time in device.times.iter().filter(is_stray) {
            out.write_record([&opened.calendar.format(time), &device.device, "1"])?;
            written += 1;
        }
    }
    files::write(file, &out.into_inner()?)?;
    if drop && written > 0 {
        let all = readings.len();
        ensure!(
            written * MIN_READINGS_PER_STRAY <= all,
            "{written} of {all} readings are too many to be errors of clocks: nothing is deleted"
        );
        let dropped = opened.wait(opened.store.retain_between(first, last)).context("cannot delete the readings")?;
        tracing::info!(readings = dropped, "deleted from the store");
    }
    Ok(())
}

/// Returns the hours by their start, with the offset of the zone, because an hour may occur twice.
fn csv_of(hours: &[HourCount], calendar: &Calendar) -> anyhow::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["hour", "device", "readings"])?;
    for HourCount { device, hour, count } in hours {
        out.write_record([&calendar.rfc3339(calendar.start(*hour)), device, &count.to_string()])?;
    }
    Ok(out.into_inner()?)
}

/// Returns the instant some days before the present, or before the last event of a store of the past. A store that was
/// filled from old files has days too, and is not emptied because of its age.
fn days_back(opened: &OpenStore, days: u32) -> anyhow::Result<Timestamp> {
    let now = opened.calendar.now();
    let heard = opened.wait(opened.store.heard()).context("cannot read the store")?;
    let last = heard.into_iter().map(|(_, time)| time).filter(|time| *time <= now).max();
    Ok(last.unwrap_or(now) - i64::from(days) * DAY)
}
