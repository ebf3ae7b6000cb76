//! A plan as text, CSV and JSON.

use std::fmt::Write;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::blocks::{Block, BlockRule};
use super::plan::{RoomPlan, hours_on};
use super::promise::{Kept, Lately, Source, Standing, Thresholds};
use crate::calendar::{Calendar, Timestamp};
use crate::forecast::write::rounded;
use crate::rooms::Level;
use crate::table::table;

/// Returns a table of the series of a level, the sums, and the rule in words.
pub fn text(rooms: &[RoomPlan<'_>], level: Level, thresholds: &Thresholds, calendar: &Calendar) -> String {
    let mut starts = rooms.iter().flat_map(|room| &room.blocks).map(|block| calendar.wall(block.start).date());
    let first = starts.next();
    // The head of the plan names the day of one that begins and ends within it.
    let today = first.filter(|first| starts.all(|start| start == *first));
    let clock = |instant: Timestamp, day: Option<NaiveDate>| {
        let wall = calendar.wall(instant);
        let form = if Some(wall.date()) == day { "%H:%M" } else { "%a %H:%M" };
        wall.format(form).to_string()
    };
    let times = |block: &Block| {
        let day = calendar.wall(block.start).date();
        format!("{}–{}", clock(block.start, today), clock(block.end, Some(day)))
    };
    let row = |room: &RoomPlan<'_>| {
        let times: Vec<_> = room.blocks.iter().map(times).collect();
        let times = if times.is_empty() { "off".to_owned() } else { times.join(", ") };
        vec![room.device.to_owned(), times, format!("{:.1}", room.hours_on), format!("{:.1}", room.hours_expected)]
    };
    let rows: Vec<_> = rooms.iter().map(row).collect();
    let mut out = table(&[level.name(), "on", "hours on", "expected in use"], &rows, 2);
    let (on, expected) = (hours_on(rooms), rooms.iter().map(|room| room.hours_expected).sum::<f64>());
    let _ = writeln!(out, "\n{} on for {on:.1} hours, expected in use for {expected:.1}.", level.count(rooms.len()));
    out + &words(thresholds) + "\n"
}

/// Returns sentences on the threshold, and on how well its promise was kept.
pub fn words(thresholds: &Thresholds) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let from = percent(thresholds.site);
    let Some(Standing { promise, source, lately, kept }) = &thresholds.standing else {
        return format!("An hour counts as occupied from a chance of {from} on.");
    };
    let promised = percent(promise.max_missed);
    let mut text = format!(
        "An hour counts as occupied from a chance of {from} on; the promise is to miss at most {promised} of the occupied hours"
    );
    text += match source {
        Source::Forecasts => ".",
        Source::Training => {
            ". Forecasts of the last days are too few, so this threshold is from hours held back in training."
        }
        Source::Assumed => ". There is no record of forecasts yet, so this threshold takes the chances at their word.",
    };
    if let Some(missed) = lately.missed_share() {
        let _ = write!(
            text,
            " The last {} days missed {} of {} occupied hours",
            lately.days,
            percent(missed),
            lately.occupied,
        );
        if let Some(on) = lately.on_share() {
            let _ = write!(text, " and were on for {} of all hours", percent(on));
        }
        text += ": ";
        text += match kept {
            Kept::Kept => "the promise was kept.",
            Kept::Broken => "the promise was not kept.",
            Kept::Unproven => "too few to show whether the promise is kept.",
        };
    }
    let worst: Vec<_> = worst_rooms(thresholds, promise.max_missed);
    if !worst.is_empty() {
        let _ = write!(text, " Not kept in {}.", worst.join(", "));
    }
    text
}

/// Returns the rooms whose own promise was not kept, the first five by name and the number of the others.
fn worst_rooms(thresholds: &Thresholds, max_missed: f64) -> Vec<String> {
    let broken =
        thresholds.rooms.iter().filter(|(_, (_, lately))| super::promise::kept(lately, max_missed) == Kept::Broken);
    let mut names: Vec<String> = broken.map(|(room, _)| room.clone()).collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names
}

