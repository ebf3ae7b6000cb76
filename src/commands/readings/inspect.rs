//! `roomcast inspect`: describes readings before training.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::path::PathBuf;

use anyhow::bail;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Serialize;

use super::rooms::RoomsReport;
use crate::commands::arguments::{FileArgs, PlaceArgs, RoomsArgs, values};
use crate::commands::output::{print, print_json};
use roomcast_forecast::calendar::public_holidays::{self, Country};
use roomcast_forecast::calendar::{Calendar, MAX_PRESENCE_HOURS};
use roomcast_forecast::hourly::{Hourly, Status};
use roomcast_forecast::readings::notices::{self, Kind, Notice};
use roomcast_forecast::readings::silent_days::{Proposal, Workdays};
use roomcast_forecast::readings::{self, Cause, DeviceProfile, Profile, ReadOptions, ReadSummary, Readings};
use roomcast_forecast::table::table;
use roomcast_storage::inputs;

/// Most dates or regions in one list of the text.
const MAX_LISTED: usize = 8;

/// Arguments of `roomcast inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Readings: files (CSV, Excel, Parquet, also packed), directories, a store, a Home Assistant database, or - for standard
    /// input
    #[arg(required_unless_present = "input", value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Readings, as other commands name them (repeatable)
    #[arg(long, short, value_name = "FILE", value_delimiter = ',', conflicts_with = "inputs")]
    input: Vec<PathBuf>,
    /// IANA time zone of the site, such as Europe/Berlin; without it, times are read and written as they stand
    #[arg(long, value_name = "ZONE", value_parser = values::timezone, env = "ROOMCAST_TIMEZONE")]
    timezone: Option<Tz>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    rooms: RoomsArgs,
    /// Leave out rows that cannot be read, as this command always does: other commands stop at the first without it
    #[arg(long)]
    #[allow(dead_code, reason = "bad rows are left out with and without it")]
    skip_bad_rows: bool,
    /// Hours for which a room stays occupied after its sensor's last on, when no off comes
    #[arg(long, value_name = "HOURS", default_value_t = MAX_PRESENCE_HOURS, value_parser = clap::value_parser!(i64).range(1..=168), env = "ROOMCAST_MAX_PRESENCE")]
    max_presence: i64,
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
    /// Devices that have been silent for longer than their habits explain, at the end of the data.
    silent: Vec<String>,
    /// What is suspicious, and what to do.
    notices: Vec<Notice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holidays: Option<Holidays>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<RoomsReport>,
}

/// Silent workdays that may be holidays.
#[derive(Debug, Serialize)]
struct Holidays {
    silent: Vec<NaiveDate>,
    /// Those that are public holidays of the country, where it is known.
    proposal: Option<Proposal>,
    #[serde(skip)]
    is_country_known: bool,
}

/// Reads the inputs without their bad rows, and prints their content to standard output.
///
/// # Errors
/// Returns an error when an input cannot be read at all, no row but refused ones was found, or standard output cannot be
/// written.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let mut calendar = Calendar::new(args.timezone).with_max_presence(args.max_presence);
    if let Some(country) = &args.place.country {
        calendar = calendar.with_public_holidays(public_holidays::days(country, args.place.region.as_deref())?);
    }
    let paths = if args.inputs.is_empty() { &args.input } else { &args.inputs };
    let options = ReadOptions { layout: args.files.layout(), ..ReadOptions::LENIENT };
    let (readings, summary) = inputs::read(paths, &options, &calendar)?;
    let profile = readings::profile(&readings, &calendar);
    let holidays = holidays(args, &readings, &profile, &calendar);
    let silent = silent(&readings, &calendar);
    let table = args.rooms.table(&calendar)?;
    let notices = notices::notices(&readings, &profile, &table, &calendar);
    let rooms = (!table.is_empty()).then(|| RoomsReport::new(&table, &readings, &silent, &calendar));
    let report = Report { fingerprint: readings.fingerprint(), summary, profile, silent, notices, holidays, rooms };

    if args.json {
        print_json(&report)?;
    } else {
        let mut out = String::new();
        text(&report, &calendar, &mut out)?;
        print(out)?;
    }
    let refused = report.summary.refused;
    if refused > 0 && refused == report.summary.rows {
        bail!("every row was refused ({refused} of {refused})");
    }
    if refused > 0 && report.profile.first.is_none() {
        bail!("there are no readings: {refused} of {} rows were refused", report.summary.rows);
    }
    Ok(())
}

