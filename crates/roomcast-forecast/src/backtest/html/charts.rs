//! Charts of a few numbers: skill with intervals, reliability, lines over groups, hours of the day.

use super::svg::{Scale, Svg};
use crate::backtest::report::{Group, Reliability, Report};
use crate::backtest::text::{interval, percent};

/// Width of a chart in its own units, about one pixel each on a desktop.
const WIDTH: f64 = 520.0;

/// Draws the skill against each simple rule, the hardest first: a dot and a 95 % interval.
pub fn skill(report: &Report) -> String {
    const ROW: f64 = 42.0;
    let mut rules: Vec<_> = report.skill.iter().collect();
    rules.sort_by(|a, b| a.log_loss.value.total_cmp(&b.log_loss.value));
    let bottom = 36.0 + ROW * rules.len() as f64;
    let ends = rules.iter().flat_map(|s| {
        let (low, high) = s.log_loss.interval.unwrap_or((s.log_loss.value, s.log_loss.value));
        [low, high]
    });
    let x = Scale::around(ends.chain([0.0]).map(|share| 100.0 * share), (200.0, WIDTH - 78.0));
    let mut svg = Svg::new(WIDTH, bottom + 40.0);
    for tick in x.ticks() {
        svg.line("grid", (x.at(tick), 26.0), (x.at(tick), bottom));
        svg.text("small mid", (x.at(tick), bottom + 18.0), &minus(format!("{tick:.0} %")));
    }
    svg.line("zero", (x.at(0.0), 22.0), (x.at(0.0), bottom));
    if x.at(0.0) > 240.0 {
        svg.text("small end", (x.at(0.0) - 8.0, 16.0), "← rule better");
    }
    svg.text("small", (x.at(0.0) + if x.at(0.0) > 240.0 { 8.0 } else { 0.0 }, 16.0), "model better →");
    for (row, skill) in rules.iter().enumerate() {
        let y = 36.0 + ROW * (row as f64 + 0.5);
        let tip = format!("{}: {} % of its log loss saved", skill.baseline, interval(skill.log_loss));
        if let Some((low, high)) = skill.log_loss.interval {
            svg.line("whisker", (x.at(100.0 * low), y), (x.at(100.0 * high), y));
        }
        let sure = skill.log_loss.surely_above() || skill.log_loss.surely_below();
        let class = if sure { "model" } else { "model hollow" };
        svg.circle(class, (x.at(100.0 * skill.log_loss.value), y), 5.5, &tip);
        svg.text("end", (188.0, y + 4.5), skill.baseline);
        svg.text("end strong", (WIDTH, y + 4.5), &minus(format!("{:+.1} %", 100.0 * skill.log_loss.value)));
    }
    let words = rules.iter().map(|s| format!("{} {} %", s.baseline, interval(s.log_loss))).collect::<Vec<_>>();
    svg.finish("skill", "Log loss saved against each simple rule, with 95 % intervals", &words.join("; "))
}

