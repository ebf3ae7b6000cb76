//! Tables: the scores, and the numbers behind each chart.

use super::charts::minus;
use super::svg::escape;
use crate::backtest::report::{Group, Reliability, Room};
use crate::backtest::scores::Scores;
use crate::backtest::skill::Skill;
use crate::backtest::text::{interval, number, percent};
use crate::backtest::worst::WorstDay;

/// Most rows in a table; thousands of rooms would make a page that no browser opens.
const MOST_ROWS: usize = 500;

/// A score and its better end.
struct Column {
    name: &'static str,
    lower_is_better: bool,
    of: fn(&Scores) -> Option<f64>,
}

const fn column(name: &'static str, lower_is_better: bool, of: fn(&Scores) -> Option<f64>) -> Column {
    Column { name, lower_is_better, of }
}

const COLUMNS: [Column; 12] = [
    column("log loss", true, |s| Some(s.log_loss)),
    column("Brier", true, |s| Some(s.brier)),
    column("accuracy", false, |s| Some(s.accuracy)),
    column("balanced accuracy", false, |s| s.balanced_accuracy),
    column("F1", false, |s| s.f1),
    column("precision", false, |s| s.precision),
    column("recall", false, |s| s.recall),
    column("MCC", false, |s| s.mcc),
    column("PR-AUC", false, |s| s.pr_auc),
    column("ROC-AUC", false, |s| s.roc_auc),
    column("calibration error", true, |s| Some(s.calibration_error)),
    column("error from 10 %", true, |s| s.likely_calibration_error),
];

/// Returns all scores of all forecasters: the model first, the others by log loss, the best of each column marked.
pub fn scores(group: &Group) -> String {
    let mut rows: Vec<_> = group.forecasters.iter().collect();
    rows[1..].sort_by(|a, b| a.scores.log_loss.total_cmp(&b.scores.log_loss));
    let best: Vec<Option<f64>> = COLUMNS
        .iter()
        .map(|column| {
            let values = rows.iter().filter_map(|row| (column.of)(&row.scores));
            if column.lower_is_better { values.min_by(f64::total_cmp) } else { values.max_by(f64::total_cmp) }
        })
        .collect();
    let mut html = String::from("<div class=\"scroll\"><table class=\"wide scores\"><thead><tr><td></td>");
    for column in &COLUMNS {
        let arrow = if column.lower_is_better { "↓" } else { "↑" };
        html += &format!("<th scope=\"col\">{}&nbsp;{arrow}</th>", column.name.replace(" %", "&nbsp;%"));
    }
    html += "</tr></thead><tbody>";
    for (at, row) in rows.iter().enumerate() {
        let class = if at == 0 { " class=\"model\"" } else { "" };
        html += &format!("<tr{class}><th scope=\"row\">{}</th>", row.forecaster);
        for (column, best) in COLUMNS.iter().zip(&best) {
            let value = (column.of)(&row.scores);
            // Values that read the same are equally good.
            let class = if value.is_some() && number(value) == number(*best) { " class=\"best\"" } else { "" };
            html += &format!("<td{class}>{}</td>", number(value));
        }
        html += "</tr>";
    }
    html + "</tbody></table></div>"
}

/// Returns the scores of the model and the best rule by group.
pub fn groups<'a>(label: &str, groups: impl ExactSizeIterator<Item = &'a Group>, best: usize) -> String {
    let header = [
        label,
        "hours",
        "occupied",
        "mean probability",
        "log loss",
        "rule’s",
        "Brier",
        "rule’s",
        "accuracy",
        "rule’s",
        "F1",
        "rule’s",
        "PR-AUC",
        "rule’s",
    ];
    let left_out = groups.len().saturating_sub(MOST_ROWS);
    let rows = groups.take(MOST_ROWS).map(|group| {
        let (ours, rule) = (group.model(), group.baseline(best));
        let pair = |of: fn(&Scores) -> Option<f64>| [number(of(ours)), number(of(rule))];
        let mut cells = vec![
            group.label.clone(),
            ours.hours.to_string(),
            percent(ours.occupied_share),
            percent(ours.mean_probability),
        ];
        cells.extend(pair(|s| Some(s.log_loss)));
        cells.extend(pair(|s| Some(s.brier)));
        cells.extend(pair(|s| Some(s.accuracy)));
        cells.extend(pair(|s| s.f1));
        cells.extend(pair(|s| s.pr_auc));
        cells
    });
    table(&header, rows, left_out)
}

