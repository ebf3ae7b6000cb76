//! The report as one self-contained page: no script, font or picture from elsewhere.
//!
//! Charts are inline SVG; tables hold the numbers behind them. One style sheet sets the colours, light and dark. They
//! are colours that colour-blind people tell apart (Okabe and Ito). The model's marks are also always round and filled,
//! the rule's square and hollow.

mod charts;
mod glossary;
mod ledger;
mod rooms;
mod scale;
mod svg;
mod tables;

use maud::{Markup, PreEscaped, html};

use super::baselines;
use super::numbers::{duration, percent, thousands};
use super::report::Report;
use super::verdict::Standing;
use super::worst_days::WorstRoomDay;

/// Returns the page.
pub fn page(report: &Report) -> String {
    let span = format!("{} to {}", day(&report.setup.from), day(&report.setup.to));
    let page = html! {
        (PreEscaped("<!doctype html>\n"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Roomcast backtest, " (span) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main {
                (header(report, &span))
                @if let Some(ledger) = &report.ledger { (ledger::section(ledger)) }
                (scores(report))
                section.pair { (skill(report)) (reliability(report)) }
                (parts(report))
                section.pair { (lead(report)) (hours(report)) }
                section { (heat_map(report)) }
                section.pair { (hard_rooms(report)) div { (history(report)) } }
                (site_days(report))
                (room_days(report))
                (glossary::section())
                (footer(report))
            } }
        }
    };
    page.into_string() + "\n"
}

fn day(time: &str) -> &str {
    time.split(' ').next().unwrap_or(time)
}

fn header(report: &Report, span: &str) -> Markup {
    let (verdict, setup) = (&report.verdict, &report.setup);
    let facts = [
        ("rooms", setup.rooms.to_string()),
        ("days", setup.days.to_string()),
        ("origins", format!("{}, every {}", setup.origins, duration(setup.every).trim_start_matches("1 "))),
        ("refitted every", duration(setup.refit).trim_start_matches("1 ").to_owned()),
        ("forecast hours", thousands(setup.hours as u64)),
        ("occupied", percent(report.overall.model().occupied_share)),
        ("sensor silent", percent(setup.silent_share)),
    ];
    html! {
        header {
            p.kicker { "Roomcast backtest · " (span) }
            (standing_mark("chances", verdict.chances)) " " (standing_mark("plain states", verdict.states))
            h1 { @for line in &verdict.lines { span { (unbroken(line)) } " " } }
            p.lead { (unbroken(&verdict.log_loss)) }
            p.lead { (unbroken(&verdict.rooms)) }
            dl.facts { @for (what, value) in facts { div { dt { (what) } dd { (value) } } } }
        }
    }
}

/// Returns a mark with words for the standing of the model in `what`.
fn standing_mark(what: &str, standing: Standing) -> Markup {
    let (class, mark, words) = match standing {
        Standing::Better => ("ahead", '▲', "model ahead"),
        Standing::BetterWithinNoise => ("even", '△', "model ahead, within noise"),
        Standing::Mixed => ("even", '◇', "neither is ahead"),
        Standing::WorseWithinNoise => ("even", '▽', "simple rule ahead, within noise"),
        Standing::Worse => ("behind", '▼', "simple rule ahead"),
    };
    html! { span class={ "chip " (class) } { (mark) " " (what) ": " (words) } }
}

/// Keeps lines from breaking before a percent sign, inside a rule's name, or inside an option of the command line.
fn unbroken(text: &str) -> Markup {
    let words = |text: &str| text.replace(" %", "\u{a0}%").replace("hour-of-week", "hour\u{2011}of\u{2011}week");
    html! {
        @for (option, rest) in options(text) {
            @if !option.is_empty() { span.option { (option) } }
            (words(rest))
        }
    }
}

