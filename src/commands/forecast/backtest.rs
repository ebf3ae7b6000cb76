//! `roomcast backtest`: forecasts past days and scores the forecasts.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::check_known;
use super::ledger::LedgerArgs;
use crate::commands::arguments::{LevelArg, PlacedSiteArgs, check_level, values};
use crate::commands::output::{print, print_json};
use crate::commands::progress;
use roomcast_forecast::backtest::cases::CaseWriter;
use roomcast_forecast::backtest::days_ahead::DaysAhead;
use roomcast_forecast::backtest::ledger::{self, Ledger};
use roomcast_forecast::backtest::levels::{Below, Replayed};
use roomcast_forecast::backtest::report::Report;
use roomcast_forecast::backtest::{self, BacktestError, BacktestPlan, ScoredHour, html, learning_curve, text};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::files::{self, Output};
use roomcast_forecast::readings::Readings;
use roomcast_forecast::rooms::{Level, Rooms};

/// Score forecasts of past days beside simple rules.
///
/// At every origin each room's next 24 hours are forecast from the readings before it, by models fitted on the
/// readings before their last refit. The forecasts are scored beside those of five simple rules. Differences have 95 %
/// intervals over whole days, which separate skill from chance.
#[derive(Debug, Clone, Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    site: PlacedSiteArgs,
    /// First origin, a time or a date [default: midnight after two thirds of the readings' days]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last origin, a time or a date [default: midnight of the last day that the readings cover as a whole]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Time from one origin to the next, such as 24h, 6h, 90m, 1d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = values::duration)]
    every: Duration,
    /// Time between two fits of the models; 7d saves most of the time at a large site
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = values::duration)]
    refit: Duration,
    /// Days that each forecast reaches, 1 to 7. With more than one, log loss is also given by day of lead
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = values::days)]
    days: usize,
    /// Device to score; without it, all (repeatable). Models are fitted on all devices
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Level to score. Floors and buildings are compared with the product of their rooms' forecasts
    #[arg(long, value_enum, default_value_t)]
    level: LevelArg,
    /// Also forecast the same hours from only the last 1, 2, 3, 4, 6, 8, 12, 26 weeks of readings
    #[arg(long)]
    learning_curve: bool,
    /// File of the report as one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// File of every scored hour, to score it again: Parquet if the name ends in .parquet, else CSV
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Print the report as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// List all devices in the table, not only the 20 with the highest log loss
    #[arg(long)]
    all_devices: bool,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Replays, scores, and prints the report to standard output.
///
/// # Errors
/// Returns an error when readings cannot be read or are too few, a device is unknown, or an output cannot be written.
pub fn run(args: &BacktestArgs) -> anyhow::Result<()> {
    for (option, file) in [("--html", &args.html), ("--cases", &args.cases)] {
        let Some(file) = file else { continue };
        files::check(file)?;
        ensure!(file.as_os_str() != "-", "{option} needs a file, because the scores go to standard output");
    }
    let inputs = args.site.inputs("backtest")?;
    let calendar = inputs.site.calendar()?;
    let site = inputs.read_site(&calendar, None)?;
    let level = args.level.into();
    check_level(level, &site.rooms)?;
    // Replay and truth share one grid: that of the time in which the site was in use.
    let at = |level| site.at(level, &calendar).alive(calendar.latest());
    let readings = at(level);
    let plan = plan(args, &readings, &calendar)?;
    check_known(&readings, &args.device, "")?;
    let compared = args.ledger.plan(&inputs.site, &readings)?;
    let steps = progress::Steps::new("all history");
    let step = |label: &str, done: usize, total: usize| steps.show(label, done, total);
    let mut output = args.cases.as_deref().map(Output::create).transpose()?;
    let progress = |done, total| step("all history", done, total);
    let below = match level {
        Level::Room => None,
        _ => Some(below(level, &site.rooms, &readings, &at, &|readings| {
            backtest::run(readings, &calendar, &plan, &|done, total| step("the rooms", done, total))
        })?),
    };
    let (cases, ahead) = replay(args, (&readings, below.as_ref()), &calendar, &plan, &progress, output.as_mut())?;
    let Some(mut report) = Report::new(&readings, &calendar, &plan, &cases) else {
        bail!("nothing to score: no hour of these devices between the origins and the last reading");
    };
    report.independence = below.and_then(|below| below.compare(level, &cases));
    if let Some(output) = output {
        output.finish()?;
    }
    if args.days > 1 {
        report.by_day_ahead = ahead.scores();
    }
    if let Some(compared) = compared {
        let earlier = ledger::prior(&plan, &calendar);
        let mut earlier = ledger::replay_earlier(&readings, &calendar, &earlier, &|done, total| {
            step("the days before", done, total);
        })?;
        earlier.retain(|hour| is_wanted(args, &readings, hour));
        report.ledger = Ledger::new(&readings, &calendar, &compared, &earlier, &cases);
    }
    if args.learning_curve {
        report.learning_curve = learning_curve::scores(&readings, &calendar, &plan, &cases, &|weeks, done, total| {
            step(&format!("{weeks} weeks of history"), done, total);
        })?;
    }
    steps.finish();
    if let Some(page) = &args.html {
        files::write(page, html::page(&report).as_bytes())?;
    }
    if args.json {
        return print_json(&report);
    }
    let mut tables = Vec::new();
    text::write(&report, args.all_devices, &mut tables)?;
    print(tables)
}

