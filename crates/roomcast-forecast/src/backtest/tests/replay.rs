use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{MONDAY, calendar, office};
use crate::backtest::report::Report;
use crate::backtest::skill::skills;
use crate::backtest::verdict::Standing;
use crate::backtest::{BacktestError, BacktestPlan, ScoredHour, baselines, html, learning_curve, run, text};
use crate::calendar::{Calendar, HOUR};
use crate::readings::{DeviceReadings, Readings};

const DAY: i64 = 24 * HOUR;

fn plan(from: i64, to: i64, every: i64, refit: i64) -> BacktestPlan {
    BacktestPlan { from: MONDAY + from * DAY, to: MONDAY + to * DAY, every, refit, history: None, days: 1 }
}

fn replay(readings: &Readings, plan: &BacktestPlan) -> Vec<ScoredHour> {
    run(readings, &calendar(), plan, &|_, _| ()).expect("a backtest")
}

#[test]
fn every_room_origin_and_hour_is_a_case() {
    let mut readings = office(4, 24);
    // A room that is first seen on the morning of the second day replayed.
    readings.devices[3].times.retain(|&t| t > MONDAY + 22 * DAY + 6 * HOUR);
    let steps = AtomicUsize::new(0);
    let plan = plan(21, 23, 12 * HOUR, DAY);
    let count = |done: usize, total: usize| {
        assert!(done <= total && total == 5 + 3);
        steps.fetch_add(1, Ordering::Relaxed);
    };
    let hours = run(&readings, &calendar(), &plan, &count).expect("a backtest");
    assert_eq!(steps.into_inner(), 8);
    let origins: BTreeSet<_> = hours.iter().map(|c| (c.origin - MONDAY) / HOUR).collect();
    assert_eq!(origins.into_iter().collect::<Vec<_>>(), [504, 516, 528, 540, 552]);
    let last = readings.span().expect("readings").1;
    for scored in &hours {
        assert_eq!(i64::from(scored.hour), (scored.origin / HOUR) + i64::from(scored.lead) - 1);
        assert!(i64::from(scored.hour) * HOUR <= last);
        let times = &readings.devices[scored.device as usize].times;
        assert_eq!(scored.actual, times.iter().any(|t| t / HOUR == i64::from(scored.hour)));
        let first = times.first().unwrap();
        assert!(first < scored.origin);
        assert_eq!(i64::from(scored.weeks), (scored.origin - first) / (7 * DAY));
        assert!(scored.probability > 0.0 && scored.probability < 1.0);
    }
    let of = |device: u32, since_monday: i64| {
        let origin = MONDAY + since_monday * HOUR;
        hours.iter().filter(move |c| c.device == device && c.origin == origin)
    };
    assert_eq!(of(0, 504).count(), 24);
    assert_eq!((of(3, 528).count(), of(3, 540).count()), (0, 24));
    assert!(hours.is_sorted_by_key(|c| (c.origin, c.device, c.hour)));
}

#[test]
fn forecasts_do_not_know_what_comes() {
    let readings = office(4, 24);
    let mut other = readings.clone();
    let origin = MONDAY + 22 * DAY;
    for device in &mut other.devices {
        device.times.retain(|&t| t < origin);
        device.times.extend((0..40).map(|n| origin + n * 2222));
    }
    let until = |readings: &Readings| -> Vec<(u32, i32, u32, [u32; baselines::COUNT])> {
        let hours = replay(readings, &plan(21, 22, 12 * HOUR, 36 * HOUR));
        hours.iter().map(|c| (c.device, c.hour, c.probability.to_bits(), c.baselines.map(f32::to_bits))).collect()
    };
    let (a, b) = (until(&readings), until(&other));
    assert!(a.len() > 200);
    let common: BTreeSet<_> = a.iter().map(|c| (c.0, c.1)).collect();
    let b: Vec<_> = b.into_iter().filter(|c| common.contains(&(c.0, c.1))).collect();
    assert_eq!(a, b);
}