/// Divides a text before and after each option such as `--json`: pairs of an option, at first empty, and the text that
/// follows it.
fn options(text: &str) -> Vec<(&str, &str)> {
    let starts = text.match_indices("--").map(|(at, _)| at);
    let begins: Vec<usize> = std::iter::once(0).chain(starts).collect();
    let ends = begins[1..].iter().copied().chain([text.len()]);
    let divide = |(at, (begin, end)): (usize, (&usize, usize))| {
        let part = &text[*begin..end];
        let name = |c: char| c == '-' || c.is_ascii_alphanumeric();
        part.split_at(if at == 0 { 0 } else { part.find(|c| !name(c)).unwrap_or(part.len()) })
    };
    begins.iter().zip(ends).enumerate().map(divide).collect()
}

fn scores(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Scores" }
            p.note {
                "The model and five simple rules are scored on the same hours. Bold with a dot marks the best of a column. \
                 ↓ lower is better, ↑ higher is better."
            }
            (tables::scores(&report.overall))
            @for part in [&report.live, &report.silent].into_iter().flatten() {
                @let hours = thousands(part.model().hours as u64);
                (details(&format!("Only hours with a {} sensor ({hours})", part.label), &tables::scores(part)))
            }
        }
    }
}

fn parts(report: &Report) -> Markup {
    html! {
        section {
            h2 { "What is each part worth?" }
            p.note {
                "The log loss of each part of the model by itself, and of the mix without it, each beside that of the model \
                 over the same hours. The kernel rate is not mixed: the stack begins with it."
            }
            (tables::parts(&report.parts))
        }
    }
}

fn skill(report: &Report) -> Markup {
    let intervals = match report.setup.days {
        0..5 => "Intervals need five days.",
        _ => "Lines are 95 % intervals over whole days. A hollow dot may be luck.",
    };
    figure(
        "Better than a simple rule?",
        &format!("The share of each rule’s log loss that the model saves. {intervals}"),
        &charts::skill(report),
        &tables::skill(&report.skill),
    )
}

fn reliability(report: &Report) -> Markup {
    figure(
        "Are the probabilities calibrated?",
        "Of the hours given 70 %, 70 % should be occupied. Larger marks stand for more hours.",
        &charts::reliability(&report.reliability),
        &tables::reliability(&report.reliability),
    )
}

fn lead(report: &Report) -> Markup {
    let best = report.best_baseline();
    let caution = match report.setup.one_hour_of_day {
        true => {
            " All origins are at the same hour of day, so each lead is also an hour of day. Compare the two lines, not \
             the points of one line."
        }
        false => "",
    };
    figure(
        "How far ahead?",
        &format!("Log loss by the hours between forecast and target.{caution}"),
        &charts::lines("lead", "Log loss by lead", "hours ahead", &report.by_lead, best),
        &tables::groups("lead", report.by_lead.iter(), best),
    )
}

fn hours(report: &Report) -> Markup {
    figure(
        "Right at every hour of the day?",
        "The model’s mean probability and the share of occupied hours.",
        &charts::hours(&report.by_hour),
        &tables::groups("hour", report.by_hour.iter(), report.best_baseline()),
    )
}

fn heat_map(report: &Report) -> Markup {
    let more = match report.by_device.len() {
        n if n > rooms::MAX_ROOMS => {
            format!(" The chart shows the first {} of {n} rooms; the table has more.", rooms::MAX_ROOMS)
        }
        _ => String::new(),
    };
    let note = format!(
        "The upper half of each cell is the mean probability, the lower half the share of occupied hours. A room is \
         forecast well where both halves look alike.{more}"
    );
    let chart = html! { div.heatmap { (rooms::heat_map(&report.by_device)) } };
    figure("Room by hour", &note, &chart, &tables::heat_map(&report.by_device))
}

fn hard_rooms(report: &Report) -> Markup {
    let order = match report.by_device.len() {
        n if n > rooms::MAX_ROOMS => {
            format!("The chart shows the {} of {n} rooms with the highest log loss.", rooms::MAX_ROOMS)
        }
        _ => "The room with the highest log loss comes first.".to_owned(),
    };
    figure(
        "Which rooms are hard?",
        &format!("{order} The right column is the log loss saved against the rule; * marks more than luck."),
        &rooms::dots(report),
        &tables::groups("room", report.by_device.iter().map(|room| &room.group), report.best_baseline()),
    )
}

