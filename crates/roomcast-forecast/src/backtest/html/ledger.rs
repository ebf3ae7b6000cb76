//! The savings ledger in the report: the policies, the curve and the rooms.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{Point as Place, Svg, class};
use super::{details, figure, unbroken};
use crate::backtest::ledger::{Ledger, Point, Policy, words};
use crate::backtest::numbers::percent;

/// Width of the chart in its own units.
const WIDTH: f64 = 760.0;

/// Largest share of occupied hours missed that the chart shows. Whoever misses more needs no chart.
const MAX_MISSED: f64 = 0.4;

/// Returns the section.
pub fn section(ledger: &Ledger) -> Markup {
    let points = words::points(ledger);
    html! {
        section id="savings" {
            h2 { "What it saves" }
            p.lead { (unbroken(&ledger.headline)) }
            p.lead { (unbroken(&ledger.promise_kept)) }
            p.note { (unbroken(&words::basis(ledger))) }
            (super::tables::table(&words::HEADER, ledger.policies.iter().map(words::cells), 0))
            @if let Some(energy) = words::energy(ledger) { p.note { (unbroken(&energy)) } }
            (figure(
                "Hours on against hours missed",
                "Lower left is better. Each line is one way to tell the chance of an hour, at thresholds from low to high. \
                 Marks are ways to decide without a threshold. What misses more than 40 % is in the table alone.",
                &chart(ledger),
                &super::tables::table(&["", "on, of all", "missed, of occupied"], points.into_iter(), 0),
            ))
            (details("Savings by room", &super::tables::table(&words::ROOM_HEADER, words::rooms(ledger).into_iter().take(500), ledger.by_room.len().saturating_sub(500))))
        }
    }
}

/// The mark of a way to decide without a threshold. It is neither that of the chance nor that of the hour-of-week rate.
#[derive(Clone, Copy)]
enum Mark {
    Schedule,
    Policy,
    States,
}

impl Mark {
    fn of(policy: &str) -> Mark {
        if policy == "schedule" { Mark::Schedule } else { Mark::Policy }
    }

    fn draw(self, svg: &mut Svg, at: Place, tip: &str) {
        let diamond = |half: f64| [(0.0, -half), (half, 0.0), (0.0, half), (-half, 0.0)];
        match self {
            Mark::Schedule => svg.shape("model", at, &diamond(7.5), tip),
            Mark::Policy => svg.shape("policy", at, &diamond(6.5), tip),
            Mark::States => svg.shape("states", at, &[(0.0, -6.0), (5.8, 4.6), (-5.8, 4.6)], tip),
        }
    }
}

/// Draws the marks and their names in a line at the top, from `left` on.
fn legend(svg: &mut Svg, left: f64) {
    let y = 12.0;
    let mut entry = |x: f64, class: &str, name: &str, draw: &dyn Fn(&mut Svg, Place)| {
        draw(svg, (left + x, y));
        svg.text(class, (left + x + 12.0, y + 4.5), name);
    };
    entry(0.0, class(0), "chance", &|svg, at| svg.mark(0, at, 5.0, ""));
    entry(76.0, class(1), "hour-of-week rate", &|svg, at| svg.mark(1, at, 5.0, ""));
    entry(232.0, class(0), "schedule", &|svg, at| Mark::Schedule.draw(svg, at, ""));
    entry(320.0, "soft", "policies", &|svg, at| Mark::Policy.draw(svg, at, ""));
    entry(398.0, "soft", "plain states", &|svg, at| Mark::States.draw(svg, at, ""));
}

/// Draws the share of hours on against the share of occupied hours missed, up to [`MAX_MISSED`].
fn chart(ledger: &Ledger) -> Markup {
    let (height, left, right) = (430.0, 56.0, WIDTH - 120.0);
    let policies =
        || ledger.policies.iter().map(|of: &Policy| (of.policy.to_owned(), of.on_share, of.missed_share.value));
    let states =
        ledger.states.iter().map(|of: &Point| (format!("states of {}", of.label), of.on_share, of.missed_share));
    let marks: Vec<_> = states
        .map(|(name, on, missed)| (Mark::States, name, on, missed))
        .chain(policies().map(|(name, on, missed)| (Mark::of(&name), name, on, missed)))
        .filter(|&(.., missed)| missed <= MAX_MISSED)
        .collect();
    let lines = [(1, &ledger.rate_curve, "hour-of-week rate"), (0, &ledger.curve, "chance")]
        .map(|(which, points, name)| (which, points.iter().filter(|point| point.missed_share <= MAX_MISSED), name));
    let on = lines.iter().flat_map(|(_, points, _)| points.clone().map(|point| point.on_share));
    let x =
        Scale::around(on.chain(marks.iter().map(|mark| mark.2)).chain([0.0]).map(|share| 100.0 * share), (left, right));
    let y = Scale { values: (0.0, 100.0 * MAX_MISSED), place: (height - 52.0, 34.0) };
    let place = |on: f64, missed: f64| -> Place { (x.at(100.0 * on), y.at(100.0 * missed)) };
    let tip = |name: &str, on: f64, missed: f64| format!("{name}: on {}, missed {}", percent(on), percent(missed));
    let mut svg = Svg::new(WIDTH, height);
    svg.rows(&y, (left, right), |tick| format!("{tick:.0} %"));
    svg.columns(&x, (34.0, height - 52.0), |tick| format!("{tick:.0} %"));
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), "share of all hours on");
    svg.text("small", (left, 18.0), "share of occupied hours missed");
    legend(&mut svg, left + 194.0);
    for (which, points, name) in lines {
        let places: Vec<Place> = points.clone().map(|point| place(point.on_share, point.missed_share)).collect();
        svg.polyline(&format!("{} line", class(which)), &places);
        for (point, &place) in points.zip(&places) {
            let name = format!("{name} from {}", point.label);
            svg.mark(which, place, 3.2, &tip(&name, point.on_share, point.missed_share));
        }
    }
    let mut labels: Vec<(Place, &str)> = Vec::new();
    for (mark, name, on, missed) in &marks {
        let at = place(*on, *missed);
        mark.draw(&mut svg, at, &tip(name, *on, *missed));
        labels.push(((at.0 + 6.0, at.1 - 9.0), name));
    }
    // Labels of marks that lie close together are set one above the other, the lowest first.
    labels.sort_by(|a, b| b.0.1.total_cmp(&a.0.1).then(a.0.0.total_cmp(&b.0.0)));
    for at in 1..labels.len() {
        for below in 0..at {
            let ((ax, ay), (bx, by)) = (labels[below].0, labels[at].0);
            if (ax - bx).abs() < 150.0 && (ay - by).abs() < 13.0 {
                labels[at].0.1 = ay - 13.0;
            }
        }
    }
    for &(at, name) in &labels {
        svg.text(if name == "schedule" { "small strong" } else { "small" }, at, name);
    }
    let words = policies().map(|(name, on, missed)| tip(&name, on, missed)).collect::<Vec<_>>().join("; ");
    svg.finish("savings-chart", "Hours on against hours missed", &words)
}
