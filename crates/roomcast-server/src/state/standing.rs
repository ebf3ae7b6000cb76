//! Alerts, live scores and the state of publishing, for Prometheus. No label names a device.

use std::fmt::Write as _;

use super::site::Site;
use crate::metrics;

/// Returns all of them in Prometheus' text form.
pub fn text(site: &Site) -> String {
    let mut out = String::with_capacity(4096);
    metrics::head(&mut out, "alert", "gauge", "Devices, servers or models with this trouble; 0 when all is well.");
    for (kind, count) in site.alerts.counts() {
        let _ = writeln!(out, "roomcast_alert{{kind=\"{kind}\"}} {count}");
    }
    let (live, gap, likely_gap) = {
        let snapshot = site.snapshot().ok();
        let judged = snapshot.as_ref().map(|snapshot| &snapshot.loaded.models.site.out_of_sample);
        let scores = site.scores.lock();
        let gap = judged.and_then(|judged| scores.calibration_gap(judged));
        (scores.site(), gap, judged.and_then(|judged| scores.likely_calibration_gap(judged)))
    };
    for (name, help, value) in [
        ("hours", "Hours of devices scored in the last 14 days.", Some(live.map_or(0.0, |live| f64::from(live.hours)))),
        ("log_loss", "Mean log loss of forecasts made at their hour's beginning.", live.map(|live| live.log_loss)),
        ("baseline_log_loss", "Mean log loss of the baseline for the same hours.", live.map(|live| live.baseline)),
        ("skill", "Share of the baseline's loss that forecasts save.", live.map(|live| live.skill)),
        ("brier", "Mean squared error of the same forecasts.", live.map(|live| live.brier)),
        ("day_ahead_log_loss", "Mean log loss of forecasts made at midnight.", live.and_then(|live| live.day_ahead)),
        ("calibration_gap", "How far shares of occupied hours have moved from those the models were judged on.", gap),
        ("likely_calibration_gap", "The same over hours that were given at least 10 %.", likely_gap),
    ] {
        metrics::head(&mut out, &format!("live_{name}"), "gauge", help);
        let _ = writeln!(out, "roomcast_live_{name} {}", value.unwrap_or(f64::NAN));
    }
    let targets = site.publisher.as_ref().map_or(&[][..], |publisher| publisher.counts());
    for (name, kind, help) in [
        ("sent_total", "counter", "Messages or keys sent."),
        ("failures_total", "counter", "Connections or requests that failed."),
        ("connected", "gauge", "1 while connected."),
    ] {
        metrics::head(&mut out, &format!("publish_{name}"), kind, help);
        for (target, counts) in targets {
            let value = match name {
                "sent_total" => counts.sent.get(),
                "failures_total" => counts.failures.get(),
                _ => counts.connected.get(),
            };
            let _ = writeln!(out, "roomcast_publish_{name}{{target=\"{target}\"}} {value}");
        }
    }
    out
}