/// Returns the devices that are silent at the end of the data, as a forecast made then would call them.
fn silent(readings: &Readings, calendar: &Calendar) -> Vec<String> {
    let Some((_, last)) = readings.active_period(calendar.latest()) else { return Vec::new() };
    let hourly = Hourly::new(readings, calendar, calendar.start(calendar.hour(last) + 1));
    let silent = hourly.devices.iter().filter(|device| device.status == Status::Silent);
    silent.map(|device| device.device.clone()).collect()
}

/// Returns the silent workdays that may be holidays, and which of them are public ones; none without such days. A site
/// whose region is given already has them all.
fn holidays(args: &InspectArgs, readings: &Readings, profile: &Profile, calendar: &Calendar) -> Option<Holidays> {
    let (first, last) = readings.active_period(calendar.latest())?;
    let day = |instant| calendar.wall(instant).date();
    let workdays = Workdays::new(&profile.silent_workdays, day(first), day(last), calendar);
    let silent: Vec<NaiveDate> = workdays.silent().collect();
    let country = match &args.place.country {
        Some(country) if args.place.region.is_none() => Country::with_code(country),
        Some(_) => None,
        None => args.timezone.and_then(Country::of_zone),
    };
    let is_country_known = country.is_some() || args.place.country.is_some();
    let proposal = country.and_then(|country| workdays.explain(&country));
    (!silent.is_empty()).then_some(Holidays { silent, proposal, is_country_known })
}

fn text(report: &Report, calendar: &Calendar, out: &mut String) -> fmt::Result {
    let Report { summary, profile, fingerprint, holidays, .. } = report;
    inputs(summary, out)?;
    refusals(summary, out)?;
    strays(summary, out)?;
    let (Some(first), Some(last)) = (&profile.first, &profile.last) else {
        return writeln!(out, "\nno readings");
    };
    let days = if profile.days == 1 { "day" } else { "days" };
    writeln!(out, "\nfrom      {}\nto        {}, {} {days}", minute(first), minute(last), profile.days)?;
    writeln!(out, "devices   {}", summary.devices)?;
    writeln!(
        out,
        "occupied  {} of the room hours from each first reading to the end",
        percent(profile.occupied_share)
    )?;
    writeln!(out, "content   sha256 {fingerprint}")?;
    if !summary.without_motion.is_empty() {
        writeln!(out, "devices that reported but never with motion: {}", summary.without_motion.join(", "))?;
    }
    devices(report, out)?;
    report.rooms.as_ref().map_or(Ok(()), |rooms| rooms.write(out))?;
    day(profile, out)?;
    silent_workdays(profile, calendar, out)?;
    advice(&report.notices, out)?;
    holidays.as_ref().map_or(Ok(()), |holidays| proposal(holidays, out))
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
    let causes = || summary.files.iter().flat_map(|file| &file.causes);
    for (at, Cause { first, rows }) in causes().enumerate() {
        let more = if *rows > 1 { format!(", and {} more like it", rows - 1) } else { String::new() };
        writeln!(out, "{}{first}{more}", if at == 0 { "\nrefused rows\n" } else { "" })?;
        if let Some(hint) = first.hint() {
            writeln!(out, "  hint: {hint}")?;
        }
    }
    match summary.refused - causes().map(|cause| cause.rows).sum::<u64>() {
        0 => Ok(()),
        more => writeln!(out, "and {more} more for other reasons"),
    }
}

fn strays(summary: &ReadSummary, out: &mut String) -> fmt::Result {
    if summary.set_aside > 0 {
        let readings = if summary.set_aside == 1 { "reading" } else { "readings" };
        writeln!(out, "\nset aside: {} {readings} ahead of the clock or far from all others", summary.set_aside)?;
    }
    summary.strays.iter().try_for_each(|stray| writeln!(out, "  {stray}"))
}