fn history(report: &Report) -> Markup {
    let best = report.best_baseline();
    let (note, groups, axis) = match report.learning_curve.is_empty() {
        true => (
            "Hours are grouped by the whole weeks of history before their origin. Groups differ in rooms and days too, so \
             compare with the rule. --learning-curve forecasts the same hours again with less history.",
            &report.by_weeks,
            "weeks of history",
        ),
        false => (
            "The same hours are forecast again with only the last weeks of readings before each origin. If the line still \
             falls at its end, more data will help.",
            &report.learning_curve,
            "history, at most",
        ),
    };
    let chart = charts::lines("history", "Log loss by weeks of history", axis, groups, best);
    let by_weeks = || tables::groups("weeks", report.by_weeks.iter(), best);
    html! {
        (figure("Does more history help?", note, &chart, &tables::groups("history", groups.iter(), best)))
        @if !report.learning_curve.is_empty() {
            (details("By whole weeks of history before the origin", &by_weeks()))
        }
    }
}

fn site_days(report: &Report) -> Markup {
    html! {
        @if !report.worst_days.is_empty() {
            section {
                h2 { "The worst days" }
                p.note {
                    "The eight days of highest log loss among those that lost at least a quarter more than all days of the \
                     same type, with a likely reason. Some lose so much by chance."
                }
                (tables::days(&report.worst_days))
            }
        }
    }
}

fn room_days(report: &Report) -> Markup {
    html! {
        @if !report.worst_room_days.is_empty() {
            section {
                h2 { "The worst days of single rooms" }
                p.note {
                    "The twelve days of highest log loss among all rooms: of many days some lose so much by chance. Days \
                     without motion in any room are left out. Bars are probabilities by hour of day; the upper line is \
                     100\u{a0}%. Filled squares are hours with motion."
                }
                div.cards { @for (at, day) in report.worst_room_days.iter().enumerate() { (card(at, day)) } }
            }
        }
    }
}

fn card(at: usize, day: &WorstRoomDay) -> Markup {
    let figures = format!(
        "log loss {:.2} · expected {:.1} h, observed {} h",
        day.log_loss,
        day.predicted_hours(),
        day.actual_hours()
    );
    html! {
        article.card {
            h3 { (day.device) }
            p.when { (day.date) ", " (day.kind) " · " (figures) }
            (rooms::day_strip(at, day))
            p.why { (day.why) }
        }
    }
}

fn footer(report: &Report) -> Markup {
    let setup = &report.setup;
    html! {
        footer {
            "Roomcast " (report.version) " · origins " (setup.from) " to " (setup.to) ", every " (duration(setup.every))
            " · models refitted every " (duration(setup.refit))
            " · " (setup.timezone.as_deref().unwrap_or("local wall time of the readings"))
            " · best simple rule by log loss: " (baselines::NAMES[report.best_baseline()])
        }
    }
}

fn figure(heading: &str, note: &str, chart: &Markup, table: &Markup) -> Markup {
    html! {
        figure {
            figcaption { h2 { (heading) } p.note { (unbroken(note)) } }
            (chart)
            (details("Numbers", table))
        }
    }
}

fn details(summary: &str, content: &Markup) -> Markup {
    html! { details { summary { (summary) } (content) } }
}

#[cfg(test)]
mod tests {
    use super::unbroken;

    #[test]
    fn options_within_the_headline_stay_in_their_line() {
        // The spans of the headline's lines are blocks; those of options within them are not.
        let style = include_str!("style.css");
        assert!(style.contains("\nh1 > span { display: block;") && !style.contains("h1 span"));
    }

    #[test]
    fn options_are_not_broken_over_lines_and_nothing_else_changes() {
        let whole = |text: &str| unbroken(text).into_string();
        let expected = "More history (<span class=\"option\">--learning-curve</span>). 5\u{a0}% <span \
                        class=\"option\">--cost-miss</span>, <span class=\"option\">--json</span>";
        assert_eq!(whole("More history (--learning-curve). 5 % --cost-miss, --json"), expected);
        assert_eq!(whole("<b> – a-b"), "&lt;b&gt; – a-b");
        assert_eq!(whole(""), "");
    }
}
