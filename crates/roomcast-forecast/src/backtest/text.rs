//! The report as plain aligned tables.

use std::io::{self, Write};

use super::days_ahead::DayAhead;
use super::groups::Group;
use super::ledger::words;
use super::levels::Independence;
use super::numbers::{duration, interval, number, percent, thousands};
use super::parts::{Mixed, PartScores};
use super::report::Report;
use super::scores::{COLUMNS, Score};
use super::skill::Skill;
use crate::hourly::HORIZON;
use crate::table::{count, table};

/// Number of rooms listed by default.
const LISTED_ROOMS: usize = 20;

/// The line below the scores.
const SCORE_NOTE: &str = "\
lower is better for log loss, Brier, cal. error and from 10 %; cal. error: the mean difference between chance and share of
occupied hours, in ten bins of equally many hours; from 10 %: the same without the hours given less than 10 %";

/// The lines below the parts.
const PART_NOTE: &str = "\
kernel: the rate of the hour of the week, in which late weeks count more; stack: fitted at this site; corrected: the stack with
shipped memories; shipped: layers learned from other buildings; expert: a LightGBM of the one device; the model is their mean";

/// Writes the verdict, the setup, and the tables: scores, skill, by lead, by history, by room (the 20 with the highest
/// log loss, or all).
///
/// # Errors
/// [`io::Error`] when `out` cannot be written.
pub fn write(report: &Report, all_rooms: bool, out: &mut impl Write) -> io::Result<()> {
    let Report { verdict, setup, .. } = report;
    writeln!(out, "{}\n\n{} {}\n", verdict.lines.join("\n"), verdict.log_loss, verdict.rooms)?;
    writeln!(
        out,
        "{}, {}, {} from {} to {} every {}, refitted every {}",
        count(setup.rooms, "room"),
        count(setup.days, "day"),
        count(setup.origins, "origin"),
        setup.from,
        setup.to,
        duration(setup.every),
        duration(setup.refit),
    )?;
    let occupied = percent(report.overall.model().occupied_share);
    let silent = percent(setup.silent_share);
    writeln!(
        out,
        "{} forecast hours, {occupied} occupied, {silent} with a silent sensor\n",
        thousands(setup.hours as u64)
    )?;
    scores(&report.overall, out)?;
    writeln!(out, "{SCORE_NOTE}")?;
    for part in [&report.live, &report.silent].into_iter().flatten() {
        let what = if part.label == "silent" { "of these with a silent sensor" } else { "of these with a live sensor" };
        writeln!(out, "\n{what}: {} hours", thousands(part.model().hours as u64))?;
        scores(part, out)?;
    }
    report.independence.iter().try_for_each(|found| independence(found, out))?;
    skill(report, out)?;
    parts(&report.parts, out)?;
    writeln!(
        out,
        "\nby lead, hours{}",
        if setup.one_hour_of_day { " (a lead is also an hour of day here)" } else { "" }
    )?;
    groups("lead", report.by_lead.iter(), report, out)?;
    days_ahead(&report.by_day_ahead, out)?;
    writeln!(out, "\nby weeks of history before the origin")?;
    groups("weeks", report.by_weeks.iter(), report, out)?;
    if !report.learning_curve.is_empty() {
        writeln!(out, "\nthe same hours, forecast with limited history")?;
        groups("history", report.learning_curve.iter(), report, out)?;
    }
    rooms(report, all_rooms, out)?;
    report.ledger.iter().try_for_each(|ledger| words::write(ledger, all_rooms, out))
}

/// Writes a level's own forecast beside the product over its rooms.
fn independence(found: &Independence, out: &mut impl Write) -> io::Result<()> {
    let level = found.level;
    writeln!(
        out,
        "\n{level}s beside the product 1 − ∏(1 − p) over their rooms, {} hours; the own forecast saves {} % of the log loss",
        found.hours,
        interval(found.saved)
    )?;
    let header = ["", "log loss", "mean gap", "cal. error"];
    let row = |name: &str, numbers: [f64; 3]| {
        std::iter::once(name.to_owned()).chain(numbers.map(|value| number(Some(value)))).collect()
    };
    let own = [found.log_loss, found.calibration_gap, found.calibration_error];
    let product = [found.product_log_loss, found.product_calibration_gap, found.product_calibration_error];
    let rows: [Vec<String>; 2] = [row("own forecast", own), row("product", product)];
    out.write_all(table(&header, &rows, 1).as_bytes())
}

fn scores(group: &Group, out: &mut impl Write) -> io::Result<()> {
    let header: Vec<&str> = std::iter::once("").chain(COLUMNS.iter().map(|column| column.short_name)).collect();
    let rows = group.forecasters.iter().map(|named| {
        let numbers = COLUMNS.iter().map(|column| number((column.of)(&named.scores)));
        std::iter::once(named.forecaster.to_owned()).chain(numbers).collect()
    });
    out.write_all(table(&header, &rows.collect::<Vec<_>>(), 1).as_bytes())
}

