//! Charts by room: log loss next to the best rule, the heat map, the strips of the worst days.

use maud::Markup;

use super::charts::WIDTH;
use super::scale::Scale;
use super::svg::{Svg, cut};
use crate::backtest::groups::Room;
use crate::backtest::name;
use crate::backtest::numbers::{minus, percent};
use crate::backtest::report::Report;
use crate::backtest::worst_days::WorstRoomDay;

/// Largest number of rooms in a chart; its table has the rest.
pub const MAX_ROOMS: usize = 50;

/// Draws rooms by the model's log loss, highest first, each joined to the best rule's.
pub fn dots(report: &Report) -> Markup {
    const ROW: f64 = 25.0;
    let best = report.best_baseline();
    let mut rooms: Vec<&Room> = report.by_device.iter().collect();
    rooms.sort_by(|a, b| b.group.model().log_loss.total_cmp(&a.group.model().log_loss));
    rooms.truncate(MAX_ROOMS);
    let losses = |room: &Room| [room.group.model().log_loss, room.group.baseline(best).log_loss];
    let x = Scale::around(rooms.iter().flat_map(|room| losses(room)).chain([0.0]), (150.0, WIDTH - 74.0));
    let bottom = 34.0 + ROW * rooms.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 42.0);
    svg.columns(&x, (30.0, bottom), |tick| format!("{tick:.2}"));
    svg.legend(156.0, [name(0), name(1 + best)]);
    let mut words = Vec::new();
    for (row, room) in rooms.iter().enumerate() {
        let y = 34.0 + ROW * (row as f64 + 0.5);
        let [model, rule] = losses(room);
        let gain = room.skill.log_loss;
        let tip = format!("{}: log loss {model:.3}, rule {rule:.3}", room.group.label);
        svg.line("tie", (x.at(model), y), (x.at(rule), y));
        svg.mark(1, (x.at(rule), y), 5.0, &tip);
        svg.mark(0, (x.at(model), y), 5.0, &tip);
        svg.text("end", (138.0, y + 4.5), &cut(&room.group.label, 18));
        let mark = if gain.is_sure() { "*" } else { "" };
        let class = if gain.surely_below() { "end base" } else { "end" };
        svg.text(class, (WIDTH, y + 4.5), &minus(format!("{:+.0} %{mark}", 100.0 * gain.value)));
        words.push(tip);
    }
    svg.text("small mid", ((150.0 + WIDTH - 74.0) / 2.0, bottom + 38.0), "log loss");
    svg.finish("rooms", "Log loss of each room, model beside the best simple rule", &words.join("; "))
}

/// Draws rooms by hour: the mean probability above, the share of occupied hours below.
pub fn heat_map(rooms: &[Room]) -> Markup {
    const HALF: f64 = 13.0;
    const ROW: f64 = 2.0 * HALF + 10.0;
    const CELL: f64 = 29.0;
    const LEFT: f64 = 212.0;
    let rooms = &rooms[..rooms.len().min(MAX_ROOMS)];
    let bottom = 34.0 + ROW * rooms.len() as f64;
    let mut svg = Svg::new(LEFT + 24.0 * CELL + 4.0, bottom + 34.0);
    for hour in (0..24).step_by(3) {
        svg.text("small mid", (LEFT + CELL * (hour as f64 + 0.5), 20.0), &hour.to_string());
    }
    for (row, room) in rooms.iter().enumerate() {
        let y = 34.0 + ROW * row as f64;
        svg.text("room end", (LEFT - 66.0, y + HALF + 5.0), &cut(&room.group.label, 18));
        svg.text("half small end", (LEFT - 10.0, y + HALF - 2.0), "forecast");
        svg.text("half small end", (LEFT - 10.0, y + 2.0 * HALF - 2.0), "observed");
        for hour in 0..24 {
            let x = LEFT + CELL * hour as f64;
            let (Some(forecast), Some(observed)) = (room.predicted[hour], room.actual[hour]) else {
                svg.rect("missing", (x + 1.0, y), (CELL - 2.0, 2.0 * HALF), "no hour scored");
                continue;
            };
            let tip = format!(
                "{}, {hour}:00: forecast {}, observed {}",
                room.group.label,
                percent(forecast),
                percent(observed)
            );
            svg.shade("heat", (x + 1.0, y), (CELL - 2.0, HALF), forecast, &tip);
            svg.shade("heat-actual", (x + 1.0, y + HALF), (CELL - 2.0, HALF), observed, &tip);
            svg.rect("cell", (x + 1.0, y), (CELL - 2.0, 2.0 * HALF), "");
        }
    }
    for step in 0..=10 {
        let left = LEFT + 1.0 + 20.0 * f64::from(step);
        svg.shade("heat", (left, bottom + 4.0), (20.0, HALF), f64::from(step) / 10.0, "");
    }
    svg.rect("cell", (LEFT + 1.0, bottom + 4.0), (220.0, HALF), "");
    svg.text("small end", (LEFT - 10.0, bottom + HALF + 2.0), "never");
    svg.text("small", (LEFT + 232.0, bottom + HALF + 2.0), "always occupied");
    let words = "One row per room, one column per hour of day. The upper half of a cell is the mean probability, the \
                 lower half the share of hours that were occupied; the table below has the numbers.";
    svg.finish("heat", "Predicted and actual occupancy by room and hour of day", words)
}

/// Draws one day of one room: probability as bars, motion as filled marks below.
pub fn day_strip(id: usize, day: &WorstRoomDay) -> Markup {
    const SLOT: f64 = 11.2;
    const FLOOR: f64 = 56.0;
    let mut svg = Svg::new(24.0 * SLOT, 92.0);
    svg.line("grid", (0.0, 4.0), (24.0 * SLOT, 4.0));
    svg.line("grid", (0.0, 30.0), (24.0 * SLOT, 30.0));
    svg.line("axis", (0.0, FLOOR), (24.0 * SLOT, FLOOR));
    let mut words = Vec::new();
    for hour in 0..24 {
        let x = SLOT * hour as f64;
        let (Some(forecast), Some(moved)) = (day.predicted[hour], day.actual[hour]) else { continue };
        let what = if moved { "motion" } else { "no motion" };
        let tip = format!("{hour}:00: forecast {}, {what}", percent(forecast));
        let height = forecast * (FLOOR - 4.0);
        svg.rect("bar model", (x + 1.0, FLOOR - height), (SLOT - 2.0, height), &tip);
        let (class, half) = if moved { ("motion", 4.0) } else { ("none", 3.4) };
        svg.square(class, (x + SLOT / 2.0, FLOOR + 10.0), half, &tip);
        words.push(tip);
    }
    for hour in [0, 6, 12, 18] {
        svg.text("small mid", (SLOT * (f64::from(hour) + 0.5), FLOOR + 31.0), &hour.to_string());
    }
    let title = format!("{} on {}", day.device, day.date);
    svg.finish(&format!("strip-{id}"), &title, &words.join("; "))
}