#[test]
fn the_result_is_the_same_on_one_thread() {
    let readings = office(3, 20);
    let plan = plan(16, 19, DAY, DAY);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    assert_eq!(replay(&readings, &plan), pool.install(|| replay(&readings, &plan)));
}

#[test]
fn origins_keep_to_the_clock_when_clocks_change() {
    let berlin = Calendar::new(Some(chrono_tz::Europe::Berlin));
    let time = |text| berlin.parse(text).expect("a time");
    let days = BacktestPlan {
        from: time("2024-03-29 06:00:00"),
        to: time("2024-04-02 06:00:00"),
        every: DAY,
        refit: DAY,
        history: None,
        days: 1,
    };
    let origins = days.origins(&berlin);
    assert_eq!(origins.len(), 5);
    assert!(origins.iter().all(|&o| berlin.format(o).ends_with("06:00:00")));
    assert_eq!(days.folds(&berlin).len(), 5);
    let halves =
        BacktestPlan { from: time("2024-03-31 01:00:00"), to: time("2024-03-31 04:00:00"), every: 1800, ..days };
    let walls: Vec<_> = halves.origins(&berlin).into_iter().map(|o| berlin.format(o)[11..16].to_owned()).collect();
    assert_eq!(walls, ["01:00", "01:30", "03:00", "03:30", "04:00"]);
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let readings = office(2, 20);
    let failed =
        |readings: &Readings, plan: BacktestPlan| run(readings, &calendar(), &plan, &|_, _| ()).expect_err("an error");
    assert!(matches!(failed(&Readings::default(), plan(1, 2, DAY, DAY)), BacktestError::NoReadings));
    assert!(matches!(failed(&readings, plan(1, 2, 0, DAY)), BacktestError::Step(_)));
    assert!(matches!(failed(&readings, plan(1, 2, DAY, -1)), BacktestError::Step(_)));
    assert!(matches!(failed(&readings, plan(3, 2, DAY, DAY)), BacktestError::NoOrigins { .. }));
    let late = failed(&readings, plan(50, 51, DAY, DAY));
    assert!(late.to_string().contains("from 2016-08-23 00:00:00 to 2016-08-24 00:00:00"), "{late}");
}

#[test]
fn a_short_memory_knows_less_of_the_same_hours() {
    let readings = office(3, 34);
    let plan = plan(28, 31, DAY, 2 * DAY);
    let full = replay(&readings, &plan);
    let curve = learning_curve::scores(&readings, &calendar(), &plan, &full, &|_, _, _| ()).expect("a curve");
    let labels: Vec<_> = curve.iter().map(|group| group.label.as_str()).collect();
    assert_eq!(labels, ["1 week", "2 weeks", "3 weeks", "4 weeks", "all"]);
    assert!(curve.iter().all(|group| group.model().hours == curve[0].model().hours));
    let week = replay(&readings, &BacktestPlan { history: Some(7 * DAY), ..plan });
    assert!(week.iter().all(|scored| scored.weeks <= 1));
}

/// Returns hours in which the model gives the outcome a probability of `model`, every rule one of `rule`.
fn made_up(days: i32, model: f32, rule: f32) -> Vec<ScoredHour> {
    let base = replay(&office(1, 20), &plan(18, 18, DAY, DAY))[0].clone();
    let hours = (0..days).flat_map(|day| (0..24).map(move |hour| (day, hour)));
    let towards = |p: f32, actual: bool| if actual { p } else { 1.0 - p };
    hours
        .map(|(day, hour)| {
            let actual = (day * 5 + hour) % 4 == 0;
            let (probability, other) = (towards(model, actual), towards(rule, actual));
            ScoredHour {
                device: 0,
                day: 17_000 + day,
                hour: 24 * (17_000 + day) + hour,
                lead: hour as u8 + 1,
                hour_of_day: hour as u8,
                probability,
                occupied: probability >= 0.5,
                actual,
                baselines: [other; baselines::COUNT],
                baseline_states: [other >= 0.5; baselines::COUNT],
                ..base.clone()
            }
        })
        .collect()
}

