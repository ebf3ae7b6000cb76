//! `roomcast backtest`: replay the past and score the forecasts.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::{Days, NaiveTime};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::site::SiteArgs;
use roomcast_forecast::backtest::report::Report;
use roomcast_forecast::backtest::{self, BacktestPlan, ScoredHour, html, learning_curve, text};
use roomcast_forecast::calendar::{Calendar, Timestamp};
use roomcast_forecast::files;
use roomcast_forecast::readings::Readings;
use roomcast_forecast::readings::names::closest;

/// Replay the past: forecast from what was known then, score against what came.
///
/// At every origin each room's next 24 hours are forecast from readings before it, by models fitted on
/// readings before their last refit, and scored beside five simple rules. Differences come with 95 %
/// intervals over whole days, so that luck can be told from skill.
#[derive(Debug, Clone, Args)]
pub struct BacktestArgs {
    /// Readings and site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// First origin, a time or a date [default: midnight after two thirds of the readings' days]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Last origin, a time or a date [default: midnight of the last day the readings cover whole]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Time from one origin to the next, such as 24h, 6h, 90m, 1d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub every: Duration,
    /// Time after which models are fitted again; 7d saves most of the time on a large site
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub refit: Duration,
    /// Score only this device; models still learn from all (repeatable)
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Also forecast the same hours with only the last 1, 2, 3, 4, 6, 8, 12, 26 weeks of readings
    #[arg(long)]
    pub learning_curve: bool,
    /// Write the report as one self-contained page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the report as JSON instead of tables
    #[arg(long)]
    pub json: bool,
    /// List all devices in the table, not only the 20 with the highest log loss
    #[arg(long)]
    pub all_devices: bool,
}

/// Replays, scores, and prints the report to standard output.
///
/// # Errors
/// Returns an error when readings cannot be read or are too few, a device is unknown, or an output cannot be written. A
/// reader that closes the pipe early is no error.
pub fn run(args: &BacktestArgs) -> anyhow::Result<()> {
    if let Some(page) = &args.html {
        files::check(page)?;
        ensure!(page.as_os_str() != "-", "--html needs a file; standard output has the scores");
    }
    let inputs = args.site.inputs();
    let calendar = inputs.site.calendar()?;
    let (readings, _) = inputs.read(&calendar, None)?;
    // Replay and truth share one grid: that of the time in which the site was in use.
    let readings = readings.alive(calendar.latest());
    let plan = plan(args, &readings, &calendar)?;
    known(&readings, &args.device)?;
    let wanted = |hour: &ScoredHour| args.device.is_empty() || args.device.contains(&name(&readings, hour));
    let bar = progress_bar();
    let mut cases = backtest::run(&readings, &calendar, &plan, &|done, total| step(&bar, "all history", done, total))?;
    cases.retain(wanted);
    let Some(mut report) = Report::new(&readings, &calendar, &plan, &cases) else {
        bail!("nothing to score: no hour of these devices between the origins and the last reading");
    };
    if args.learning_curve {
        report.learning_curve = learning_curve::scores(&readings, &calendar, &plan, &cases, &|weeks, done, total| {
            step(&bar, &format!("{weeks} weeks of history"), done, total);
        })?;
    }
    bar.finish_and_clear();
    if let Some(page) = &args.html {
        files::write(page, html::page(&report).as_bytes())?;
    }
    print(args, &report)
}

fn name(readings: &Readings, hour: &ScoredHour) -> String {
    readings.devices[hour.device as usize].device.clone()
}

fn print(args: &BacktestArgs, report: &Report) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = if args.json {
        serde_json::to_writer_pretty(&mut out, report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        text::write(report, args.all_devices, &mut out)
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

fn known(readings: &Readings, asked: &[String]) -> anyhow::Result<()> {
    let names = || readings.devices.iter().map(|d| d.device.as_str());
    for device in asked {
        if !names().any(|name| name == device) {
            match closest(device, names()) {
                Some(near) => bail!("no readings of device {device:?}; did you mean {near:?}?"),
                None => bail!("no readings of device {device:?}"),
            }
        }
    }
    Ok(())
}

/// Plans the origins and fits: as asked, otherwise the last third of the readings' days.
fn plan(args: &BacktestArgs, readings: &Readings, calendar: &Calendar) -> anyhow::Result<BacktestPlan> {
    let (first, last) = readings.lived(calendar.latest()).context("there are no readings")?;
    let midnight = |date: chrono::NaiveDate| calendar.instant(date.and_time(NaiveTime::MIN));
    let (begin, end) = (calendar.wall(first).date(), calendar.wall(last).date());
    let days = (end - begin).num_days().max(0) as u64;
    let asked = |option: &'static str, text: &Option<String>| {
        let read = |text: &String| moment(text, calendar).with_context(|| format!("cannot read {option}"));
        text.as_ref().map(read).transpose()
    };
    let from = match asked("--from", &args.from)? {
        Some(from) => from,
        None if days < 2 => bail!("the readings span less than two whole days: too little to learn from and to score"),
        None => midnight(begin + Days::new((days * 2).div_ceil(3).min(days - 1))),
    };
    let to = asked("--to", &args.to)?.unwrap_or_else(|| midnight(end - Days::new(1)).max(from));
    let seconds = |duration: Duration| duration.as_secs() as i64;
    Ok(BacktestPlan { from, to, every: seconds(args.every), refit: seconds(args.refit), history: None })
}

/// Parses a time, or a date for its midnight.
fn moment(text: &str, calendar: &Calendar) -> anyhow::Result<Timestamp> {
    let date = text.trim().parse::<chrono::NaiveDate>().is_ok();
    Ok(if date { calendar.parse(&format!("{} 00:00:00", text.trim()))? } else { calendar.parse(text)? })
}

/// Parses a whole number of minutes, hours, days or weeks: `90m`, `6h`, `1d`, `2w`.
///
/// # Errors
/// Returns a message that names the expected form.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a whole number and m, h, d or w, such as 6h; found {text:?}");
    let text = text.trim();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - unit.len_utf8()].trim_end().parse().map_err(|_| wrong())?;
    if number == 0 {
        Err("must be longer than nothing".to_owned())
    } else {
        Ok(Duration::from_secs(seconds * u64::from(number)))
    }
}

/// Returns a progress bar on standard error, where that is a terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:>20} {wide_bar} {pos}/{len} {eta:>4}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn step(bar: &ProgressBar, what: &str, done: usize, total: usize) {
    if bar.length() != Some(total as u64) || done == 1 {
        bar.set_length(total as u64);
    }
    if bar.message() != what {
        bar.set_message(what.to_owned());
        bar.reset_eta();
    }
    bar.set_position(done as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let seconds = |text| duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("90m"), Ok(5400));
        assert_eq!(seconds("6h"), Ok(21_600));
        assert_eq!(seconds("1d"), seconds("24h"));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for wrong in ["", "h", "6", "6 hours", "-1h", "0h", "1.5h", "6ü", "99999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_date_is_its_midnight() {
        let calendar = Calendar::default();
        assert_eq!(moment("2016-08-04", &calendar).ok(), calendar.parse("2016-08-04 00:00:00").ok());
        assert_eq!(moment("2016-08-04 23:59:59", &calendar).ok(), calendar.parse("2016-08-04 23:59:59").ok());
        assert!(moment("4 August", &calendar).is_err());
    }
}
