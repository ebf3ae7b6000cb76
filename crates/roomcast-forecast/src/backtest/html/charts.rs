//! Charts of a few numbers: skill with intervals, reliability, lines over groups, hours of the day.

use maud::Markup;

use super::scale::Scale;
use super::svg::{Point, Svg, class};
use crate::backtest::groups::Group;
use crate::backtest::name;
use crate::backtest::numbers::{interval, minus, percent};
use crate::backtest::report::{Reliability, Report};

/// Width of a chart in its own units, about one pixel each on a desktop.
pub const WIDTH: f64 = 520.0;

/// Draws the skill against each simple rule, hardest first: a dot and a 95 % interval.
pub fn skill(report: &Report) -> Markup {
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
    svg.columns(&x, (26.0, bottom), |tick| minus(format!("{tick:.0} %")));
    let zero = x.at(0.0);
    svg.line("zero", (zero, 22.0), (zero, bottom));
    if zero > 240.0 {
        svg.text("small end", (zero - 8.0, 16.0), "← rule better");
    }
    svg.text("small", (zero + if zero > 240.0 { 8.0 } else { 0.0 }, 16.0), "model better →");
    for (row, skill) in rules.iter().enumerate() {
        let y = 36.0 + ROW * (row as f64 + 0.5);
        let tip = format!("{}: {} % of its log loss saved", skill.baseline, interval(skill.log_loss));
        if let Some((low, high)) = skill.log_loss.interval {
            svg.line("whisker", (x.at(100.0 * low), y), (x.at(100.0 * high), y));
        }
        let class = if skill.log_loss.is_sure() { "model" } else { "model hollow" };
        svg.circle(class, (x.at(100.0 * skill.log_loss.value), y), 5.5, &tip);
        svg.text("end", (188.0, y + 4.5), skill.baseline);
        svg.text("end strong", (WIDTH, y + 4.5), &minus(format!("{:+.1} %", 100.0 * skill.log_loss.value)));
    }
    let words = rules.iter().map(|s| format!("{} {} %", s.baseline, interval(s.log_loss)));
    svg.finish("skill", "Log loss saved against each simple rule, with 95 % intervals", &joined(words, "; "))
}