#[test]
fn skill_is_the_loss_saved_and_its_interval_is_seeded() {
    let hours = made_up(14, 0.8, 0.6);
    let skill = &skills(&hours, &[0])[0];
    assert!((skill.log_loss.value - (1.0 - 0.8_f64.ln() / 0.6_f64.ln())).abs() < 1e-5);
    assert!((skill.brier.value - (1.0 - 0.04 / 0.16)).abs() < 1e-5);
    assert!(skill.log_loss.surely_above() && !skill.log_loss.surely_below());
    let (low, high) = skill.log_loss.interval.expect("fourteen days");
    assert!((high - low).abs() < 1e-5, "every day is the same");
    assert_eq!(skills(&hours, &[0, 3])[1].log_loss, skill.log_loss);
    assert_eq!(skills(&made_up(4, 0.8, 0.6), &[0])[0].log_loss.interval, None);
}

fn report(hours: &[ScoredHour]) -> Report {
    Report::new(&office(1, 20), &calendar(), &plan(18, 18, DAY, DAY), hours).expect("hours")
}

#[test]
fn a_rule_that_is_better_is_named_first() {
    let worse = report(&made_up(14, 0.6, 0.8));
    assert_eq!(worse.verdict.chances, Standing::Worse);
    let headline = &worse.verdict.headline;
    assert!(headline.starts_with("Chances: a simple rule is better than the model (Brier score 0.160"), "{headline}");
    let better = report(&made_up(14, 0.8, 0.6));
    let headline = &better.verdict.headline;
    assert!(headline.starts_with("Chances: the model is better than every simple rule ("), "{headline}");
    let few = report(&made_up(3, 0.8, 0.6));
    assert_eq!(few.verdict.chances, Standing::BetterWithinNoise);
    assert!(few.verdict.headline.contains("3 days are too few to rule out luck"), "{:?}", few.verdict);
    assert!(few.verdict.log_loss.contains("too few"), "{:?}", few.verdict);
    let advice = &few.verdict.lines[2];
    assert!(!advice.contains("luck") && advice.ends_with("More days will tell."), "{advice}");
    assert_eq!(advice, "3 days are too few to recommend a use. More days will tell.");
    let one = report(&made_up(1, 0.8, 0.6));
    assert_eq!(one.verdict.lines[2], "1 day is too few to recommend a use. More days will tell.");
    assert!(one.verdict.headline.contains(", but 1 day is too few to rule out luck"), "{:?}", one.verdict);
    assert!(report(&made_up(7, 0.8, 0.6)).verdict.lines[2].starts_with("Use the model "));
    for report in [worse, few, one] {
        let mut out = Vec::new();
        text::write(&report, false, &mut out).expect("writing to memory");
        let out = String::from_utf8(out).expect("text");
        assert!(out.starts_with(&report.verdict.lines.join("\n")));
        let days = if report.setup.days == 1 {
            "1 room, 1 day, ".to_owned()
        } else {
            format!("1 room, {} days, ", report.setup.days)
        };
        assert!(out.contains(&days), "{out}");
        assert!(out.contains("\nlower is better for log loss,") && out.contains("from 10 %: the same"), "{out}");
    }
}

/// Returns hours with better probabilities from the model and better states from the rules.
fn timid() -> Vec<ScoredHour> {
    let mut hours = made_up(14, 0.8, 0.6);
    for scored in &mut hours {
        // The model calls occupied hours vacant at 40 %; the rule knows them but is unsure of its own record.
        scored.probability = if scored.actual { 0.4 } else { 0.05 };
        scored.occupied = false;
        scored.baseline_states = [scored.actual; baselines::COUNT];
        scored.baselines = [if scored.actual { 0.3 } else { 0.25 }; baselines::COUNT];
    }
    hours
}