fn skill(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\ndifference of the model from each rule, with 95 % intervals; above 0 the model is better")?;
    let header = ["", "log loss, %", "Brier, %", "accuracy, points", "F1, points"];
    out.write_all(table(&header, &report.skill.iter().map(skill_cells).collect::<Vec<_>>(), 1).as_bytes())
}

/// Returns the rule's name and the differences to it, with intervals.
pub(super) fn skill_cells(skill: &Skill) -> Vec<String> {
    let differences = [skill.log_loss, skill.brier, skill.accuracy, skill.f1].map(interval);
    std::iter::once(skill.baseline.to_owned()).chain(differences).collect()
}

/// The header of a table of parts, besides the part's name.
pub(super) const PART_HEADER: [&str; 7] =
    ["hours", "alone", "model", "mixed hours", "without it", "model", "saved by it, %"];

fn parts(parts: &[PartScores], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nlog loss of each part of the model alone, and of the mix without it")?;
    let header: Vec<&str> = std::iter::once("part").chain(PART_HEADER).collect();
    out.write_all(table(&header, &parts.iter().map(part_cells).collect::<Vec<_>>(), 1).as_bytes())?;
    writeln!(out, "{PART_NOTE}")
}

/// Returns the part's name, its log losses, and what it saves.
pub(super) fn part_cells(part: &PartScores) -> Vec<String> {
    let mixed = |of: fn(&Mixed) -> String| part.mixed.as_ref().map_or_else(|| "–".to_owned(), of);
    vec![
        part.part.to_owned(),
        part.hours.to_string(),
        loss(part.alone),
        loss(part.model),
        mixed(|mixed| mixed.hours.to_string()),
        mixed(|mixed| loss(mixed.without)),
        mixed(|mixed| loss(mixed.model)),
        mixed(|mixed| interval(mixed.saved)),
    ]
}

/// Formats a log loss of a part: parts differ in the fourth digit.
fn loss(loss: f64) -> String {
    format!("{loss:.4}")
}

fn days_ahead(days: &[DayAhead], out: &mut impl Write) -> io::Result<()> {
    if days.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nlog loss by day of lead; all other tables are of the first")?;
    let header = ["day", "leads, hours", "hours", "occupied", "model", "hour-of-week rate", "saved, %"];
    let rows: Vec<_> = days.iter().map(day_ahead_cells).collect();
    out.write_all(table(&header, &rows, 1).as_bytes())
}

/// Returns the day of lead, its leads, its hours, the log losses, and what is saved.
pub(super) fn day_ahead_cells(day: &DayAhead) -> Vec<String> {
    vec![
        day.day.to_string(),
        format!("{}–{}", (day.day - 1) * HORIZON + 1, day.day * HORIZON),
        day.hours.to_string(),
        percent(day.occupied_share),
        loss(day.log_loss),
        loss(day.rate_log_loss),
        interval(day.saved),
    ]
}

/// Writes the model next to the best simple rule, one row per group.
fn groups<'a>(
    label: &str,
    groups: impl Iterator<Item = &'a Group>,
    report: &Report,
    out: &mut impl Write,
) -> io::Result<()> {
    let best = report.best_baseline();
    let header = [label, "hours", "occupied", "log loss", "rule's", "accuracy", "rule's", "F1", "rule's"];
    let rows = groups.map(|group| {
        let (model, rule) = (group.model(), group.baseline(best));
        let scores: [Score; 3] = [|s| Some(s.log_loss), |s| Some(s.accuracy), |s| s.f1];
        let numbers = scores.iter().flat_map(|of| [of(model), of(rule)]);
        let first = [group.label.clone(), model.hours.to_string(), percent(model.occupied_share)];
        first.into_iter().chain(numbers.map(number)).collect()
    });
    out.write_all(table(&header, &rows.collect::<Vec<_>>(), 1).as_bytes())
}

fn rooms(report: &Report, all: bool, out: &mut impl Write) -> io::Result<()> {
    let mut worst: Vec<&Group> = report.by_device.iter().map(|room| &room.group).collect();
    worst.sort_by(|a, b| b.model().log_loss.total_cmp(&a.model().log_loss));
    let shown = if all { worst.len() } else { worst.len().min(LISTED_ROOMS) };
    let note = if shown < worst.len() { format!(", the {shown} worst of {}", worst.len()) } else { String::new() };
    writeln!(out, "\nby room{note}; the rule is the best over all rooms: {}", report.verdict.best_baseline)?;
    groups("room", worst.into_iter().take(shown), report, out)
}
