//! Tables: the scores, and the numbers behind each chart.

use maud::{Markup, html};

use super::unbroken;
use crate::backtest::groups::{Group, Room};
use crate::backtest::numbers::{number, percent};
use crate::backtest::parts::PartScores;
use crate::backtest::report::Reliability;
use crate::backtest::scores::{COLUMNS, Column, Score};
use crate::backtest::skill::Skill;
use crate::backtest::text::{PART_HEADER, part_cells, skill_cells};
use crate::backtest::worst_days::WorstDay;

/// Most rows in a table; thousands of rooms would make a page that no browser opens.
const MAX_ROWS: usize = 500;

/// Returns all scores of all forecasters: the model first, the others by log loss, the best of each column marked.
pub fn scores(group: &Group) -> Markup {
    let mut rows: Vec<_> = group.forecasters.iter().collect();
    rows[1..].sort_by(|a, b| a.scores.log_loss.total_cmp(&b.scores.log_loss));
    let best = |column: &Column| {
        let values = rows.iter().filter_map(|row| (column.of)(&row.scores));
        number(if column.lower_is_better { values.min_by(f64::total_cmp) } else { values.max_by(f64::total_cmp) })
    };
    let columns: Vec<_> = COLUMNS.iter().map(|column| (column, best(column))).collect();
    html! {
        div.scroll { table.wide.scores {
            thead { tr {
                td {}
                @for column in &COLUMNS {
                    th scope="col" { (unbroken(column.name)) "\u{a0}" (if column.lower_is_better { "↓" } else { "↑" }) }
                }
            } }
            tbody { @for (at, row) in rows.iter().enumerate() {
                tr.model[at == 0] {
                    th scope="row" { (row.forecaster) }
                    @for (column, best) in &columns {
                        @let value = (column.of)(&row.scores);
                        // Values that read the same are equally good.
                        td.best[value.is_some() && number(value) == *best] { (number(value)) }
                    }
                }
            } }
        } }
    }
}

/// Returns the scores of the model and the best rule by group.
pub fn groups<'a>(label: &str, groups: impl ExactSizeIterator<Item = &'a Group>, best: usize) -> Markup {
    const PAIRS: [(&str, Score); 5] = [
        ("log loss", |s| Some(s.log_loss)),
        ("Brier", |s| Some(s.brier)),
        ("accuracy", |s| Some(s.accuracy)),
        ("F1", |s| s.f1),
        ("PR-AUC", |s| s.pr_auc),
    ];
    let first = [label, "hours", "occupied", "mean probability"];
    let header: Vec<&str> = first.into_iter().chain(PAIRS.iter().flat_map(|(name, _)| [name, "rule’s"])).collect();
    let left_out = groups.len().saturating_sub(MAX_ROWS);
    let rows = groups.take(MAX_ROWS).map(|group| {
        let (ours, rule) = (group.model(), group.baseline(best));
        let first =
            [group.label.clone(), ours.hours.to_string(), percent(ours.occupied_share), percent(ours.mean_probability)];
        first.into_iter().chain(PAIRS.iter().flat_map(|(_, of)| [number(of(ours)), number(of(rule))])).collect()
    });
    table(&header, rows, left_out)
}

/// Returns the skill against each rule, with intervals.
pub fn skill(skills: &[Skill]) -> Markup {
    let header = ["rule", "log loss saved, %", "Brier saved, %", "accuracy, points", "F1, points"];
    table(&header, skills.iter().map(skill_cells), 0)
}

/// Returns what each part of the model is worth.
pub fn parts(parts: &[PartScores]) -> Markup {
    let header: Vec<&str> = std::iter::once("part").chain(PART_HEADER).collect();
    table(&header, parts.iter().map(part_cells), 0)
}

/// Returns the bins of reliability diagrams.
pub fn reliability(diagrams: &[Reliability]) -> Markup {
    let bins = diagrams.iter().flat_map(|diagram| diagram.bins.iter().map(|bin| (diagram.forecaster, bin)));
    let rows = bins.filter_map(|(forecaster, bin)| {
        let (probability, share) = bin.point()?;
        Some(vec![forecaster.to_owned(), percent(probability), percent(share), bin.hours.to_string()])
    });
    table(&["", "forecast", "observed", "hours"], rows, 0)
}

/// Returns mean probability and share of occupied hours by room and hour of day.
pub fn heat_map(rooms: &[Room]) -> Markup {
    let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
    let header: Vec<&str> = ["room", ""].into_iter().chain(hours.iter().map(String::as_str)).collect();
    let cell = |share: &Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.0}", 100.0 * share));
    let rows = rooms.iter().take(MAX_ROWS).flat_map(|room| {
        [("forecast", &room.predicted), ("observed", &room.actual)].map(|(what, shares)| {
            [room.group.label.clone(), what.to_owned()].into_iter().chain(shares.iter().map(cell)).collect()
        })
    });
    table(&header, rows, rooms.len().saturating_sub(MAX_ROWS))
}

/// Returns the worst days of the site.
pub fn days(days: &[WorstDay]) -> Markup {
    html! {
        div.scroll { table.wide {
            thead { tr {
                th scope="col" { "day" }
                th.text scope="col" { "likely reason" }
                th.text scope="col" { "type" }
                @for name in ["log loss", "times usual", "room-hours expected", "observed"] { th scope="col" { (name) } }
            } }
            tbody { @for day in days {
                tr {
                    th scope="row" { (day.date) }
                    td.prose { (day.why) }
                    td.text { (day.kind) }
                    td { (format!("{:.3}", day.log_loss)) }
                    td { (format!("{:.1}×", day.times_usual)) }
                    td { (format!("{:.1}", day.predicted_hours)) }
                    td { (format!("{:.0}", day.actual_hours)) }
                }
            } }
        } }
    }
}

/// Returns a table, with a line that says how many rows were left out.
pub fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>, left_out: usize) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { @for cell in header { th scope="col" { (cell) } } } }
            tbody { @for row in rows {
                tr { @for (at, cell) in row.iter().enumerate() {
                    @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                } }
            } }
        } }
        @if left_out > 0 { p.note { "and " (left_out) " more; --json has all" } }
    }
}
