//! `GET /metrics`: the server's counters and gauges, for Prometheus.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::access::auth::{Access, admit};
use crate::http::access::tokens::Scope;
use crate::metrics::{HookCounts, Text};
use crate::problem::Reply;
use crate::publish::Publisher;
use crate::state::live;
use crate::state::site::{Phase, Site};
use roomcast_forecast::decisions::live::{DaySums, POLICIES};
use roomcast_forecast::decisions::policies::Sums;
use roomcast_forecast::rooms::Level;
use roomcast_forecast::scores::Live;

/// Metrics of the server for Prometheus
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "server",
    responses(
        (status = 200, description = "Metrics in Prometheus' text format", body = String, content_type = "text/plain"),
    ),
)]
pub async fn get(request: HttpRequest, site: Data<Site>, access: Data<Access>) -> Reply {
    if !access.metrics_public {
        admit(&request, Scope::Read)?;
    }
    let mut text = Text::default();
    text.server(&site.metrics);
    text.metric(
        "build_info",
        "gauge",
        "The version that runs.",
        [(format_args!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0)],
    );
    write_snapshot(&mut text, &site);
    let alerts = site.alerts.counts().into_iter().map(|(kind, count)| (format!("{{kind=\"{kind}\"}}"), count as f64));
    text.metric("alert", "gauge", "Devices, servers or models with this problem; 0 for none.", alerts);
    write_scores(&mut text, &site);
    write_level_scores(&mut text, &site);
    write_ledger(&mut text, &site);
    text.targets(site.publisher.as_ref().map_or(&[], Publisher::counts));
    if let Some(notifier) = &site.notifier {
        text.group(HookCounts::ALL, &[("", notifier.counts())]);
    }
    if let Some(live) = &site.live {
        write_ingest(&mut text, live);
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text.0))
}

/// Writes the metrics of the served snapshot.
fn write_snapshot(text: &mut Text, site: &Site) {
    let snapshot = site.snapshot().ok();
    let history = snapshot.as_ref().map(|snapshot| &snapshot.history);
    let until = history.and_then(|history| history.span).map_or(0, |span| span.1);
    let cutoff = snapshot.as_ref().map_or(0, |snapshot| snapshot.loaded.models.cutoff);
    for (name, help, value) in [
        ("ready", "1 when models and history are loaded.", f64::from(u8::from(site.serving.phase() == Phase::Ready))),
        ("devices", "Devices in the history.", history.map_or(0, |h| h.readings.devices.len()) as f64),
        ("readings", "Readings in the history.", history.map_or(0, |history| history.count) as f64),
        ("data_until_seconds", "Time of the last reading, in the site's time.", until as f64),
        ("model_cutoff_seconds", "End of the data that the models were trained on.", cutoff as f64),
    ] {
        text.metric(name, "gauge", help, [("", value)]);
    }
}

/// Writes the scores of past forecasts.
fn write_scores(text: &mut Text, site: &Site) {
    let snapshot = site.snapshot().ok();
    let judged = snapshot.as_ref().map(|snapshot| &snapshot.loaded.models.site.out_of_sample);
    let scores = site.scores.lock();
    let live = scores.site();
    let gap = judged.and_then(|judged| scores.calibration_gap(judged));
    let likely_gap = judged.and_then(|judged| scores.likely_calibration_gap(judged));
    drop(scores);
    for (name, help, value) in [
        ("hours", "Hours of devices scored in the last 14 days.", Some(live.map_or(0.0, |live| f64::from(live.hours)))),
        ("log_loss", "Mean log loss of forecasts made at their hour's beginning.", live.map(|live| live.log_loss)),
        ("baseline_log_loss", "Mean log loss of the baseline for the same hours.", live.map(|live| live.baseline)),
        ("skill", "Share of the baseline's loss that forecasts save.", live.map(|live| live.skill)),
        ("brier", "Mean squared error of the same forecasts.", live.map(|live| live.brier)),
        ("day_ahead_log_loss", "Mean log loss of forecasts made at midnight.", live.and_then(|live| live.day_ahead)),
        ("calibration_gap", "Distance of the shares of occupied hours from those the models were judged on.", gap),
        ("likely_calibration_gap", "The same for hours with a probability of at least 10 %.", likely_gap),
    ] {
        text.metric(&format!("live_{name}"), "gauge", help, [("", value.unwrap_or(f64::NAN))]);
    }
}

/// Writes the scores of the levels above the rooms that the table of rooms has.
fn write_level_scores(text: &mut Text, site: &Site) {
    let levels = site.snapshot().map(|snapshot| snapshot.history.rooms.levels()).unwrap_or_default();
    let scores: Vec<(Level, Option<Live>)> =
        levels.into_iter().map(|level| (level, site.scores.of(level).site())).collect();
    type Value = (&'static str, &'static str, fn(&Live) -> Option<f64>);
    let values: [Value; 6] = [
        ("hours", "Hours of floors or buildings scored in the last 14 days.", |live| Some(f64::from(live.hours))),
        ("log_loss", "Mean log loss of their forecasts made at their hour's beginning.", |live| Some(live.log_loss)),
        ("baseline_log_loss", "Mean log loss of the baseline for the same hours.", |live| Some(live.baseline)),
        ("skill", "Share of the baseline's loss that these forecasts save.", |live| Some(live.skill)),
        ("brier", "Mean squared error of the same forecasts.", |live| Some(live.brier)),
        ("day_ahead_log_loss", "Mean log loss of these forecasts made at midnight.", |live| live.day_ahead),
    ];
    for (name, help, of) in values {
        let known = scores.iter().filter_map(|(level, live)| Some((level, of(live.as_ref()?)?)));
        let values = known.map(|(level, value)| (format!("{{level=\"{level}\"}}"), value));
        text.metric(&format!("live_level_{name}"), "gauge", help, values);
    }
}

/// Days of the ledger in metrics.
const LEDGER_DAYS: i32 = 30;

/// Writes what the stored schedules of the last days were worth.
fn write_ledger(text: &mut Text, site: &Site) {
    let sums = DaySums::total(site.ledger().days(LEDGER_DAYS).map(|(_, sums)| sums));
    let known: Vec<_> = POLICIES.iter().zip(sums.policies).filter_map(|(policy, sums)| Some((policy, sums?))).collect();
    type Value = (&'static str, &'static str, fn(&Sums) -> f64);
    let values: [Value; 4] = [
        ("occupied_hours", "Occupied hours of the last 30 days that are over.", |sums| sums.occupied),
        ("hours_on", "Hours on of the same days.", |sums| sums.on),
        ("empty_hours_on", "Hours on in vacant hours.", |sums| sums.empty_on),
        ("missed_hours", "Occupied hours in which the room was not ready.", |sums| sums.missed),
    ];
    for (name, help, of) in values {
        let values = known.iter().map(|(policy, sums)| (format!("{{policy=\"{policy}\"}}"), of(sums)));
        text.metric(&format!("ledger_{name}"), "gauge", help, values);
    }
}

/// Writes the counts of arriving readings.
fn write_ingest(text: &mut Text, live: &live::Live) {
    live.counts.write(text);
    let (rows, bytes) = live.writer.waiting();
    for (name, help, value) in [
        ("ingest_queue_rows", "Rows that wait to be stored.", rows),
        ("ingest_queue_bytes", "Bytes that wait to be stored.", bytes),
        ("ingest_sensors_offline", "Sensors that their gateway reports as offline.", live.health.count()),
    ] {
        text.metric(name, "gauge", help, [("", value as f64)]);
    }
}