#[test]
fn a_model_with_better_chances_and_worse_states_is_not_said_to_beat_every_rule() {
    let report = report(&timid());
    let verdict = &report.verdict;
    assert_eq!((verdict.chances, verdict.states), (Standing::Better, Standing::Worse));
    assert!(verdict.headline.starts_with("Chances: the model is better than every simple rule"), "{verdict:?}");
    let states = "Plain 1/0 states: a simple rule is better than the model (F1 0.000 against 1.000, accuracy ";
    assert!(verdict.headline.contains(states), "{verdict:?}");
    assert!(verdict.headline.contains("Use the model where its chances are weighed"), "{verdict:?}");
    let mut out = Vec::new();
    text::write(&report, false, &mut out).expect("writing to memory");
    assert!(String::from_utf8(out).expect("text").starts_with(&verdict.lines.join("\n")));
    let page = html::page(&report);
    let chips = "▲ chances: model ahead</span> <span class=\"chip behind\">▼ plain states: simple rule ahead</span>";
    let (chip, table) = (page.find(chips), page.find("<table"));
    assert!(chip.is_some() && chip < table, "{chip:?} {table:?}");
}

#[test]
fn states_that_are_the_same_are_not_said_to_be_behind() {
    let mut hours = made_up(14, 0.8, 0.6);
    hours.iter_mut().for_each(|scored| scored.baseline_states = [scored.occupied; baselines::COUNT]);
    let verdict = report(&hours).verdict;
    assert_eq!((verdict.chances, verdict.states), (Standing::Better, Standing::Mixed));
    assert!(verdict.headline.contains("Plain 1/0 states: the model is no better than the best"), "{verdict:?}");
}

#[test]
fn the_page_takes_nothing_from_outside_and_no_markup_from_names() {
    let mut readings = office(3, 24);
    readings.devices[0] = DeviceReadings {
        device: "<script>alert('x')</script>\"&".into(),
        times: readings.devices[0].times.clone(),
        ..DeviceReadings::default()
    };
    let plan = plan(18, 22, 12 * HOUR, 2 * DAY);
    let report = Report::new(&readings, &calendar(), &plan, &replay(&readings, &plan)).expect("hours");
    let page = html::page(&report);
    for outside in ["http:", "https:", "<script", "url(", "@import", "<link", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;script&gt;alert('x')&lt;/script&gt;&quot;&amp;"));
    assert!(!page.contains("NaN") && !page.contains("inf\""));
}

#[test]
fn an_empty_office_is_reported_too() {
    let mut readings = office(3, 24);
    for device in &mut readings.devices[..2] {
        device.times.retain(|&t| t < MONDAY + 2 * DAY);
    }
    let plan = plan(20, 22, DAY, DAY);
    let hours: Vec<ScoredHour> = replay(&readings, &plan).into_iter().filter(|c| c.device < 2).collect();
    let report = Report::new(&readings, &calendar(), &plan, &hours).expect("hours");
    let page = html::page(&report);
    assert!(!page.contains("NaN"), "one class only");
    text::write(&report, true, &mut Vec::new()).expect("writing to memory");
}

#[test]
fn a_day_without_anyone_is_told_from_a_room_that_stayed_empty() {
    let mut readings = office(4, 27);
    // On day 22, a Tuesday, nobody comes; on day 23 one room stays empty.
    for (at, device) in readings.devices.iter_mut().enumerate() {
        let gone = if at == 2 { 22..24 } else { 22..23 };
        device.times.retain(|&t| !gone.contains(&((t - MONDAY) / DAY)));
    }
    let plan = plan(21, 25, DAY, 5 * DAY);
    let report = Report::new(&readings, &calendar(), &plan, &replay(&readings, &plan)).expect("hours");
    let worst = &report.worst_days[0];
    assert_eq!((worst.date.as_str(), worst.kind, worst.actual_hours), ("2016-07-26 Tue", "workday", 0.0));
    assert!(worst.why.starts_with("no motion in any room"), "{worst:?}");
    let rooms = &report.worst_room_days;
    assert!(rooms.iter().all(|day| day.date != worst.date));
    assert_eq!((rooms[0].device.as_str(), rooms[0].date.as_str()), ("room_02", "2016-07-27 Wed"));
    assert_eq!((rooms[0].why, rooms[0].actual_hours()), ("stayed empty", 0));
}
