//! `roomcast simulate`: writes the readings of a seeded building to a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use clap::{Args, ValueEnum};

use crate::commands::arguments::values::{share, within};
use crate::commands::output::remark;
use crate::commands::progress;
#[cfg(feature = "server")]
use crate::commands::server::play::PlayArgs;
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::files::{self, Output};
use roomcast_simulate::{Building, Format, Kind, Summary, WriteError, is_in_range, write};

/// Simulate the readings of a building.
///
/// The same options give the same bytes on any number of cores. Devices are named `device_1` to `device_9`; larger
/// buildings have floors of 50 rooms (`--floor-rooms`), named like `floor_03/room_0127`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// Kind of site
    #[arg(long, value_enum, default_value_t = SiteKind::Building)]
    kind: SiteKind,
    /// Number of devices, one in each room; with --sensors-per-room the number of rooms
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// Number of sensors in each room
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    sensors_per_room: u32,
    /// Number of rooms on a floor
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    floor_rooms: u32,
    /// CSV file of the rooms, with their sensors and floors, for the option --rooms of other commands
    #[arg(long, value_name = "PATH")]
    rooms: Option<PathBuf>,
    /// First day
    #[arg(long, value_name = "DATE", default_value = "2016-07-01")]
    from: NaiveDate,
    /// Last day, inclusive
    #[arg(long, value_name = "DATE", default_value = "2016-08-31")]
    to: NaiveDate,
    /// Seed of the random numbers; another seed is another building
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// File of the readings, replaced when the new one is complete; - for standard output
    #[arg(long, short, value_name = "PATH", default_value = "-")]
    output: PathBuf,
    /// Format of the file; without it, Parquet for a name that ends in .parquet, otherwise CSV
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Factor on the use of rooms; 1 gives about 20 readings per device and day
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = density)]
    density: f64,
    /// Share of devices that are installed late, fail, fall silent for weeks, or chatter
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    faults: f64,
    /// Share of readings that are written twice
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, value_parser = share)]
    duplicates: f64,
    /// Share of readings that are written up to five minutes late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    disorder: f64,
    /// CSV file of the true occupancy of each room in each hour
    #[arg(long, value_name = "PATH")]
    truth: Option<PathBuf>,
    #[cfg(feature = "server")]
    #[command(flatten)]
    play: PlayArgs,
}

/// Kind of a simulated site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SiteKind {
    /// Rooms of many uses, more regular than real ones; the rooms of a seed are the same in any span
    Building,
    /// Offices, with meeting rooms, corridors and kitchens. Like the kinds below it is made like life: each seed is a site
    /// with a character of its own
    Offices,
    /// Meeting rooms only
    MeetingRooms,
    /// Homes of up to eight rooms
    Homes,
    /// Classrooms with timetables and long breaks
    Schools,
    /// Desks of one person each
    Desks,
}

impl From<SiteKind> for Kind {
    fn from(kind: SiteKind) -> Kind {
        match kind {
            SiteKind::Building => Kind::Building,
            SiteKind::Offices => Kind::Offices,
            SiteKind::MeetingRooms => Kind::MeetingRooms,
            SiteKind::Homes => Kind::Homes,
            SiteKind::Schools => Kind::Schools,
            SiteKind::Desks => Kind::Desks,
        }
    }
}

/// Format of a file of readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// `time,device,device_activated`, times as `YYYY-MM-DD HH:MM:SS`.
    Csv,
    /// Columns `time` (milliseconds), `device` (string) and `device_activated` (32-bit integer).
    Parquet,
}

/// Writes the building's readings, and one line about them to standard error.
///
/// # Errors
/// Returns an error when the span is invalid, or an output cannot be written. The earlier file at its path is unchanged
/// then. A reader that closes the pipe early is not an error.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    let building = building(args)?;
    #[cfg(feature = "server")]
    if let Some(played) = args.play.run(&building)? {
        remark(&played);
        return Ok(());
    }
    let format = match args.format {
        Some(FileFormat::Csv) => Format::Csv,
        Some(FileFormat::Parquet) => Format::Parquet,
        None => format_of(&args.output),
    };
    if let Some(truth) = &args.truth {
        ensure!(*truth != args.output, "--truth and --output are both {}", truth.display());
    }
    let mut output = Output::create(&args.output)?;
    let mut truth = args.truth.as_deref().map(Output::create).transpose()?;
    let writer = truth.as_mut().map(|truth| truth as &mut dyn Write);
    let bar = progress::bytes("written");
    let written = write(&building, format, &mut bar.wrap_write(&mut output), writer);
    let summary = match written {
        Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        summary => summary.with_context(|| format!("cannot write readings to {}", output.name))?,
    };
    bar.finish_and_clear();
    output.finish()?;
    if let Some(rooms) = &args.rooms {
        files::write(rooms, &building.rooms()?.csv(&Calendar::default()))?;
    }
    truth.map_or(Ok(()), Output::finish)?;
    remark(&line(&building, summary, begun.elapsed().as_secs_f64()));
    Ok(())
}

fn building(args: &SimulateArgs) -> anyhow::Result<Building> {
    for date in [args.from, args.to] {
        ensure!(is_in_range(date), "{date} is outside the years 1971 to 2200");
    }
    ensure!(args.from <= args.to, "the last day, {}, lies before the first, {}", args.to, args.from);
    Ok(Building {
        kind: args.kind.into(),
        sensors_per_room: args.sensors_per_room as usize,
        floor_rooms: args.floor_rooms as usize,
        density: args.density,
        faults: args.faults,
        duplicates: args.duplicates,
        disorder: args.disorder,
        ..Building::new(args.seed, args.devices as usize, args.from, args.to)
    })
}

fn line(building: &Building, summary: Summary, seconds: f64) -> String {
    let hours = building.devices as f64 * 24.0 * summary.days as f64;
    format!(
        "{} devices, {} days, {} readings; {:.1} % of hours with a reading, {:.1} % occupied; {seconds:.1} s",
        building.devices,
        summary.days,
        summary.readings,
        100.0 * summary.hours_observed as f64 / hours,
        100.0 * summary.hours_occupied as f64 / hours,
    )
}

fn format_of(path: &Path) -> Format {
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("parquet") => Format::Parquet,
        _ => Format::Csv,
    }
}

fn density(text: &str) -> Result<f64, String> {
    within(text, 10.0).ok_or_else(|| "expected a factor from 0 to 10".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(args: &[&str]) -> Result<SimulateArgs, clap::Error> {
        Line::try_parse_from(std::iter::once(&"simulate").chain(args)).map(|line| line.args)
    }

    #[test]
    fn the_format_follows_the_name() {
        assert_eq!(format_of(Path::new("a/b.parquet")), Format::Parquet);
        assert_eq!(format_of(Path::new("b.PARQUET")), Format::Parquet);
        assert_eq!(format_of(Path::new("parquet")), Format::Csv);
        assert_eq!(format_of(Path::new("-")), Format::Csv);
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for args in [
            ["--faults", "1.5"],
            ["--duplicates", "-1"],
            ["--disorder", "nan"],
            ["--density", "inf"],
            ["--devices", "0"],
            ["--from", "2016-02-30"],
        ] {
            assert!(parse(&args).is_err(), "{args:?}");
        }
        assert!(parse(&["--faults", "0", "--density", "2.5"]).is_ok());
    }

    #[test]
    fn a_span_must_be_one() {
        let error = |args: &[&str]| building(&parse(args).unwrap()).unwrap_err().to_string();
        assert!(error(&["--from", "2016-09-01"]).contains("before the first"));
        assert!(error(&["--from", "1066-10-14"]).contains("1971"));
    }
}
