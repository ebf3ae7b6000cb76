//! The ledger in sentences and as tables of text.

use std::io::{self, Write};

use super::{Ledger, Point, Policy};
use crate::backtest::numbers::{duration, interval, minus, percent, thousands};
use crate::backtest::skill::Interval;
use crate::decisions::promise::Scope;
use crate::decisions::write::judgement;
use crate::table::{count, table};

/// Number of rooms listed by default.
const LISTED_ROOMS: usize = 20;

/// Returns a share with its interval: `4.7 % [3.9, 5.6]`.
pub fn share(of: Interval) -> String {
    let value = percent(of.value);
    of.interval.map_or(value.clone(), |(low, high)| format!("{value} [{:.1}, {:.1}]", 100.0 * low, 100.0 * high))
}

/// Returns the comparison of the schedule with the timetable.
pub fn headline(ledger: &Ledger) -> String {
    let (fixed, schedule) = (ledger.fixed(), ledger.schedule());
    let empty = super::share(fixed.empty_hours_on, fixed.hours_on);
    let saved = schedule.saved;
    let (number, word) = if saved.value < 0.0 { (-saved.value, "more") } else { (saved.value, "fewer") };
    let sure = match saved.interval {
        Some((low, high)) => {
            let sign = saved.value.signum();
            let (a, b) = (100.0 * sign * low, 100.0 * sign * high);
            format!(" (95 % interval {} to {} %)", minus(format!("{:.1}", a.min(b))), minus(format!("{:.1}", a.max(b))))
        }
        None => ", on too few days to rule out luck".to_owned(),
    };
    let threshold = |of: &str, policy: &str, on: Option<f64>| {
        on.map_or_else(String::new, |on| {
            format!(" A threshold{of} that misses as much as the {policy} would have been on for {}.", percent(on))
        })
    };
    let equal = [
        threshold("", "timetable", ledger.on_share_at_timetable_missed),
        threshold(" on the hour-of-week rate", "schedule", ledger.rate_on_share_at_schedule_missed),
    ]
    .concat();
    format!(
        "On {} the timetable ({}) was on for {} of all hours, {} of them empty, and missed {} of the occupied \
         hours. The schedule was on for {}: {} {word} hours on{sure}, and missed {}.{}",
        of_days(ledger),
        ledger.timetable,
        percent(fixed.on_share),
        percent(empty),
        percent(fixed.missed_share.value),
        percent(schedule.on_share),
        percent(number),
        share(schedule.missed_share),
        equal,
    )
}

/// Returns the days in words, such as `these 15 days`.
fn of_days(ledger: &Ledger) -> String {
    format!("{} {}", if ledger.days == 1 { "this" } else { "these" }, count(ledger.days, "day"))
}

/// Returns whether the promise was kept.
pub fn promise(ledger: &Ledger) -> String {
    let promised = percent(ledger.promise.max_missed);
    let (kept, are_too_few) = ledger.kept();
    let judgement = judgement(kept, are_too_few, ledger.promise.max_missed);
    let missed = |room: &super::Room| room.missed_share[1].is_some_and(|share| share > 2.0 * ledger.promise.max_missed);
    let twice = ledger.by_room.iter().filter(|room| missed(room)).count();
    let scope = if ledger.promise.scope == Scope::Room { " in each room" } else { "" };
    format!(
        "Promised{scope}: at most {promised} missed. On the site: {judgement}. {twice} of {} missed more than twice as much.",
        count(ledger.rooms, "room")
    )
}

/// Returns the cells of a policy: hours on, empty hours on, hours missed, starts, and what is saved.
pub fn cells(policy: &Policy) -> Vec<String> {
    vec![
        policy.policy.to_owned(),
        format!("{:.0}", policy.hours_on),
        percent(policy.on_share),
        format!("{:.0}", policy.empty_hours_on),
        format!("{:.0}", policy.missed_hours),
        share(policy.missed_share),
        format!("{:.0}", policy.starts),
        interval(policy.saved),
    ]
}

/// The columns of [`cells`].
pub const HEADER: [&str; 8] =
    ["", "hours on", "of all", "empty on", "missed", "of occupied", "starts", "saved, % of timetable"];

/// Returns the cells of a point.
pub fn point(kind: &str, point: &Point) -> Vec<String> {
    vec![format!("{kind}{}", point.label), percent(point.on_share), percent(point.missed_share)]
}

