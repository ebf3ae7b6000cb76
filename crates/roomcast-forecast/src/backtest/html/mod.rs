//! The report as one self-contained page: no script, font or picture from elsewhere.
//!
//! Charts are inline SVG; tables hold the numbers behind them. One style sheet sets the colours, light and dark. They
//! are colours that colour-blind people tell apart (Okabe and Ito). The model's marks are also always round and filled,
//! the rule's square and hollow.

mod charts;
mod glossary;
mod rooms;
mod svg;
mod tables;

use self::svg::escape;
use super::baselines;
use super::report::Report;
use super::text::{duration, percent};
use super::verdict::Standing;

/// Returns the page.
pub fn page(report: &Report) -> String {
    let style = include_str!("style.css");
    let body: String = [
        header(report),
        scores(report),
        skill_and_reliability(report),
        lead_and_hours(report),
        heat(report),
        rooms_and_history(report),
        worst(report),
        glossary::section(),
        footer(report),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Roomcast backtest, {} to {}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n",
        day(&report.setup.from),
        day(&report.setup.to),
    )
}

fn day(time: &str) -> &str {
    time.split(' ').next().unwrap_or(time)
}

fn header(report: &Report) -> String {
    let (verdict, setup) = (&report.verdict, &report.setup);
    let chips = chip("chances", verdict.chances) + " " + &chip("plain states", verdict.states);
    let facts = [
        ("rooms", setup.rooms.to_string()),
        ("days", setup.days.to_string()),
        ("origins", format!("{}, every {}", setup.origins, duration(setup.every).trim_start_matches("1 "))),
        ("refitted every", duration(setup.refit).trim_start_matches("1 ").to_owned()),
        ("forecast hours", thousands(setup.hours)),
        ("occupied", percent(report.overall.model().occupied_share)),
        ("sensor silent", percent(setup.silent_share)),
    ];
    let facts: String = facts.iter().map(|(what, n)| format!("<div><dt>{what}</dt><dd>{n}</dd></div>")).collect();
    format!(
        "<header><p class=\"kicker\">Roomcast backtest · {} to {}</p>{chips}\
         <h1>{}</h1><p class=\"lead\">{}</p><p class=\"lead\">{}</p><dl class=\"facts\">{facts}</dl></header>",
        day(&setup.from),
        day(&setup.to),
        verdict.lines.iter().map(|line| format!("<span>{}</span> ", sentence(line))).collect::<String>(),
        sentence(&verdict.log_loss),
        sentence(&verdict.rooms),
    )
}

/// Returns a mark with words for the standing of the model in `what`.
fn chip(what: &str, standing: Standing) -> String {
    let (class, says) = match standing {
        Standing::Better => ("ahead", "▲ {}: model ahead"),
        Standing::BetterWithinNoise => ("even", "△ {}: model ahead, within noise"),
        Standing::Mixed => ("even", "◇ {}: neither is ahead"),
        Standing::WorseWithinNoise => ("even", "▽ {}: simple rule ahead, within noise"),
        Standing::Worse => ("behind", "▼ {}: simple rule ahead"),
    };
    format!("<span class=\"chip {class}\">{}</span>", says.replace("{}", what))
}

/// Escapes a sentence and keeps lines from breaking before a percent sign or inside a rule's name.
fn sentence(text: &str) -> String {
    escape(&text.replace(" %", "\u{a0}%").replace("hour-of-week", "hour\u{2011}of\u{2011}week"))
}

/// Formats a number with thin spaces between thousands.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn scores(report: &Report) -> String {
    let mut parts = String::new();
    for part in [&report.live, &report.silent].into_iter().flatten() {
        let (what, n) = (&part.label, thousands(part.model().hours));
        parts += &details(&format!("Only hours with a {what} sensor ({n})"), &tables::scores(part));
    }
    format!(
        "<section><h2>Scores</h2><p class=\"note\">The model and five simple rules on the same hours. Bold with a dot: \
         best of its column. ↓ lower is better, ↑ higher is better.</p>{}{parts}</section>",
        tables::scores(&report.overall)
    )
}

fn skill_and_reliability(report: &Report) -> String {
    let sure = match report.setup.days {
        0..5 => "Fewer than five days: too few for intervals.",
        _ => "Lines are 95 % intervals over whole days; a hollow dot could be luck.",
    };
    let skill = figure(
        "Better than a simple rule?",
        &format!("How much of each rule’s log loss the model saves. {sure}"),
        &charts::skill(report),
        &tables::skill(&report.skill),
    );
    let reliability = figure(
        "Do the probabilities mean what they say?",
        "Of the hours said to be occupied with 70 %, 70 % should be. Larger marks stand for more hours.",
        &charts::reliability(&report.reliability),
        &tables::reliability(&report.reliability),
    );
    format!("<section class=\"pair\">{skill}{reliability}</section>")
}