/// Returns one line per block.
pub fn csv(rooms: &[RoomPlan<'_>], calendar: &Calendar) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail. An error here would show as a missing line in the tests.
    let _ = out.write_record(["device", "start", "end", "occupied_from", "occupied_until", "peak_probability"]);
    for (room, block) in rooms.iter().flat_map(|room| room.blocks.iter().map(move |block| (room, block))) {
        let times = [block.start, block.end, block.occupied.0, block.occupied.1].map(|time| calendar.format(time));
        let peak = format!("{:.6}", block.peak);
        let [start, end, from, until] = &times;
        let _ = out.write_record([room.device, start, end, from, until, &peak]);
    }
    out.into_inner().unwrap_or_default()
}

/// Returns the plan as JSON, with the names that `GET /schedule` uses.
pub fn json(
    rooms: &[RoomPlan<'_>],
    thresholds: &Thresholds,
    rule: &BlockRule,
    (origin, stale): (Timestamp, bool),
    calendar: &Calendar,
) -> Value {
    let time = |instant| calendar.rfc3339(instant);
    let device = |room: &RoomPlan<'_>| {
        let block = |block: &Block| {
            json!({
                "start": time(block.start),
                "end": time(block.end),
                "occupied_from": time(block.occupied.0),
                "occupied_until": time(block.occupied.1),
                "peak_probability": rounded(block.peak),
            })
        };
        json!({
            "device": room.device,
            "threshold": room.threshold,
            "hours_on": room.hours_on,
            "hours_expected": room.hours_expected,
            "lately": room.lately.map(lately),
            "blocks": room.blocks.iter().map(block).collect::<Vec<_>>(),
        })
    };
    json!({
        "origin": time(origin),
        "stale": stale,
        "rule": {
            "threshold": thresholds.site,
            "preheat_seconds": rule.preheat,
            "setback_after_seconds": rule.setback,
            "min_run_seconds": rule.min_run,
        },
        "promise": thresholds.standing.as_ref().map(|standing| json!({
            "max_missed": standing.promise.max_missed,
            "scope": standing.promise.scope,
            "source": standing.source,
            "kept": standing.kept,
            "lately": lately(standing.lately),
        })),
        "hours_on": hours_on(rooms),
        "devices": rooms.iter().map(device).collect::<Vec<_>>(),
    })
}

fn lately(lately: Lately) -> Value {
    json!({
        "days": lately.days,
        "occupied_hours": lately.occupied,
        "missed_hours": lately.missed,
        "missed_share": lately.missed_share(),
        "on_share": lately.on_share(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::HOUR;

    /// Midnight of a Monday.
    const MONDAY: Timestamp = 1_467_590_400; // 2016-07-04

    #[test]
    fn a_block_names_its_day_once_and_again_only_past_midnight() {
        let text = |level: Level, hours: &[(i64, i64)]| {
            let block = |&(start, end): &(i64, i64)| {
                let (start, end) = (MONDAY + start * HOUR, MONDAY + end * HOUR);
                Block { start, end, occupied: (start, end), peak: 0.9 }
            };
            let blocks = hours.iter().map(block).collect();
            let hall =
                RoomPlan { device: "hall", threshold: 0.5, blocks, hours_on: 0.0, hours_expected: 0.0, lately: None };
            let thresholds = Thresholds { site: 0.5, rooms: Default::default(), standing: None };
            super::text(&[hall], level, &thresholds, &Calendar::default())
        };
        let week = text(Level::Floor, &[(7, 18), (31, 42), (46, 50)]);
        assert!(week.contains("Mon 07:00–18:00, Tue 07:00–18:00, Tue 22:00–Wed 02:00"), "{week}");
        assert!(week.starts_with("floor") && week.contains("\n1 floor on for"), "{week}");
        let day = text(Level::Room, &[(7, 12), (22, 26)]);
        assert!(day.contains(" 07:00–12:00, 22:00–Tue 02:00"), "{day}");
        assert!(text(Level::Room, &[]).contains("off"));
    }
}