/// Returns all points: thresholds of the model's chances, thresholds of the hour-of-week rate, plain states.
pub fn points(ledger: &Ledger) -> Vec<Vec<String>> {
    let chances = ledger.curve.iter().map(|of| point("chance from ", of));
    let rates = ledger.rate_curve.iter().map(|of| point("hour-of-week rate from ", of));
    chances.chain(rates).chain(ledger.states.iter().map(|of| point("states of ", of))).collect()
}

/// Returns the rooms: hours on and share missed, by timetable and by schedule.
pub fn rooms(ledger: &Ledger) -> Vec<Vec<String>> {
    let missed = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    let row = |room: &super::Room| {
        vec![
            room.device.clone(),
            format!("{:.0}", room.occupied_hours),
            format!("{:.0}", room.hours_on[0]),
            format!("{:.0}", room.hours_on[1]),
            missed(room.missed_share[0]),
            missed(room.missed_share[1]),
        ]
    };
    ledger.by_room.iter().map(row).collect()
}

/// The columns of [`rooms`].
pub const ROOM_HEADER: [&str; 6] =
    ["room", "occupied", "on, timetable", "on, schedule", "missed, timetable", "missed, schedule"];

/// Returns sentences on what the ledger counts.
pub fn basis(ledger: &Ledger) -> String {
    let preheat = match ledger.preheat_seconds {
        0 => "No preheat".to_owned(),
        seconds => format!("Preheat {}", duration(seconds)),
    };
    let setback = match ledger.setback_after_seconds {
        0 => "no setback".to_owned(),
        seconds => format!("setback after {}", duration(seconds)),
    };
    let ready = match ledger.preheat_seconds {
        0 => {
            " Without a preheat a room is ready at once, so turning on at motion misses nothing; heating needs --preheat."
        }
        _ => "",
    };
    format!(
        "{}, {} hours, {} of them occupied; {} hours of silent sensors are left out. {preheat}, {setback}.{ready}",
        count(ledger.rooms, "room"),
        thousands(ledger.hours.round() as u64),
        thousands(ledger.occupied_hours.round() as u64),
        thousands(ledger.silent_hours as u64),
    )
}

/// Returns the estimate of energy in sentences, if there is one.
pub fn energy(ledger: &Ledger) -> Option<String> {
    let energy = ledger.energy.as_ref()?;
    let each = |of: &super::energy::PolicyEnergy| {
        let cost = of.cost.map(|cost| format!(" ({cost:.2})")).unwrap_or_default();
        format!("{} {:.0} kWh{cost}", of.policy, of.kwh)
    };
    let policies: Vec<_> = energy.policies.iter().map(each).collect();
    let without = match energy.rooms_without_power {
        0 => String::new(),
        1 => "; 1 without a given power is left out".to_owned(),
        number => format!("; {number} without a given power are left out"),
    };
    Some(format!(
        "Energy of {} on {}{without}: {}. {}",
        count(energy.rooms, "room"),
        of_days(ledger),
        policies.join(", "),
        energy.caution
    ))
}

/// Writes the ledger as tables.
///
/// # Errors
/// [`io::Error`] when `out` cannot be written.
pub fn write(ledger: &Ledger, all_rooms: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nsavings\n\n{}\n{}\n{}\n", ledger.headline, ledger.promise_kept, basis(ledger))?;
    let rows: Vec<_> = ledger.policies.iter().map(cells).collect();
    out.write_all(table(&HEADER, &rows, 1).as_bytes())?;
    if let Some(energy) = energy(ledger) {
        writeln!(out, "\n{energy}")?;
    }
    writeln!(out, "\nhours on against hours missed")?;
    out.write_all(table(&["", "on, of all", "missed, of occupied"], &points(ledger), 1).as_bytes())?;
    let mut listed: Vec<_> = ledger.by_room.iter().zip(rooms(ledger)).collect();
    let missed = |room: &super::Room| room.missed_share[1].unwrap_or(0.0);
    listed.sort_by(|a, b| missed(b.0).total_cmp(&missed(a.0)));
    let shown = if all_rooms { listed.len() } else { listed.len().min(LISTED_ROOMS) };
    let note =
        if shown < listed.len() { format!(", the {shown} that miss most of {}", listed.len()) } else { String::new() };
    writeln!(out, "\nsavings by room{note}")?;
    let rows: Vec<_> = listed.into_iter().take(shown).map(|(_, row)| row).collect();
    out.write_all(table(&ROOM_HEADER, &rows, 1).as_bytes())
}