/// Returns the skill against each rule, with intervals.
pub fn skill(skills: &[Skill]) -> String {
    let rows = skills.iter().map(|s| {
        let cells = [s.log_loss, s.brier, s.accuracy, s.f1].map(interval);
        std::iter::once(s.baseline.to_owned()).chain(cells).collect()
    });
    table(&["rule", "log loss saved, %", "Brier saved, %", "accuracy, points", "F1, points"], rows, 0)
}

/// Returns the bins of reliability diagrams.
pub fn reliability(diagrams: &[Reliability]) -> String {
    let bins = diagrams.iter().flat_map(|diagram| diagram.bins.iter().map(|bin| (diagram.forecaster, bin)));
    let rows = bins.map(|(whose, bin)| {
        vec![whose.to_owned(), percent(bin.mean_probability), percent(bin.occupied_share), bin.hours.to_string()]
    });
    table(&["", "said", "came", "hours"], rows, 0)
}

/// Returns mean probability and share of occupied hours by room and hour of day.
pub fn heat(rooms: &[Room]) -> String {
    let hours: Vec<String> = (0..24).map(|hour| hour.to_string()).collect();
    let header: Vec<&str> = ["room", ""].into_iter().chain(hours.iter().map(String::as_str)).collect();
    let cells = |shares: &[Option<f64>; 24]| -> Vec<String> {
        shares.iter().map(|share| share.map_or_else(|| "–".to_owned(), |s| format!("{:.0}", 100.0 * s))).collect()
    };
    let rows = rooms.iter().take(MOST_ROWS).flat_map(|room| {
        [("said", &room.predicted), ("came", &room.actual)].map(|(what, shares)| {
            [room.group.label.clone(), what.to_owned()].into_iter().chain(cells(shares)).collect()
        })
    });
    table(&header, rows, rooms.len().saturating_sub(MOST_ROWS))
}

/// Returns the worst days of the site.
pub fn days(days: &[WorstDay]) -> String {
    let header = [
        ("day", ""),
        ("what was particular", " class=\"text\""),
        ("type", " class=\"text\""),
        ("log loss", ""),
        ("times usual", ""),
        ("room-hours expected", ""),
        ("came", ""),
    ];
    let mut html = String::from("<div class=\"scroll\"><table class=\"wide\"><thead><tr>");
    for (name, class) in header {
        html += &format!("<th scope=\"col\"{class}>{name}</th>");
    }
    html += "</tr></thead><tbody>";
    for day in days {
        html += &format!(
            "<tr><th scope=\"row\">{}</th><td class=\"prose\">{}</td><td class=\"text\">{}</td><td>{:.3}</td>\
             <td>{:.1}×</td><td>{:.1}</td><td>{:.0}</td></tr>",
            day.date,
            escape(day.why),
            day.kind,
            day.log_loss,
            day.times_usual,
            day.predicted_hours,
            day.actual_hours,
        );
    }
    html + "</tbody></table></div>"
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>, left_out: usize) -> String {
    let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
    for cell in header {
        html += &format!("<th scope=\"col\">{}</th>", escape(cell));
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for (at, cell) in row.iter().enumerate() {
            let cell = escape(&minus(cell.clone()));
            html += &if at == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") };
        }
        html += "</tr>";
    }
    html += "</tbody></table></div>";
    if left_out > 0 {
        html += &format!("<p class=\"note\">and {left_out} more; --json has all</p>");
    }
    html
}
