//! The savings ledger in the report: the policies, the curve and the rooms.

use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{Point as Place, Svg};
use super::{details, figure, unbroken};
use crate::backtest::ledger::{Ledger, Point, Policy, words};
use crate::backtest::numbers::percent;

/// Width of the chart in its own units.
const WIDTH: f64 = 760.0;

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
                 Marks are ways to decide without a threshold.",
                &chart(ledger),
                &super::tables::table(&["", "on, of all", "missed, of occupied"], points.into_iter(), 0),
            ))
            (details("Savings by room", &super::tables::table(&words::ROOM_HEADER, words::rooms(ledger).into_iter().take(500), ledger.by_room.len().saturating_sub(500))))
        }
    }
}

/// Draws the share of hours on against the share of occupied hours missed.
fn chart(ledger: &Ledger) -> Markup {
    let (height, left, right) = (420.0, 56.0, WIDTH - 150.0);
    let policies = || ledger.policies.iter().map(|of: &Policy| (of.policy, of.on_share, of.missed_share.value));
    let lines = [(&ledger.rate_curve, "base", "hour-of-week rate"), (&ledger.curve, "model", "chance")];
    let shares = |of: fn(f64, f64) -> f64| {
        let points = ledger.curve.iter().chain(&ledger.rate_curve).chain(&ledger.states);
        let points = points.map(move |point| of(point.on_share, point.missed_share));
        points.chain(policies().map(move |(_, on, missed)| of(on, missed))).collect::<Vec<_>>()
    };
    let x = Scale::around(shares(|on, _| 100.0 * on).into_iter().chain([0.0]), (left, right));
    let y = Scale::around(shares(|_, missed| 100.0 * missed).into_iter().chain([0.0]), (height - 52.0, 16.0));
    let place = |on: f64, missed: f64| -> Place { (x.at(100.0 * on), y.at(100.0 * missed)) };
    let tip = |name: &str, on: f64, missed: f64| format!("{name}: on {}, missed {}", percent(on), percent(missed));
    let mut svg = Svg::new(WIDTH, height);
    svg.rows(&y, (left, right), |tick| format!("{tick:.0} %"));
    svg.columns(&x, (16.0, height - 52.0), |tick| format!("{tick:.0} %"));
    svg.text("small mid", ((left + right) / 2.0, height - 6.0), "share of all hours on");
    svg.text("small", (left + 8.0, 12.0), "share of occupied hours missed");
    for (which, (points, class, name)) in lines.iter().enumerate().map(|(at, line)| (1 - at, line)) {
        let places: Vec<Place> = points.iter().map(|point| place(point.on_share, point.missed_share)).collect();
        svg.polyline(&format!("{class} line"), &places);
        for (point, &place) in points.iter().zip(&places) {
            let name = format!("{name} from {}", point.label);
            svg.mark(which, place, 3.2, &tip(&name, point.on_share, point.missed_share));
        }
    }
    let states = ledger.states.iter().map(|of: &Point| (format!("states of {}", of.label), of.on_share, of.missed_share));
    let marks = states.chain(policies().map(|(name, on, missed)| (name.to_owned(), on, missed)));
    let mut labels: Vec<(Place, String)> = Vec::new();
    for (name, on, missed) in marks {
        let at = place(on, missed);
        let class = if name == "schedule" { "model" } else { "base" };
        svg.square(class, at, if name == "schedule" { 6.5 } else { 5.0 }, &tip(&name, on, missed));
        labels.push(((at.0 + 9.0, at.1 + 4.0), name));
    }
    // Labels of marks that lie close together are set one below the other.
    labels.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    for at in 1..labels.len() {
        for before in 0..at {
            let ((ax, ay), (bx, by)) = (labels[before].0, labels[at].0);
            if (ax - bx).abs() < 150.0 && by - ay < 13.0 {
                labels[at].0.1 = ay + 13.0;
            }
        }
    }
    for (at, name) in &labels {
        svg.text(if name == "schedule" { "small strong" } else { "small" }, *at, name);
    }
    let words = policies().map(|(name, on, missed)| tip(name, on, missed)).collect::<Vec<_>>().join("; ");
    svg.finish("savings-chart", "Hours on against hours missed", &words)
}