/// Draws the share of occupied hours against probability, with the number of hours in each bin below.
pub fn reliability(diagrams: &[Reliability]) -> Markup {
    const SIDE: f64 = 330.0;
    let x = Scale { values: (0.0, 1.0), place: (52.0, 52.0 + SIDE) };
    let y = Scale { values: (0.0, 1.0), place: (12.0 + SIDE, 12.0) };
    let counts = Scale { values: (0.0, 1.0), place: (SIDE + 116.0, SIDE + 58.0) };
    let beside = x.at(1.0) + 12.0;
    let mut svg = Svg::new(WIDTH, SIDE + 156.0);
    svg.columns(&x, (y.at(1.0), y.at(0.0)), |tick| format!("{:.0} %", 100.0 * tick));
    svg.rows(&y, (x.at(0.0), x.at(1.0)), |tick| format!("{:.0} %", 100.0 * tick));
    svg.line("diagonal", (x.at(0.0), y.at(0.0)), (x.at(1.0), y.at(1.0)));
    svg.text("small", (beside, y.at(1.0) + 4.0), "calibrated");
    svg.text("small", (beside, y.at(0.5) - 22.0), "above the line:");
    svg.text("small", (beside, y.at(0.5) - 6.0), "forecast too low");
    svg.text("small", (beside, y.at(0.5) + 14.0), "below: too high");
    svg.text("small mid", (x.at(0.5), SIDE + 150.0), "forecast probability");
    svg.text("small", (beside, counts.at(0.5)), "hours in each bin");
    let most = diagrams.iter().flat_map(|r| &r.bins).map(|bin| bin.hours).max().unwrap_or(1).max(1) as f64;
    svg.line("axis", (x.at(0.0), counts.at(0.0)), (x.at(1.0), counts.at(0.0)));
    for (which, of) in diagrams.iter().enumerate().rev() {
        let bins =
            || of.bins.iter().filter_map(|bin| bin.point().map(|(forecast, observed)| (forecast, observed, bin.hours)));
        let points: Vec<_> = bins().map(|(forecast, observed, _)| (x.at(forecast), y.at(observed))).collect();
        svg.polyline(&format!("{} line", class(which)), &points);
        for ((forecast, observed, hours), &point) in bins().zip(&points) {
            let tip = format!(
                "{}: forecast {}, observed {}, {hours} hours",
                of.forecaster,
                percent(forecast),
                percent(observed)
            );
            let share = hours as f64 / most;
            // Square root, so that the area of a mark shows its weight.
            svg.mark(which, point, 3.0 + 3.5 * share.sqrt(), &tip);
            let left = x.at((forecast * 10.0).floor().min(9.0) / 10.0) + if which == 0 { 3.0 } else { 17.0 };
            let top = counts.at(share);
            svg.rect(&format!("bar {}", class(which)), (left, top), (13.0, counts.at(0.0) - top), &tip);
        }
    }
    for (which, of) in diagrams.iter().enumerate() {
        let top = y.at(1.0) + 44.0 + 24.0 * which as f64;
        svg.mark(which, (beside + 6.0, top), 5.0, "");
        // Names of several words would run off the picture on a phone.
        for (line, words) in wrap(of.forecaster, 13).iter().enumerate() {
            svg.text(class(which), (beside + 19.0, top + 4.5 + 18.0 * line as f64), words);
        }
    }
    let words = diagrams.iter().map(|of| {
        let points = of.bins.iter().filter_map(|bin| bin.point());
        let bins = points.map(|(forecast, observed)| format!("{} observed {}", percent(forecast), percent(observed)));
        format!("{}: {}", of.forecaster, joined(bins, ", "))
    });
    svg.finish("reliability", "How often hours were occupied, by forecast probability", &joined(words, "; "))
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
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
pub fn lines(id: &str, title: &str, axis: &str, groups: &[Group], best: usize) -> Markup {
    let (height, left, right) = (300.0, 46.0, WIDTH - 16.0);
    let names = [name(0), name(1 + best)];
    let losses = [
        groups.iter().map(|group| group.model().log_loss).collect::<Vec<f64>>(),
        groups.iter().map(|group| group.baseline(best).log_loss).collect(),
    ];
    let all = || losses.iter().flatten().copied();
    let (lowest, highest) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    // When all values are far from 0, an axis from 0 would hide the differences.
    let zero = (lowest < 0.6 * highest).then_some(0.0);
    let y = Scale::around(all().chain(zero), (height - 52.0, 34.0));
    let slot = (right - left) / groups.len() as f64;
    let x = |at: usize| left + slot * (at as f64 + 0.5);
    let mut svg = Svg::new(WIDTH, height);
    svg.rows(&y, (left, right), |tick| format!("{tick:.2}"));
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), axis);
    for (which, losses) in losses.iter().enumerate().rev() {
        let points: Vec<Point> = losses.iter().enumerate().map(|(at, &loss)| (x(at), y.at(loss))).collect();
        svg.polyline(&format!("{} line", class(which)), &points);
        for ((group, &loss), &point) in groups.iter().zip(losses).zip(&points) {
            let tip = format!("{}, {}: log loss {loss:.3}, {} hours", names[which], group.label, group.model().hours);
            svg.mark(which, point, 5.0, &tip);
        }
    }
    for (at, group) in groups.iter().enumerate() {
        svg.text("mid", (x(at), height - 30.0), &group.label);
    }
    svg.legend(left + 6.0, names);
    let pairs = groups.iter().zip(losses[0].iter().zip(&losses[1]));
    let words = pairs.map(|(group, (model, rule))| format!("{}: {model:.3} and {rule:.3}", group.label));
    let words = format!("{axis}; {} and {}: {}", names[0], names[1], joined(words, ", "));
    svg.finish(id, title, &words)
}

/// Draws mean probability against the share of occupied hours, by hour of day.
pub fn hours(groups: &[Group]) -> Markup {
    let (height, left, right) = (300.0, 46.0, WIDTH - 8.0);
    let shares = groups.iter().flat_map(|g| [g.model().occupied_share, g.model().mean_probability]);
    let y = Scale::around(shares.chain([0.0]).map(|share| 100.0 * share), (height - 52.0, 34.0));
    let slot = (right - left) / 24.0;
    let mut svg = Svg::new(WIDTH, height);
    svg.rows(&y, (left, right), |tick| format!("{tick:.0} %"));
    let (mut points, mut tips) = (Vec::new(), Vec::new());
    for group in groups {
        let Ok(hour) = group.label.parse::<u8>() else { continue };
        let x = left + slot * f64::from(hour);
        let (observed, forecast) = (100.0 * group.model().occupied_share, 100.0 * group.model().mean_probability);
        let tip = format!("{hour}:00 observed {observed:.1} %, forecast {forecast:.1} %");
        svg.rect("bar", (x + 2.0, y.at(observed)), (slot - 4.0, y.at(0.0) - y.at(observed)), &tip);
        points.push((x + slot / 2.0, y.at(forecast)));
        tips.push(tip);
    }
    svg.polyline("model line", &points);
    for (&point, tip) in points.iter().zip(&tips) {
        svg.circle("model", point, 3.6, tip);
    }
    for hour in (0..24).step_by(3) {
        svg.text("mid", (left + slot * (f64::from(hour) + 0.5), height - 30.0), &hour.to_string());
    }
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), "hour of day");
    svg.circle("model", (left + 6.0, 12.0), 4.0, "");
    svg.text("model", (left + 18.0, 16.5), "mean forecast");
    svg.rect("bar", (left + 178.0, 6.0), (12.0, 12.0), "");
    svg.text("soft", (left + 197.0, 16.5), "observed");
    svg.finish("hours", "Mean probability and share of occupied hours by hour of day", &tips.join("; "))
}
