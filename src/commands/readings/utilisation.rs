//! `roomcast utilisation`: what each room, floor or building was used for over weeks.

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::commands::arguments::{LevelArg, OutputArgs, PlacedSiteArgs, check_level};
use crate::commands::output;
use roomcast_forecast::decisions::timetable::Timetable;
use roomcast_forecast::hourly::Hourly;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::table::table;
use roomcast_forecast::utilisation::{self, DEFAULT_WORK_HOURS, Report, Utilisation};

/// Names of the weekdays, Monday first.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Lines below the table.
const LEGEND: &str = "\
its share: share of the working days on which the peak hour was in use; points a week: change of the work hours used, in points of
percent a week, and what chance explains; not known: share of all hours, those before the first reading and of silent sensors
";

/// Arguments of `roomcast utilisation`.
#[derive(Debug, Args)]
pub struct UtilisationArgs {
    #[command(flatten)]
    site: PlacedSiteArgs,
    /// Number of weeks before the last midnight that the readings cover
    #[arg(long, value_name = "WEEKS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=520))]
    weeks: u32,
    /// Working hours, on days that are not off
    #[arg(long, value_name = "HOURS", default_value = DEFAULT_WORK_HOURS)]
    work_hours: Timetable,
    /// Level to count: floors and buildings have the sums of their rooms
    #[arg(long, value_enum, default_value_t)]
    level: LevelArg,
    #[command(flatten)]
    output: OutputArgs<Format>,
}

/// Format of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with one line per room, floor or building.
    #[default]
    Text,
    /// One object.
    Json,
    /// One line per room, floor or building.
    Csv,
}

/// Counts and writes the report.
///
/// # Errors
/// Returns an error when the readings cannot be read, there are none, or the output cannot be written.
pub fn run(args: &UtilisationArgs) -> anyhow::Result<()> {
    let inputs = args.site.inputs("utilisation")?;
    let calendar = inputs.site.calendar()?;
    args.output.check()?;
    let site = inputs.read_site(&calendar, None)?;
    let level = args.level.into();
    check_level(level, &site.rooms)?;
    let readings = site.at(Level::Room, &calendar);
    let Some((_, last)) = readings.active_period(calendar.latest()) else { bail!("there are no readings") };
    let end = calendar.start(calendar.hour(last) + 1);
    let hourly = Hourly::unless_stale(&readings, &calendar, end, site.summary.heard);
    let report = utilisation::report(&hourly, (&site.rooms, level), args.weeks, &args.work_hours, &calendar);
    let bytes = match args.output.format {
        Format::Text => text(&report, level).into_bytes(),
        Format::Json => output::json(&report)?.into_bytes(),
        Format::Csv => utilisation::csv(&report),
    };
    args.output.write(&bytes)
}

fn text(report: &Report, level: Level) -> String {
    let row = |room: &Utilisation| {
        let percent =
            |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        let points = |trend: f64, noise: f64| format!("{:+.1} ± {:.1}", 100.0 * trend, 100.0 * noise);
        let peak = room.peak_hour.map_or_else(|| "–".to_owned(), |hour| format!("{hour:02}:00"));
        vec![
            if room.device.is_empty() { "all".to_owned() } else { room.device.clone() },
            if room.is_never_used { "never used".to_owned() } else { percent(room.used_share) },
            room.used_hours.to_string(),
            peak,
            percent(room.peak_share),
            room.peak_weekday.map_or("–", |day| WEEKDAYS[usize::from(day)]).to_owned(),
            room.trend.zip(room.trend_noise).map_or_else(|| "–".to_owned(), |(trend, noise)| points(trend, noise)),
            percent(Some(room.unknown_share)),
        ]
    };
    let rows: Vec<_> = report.rooms.iter().chain([&report.site]).map(row).collect();
    let header = [
        level.name(),
        "work hours used",
        "hours used",
        "peak hour",
        "its share",
        "peak day",
        "points a week",
        "not known",
    ];
    let head = format!("{} to {}; work hours: {}\n\n", report.from, report.to, report.work_hours);
    head + &table(&header, &rows, 1) + LEGEND
}
