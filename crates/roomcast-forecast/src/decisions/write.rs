//! A plan as text, CSV and JSON.

use std::fmt::Write;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::blocks::{Block, BlockRule};
use super::plan::{RoomPlan, hours_on};
use super::promise::{Kept, Lately, Scope, Source, Standing, TOLERANCE, Thresholds, are_too_few, kept};
use crate::calendar::{Calendar, Timestamp};
use crate::forecast::write::rounded;
use crate::rooms::Level;
use crate::table::{count, table};

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
    let own = || thresholds.rooms.values().map(|&(threshold, _)| threshold);
    let from = match (own().min_by(f64::total_cmp), own().max_by(f64::total_cmp)) {
        (Some(lowest), Some(highest)) => {
            format!("from a chance on that is each room's own, {} to {}", percent(lowest), percent(highest))
        }
        _ => format!("from a chance of {} on", percent(thresholds.site)),
    };
    let Some(Standing { promise, source, lately, kept }) = &thresholds.standing else {
        return format!("An hour counts as occupied {from}.");
    };
    let (promised, each) =
        (percent(promise.max_missed), if promise.scope == Scope::Room { " of each room" } else { "" });
    let mut text = format!(
        "An hour counts as occupied {from}; the promise is to miss at most {promised} of the occupied hours{each}"
    );
    text += match source {
        Source::Forecasts => ".",
        Source::Training => {
            ". Forecasts of the last days are too few, so this threshold is from hours held back in training."
        }
        Source::Assumed => ". There is no record of forecasts yet, so this threshold takes the chances at their word.",
    };
    if let Some(missed) = lately.missed_share() {
        let days = count(lately.days as usize, "day");
        let _ = write!(text, " The last {days} missed {} of {} occupied hours", percent(missed), lately.occupied);
        if let Some(on) = lately.on_share() {
            let _ = write!(text, " and, preheat and setback not counted, were on for {} of all hours", percent(on));
        }
        text += &match promise.scope {
            Scope::Room if !thresholds.rooms.is_empty() => by_room(thresholds, promise.max_missed),
            _ => {
                let are_too_few = are_too_few(lately.days, lately.occupied as f64, promise.max_missed);
                format!(": {}.", judgement(*kept, are_too_few, promise.max_missed))
            }
        };
    }
    text
}

/// Returns whether a promise was kept, in the words of schedules and of backtests.
pub fn judgement(kept: Kept, are_too_few: bool, max_missed: f64) -> String {
    let counts = format!("(up to {} counts as kept)", percent(TOLERANCE * max_missed));
    match kept {
        Kept::Kept => format!("the promise was kept {counts}"),
        Kept::Broken => format!("the promise was not kept {counts}"),
        Kept::Unproven if are_too_few => "too few to show whether the promise is kept".to_owned(),
        Kept::Unproven => format!("more than promised, which may be chance {counts}"),
    }
}

/// Returns the number of rooms in which a promise to each room was kept, and the names of those in which it was not.
fn by_room(thresholds: &Thresholds, max_missed: f64) -> String {
    let number = |of: Kept| thresholds.rooms.values().filter(|(_, lately)| kept(lately, max_missed) == of).count();
    let of = count(thresholds.rooms.len(), "room");
    let mut text = format!(". Of {of} the promise was kept in {}", number(Kept::Kept));
    if number(Kept::Broken) > 0 {
        let _ = write!(text, ", not kept in {}", worst_rooms(thresholds, max_missed).join(", "));
    }
    match number(Kept::Unproven) {
        0 => {}
        unproven => {
            let _ = write!(text, ", and in {unproven} it does not show");
        }
    }
    text + &format!(" (up to {} counts as kept).", percent(TOLERANCE * max_missed))
}

/// Returns the rooms whose own promise was not kept, the first five by name and the number of the others.
fn worst_rooms(thresholds: &Thresholds, max_missed: f64) -> Vec<String> {
    let broken = thresholds.rooms.iter().filter(|(_, (_, lately))| kept(lately, max_missed) == Kept::Broken);
    let mut names: Vec<String> = broken.map(|(room, _)| room.clone()).collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
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
    use crate::decisions::promise::Promise;

    #[test]
    fn words_name_the_thresholds_in_use_and_one_judgement() {
        let lately = |occupied, missed| Lately { days: 21, occupied, missed, hours: 4 * occupied, on: occupied };
        let words_of = |scope, of: Lately, rooms: &[(&str, f64, Lately)]| {
            let promise = Promise { max_missed: 0.05, scope };
            let standing = Standing { promise, source: Source::Forecasts, lately: of, kept: kept(&of, 0.05) };
            let rooms = rooms.iter().map(|&(room, threshold, lately)| (room.to_owned(), (threshold, lately)));
            words(&Thresholds { site: 0.194, rooms: rooms.collect(), standing: Some(standing) })
        };
        let site = |occupied, missed| words_of(Scope::Site, lately(occupied, missed), &[]);
        assert!(site(644, 32).starts_with("An hour counts as occupied from a chance of 19.4 % on; the promise is"));
        let end = " The last 21 days missed 5.0 % of 644 occupied hours and, preheat and setback not counted, were on for \
                   25.0 % of all hours: the promise was kept (up to 5.5 % counts as kept).";
        assert!(site(644, 32).ends_with(end), "{}", site(644, 32));
        assert!(site(672, 38).ends_with(": more than promised, which may be chance (up to 5.5 % counts as kept)."));
        assert!(site(672, 80).ends_with(": the promise was not kept (up to 5.5 % counts as kept)."));
        assert!(site(90, 80).ends_with(": too few to show whether the promise is kept."));
        let rooms = [("a", 0.002, lately(200, 8)), ("b", 0.329, lately(200, 30)), ("c", 0.1, lately(20, 0))];
        let text = words_of(Scope::Room, lately(420, 38), &rooms);
        assert!(
            text.contains("occupied from a chance on that is each room's own, 0.2 % to 32.9 %; the promise"),
            "{text}"
        );
        let end = ". Of 3 rooms the promise was kept in 1, not kept in b, and in 1 it does not show (up to 5.5 % counts as kept).";
        assert!(text.ends_with(end) && !text.contains("19.4"), "{text}");
    }

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