/// Replays the levels below one, and returns what they say of its hours.
fn below(
    level: Level,
    rooms: &Rooms,
    readings: &Readings,
    at: &dyn Fn(Level) -> Readings,
    run: &dyn Fn(&Readings) -> Result<Vec<ScoredHour>, BacktestError>,
) -> anyhow::Result<Below> {
    let of_rooms = at(Level::Room);
    let hours = run(&of_rooms)?;
    let replayed = Replayed { readings: &of_rooms, hours: &hours };
    if level != Level::Building || !rooms.has_floors() {
        return Ok(Below::new(rooms, level, readings, replayed, None));
    }
    let of_floors = at(Level::Floor);
    let mut floors = run(&of_floors)?;
    Below::new(rooms, Level::Floor, &of_floors, replayed, None).raise(&mut floors);
    let floors = Replayed { readings: &of_floors, hours: &floors };
    Ok(Below::new(rooms, level, readings, replayed, Some(floors)))
}

/// Replays the past and returns the hours of the wanted devices, which go into the file of cases as they are made: those of
/// the first 24 after each origin, and sums by day of lead.
fn replay(
    args: &BacktestArgs,
    (readings, below): (&Readings, Option<&Below>),
    calendar: &Calendar,
    plan: &BacktestPlan,
    progress: &(dyn Fn(usize, usize) + Sync),
    output: Option<&mut Output>,
) -> anyhow::Result<(Vec<ScoredHour>, DaysAhead)> {
    let mut writer = match (&args.cases, output) {
        (Some(file), Some(output)) => Some(CaseWriter::new(file, readings, calendar, output)?),
        _ => None,
    };
    let (mut cases, mut ahead) = (Vec::new(), DaysAhead::default());
    backtest::run_each(readings, calendar, plan, progress, |mut hours| {
        hours.retain(|hour| is_wanted(args, readings, hour));
        if let Some(below) = below {
            below.raise(&mut hours);
        }
        if let Some(writer) = &mut writer {
            writer.write(hours.iter()).context("cannot write --cases")?;
        }
        ahead.take(&mut hours);
        cases.extend(hours);
        Ok::<_, anyhow::Error>(())
    })?;
    if let Some(writer) = writer {
        writer.finish().context("cannot write --cases")?;
    }
    Ok((cases, ahead))
}

fn is_wanted(args: &BacktestArgs, readings: &Readings, hour: &ScoredHour) -> bool {
    args.device.is_empty() || args.device.contains(&readings.devices[hour.device as usize].device)
}

/// Plans the origins and fits. Without arguments the origins are in the last third of the readings' days.
fn plan(args: &BacktestArgs, readings: &Readings, calendar: &Calendar) -> anyhow::Result<BacktestPlan> {
    let time = |option, text: &Option<String>| values::time(option, text.as_deref(), calendar);
    let origins = (time("--from", &args.from)?, time("--to", &args.to)?);
    let seconds = |duration: Duration| duration.as_secs() as i64;
    let steps = (seconds(args.every), seconds(args.refit));
    let plan = BacktestPlan::new(readings, calendar, calendar.latest(), origins, steps)?;
    Ok(BacktestPlan { days: args.days, ..plan })
}
