use super::{MONDAY, calendar, office};
use crate::backtest::{BacktestPlan, ScoredHour, html, parts, report::Report, run, text};
use crate::calendar::HOUR;
use crate::forecast::parts::{COUNT, NAMES, PartChances};

const DAY: i64 = 24 * HOUR;

fn plan() -> BacktestPlan {
    BacktestPlan { from: MONDAY + 35 * DAY, to: MONDAY + 40 * DAY, every: DAY, refit: 7 * DAY, history: None, days: 1 }
}

fn hours() -> Vec<ScoredHour> {
    run(&office(4, 42), &calendar(), &plan(), &|_, _| ()).expect("a backtest")
}

#[test]
fn the_loss_of_a_part_and_of_the_mix_without_it_are_over_the_hours_that_have_both() {
    let mut hours = hours();
    hours.truncate(8);
    for (at, hour) in hours.iter_mut().enumerate() {
        (hour.probability, hour.actual, hour.day) = (0.8, true, at as i32);
        hour.parts = PartChances::default();
        hour.parts.alone[1] = 0.5;
        if at < 6 {
            hour.parts.alone[2] = 0.9;
            (hour.parts.without[1], hour.parts.without[2]) = (0.9, 0.5);
        }
    }
    let scores = parts::scores(&hours);
    let [stack, expert] = &scores[..] else { panic!("two parts: {scores:?}") };
    assert_eq!((stack.part, stack.hours, expert.hours), (NAMES[1], 8, 6));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
    close(stack.alone, -0.5_f64.ln());
    close(stack.model, -0.8_f64.ln());
    let mixed = expert.mixed.as_ref().expect("a mix");
    assert_eq!(mixed.hours, 6);
    close(mixed.without, -0.5_f64.ln());
    close(mixed.saved.value, 1.0 - 0.8_f64.ln() / 0.5_f64.ln());
    assert!(mixed.saved.surely_above());
    assert!(stack.mixed.as_ref().is_some_and(|mixed| mixed.saved.surely_below()));
}

#[test]
fn every_hour_has_parts_and_the_report_shows_each() {
    let hours = hours();
    assert!(hours.iter().all(|hour| hour.parts.alone.iter().any(|part| !part.is_nan())));
    let mixed = hours.iter().filter(|hour| hour.parts.without.iter().any(|part| !part.is_nan()));
    assert!(mixed.clone().count() > 0);
    for hour in mixed {
        // A mean of log-odds lies between the least and the largest of its parts.
        let parts = || hour.parts.alone.iter().copied().filter(|part| !part.is_nan());
        let (least, most) = (parts().fold(1.0, f32::min), parts().fold(0.0, f32::max));
        assert!(least - 1e-6 <= hour.probability && hour.probability <= most + 1e-6, "{hour:?}");
    }
    let report = Report::new(&office(4, 42), &calendar(), &plan(), &hours).expect("hours");
    let mut out = Vec::new();
    text::write(&report, false, &mut out).expect("writing to memory");
    let (out, page) = (String::from_utf8(out).expect("text"), html::page(&report));
    assert!(report.parts.len() > 1 && report.parts.len() <= COUNT);
    for part in &report.parts {
        assert!(out.contains(&format!("\n{} ", part.part)), "{out}");
        assert!(page.contains(&format!("<th scope=\"row\">{}</th>", part.part)));
    }
}