fn lead_and_hours(report: &Report) -> String {
    let best = report.best_baseline();
    let caution = match report.setup.one_hour_of_day {
        true => {
            " All origins are at the same hour of day, so each lead is also an hour of day: compare with the rule, \
                 not along the line."
        }
        false => "",
    };
    let lead = figure(
        "How far ahead?",
        &format!("Log loss by the hours between forecast and target.{caution}"),
        &charts::lines("lead", "Log loss by lead", "hours ahead", &report.by_lead, best),
        &tables::groups("lead", report.by_lead.iter(), best),
    );
    let hours = figure(
        "Right at every hour of the day?",
        "Mean probability of the model beside how often rooms were occupied.",
        &charts::hours(&report.by_hour),
        &tables::groups("hour", report.by_hour.iter(), best),
    );
    format!("<section class=\"pair\">{lead}{hours}</section>")
}

fn heat(report: &Report) -> String {
    let more = match report.by_device.len() {
        n if n > rooms::SHOWN => format!(" The first {} of {n} rooms; more in the table.", rooms::SHOWN),
        _ => String::new(),
    };
    let note = format!(
        "The upper half of each cell is the mean probability, the lower half how often the room was occupied. Where \
         both halves look alike, the model knows the room.{more}"
    );
    let chart = format!("<div class=\"heatmap\">{}</div>", rooms::heat(&report.by_device));
    format!("<section>{}</section>", figure("Room by hour", &note, &chart, &tables::heat(&report.by_device)))
}

fn rooms_and_history(report: &Report) -> String {
    let best = report.best_baseline();
    let worst_first = match report.by_device.len() {
        n if n > rooms::SHOWN => format!("The {} of {n} rooms with the highest log loss.", rooms::SHOWN),
        _ => "The room with the highest log loss first.".to_owned(),
    };
    let dots = figure(
        "Which rooms are hard?",
        &format!("{worst_first} Right: log loss saved against the rule; * more than luck."),
        &rooms::dots(report),
        &tables::groups("room", report.by_device.iter().map(|room| &room.group), best),
    );
    let (note, groups, axis) = match report.learning_curve.is_empty() {
        true => (
            "Hours by the whole weeks of history their room had at the origin. Other weeks are also other rooms and \
             other days: compare with the rule. With --learning-curve the same hours are forecast again with less.",
            &report.by_weeks,
            "weeks of history",
        ),
        false => (
            "The same hours, forecast again with only the last weeks of readings before each origin. A line that \
             still falls at its end says that more data will help.",
            &report.learning_curve,
            "history, at most",
        ),
    };
    let mut history = figure(
        "What does more history bring?",
        note,
        &charts::lines("history", "Log loss by weeks of history", axis, groups, best),
        &tables::groups("history", groups.iter(), best),
    );
    if !report.learning_curve.is_empty() {
        history += &details(
            "By whole weeks of history the room had at the origin",
            &tables::groups("weeks", report.by_weeks.iter(), best),
        );
    }
    format!("<section class=\"pair\">{dots}<div>{history}</div></section>")
}

fn worst(report: &Report) -> String {
    let card = |(at, day): (usize, &super::worst::WorstRoomDay)| {
        format!(
            "<article class=\"card\"><h3>{}</h3><p class=\"when\">{}, {} · log loss {:.2} · expected {:.1} h, came {} \
             h</p>{}<p class=\"why\">{}</p></article>",
            escape(&day.device),
            day.date,
            day.kind,
            day.log_loss,
            day.predicted_hours(),
            day.actual_hours(),
            rooms::strip(at, day),
            escape(day.why),
        )
    };
    let cards: String = report.worst_room_days.iter().enumerate().map(card).collect();
    let mut html = match report.worst_days.is_empty() {
        true => String::new(),
        false => format!(
            "<section><h2>The worst days</h2><p class=\"note\">Days on which the model lost clearly more than on others of \
             the same type, and what was particular about them.</p>{}</section>",
            tables::days(&report.worst_days)
        ),
    };
    if !cards.is_empty() {
        html += "<section><h2>The worst days of single rooms</h2><p class=\"note\">Bars: probability, by hour of day; the \
                 upper line is 100\u{a0}%. Filled squares: motion. Days on which no room at all saw motion are left \
                 out.</p><div class=\"cards\">";
        html += &format!("{cards}</div></section>");
    }
    html
}

fn footer(report: &Report) -> String {
    let setup = &report.setup;
    let zone = setup.timezone.as_deref().unwrap_or("local wall time of the readings");
    format!(
        "<footer>Roomcast {} · origins {} to {}, every {} · models refitted every {} · {} · best simple rule by log loss: {}</footer>",
        report.version,
        setup.from,
        setup.to,
        duration(setup.every),
        duration(setup.refit),
        escape(zone),
        baselines::NAMES[report.best_baseline()],
    )
}

fn figure(heading: &str, note: &str, chart: &str, table: &str) -> String {
    format!(
        "<figure><figcaption><h2>{heading}</h2><p class=\"note\">{}</p></figcaption>{chart}{}</figure>",
        sentence(note),
        details("Numbers", table)
    )
}

fn details(summary: &str, content: &str) -> String {
    format!("<details><summary>{summary}</summary>{content}</details>")
}