fn devices(report: &Report, out: &mut String) -> fmt::Result {
    let profile = &report.profile;
    let noticed: HashSet<(Kind, &str)> = report
        .notices
        .iter()
        .flat_map(|notice| notice.devices.iter().map(|device| (notice.kind, device.as_str())))
        .collect();
    let note = |device: &DeviceProfile| {
        let is = |kind: Kind| noticed.contains(&(kind, device.device.as_str())).then(|| kind.label());
        let stuck = device.stuck.then(|| Kind::Stuck.label()).or_else(|| is(Kind::Stuck));
        let chattering = device.chattering.then(|| Kind::Chattering.label()).or_else(|| is(Kind::Chattering));
        let silent = report.silent.contains(&device.device).then_some("silent");
        [stuck, chattering, is(Kind::Twins), silent].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
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
        "kind",
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
            if device.says_off { "on to off" } else { "pulses" }.to_owned(),
            note(device),
        ]
    });
    writeln!(out)?;
    out.write_str(&table(&header, &rows.collect::<Vec<_>>(), 1))?;
    writeln!(
        out,
        "occupied: share of the hours from the first reading to the end of the data that have a reading; readings/h: per \
         occupied hour\nsilent workdays: workdays without a reading on which another device had some; silent: no reading for longer \
         than its habits explain, at the end of the data\non to off: the sensor says off, so its room is occupied until then; \
         pulses: it never does; stuck on: it was on for longer than --max-presence again and again",
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

/// Lists workdays without readings. Those with only days off between them are one line.
fn silent_workdays(profile: &Profile, calendar: &Calendar, out: &mut String) -> fmt::Result {
    if profile.silent_workdays.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nworkdays without a reading of any device (holidays?)")?;
    let are_joined =
        |a: &NaiveDate, b: &NaiveDate| a.iter_days().skip(1).take_while(|day| day < b).all(|day| calendar.is_off(day));
    for run in profile.silent_workdays.chunk_by(are_joined) {
        match run {
            [first, .., last] => writeln!(out, "  {first} to {last}, {} workdays", run.len())?,
            [date] => writeln!(out, "  {}", date.format("%Y-%m-%d %A"))?,
            [] => {}
        }
    }
    Ok(())
}

/// Says what is suspicious, and what to do about it.
fn advice(notices: &[Notice], out: &mut String) -> fmt::Result {
    for same in notices.chunk_by(|a, b| a.kind == b.kind) {
        writeln!(out, "\n{}", same[0].kind.label())?;
        for Notice { devices, from, to, finding, .. } in same.iter().take(MAX_LISTED) {
            let who = if devices.is_empty() { "the site".to_owned() } else { list(devices.iter()) };
            let days = if from == to { format!("on {from}") } else { format!("from {from} to {to}") };
            writeln!(out, "  {who} {finding}, {days}")?;
        }
        if same.len() > MAX_LISTED {
            writeln!(out, "  and {} more; --json has all", same.len() - MAX_LISTED)?;
        }
        writeln!(out, "  to do: {}", same[0].advice)?;
    }
    Ok(())
}

/// Says which silent days are public holidays and which options add them.
fn proposal(holidays: &Holidays, out: &mut String) -> fmt::Result {
    let Some(Proposal { country, name, regions, days }) = &holidays.proposal else {
        if holidays.is_country_known {
            return Ok(());
        }
        let dates = list(holidays.silent.iter());
        let advice = "a holiday? --country CODE --region CODE adds public holidays";
        return writeln!(out, "\nsilent in every room on {dates}: {advice}");
    };
    let day = |date: NaiveDate| date.format("%A %-d %B %Y");
    let of = |regions: &[&str]| if regions.is_empty() { String::new() } else { format!(" ({})", list(regions.iter())) };
    writeln!(out)?;
    for (at, silent) in days.iter().take(MAX_LISTED).enumerate() {
        let end = if at + 1 == days.len() { ":" } else { ".\n" };
        let (date, regions) = (day(silent.date), of(&silent.regions));
        write!(out, "{date} is silent in every room. It is a public holiday in {name}{regions}{end}")?;
    }
    if days.len() > MAX_LISTED {
        write!(out, "So are {} more:", days.len() - MAX_LISTED)?;
    }
    write!(out, " add --country {country}")?;
    match &regions[..] {
        [] => writeln!(out),
        [region] => writeln!(out, " --region {region}"),
        [region, others @ ..] => writeln!(out, " --region {region} (or {})", list(others.iter())),
    }
}

/// Joins the first items, and says how many more there are.
fn list<T: fmt::Display>(items: impl ExactSizeIterator<Item = T>) -> String {
    let more = items.len().saturating_sub(MAX_LISTED);
    let mut shown: Vec<String> = items.take(MAX_LISTED).map(|item| item.to_string()).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
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