/// Draws the share of occupied hours against probability, with the number of hours in each bin below.
pub fn reliability(pair: &[Reliability]) -> String {
    const SIDE: f64 = 330.0;
    let x = Scale { values: (0.0, 1.0), place: (52.0, 52.0 + SIDE) };
    let y = Scale { values: (0.0, 1.0), place: (12.0 + SIDE, 12.0) };
    let counts = Scale { values: (0.0, 1.0), place: (SIDE + 116.0, SIDE + 58.0) };
    let mut svg = Svg::new(WIDTH, SIDE + 156.0);
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        svg.line("grid", (x.at(tick), y.at(0.0)), (x.at(tick), y.at(1.0)));
        svg.line("grid", (x.at(0.0), y.at(tick)), (x.at(1.0), y.at(tick)));
        svg.text("small end", (44.0, y.at(tick) + 4.0), &format!("{:.0} %", 100.0 * tick));
        svg.text("small mid", (x.at(tick), y.at(0.0) + 18.0), &format!("{:.0} %", 100.0 * tick));
    }
    svg.line("diagonal", (x.at(0.0), y.at(0.0)), (x.at(1.0), y.at(1.0)));
    svg.text("small", (x.at(1.0) + 12.0, y.at(1.0) + 4.0), "as often as said");
    svg.text("small", (x.at(1.0) + 12.0, y.at(0.5) - 22.0), "above the dots:");
    svg.text("small", (x.at(1.0) + 12.0, y.at(0.5) - 6.0), "said too little");
    svg.text("small", (x.at(1.0) + 12.0, y.at(0.5) + 14.0), "below: too much");
    svg.text("small mid", (x.at(0.5), SIDE + 150.0), "probability said");
    svg.text("small", (x.at(1.0) + 12.0, counts.at(0.5)), "hours in each bin");
    let most = pair.iter().flat_map(|r| &r.bins).map(|bin| bin.hours).max().unwrap_or(1).max(1) as f64;
    svg.line("axis", (x.at(0.0), counts.at(0.0)), (x.at(1.0), counts.at(0.0)));
    for (which, of) in pair.iter().enumerate().rev() {
        let class = if which == 0 { "model" } else { "base" };
        let points: Vec<_> = of.bins.iter().map(|b| (x.at(b.mean_probability), y.at(b.occupied_share))).collect();
        svg.polyline(&format!("{class} line"), &points);
        for (bin, &point) in of.bins.iter().zip(&points) {
            let tip = format!(
                "{}: said {}, came {}, {} hours",
                of.forecaster,
                percent(bin.mean_probability),
                percent(bin.occupied_share),
                bin.hours
            );
            // Square root, so that the area of a mark shows its weight.
            let size = 3.0 + 3.5 * (bin.hours as f64 / most).sqrt();
            match which {
                0 => svg.circle(class, point, size, &tip),
                _ => svg.square(class, point, size * 0.9, &tip),
            }
            let left =
                x.at((bin.mean_probability * 10.0).floor().min(9.0) / 10.0) + if which == 0 { 3.0 } else { 17.0 };
            let top = counts.at(bin.hours as f64 / most);
            svg.rect(&format!("bar {class}"), (left, top), (13.0, counts.at(0.0) - top), &tip);
        }
    }
    legend(&mut svg, (x.at(1.0) + 12.0, y.at(1.0) + 44.0), &pair.iter().map(|r| r.forecaster).collect::<Vec<_>>());
    let words = pair.iter().map(|of| {
        let bins =
            of.bins.iter().map(|b| format!("{} came {}", percent(b.mean_probability), percent(b.occupied_share)));
        format!("{}: {}", of.forecaster, bins.collect::<Vec<_>>().join(", "))
    });
    let words = words.collect::<Vec<_>>().join("; ");
    svg.finish("reliability", "How often hours were occupied, by the probability said", &words)
}

