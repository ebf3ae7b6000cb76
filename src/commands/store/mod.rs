//! `roomcast store`: hourly counts, backup, packing, retention and quarantine.

mod quarantine;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};

use super::stores::{Opened, StoreArgs};
use quarantine::QuarantineArgs;
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::files;
use roomcast_forecast::readings::field::COLUMNS;
use roomcast_storage::readings::HourCount;

/// Readings of wrong clocks are removed only if they are at most one in this many.
const MOST_DROPPED: usize = 10;

/// Seconds of a day, the unit by which a store keeps its readings.
const DAY: i64 = 86_400;

/// Sum up, back up, pack, shorten and repair a store.
#[derive(Debug, Args)]
pub struct StoreCommand {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with a store.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Write how many readings each device has in each hour, as CSV: hour, device, readings
    #[command(after_help = "Example:\n  roomcast store hours --store readings.db --days 7 hours.csv")]
    Hours {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// Only the last days, counted from now; all of them without it
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// The file; - for standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Copy a SQLite store to a file while it is in use; the copy is a store of one moment
    #[command(after_help = "Example:\n  roomcast store backup --store readings.db backup/readings.db")]
    Backup {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// The file; it appears when it is whole, in place of any of that name
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Pack closed days: one row per device and day; forecasts, late and repeated readings are the same as before
    #[command(after_help = "Example:\n  roomcast store pack --store readings.db --days 7")]
    Pack {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// Days at the end that are left as they are
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
    /// Drop readings, and what was refused, older than a number of days
    #[command(after_help = "Example:\n  roomcast store retain --store readings.db --days 730")]
    Retain {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// Days to keep
        #[arg(long, value_name = "N")]
        days: u32,
    },
    /// Write readings of wrong clocks as CSV (far from all others, or ahead of this clock), and take them out with --drop
    #[command(after_help = "Example:\n  roomcast store strays --store readings.db --drop strays.csv")]
    Strays {
        /// Store and zone.
        #[command(flatten)]
        at: StoreArgs,
        /// Take them out of the store once they are written; by whole days
        #[arg(long)]
        drop: bool,
        /// The file; - for standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// List what was refused, and try it again
    Quarantine(QuarantineArgs),
}

/// Runs the action and prints the result.
///
/// # Errors
/// Returns [`roomcast_storage::readings::StoreError`] when the store fails. A reader that closes the pipe early is no error.
pub fn run(args: &StoreCommand) -> anyhow::Result<()> {
    match &args.action {
        Action::Hours { at, days, file } => {
            files::check(file)?;
            let opened = at.open()?;
            let from = days.map(|days| days_ago(&opened, days));
            let hours = opened.wait(opened.store.hours(from)).context("cannot read the store")?;
            files::write(file, &csv_of(&hours, &opened.calendar)?)
        }
        Action::Backup { at, file } => {
            files::check(file)?;
            let opened = at.open()?;
            opened.wait(opened.store.backup(file)).context("cannot back up the store")?;
            print(&format!("{} written\n", file.display()))
        }
        Action::Pack { at, days } => {
            let opened = at.open()?;
            let before = days_ago(&opened, *days);
            let packed = opened.wait(opened.store.pack(before)).context("cannot pack the store")?;
            print(&format!("{packed} readings packed\n"))
        }
        Action::Retain { at, days } => {
            let opened = at.open()?;
            let from = days_ago(&opened, *days);
            let dropped = opened.wait(opened.store.retain(from)).context("cannot drop readings")?;
            print(&format!("{dropped} readings dropped\n"))
        }
        Action::Strays { at, drop, file } => strays(&at.open()?, *drop, file),
        Action::Quarantine(args) => quarantine::run(args),
    }
}

/// Writes readings of days outside those in which the site was in use, and removes them if `drop` is set.
fn strays(opened: &Opened, drop: bool, file: &Path) -> anyhow::Result<()> {
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
        for time in device.times.iter().filter(|time| is_stray(time)) {
            out.write_record([&opened.calendar.format(*time), &device.device, "1"])?;
            written += 1;
        }
    }
    files::write(file, &out.into_inner()?)?;
    if drop && written > 0 {
        let all = readings.len();
        ensure!(
            written * MOST_DROPPED <= all,
            "{written} of {all} readings are more than can be errors of clocks: nothing is taken out"
        );
        let dropped = opened.wait(opened.store.keep(first, last)).context("cannot take the readings out")?;
        tracing::info!(readings = dropped, "taken out of the store");
    }
    Ok(())
}

/// Returns the hours by their start, with the offset of the zone, because an hour may come twice.
fn csv_of(hours: &[HourCount], calendar: &Calendar) -> anyhow::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["hour", "device", "readings"])?;
    for HourCount { device, hour, count } in hours {
        out.write_record([&calendar.rfc3339(calendar.start(*hour)), device, &count.to_string()])?;
    }
    Ok(out.into_inner()?)
}

fn days_ago(opened: &Opened, days: u32) -> Timestamp {
    opened.calendar.now() - i64::from(days) * 86_400
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}
