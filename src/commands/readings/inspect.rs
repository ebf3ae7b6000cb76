//! `roomcast inspect`: describes readings before training.

use std::fmt::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use chrono_tz::Tz;
use serde::Serialize;

use crate::commands::arguments::values;
use crate::commands::output::{print, print_json};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::readings::{self, Profile, ReadOptions, ReadSummary};
use roomcast_forecast::table::table;
use roomcast_storage::inputs;

/// Arguments of `roomcast inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Readings: a CSV or Parquet file, a store, or - for CSV on standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// IANA time zone of the site, such as Europe/Berlin; without it, times are read and written as they stand
    #[arg(long, value_name = "ZONE", value_parser = values::timezone, env = "ROOMCAST_TIMEZONE")]
    timezone: Option<Tz>,
    /// Print the description as JSON
    #[arg(long)]
    json: bool,
}

/// The findings of `inspect`, as `--json` prints them.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    summary: ReadSummary,
    fingerprint: String,
    profile: Profile,
}

/// Reads the inputs without their bad rows, and prints their content to standard output.
///
/// # Errors
/// Returns an error when an input cannot be read at all, every row was refused, or standard output cannot be written.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let calendar = Calendar::new(args.timezone);
    let options = ReadOptions { skip_bad_rows: true, until: None };
    let (readings, summary) = inputs::read(&args.inputs, &options, &calendar)?;
    let profile = readings::profile(&readings, &calendar);
    let report = Report { fingerprint: readings.fingerprint(), summary, profile };

    if args.json {
        print_json(&report)?;
    } else {
        let mut out = String::new();
        text(&report, &mut out)?;
        print(out)?;
    }
    let refused = report.summary.refused;
    if refused > 0 && refused == report.summary.rows {
        bail!("every row was refused ({refused} of {refused})");
    }
    Ok(())
}

fn text(report: &Report, out: &mut String) -> fmt::Result {
    let Report { summary, profile, fingerprint } = report;
    inputs(summary, out)?;
    refusals(summary, out)?;
    strays(summary, out)?;
    let (Some(first), Some(last)) = (&profile.first, &profile.last) else {
        return writeln!(out, "\nno readings");
    };
    let days = if profile.days == 1 { "day" } else { "days" };
    writeln!(out, "\nfrom      {}\nto        {}, {} {days}", minute(first), minute(last), profile.days)?;
    writeln!(out, "devices   {}", summary.devices)?;
    writeln!(out, "occupied  {} of all room hours", percent(profile.occupied_share))?;
    writeln!(out, "content   sha256 {fingerprint}")?;
    if !summary.without_motion.is_empty() {
        writeln!(out, "devices that reported but never with motion: {}", summary.without_motion.join(", "))?;
    }
    devices(profile, out)?;
    day(profile, out)?;
    silent_workdays(profile, out)
}

fn inputs(summary: &ReadSummary, out: &mut String) -> fmt::Result {
    let mut counts: Vec<_> = summary.files.iter().map(|file| (file.file.as_str(), file.counts)).collect();
    if counts.len() > 1 {
        counts.push(("total", summary.counts()));
    }
    let header = ["input", "rows", "readings", "duplicates", "out of order", "no motion", "refused"];
    let rows = counts.into_iter().map(|(name, c)| {
        let counts = [c.rows, c.accepted, c.duplicates, c.out_of_order, c.no_motion, c.refused];
        std::iter::once(name.to_owned()).chain(counts.map(|count| count.to_string())).collect()
    });
    out.write_str(&table(&header, &rows.collect::<Vec<_>>(), 1))
}

fn refusals(summary: &ReadSummary, out: &mut String) -> fmt::Result {
    let mut shown = 0;
    for refusal in summary.refusals() {
        writeln!(out, "{}{refusal}", if shown == 0 { "\nrefused rows\n" } else { "" })?;
        shown += 1;
    }
    match summary.refused - shown {
        0 => Ok(()),
        more => writeln!(out, "and {more} more"),
    }
}

fn strays(summary: &ReadSummary, out: &mut String) -> fmt::Result {
    if summary.set_aside > 0 {
        let readings = if summary.set_aside == 1 { "reading" } else { "readings" };
        writeln!(out, "\nset aside: {} {readings} ahead of the clock or far from all others", summary.set_aside)?;
    }
    summary.strays.iter().try_for_each(|stray| writeln!(out, "  {stray}"))
}

fn devices(profile: &Profile, out: &mut String) -> fmt::Result {
    let header = [
        "device",
        "first reading",
        "last reading",
        "readings",
        "occupied",
        "h/workday",
        "longest silence",
        "silent workdays",
        "readings/h",
        "note",
    ];
    let rows = profile.devices.iter().map(|device| {
        vec![
            device.device.clone(),
            minute(&device.first),
            minute(&device.last),
            device.readings.to_string(),
            percent(device.occupied_share),
            format!("{:.1}", device.occupied_hours_per_workday),
            format!("{:.1} d", device.longest_silence_days),
            device.silent_workdays.to_string(),
            format!("{:.1}", device.readings_per_occupied_hour),
            if device.chattering { "chattering".to_owned() } else { String::new() },
        ]
    });
    writeln!(out)?;
    out.write_str(&table(&header, &rows.collect::<Vec<_>>(), 1))?;
    writeln!(
        out,
        "occupied: share of the hours from the first reading to the end of the data that have a reading; readings/h: per \
         occupied hour\nsilent workdays: workdays without a reading on which another device had some",
    )
}

fn day(profile: &Profile, out: &mut String) -> fmt::Result {
    let all = || profile.workday_hours.iter().chain(&profile.day_off_hours).copied();
    let highest = all().fold(0.0, f64::max);
    writeln!(out, "\noccupied rooms by hour of day (█ is {})", percent(highest))?;
    writeln!(out, "  workdays  {}", spark(&profile.workday_hours, highest))?;
    writeln!(out, "  days off  {}", spark(&profile.day_off_hours, highest))?;
    writeln!(out, "            0     6     12    18")
}

fn silent_workdays(profile: &Profile, out: &mut String) -> fmt::Result {
    if profile.silent_workdays.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nworkdays without a reading of any device (holidays?)")?;
    profile.silent_workdays.iter().try_for_each(|date| writeln!(out, "  {}", date.format("%Y-%m-%d %A")))
}

/// Formats an RFC 3339 time to the minute, as people write it.
fn minute(time: &str) -> String {
    time.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Draws one block per number. Its height is the number's share of `highest`, and only zero is blank.
fn spark(numbers: &[f64], highest: f64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |&number: &f64| match (number / highest * 8.0).ceil() as usize {
        0 => ' ',
        height => BLOCKS[height.min(8) - 1],
    };
    numbers.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spark_shows_the_highest_as_a_full_block_and_nothing_as_a_blank() {
        assert_eq!(spark(&[0.0, 0.001, 0.25, 0.5], 0.5), " ▁▄█");
        assert_eq!(spark(&[0.0, 0.0], 0.0), "  ");
    }
}