/// Draws the marks of the model and the best rule, one below the other.
fn legend(svg: &mut Svg, (left, top): (f64, f64), names: &[&str]) {
    for (which, name) in names.iter().enumerate() {
        let mut y = top + 24.0 * which as f64;
        match which {
            0 => svg.circle("model", (left + 6.0, y), 5.0, ""),
            _ => svg.square("base", (left + 6.0, y), 4.5, ""),
        }
        // Names of several words would run off the picture on a phone.
        let class = if which == 0 { "model" } else { "base" };
        for line in wrap(name, 13) {
            svg.text(class, (left + 19.0, y + 4.5), &line);
            y += 18.0;
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Draws the log loss of the model and the best rule over ordered groups.
pub fn lines(id: &str, title: &str, axis: &str, groups: &[Group], best: usize) -> String {
    let (height, left, right) = (300.0, 46.0, WIDTH - 16.0);
    let losses = |of: fn(&Group, usize) -> f64| groups.iter().map(|g| of(g, best)).collect::<Vec<f64>>();
    let model = losses(|g, _| g.model().log_loss);
    let rule = losses(|g, best| g.baseline(best).log_loss);
    let both = || model.iter().chain(&rule).copied();
    let (lowest, highest) = (both().fold(f64::INFINITY, f64::min), both().fold(0.0, f64::max));
    // When all values are far from 0, an axis from 0 would hide the differences.
    let zero = (lowest < 0.6 * highest).then_some(0.0);
    let y = Scale::around(both().chain(zero), (height - 52.0, 34.0));
    let slot = (right - left) / groups.len() as f64;
    let x = |at: usize| left + slot * (at as f64 + 0.5);
    let mut svg = Svg::new(WIDTH, height);
    for tick in y.ticks() {
        svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
        svg.text("small end", (left - 8.0, y.at(tick) + 4.0), &format!("{tick:.2}"));
    }
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), axis);
    let names = [crate::backtest::name(0), crate::backtest::name(1 + best)];
    for (which, losses) in [&model, &rule].into_iter().enumerate().rev() {
        let class = if which == 0 { "model" } else { "base" };
        let points: Vec<_> = losses.iter().enumerate().map(|(at, &loss)| (x(at), y.at(loss))).collect();
        svg.polyline(&format!("{class} line"), &points);
        for ((group, &loss), &point) in groups.iter().zip(losses).zip(&points) {
            let tip = format!("{}, {}: log loss {loss:.3}, {} hours", names[which], group.label, group.model().hours);
            match which {
                0 => svg.circle(class, point, 5.0, &tip),
                _ => svg.square(class, point, 4.2, &tip),
            }
        }
    }
    for (at, group) in groups.iter().enumerate() {
        svg.text("mid", (x(at), height - 30.0), &group.label);
    }
    svg.circle("model", (left + 6.0, 12.0), 5.0, "");
    svg.text("model", (left + 18.0, 16.5), names[0]);
    svg.square("base", (left + 96.0, 12.0), 4.2, "");
    svg.text("base", (left + 108.0, 16.5), names[1]);
    let words = groups.iter().zip(model.iter().zip(&rule)).map(|(g, (m, r))| format!("{}: {m:.3} and {r:.3}", g.label));
    let words = format!("{axis}; {} and {}: {}", names[0], names[1], words.collect::<Vec<_>>().join(", "));
    svg.finish(id, title, &words)
}

/// Draws mean probability against the share of occupied hours, by hour of day.
pub fn hours(groups: &[Group]) -> String {
    let (height, left, right) = (300.0, 46.0, WIDTH - 8.0);
    let shares = groups.iter().flat_map(|g| [g.model().occupied_share, g.model().mean_probability]);
    let y = Scale::around(shares.chain([0.0]).map(|share| 100.0 * share), (height - 52.0, 34.0));
    let slot = (right - left) / 24.0;
    let mut svg = Svg::new(WIDTH, height);
    for tick in y.ticks() {
        svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
        svg.text("small end", (left - 8.0, y.at(tick) + 4.0), &format!("{tick:.0} %"));
    }
    let mut said = Vec::new();
    let mut words = Vec::new();
    for group in groups {
        let Ok(hour) = group.label.parse::<u8>() else { continue };
        let x = left + slot * f64::from(hour);
        let (came, mean) = (100.0 * group.model().occupied_share, 100.0 * group.model().mean_probability);
        let tip = format!("{hour}:00 came {came:.1} %, said {mean:.1} %");
        svg.rect("bar", (x + 2.0, y.at(came)), (slot - 4.0, y.at(0.0) - y.at(came)), &tip);
        said.push(((x + slot / 2.0, y.at(mean)), tip.clone()));
        words.push(tip);
    }
    svg.polyline("model line", &said.iter().map(|(point, _)| *point).collect::<Vec<_>>());
    for (point, tip) in &said {
        svg.circle("model", *point, 3.6, tip);
    }
    for hour in [0, 3, 6, 9, 12, 15, 18, 21] {
        svg.text("mid", (left + slot * (f64::from(hour) + 0.5), height - 30.0), &hour.to_string());
    }
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), "hour of day");
    svg.circle("model", (left + 6.0, 12.0), 4.0, "");
    svg.text("model", (left + 18.0, 16.5), "said, on average");
    svg.rect("bar", (left + 178.0, 6.0), (12.0, 12.0), "");
    svg.text("soft", (left + 197.0, 16.5), "came");
    svg.finish("hours", "Mean probability and share of occupied hours by hour of day", &words.join("; "))
}

/// Replaces hyphens by typographic minus signs.
pub fn minus(text: String) -> String {
    text.replace('-', "−")
}
